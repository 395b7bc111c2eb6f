//! Tenants that templates bring: who is one, how one comes into the records, and how it leaves them.
//!
//! A tenant is loaded once its issuer has said that it exists, by giving its keys; where all tenants of a template
//! share keys, once a token of it was found genuine. Everything here is a new snapshot; who decides when, and bounds how
//! often, is upstream's work. A loaded tenant is an issuer like any other, with keys, generation, share of the cache,
//! revocations and quota of its own, and its entry is found by its whole `iss` and nothing else.

use super::entry::Entry;
use super::place::Place;
use super::records::Sought;
use super::template::fill;
use super::{Answer, Issuer, IssuerKeys, IssuerMatch, Records};
use crate::clock::Now;
use crate::jose::Claims;
use crate::keys::{KeySet, Owner};
use crate::verdict::{Refusal, Unavailable};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is known of a tenant's entry besides.
#[derive(Clone)]
pub(super) struct Loaded {
    /// The number of the template that brought it.
    template: u32,
    iss: Arc<str>,
    /// When a token of it was last found genuine, in seconds since boot, and one; 0 while none was.
    used: Arc<AtomicU32>,
}

/// A tenant that a template would bring, or has brought.
#[derive(Clone, Debug)]
pub struct TenantSought {
    /// The template's configured name, and the tenant's name.
    pub owner: Owner,
    /// What fills the template's hole.
    pub tenant: Box<str>,
    /// Whether its keys are those of all tenants of the template.
    pub shares_keys: bool,
    /// Whether it is loaded.
    pub is_loaded: bool,
    /// Whether a token of it was found genuine since it was.
    pub is_used: bool,
}

/// A tenant that is loaded.
#[derive(Clone, Copy, Debug)]
pub struct TenantLoaded<'r> {
    /// Its `iss`.
    pub iss: &'r Arc<str>,
    /// The configured name of the template that brought it.
    pub template: &'r Arc<str>,
    /// When a token of it was last found genuine, in seconds since boot.
    pub used_at: Option<u32>,
}

