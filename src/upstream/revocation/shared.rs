//! Logs that daemons share, beside this host's own. An order is in force here and on its way there while this disk
//! syncs it, for a sync takes milliseconds and a thief needs no longer; it is answered when it is safe here and there.
//! What comes from there goes into the register first and onto this disk after.
#![forbid(unsafe_code)]

use super::apart::Apart;
use super::cursors::Cursors;
use super::desk::{Message, Submission};
use super::intake::Intake;
use super::redis::{Known, LogState, Logs, Options, Outcome, View};
use crate::clock::since_boot;
use crate::revocation::{Guarantee, NotTaken, Position, Progress, Receipt, Record, Standing, Wait};
use crossbeam_channel::Sender;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Pause between two notes of how far logs have been read, when something was learnt and when nothing was.
const SAVE_SOON: Duration = Duration::from_secs(1);
const SAVE_LATE: Duration = Duration::from_secs(30);

/// Logs elsewhere. They are followed until this is dropped.
pub(super) struct Shared {
    logs: Logs,
    names: Vec<Arc<str>>,
    quorum: usize,
    apart: Apart,
    intake: Arc<Intake>,
    /// Orders that were handed in so far.
    orders: AtomicU64,
    /// Whether the last write to this disk failed. Orders go nowhere then before it has taken them.
    is_disk_failing: AtomicBool,
}

impl Shared {
    /// Starts to follow them, on a thread of its own: a verdict must never wait for them, nor they for one.
    /// `remembered` is how far they had been read into what the register was filled with.
    pub(super) fn start(
        options: &Options,
        intake: Arc<Intake>,
        kept: Kept,
        remembered: &Cursors,
    ) -> io::Result<Self> {
        let apart = Apart::start("jotd-logs")?;
        let clock = intake.clock().clone();
        let door = Arc::clone(&intake);
        intake.register().set_standing(Standing::Following {
            complete_at: None,
            lease: options.lease,
        });
        let carried = Carried {
            intake,
            kept,
            states: Vec::new(),
            has_news: false,
            orders: 0,
            saved_at: Duration::ZERO,
        };
        let logs = Logs::start(options, carried, remembered, &clock, apart.handle())
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
        Ok(Self {
            logs,
            names: options
                .logs
                .iter()
                .map(|log| log.name.as_str().into())
                .collect(),
            quorum: options.write_quorum,
            apart,
            intake: door,
            orders: AtomicU64::new(0),
            is_disk_failing: AtomicBool::new(false),
        })
    }

    /// How they stand, now and whenever that changes.
    pub(super) fn view(&self) -> watch::Receiver<View> {
        self.logs.view()
    }

    /// How many orders have been handed in. One that the disk or the logs do not know yet is among them.
    pub(super) fn orders(&self) -> u64 {
        self.orders.load(Ordering::SeqCst)
    }

    /// Says whether the disk took what it was given last.
    pub(super) fn set_disk_failing(&self, is_failing: bool) {
        self.is_disk_failing.store(is_failing, Ordering::Relaxed);
    }

    /// Takes an order to the logs, and to this disk by `keep`, and answers it once it is safe here and there.
    ///
    /// # Errors
    /// What `keep` says; the order has gone nowhere then.
    pub(super) fn deliver(
        self: &Arc<Self>,
        submission: Submission,
        keep: impl FnOnce(Submission) -> Result<(), NotTaken>,
    ) -> Result<(), NotTaken> {
        let Submission {
            records,
            wait,
            reply,
        } = submission;
        let (told, local) = oneshot::channel();
        let kept = Submission {
            records: records.clone(),
            wait,
            reply: told,
        };
        // Before the disk has it: what it notes of the logs must not seem to include an order that it has and they
        // have not.
        self.orders.fetch_add(1, Ordering::SeqCst);
        keep(kept).inspect_err(|_| self.take_back())?;
        let is_early = !self.is_disk_failing.load(Ordering::Relaxed);
        if is_early {
            // Revisions of callers are those of this host's log, which these are not part of yet.
            self.intake.take(&records, 0);
        }
        let shared = Arc::clone(self);
        self.apart.handle().spawn(async move {
            let answer = if is_early {
                let (outcome, local) = tokio::join!(shared.logs.submit(records, wait), local);
                shared.early(outcome.as_ref(), local)
            } else {
                shared.late(records, wait, local).await
            };
            // Whoever gave the order may have gone. It stands all the same.
            let _ = reply.send(answer);
        });
        Ok(())
    }

    fn early(&self, outcome: Option<&Outcome>, local: Told) -> Result<Receipt, NotTaken> {
        match local {
            Ok(Ok(local)) => Ok(receipt(local, outcome, &self.names, self.quorum)),
            _ => Err(NotTaken::Unsynced),
        }
    }

    async fn late(
        &self,
        records: Vec<Record>,
        wait: Wait,
        local: oneshot::Receiver<Result<Receipt, NotTaken>>,
    ) -> Result<Receipt, NotTaken> {
        let local = local.await.unwrap_or(Err(NotTaken::Stopping));
        let local = local.inspect_err(|_| self.take_back())?;
        self.intake.take(&records, 0);
        let outcome = self.logs.submit(records, wait).await;
        Ok(receipt(local, outcome.as_ref(), &self.names, self.quorum))
    }

