//! Holds a verified token against the register of revocations: at its verification, and at every hit.

use super::{Records, header_memo};
use crate::cache::Entry;
use crate::clock::Now;
use crate::jose::{Claims, CompactJws, Header};
use crate::revocation::{Facts, IdKey, Probed, Recheck, Register, Staleness, Stamp, Tenancy};
use crate::simd::prefetch;
use crate::verdict::{Freshness, Refusal, Signer, Unavailable, Verdict};
use hashbrown::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What records need to know to hold tokens against revocations.
pub struct Revocation {
    /// The one register of the process.
    pub register: Arc<Register>,
    /// How ids are made; the same for all who share a log.
    pub ids: IdKey,
    /// What each tenant wants answered when revocations may have been missed.
    pub staleness: HashMap<Box<str>, Staleness>,
    /// What the other tenants want.
    pub staleness_default: Staleness,
}

/// How far the knowledge of revocations reaches, for callers who ask under a transport that says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Every order up to this revision is known.
    pub applied_revision: u64,
    /// How fresh that is.
    pub freshness: Freshness,
}

/// One issuer's part of it.
#[derive(Clone)]
pub(super) struct Revoking {
    register: Arc<Register>,
    tenancy: Arc<Tenancy>,
    staleness: Staleness,
}

/// How tenants' tokens are held against revocations, those of tenants included that templates will bring.
pub(super) struct Tenancies {
    register: Arc<Register>,
    ids: IdKey,
    staleness: HashMap<Box<str>, Staleness>,
    staleness_default: Staleness,
}

impl Tenancies {
    pub(super) fn of(&self, tenant: &str) -> Revoking {
        let staleness = self.staleness.get(tenant);
        Revoking {
            register: Arc::clone(&self.register),
            tenancy: Arc::new(self.register.tenancy(&self.ids, tenant)),
            staleness: *staleness.unwrap_or(&self.staleness_default),
        }
    }
}

/// What the register says of a token that is otherwise fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// No order revokes it.
    Clear(Freshness),
    /// The same; the cache is to keep a later stamp.
    Renewed(Freshness, [u64; 2]),
    /// An order revokes it.
    Revoked,
    /// None that is known does, and that is not enough for its tenant.
    Unknown,
}

impl Records {
    /// The same snapshot, its tokens held against revocations.
    #[must_use]
    pub fn revoking(mut self, revocation: &Revocation) -> Self {
        let tenancies = Tenancies {
            register: Arc::clone(&revocation.register),
            ids: revocation.ids.clone(),
            staleness: revocation.staleness.clone(),
            staleness_default: revocation.staleness_default,
        };
        let mut known: HashMap<Arc<str>, Revoking> = HashMap::new();
        self.change_issuers(|issuer| {
            let revoking = known
                .entry(Arc::clone(&issuer.tenant))
                .or_insert_with(|| tenancies.of(&issuer.tenant));
            Some(revoking.clone())
        });
        self.tenancies = Some(Arc::new(tenancies));
        self.register = Some(Arc::clone(&revocation.register));
        self
    }

    /// How far the knowledge of revocations reaches.
    #[must_use]
    pub fn outlook(&self, now: Now) -> Outlook {
        match &self.register {
            None => Outlook::default(),
            Some(register) => Outlook {
                applied_revision: register.applied(),
                freshness: register.freshness(now),
            },
        }
    }

    /// The register's generation: while it stays the same, so does every word on revocations. 0 without any.
    #[must_use]
    pub fn revocation_generation(&self) -> u64 {
        self.register
            .as_ref()
            .map_or(0, |register| register.generation())
    }

    /// Takes back a good verdict on a token, if by now an order revokes it or its tenant is left without fresh
    /// knowledge.
    pub fn reconsider(&self, token: &[u8], verdict: &mut Verdict, now: Now) {
        let Verdict::Valid(trusted) = verdict else {
            return;
        };
        let mut room = Again::default();
        let issuer = read_again(self, token, &mut room)
            .ok()
            .and_then(|(_, claims, _)| self.entry(self.find(claims.iss.as_deref())?));
        let word = match issuer {
            None => Word::Unknown,
            Some(issuer) => match &issuer.revoking {
                None => return,
                Some(revoking) => revoking.look_again(self, token, &trusted.signer, now),
            },
        };
        match word.freshness() {
            Ok(freshness) => trusted.revocation = freshness,
            Err(other) => *verdict = other,
        }
    }

    /// Whether every order up to this revision is known. 0 asks for none; without revocation no other is.
    #[must_use]
    pub fn knows(&self, revision: u64) -> bool {
        revision == 0
            || self
                .register
                .as_ref()
                .is_some_and(|register| register.applied() >= revision)
    }
}

