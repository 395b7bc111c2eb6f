//! This host's own log: one thread that owns the journal and syncs once for all who wait.
//!
//! The order of things is what makes an acknowledgement worth having: first the disk, then the register, then the
//! answer. An order that the disk refused has touched nothing. Where daemons share logs, an order comes here while it is in
//! force and on its way already (`shared`); what it waits for is the answer.
#![forbid(unsafe_code)]

use super::cursors::{self, Cursors};
use super::desk::{Message, Submission};
use super::gathered::Gathered;
use super::intake::Intake;
use super::journal::{Compacted, Journal, JournalError};
use super::shared::{Kept, Reached, Shared};
use crate::clock;
use crate::revocation::{Guarantee, NotTaken, Position, Progress, Receipt, Record, Standing};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The journal's name in `state_dir`.
const JOURNAL: &str = "revocations";

/// How often dead records are forgotten.
const TEND_EVERY: Duration = Duration::from_secs(30);

/// Records that a journal may hold beyond twice the living before it is written anew.
const DEAD_RECORDS_SPARED: u64 = 65_536;

/// Pause after a compaction that failed.
const COMPACTION_PAUSE: Duration = Duration::from_secs(60);

/// The log, before it is given a thread.
pub(super) struct Embedded {
    journal: Journal,
    intake: Arc<Intake>,
    log: Arc<str>,
    /// Logs elsewhere, where this one is not the whole truth, and what they have that is to be kept here.
    shared: Option<(Arc<Shared>, Kept)>,
    /// How far they had been read, when last noted.
    reached: Option<Reached>,
    /// A compaction that another thread is writing, and whether it brings what was missed.
    compaction: Option<Receiver<io::Result<Compacted>>>,
    is_catching_up: bool,
    no_compaction_before: Duration,
    tended_at: Duration,
}

impl Embedded {
    pub(super) fn open(state_dir: &Path, intake: Arc<Intake>) -> Result<Self, JournalError> {
        let began = clock::since_boot();
        let (journal, records) = Journal::open(state_dir, JOURNAL)?;
        intake.restore(&records, journal.sequence());
        intake.register().set_standing(Standing::Local);
        if journal.repair().is_some() {
            intake.metrics().revocation_repairs.inc();
        }
        tracing::info!(
            records = records.len(),
            revision = journal.sequence(),
            took_ms = (clock::since_boot() - began).as_secs_f64() * 1e3,
            "revocations are known"
        );
        let mut embedded = Self {
            journal,
            intake,
            log: "local".into(),
            shared: None,
            reached: None,
            compaction: None,
            is_catching_up: false,
            no_compaction_before: Duration::ZERO,
            tended_at: began,
        };
        embedded.count();
        Ok(embedded)
    }

    /// How far logs elsewhere had been read into what this one holds.
    pub(super) fn remembered(&self) -> Cursors {
        cursors::load(&self.journal)
    }

    /// From now on orders go elsewhere too, and are answered when they are there.
    pub(super) fn share(&mut self, shared: Arc<Shared>, kept: Kept) {
        self.shared = Some((shared, kept));
    }

