//! How things stand with issuers' keys, for the operator: what is there, how it is used, what is wrong, and what can be
//! done next. And a look on demand.
#![forbid(unsafe_code)]

use super::ledger::{Alarm, Ledger, SKEW_SECONDS_MAX, Withdrawn};
use super::looking::Looked;
use super::{Running, Source, Upstream};
use crate::clock::{self, Now};
use crate::keys::KeySlot;
use crate::verify::{Issuer, IssuerKeys};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Most issuers that are refreshed at once.
const REFRESHED_MAX: usize = 256;

/// A key that has been published for so long and signs nothing yet is worth a word.
const UNUSED_SECONDS: i64 = 3_600;

/// How long what happened is a finding.
const INCIDENT_SECONDS: i64 = 86_400;

/// What a look on demand came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The issuer.
    pub issuer: Arc<str>,
    /// As metrics call it; `local` for keys that are not fetched, and are read again; `tenants` for a template whose
    /// loaded tenants are looked at from now on.
    pub outcome: &'static str,
    /// Why it brought nothing.
    pub why: Option<String>,
}

/// Why no look was taken: there are more issuers than are looked at at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are more than {REFRESHED_MAX} issuers; name one")]
pub struct TooMany;

impl Upstream {
    /// Looks at the set of an issuer now, or of all of them; empty where there is none of that name. Waits for each
    /// look to end.
    ///
    /// # Errors
    /// [`TooMany`].
    pub async fn refresh(&self, only: Option<&str>) -> Result<Vec<Refreshed>, TooMany> {
        let wanted: Vec<_> = {
            let running = self.running();
            let named = |name: &Arc<str>| only.is_none_or(|only| *only == **name);
            let wanted = running.iter().filter(|(name, _)| named(name));
            let wanted = wanted.map(|(name, running)| {
                let patience = match &running.feed.source {
                    // One that is under way, one for us, and what the bucket makes us wait.
                    Source::Remote(remote) => remote.timeout * 2 + remote.refetch_min,
                    _ => Duration::ZERO,
                };
                let is_of_tenants = matches!(running.feed.source, Source::Tenants(_));
                if is_of_tenants {
                    self.tenants.refresh(name);
                }
                let local = if is_of_tenants { "tenants" } else { "local" };
                let (nudge, looking) = (running.nudge.clone(), running.looking.clone());
                (name.clone(), nudge, looking, (patience, local))
            });
            wanted.collect()
        };
        if wanted.len() > REFRESHED_MAX {
            return Err(TooMany);
        }
        let looks = wanted
            .into_iter()
            .map(|(issuer, nudge, looking, (patience, local))| {
                tokio::spawn(async move {
                    nudge.notify_one();
                    let Some(looking) = looking else {
                        return Refreshed {
                            issuer,
                            outcome: local,
                            why: None,
                        };
                    };
                    let looked = tokio::time::timeout(patience, looking.next()).await;
                    let looked = looked.unwrap_or_else(|_| Looked {
                        outcome: "unreachable",
                        why: Some("the look did not end in time".to_owned()),
                        ..Looked::default()
                    });
                    Refreshed {
                        issuer,
                        outcome: looked.outcome,
                        why: looked.why,
                    }
                })
            });
        let looks: Vec<_> = looks.collect();
        let mut refreshed = Vec::with_capacity(looks.len());
        for look in looks {
            // One that panicked has been reported where it happened.
            refreshed.extend(look.await.ok());
        }
        refreshed.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        Ok(refreshed)
    }

    /// How things stand, as a JSON object: issuers by name, those after `after`, at most so many.
    #[must_use]
    pub fn report(&self, only: Option<&str>, after: Option<&str>, issuers_max: usize) -> Value {
        let engine = self.publisher.engine();
        let (records, now) = (engine.records(), engine.clock().now());
        let mut issuers: Vec<&Issuer> = records
            .issuers()
            .filter(|issuer| only.is_none_or(|only| *issuer.name == *only))
            .filter(|issuer| after.is_none_or(|after| *issuer.name > *after))
            .collect();
        issuers.sort_by(|a, b| a.name.cmp(&b.name));
        let is_all = issuers.len() <= issuers_max;
        issuers.truncate(issuers_max);
        let next = issuers.last().filter(|_| !is_all).map(|last| &*last.name);
        let running = self.running();
        let described = issuers.iter().map(|issuer| {
            let standing = Standing {
                issuer,
                ledger: self.publisher.ledgers().of(&issuer.name),
                running: running.get(&issuer.name),
                now,
            };
            standing.describe()
        });
        json!({ "issuers": described.collect::<Vec<Value>>(), "next": next })
    }
}

