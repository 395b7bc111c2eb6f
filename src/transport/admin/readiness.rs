//! Whether the daemon is ready to be asked, and why not.
#![forbid(unsafe_code)]

use crate::engine::Engine;
use crate::transport::Shutdown;
use crate::verify::{Issuer, IssuerKeys};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Knows whether the daemon is ready. Clones share what they know.
#[derive(Clone)]
pub struct Readiness(Arc<Known>);

struct Known {
    engine: Engine,
    serving: Shutdown,
    keys_required: bool,
    started: AtomicBool,
}

/// Most issuers that a report lists; it says how many there are in any case.
const ISSUERS_LISTED_MAX: usize = 32;

/// What `GET /readyz` answers.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    status: Status,
    /// Words of a closed set: `starting`, `draining`, `keys_awaited`.
    reasons: Vec<&'static str>,
    /// How many issuers have no keys yet.
    issuers_awaiting_keys: usize,
    /// The first of them, by configured name.
    issuers: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// All is well.
    Ready,
    /// Ready, but some tokens will be `unavailable`.
    Degraded,
    /// Ask elsewhere.
    NotReady,
}

impl Readiness {
    /// Not ready until [`Self::set_started`]; not any more once `serving` is shut down. Issuers whose keys
    /// have not arrived only degrade it, unless `keys_required`: the other issuers' tokens can be judged,
    /// and an identity provider that is down must not take its neighbours with it.
    #[must_use]
    pub fn new(engine: Engine, serving: Shutdown, keys_required: bool) -> Self {
        Self(Arc::new(Known {
            engine,
            serving,
            keys_required,
            started: AtomicBool::new(false),
        }))
    }

    /// Every listener is open.
    pub fn set_started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// What to answer now.
    pub(super) fn report(&self) -> Report {
        let Known {
            engine,
            serving,
            keys_required,
            started,
        } = &*self.0;
        let lifecycle = if serving.has_begun() {
            Some("draining")
        } else if !started.load(Ordering::Acquire) {
            Some("starting")
        } else {
            None
        };
        Report::new(lifecycle, engine.records().issuers(), *keys_required)
    }
}

impl Report {
    fn new<'i>(
        lifecycle: Option<&'static str>,
        issuers: impl Iterator<Item = &'i Issuer>,
        keys_required: bool,
    ) -> Self {
        let mut issuers_awaiting_keys = 0;
        let mut listed = Vec::new();
        for issuer in issuers.filter(|issuer| matches!(issuer.keys, IssuerKeys::Awaited)) {
            issuers_awaiting_keys += 1;
            if listed.len() < ISSUERS_LISTED_MAX {
                listed.push(issuer.name.as_ref().to_owned());
            }
        }
        let keys = (issuers_awaiting_keys > 0).then_some("keys_awaited");
        let status = match (lifecycle, keys) {
            (None, None) => Status::Ready,
            (None, Some(_)) if !keys_required => Status::Degraded,
            _ => Status::NotReady,
        };
        Self {
            status,
            reasons: lifecycle.into_iter().chain(keys).collect(),
            issuers_awaiting_keys,
            issuers: listed,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.status != Status::NotReady
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;
    use crate::verify::IssuerMatch;

    fn awaiting(name: &str) -> Issuer {
        Issuer {
            name: name.into(),
            tenant: "default".into(),
            iss: IssuerMatch::Exact(name.into()),
            policy: Policy::default(),
            keys: IssuerKeys::Awaited,
            token_bytes_max: 1024,
        }
    }

    fn json(report: &Report) -> String {
        serde_json::to_string(report).expect("strings and numbers are always JSON")
    }

    #[test]
    fn all_is_well() {
        let report = Report::new(None, [].iter(), true);
        assert!(report.is_ready());
        assert_eq!(
            json(&report),
            r#"{"status":"ready","reasons":[],"issuers_awaiting_keys":0,"issuers":[]}"#
        );
    }

    #[test]
    fn awaited_keys_degrade_and_only_by_configuration_stop() {
        let issuers = [awaiting("acme")];
        let report = Report::new(None, issuers.iter(), false);
        assert!(report.is_ready());
        assert_eq!(
            json(&report),
            r#"{"status":"degraded","reasons":["keys_awaited"],"issuers_awaiting_keys":1,"issuers":["acme"]}"#
        );
        assert!(!Report::new(None, issuers.iter(), true).is_ready());
    }

    #[test]
    fn draining_is_not_ready_whatever_else() {
        let report = Report::new(Some("draining"), [awaiting("a")].iter(), false);
        assert!(!report.is_ready());
        assert_eq!(report.reasons, ["draining", "keys_awaited"]);
    }

    #[test]
    fn the_list_has_an_end_and_the_count_has_not() {
        let many: Vec<_> = (0..1000)
            .map(|index| awaiting(&index.to_string()))
            .collect();
        let report = Report::new(None, many.iter(), false);
        assert_eq!(report.issuers.len(), ISSUERS_LISTED_MAX);
        assert_eq!(report.issuers_awaiting_keys, 1000);
    }
}