    fn take_back(&self) {
        self.orders.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What the disk's thread said, if it did not go without a word.
type Told = Result<Result<Receipt, NotTaken>, oneshot::error::RecvError>;

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
    local.progress = match outcome {
        Some(outcome) if outcome.is_applied => Progress::Applied,
        Some(outcome) if outcome.is_accepted => Progress::Accepted,
        _ => Progress::Pending,
    };
    local.unconfirmed = outcome.map_or_else(Vec::new, |outcome| outcome.silent.clone());
    local.guarantee = Guarantee::Logs {
        held: revision.len(),
        quorum,
        of: names.len(),
    };
    local
}

/// The way to this host's disk for what logs elsewhere had.
#[derive(Clone)]
pub(super) struct Kept {
    sender: Sender<Message>,
    /// Whether the register has something that did not get there.
    has_missed: Arc<AtomicBool>,
}

/// How far logs have been read into what is on this disk.
pub(super) struct Reached {
    pub(super) cursors: Cursors,
    /// How many orders of this host had been taken there by then.
    pub(super) orders: u64,
}

impl Kept {
    pub(super) fn new(sender: Sender<Message>) -> Self {
        Self {
            sender,
            has_missed: Arc::default(),
        }
    }

    /// Whether something is missing on the disk, until it has been written as a whole.
    pub(super) fn has_missed(&self) -> bool {
        self.has_missed.load(Ordering::Acquire)
    }

    /// The same; whatever it was will be on the disk if the register is written there as a whole from now on.
    pub(super) fn take_missed(&self) -> bool {
        self.has_missed.swap(false, Ordering::AcqRel)
    }

    /// Something is missing on the disk.
    pub(super) fn set_missed(&self) {
        self.has_missed.store(true, Ordering::Release);
    }

    fn keep(&self, records: Vec<Record>) {
        if self.sender.try_send(Message::Keep(records)).is_err() {
            self.set_missed();
            tracing::debug!("too many revocations at once to write them all down");
        }
    }
}

impl Reached {
    pub(super) fn of(view: &View, intake: &Intake) -> Self {
        let is_whole = !intake.has_declined();
        let cursor = |log: &super::redis::LogView| {
            let mut cursor = log.cursor;
            cursor.is_settled &= is_whole;
            (log.name.clone(), cursor)
        };
        Self {
            cursors: view.logs.iter().map(cursor).collect(),
            orders: view.orders,
        }
    }
}

/// The register, and the disk behind it.
struct Carried {
    intake: Arc<Intake>,
    kept: Kept,
    states: Vec<LogState>,
    /// Whether anything was learnt since it was last noted how far logs have been read, and what was noted then.
    has_news: bool,
    orders: u64,
    saved_at: Duration,
}

impl Carried {
    /// Tells the disk how far logs have been read, now and then: what comes after it is read again after a restart.
    fn save(&mut self, view: &View) {
        let now = since_boot();
        let has_news = self.has_news || self.orders != view.orders;
        let pause = if has_news { SAVE_SOON } else { SAVE_LATE };
        let is_due = now >= self.saved_at + pause;
        if is_due && view.logs.iter().any(|log| log.cursor.at.is_some()) {
            self.saved_at = now;
            self.has_news = false;
            self.orders = view.orders;
            // Behind all that was learnt before. Where there is no room, the next one will do.
            let reached = Reached::of(view, &self.intake);
            let _ = self.kept.sender.try_send(Message::Reached(reached));
        }
    }
}

impl Known for Carried {
    fn learn(&mut self, records: &[Record]) {
        let register = self.intake.register();
        let new: Vec<_> = records
            .iter()
            .copied()
            .filter(|record| !register.contains(record))
            .collect();
        if new.is_empty() {
            return;
        }
        // Revisions of callers are those of this host's log, which these are not part of yet.
        self.intake.take(&new, 0);
        self.has_news = true;
        self.kept.keep(new);
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
            for (log, old) in view
                .logs
                .iter()
                .zip(self.states.iter().chain(std::iter::repeat(&LogState::Cold)))
            {
                if log.state != *old {
                    tracing::info!(log = log.name, state = ?log.state, was = ?old, "revocation log");
                }
            }
            self.states = states;
        }
        self.save(view);
    }
}

#[cfg(test)]
mod tests {
    use super::super::redis::tests::server::RedisServer;
    use super::super::rig::{is_live, open, record, until};
    use super::super::small_disk::SmallDisk;
    use super::*;
    use crate::clock::Clock;
    use crate::metrics::Metrics;
    use crate::revocation::Register;
    use crate::upstream::revocation::Desk;

    async fn accepted(desk: &Desk, record: Record) -> Receipt {
        let receipt = desk.submit(vec![record], Wait::Accepted).await;
        receipt.expect("taken")
    }

