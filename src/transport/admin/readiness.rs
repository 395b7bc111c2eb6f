//! Whether the daemon is ready to be asked, and why not.
#![forbid(unsafe_code)]

use crate::engine::Engine;
use crate::revocation::{LogReport, Register};
use crate::transport::Shutdown;
use crate::verdict::RevocationState as State;
use crate::verify::{Issuer, IssuerKeys, IssuerMatch};
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
    register: Option<Arc<Register>>,
    logs: Option<Logs>,
    started: AtomicBool,
}

/// Says how each log elsewhere is doing.
pub type Logs = Arc<dyn Fn() -> Vec<LogReport> + Send + Sync>;

/// Most issuers that a report lists; it says how many there are in any case.
const ISSUERS_LISTED_MAX: usize = 32;

/// What `GET /readyz` answers.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    status: Status,
    /// Words of a closed set: `starting`, `draining`, `keys_awaited`, `revocation_stale`.
    reasons: Vec<&'static str>,
    /// How many issuers have no keys yet.
    issuers_awaiting_keys: usize,
    /// The first of them, by configured name.
    issuers: Vec<String>,
    /// What is known of revocations, where tokens can be revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revocation: Option<Revocation>,
}

/// What is known of revocations.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Revocation {
    /// `live`: every order acknowledged until `age_ms` ago is known; `stale`: some may have been missed since.
    state: &'static str,
    age_ms: u32,
    entries: usize,
    revision: u64,
    /// Logs elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<LogReport>,
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
    /// and an identity provider that is down must not take its neighbours with it. Stale revocations degrade it
    /// too: what is answered then is each tenant's own choice, and a restart would not help.
    #[must_use]
    pub fn new(
        engine: Engine,
        serving: Shutdown,
        keys_required: bool,
        register: Option<Arc<Register>>,
        logs: Option<Logs>,
    ) -> Self {
        Self(Arc::new(Known {
            engine,
            serving,
            keys_required,
            register,
            logs,
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
            register,
            logs,
            started,
        } = &*self.0;
        let lifecycle = if serving.has_begun() {
            Some("draining")
        } else if !started.load(Ordering::Acquire) {
            Some("starting")
        } else {
            None
        };
        let revocation = register.as_ref().map(|register| {
            let freshness = register.freshness(engine.clock().now());
            Revocation {
                state: freshness.state.name(),
                age_ms: freshness.age_ms,
                entries: register.len(),
                revision: register.applied(),
                logs: logs.as_ref().map_or_else(Vec::new, |logs| logs()),
            }
        });
        Report::new(
            lifecycle,
            engine.records().issuers(),
            *keys_required,
            revocation,
        )
    }
}

impl Report {
    fn new<'i>(
        lifecycle: Option<&'static str>,
        issuers: impl Iterator<Item = &'i Issuer>,
        keys_required: bool,
        revocation: Option<Revocation>,
    ) -> Self {
        let mut issuers_awaiting_keys = 0;
        let mut listed = Vec::new();
        // A template's tenants have their keys when they come, unless all have the template's.
        let is_awaited = |issuer: &&Issuer| {
            matches!(issuer.keys, IssuerKeys::Awaited)
                && match &issuer.iss {
                    IssuerMatch::Template(template) => template.shares_keys(),
                    _ => true,
                }
        };
        for issuer in issuers.filter(is_awaited) {
            issuers_awaiting_keys += 1;
            if listed.len() < ISSUERS_LISTED_MAX {
                listed.push(issuer.name.as_ref().to_owned());
            }
        }
        let keys = (issuers_awaiting_keys > 0).then_some("keys_awaited");
        let is_stale = |revocation: &Revocation| revocation.state == State::Stale.name();
        let stale = revocation
            .as_ref()
            .is_some_and(is_stale)
            .then_some("revocation_stale");
        let status = match (lifecycle, keys, stale) {
            (None, None, None) => Status::Ready,
            (None, Some(_), _) if keys_required => Status::NotReady,
            (None, ..) => Status::Degraded,
            (Some(_), ..) => Status::NotReady,
        };
        Self {
            status,
            reasons: lifecycle.into_iter().chain(keys).chain(stale).collect(),
            issuers_awaiting_keys,
            issuers: listed,
            revocation,
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
        let report = Report::new(None, [].iter(), true, None);
        assert!(report.is_ready());
        assert_eq!(
            json(&report),
            r#"{"status":"ready","reasons":[],"issuers_awaiting_keys":0,"issuers":[]}"#
        );
    }

    #[test]
    fn awaited_keys_degrade_and_only_by_configuration_stop() {
        let issuers = [awaiting("acme")];
        let report = Report::new(None, issuers.iter(), false, None);
        assert!(report.is_ready());
        assert_eq!(
            json(&report),
            r#"{"status":"degraded","reasons":["keys_awaited"],"issuers_awaiting_keys":1,"issuers":["acme"]}"#
        );
        assert!(!Report::new(None, issuers.iter(), true, None).is_ready());
    }

    #[test]
    fn stale_revocations_degrade_and_show() {
        let report = |state: State| {
            let revocation = Revocation {
                state: state.name(),
                age_ms: 7,
                entries: 2,
                revision: 5,
                logs: Vec::new(),
            };
            Report::new(None, [].iter(), true, Some(revocation))
        };
        assert_eq!(
            json(&report(State::Live)),
            r#"{"status":"ready","reasons":[],"issuers_awaiting_keys":0,"issuers":[],"revocation":{"state":"live","age_ms":7,"entries":2,"revision":5}}"#
        );
        let stale = report(State::Stale);
        assert!(stale.is_ready());
        assert_eq!(
            (stale.status, &*stale.reasons),
            (Status::Degraded, &["revocation_stale"][..])
        );
    }

    #[test]
    fn draining_is_not_ready_whatever_else() {
        let report = Report::new(Some("draining"), [awaiting("a")].iter(), false, None);
        assert!(!report.is_ready());
        assert_eq!(report.reasons, ["draining", "keys_awaited"]);
    }

    #[test]
    fn the_list_has_an_end_and_the_count_has_not() {
        let many: Vec<_> = (0..1000)
            .map(|index| awaiting(&index.to_string()))
            .collect();
        let report = Report::new(None, many.iter(), false, None);
        assert_eq!(report.issuers.len(), ISSUERS_LISTED_MAX);
        assert_eq!(report.issuers_awaiting_keys, 1000);
    }
}
