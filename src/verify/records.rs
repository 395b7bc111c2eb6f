//! Everything a decision rests on besides the token and the time: an immutable snapshot.

use super::opening::Openings;
use super::revoking::Revoking;
use super::spending::Spending;
use super::{Issuer, IssuerKeys, IssuerMatch, PolicyId};
use crate::keys::KeySet;
use crate::limits::{ISSUERS_MAX, LEEWAY_SECONDS_MAX, TOKEN_BYTES_DEFAULT};
use crate::policy::Narrowing;
use crate::revocation::Register;
use crate::revocation::status::StatusLists;
use hashbrown::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// A snapshot of trusted issuers, their keys and policies. Replaced as a whole, never changed.
pub struct Records {
    issuers: Vec<Arc<Entry>>,
    by_iss: HashMap<Box<str>, u32>,
    any_iss: Option<u32>,
    policies: HashMap<PolicyId, Narrowing>,
    token_bytes_max: usize,
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

/// An issuer with what the records know of it besides.
pub(super) struct Entry {
    pub(super) issuer: Issuer,
    /// Names this very combination of keys and policy; never reused in a process, so that a cached verdict
    /// can tell at a glance whether what it rests on still stands.
    pub(super) generation: u64,
    /// The tenant's number.
    pub(super) share: u32,
    /// How its tokens are held against revocations, if they are.
    pub(super) revoking: Option<Revoking>,
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
        let token_bytes_max = issuers.iter().map(|issuer| issuer.token_bytes_max).max();
        let mut records = Self {
            issuers: Vec::with_capacity(issuers.len()),
            by_iss: HashMap::with_capacity(issuers.len()),
            any_iss: None,
            policies: HashMap::from([(PolicyId::DEFAULT, Narrowing::default())]),
            token_bytes_max: token_bytes_max.unwrap_or(TOKEN_BYTES_DEFAULT),
            register: None,
            single_use: Arc::new(
                issuers
                    .iter()
                    .filter(|issuer| issuer.policy.single_use)
                    .map(|issuer| Arc::clone(&issuer.name))
                    .collect(),
            ),
            statuses: None,
            spending: None,
            openings: None,
        };
        let mut names = HashMap::with_capacity(issuers.len());
        let mut tenants = HashMap::new();
        for issuer in issuers {
            let number = u32::try_from(records.issuers.len()).expect("at most ISSUERS_MAX");
            if names.insert(Arc::clone(&issuer.name), number).is_some() {
                return Err(duplicate("name", &issuer.name));
            }
            match &issuer.iss {
                IssuerMatch::Exact(iss) => {
                    if records.by_iss.insert(iss.clone(), number).is_some() {
                        return Err(duplicate("iss", iss));
                    }
                }
                IssuerMatch::Any => {
                    if records.any_iss.replace(number).is_some() {
                        return Err(duplicate("iss", "any"));
                    }
                }
            }
            let tenants_known = u32::try_from(tenants.len()).expect("at most ISSUERS_MAX");
            let share = *tenants
                .entry(Arc::clone(&issuer.tenant))
                .or_insert(tenants_known);
            records.issuers.push(Arc::new(Entry {
                issuer,
                generation: next_generation(),
                share,
                revoking: None,
            }));
        }
        for (name, narrowing) in policies {
            records.add_policy(&name, narrowing, &names)?;
        }
        Ok(records)
    }

    fn add_policy(
        &mut self,
        name: &str,
        narrowing: Narrowing,
        issuers: &HashMap<Arc<str>, u32>,
    ) -> Result<(), RecordsError> {
        let unknown = narrowing
            .issuers
            .iter()
            .flatten()
            .find(|issuer| !issuers.contains_key(&***issuer));
        if let Some(issuer) = unknown {
            return Err(RecordsError::UnknownIssuer {
                policy: name.to_owned(),
                issuer: issuer.clone().into_string(),
            });
        }
        match self.policies.insert(PolicyId::intern(name), narrowing) {
            None => Ok(()),
            Some(_) => Err(RecordsError::DuplicatePolicy(name.to_owned())),
        }
    }

    /// The same snapshot with other keys for one issuer, which gets a new generation; the others keep
    /// theirs, and with it their cached verdicts. `None` where no issuer has that name.
    #[must_use]
    pub fn with_keys(&self, issuer: &str, keys: Arc<KeySet>) -> Option<Self> {
        self.with_issuer_keys(issuer, IssuerKeys::Known(keys))
    }

    /// The same snapshot, with one issuer's keys awaited: those it had may no longer be trusted.
    #[must_use]
    pub fn awaiting_keys(&self, issuer: &str) -> Option<Self> {
        self.with_issuer_keys(issuer, IssuerKeys::Awaited)
    }