    /// Answers submissions until it is told to stop.
    pub(super) fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            let mut stop = false;
            match receiver.recv_timeout(TEND_EVERY) {
                Ok(first) => {
                    let mut gathered = Gathered::default();
                    stop = gathered.add(first) || gathered.gather(receiver);
                    self.take(gathered);
                }
                Err(RecvTimeoutError::Disconnected) => stop = true,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if stop {
                self.stop(receiver);
                return;
            }
            self.tend();
        }
    }

    /// Leaves the disk so that a start goes on where this ends.
    fn stop(&mut self, receiver: &Receiver<Message>) {
        if let Some((shared, _)) = &self.shared {
            let reached = Reached::of(&shared.view().borrow(), &self.intake);
            // What was learnt until then is on its way here. Orders that come now are not taken.
            let mut last = Gathered::default();
            while let Ok(message) = receiver.try_recv() {
                if !matches!(message, Message::Take(_)) {
                    last.add(message);
                }
            }
            last.reached = Some(reached);
            self.take(last);
        }
        self.await_compaction();
        self.catch_up();
    }

    /// Writes down what was missed, though a try has just failed: the disk may have room by now, and the logs may be gone
    /// at the next start.
    fn catch_up(&mut self) {
        let kept = self.shared.as_ref().map(|(_, kept)| kept);
        if !self.is_catching_up && !kept.is_some_and(Kept::take_missed) {
            return;
        }
        match self.journal.compact(self.intake.register().records()) {
            Ok(()) => {
                self.is_catching_up = false;
                self.save();
            }
            Err(error) => {
                tracing::error!(%error, "revocations from elsewhere are not on this disk, and are read again at the next start");
            }
        }
    }

    fn take(&mut self, gathered: Gathered) {
        if !gathered.waiting.is_empty() {
            self.commit(gathered.waiting);
        }
        self.keep(&gathered.kept);
        if gathered.reached.is_some() {
            self.reached = gathered.reached;
            self.save();
        }
    }

    /// Notes how far logs elsewhere have been read, if all of that is on this disk.
    fn save(&self) {
        let (Some((shared, kept)), Some(reached)) = (&self.shared, &self.reached) else {
            return;
        };
        if kept.has_missed() || self.is_catching_up || self.journal.is_broken() {
            return;
        }
        let mut cursors = reached.cursors.clone();
        // Orders that are on their way are not there yet.
        let is_settled = reached.orders == shared.orders();
        cursors
            .values_mut()
            .for_each(|cursor| cursor.is_settled &= is_settled);
        if let Err(error) = cursors::save(&self.journal, &cursors) {
            tracing::debug!(%error, "how far logs have been read was not written down");
        }
    }

    fn commit(&mut self, waiting: Vec<Submission>) {
        let began = clock::since_boot();
        let records: Vec<Record> = waiting
            .iter()
            .flat_map(|one| one.records.iter().copied())
            .collect();
        let answer = match self.write(&records) {
            Ok(()) => {
                let revision = self.journal.sequence();
                if self.shared.is_some() {
                    // They are in the register, and on their way, since they came.
                    self.intake.register().advance_applied(revision);
                } else {
                    self.intake.take(&records, revision);
                }
                let took = clock::since_boot() - began;
                let seconds = &self.intake.metrics().revocation_commit_seconds;
                seconds.observe(took.as_secs_f64());
                Ok(self.receipt(revision))
            }
            Err(error) => {
                tracing::error!(%error, records = records.len(), "orders were refused: the log cannot be written");
                Err(not_taken(&error))
            }
        };
        if let Some((shared, kept)) = &self.shared {
            shared.set_disk_failing(answer.is_err());
            if answer.is_err() {
                // They may be in the register, and no log will bring again what is there.
                kept.set_missed();
            }
        }
        for one in waiting {
            // Whoever gave the order may have gone. It stands all the same.
            let _ = one.reply.send(answer.clone());
        }
        self.count();
    }

    /// Writes down what the register has from elsewhere. What does not get here is read again after a restart.
    fn keep(&mut self, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        if let Err(error) = self.write(records) {
            tracing::warn!(%error, records = records.len(), "revocations from elsewhere are not on this disk");
            if let Some((_, kept)) = &self.shared {
                kept.set_missed();
            }
        }
        self.count();
    }

    /// What is on the disk of this host is also in its register, and no other daemon follows this log: accepted
    /// is applied.
    fn receipt(&self, revision: u64) -> Receipt {
        Receipt {
            progress: Progress::Applied,
            guarantee: Guarantee::Disk,
            positions: vec![Position {
                log: Arc::clone(&self.log),
                epoch: 0,
                sequence: revision,
            }],
            revision,
            unconfirmed: Vec::new(),
        }
    }

    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        if self.journal.is_broken() {
            self.await_compaction();
            // Whatever the old file's pages have come to, everything acknowledged is in the register.
            self.journal.compact(self.intake.register().records())?;
            tracing::info!("the log was written anew after a failed write");
        }
        self.journal.append(records)
    }

    /// What need not happen before an answer: forgetting what is dead, and writing the journal anew.
    fn tend(&mut self) {
        let now = clock::since_boot();
        if now - self.tended_at >= TEND_EVERY {
            self.tended_at = now;
            let pruned = self.intake.register().prune(self.intake.clock().now());
            if pruned > 0 {
                tracing::debug!(pruned, "revocations of expired tokens were forgotten");
            }
        }
        if let Some(written) = self
            .compaction
            .as_ref()
            .and_then(|compaction| compaction.try_recv().ok())
        {
            self.compaction = None;
            self.finish_compaction(written);
        }
        let living = self.intake.register().len() as u64;
        let has_many_dead = self.journal.len() > living * 2 + DEAD_RECORDS_SPARED;
        // What was missed is in the register, and a file that is written from it has it.
        let kept = self.shared.as_ref().map(|(_, kept)| kept);
        let is_wanted = has_many_dead || kept.is_some_and(Kept::has_missed);
        if is_wanted && self.compaction.is_none() && now >= self.no_compaction_before {
            let kept = self.shared.as_ref().map(|(_, kept)| kept);
            self.is_catching_up = kept.is_some_and(Kept::take_missed);
            match self.begin_compaction() {
                Ok(begun) => self.compaction = Some(begun),
                Err(error) => self.put_off(&error),
            }
        }
    }

    /// Writes the new file on another thread: with millions of records that takes longer than anybody should wait
    /// for an answer.
    fn begin_compaction(&self) -> io::Result<Receiver<io::Result<Compacted>>> {
        let compaction = self.journal.begin_compaction()?;
        let register = Arc::clone(self.intake.register());
        let (done, written) = bounded(1);
        std::thread::Builder::new()
            .name("jotd-compact".to_owned())
            .spawn(move || done.send(compaction.write(register.records())))?;
        Ok(written)
    }

    /// Lets a compaction come to its end and go: two must not write the same file, and its thread holds the lock.
    fn await_compaction(&mut self) {
        if let Some(compaction) = self.compaction.take() {
            let _ = compaction.recv();
        }
    }

    fn finish_compaction(&mut self, written: io::Result<Compacted>) {
        match written.and_then(|new| self.journal.adopt(new)) {
            Ok(()) => {
                self.intake.metrics().revocation_compactions.inc();
                self.is_catching_up = false;
                // They go with the file that there was.
                self.save();
                self.count();
            }
            Err(error) => self.put_off(&error),
        }
    }

    /// A log that could not be made smaller is still a good log.
    fn put_off(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the log could not be compacted; it is tried again in a minute");
        self.no_compaction_before = clock::since_boot() + COMPACTION_PAUSE;
        if let (true, Some((_, kept))) = (self.is_catching_up, &self.shared) {
            kept.set_missed();
        }
        self.is_catching_up = false;
    }

    fn count(&mut self) {
        let records = i64::try_from(self.journal.len()).unwrap_or(i64::MAX);
        self.intake.metrics().revocation_log_records.set(records);
    }
}

fn not_taken(error: &io::Error) -> NotTaken {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            NotTaken::DiskFull
        }
        _ => NotTaken::Unwritable,
    }
}
