//! Everything a decision rests on besides the token and the time: an immutable snapshot.

use super::entry::Entry;
use super::opening::Openings;
use super::persistent::{Chunks, Directory};
use super::place::Place;
use super::revoking::{Revoking, Tenancies};
use super::spending::Spending;
use super::template::{filled_by, names_meet};
use super::{Issuer, IssuerKeys, IssuerMatch, PolicyId};
use crate::keys::KeySet;
use crate::limits::{ISSUERS_MAX, LEEWAY_SECONDS_MAX, TOKEN_BYTES_DEFAULT};
use crate::policy::Narrowing;
use crate::revocation::Register;
use crate::revocation::status::StatusLists;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A snapshot of trusted issuers, their keys and policies. Replaced as a whole, never changed: a copy with other keys
/// of one issuer, or with one tenant more, shares all else with the one before.
#[derive(Clone)]
pub struct Records {
    /// The configured issuers in their order, and after them the places of tenants that templates have brought.
    pub(super) entries: Chunks<Option<Place>>,
    /// How many are configured.
    pub(super) configured: usize,
    /// Places of tenants that are empty.
    pub(super) vacant: Chunks<u32>,
    pub(super) by_iss: Directory<u32>,
    by_name: Arc<HashMap<Arc<str>, u32>>,
    any_iss: Option<u32>,
    /// The issuers that are templates.
    pub(super) templates: Arc<[u32]>,
    /// Tenants that configured issuers name: no template may bring one of the same name.
    pub(super) tenants_configured: Arc<HashSet<Arc<str>>>,
    /// Those whom their template's issuer does not know, by their `iss`.
    pub(super) absent: Directory<()>,
    pub(super) policies: Arc<HashMap<PolicyId, Narrowing>>,
    token_bytes_max: usize,
    /// How a tenant's tokens are held against revocations, if they are.
    pub(super) tenancies: Option<Arc<Tenancies>>,
    /// The revocations that tokens are held against, if any.
    pub(super) register: Option<Arc<Register>>,
    /// Issuers, by name, whose tokens pass once only.
    pub(super) single_use: Arc<HashSet<Arc<str>>>,
    /// The status lists that tokens are held against, if any.
    pub(super) statuses: Option<Arc<StatusLists>>,
    /// What single-use tokens are held against, if anything.
    pub(super) spending: Option<Arc<Spending>>,
    /// The keys that tokens may be encrypted to, if any may.
    pub(super) openings: Option<Arc<Openings>>,
}

/// Two issuers or policies of one snapshot contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// Two issuers have the same name, or answer to the same `iss`.
    #[error("two issuers have the same {what}: {value}")]
    DuplicateIssuer {
        /// `name` or `iss`.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// Two request policies have the same name.
    #[error("two policies have the same name: {0}")]
    DuplicatePolicy(String),
    /// A policy names an issuer that is not configured.
    #[error("policy {policy} names the issuer {issuer}, which is not configured")]
    UnknownIssuer {
        /// The policy.
        policy: String,
        /// The name.
        issuer: String,
    },
    /// More issuers than a snapshot holds.
    #[error("more than {ISSUERS_MAX} issuers")]
    TooManyIssuers,
    /// Two tenants of two templates would have the same name.
    #[error("tenants of two templates could be called the same: {one} and {other}")]
    AmbiguousTenants {
        /// What one calls its tenants.
        one: Arc<str>,
        /// What the other does.
        other: Arc<str>,
    },
    /// An `iss` would fit two templates.
    #[error("an `iss` could fit both of two templates: {one} and {other}")]
    AmbiguousTemplates {
        /// One.
        one: String,
        /// The other.
        other: String,
    },
}

