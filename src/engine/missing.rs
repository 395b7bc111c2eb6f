//! What becomes of tokens whose key is not there.
//!
//! Whoever fetches keys is asked whether that can change. Where the answer is that the issuer has no such key, that is
//! the verdict; where its set is about to be looked at, the tokens are parked and looked at once more after it; where
//! neither can be had, they are `unavailable/keys_refreshing`, and told when asking again will help. `unknown_kid` is
//! never said of a key that may have been published a moment ago.
#![forbid(unsafe_code)]

use super::ask::pick_worker;
use super::call::Ticket;
use super::flights::Flight;
use super::parking::{NotParked, Parked};
use super::shared::Shared;
use super::worker::{Mail, land};
use crate::cache::Digest;
use crate::clock::{self, Now};
use crate::metrics::IssuerLabels;
use crate::verdict::{Cause, Unavailable, Verdict};
use crate::verify::{self, Answer, IssuerKeys, Records};
use crossbeam_channel::Sender;
use std::sync::Arc;
use std::time::Duration;

/// How often a token is verified again at most: once because the keys changed while it was queued, and once after each
/// of two looks, of which the first may have begun before it came.
pub(super) const LOOKS_MAX: u8 = 3;

/// Asking again sooner than this is never worth it.
const RETRY_MS_MIN: u32 = 50;

/// A key that a token names and its issuer's set lacks.
#[derive(Clone, Copy, Debug)]
pub struct MissingKey<'a> {
    /// The issuer, by its configured name.
    pub issuer: &'a Arc<str>,
    /// The token's `kid`, if it has one.
    pub kid: Option<&'a str>,
    /// When the token came, as time since boot.
    pub asked_at: Duration,
    /// Whether the issuer's keys as a whole are awaited.
    pub is_awaited: bool,
}

/// What is known of a missing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// The issuer has no such key: a look at its set says so that began after the token came, or a little while ago.
    Absent,
    /// Its set is being looked at, or will be soon.
    Soon {
        /// How long the token should wait for that, as time since boot.
        until: Duration,
        /// When it will be over, as time since boot.
        retry_at: Duration,
    },
    /// No look can be had while anybody would wait.
    Later {
        /// When one will be over, as time since boot.
        retry_at: Duration,
    },
}

/// Answers a flight whose key is not there, parks it, or hands its tickets to `again` to be verified once more.
pub(super) fn settle(
    shared: &Shared,
    flight: Flight,
    answer: Answer,
    issuer: u32,
    now: Now,
    again: &mut Vec<(Digest, Ticket)>,
) {
    let number = issuer;
    let Some(issuer) = flight.records().issuer(number) else {
        return land(shared, flight, answer, now);
    };
    let issuer = Arc::clone(&issuer.name);
    let is_awaited = matches!(answer.verdict, Verdict::Unavailable(_));
    let is_first = flight.first.looks_left() == LOOKS_MAX;
    if !is_awaited && is_first {
        let labels = IssuerLabels {
            issuer: Arc::clone(&issuer),
        };
        shared.metrics.jwks_unknown_kid.get_or_create(&labels).inc();
    }
    // Before anybody is asked: a look that ends from here on is noticed when the tokens are parked.
    let wakes = shared.parking.wakes();
    let kid = verify::key_id(flight.first.question().token);
    let sought = match shared.missing_key.get() {
        // Nobody fetches keys: what is there is all there is.
        None => Sought::Absent,
        Some(hook) => hook(&MissingKey {
            issuer: &issuer,
            kid: kid.as_deref(),
            asked_at: flight.last_arrived(),
            is_awaited,
        }),
    };
    // After it: the keys of the look that the answer rests on are among these.
    let current = shared.records.load_full();
    let is_stale = !has_same_keys(&current, flight.records(), number);
    if is_stale && flight.first.looks_left() > 0 {
        let digest = flight.digest;
        return again.extend(flight.into_tickets().map(|mut ticket| {
            ticket.renew(Arc::clone(&current));
            (digest, ticket)
        }));
    }
    match sought {
        // What was looked for is not what was looked at.
        Sought::Absent if is_stale => {
            let answer = Answer {
                verdict: Unavailable::KEYS_REFRESHING.into(),
                ..answer
            };
            land(shared, flight, answer, now);
        }
        Sought::Absent => land(shared, flight, answer, now),
        Sought::Soon { until, retry_at } if flight.first.looks_left() > 0 => {
            park(shared, flight, &issuer, (until, retry_at), wakes, again);
        }
        Sought::Soon { retry_at, .. } | Sought::Later { retry_at } => {
            let answer = Answer {
                verdict: refreshing(retry_at, clock::since_boot()).into(),
                ..answer
            };
            land(shared, flight, answer, now);
        }
    }
}

