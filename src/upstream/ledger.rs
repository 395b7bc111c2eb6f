//! What has happened to each issuer's keys while we watched, so that an outage shows before it comes.
//!
//! It remembers when a key was first seen and until when the tokens of a withdrawn one live, and raises alarms: counted,
//! and written into the audit log. It knows names, times and thumbprints, and never a token.
#![forbid(unsafe_code)]

use crate::keys::{Changes, KeySet, KeySlot, Usage};
use crate::metrics::{AlarmLabels, IssuerLabels, Metrics};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where audit lines go. They are written at every level of the log.
const TARGET: &str = "jotd::audit";

/// Withdrawn keys, incidents and reasons remembered of one issuer.
const REMEMBERED_MAX: usize = 16;

/// A clock that is off by more makes good tokens look unborn or dead, whatever the usual leeway.
pub(super) const SKEW_SECONDS_MAX: i64 = 30;

/// The ledgers of all issuers.
pub(super) struct Ledgers {
    metrics: Arc<Metrics>,
    by_issuer: Mutex<HashMap<Arc<str>, Ledger>>,
}

/// One issuer's.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    /// When each key was first seen, in seconds since the epoch, by its thumbprint.
    first_seen: HashMap<Arc<str>, i64>,
    /// Keys that the issuer had once, the last first.
    pub(super) withdrawn: VecDeque<Withdrawn>,
    /// What happened that should not have, the last first.
    pub(super) incidents: VecDeque<Incident>,
    /// Why keys of the set cannot be used.
    pub(super) unusable: Vec<String>,
    /// How far the issuer's clock is ahead of ours, in seconds.
    pub(super) skew_seconds: Option<i64>,
    /// Why the files of its decryption keys cannot be used as they are now.
    pub(super) decryption_fault: Option<String>,
}

/// A key that an issuer had once.
#[derive(Clone)]
pub(super) struct Withdrawn {
    pub(super) kid: Option<Arc<str>>,
    pub(super) thumbprint: Arc<str>,
    /// When it was missed, in seconds since the epoch.
    pub(super) at: i64,
    pub(super) usage: Arc<Usage>,
}

/// Something that should not have happened.
#[derive(Clone)]
pub(super) struct Incident {
    pub(super) alarm: Alarm,
    /// When, in seconds since the epoch.
    pub(super) at: i64,
    pub(super) kid: Option<Arc<str>>,
}

/// What is alarming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alarm {
    /// A `kid` names other key material than before.
    KidReused,
    /// A key was withdrawn while tokens live that were verified with it.
    WithdrawnInUse,
    /// The set has keys that cannot be used.
    UnusableKeys,
    /// Very many tokens name keys that are not there.
    UnknownKidSurge,
    /// The issuer's clock and ours disagree.
    ClockSkew,
    /// The keys were not confirmed for so long that they are not trusted any more.
    TrustRanOut,
}

impl Alarm {
    /// Its name in metrics, logs and reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KidReused => "kid_reused",
            Self::WithdrawnInUse => "withdrawn_in_use",
            Self::UnusableKeys => "unusable_keys",
            Self::UnknownKidSurge => "unknown_kid_surge",
            Self::ClockSkew => "clock_skew",
            Self::TrustRanOut => "trust_ran_out",
        }
    }
}

