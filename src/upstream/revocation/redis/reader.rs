//! Follows one log: finds out where it stands, takes over all that it holds, reads what comes, and says how
//! far that can be relied upon. It never decides about a token, never forgets anything, and does no I/O.
//!
//! Three things are never inferred: that a position still means what it meant before a reconnect, that an
//! empty answer means there is nothing new, and that whoever answers is the one whose answers count. Each is
//! asked for: by the chain, by a look at the head, and by signs of life that only a rightful primary can write.
#![forbid(unsafe_code)]

use super::held::{Held, hold};
use super::lane::{Lane, Wire};
use super::notes::Notes;
use super::state::LogState;
use super::timing::{Mutant, Timing};
use super::wire::{Ask, Content, Cursor, Entry, Fault, Look, Millis, Position, Reply};
use crate::revocation::Record;

/// What the reader wants done, in this order.
#[derive(Debug)]
pub(crate) enum Act {
    Wire(Wire),
    /// Learn these: publish them before the cursor is called reached.
    Apply(Vec<Record>),
    /// All that the log held has been applied: write back what it lacks.
    Scanned(Held),
    /// All up to here has been applied, without a hole since the last time.
    Reached(Cursor),
    /// What was written before may be gone.
    Broken,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) gaps: u64,
    pub(crate) histories_lost: u64,
    pub(crate) scans: u64,
    pub(crate) unreadable: u64,
}

#[derive(Debug)]
pub(crate) struct Reader {
    timing: Timing,
    lane: Lane,
    phase: Phase,
    cursor: Option<Cursor>,
    /// No id of a lower epoch is ever taken again.
    epoch_max: u64,
    /// When the last read was sent that reached the end: all entries after the cursor are younger.
    at_end: Option<Millis>,
    fresh_at: Option<Millis>,
    settled_at: Millis,
    /// The log was seen to go on beyond the cursor.
    is_behind: bool,
    /// The log holds something that this version cannot read, so it cannot say what is revoked.
    is_unreadable: bool,
    has_answered: bool,
    counts: Counts,
    notes: Notes,
}

#[derive(Debug)]
enum Phase {
    Down,
    Looking,
    Opening,
    Scanning { head: Cursor, held: Held },
    Following,
}

impl Reader {
    /// `cursor` is how far the log had been read into what the register was filled with.
    pub(crate) fn new(timing: Timing, seed: u64, cursor: Option<Cursor>) -> Self {
        Self {
            timing,
            lane: Lane::new(seed),
            phase: Phase::Down,
            cursor,
            epoch_max: cursor.map_or(0, |cursor| cursor.at.epoch),
            at_end: None,
            fresh_at: None,
            settled_at: 0,
            is_behind: false,
            is_unreadable: false,
            has_answered: false,
            counts: Counts::default(),
            notes: Notes::default(),
        }
    }

    pub(crate) fn start(&mut self) -> Vec<Act> {
        vec![Act::Wire(Wire::Connect { after_ms: 0 })]
    }

    pub(crate) fn connected(&mut self, now: Millis) -> Vec<Act> {
        self.lane.opened();
        if self.timing.errs(Mutant::TrustsItsCursor)
            && let Some(cursor) = self.cursor
        {
            self.phase = Phase::Following;
            return vec![self.read(cursor, 0, now)];
        }
        vec![self.look(now)]
    }

    pub(crate) fn disconnected(&mut self) -> Vec<Act> {
        self.phase = Phase::Down;
        self.notes.forget();
        vec![Act::Wire(self.lane.drop_and_retry())]
    }

    pub(crate) fn answered(
        &mut self,
        ticket: u64,
        reply: Result<Reply, Fault>,
        now: Millis,
    ) -> Vec<Act> {
        let Some(sent_at) = self.lane.accept(ticket) else {
            return Vec::new();
        };
        match (reply, std::mem::replace(&mut self.phase, Phase::Down)) {
            (Ok(Reply::Look(look)), Phase::Looking) => self.looked(look, sent_at, now),
            (Ok(Reply::Look(_)), Phase::Opening) => vec![self.look(now)],
            (
                Ok(Reply::Page {
                    next,
                    records,
                    unreadable,
                }),
                Phase::Scanning { head, held },
            ) => self.scanned(next, records, unreadable, head, held, now),
            (
                Ok(Reply::Entries {
                    entries,
                    look,
                    is_noted,
                }),
                Phase::Following,
            ) => {
                self.notes.answered(is_noted);
                self.notes.awaited = look.awaited;
                self.followed(&entries, &look, sent_at, now)
            }
            _ => self.disconnected(),
        }
    }