/// Whose keys lack one that a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LacksKey<'r> {
    /// The configured issuer of this name.
    Issuer(&'r Arc<str>),
    /// The tenant of this `iss`.
    Tenant(&'r Arc<str>),
}

impl Records {
    /// The number of the issuer that a token claims, if there is room for its work; else the answer.
    #[expect(
        clippy::result_large_err,
        reason = "an answer is no larger than what it stands in for, and a refusal must not cost an allocation"
    )]
    pub(super) fn admit(&self, iss: Option<&str>, now: Now) -> Result<u32, Answer> {
        let number = match self.seek(iss) {
            Sought::Known(number) | Sought::Shared(number) => number,
            Sought::Unloaded => return Err(Answer::awaiting_tenant(iss)),
            Sought::Unknown => return Err(Answer::plain(Refusal::UnknownIssuer)),
        };
        let quota = self.entry(number).and_then(|entry| entry.quota.as_ref());
        if quota.is_some_and(|quota| !quota.has_room(now)) {
            return Err(Answer::plain(Unavailable::OVERLOADED));
        }
        Ok(number)
    }

    /// The template that an `iss` fits, and what fills its hole. It is one at most: templates do not overlap.
    pub(super) fn template_for<'i>(&self, iss: &'i str) -> Option<(u32, &'i str)> {
        self.templates.iter().find_map(|&number| {
            let IssuerMatch::Template(template) = &self.issuer(number)?.iss else {
                return None;
            };
            Some((number, template.tenant_in(iss)?))
        })
    }

    /// The configured name of the template that an `iss` fits.
    #[must_use]
    pub fn template_of(&self, iss: &str) -> Option<&Arc<str>> {
        let (number, _) = self.template_for(iss)?;
        Some(&self.issuer(number)?.name)
    }

    /// Whose token it is, where the tenant is not loaded.
    pub(super) fn seek_tenant(&self, number: u32, tenant: &str, iss: &str) -> Sought {
        let Some(model) = self.issuer(number) else {
            return Sought::Unknown;
        };
        let IssuerMatch::Template(template) = &model.iss else {
            return Sought::Unknown;
        };
        if !template.trusts(tenant)
            || self.absent.get(iss).is_some()
            // Whoever may open an account there must not choose to be one of ours.
            || self.tenants_configured.contains(&*fill(&model.tenant, tenant))
        {
            return Sought::Unknown;
        }
        if self.shares_keys(number) {
            Sought::Shared(number)
        } else {
            Sought::Unloaded
        }
    }

    /// Whether all tenants of a template have its keys, be they there or awaited.
    fn shares_keys(&self, template: u32) -> bool {
        self.entry(template).is_some_and(|entry| entry.shares_keys)
    }

    /// The tenant of this `iss`; `None` where no template would bring it, or it is known not to exist.
    #[must_use]
    pub fn seek_tenant_of(&self, iss: &str) -> Option<TenantSought> {
        let (number, tenant) = self.template_for(iss)?;
        let loaded = match self.seek(Some(iss)) {
            Sought::Known(loaded) => self.entry(loaded)?.loaded.as_ref(),
            Sought::Shared(_) | Sought::Unloaded => None,
            Sought::Unknown => return None,
        };
        let is_loaded = loaded.is_some();
        if !is_loaded && self.by_iss.get(iss).is_some() {
            // It has an issuer of its own.
            return None;
        }
        let model = self.issuer(number)?;
        Some(TenantSought {
            owner: Owner {
                issuer: Arc::clone(&model.name),
                tenant: fill(&model.tenant, tenant).into(),
            },
            tenant: tenant.into(),
            shares_keys: self.shares_keys(number),
            is_loaded,
            is_used: loaded.is_some_and(|loaded| loaded.used.load(Ordering::Relaxed) > 0),
        })
    }

    /// The same snapshot with this tenant loaded, or with other keys for it. Without keys it has those that all tenants
    /// of its template share. `None` where no template would bring it, or there are no keys.
    #[must_use]
    pub fn with_tenant(&self, iss: &str, keys: Option<Arc<KeySet>>) -> Option<Self> {
        let sought = self.seek_tenant_of(iss)?;
        let (template, tenant) = self.template_for(iss)?;
        let keys = match (keys, &self.issuer(template)?.keys) {
            (Some(keys), _) => keys,
            (None, IssuerKeys::Known(shared)) => Arc::new(shared.for_tenant(&sought.owner, tenant)),
            (None, IssuerKeys::Awaited) => return None,
        };
        let mut records = self.clone();
        if sought.is_loaded {
            let number = *self.by_iss.get(iss)?;
            records.put(
                number,
                self.entry(number)?.with_keys(IssuerKeys::Known(keys)),
            );
            return Some(records);
        }
        let number = match self.vacant.last() {
            Some(number) => {
                records.vacant = self.vacant.popped();
                *number
            }
            None => u32::try_from(self.entries.len()).ok()?,
        };
        let iss: Arc<str> = iss.into();
        let issuer = Issuer {
            tenant: Arc::clone(&sought.owner.tenant),
            iss: IssuerMatch::Exact((&*iss).into()),
            keys: IssuerKeys::Known(keys),
            ..self.issuer(template)?.clone()
        };
        // Numbers of places begin where those of configured tenants have long ended.
        let mut entry = Entry::new(issuer, number);
        let tenancies = self.tenancies.as_ref();
        entry.revoking = tenancies.map(|tenancies| tenancies.of(&sought.owner.tenant));
        entry.loaded = Some(Loaded {
            template,
            iss: Arc::clone(&iss),
            used: Arc::default(),
        });
        records.put(number, entry);
        records.by_iss.insert(iss, number);
        Some(records)
    }

    /// The same snapshot without this tenant; its next token loads it again. `None` where it is not loaded.
    #[must_use]
    pub fn without_tenant(&self, iss: &str) -> Option<Self> {
        let number = *self.by_iss.get(iss)?;
        self.entry(number)?.loaded.as_ref()?;
        let mut records = self.clone();
        records.by_iss.remove(iss);
        records.entries = self.entries.with(number as usize, None);
        records.vacant = self.vacant.with(self.vacant.len(), number);
        Some(records)
    }

    /// The same snapshot, in which this tenant is known not to exist, or no longer known not to.
    #[must_use]
    pub fn with_absent(&self, iss: &str, is_absent: bool) -> Self {
        let mut records = self.clone();
        if is_absent {
            records.absent.insert(iss.into(), ());
        } else {
            records.absent.remove(iss);
        }
        records
    }

    /// This snapshot with the tenants of another, as far as they would be brought by the same template here. `keeps` says
    /// of a template's name whether its tenants' keys come from where they came from; shared keys are this snapshot's.
    #[must_use]
    pub fn adopt_tenants(mut self, old: &Self, keeps: impl Fn(&str) -> bool) -> Self {
        self.absent = old.absent.clone();
        for entry in old.entries.iter().skip(old.configured).flatten() {
            let Some(loaded) = &entry.loaded else {
                continue;
            };
            let Some(sought) = self.seek_tenant_of(&loaded.iss) else {
                continue;
            };
            if sought.owner.issuer != entry.issuer.name
                || sought.owner.tenant != entry.issuer.tenant
                || !(sought.shares_keys || keeps(&sought.owner.issuer))
            {
                continue;
            }
            let keys = match &entry.issuer.keys {
                IssuerKeys::Known(keys) if !sought.shares_keys => Some(Arc::clone(keys)),
                _ => None,
            };
            let Some(mut next) = self.with_tenant(&loaded.iss, keys) else {
                continue;
            };
            let place = next.by_iss.get(&loaded.iss).copied();
            if let Some((number, new)) = place.and_then(|at| Some((at, next.entry(at)?.clone()))) {
                let kept = new.loaded.map(|new| Loaded {
                    used: Arc::clone(&loaded.used),
                    ..new
                });
                next.put(
                    number,
                    Entry {
                        loaded: kept,
                        ..new
                    },
                );
            }
            self = next;
        }
        self
    }

    /// The keys of a loaded tenant.
    #[must_use]
    pub fn keys_of_tenant(&self, iss: &str) -> Option<&Arc<KeySet>> {
        let entry = self.entry(*self.by_iss.get(iss)?)?;
        match &entry.issuer.keys {
            IssuerKeys::Known(keys) if entry.loaded.is_some() => Some(keys),
            _ => None,
        }
    }

    /// The tenants that are loaded.
    pub fn tenants(&self) -> impl Iterator<Item = TenantLoaded<'_>> {
        let places = self.entries.iter().skip(self.configured).flatten();
        places.filter_map(|entry| {
            let loaded = entry.loaded.as_ref()?;
            Some(TenantLoaded {
                iss: &loaded.iss,
                template: &entry.issuer.name,
                used_at: loaded.used.load(Ordering::Relaxed).checked_sub(1),
            })
        })
    }

    /// Whose keys lack one, by the number that [`Answer::missing_key_of`] gives.
    #[must_use]
    pub fn lacks_key(&self, number: u32) -> Option<LacksKey<'_>> {
        let entry = self.entry(number)?;
        let loaded = entry.loaded.as_ref();
        let own = loaded.filter(|loaded| !self.shares_keys(loaded.template));
        Some(match own {
            Some(loaded) => LacksKey::Tenant(&loaded.iss),
            None => LacksKey::Issuer(&entry.issuer.name),
        })
    }

    /// Whether a tenant stands here as it does in another snapshot: loaded, with the very same keys; or not loaded, and
    /// known or not known not to exist.
    #[must_use]
    pub fn knows_tenant_as(&self, other: &Self, iss: &str) -> bool {
        match (self.keys_of_tenant(iss), other.keys_of_tenant(iss)) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => {
                self.seek_tenant_of(iss).is_some() == other.seek_tenant_of(iss).is_some()
            }
            _ => false,
        }
    }

    /// Gives a template's new keys to all its tenants, or takes away those they had.
    pub(super) fn pass_on_keys(&mut self, template: u32, keys: &IssuerKeys) {
        let changed = self.entries.iter().map(|entry| {
            let old = entry.as_ref()?;
            match &old.loaded {
                Some(loaded) if loaded.template == template => {
                    let own = match keys {
                        IssuerKeys::Awaited => IssuerKeys::Awaited,
                        IssuerKeys::Known(keys) => {
                            let owner = Owner {
                                issuer: Arc::clone(&old.issuer.name),
                                tenant: Arc::clone(&old.issuer.tenant),
                            };
                            // It fitted when it was loaded, and a template does not change.
                            let (_, tenant) = self.template_for(&loaded.iss)?;
                            IssuerKeys::Known(Arc::new(keys.for_tenant(&owner, tenant)))
                        }
                    };
                    Some(Place::new(old.with_keys(own)))
                }
                _ => Some(old.clone()),
            }
        });
        self.entries = changed.collect();
    }
}