    #[tokio::test]
    async fn what_this_disk_did_not_keep_is_not_called_accepted() {
        let server = RedisServer::start(&[]);
        let register = Arc::new(Register::new(&crate::revocation::Options::default()));
        let metrics = Arc::new(Metrics::new());
        let intake = Arc::new(Intake::new(Arc::clone(&register), Clock::system(), metrics));
        let (sender, _disk) = crossbeam_channel::bounded(16);
        let options = Options::one(server.address());
        let shared = Shared::start(&options, intake, Kept::new(sender), &Cursors::new());
        let shared = Arc::new(shared.expect("it starts"));
        let local = Receipt {
            progress: Progress::Applied,
            guarantee: Guarantee::Disk,
            positions: Vec::new(),
            revision: 1,
            unconfirmed: Vec::new(),
        };
        let mut answers = Vec::new();
        for (jti, kept) in [
            ("kept", Ok(local.clone())),
            ("lost", Err(NotTaken::DiskFull)),
        ] {
            let (reply, answer) = oneshot::channel();
            let submission = Submission {
                records: vec![record(jti)],
                wait: Wait::Accepted,
                reply,
            };
            let disk =
                |submission: Submission| submission.reply.send(kept).map_err(|_| NotTaken::Busy);
            shared.deliver(submission, disk).expect("taken");
            let answer = answer.await.expect("an answer");
            answers.push(answer.map(|receipt| receipt.progress));
        }
        assert_eq!(answers, [Ok(Progress::Accepted), Err(NotTaken::Unsynced)]);
        // It is in force all the same, as the answer says that it may be.
        assert!(register.contains(&record("lost")));
        // From then on nothing goes anywhere before the disk has it.
        shared.set_disk_failing(true);
        let (reply, answer) = oneshot::channel();
        let submission = Submission {
            records: vec![record("refused")],
            wait: Wait::Accepted,
            reply,
        };
        let full = |submission: Submission| {
            let _ = submission.reply.send(Err(NotTaken::DiskFull));
            Ok(())
        };
        shared.deliver(submission, full).expect("taken");
        assert_eq!(
            answer.await.expect("an answer").err(),
            Some(NotTaken::DiskFull)
        );
        assert!(!register.contains(&record("refused")));
        assert_eq!(shared.orders(), 2);
    }

    /// It is in the logs, so that nobody brings it here again: this host must write it down once it can.
    #[tokio::test]
    async fn what_this_disk_did_not_keep_is_there_after_a_restart() {
        let Some(disk) = SmallDisk::mount() else {
            return;
        };
        let mut server = RedisServer::start(&[]);
        let options = Options::one(server.address());
        let folder = disk.path().join("state");
        let desk = open(&folder, &options, &Clock::system());
        until("live", || is_live(&desk)).await;
        disk.fill();
        let mut orders = (0..1_000).map(|number| record(&format!("order-{number}")));
        // The page that the file ends in has room for some.
        let unsynced = loop {
            let order = orders.next().expect("it is not full");
            match desk.submit(vec![order], Wait::Accepted).await {
                Ok(_) => {}
                Err(why) => {
                    assert_eq!(why, NotTaken::Unsynced);
                    break order;
                }
            }
        };
        disk.empty();
        desk.stop();
        drop(desk);
        server.kill();
        let desk = open(&folder, &options, &Clock::system());
        assert!(desk.intake().register().contains(&unsynced));
    }

    #[tokio::test]
    async fn an_order_to_one_desk_is_known_to_the_other() {
        let mut server = RedisServer::start(&[]);
        let options = Options::one(server.address());
        let folders =
            [tempfile::tempdir(), tempfile::tempdir()].map(|folder| folder.expect("a folder"));
        let [giver, taker] =
            [0, 1].map(|number: usize| open(folders[number].path(), &options, &Clock::system()));
        until("live", || is_live(&giver) && is_live(&taker)).await;
        let [first, second, third] = ["first", "second", "third"].map(record);
        let receipt = accepted(&giver, first).await;
        assert_eq!(receipt.progress, Progress::Accepted);
        assert_eq!(
            receipt.guarantee,
            Guarantee::Logs {
                held: 1,
                quorum: 1,
                of: 1
            }
        );
        let logs: Vec<_> = receipt
            .positions
            .iter()
            .map(|position| &*position.log)
            .collect();
        assert_eq!(logs, ["local", "redis"]);
        until("told", || taker.intake().register().contains(&first)).await;

        // What came from elsewhere is on this disk; what was given here while Redis was away gets there.
        server.kill();
        assert_eq!(accepted(&giver, second).await.progress, Progress::Pending);
        assert!(
            giver.intake().register().contains(&second),
            "in force here at once"
        );
        until("not live", || !is_live(&giver) && !is_live(&taker)).await;
        taker.stop();
        drop(taker);
        let taker = open(folders[1].path(), &options, &Clock::system());
        assert!(
            taker.intake().register().contains(&first),
            "from its own disk"
        );
        assert!(!is_live(&taker));
        server.restart();
        until("told", || taker.intake().register().contains(&second)).await;
        until("live", || is_live(&giver) && is_live(&taker)).await;
        assert_eq!(accepted(&taker, third).await.progress, Progress::Accepted);
        until("told", || giver.intake().register().contains(&third)).await;
        giver.stop();
        taker.stop();
    }
}