    /// Where it stands at this moment.
    pub(crate) fn state(&self, now: Millis) -> LogState {
        let Some(fresh_at) = self.fresh_at else {
            return if self.has_answered {
                LogState::Syncing
            } else {
                LogState::Cold
            };
        };
        let age = now.saturating_sub(fresh_at);
        if age < self.timing.lease_ms {
            LogState::Live
        } else if age < self.timing.lease_ms + self.timing.stale_after_ms {
            LogState::Suspect
        } else {
            LogState::Stale
        }
    }

    /// All that the log had been told by then has been applied.
    pub(crate) fn fresh_at(&self) -> Option<Millis> {
        self.fresh_at
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// The epoch that it reads in, if it reads at all: what others may write under.
    pub(crate) fn epoch(&self) -> Option<u64> {
        match self.phase {
            Phase::Following => self.cursor.map(|cursor| cursor.at.epoch),
            _ => None,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    fn looked(&mut self, look: Look, sent_at: Millis, now: Millis) -> Vec<Act> {
        if !look.is_primary {
            return self.disconnected();
        }
        self.has_answered = true;
        if self.must_open(&look) {
            self.phase = Phase::Opening;
            let epoch = look.head.at.epoch.max(self.epoch_max) + 1;
            let server = look.server;
            return vec![Act::Wire(self.lane.ask(Ask::Open { epoch, server }, now))];
        }
        let is_new_to_us = look.head.at.epoch != self.epoch_max;
        self.epoch_max = self.epoch_max.max(look.head.at.epoch);
        self.lane.is_well();
        match self.cursor {
            Some(cursor) if cursor == look.head => {
                self.at_end = Some(sent_at);
                self.is_behind = false;
                self.phase = Phase::Following;
                vec![self.read(cursor, self.timing.block_ms, now)]
            }
            Some(cursor) if look.there == Some(cursor.chain) => {
                self.is_behind = true;
                self.phase = Phase::Following;
                vec![self.read(cursor, 0, now)]
            }
            lost_or_never => {
                let mut acts = Vec::new();
                if lost_or_never.is_some() {
                    self.counts.histories_lost += 1;
                    acts.push(Act::Broken);
                }
                if is_new_to_us {
                    self.settle(now);
                }
                acts.push(self.scan(look.head, now));
                acts
            }
        }
    }

    fn scan(&mut self, head: Cursor, now: Millis) -> Act {
        self.counts.scans += 1;
        self.cursor = None;
        self.at_end = None;
        self.is_unreadable = false;
        self.is_behind = false;
        let held = Held::new();
        self.phase = Phase::Scanning { head, held };
        Act::Wire(self.lane.ask(Ask::Page { cursor: 0 }, now))
    }

    /// Whether ids could come again, or could have: then a new history has to begin. That the entry at the
    /// cursor is gone is no such reason while the log goes on beyond it: it has been trimmed.
    fn must_open(&self, look: &Look) -> bool {
        if self.timing.errs(Mutant::KeepsEpoch) {
            return look.head.at.epoch == 0;
        }
        let head = look.head.at;
        let has_forked = self.cursor.is_some_and(|cursor| {
            cursor.at.epoch == head.epoch
                && (cursor.at > head
                    || (cursor.at == head && cursor != look.head)
                    || look.there.is_some_and(|there| there != cursor.chain))
        });
        !look.is_intact || head.epoch < self.epoch_max || has_forked
    }

    fn scanned(
        &mut self,
        next: u64,
        records: Vec<Record>,
        unreadable: usize,
        head: Cursor,
        mut held: Held,
        now: Millis,
    ) -> Vec<Act> {
        hold(&mut held, &records);
        if unreadable > 0 {
            self.is_unreadable = true;
            self.counts.unreadable += unreadable as u64;
        }
        let mut acts = vec![Act::Apply(records)];
        if next != 0 {
            self.phase = Phase::Scanning { head, held };
            acts.push(Act::Wire(self.lane.ask(Ask::Page { cursor: next }, now)));
            return acts;
        }
        self.cursor = Some(head);
        self.phase = Phase::Following;
        acts.push(Act::Scanned(held));
        acts.push(Act::Reached(head));
        acts.push(self.read(head, 0, now));
        acts
    }

    fn followed(
        &mut self,
        entries: &[Entry],
        look: &Look,
        sent_at: Millis,
        now: Millis,
    ) -> Vec<Act> {
        let Some(mut cursor) = self.cursor else {
            return self.disconnected();
        };
        // A replica lags, and a primary of another history knows nothing of this one's end.
        let is_rightful = self.timing.errs(Mutant::TrustsItsCursor)
            || (look.is_primary && look.is_intact && look.head.at.epoch >= self.epoch_max);
        let mut records = Vec::new();
        // There was more, and nothing comes: it has been taken away.
        let mut has_gap = entries.is_empty() && self.is_behind && is_rightful;
        let was_fresh_at = self.fresh_at;
        for entry in entries {
            let is_checked = !self.timing.errs(Mutant::IgnoresGaps)
                && !self.timing.errs(Mutant::TrustsItsCursor);
            if is_checked && !cursor.is_followed_by(entry) {
                has_gap = true;
                break;
            }
            match entry.content {
                Content::Order(record) => records.push(record),
                Content::Beat => self.renew(sent_at, now),
                Content::Opened(_) => self.settle(now),
                Content::Unreadable => {}
            }
            cursor = entry.cursor;
        }
        self.epoch_max = self.epoch_max.max(cursor.at.epoch);
        self.cursor = Some(cursor);
        let mut acts = vec![Act::Apply(records), Act::Reached(cursor)];
        if has_gap {
            // A history that does not go on where ours ends has lost what we read, and maybe more.
            if entries
                .iter()
                .any(|entry| matches!(entry.content, Content::Opened(_)))
            {
                self.counts.histories_lost += 1;
            } else {
                self.counts.gaps += 1;
            }
            // A scan brings what was missed; the position is worth nothing any more.
            self.cursor = None;
            acts.push(Act::Broken);
        }
        if has_gap || !is_rightful {
            self.fresh_at = was_fresh_at;
            acts.push(self.look(now));
            return acts;
        }
        let is_at_end = cursor == look.head || self.timing.errs(Mutant::TrustsItsCursor);
        if is_at_end {
            self.at_end = Some(sent_at);
        }
        self.is_behind = !is_at_end;
        let block_ms = if is_at_end { self.timing.block_ms } else { 0 };
        self.phase = Phase::Following;
        acts.push(self.read(cursor, block_ms, now));
        acts
    }

    /// A sign of life is younger than the last read that reached the end, so that is when all was known for
    /// certain. When this read was sent says less: the sign may have been waiting for it while we slept. And nobody
    /// relies on a log without a note there that says so, or others could not wait for it.
    fn renew(&mut self, sent_at: Millis, now: Millis) {
        let since = if self.timing.errs(Mutant::LeaseFromReceipt) {
            Some(now)
        } else if self.timing.errs(Mutant::LeaseFromSend) {
            Some(sent_at)
        } else {
            let at_end = self.at_end.filter(|at_end| *at_end <= sent_at);
            if self.timing.errs(Mutant::NeverSettles) {
                at_end
            } else {
                at_end.and_then(|at_end| self.notes.vouch(at_end, self.timing.beat_ms))
            }
        };
        if now >= self.settled_at && !self.is_unreadable {
            self.fresh_at = self.fresh_at.max(since);
        }
    }

    fn settle(&mut self, now: Millis) {
        if !self.timing.errs(Mutant::NeverSettles) {
            self.settled_at = now + self.timing.settle_ms;
        }
    }

    fn look(&mut self, now: Millis) -> Act {
        self.phase = Phase::Looking;
        let at = self.cursor.map(|cursor| cursor.at);
        Act::Wire(self.lane.ask(Ask::Look { at }, now))
    }

    fn read(&mut self, after: Cursor, block_ms: Millis, now: Millis) -> Act {
        let after: Position = after.at;
        let note = self.notes.next(after, self.timing.beat_ms, now);
        let ask = Ask::Read {
            after,
            block_ms,
            note,
        };
        Act::Wire(self.lane.ask(ask, now))
    }
}
