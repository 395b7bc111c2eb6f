//! Spends single-use tokens: of any number of good verdicts on one such token, one stays good.
//!
//! This comes last, after signature, policy and revocation, and for hits of the cache as well: the cache remembers
//! that a token is genuine, never that it is unused.

use super::revoking::{Again, read_again};
use super::{PolicyId, Records};
use crate::clock::Now;
use crate::limits::LEEWAY_SECONDS_MAX;
use crate::replay::{Claim, SharedUse, SharedUses, TenantUses, UseId, UsedTokens};
use crate::revocation::{IdKey, Member, Members, TenantIds};
use crate::verdict::{Refusal, Signer, Trusted, Unavailable, Verdict};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::sync::Arc;

/// What records need to know to let single-use tokens pass once.
pub struct Replay {
    /// The uses of the process.
    pub used: Arc<UsedTokens>,
    /// How uses are named; the same for all who share them.
    pub ids: IdKey,
    /// Where uses are shared with other daemons; `None` where each counts for itself.
    pub shared: Option<Arc<dyn SharedUses>>,
}

/// A snapshot's part of it.
pub(super) struct Spending {
    purses: HashMap<Arc<str>, Purse>,
    /// For tenants that templates bring, who have no purse beforehand.
    used: Arc<UsedTokens>,
    ids: IdKey,
    shared: Option<Arc<dyn SharedUses>>,
}

/// What the uses of one issuer's tokens are held against.
#[derive(Clone)]
struct Purse {
    tenant: Arc<str>,
    ids: TenantIds,
    uses: Arc<TenantUses>,
    leeway_seconds: i64,
}

/// Uses that others have to grant.
#[derive(Default)]
pub struct Unsettled {
    pending: Vec<Pending>,
    shared: Option<Arc<dyn SharedUses>>,
}

struct Pending {
    /// Which of the verdicts.
    index: usize,
    asked: SharedUse,
    spent: Spent,
}

/// A token about to be used.
struct Spent {
    id: UseId,
    uses: Arc<TenantUses>,
    /// First second at which it can pass no more.
    until: i64,
}

impl Records {
    /// The same snapshot, with single-use tokens held against uses. Without it they are `unavailable`.
    #[must_use]
    pub fn spending(mut self, replay: &Replay) -> Self {
        let purse = |issuer: &super::Issuer| {
            let purse = Purse {
                tenant: Arc::clone(&issuer.tenant),
                ids: replay.ids.tenant(&issuer.tenant),
                uses: replay.used.tenant(&issuer.tenant),
                leeway_seconds: issuer.policy.leeway_seconds,
            };
            (Arc::clone(&issuer.name), purse)
        };
        self.spending = Some(Arc::new(Spending {
            purses: self.issuers().map(purse).collect(),
            used: Arc::clone(&replay.used),
            ids: replay.ids.clone(),
            shared: replay.shared.clone(),
        }));
        self
    }

    /// Whether any good verdict under this policy may have to be spent.
    #[must_use]
    #[inline]
    pub fn may_spend(&self, policy: PolicyId) -> bool {
        !self.single_use.is_empty() || (policy != PolicyId::DEFAULT && self.narrows_to_one(policy))
    }

