//! Request policies by number, and peers that are bound to tenants.
//!
//! A peer that may ask about some tenants only asks under policies of its own: each policy, narrowed to those tenants.
//! So what the cache remembers for one peer is never another's answer.

use super::entry::Entry;
use super::records::RecordsError;
use super::{PolicyId, Records};
use crate::policy::Narrowing;
use crate::verdict::Refusal;
use hashbrown::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// The tenants that a peer may ask about, by name; in order, and each once.
pub type Tenants = [Box<str>];

impl Records {
    pub(super) fn add_policy(
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
        let policies = Arc::make_mut(&mut self.policies);
        match policies.insert(PolicyId::intern(name, None), narrowing) {
            None => Ok(()),
            Some(_) => Err(RecordsError::DuplicatePolicy(name.to_owned())),
        }
    }

    /// The same snapshot, with every request policy narrowed to these tenants as well, for peers that are bound to them.
    #[must_use]
    pub fn binding<'t>(mut self, bound: impl IntoIterator<Item = &'t Tenants>) -> Self {
        let plain = Arc::clone(&self.policies);
        let policies = Arc::make_mut(&mut self.policies);
        for tenants in bound {
            for (policy, narrowing) in &*plain {
                // What the policy leaves out stays out.
                let admitted = tenants
                    .iter()
                    .filter(|tenant| narrowing.admits_tenant(tenant));
                let narrowed = Narrowing {
                    tenants: Some(admitted.cloned().collect()),
                    ..narrowing.clone()
                };
                policies.insert(policy.bound_to(tenants), narrowed);
            }
        }
        self
    }

    /// The number of the named request policy.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<PolicyId> {
        let policy = PolicyId::known(name, None)?;
        self.policies.contains_key(&policy).then_some(policy)
    }

    /// The number of a request policy, or of none, for a peer that is bound to these tenants.
    #[must_use]
    pub fn policy_within(&self, name: Option<&str>, tenants: &Tenants) -> Option<PolicyId> {
        let policy = PolicyId::known(name.unwrap_or_default(), Some(tenants))?;
        self.policies.contains_key(&policy).then_some(policy)
    }

    pub(super) fn narrowing(&self, policy: PolicyId) -> Option<&Narrowing> {
        self.policies.get(&policy)
    }

    /// How a question under this policy narrows the rules for tokens of this issuer.
    pub(super) fn narrowing_for(
        &self,
        policy: PolicyId,
        entry: &Entry,
    ) -> Result<&Narrowing, Refusal> {
        let narrowing = self.narrowing(policy);
        let narrowing =
            narrowing.ok_or(Refusal::Forbidden("the request policy is not configured"))?;
        if narrowing.admits_tenant(&entry.issuer.tenant) {
            Ok(narrowing)
        } else {
            // Before any claim is judged: not even when it expired is this peer's business.
            Err(Refusal::Forbidden(
                "tokens of this tenant may not be asked about here",
            ))
        }
    }
}

/// A policy's name, empty for none, and the tenants that it is narrowed to.
type Name = (Box<str>, Option<Box<Tenants>>);

impl PolicyId {
    /// The number of a policy's name, the same for as long as the process lives: a caller may ask under the
    /// snapshot before a reload and be answered under the one after it, and must never meet another policy
    /// there.
    fn intern(name: &str, tenants: Option<&Tenants>) -> Self {
        let mut names = policy_names();
        let name: Name = (name.into(), tenants.map(Into::into));
        if let Some(&number) = names.get(&name) {
            return Self(number);
        }
        // 0 is `DEFAULT`, which has no name that a caller could ask for.
        let number = u32::try_from(names.len() + 1).expect("fewer names than memory holds");
        names.insert(name, number);
        Self(number)
    }

    fn known(name: &str, tenants: Option<&Tenants>) -> Option<Self> {
        let name: Name = (name.into(), tenants.map(Into::into));
        policy_names().get(&name).copied().map(Self)
    }

    /// The number of this policy narrowed to these tenants.
    fn bound_to(self, tenants: &Tenants) -> Self {
        let name = if self == Self::DEFAULT {
            Box::default()
        } else {
            let names = policy_names();
            let found = names.iter().find(|(_, number)| **number == self.0);
            let ((name, _), _) = found.expect("every number has a name");
            name.clone()
        };
        Self::intern(&name, Some(tenants))
    }
}

/// Every policy name the process has ever been configured with. Only configuration adds to it.
fn policy_names() -> MutexGuard<'static, HashMap<Name, u32>> {
    static NAMES: LazyLock<Mutex<HashMap<Name, u32>>> = LazyLock::new(Mutex::default);
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}