impl Records {
    /// A snapshot of these issuers and named request policies.
    ///
    /// # Errors
    /// [`RecordsError`] where they contradict each other.
    pub fn new(
        issuers: Vec<Issuer>,
        policies: Vec<(Box<str>, Narrowing)>,
    ) -> Result<Self, RecordsError> {
        if issuers.len() > ISSUERS_MAX {
            return Err(RecordsError::TooManyIssuers);
        }
        let mut by_name = HashMap::with_capacity(issuers.len());
        let mut by_iss = Directory::new();
        let mut any_iss = None;
        let mut templates = Vec::new();
        let mut shares: HashMap<Arc<str>, u32> = HashMap::new();
        for (number, issuer) in (0_u32..).zip(&issuers) {
            if by_name.insert(Arc::clone(&issuer.name), number).is_some() {
                return Err(duplicate("name", &issuer.name));
            }
            match &issuer.iss {
                IssuerMatch::Exact(iss) => {
                    if by_iss.insert(iss.clone().into(), number).is_some() {
                        return Err(duplicate("iss", iss));
                    }
                }
                IssuerMatch::Any => {
                    if any_iss.replace(number).is_some() {
                        return Err(duplicate("iss", "any"));
                    }
                }
                IssuerMatch::Template(template) => templates.push((number, template)),
            }
            let next = u32::try_from(shares.len()).expect("at most ISSUERS_MAX");
            shares.entry(Arc::clone(&issuer.tenant)).or_insert(next);
        }
        for (index, (number, one)) in templates.iter().enumerate() {
            for (before, other) in &templates[..index] {
                let [tenants, others] =
                    [number, before].map(|number| &issuers[*number as usize].tenant);
                if names_meet(tenants, others) {
                    return Err(RecordsError::AmbiguousTenants {
                        one: Arc::clone(others),
                        other: Arc::clone(tenants),
                    });
                }
                if other.overlaps(one) {
                    return Err(RecordsError::AmbiguousTemplates {
                        one: other.to_string(),
                        other: one.to_string(),
                    });
                }
            }
        }
        let templates = templates.iter().map(|(number, _)| *number).collect();
        let token_bytes_max = issuers.iter().map(|issuer| issuer.token_bytes_max).max();
        let single_use = issuers.iter().filter(|issuer| issuer.policy.single_use);
        let single_use = single_use.map(|issuer| Arc::clone(&issuer.name)).collect();
        let by_name = Arc::new(by_name);
        let default = HashMap::from([(PolicyId::DEFAULT, Narrowing::default())]);
        let mut records = Self {
            configured: issuers.len(),
            vacant: Chunks::from_iter([]),
            by_iss,
            by_name: Arc::clone(&by_name),
            any_iss,
            templates,
            tenants_configured: Arc::new(shares.keys().cloned().collect()),
            absent: Directory::new(),
            policies: Arc::new(default),
            token_bytes_max: token_bytes_max.unwrap_or(TOKEN_BYTES_DEFAULT),
            tenancies: None,
            register: None,
            single_use: Arc::new(single_use),
            statuses: None,
            spending: None,
            openings: None,
            entries: issuers
                .into_iter()
                .map(|issuer| {
                    let share = shares.get(&issuer.tenant).copied().unwrap_or_default();
                    Some(Place::new(Entry::new(issuer, share)))
                })
                .collect(),
        };
        for (name, narrowing) in policies {
            records.add_policy(&name, narrowing, &by_name)?;
        }
        Ok(records)
    }

    /// The same snapshot with other keys for one issuer. Cached verdicts of keys that it keeps stand, and so do those
    /// of other issuers. A template's keys are those of all its tenants. `None` where no issuer has that name.
    #[must_use]
    pub fn with_keys(&self, issuer: &str, keys: Arc<KeySet>) -> Option<Self> {
        self.with_issuer_keys(issuer, IssuerKeys::Known(keys))
    }

    /// The same snapshot, with one issuer's keys awaited: those it had may no longer be trusted. Where they are those of
    /// all tenants of a template, these have none either.
    #[must_use]
    pub fn awaiting_keys(&self, issuer: &str) -> Option<Self> {
        self.with_issuer_keys(issuer, IssuerKeys::Awaited)
    }

    fn with_issuer_keys(&self, issuer: &str, keys: IssuerKeys) -> Option<Self> {
        let number = *self.by_name.get(issuer)?;
        let entry = self.entry(number)?.with_keys(keys.clone());
        let mut records = self.clone();
        records.put(number, entry);
        if self.templates.contains(&number) {
            records.pass_on_keys(number, &keys);
        }
        Some(records)
    }

    /// Puts an entry into a place, which may be the one after the last.
    pub(super) fn put(&mut self, number: u32, entry: Entry) {
        self.entries = self.entries.with(number as usize, Some(Place::new(entry)));
    }

    /// Changes how each issuer's tokens are held against revocations, which gets a new generation by it.
    pub(super) fn change_issuers(&mut self, mut revoking: impl FnMut(&Issuer) -> Option<Revoking>) {
        let changed = self.entries.iter().map(|entry| {
            let entry = entry.as_deref()?;
            Some(Place::new(Entry {
                revoking: revoking(&entry.issuer),
                ..entry.renewed()
            }))
        });
        self.entries = changed.collect();
    }

    /// Gives these entries new generations: what was verified by them is to be verified again.
    pub(super) fn renew(&mut self, is_meant: impl Fn(&Entry) -> bool) {
        let renewed = self.entries.iter().map(|entry| match entry {
            Some(known) if is_meant(known) => Some(Place::new(known.renewed())),
            other => other.clone(),
        });
        self.entries = renewed.collect();
    }

    /// The configured issuers, in their order. A template is one of them; its tenants are not.
    pub fn issuers(&self) -> impl ExactSizeIterator<Item = &Issuer> {
        (0..self.configured).map(|number| {
            let entry = self.entries.get(number).and_then(Option::as_ref);
            &entry.expect("what is configured stays").issuer
        })
    }

    /// The configured issuer of this name.
    #[must_use]
    pub fn issuer_named(&self, name: &str) -> Option<&Issuer> {
        let number = *self.by_name.get(name)?;
        Some(&self.entry(number)?.issuer)
    }