    fn with_issuer_keys(&self, issuer: &str, keys: IssuerKeys) -> Option<Self> {
        let number = self
            .issuers
            .iter()
            .position(|entry| *entry.issuer.name == *issuer)?;
        let mut issuers = self.issuers.clone();
        let old = &self.issuers[number];
        issuers[number] = Arc::new(Entry {
            issuer: Issuer {
                keys,
                ..old.issuer.clone()
            },
            generation: next_generation(),
            share: old.share,
            revoking: old.revoking.clone(),
        });
        Some(Self {
            issuers,
            by_iss: self.by_iss.clone(),
            any_iss: self.any_iss,
            policies: self.policies.clone(),
            token_bytes_max: self.token_bytes_max,
            register: self.register.clone(),
            single_use: Arc::clone(&self.single_use),
            statuses: self.statuses.clone(),
            spending: self.spending.clone(),
            openings: self.openings.clone(),
        })
    }

    /// Changes how each issuer's tokens are held against revocations, which gets a new generation by it.
    pub(super) fn change_issuers(&mut self, mut revoking: impl FnMut(&Issuer) -> Option<Revoking>) {
        for entry in &mut self.issuers {
            *entry = Arc::new(Entry {
                issuer: entry.issuer.clone(),
                generation: next_generation(),
                share: entry.share,
                revoking: revoking(&entry.issuer),
            });
        }
    }

    /// The issuers, in configured order.
    pub fn issuers(&self) -> impl ExactSizeIterator<Item = &Issuer> {
        self.issuers.iter().map(|entry| &entry.issuer)
    }

    /// The issuer with this number, as answers give it.
    #[must_use]
    pub fn issuer(&self, number: u32) -> Option<&Issuer> {
        self.entry(number).map(|entry| &entry.issuer)
    }

    /// By tenant, the longest life that a token of it can have left, leeway included; `None` where nothing bounds it.
    #[must_use]
    pub fn lifetimes(&self) -> BTreeMap<Box<str>, Option<u32>> {
        let mut lifetimes: BTreeMap<Box<str>, Option<u32>> = BTreeMap::new();
        for issuer in self.issuers() {
            let own = issuer
                .policy
                .lifetime_seconds_max
                .and_then(|max| u32::try_from(max.saturating_add(LEEWAY_SECONDS_MAX)).ok());
            // An issuer whose tokens nothing bounds makes its tenant unbounded.
            lifetimes
                .entry(issuer.tenant.as_ref().into())
                .and_modify(|longest| *longest = longest.zip(own).map(|(a, b)| a.max(b)))
                .or_insert(own);
        }
        lifetimes
    }

    /// The number of the named request policy.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<PolicyId> {
        let policy = PolicyId::known(name)?;
        self.policies.contains_key(&policy).then_some(policy)
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
            .issuers()
            .filter(|issuer| tenant.is_none_or(|tenant| *issuer.tenant == *tenant))
            .filter_map(|issuer| match &issuer.keys {
                IssuerKeys::Known(keys) => Some(keys.slots()),
                IssuerKeys::Awaited => None,
            })
            .flatten()
            .filter_map(|slot| slot.public_jwk.as_deref())
            .chain(self.public_encryption_keys(tenant))
            .collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.issuers.get(number as usize).map(Arc::as_ref)
    }

    /// Finds the issuer of a token by its `iss`, exactly: no normalisation (RFC 9068 §4).
    pub(super) fn find(&self, iss: Option<&str>) -> Option<u32> {
        iss.and_then(|iss| self.by_iss.get(iss).copied())
            .or(self.any_iss)
    }

    pub(super) fn narrowing(&self, policy: PolicyId) -> Option<&Narrowing> {
        self.policies.get(&policy)
    }
}

impl PolicyId {
    /// The number of a policy's name, the same for as long as the process lives: a caller may ask under the
    /// snapshot before a reload and be answered under the one after it, and must never meet another policy
    /// there.
    fn intern(name: &str) -> Self {
        let mut names = policy_names();
        if let Some(&number) = names.get(name) {
            return Self(number);
        }
        // 0 is `DEFAULT`, which has no name that a caller could ask for.
        let number = u32::try_from(names.len() + 1).expect("fewer names than memory holds");
        names.insert(name.into(), number);
        Self(number)
    }

    fn known(name: &str) -> Option<Self> {
        policy_names().get(name).copied().map(Self)
    }
}

/// Every policy name the process has ever been configured with. Only configuration adds to it.
fn policy_names() -> MutexGuard<'static, HashMap<Box<str>, u32>> {
    static NAMES: LazyLock<Mutex<HashMap<Box<str>, u32>>> = LazyLock::new(Mutex::default);
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn duplicate(what: &'static str, value: &str) -> RecordsError {
    RecordsError::DuplicateIssuer {
        what,
        value: value.to_owned(),
    }
}

/// Starts at 1, so that a zeroed word never passes for a generation.
static GENERATION: AtomicU64 = AtomicU64::new(1);

fn next_generation() -> u64 {
    GENERATION.fetch_add(1, Ordering::Relaxed)
}
