//! Counts verdicts by issuer, algorithm, reason and transport without paying for the labels each time.
//!
//! A frame's verdicts are added up first, and a thread remembers the counters it met: a frame of 64 hits
//! of one issuer costs one addition to one shared counter.
#![forbid(unsafe_code)]

use crate::metrics::{Metrics, VerificationLabels};
use crate::verdict::{Reason, Refusal, Signer, Verdict};
use hashbrown::HashMap;
use prometheus_client::metrics::counter::Counter;
use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

/// Counters a thread remembers at most. Signers change with every key rotation, so the memo is emptied
/// when it is full rather than kept in order.
const MEMO_MAX: usize = 512;

thread_local! {
    static MEMO: RefCell<HashMap<Key, Known>> = RefCell::new(HashMap::new());
}

/// What tells counters apart. The address of the signer stays its own while [`Known`] holds it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    metrics: usize,
    transport: &'static str,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    Valid { signer: usize },
    Refused { reason: Reason, alg: &'static str },
}

struct Known {
    counter: Counter,
    _metrics: Arc<Metrics>,
    _signer: Option<Arc<Signer>>,
}

/// Adds the verdicts of one call to the counters.
pub(super) fn count(metrics: &Arc<Metrics>, transport: &'static str, verdicts: &[Verdict]) {
    let mut rest = verdicts;
    while let Some(first) = rest.first() {
        let outcome = Outcome::of(first);
        let run = rest
            .iter()
            .take_while(|v| Outcome::of(v) == outcome)
            .count();
        let key = Key {
            metrics: Arc::as_ptr(metrics).addr(),
            transport,
            outcome,
        };
        MEMO.with_borrow_mut(|memo| {
            if memo.len() >= MEMO_MAX && !memo.contains_key(&key) {
                memo.clear();
            }
            memo.entry(key)
                .or_insert_with(|| Known::new(metrics, transport, first))
                .counter
                .inc_by(run as u64);
        });
        rest = &rest[run..];
    }
}

impl Outcome {
    fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Valid(trusted) => Self::Valid {
                signer: Arc::as_ptr(&trusted.signer).addr(),
            },
            Verdict::Invalid(refusal) => Self::Refused {
                reason: refusal.reason(),
                alg: match refusal {
                    Refusal::AlgNotAllowed { alg } => alg,
                    _ => "",
                },
            },
            Verdict::Unavailable(_) => Self::Refused {
                reason: Reason::Unavailable,
                alg: "",
            },
        }
    }
}

impl Known {
    fn new(metrics: &Arc<Metrics>, transport: &'static str, verdict: &Verdict) -> Self {
        static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| "".into());
        let signer = match verdict {
            Verdict::Valid(trusted) => Some(Arc::clone(&trusted.signer)),
            Verdict::Invalid(_) | Verdict::Unavailable(_) => None,
        };
        let alg = match (Outcome::of(verdict), &signer) {
            (_, Some(signer)) => signer.alg,
            (Outcome::Refused { alg, .. }, None) => alg,
            (Outcome::Valid { .. }, None) => "",
        };
        let labels = VerificationLabels {
            issuer: Arc::clone(signer.as_ref().map_or(&NOBODY, |signer| &signer.issuer)),
            alg,
            result: match verdict {
                Verdict::Valid(_) => "valid",
                Verdict::Invalid(_) => "invalid",
                Verdict::Unavailable(_) => "unavailable",
            },
            reason: verdict.reason().map_or("", Reason::name),
            transport,
        };
        Self {
            counter: metrics.verifications.get_or_create_owned(&labels),
            _metrics: Arc::clone(metrics),
            _signer: signer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{ClaimsJson, Trusted, Unavailable};

    fn valid(signer: &Arc<Signer>) -> Verdict {
        Verdict::Valid(Trusted {
            signer: Arc::clone(signer),
            claims: ClaimsJson::default(),
            expires_at: None,
            expires_in: None,
            cached: false,
        })
    }

    #[test]
    fn each_verdict_is_counted_once_under_its_own_labels() {
        let metrics = Arc::new(Metrics::new());
        let signer = Arc::new(Signer {
            issuer: "acme".into(),
            tenant: "default".into(),
            alg: "ES256",
            kid: None,
        });
        let verdicts = [
            valid(&signer),
            valid(&signer),
            Refusal::BadSignature.into(),
            valid(&signer),
            Unavailable::OVERLOADED.into(),
            Refusal::AlgNotAllowed { alg: "HS256" }.into(),
        ];
        count(&metrics, "uds", &verdicts);
        count(&metrics, "uds", &verdicts[..1]);
        count(&metrics, "h1", &verdicts[..1]);
        let text = metrics.render();
        for line in [
            r#"issuer="acme",alg="ES256",result="valid",reason="",transport="uds"} 4"#,
            r#"issuer="acme",alg="ES256",result="valid",reason="",transport="h1"} 1"#,
            r#"issuer="",alg="",result="invalid",reason="bad_signature",transport="uds"} 1"#,
            r#"issuer="",alg="HS256",result="invalid",reason="alg_not_allowed",transport="uds"} 1"#,
            r#"issuer="",alg="",result="unavailable",reason="unavailable",transport="uds"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn two_daemons_in_one_process_count_apart() {
        let (one, other) = (Arc::new(Metrics::new()), Arc::new(Metrics::new()));
        count(&one, "uds", &[Refusal::BadSignature.into()]);
        count(&other, "uds", &[Refusal::BadSignature.into()]);
        assert!(one.render().contains(r#"transport="uds"} 1"#));
        assert!(other.render().contains(r#"transport="uds"} 1"#));
    }
}