/// Whether the issuer with this number has the same keys in two snapshots. Others' keys change all the time.
fn has_same_keys(current: &Arc<Records>, old: &Arc<Records>, number: u32) -> bool {
    if Arc::ptr_eq(current, old) {
        return true;
    }
    let (Some(new), Some(old)) = (current.issuer(number), old.issuer(number)) else {
        return false;
    };
    new.name == old.name
        && match (&new.keys, &old.keys) {
            (IssuerKeys::Known(new), IssuerKeys::Known(old)) => Arc::ptr_eq(new, old),
            (IssuerKeys::Awaited, IssuerKeys::Awaited) => true,
            _ => false,
        }
}

fn park(
    shared: &Shared,
    flight: Flight,
    issuer: &Arc<str>,
    (until, retry_at): (Duration, Duration),
    wakes: u64,
    again: &mut Vec<(Digest, Ticket)>,
) {
    let digest = flight.digest;
    let parked = flight.into_tickets().map(|ticket| Parked {
        digest,
        ticket,
        until,
        retry_at,
    });
    for (why, mut parked) in shared.parking.park(issuer, wakes, parked) {
        match why {
            NotParked::Woken if parked.ticket.looks_left() > 0 => {
                parked.ticket.renew(shared.records.load_full());
                again.push((digest, parked.ticket));
            }
            _ => parked.run_out(clock::since_boot()),
        }
    }
}

/// Calls back those of an issuer's tokens that wait and `concerned` says, to be verified under the records of now.
pub(super) fn call_back(
    shared: &Shared,
    mailboxes: &[Sender<Mail>],
    issuer: &str,
    concerned: impl Fn(&Ticket) -> bool,
) {
    let woken = shared.parking.wake(issuer, concerned);
    if woken.is_empty() {
        return;
    }
    let records = shared.records.load_full();
    let mut parcels: Vec<Vec<(Digest, Ticket)>> = Vec::new();
    parcels.resize_with(mailboxes.len(), Vec::new);
    for Parked {
        digest, mut ticket, ..
    } in woken
    {
        // One that finds no room says `overloaded`, as it would have when it came.
        if ticket.step_in() {
            ticket.renew(Arc::clone(&records));
            parcels[pick_worker(&digest, mailboxes.len())].push((digest, ticket));
        } else {
            shared.shed.queue.inc();
        }
    }
    for (mailbox, parcel) in mailboxes.iter().zip(parcels) {
        let tokens = parcel.len() as u64;
        if tokens > 0 && mailbox.try_send(Mail::Parcel(parcel)).is_err() {
            shared.shed.queue.inc_by(tokens);
        }
    }
}

/// `keys_refreshing`, with the time that is left until asking again helps.
pub(super) fn refreshing(retry_at: Duration, now: Duration) -> Unavailable {
    let left = retry_at.saturating_sub(now).as_millis();
    Unavailable {
        cause: Cause::KeysRefreshing,
        retry_after_ms: u32::try_from(left).unwrap_or(u32::MAX).max(RETRY_MS_MIN),
    }
}