impl Revoking {
    /// The word on a token just verified, and the stamp to remember it by.
    pub(super) fn judge(
        &self,
        verified: Verified<'_, '_>,
        signer: &Signer,
        now: Now,
    ) -> (Word, [u64; 2]) {
        match self.probe(verified, signer) {
            // Kept all the same: whoever goes on sending it is to cost look-ups, not signatures.
            Probed::Revoked => (Word::Revoked, Stamp::UNSURE.to_words()),
            Probed::Clear(stamp) => (self.fresh(now), stamp.to_words()),
        }
    }

    /// Brings near what [`Self::recheck`] reads of the tenant first.
    #[inline]
    pub(super) fn approach(&self) {
        prefetch(&*self.tenancy);
    }

    /// The word on a token that the cache knows. Only if something near it has changed is the token read again; `None`
    /// where it would have to be opened for that.
    #[inline]
    pub(super) fn recheck(
        &self,
        records: &Records,
        token: &[u8],
        entry: &Entry,
        signer: &Signer,
        now: Now,
    ) -> Option<Word> {
        Some(
            match self.register.recheck(&self.tenancy, entry.revocation) {
                Recheck::Clear => self.fresh(now),
                Recheck::ClearSince(stamp) => renewed(self.fresh(now), stamp),
                Recheck::Unsure if records.opens(token) => return None,
                Recheck::Unsure => self.look_again(records, token, signer, now),
            },
        )
    }

    #[cold]
    fn look_again(&self, records: &Records, token: &[u8], signer: &Signer, now: Now) -> Word {
        let mut room = Again::default();
        let probed = read_again(records, token, &mut room)
            .map(|(header, claims, signing_input)| {
                let verified = Verified {
                    header: &header,
                    claims: &claims,
                    signing_input,
                };
                self.probe(verified, signer)
            })
            // These very bytes were verified; should they not read now, nothing is known of them.
            .ok();
        match probed {
            Some(Probed::Revoked) => Word::Revoked,
            Some(Probed::Clear(stamp)) => renewed(self.fresh(now), stamp),
            None => Word::Unknown,
        }
    }

    fn probe(&self, verified: Verified<'_, '_>, signer: &Signer) -> Probed {
        let Verified {
            header,
            claims,
            signing_input,
        } = verified;
        let text = |name| claims.get(name).and_then(|value| value.as_str());
        let [session, client_id, azp] = ["sid", "client_id", "azp"].map(text);
        let facts = Facts {
            issuer: claims.iss.as_deref(),
            token_id: claims.jti.as_deref(),
            subject: claims.sub.as_deref(),
            session: session.as_deref(),
            clients: [client_id.as_deref(), azp.as_deref()],
            key_id: signer.kid.as_deref().or(header.kid.as_deref()),
            signing_input,
            issued_at: claims.iat.map(|iat| iat.floor),
        };
        self.register.probe(&self.tenancy, &facts)
    }

    #[inline]
    fn fresh(&self, now: Now) -> Word {
        let freshness = self.register.freshness(now);
        let freshness = self.register.freshness_of(&self.tenancy, freshness);
        if self.staleness.tolerates(freshness) {
            Word::Clear(freshness)
        } else {
            Word::Unknown
        }
    }
}

/// What of a verified token an order may name.
#[derive(Clone, Copy)]
pub(super) struct Verified<'a, 't> {
    pub(super) header: &'a Header,
    pub(super) claims: &'a Claims<'t>,
    pub(super) signing_input: &'t [u8],
}

impl Word {
    /// The verdict, where it is not a good one.
    #[inline]
    pub(super) fn freshness(self) -> Result<Freshness, Verdict> {
        match self {
            Self::Clear(freshness) | Self::Renewed(freshness, _) => Ok(freshness),
            Self::Revoked => Err(Refusal::Revoked.into()),
            Self::Unknown => Err(Unavailable::REVOCATION_STALE.into()),
        }
    }
}

fn renewed(word: Word, stamp: Stamp) -> Word {
    match word {
        Word::Clear(freshness) => Word::Renewed(freshness, stamp.to_words()),
        other => other,
    }
}

pub(super) type ReadAgain<'p, 't> = (std::rc::Rc<Header>, Claims<'p>, &'t [u8]);

/// Where a token is read again.
#[derive(Default)]
pub(super) struct Again {
    opened: Zeroizing<Vec<u8>>,
    payload: Vec<u8>,
}

/// Reads a token that has been verified, and opens it again where it is encrypted.
pub(super) fn read_again<'b>(
    records: &Records,
    token: &'b [u8],
    room: &'b mut Again,
) -> Result<ReadAgain<'b, 'b>, Refusal> {
    let Again { opened, payload } = room;
    let token = if records.opens(token) {
        *opened = records.open(token)?.token;
        &opened[..]
    } else {
        token
    };
    let jws = CompactJws::parse(token, token.len()).map_err(super::refusal)?;
    let header = header_memo::parse(jws.header_segment()).map_err(super::refusal)?;
    jws.decode_payload(payload).map_err(super::refusal)?;
    let claims = Claims::parse(payload).map_err(super::refusal)?;
    Ok((header, claims, jws.signing_input()))
}
