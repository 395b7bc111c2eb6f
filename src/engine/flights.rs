//! Identical tokens in flight meet here, and are verified once.
//!
//! Identical means: the same digest, asked under the same records. A caller who asks after a key was
//! withdrawn is never answered by a question from before.
#![forbid(unsafe_code)]

use super::call::Ticket;
use crate::cache::Digest;
use crate::verify::Records;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// How many of a flight's tickets are looked at to see whether their peer has it queued already. More
/// would make a flood of one token quadratic; queueing it twice is harmless.
const PEERS_LOOKED_AT: usize = 4;

/// Names a flight while it waits. The address stays its own as long as the flight's tickets hold the
/// records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FlightKey {
    digest: Digest,
    records: usize,
}

/// The digest is keyed and uniform: a word of it is a hash that nobody can aim at.
impl Hash for FlightKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (words, _) = self.digest.as_chunks();
        state.write_u64(u64::from_le_bytes(words[0]));
    }
}

/// One token, and all who wait for it.
pub(super) struct Flight {
    pub(super) digest: Digest,
    /// Whose question is verified.
    pub(super) first: Ticket,
    /// Who else waits for the outcome.
    pub(super) others: Vec<Ticket>,
}

/// All flights that wait.
#[derive(Default)]
pub(super) struct Flights(HashMap<FlightKey, Flight>);

impl Flights {
    /// Boards a ticket. The key is returned where it must be queued for the ticket's peer: always, unless
    /// that peer has it queued already. Each peer queues it, so that nobody waits for another's turn.
    pub(super) fn board(&mut self, digest: Digest, ticket: Ticket) -> Option<FlightKey> {
        let key = FlightKey {
            digest,
            records: Arc::as_ptr(ticket.records()).addr(),
        };
        match self.0.entry(key) {
            Entry::Vacant(place) => {
                place.insert(Flight {
                    digest,
                    first: ticket,
                    others: Vec::new(),
                });
                Some(key)
            }
            Entry::Occupied(mut place) => {
                let flight = place.get_mut();
                let known = std::iter::once(&flight.first).chain(&flight.others);
                let queued = known
                    .take(PEERS_LOOKED_AT)
                    .any(|known| known.peer() == ticket.peer());
                flight.others.push(ticket);
                (!queued).then_some(key)
            }
        }
    }

    /// Takes a flight out to be verified, if anybody still waits for it. Those who no longer do leave it
    /// through `overdue`.
    pub(super) fn depart(
        &mut self,
        key: &FlightKey,
        now: Duration,
        mut overdue: impl FnMut(Ticket),
    ) -> Option<Flight> {
        // Where there is none, it left with another peer's turn.
        let mut flight = self.0.remove(key)?;
        flight
            .others
            .extract_if(.., |ticket| ticket.is_overdue(now))
            .for_each(&mut overdue);
        if !flight.first.is_overdue(now) {
            return Some(flight);
        }
        let next = flight.others.pop();
        let Some(next) = next else {
            overdue(flight.first);
            return None;
        };
        overdue(std::mem::replace(&mut flight.first, next));
        Some(flight)
    }
}

impl Flight {
    /// Number of tickets.
    pub(super) fn tickets(&self) -> usize {
        1 + self.others.len()
    }

    /// When the last of its tickets came, as time since boot.
    pub(super) fn last_arrived(&self) -> Duration {
        let all = std::iter::once(&self.first).chain(&self.others);
        all.map(Ticket::arrived).max().unwrap_or_default()
    }

    /// Its tickets, to go on each by itself.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        std::iter::once(self.first).chain(self.others)
    }

    /// The records all its tickets were asked under.
    pub(super) fn records(&self) -> &Arc<Records> {
        self.first.records()
    }
}