impl Ledgers {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            by_issuer: Mutex::default(),
        }
    }

    /// A copy of an issuer's ledger.
    pub(super) fn of(&self, issuer: &str) -> Ledger {
        self.lock().get(issuer).cloned().unwrap_or_default()
    }

    /// Forgets all but these issuers.
    pub(super) fn retain(&self, is_known: impl Fn(&str) -> bool) {
        self.lock().retain(|issuer, _| is_known(issuer));
    }

    /// Enters a set that is there from the beginning.
    pub(super) fn begin(&self, issuer: &Arc<str>, keys: &KeySet, now: i64) {
        let mut all = self.lock();
        let ledger = all.entry(Arc::clone(issuer)).or_default();
        for print in keys
            .slots()
            .iter()
            .filter_map(|slot| slot.thumbprint.as_ref())
        {
            ledger.first_seen.entry(print.clone()).or_insert(now);
        }
    }

    /// Enters a set that takes the place of another. A key that comes back is the one it was.
    pub(super) fn enter(
        &self,
        issuer: &Arc<str>,
        old: Option<&KeySet>,
        new: &mut KeySet,
        now: i64,
    ) {
        let changes = old.map_or_else(Changes::default, |old| new.follow(old));
        let mut alarms = Vec::new();
        let mut all = self.lock();
        let ledger = all.entry(Arc::clone(issuer)).or_default();
        for slot in new.slots_mut() {
            ledger.restore(slot, &mut alarms);
            if let Some(print) = &slot.thumbprint {
                ledger.first_seen.entry(print.clone()).or_insert(now);
            }
        }
        for &index in &changes.reused {
            let kid = new.slots().get(index as usize);
            alarms.push((
                Alarm::KidReused,
                kid.and_then(|slot| slot.signer.kid.clone()),
            ));
        }
        let removed = changes.removed.iter();
        let removed = removed.filter_map(|&index| old?.slots().get(index as usize));
        for slot in removed {
            let Some(print) = &slot.thumbprint else {
                continue;
            };
            ledger.first_seen.remove(print);
            if slot.usage.expires_last().is_some_and(|exp| exp > now) {
                alarms.push((Alarm::WithdrawnInUse, slot.signer.kid.clone()));
            }
            remember(
                &mut ledger.withdrawn,
                Withdrawn {
                    kid: slot.signer.kid.clone(),
                    thumbprint: print.clone(),
                    at: now,
                    usage: Arc::clone(&slot.usage),
                },
            );
            tracing::info!(target: TARGET, issuer = &**issuer, kid = slot.signer.kid.as_deref(),
                thumbprint = &**print, "key withdrawn");
        }
        for &index in &changes.added {
            if let Some(slot) = new.slots().get(index as usize) {
                tracing::info!(target: TARGET, issuer = &**issuer, kid = slot.signer.kid.as_deref(),
                    thumbprint = slot.thumbprint.as_deref(), "key published");
            }
        }
        for (alarm, kid) in alarms {
            self.raise(ledger, issuer, alarm, kid, now);
        }
    }

    /// Notes that one tenant's keys have changed, in its template's ledger: what is alarming, and no more. Tens of
    /// thousands of tenants have no ledgers of their own.
    pub(super) fn note_tenant(
        &self,
        (template, iss): (&Arc<str>, &str),
        (old, new): (&KeySet, &KeySet),
        changes: &Changes,
        now: i64,
    ) {
        let reused = changes.reused.iter();
        let reused = reused.filter_map(|&index| new.slots().get(index as usize));
        let removed = changes.removed.iter();
        let removed = removed.filter_map(|&index| old.slots().get(index as usize));
        let in_use = removed.filter(|slot| slot.usage.expires_last().is_some_and(|exp| exp > now));
        let alarms = reused
            .map(|slot| (Alarm::KidReused, slot))
            .chain(in_use.map(|slot| (Alarm::WithdrawnInUse, slot)));
        let mut all = self.lock();
        let ledger = all.entry(Arc::clone(template)).or_default();
        for (alarm, slot) in alarms {
            // The tenant's name stands beside the key's: a kid alone is one of thousands.
            let kid = slot.signer.kid.as_deref().unwrap_or("-");
            let named = format!("{kid} of {iss}").into();
            self.raise(ledger, template, alarm, Some(named), now);
        }
    }

    /// Notes why keys of a set cannot be used: an alarm where that is news.
    pub(super) fn note_unusable(&self, issuer: &Arc<str>, mut why: Vec<String>, now: i64) {
        why.truncate(REMEMBERED_MAX);
        let mut all = self.lock();
        let ledger = all.entry(Arc::clone(issuer)).or_default();
        let is_news = !why.is_empty() && ledger.unusable != why;
        ledger.unusable = why;
        if is_news {
            self.raise(ledger, issuer, Alarm::UnusableKeys, None, now);
        }
    }

    /// Notes why the files of its decryption keys cannot be used, or that they can.
    pub(super) fn note_decryption(&self, issuer: &Arc<str>, why: Option<String>) {
        let mut all = self.lock();
        let ledger = all.entry(Arc::clone(issuer)).or_default();
        match &why {
            Some(why) => {
                tracing::warn!(target: TARGET, issuer = &**issuer, why, "decryption keys cannot be used");
            }
            None => {
                tracing::info!(target: TARGET, issuer = &**issuer, "decryption keys read anew");
            }
        }
        ledger.decryption_fault = why;
    }

    /// Notes what the issuer's clock says.
    pub(super) fn note_time(&self, issuer: &Arc<str>, server_time: i64, now: i64) {
        let skew = server_time.saturating_sub(now);
        let labels = IssuerLabels {
            issuer: self.metrics.issuer_label(issuer),
        };
        let gauge = &self.metrics.jwks_clock_skew_seconds;
        gauge.get_or_create(&labels).set(skew);
        let mut all = self.lock();
        let ledger = all.entry(Arc::clone(issuer)).or_default();
        let is_off = |skew: i64| skew.abs() > SKEW_SECONDS_MAX;
        let is_news = is_off(skew) && !ledger.skew_seconds.is_some_and(is_off);
        ledger.skew_seconds = Some(skew);
        if is_news {
            self.raise(ledger, issuer, Alarm::ClockSkew, None, now);
        }
    }

    /// Notes what happened to the issuer as a whole.
    pub(super) fn note(&self, issuer: &Arc<str>, alarm: Alarm, now: i64) {
        let mut all = self.lock();
        let ledger = all.entry(Arc::clone(issuer)).or_default();
        self.raise(ledger, issuer, alarm, None, now);
    }

    fn raise(
        &self,
        ledger: &mut Ledger,
        issuer: &Arc<str>,
        alarm: Alarm,
        kid: Option<Arc<str>>,
        now: i64,
    ) {
        let labels = AlarmLabels {
            issuer: self.metrics.issuer_label(issuer),
            alarm: alarm.name(),
        };
        self.metrics.jwks_alarms.get_or_create(&labels).inc();
        tracing::warn!(target: TARGET, issuer = &**issuer, kid = kid.as_deref(), alarm = alarm.name(),
            "alarm");
        remember(
            &mut ledger.incidents,
            Incident {
                alarm,
                at: now,
                kid,
            },
        );
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Ledger>> {
        self.by_issuer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// When this key was first seen, in seconds since the epoch.
    pub(super) fn first_seen(&self, slot: &KeySlot) -> Option<i64> {
        self.first_seen.get(slot.thumbprint.as_deref()?).copied()
    }

    /// Of a key that was withdrawn, everything is known still; and a `kid` that was is not to mean another key.
    fn restore(&mut self, slot: &mut KeySlot, alarms: &mut Vec<(Alarm, Option<Arc<str>>)>) {
        let Some(print) = &slot.thumbprint else {
            return;
        };
        let is_it = |withdrawn: &Withdrawn| withdrawn.thumbprint == *print;
        if let Some(at) = self.withdrawn.iter().position(is_it) {
            slot.usage = self
                .withdrawn
                .remove(at)
                .map_or_else(Arc::default, |known| known.usage);
            return;
        }
        let is_new = !self.first_seen.contains_key(print);
        let kid = slot.signer.kid.as_ref();
        let had_it = |withdrawn: &Withdrawn| withdrawn.kid.as_ref() == kid;
        if is_new && kid.is_some() && self.withdrawn.iter().any(had_it) {
            alarms.push((Alarm::KidReused, kid.cloned()));
        }
    }
}

fn remember<T>(list: &mut VecDeque<T>, item: T) {
    list.truncate(REMEMBERED_MAX - 1);
    list.push_front(item);
}

#[cfg(test)]
mod tests;