impl Entry {
    /// Notes that a token was found genuine under these keys. An answer where it is a tenant's that is to be loaded
    /// first: a template's shared keys vouch for nobody by themselves.
    pub(super) fn note_genuine(&self, claims: &Claims<'_>, now: Now) -> Option<Answer> {
        if matches!(self.issuer.iss, IssuerMatch::Template(_)) {
            return Some(Answer::awaiting_tenant(claims.iss.as_deref()));
        }
        self.note_use(now);
        if let Some(quota) = &self.quota {
            quota.charge(now);
        }
        None
    }

    /// The time as [`Self::note_use`] writes it: never 0.
    #[inline]
    pub(super) fn second_of(now: Now) -> u32 {
        let second = now.since_boot.as_secs().saturating_add(1);
        u32::try_from(second).unwrap_or(u32::MAX)
    }

    /// Notes that a token of a loaded tenant passed.
    pub(super) fn note_use(&self, now: Now) {
        let Some(loaded) = &self.loaded else {
            return;
        };
        let second = Self::second_of(now);
        // Mostly the line is only read, and stays shared between cores.
        if loaded.used.load(Ordering::Relaxed) != second {
            loaded.used.store(second, Ordering::Relaxed);
        }
    }
}

impl Answer {
    /// That the tenant of this `iss` is to be loaded.
    fn awaiting_tenant(iss: Option<&str>) -> Self {
        Self {
            missing_tenant: iss.map(Into::into),
            ..Self::plain(Unavailable::KEYS_REFRESHING)
        }
    }
}
