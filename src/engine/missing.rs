//! What becomes of tokens whose key is not there, or whose tenant is not.
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
use crate::verify::{self, Answer, IssuerKeys, LacksKey, Records};
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

/// A tenant that a template would bring and that is not loaded, or one that is and whose keys lack one.
#[derive(Clone, Copy, Debug)]
pub struct MissingTenant<'a> {
    /// The template, by its configured name.
    pub template: &'a Arc<str>,
    /// The tenant's `iss`.
    pub iss: &'a Arc<str>,
    /// The token's `kid`, if it has one.
    pub kid: Option<&'a str>,
    /// When the token came, as time since boot.
    pub asked_at: Duration,
    /// Whether it is loaded, and lacks the key only.
    pub is_loaded: bool,
}

/// What is known of a missing key, or of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// There is no such key: a look at its set says so that began after the token came, or a little while ago.
    Absent,
    /// Its set is being looked at, or will be soon.
    Soon {
        /// How long the token should wait for that, as time since boot.
        until: Duration,
        /// When it will be over, as time since boot.
        retry_at: Duration,
        /// When a look will be over that may bring the key, though it proves nothing of a token that came after it had
        /// begun: there is no sooner time to ask again for one that finds no place to wait.
        news_at: Duration,
    },
    /// No look can be had while anybody would wait.
    Later {
        /// When one will be over, as time since boot.
        retry_at: Duration,
    },
}

/// What an answer lacks.
enum Lacking {
    /// A key of the issuer with this number, whose keys are those of the one with this name.
    Key { number: u32, of: Arc<str> },
    /// The tenant of this `iss`, or a key of it.
    Tenant {
        template: Arc<str>,
        iss: Arc<str>,
        is_loaded: bool,
    },
}

impl Lacking {
    fn of(records: &Records, answer: &Answer) -> Option<Self> {
        if let Some(number) = answer.missing_key_of {
            return Some(match records.lacks_key(number)? {
                LacksKey::Issuer(name) => Self::Key {
                    number,
                    of: Arc::clone(name),
                },
                LacksKey::Tenant(iss) => Self::Tenant {
                    template: Arc::clone(&records.issuer(number)?.name),
                    iss: Arc::clone(iss),
                    is_loaded: true,
                },
            });
        }
        let iss = answer.missing_tenant.as_deref()?;
        Some(Self::Tenant {
            template: Arc::clone(records.template_of(iss)?),
            iss: iss.into(),
            is_loaded: false,
        })
    }

    /// By whose name its tokens wait, and of which tenant.
    fn place(&self) -> (&Arc<str>, Option<&Arc<str>>) {
        match self {
            Self::Key { of, .. } => (of, None),
            Self::Tenant { template, iss, .. } => (template, Some(iss)),
        }
    }

    /// Asks whoever fetches keys; where nobody does, what is there is all there is.
    fn seek(&self, shared: &Shared, flight: &Flight, is_awaited: bool) -> Sought {
        let kid = verify::key_id(flight.first.question().token);
        let (kid, asked_at) = (kid.as_deref(), flight.last_arrived());
        let sought = match self {
            Self::Key { of, .. } => shared.missing_key.get().map(|hook| {
                hook(&MissingKey {
                    issuer: of,
                    kid,
                    asked_at,
                    is_awaited,
                })
            }),
            Self::Tenant {
                template,
                iss,
                is_loaded,
            } => shared.missing_tenant.get().map(|hook| {
                hook(&MissingTenant {
                    template,
                    iss,
                    kid,
                    asked_at,
                    is_loaded: *is_loaded,
                })
            }),
        };
        sought.unwrap_or(Sought::Absent)
    }

    /// Whether another snapshot knows no more of it. Others' keys change all the time.
    fn is_as_in(&self, current: &Arc<Records>, old: &Arc<Records>) -> bool {
        Arc::ptr_eq(current, old)
            || match self {
                Self::Key { number, .. } => has_same_keys(current, old, *number),
                Self::Tenant { iss, .. } => current.knows_tenant_as(old, iss),
            }
    }
}

/// Gives a flight its answer; where that lacks a key or a tenant, it may be parked, or its tickets handed to `again` to
/// be verified once more.
pub(super) fn settle(
    shared: &Shared,
    flight: Flight,
    answer: Answer,
    now: Now,
    again: &mut Vec<(Digest, Ticket)>,
) {
    let Some(lacking) = Lacking::of(flight.records(), &answer) else {
        return land(shared, flight, answer, now);
    };
    let is_awaited = matches!(answer.verdict, Verdict::Unavailable(_));
    let is_first = flight.first.looks_left() == LOOKS_MAX;
    if !is_awaited && is_first {
        let labels = IssuerLabels {
            issuer: shared.metrics.issuer_label(lacking.place().0),
        };
        shared.metrics.jwks_unknown_kid.get_or_create(&labels).inc();
    }
    // Before anybody is asked: a look that ends from here on is noticed when the tokens are parked.
    let wakes = shared.parking.wakes();
    let sought = lacking.seek(shared, &flight, is_awaited);
    // After it: the keys of the look that the answer rests on are among these.
    let current = shared.records.load_full();
    let is_stale = !lacking.is_as_in(&current, flight.records());
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
        Sought::Soon {
            until,
            retry_at,
            news_at,
        } if flight.first.looks_left() > 0 => {
            let times = Times {
                until,
                retry_at,
                news_at,
            };
            park(shared, flight, &lacking, times, wakes, again);
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

/// Whether the issuer with this number has the same keys in two snapshots.
fn has_same_keys(current: &Records, old: &Records, number: u32) -> bool {
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

/// Those of [`Sought::Soon`].
struct Times {
    until: Duration,
    retry_at: Duration,
    news_at: Duration,
}

fn park(
    shared: &Shared,
    flight: Flight,
    lacking: &Lacking,
    times: Times,
    wakes: u64,
    again: &mut Vec<(Digest, Ticket)>,
) {
    let digest = flight.digest;
    let (issuer, tenant) = lacking.place();
    let parked = flight.into_tickets().map(|ticket| Parked {
        digest,
        ticket,
        tenant: tenant.cloned(),
        until: times.until,
        retry_at: times.retry_at,
    });
    for (why, mut parked) in shared.parking.park(issuer, wakes, parked) {
        match why {
            NotParked::Woken if parked.ticket.looks_left() > 0 => {
                parked.ticket.renew(shared.records.load_full());
                again.push((digest, parked.ticket));
            }
            // Whoever has taken the places may have them still when the key is there.
            _ => {
                parked.retry_at = times.news_at;
                parked.run_out(clock::since_boot());
            }
        }
    }
}

/// Calls back those of an issuer's tokens, or of a template's tenant's, that wait and `concerned` says, to be verified
/// under the records of now.
pub(super) fn call_back(
    shared: &Shared,
    mailboxes: &[Sender<Mail>],
    whose: (&str, Option<&str>),
    concerned: impl Fn(&Ticket) -> bool,
) {
    let woken = shared.parking.wake(whose, concerned);
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
