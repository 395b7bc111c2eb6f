//! The door for orders: records in, a receipt out, once they are safe.
#![forbid(unsafe_code)]

use super::embedded::Embedded;
use super::intake::Intake;
use super::journal::JournalError;
use super::redis;
use super::report::Reports;
use super::shared::{Kept, Reached, Shared};
use crate::revocation::{LogReport, NotTaken, Receipt, Record, Wait};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Most submissions that may wait: at a few milliseconds a sync they are gone in one or two.
const SUBMISSIONS_MAX: usize = 16_384;

/// Takes orders, from any thread. Clones are the same desk.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    sender: Sender<Message>,
    intake: Arc<Intake>,
    /// Logs elsewhere, until this is stopped.
    shared: Mutex<Option<Arc<Shared>>>,
    logs: Option<Reports>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What whoever stands behind the desk is handed.
pub(super) enum Message {
    /// Records to be made safe.
    Take(Submission),
    /// Records that a log elsewhere had, to be known after a restart too.
    Keep(Vec<Record>),
    /// How far logs have been read into all that was handed in before this.
    Reached(Reached),
    /// Nothing more will come.
    Stop,
}

/// Records that somebody waits for.
pub struct Submission {
    /// The records of one order, or of several that are answered together.
    pub records: Vec<Record>,
    /// How long the giver waits.
    pub wait: Wait,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Receipt, NotTaken>>,
}

impl Desk {
    /// Opens this host's own log in a folder, takes all that it holds into the register, and starts to take
    /// orders.
    ///
    /// # Errors
    /// [`JournalError`]; nothing is left running then.
    pub fn open(state_dir: &Path, intake: Arc<Intake>) -> Result<Self, JournalError> {
        Self::open_shared(state_dir, intake, None)
    }

    /// The same, with logs that other daemons share: this host's own is then what has been read of those, and
    /// what still has to be brought there.
    ///
    /// # Errors
    /// [`JournalError`]; nothing is left running then.
    pub fn open_shared(
        state_dir: &Path,
        intake: Arc<Intake>,
        logs: Option<&redis::Options>,
    ) -> Result<Self, JournalError> {
        let mut embedded = Embedded::open(state_dir, Arc::clone(&intake))?;
        let (sender, receiver) = bounded(SUBMISSIONS_MAX);
        let (mut reports, mut door) = (None, None);
        if let Some(options) = logs {
            let kept = Kept::new(sender.clone());
            let remembered = embedded.remembered();
            let shared = Shared::start(options, Arc::clone(&intake), kept.clone(), &remembered);
            let shared = shared.map_err(|cause| JournalError::Io {
                path: state_dir.to_owned(),
                what: "logs elsewhere could not be followed from it",
                cause,
            })?;
            reports = Some(Reports::new(shared.view(), Arc::clone(intake.metrics())));
            let shared = Arc::new(shared);
            door = Some(Arc::clone(&shared));
            embedded.share(shared, kept);
        }
        let thread = spawn(embedded, receiver).map_err(|cause| JournalError::Io {
            path: state_dir.to_owned(),
            what: "no thread could be started for it",
            cause,
        })?;
        Ok(Self(Arc::new(Inner {
            sender,
            intake,
            shared: Mutex::new(door),
            logs: reports,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Hands records in, and returns when they are as safe as `wait` asks.
    ///
    /// # Errors
    /// [`NotTaken`]: the records have no effect, now or later.
    pub async fn submit(&self, records: Vec<Record>, wait: Wait) -> Result<Receipt, NotTaken> {
        let (reply, answer) = oneshot::channel();
        let submission = Submission {
            records,
            wait,
            reply,
        };
        let shared = self.shared().clone();
        match shared {
            Some(shared) => shared.deliver(submission, |submission| self.keep(submission))?,
            None => self.keep(submission)?,
        }
        answer.await.unwrap_or(Err(NotTaken::Stopping))
    }

    /// Hands records to this host's own log.
    fn keep(&self, submission: Submission) -> Result<(), NotTaken> {
        let sent = self.0.sender.try_send(Message::Take(submission));
        sent.map_err(|error| match error {
            TrySendError::Full(_) => NotTaken::Busy,
            TrySendError::Disconnected(_) => NotTaken::Stopping,
        })
    }

    fn shared(&self) -> MutexGuard<'_, Option<Arc<Shared>>> {
        // One pointer is never half written.
        self.0.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way into the register, and what comes by it.
    #[must_use]
    pub fn intake(&self) -> &Arc<Intake> {
        &self.0.intake
    }

    /// How each log elsewhere is doing.
    #[must_use]
    pub fn logs(&self) -> Vec<LogReport> {
        self.0.logs.as_ref().map_or_else(Vec::new, Reports::now)
    }

    /// Brings up to date what metrics say of the register and of logs elsewhere.
    pub fn report(&self) {
        self.0.intake.report();
        if let Some(logs) = &self.0.logs {
            logs.count();
        }
    }

    /// Answers what waits, and closes the log. Later orders are not taken.
    pub fn stop(&self) {
        let thread = self
            .0
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // Behind all that waits; a thread that has ended already needs no telling.
            let _ = self.0.sender.send(Message::Stop);
            // A panic was reported when it happened.
            let _ = thread.join();
        }
        self.shared().take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The thread ends when it has answered what waits; nobody is left to wait for that.
        let _ = self.sender.try_send(Message::Stop);
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Desk({} waiting)", self.0.sender.len())
    }
}

fn spawn(embedded: Embedded, receiver: Receiver<Message>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("jotd-revoke".to_owned())
        .spawn(move || embedded.run(&receiver))
}
