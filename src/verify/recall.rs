//! What a cached entry is worth now. A hit rests on the same checks as a fresh verification: those that
//! cannot change were made then, those that can are made again here.

use super::revoking::Word;
use super::{Question, Records, Want, refusal, wanted_claims};
use crate::cache::Entry;
use crate::clock::Now;
use crate::jose::{Claims, CompactJws};
use crate::policy::Window;
use crate::simd::prefetch;
use crate::verdict::{ClaimsJson, Freshness, Refusal, Trusted, Verdict};
use std::sync::Arc;

/// Issuers whose places and signers stay near by themselves: a few kilobytes of the CPU's own memory.
const MANY: usize = 64;

/// What a cached entry says about the token it was found under.
#[derive(Debug)]
pub enum Recalled {
    /// The entry still holds, and this is the verdict.
    Answer(Verdict),
    /// The same, and the entry is to keep this later word on revocations.
    Renewed(Verdict, [u64; 2]),
    /// The entry still holds, but what is asked stands in the token, and that is encrypted: opening it costs as much as
    /// verifying, and belongs where that is done.
    Closed,
    /// Keys or policy have changed, or a time check needs the token itself: verify it again.
    Stale,
}

impl Records {
    /// Notes that a token was verified: its key's tokens live at least as long as it does.
    pub fn note_use(&self, entry: &Entry) {
        let issuer = self.entry(entry.issuer);
        if let Some(slot) = issuer.and_then(|issuer| issuer.slot_of(entry.key)) {
            slot.usage.note(entry.expires_at);
        }
    }

    /// Whether hits of different tokens mostly have different tenants, so that [`Self::approach`] is worth its while.
    #[inline]
    #[must_use]
    pub fn are_many(&self) -> bool {
        self.entries.len() > MANY
    }

    /// Brings near what [`Self::recall`] will read of the entries' issuers. From place to signer it waits for memory once
    /// tenants outgrow the CPU's own; for a frame of tokens these waits overlap here.
    #[inline]
    pub fn approach<'e>(&self, entries: impl Iterator<Item = &'e Entry> + Clone) {
        for entry in entries.clone() {
            // Whether anybody is in it would have to be read.
            if let Some(place) = self.entries.get(entry.issuer as usize) {
                prefetch(place);
            }
        }
        for entry in entries {
            if let Some(place) = self.place(entry.issuer) {
                place.approach_signer(entry.key);
            }
        }
    }

    /// Turns a cache hit into a verdict, holding generation, `exp` and `nbf` against `now`, and the token against
    /// revocations. The claims are
    /// read again from the caller's own token, which has the very bytes that were verified: there is
    /// nothing to leak and nothing to confuse.
    #[must_use]
    pub fn recall(&self, question: Question<'_>, entry: &Entry, now: Now) -> Recalled {
        let Some(current) = self.place(entry.issuer) else {
            return Recalled::Stale;
        };
        if current.generation() != entry.generation {
            return Recalled::Stale;
        }
        // A key that is gone is nobody's.
        let Some(signer) = current.signer(entry.key) else {
            return Recalled::Stale;
        };
        let window = Window {
            from: entry.valid_from,
            until: entry.valid_until,
        };
        if !window.contains(now) {
            return recall_outside(entry, current.issuer.policy.leeway_seconds, now);
        }
        let reads_token = || {
            *question.want != Want::Verdict
                || current.checks_status()
                || self.spends_one_of(question.policy, &current.issuer.name)
        };
        if self.openings.is_some() && reads_token() && self.opens(question.token) {
            return Recalled::Closed;
        }
        // The entry itself is read where it has a say, and not to learn that it has none.
        let revoking = match current.checks_revocation() {
            true => current.revoking.as_ref(),
            false => None,
        };
        let word = match revoking {
            None => Some(Word::Clear(Freshness::default())),
            Some(revoking) => revoking.recheck(self, question.token, entry, signer, now),
        };
        let Some(word) = word else {
            return Recalled::Closed;
        };
        let revocation = match word.freshness() {
            Ok(revocation) => revocation,
            Err(verdict) => return Recalled::Answer(verdict),
        };
        if current.checks_status()
            && let Err(verdict) = self.check_status_again(&current.issuer, question.token, now)
        {
            return Recalled::Answer(verdict);
        }
        let claims = match claims_again(question) {
            Ok(claims) => claims,
            Err(refusal) => return Recalled::Answer(refusal.into()),
        };
        let expires_at = (entry.expires_at != i64::MAX).then_some(entry.expires_at);
        let verdict = Verdict::Valid(Trusted {
            signer: Arc::clone(signer),
            claims,
            expires_at,
            expires_in: expires_at.map(|exp| exp.saturating_sub(now.latest)),
            cached: true,
            revocation,
        });
        current.note_use(now);
        match word {
            Word::Renewed(_, stamp) => Recalled::Renewed(verdict, stamp),
            _ => Recalled::Answer(verdict),
        }
    }
}

/// A client that goes on sending an expired token gets its answer from the cache too; the other time checks
/// need the token's own claims.
fn recall_outside(entry: &Entry, leeway_seconds: i64, now: Now) -> Recalled {
    if now.latest >= entry.expires_at.saturating_add(leeway_seconds) {
        return Recalled::Answer(crate::policy::expired(entry.expires_at, now).into());
    }
    Recalled::Stale
}

fn claims_again(question: Question<'_>) -> Result<ClaimsJson, Refusal> {
    if *question.want == Want::Verdict {
        return Ok(ClaimsJson::default());
    }
    let jws = CompactJws::parse(question.token, question.token.len()).map_err(refusal)?;
    let mut payload = Vec::with_capacity(jws.payload_segment().len());
    jws.decode_payload(&mut payload).map_err(refusal)?;
    let claims = Claims::parse(&payload).map_err(refusal)?;
    Ok(wanted_claims(question.want, &claims))
}