    /// Uses the single-use tokens among these: each verdict that was good stays good for one use only. Those that
    /// other daemons have a say in stay as they are until [`Unsettled`] has been settled.
    #[must_use]
    pub fn spend<'t>(
        &self,
        policy: PolicyId,
        tokens: impl Iterator<Item = &'t [u8]>,
        verdicts: &mut [Verdict],
        now: Now,
    ) -> Unsettled {
        let mut unsettled = Unsettled::default();
        for (index, (token, verdict)) in tokens.zip(verdicts).enumerate() {
            let Verdict::Valid(trusted) = verdict else {
                continue;
            };
            if !self.spends_one_of(policy, &trusted.signer.issuer) {
                continue;
            }
            match self.spend_one(token, trusted, now) {
                Ok((spent, None)) => {
                    let claim = spent.uses.claim(spent.id, spent.until, now);
                    apply(claim, verdict);
                }
                Ok((spent, Some(asked))) => unsettled.pending.push(Pending {
                    index,
                    asked,
                    spent,
                }),
                Err(other) => *verdict = other,
            }
        }
        if !unsettled.is_empty() {
            let spending = self.spending.as_ref();
            unsettled.shared = spending.and_then(|spending| spending.shared.clone());
        }
        unsettled
    }

    fn spend_one(
        &self,
        token: &[u8],
        trusted: &Trusted,
        now: Now,
    ) -> Result<(Spent, Option<SharedUse>), Verdict> {
        let unknown = || Verdict::from(Unavailable::REPLAY_UNKNOWN);
        let spending = self.spending.as_ref().ok_or_else(unknown)?;
        let purse = spending.purse(&trusted.signer).ok_or_else(unknown)?;
        let mut room = Again::default();
        let (_, claims, _) = read_again(self, token, &mut room)?;
        let missing = |name: &'static str| Verdict::from(Refusal::MissingClaim(name.into()));
        let jti = claims.jti.as_deref().ok_or_else(|| missing("jti"))?;
        let exp = claims.exp.ok_or_else(|| missing("exp"))?;
        // RFC 7519 §4.1.7: unique among all tokens of an issuer. One that names itself in no way has a name here.
        let iss = claims.iss.as_deref().unwrap_or(&trusted.signer.issuer);
        let members = Members::NONE.with(Member::Issuer).with(Member::TokenId);
        let value = |member| match member {
            Member::Issuer => Some(iss.as_bytes()),
            _ => Some(jti.as_bytes()),
        };
        let key = purse.ids.key(members, value).ok_or_else(unknown)?;
        let mut id = [0; 20];
        let (tag, name) = id.split_at_mut(4);
        tag.copy_from_slice(&key.tenant.0.to_be_bytes());
        name.copy_from_slice(&key.id);
        let spent = Spent {
            id: UseId(id),
            uses: Arc::clone(&purse.uses),
            until: exp.ceil.saturating_add(purse.leeway_seconds),
        };
        if spending.shared.is_none() {
            return Ok((spent, None));
        }
        // What this process has seen used, nobody need be asked about.
        if spent.uses.is_used(spent.id) {
            return Err(Refusal::Replayed.into());
        }
        // Other hosts may have other clocks, and more patience.
        let left = spent.until.saturating_sub(now.earliest).max(0);
        let asked = SharedUse {
            id: spent.id,
            keep_seconds: left.saturating_add(LEEWAY_SECONDS_MAX).cast_unsigned(),
        };
        Ok((spent, Some(asked)))
    }

    /// Whether a good verdict on a token of this issuer, under this policy, has to be spent.
    pub(super) fn spends_one_of(&self, policy: PolicyId, issuer: &Arc<str>) -> bool {
        self.may_spend(policy) && (self.single_use.contains(issuer) || self.narrows_to_one(policy))
    }

    fn narrows_to_one(&self, policy: PolicyId) -> bool {
        self.narrowing(policy)
            .is_some_and(|narrowing| narrowing.single_use)
    }
}

impl Spending {
    /// What the uses of a signer's tokens are held against: those of its own tenant, and of no other.
    fn purse(&self, signer: &Signer) -> Option<Cow<'_, Purse>> {
        let configured = self.purses.get(&signer.issuer)?;
        if configured.tenant == signer.tenant {
            return Some(Cow::Borrowed(configured));
        }
        Some(Cow::Owned(Purse {
            tenant: Arc::clone(&signer.tenant),
            ids: self.ids.tenant(&signer.tenant),
            uses: self.used.tenant(&signer.tenant),
            leeway_seconds: configured.leeway_seconds,
        }))
    }
}

impl Unsettled {
    /// Whether nobody else need be asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// What to ask, in order, and whom; `None` for nobody, which leaves it unknown.
    #[must_use]
    pub fn ask(&self) -> (Vec<SharedUse>, Option<Arc<dyn SharedUses>>) {
        let uses = self.pending.iter().map(|pending| pending.asked).collect();
        (uses, self.shared.clone())
    }

    /// Changes the verdicts by what was answered; what is missing of the answers is unknown.
    pub fn settle(self, claims: &[Claim], verdicts: &mut [Verdict], now: Now) {
        for (place, pending) in self.pending.into_iter().enumerate() {
            let claim = claims.get(place).copied().unwrap_or(Claim::Unknown);
            if claim != Claim::Unknown {
                let Spent { id, uses, until } = pending.spent;
                // Only a shortcut: whether there is room for it does not matter.
                let _ = uses.claim(id, until, now);
            }
            if let Some(verdict) = verdicts.get_mut(pending.index) {
                apply(claim, verdict);
            }
        }
    }
}

fn apply(claim: Claim, verdict: &mut Verdict) {
    match claim {
        Claim::First => {}
        Claim::Again => *verdict = Refusal::Replayed.into(),
        Claim::Unknown => *verdict = Unavailable::REPLAY_UNKNOWN.into(),
    }
}
