//! Logs that daemons share, behind this host's own: orders go there once they are on this disk, and what comes
//! from there goes into the register first and onto this disk after.
#![forbid(unsafe_code)]

use super::desk::{Message, Submission};
use super::intake::Intake;
use super::redis::{Known, LogState, Logs, Options, Outcome, View};
use crate::revocation::{Guarantee, Position, Progress, Receipt, Record, Standing};
use crossbeam_channel::Sender;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Logs elsewhere. They are followed until this is dropped.
pub(super) struct Shared {
    logs: Arc<Logs>,
    names: Vec<Arc<str>>,
    quorum: usize,
    runtime: Handle,
    /// The thread ends when this is dropped.
    _running: oneshot::Sender<()>,
}

impl Shared {
    /// Starts to follow them, on a thread of its own: a verdict must never wait for them, nor they for one.
    pub(super) fn start(
        options: &Options,
        intake: Arc<Intake>,
        keep: Sender<Message>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let clock = intake.clock().clone();
        intake.register().set_standing(Standing::Following {
            complete_at: None,
            lease: options.lease,
        });
        let carried = Carried { intake, keep, states: Vec::new() };
        let handle = runtime.handle().clone();
        let logs = Logs::start(options, carried, &HashMap::new(), &clock, &handle)
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
        let (running, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("jotd-logs".to_owned())
            .spawn(move || {
                // An error is the end too: the other side is gone.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self {
            logs: Arc::new(logs),
            names: options.logs.iter().map(|log| log.name.as_str().into()).collect(),
            quorum: options.write_quorum,
            runtime: handle,
            _running: running,
        })
    }

    /// Takes an order there that this disk holds, and answers it once enough of them have it.
    pub(super) fn deliver(&self, submission: Submission, local: Receipt) {
        let (logs, names, quorum) = (Arc::clone(&self.logs), self.names.clone(), self.quorum);
        self.runtime.spawn(async move {
            let Submission { records, reply, .. } = submission;
            let outcome = logs.submit(records).await;
            // Whoever gave the order may have gone. It stands all the same.
            let _ = reply.send(Ok(receipt(local, outcome.as_ref(), &names, quorum)));
        });
    }
}

/// Being stopped, or too few logs in time, leaves what this disk promises: it will be delivered.
fn receipt(
    mut local: Receipt,
    outcome: Option<&Outcome>,
    names: &[Arc<str>],
    quorum: usize,
) -> Receipt {
    let revision = outcome.map_or(&[][..], |outcome| &outcome.revision);
    let position = |(log, at): &(usize, super::redis::Position)| {
        Some(Position {
            log: Arc::clone(names.get(*log)?),
            epoch: at.epoch,
            sequence: at.sequence,
        })
    };
    local.positions.extend(revision.iter().filter_map(position));
    let is_accepted = outcome.is_some_and(|outcome| outcome.is_accepted);
    local.progress = if is_accepted { Progress::Accepted } else { Progress::Pending };
    local.guarantee = Guarantee::Logs {
        held: revision.len(),
        quorum,
        of: names.len(),
    };
    local
}

/// The register, and the disk behind it.
struct Carried {
    intake: Arc<Intake>,
    keep: Sender<Message>,
    states: Vec<LogState>,
}

impl Known for Carried {
    fn learn(&mut self, records: &[Record]) {
        let register = self.intake.register();
        let new: Vec<_> = records.iter().copied().filter(|record| !register.contains(record)).collect();
        if new.is_empty() {
            return;
        }
        // Revisions of callers are those of this host's log, which these are not part of yet.
        self.intake.take(&new, 0);
        if self.keep.try_send(Message::Keep(new)).is_err() {
            tracing::debug!("too many revocations at once to write them all down");
        }
    }

    fn each(&self, see: &mut dyn FnMut(Record)) {
        self.intake.register().records().for_each(see);
    }

    fn stand(&mut self, view: &View) {
        self.intake.register().set_standing(Standing::Following {
            complete_at: view.standing.fresh_at_ms.map(Duration::from_millis),
            lease: view.lease,
        });
        let states: Vec<_> = view.logs.iter().map(|log| log.state).collect();
        if states != self.states {
            for (log, old) in view.logs.iter().zip(self.states.iter().chain(std::iter::repeat(&LogState::Cold))) {
                if log.state != *old {
                    tracing::info!(log = log.name, state = ?log.state, was = ?old, "revocation log");
                }
            }
            self.states = states;
        }
    }
}
