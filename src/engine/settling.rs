//! The last thing that happens to a call: its single-use tokens are used.
//!
//! Where uses are shared between daemons this takes a question over the network, which no thread of ours waits for:
//! the answer finds everything it needs here, and so does its absence.
#![forbid(unsafe_code)]

use super::Reply;
use crate::clock::{self, Now};
use crate::replay::Claim;
use crate::verdict::Verdict;
use crate::verify::{PolicyId, Records, Unsettled};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A call that has all its verdicts.
pub(super) struct Decided<'c> {
    pub(super) records: &'c Arc<Records>,
    pub(super) tokens: &'c [Bytes],
    pub(super) policy: PolicyId,
    pub(super) verdicts: Vec<Verdict>,
    /// The generation of revocations that the verdicts know.
    pub(super) generation: u64,
}

impl Decided<'_> {
    /// Uses what is single-use. The verdicts and the reply, which is then the caller's to give; or `None`, and the
    /// reply is given elsewhere.
    pub(super) fn settle(self, reply: Reply, now: Now) -> Option<(Vec<Verdict>, Reply)> {
        let Self {
            records,
            tokens,
            policy,
            mut verdicts,
            generation,
        } = self;
        if !records.may_spend(policy) {
            return Some((verdicts, reply));
        }
        let texts = tokens.iter().map(|token| &token[..]);
        let unsettled = records.spend(policy, texts, &mut verdicts, now);
        if unsettled.is_empty() {
            return Some((verdicts, reply));
        }
        let (uses, shared) = unsettled.ask();
        let settling = Settling(Some(Open {
            records: Arc::clone(records),
            tokens: tokens.to_vec(),
            verdicts,
            generation,
            unsettled,
            reply,
            now,
        }));
        // Where there is nobody to ask, dropping it says so.
        if let Some(shared) = shared {
            shared.claim(uses, Box::new(move |claims| settling.finish(&claims)));
        }
        None
    }
}

/// A call that waits for others' word on its uses. Dropping it answers what is known without.
struct Settling(Option<Open>);

struct Open {
    records: Arc<Records>,
    tokens: Vec<Bytes>,
    verdicts: Vec<Verdict>,
    generation: u64,
    unsettled: Unsettled,
    reply: Reply,
    now: Now,
}

impl Settling {
    fn finish(mut self, claims: &[Claim]) {
        if let Some(open) = self.0.take() {
            open.answer(claims);
        }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.answer(&[]);
        }
    }
}

impl Open {
    fn answer(self, claims: &[Claim]) {
        let Self {
            records,
            tokens,
            mut verdicts,
            generation,
            unsettled,
            reply,
            now,
        } = self;
        let now = Now {
            since_boot: clock::since_boot(),
            ..now
        };
        unsettled.settle(claims, &mut verdicts, now);
        // An order that came while others were asked is not to be answered around.
        if records.revocation_generation() != generation {
            for (token, verdict) in tokens.iter().zip(&mut verdicts) {
                records.reconsider(token, verdict, now);
            }
        }
        // A reply that panics has had its call.
        let _ = catch_unwind(AssertUnwindSafe(|| reply(verdicts)));
    }
}
