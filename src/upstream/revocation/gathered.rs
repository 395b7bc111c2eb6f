//! What waits for the disk at one moment: it is written with one sync.
#![forbid(unsafe_code)]

use super::desk::{Message, Submission};
use super::shared::Reached;
use crate::revocation::Record;
use crossbeam_channel::Receiver;

/// Most records of one sync. More would only delay the first answer.
const RECORDS_MAX: usize = 4_096;

#[derive(Default)]
pub(super) struct Gathered {
    /// Orders that somebody waits for.
    pub(super) waiting: Vec<Submission>,
    /// Records that the register has from elsewhere.
    pub(super) kept: Vec<Record>,
    /// How far logs have been read; all of that is among the records, or on the disk already.
    pub(super) reached: Option<Reached>,
    records: usize,
}

impl Gathered {
    /// Takes what waits already, up to what one sync should carry. Returns whether there will be nothing more.
    pub(super) fn gather(&mut self, receiver: &Receiver<Message>) -> bool {
        while self.records < RECORDS_MAX {
            match receiver.try_recv() {
                Ok(message) => {
                    if self.add(message) {
                        return true;
                    }
                }
                Err(_) => return false,
            }
        }
        false
    }

    /// Takes one. Returns whether there will be nothing more.
    pub(super) fn add(&mut self, message: Message) -> bool {
        match message {
            Message::Take(submission) => {
                self.records += submission.records.len();
                self.waiting.push(submission);
            }
            Message::Keep(records) => {
                self.records += records.len();
                self.kept.extend(records);
            }
            Message::Reached(reached) => self.reached = Some(reached),
            Message::Stop => return true,
        }
        false
    }
}
