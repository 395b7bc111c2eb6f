//! What the register says about one token.

use super::coherence::BUCKETS;
use super::register::{Register, leaves_a_mark};
use super::stamp::Stamp;
use super::table::{Whose, words};
use super::tenant::Tenancy;
use super::{Freshness, Member, Members, State, record, sieve};
use crate::clock::Now;
use aws_lc_rs::digest::{SHA256, digest};
use std::sync::atomic::Ordering;

/// What a verified token has that an order may name.
#[derive(Clone, Copy, Default)]
pub struct Facts<'t> {
    /// `iss`.
    pub issuer: Option<&'t str>,
    /// `jti`.
    pub token_id: Option<&'t str>,
    /// `sub`.
    pub subject: Option<&'t str>,
    /// `sid`.
    pub session: Option<&'t str>,
    /// `client_id`, and `azp`: an order that names either is meant.
    pub clients: [Option<&'t str>; 2],
    /// `kid` of the key that verified it.
    pub key_id: Option<&'t str>,
    /// The JWS signing input.
    pub signing_input: &'t [u8],
    /// `iat`, rounded down.
    pub issued_at: Option<i64>,
}

/// The register's word about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// An order revokes it.
    Revoked,
    /// None did, as of this stamp.
    Clear(Stamp),
}

/// What has become of a token that was clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// Nothing that concerns it has changed.
    Clear,
    /// The same, as of this later stamp.
    ClearSince(Stamp),
    /// Something may have changed: probe it again.
    Unsure,
}

/// A stamp is renewed only when it is so many generations old. Renewing takes a lock and writes to memory that others
/// read; a look at the sieve costs a tenth of that, and the sieve knows of so many generations at least. But the older a
/// stamp, the likelier one of its buckets was changed by a stranger, which costs ten times as much: at this age, three
/// hits in two hundred.
const RENEWED_AFTER: u64 = sieve::MARKS as u64;

impl Register {
    /// Whether a token is revoked, and as of when that is so.
    #[must_use]
    pub fn probe(&self, tenancy: &Tenancy, facts: &Facts<'_>) -> Probed {
        let generation = self.coherence.generation();
        let tenant = &tenancy.tenant;
        let mut stamp = Stamp::unmarked(generation);
        let mut marks = 0;
        let sets = tenant.sets();
        if !sets.is_empty() {
            let digest = sets.iter().any(|set| set.contains(Member::Digest));
            let digest = digest.then(|| hex_digest(facts.signing_input));
            for members in sets.iter() {
                for client in facts.clients_for(members) {
                    let key = tenancy.ids.key(members, |member| {
                        facts.value(member, client, digest.as_ref())
                    });
                    let Some(key) = key else { continue };
                    let id = words(&key.id);
                    let times = self.times(id, Whose::new(tenant.number, members));
                    if let Some((before, _)) = times
                        && record::revokes(before, facts.issued_at)
                    {
                        return Probed::Revoked;
                    }
                    if leaves_a_mark(members) {
                        stamp = stamp.with_mark(marks, self.bucket(id));
                        marks += 1;
                    }
                }
            }
        }
        // Last: a watermark may just have taken the place of records that were not found above.
        match tenant.watermark() {
            Some((before, _)) if record::revokes(before, facts.issued_at) => Probed::Revoked,
            _ => Probed::Clear(stamp),
        }
    }

    /// Whether a token that was clear as of a stamp still is, without a look at the token.
    #[must_use]
    #[inline]
    pub fn recheck(&self, tenancy: &Tenancy, stamp: [u64; 2]) -> Recheck {
        let generation = self.coherence.generation();
        let stamp = Stamp::from_words(stamp);
        if stamp.generation == generation {
            return Recheck::Clear;
        }
        if tenancy.tenant.changed() > stamp.generation {
            return Recheck::Unsure;
        }
        let Some(mut buckets) = stamp.buckets() else {
            return Recheck::Unsure;
        };
        let changed = |bucket| {
            self.coherence
                .may_have_changed(bucket, stamp.generation, generation)
        };
        if buckets.any(changed) {
            return Recheck::Unsure;
        }
        if generation - stamp.generation < RENEWED_AFTER {
            return Recheck::Clear;
        }
        Recheck::ClearSince(stamp.at(generation))
    }

    /// How fresh what is known of a tenant is.
    #[must_use]
    #[inline]
    pub fn freshness(&self, now: Now) -> Freshness {
        let freshness = self.standing().freshness(now);
        if freshness.state == State::Live && self.is_overrun.load(Ordering::Relaxed) {
            return NEVER_COMPLETE;
        }
        freshness
    }

    /// [`Self::freshness`] of one tenant, for which records may have been turned away before it was served here.
    #[must_use]
    #[inline]
    pub fn freshness_of(&self, tenancy: &Tenancy, freshness: Freshness) -> Freshness {
        if freshness.state != State::Off && tenancy.tenant.is_incomplete.load(Ordering::Relaxed) {
            return NEVER_COMPLETE;
        }
        freshness
    }
}

const NEVER_COMPLETE: Freshness = Freshness {
    state: State::Stale,
    age_ms: u32::MAX,
};

impl<'t> Facts<'t> {
    /// The clients to look up for a set: one look for a set without client, or one for each.
    fn clients_for(&self, members: Members) -> impl Iterator<Item = Option<&'t str>> + use<'t> {
        let [first, second] = self.clients;
        let names_client = members.contains(Member::Client);
        let second = second.filter(|second| names_client && Some(*second) != first);
        let first = (first.is_some() || second.is_none()).then_some(first);
        first.into_iter().chain(second.map(Some))
    }

    fn value<'f>(
        &'f self,
        member: Member,
        client: Option<&'t str>,
        digest: Option<&'f [u8; 64]>,
    ) -> Option<&'f [u8]> {
        match member {
            Member::Issuer => self.issuer,
            Member::TokenId => self.token_id,
            Member::Subject => self.subject,
            Member::Session => self.session,
            Member::Client => client,
            Member::KeyId => self.key_id,
            Member::Digest => return digest.map(<[u8; 64]>::as_slice),
        }
        .map(str::as_bytes)
    }
}

/// SHA-256 in lower-case hexadecimal, as orders write it.
fn hex_digest(signing_input: &[u8]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = digest(&SHA256, signing_input);
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest.as_ref()) {
        pair.copy_from_slice(&[
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]);
    }
    text
}

const _: () = assert!(BUCKETS.is_power_of_two());