    /// The issuers whose keys verify tokens now: those configured, and the tenants that templates have brought.
    pub fn verifying(&self) -> impl Iterator<Item = &Issuer> {
        let entries = self.entries.iter().flatten();
        entries.map(|entry| &entry.issuer)
    }

    /// The issuer with this number, as answers give it.
    #[must_use]
    pub fn issuer(&self, number: u32) -> Option<&Issuer> {
        self.entry(number).map(|entry| &entry.issuer)
    }

    /// As in [`Self::lifetimes`], of a tenant that a template would bring, whether it is loaded or not; `None` where
    /// none would.
    #[must_use]
    pub fn lifetime_brought(&self, tenant: &str) -> Option<Option<u32>> {
        let brings = |issuer: &&Issuer| match &issuer.iss {
            IssuerMatch::Template(template) => {
                filled_by(&issuer.tenant, tenant).is_some_and(|tenant| template.fits(tenant))
            }
            _ => false,
        };
        self.issuers().find(brings).map(lifetime)
    }

    /// By tenant, the longest life that a token of it can have left, leeway included; `None` where nothing bounds it.
    #[must_use]
    pub fn lifetimes(&self) -> BTreeMap<Box<str>, Option<u32>> {
        let mut lifetimes: BTreeMap<Box<str>, Option<u32>> = BTreeMap::new();
        let is_one = |issuer: &&Issuer| !matches!(issuer.iss, IssuerMatch::Template(_));
        for issuer in self.verifying().filter(is_one) {
            let own = lifetime(issuer);
            // An issuer whose tokens nothing bounds makes its tenant unbounded.
            lifetimes
                .entry(issuer.tenant.as_ref().into())
                .and_modify(|longest| *longest = longest.zip(own).map(|(a, b)| a.max(b)))
                .or_insert(own);
        }
        lifetimes
    }

    /// Longest token that any of the issuers accepts, in bytes.
    #[must_use]
    pub fn token_bytes_max(&self) -> usize {
        self.token_bytes_max
    }

    /// The public keys of one tenant, or of all, as a JWK Set document (RFC 7517 §5): those that its tokens are verified
    /// with, and those that they may be encrypted to.
    #[must_use]
    pub fn public_jwks(&self, tenant: Option<&str>) -> String {
        let keys: Vec<&str> = self
            .verifying()
            .filter(|issuer| tenant.is_none_or(|tenant| *issuer.tenant == *tenant))
            .flat_map(|issuer| issuer.keys.slots())
            .filter_map(|slot| slot.public_jwk.as_deref())
            .chain(self.public_encryption_keys(tenant))
            .collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    #[inline]
    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.place(number).map(|place| &**place)
    }

    #[inline]
    pub(super) fn place(&self, number: u32) -> Option<&Place> {
        self.entries.get(number as usize)?.as_ref()
    }

    /// Finds the issuer of a token that was verified, by its `iss`, exactly: no normalisation (RFC 9068 §4).
    pub(super) fn find(&self, iss: Option<&str>) -> Option<u32> {
        match self.seek(iss) {
            Sought::Known(number) => Some(number),
            Sought::Shared(_) | Sought::Unloaded | Sought::Unknown => None,
        }
    }

    /// The tenant of whoever answers to this `iss`, as far as it is loaded.
    #[must_use]
    pub fn tenant_of(&self, iss: Option<&str>) -> Option<&str> {
        Some(&self.entry(self.find(iss)?)?.issuer.tenant)
    }

    /// Finds whose token it is. Exact issuers come first, then tenants of templates; one that a template would bring is
    /// nobody else's, and whoever answers to any `iss` comes last.
    pub(super) fn seek(&self, iss: Option<&str>) -> Sought {
        let Some(iss) = iss else {
            return self.any_iss.map_or(Sought::Unknown, Sought::Known);
        };
        if let Some(number) = self.by_iss.get(iss) {
            return Sought::Known(*number);
        }
        match self.template_for(iss) {
            Some((template, tenant)) => self.seek_tenant(template, tenant, iss),
            None => self.any_iss.map_or(Sought::Unknown, Sought::Known),
        }
    }
}

/// Whose token it is, by its `iss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// The issuer of this number's.
    Known(u32),
    /// A tenant's whom the template of this number would bring, whose keys verify its tokens.
    Shared(u32),
    /// A tenant's whom a template would bring, with keys of its own.
    Unloaded,
    /// Nobody's whom we trust.
    Unknown,
}

/// The longest life that a token of an issuer can have left, leeway included; `None` where nothing bounds it.
fn lifetime(issuer: &Issuer) -> Option<u32> {
    let max = issuer.policy.lifetime_seconds_max?;
    u32::try_from(max.saturating_add(LEEWAY_SECONDS_MAX)).ok()
}

fn duplicate(what: &'static str, value: &str) -> RecordsError {
    RecordsError::DuplicateIssuer {
        what,
        value: value.to_owned(),
    }
}