/// One issuer, as it stands.
struct Standing<'a> {
    issuer: &'a Issuer,
    ledger: Ledger,
    running: Option<&'a Running>,
    now: Now,
}

impl Standing<'_> {
    fn describe(&self) -> Value {
        let looking = self.running.and_then(|running| running.looking.as_ref());
        let last = looking.map(|looking| looking.last());
        let last = last.filter(|last| !last.outcome.is_empty());
        let now = clock::since_boot();
        let trusted_until = looking.and_then(|looking| looking.trusted_until());
        let trusted_seconds = trusted_until.map(|until| until.saturating_sub(now).as_secs());
        let source = match self.running.map(|running| &running.feed.source) {
            Some(Source::Remote(remote)) => remote.endpoint.to_string(),
            Some(Source::Files(files)) => {
                let paths = files.paths().iter().map(|path| path.display().to_string());
                paths.collect::<Vec<String>>().join(", ")
            }
            Some(Source::Tenants(keys)) => keys.endpoint.address(),
            Some(Source::Inline(_)) => "configuration".to_owned(),
            Some(Source::Given(given)) => given.names().collect::<Vec<&str>>().join(", "),
            None => String::new(),
        };
        json!({
            "issuer": &*self.issuer.name,
            "tenant": &*self.issuer.tenant,
            "source": source,
            "state": match self.slots() {
                Some(_) => "known",
                None if self.is_of_tenants() => "by_tenant",
                None => "awaited",
            },
            "last_fetch": last.as_ref().map(|last| json!({
                "outcome": last.outcome,
                "why": last.why,
                "seconds_ago": now.saturating_sub(last.began).as_secs(),
            })),
            "trusted_seconds": trusted_seconds,
            "clock_skew_seconds": self.ledger.skew_seconds,
            "issued_ahead_seconds": self.issued_ahead_seconds(),
            "keys": self.issuer.keys.slots().iter().map(|slot| self.key(slot))
                .collect::<Vec<Value>>(),
            "withdrawn": self.ledger.withdrawn.iter().map(|key| self.withdrawn(key))
                .collect::<Vec<Value>>(),
            "unusable": self.ledger.unusable,
            "findings": self.findings(last.as_ref(), trusted_seconds),
        })
    }

    /// Whether it is a template whose tenants have keys of their own: there are none to report but theirs.
    fn is_of_tenants(&self) -> bool {
        let source = self.running.map(|running| &running.feed.source);
        matches!(source, Some(Source::Tenants(_)))
    }

    fn slots(&self) -> Option<&[KeySlot]> {
        match &self.issuer.keys {
            IssuerKeys::Known(keys) => Some(keys.slots()),
            IssuerKeys::Awaited => None,
        }
    }

    /// How far the `iat` of genuine tokens was ahead of this host's clock lately, in seconds.
    fn issued_ahead_seconds(&self) -> Option<u32> {
        let slots = self.issuer.keys.slots().iter();
        slots
            .filter_map(|slot| slot.usage.issued_ahead_seconds(self.now))
            .max()
    }

    fn key(&self, slot: &KeySlot) -> Value {
        let expires = slot.usage.expires_last();
        json!({
            "kid": slot.signer.kid.as_deref(),
            "alg": slot.signer.alg,
            "thumbprint": slot.thumbprint.as_deref(),
            "first_seen": self.ledger.first_seen(slot),
            "is_used": expires.is_some(),
            "expires_last": expires.filter(|exp| *exp != i64::MAX),
            "safe_to_retire_after": self.safe_after(expires),
        })
    }

    fn withdrawn(&self, key: &Withdrawn) -> Value {
        let expires = key.usage.expires_last();
        json!({
            "kid": key.kid.as_deref(),
            "thumbprint": &*key.thumbprint,
            "withdrawn_at": key.at,
            "expires_last": expires.filter(|exp| *exp != i64::MAX),
        })
    }

    /// When no token that was verified with the key here passes any more; `None` where there was none, or one that
    /// lives for ever.
    fn safe_after(&self, expires: Option<i64>) -> Option<i64> {
        let expires = expires.filter(|exp| *exp != i64::MAX)?;
        Some(expires.saturating_add(self.issuer.policy.leeway_seconds))
    }

    /// What an operator should know, worst first: `alarm`, `warning`, `note`.
    fn findings(&self, last: Option<&Looked>, trusted_seconds: Option<u64>) -> Vec<Value> {
        let now = self.now.latest;
        let mut found: Vec<(&str, String, Option<&str>)> = Vec::new();
        let why = last.and_then(|last| last.why.as_deref());
        match (self.slots(), why) {
            (None, _) if self.is_of_tenants() => {}
            (None, why) => {
                let why = why.unwrap_or("they have not been fetched yet");
                let what = format!("there are no keys, and every token is unavailable: {why}");
                found.push(("alarm", what, None));
            }
            (Some(_), Some(why)) => {
                let left = trusted_seconds.map_or_else(String::new, |seconds| {
                    format!("; the keys are trusted for {seconds} s more")
                });
                let what = format!("the last fetch brought nothing: {why}{left}");
                found.push(("warning", what, None));
            }
            (Some(_), None) => {}
        }
        for incident in &self.ledger.incidents {
            let ago = now.saturating_sub(incident.at);
            let (level, what) = match incident.alarm {
                _ if ago > INCIDENT_SECONDS => continue,
                Alarm::KidReused => ("alarm", "a kid names another key than before"),
                Alarm::UnknownKidSurge => (
                    "warning",
                    "very many tokens named keys that the issuer does not have",
                ),
                // No withdrawn keys of tenants are remembered but these.
                Alarm::WithdrawnInUse if self.is_of_tenants() => (
                    "alarm",
                    "a tenant's key was withdrawn while tokens lived that it had signed, and they are refused",
                ),
                // The others are told of by how things stand.
                _ => continue,
            };
            found.push((
                level,
                format!("{what} ({ago} s ago)"),
                incident.kid.as_deref(),
            ));
        }
        for key in &self.ledger.withdrawn {
            let until = self.safe_after(key.usage.expires_last());
            if until.is_some_and(|until| until > now) {
                let what = format!(
                    "withdrawn {} s ago, but tokens that it signed live for {} s more, and are refused",
                    now.saturating_sub(key.at),
                    until.unwrap_or(now) - now
                );
                found.push(("alarm", what, key.kid.as_deref()));
            }
        }
        if let Some(skew) = self.ledger.skew_seconds
            && skew.abs() > SKEW_SECONDS_MAX
        {
            let what = format!("the issuer's clock and this host's disagree by {skew} s");
            found.push(("warning", what, None));
        }
        if let Some(ahead) = self.issued_ahead_seconds()
            && i64::from(ahead) > SKEW_SECONDS_MAX
        {
            let what = format!(
                "genuine tokens of the last hour say that they were issued up to {ahead} s from now: whoever signs them \
                 has a clock that is ahead, or this host's is behind"
            );
            found.push(("warning", what, None));
        }
        if let Some(why) = &self.ledger.decryption_fault {
            let what = format!("the decryption keys stay as they were: {why}");
            found.push(("warning", what, None));
        }
        for why in &self.ledger.unusable {
            found.push(("note", format!("a key cannot be used: {why}"), None));
        }
        self.find_about_keys(&mut found);
        let json = |(level, what, kid)| json!({ "level": level, "what": what, "kid": kid });
        found.sort_by_key(|(level, ..)| {
            ["alarm", "warning", "note"].iter().position(|l| l == level)
        });
        found.into_iter().map(json).collect()
    }

    fn find_about_keys<'s>(&'s self, found: &mut Vec<(&'s str, String, Option<&'s str>)>) {
        let now = self.now.latest;
        let slots = self.issuer.keys.slots();
        let is_used = |slot: &KeySlot| slot.usage.expires_last().is_some();
        // While none is used there is nothing to compare with.
        if slots.len() < 2 || !slots.iter().any(is_used) {
            return;
        }
        for slot in slots {
            let kid = slot.signer.kid.as_deref();
            let expires = slot.usage.expires_last();
            let known_for = self
                .ledger
                .first_seen(slot)
                .map(|first| now.saturating_sub(first));
            match (expires, known_for) {
                (None, Some(known_for)) if known_for > UNUSED_SECONDS => {
                    let what = format!("published for {known_for} s, and no token uses it yet");
                    found.push(("note", what, kid));
                }
                (Some(_), _) => match self.safe_after(expires) {
                    Some(after) if after <= now => {
                        let what = "no token seen here lives that it signed: safe to retire";
                        found.push(("note", what.to_owned(), kid));
                    }
                    Some(after) => {
                        let what = format!("safe to retire in {} s (at {after})", after - now);
                        found.push(("note", what, kid));
                    }
                    None => found.push((
                        "note",
                        "never safe to retire: a token that it signed has no exp".to_owned(),
                        kid,
                    )),
                },
                _ => {}
            }
        }
    }
}
