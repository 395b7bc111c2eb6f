//! Counts verdicts a run at a time: neighbours in a frame mostly share issuer and outcome, and looking a
//! counter up by its labels costs more than a cache hit.
#![forbid(unsafe_code)]

use crate::metrics::{Metrics, VerificationLabels};
use crate::verdict::{Reason, Signer, Verdict};
use prometheus_client::metrics::counter::Counter;
use std::sync::Arc;

/// Signers whose counters are kept at hand.
const SIGNERS_KEPT: usize = 8;

/// The counters that one connection has used.
pub(super) struct Tally {
    metrics: Arc<Metrics>,
    transport: &'static str,
    /// Keeping the signer keeps its address from being used by another.
    valid: Vec<(Arc<Signer>, (Counter, Counter))>,
    refused: [Option<Counter>; Reason::ALL.len()],
    next_kept: usize,
}

impl Tally {
    /// Counters of `transport`, as [`VerificationLabels`] names it.
    pub(super) fn new(metrics: Arc<Metrics>, transport: &'static str) -> Self {
        Self {
            metrics,
            transport,
            valid: Vec::new(),
            refused: Default::default(),
            next_kept: 0,
        }
    }

    pub(super) fn count(&mut self, verdicts: &[Verdict]) {
        for run in verdicts.chunk_by(same_counter) {
            let (Some(first), length) = (run.first(), run.len() as u64) else {
                continue;
            };
            match first {
                Verdict::Valid(trusted) => {
                    let (of_issuer, of_tenant) = self.counters_of(&trusted.signer);
                    of_issuer.inc_by(length);
                    of_tenant.inc_by(length);
                }
                Verdict::Invalid(refusal) => {
                    self.counter_of_reason(refusal.reason()).inc_by(length);
                }
                Verdict::Unavailable(_) => {
                    self.counter_of_reason(Reason::Unavailable).inc_by(length);
                }
            }
        }
    }

    fn counters_of(&mut self, signer: &Arc<Signer>) -> &(Counter, Counter) {
        let kept = self.valid.iter();
        let at = kept
            .take_while(|(kept, _)| !Arc::ptr_eq(kept, signer))
            .count();
        if at < self.valid.len() {
            return &self.valid[at].1;
        }
        let labels = VerificationLabels {
            issuer: self.metrics.issuer_label(&signer.issuer),
            alg: signer.alg,
            result: "valid",
            reason: "",
            transport: self.transport,
        };
        let counter = self.metrics.verifications.get_or_create(&labels).clone();
        let of_tenant = self.metrics.of_tenant(&signer.tenant);
        let entry = (Arc::clone(signer), (counter, of_tenant));
        let slot = self.next_kept % SIGNERS_KEPT;
        self.next_kept += 1;
        if slot < self.valid.len() {
            self.valid[slot] = entry;
        } else {
            self.valid.push(entry);
        }
        &self.valid[slot].1
    }

    fn counter_of_reason(&mut self, reason: Reason) -> &Counter {
        let (metrics, transport) = (&self.metrics, self.transport);
        let at = usize::from(reason.code() - 1);
        self.refused[at].get_or_insert_with(|| {
            let result = match reason {
                Reason::Unavailable => "unavailable",
                _ => "invalid",
            };
            let labels = VerificationLabels {
                issuer: "".into(),
                alg: "",
                result,
                reason: reason.name(),
                transport,
            };
            metrics.verifications.get_or_create(&labels).clone()
        })
    }
}

fn same_counter(one: &Verdict, next: &Verdict) -> bool {
    match (one, next) {
        (Verdict::Valid(one), Verdict::Valid(next)) => Arc::ptr_eq(&one.signer, &next.signer),
        (Verdict::Valid(_), _) | (_, Verdict::Valid(_)) => false,
        _ => one.reason() == next.reason(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{ClaimsJson, Refusal, Trusted, Unavailable};

    fn valid(signer: &Arc<Signer>) -> Verdict {
        Verdict::Valid(Trusted {
            signer: Arc::clone(signer),
            claims: ClaimsJson::default(),
            expires_at: None,
            expires_in: None,
            cached: true,
            revocation: crate::verdict::Freshness::default(),
        })
    }

    #[test]
    fn every_verdict_is_counted_once_under_its_own_labels() {
        let metrics = Arc::new(Metrics::new());
        let mut tally = Tally::new(Arc::clone(&metrics), "uds");
        // One more than are kept, so that one is looked up again after it was put out.
        let signers: Vec<_> = (0..=SIGNERS_KEPT)
            .map(|nth| {
                Arc::new(Signer {
                    issuer: format!("issuer{nth}").into(),
                    tenant: "default".into(),
                    alg: "ES256",
                    kid: None,
                })
            })
            .collect();
        for _ in 0..3 {
            for signer in &signers {
                tally.count(&[valid(signer), valid(signer)]);
            }
        }
        tally.count(&[
            Refusal::BadSignature.into(),
            Refusal::BadSignature.into(),
            Unavailable::DEADLINE.into(),
            Refusal::BadSignature.into(),
        ]);
        let text = metrics.render();
        for nth in 0..=SIGNERS_KEPT {
            let line = format!(
                "jotd_verifications_total{{issuer=\"issuer{nth}\",alg=\"ES256\",result=\"valid\",reason=\"\",transport=\"uds\"}} 6"
            );
            assert!(text.contains(&line), "{nth}: {text}");
        }
        assert!(
            text.contains("reason=\"bad_signature\",transport=\"uds\"} 3"),
            "{text}"
        );
        assert!(
            text.contains("result=\"unavailable\",reason=\"unavailable\",transport=\"uds\"} 1")
        );
    }
}
