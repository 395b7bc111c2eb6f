//! The uses this process knows of, a table a tenant: no tenant can crowd out another's.

use super::{Claim, UseId};
use crate::clock::Now;
use hashbrown::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Default for the uses remembered of one tenant: at most 64 bytes each.
pub const TENANT_USES_DEFAULT: usize = 1_000_000;

/// Independently locked parts of a tenant's table.
const PARTS: usize = 16;

/// Fewest entries of a part that are worth a look for what can be forgotten.
const SWEPT_MIN: usize = 64;

/// All tenants' uses.
pub struct UsedTokens {
    tenants: Mutex<HashMap<Box<str>, Arc<TenantUses>>>,
    tenant_uses_max: usize,
}

impl UsedTokens {
    /// No uses, of any tenant; about so many of each will be remembered.
    #[must_use]
    pub fn new(tenant_uses_max: usize) -> Self {
        Self {
            tenants: Mutex::default(),
            tenant_uses_max,
        }
    }

    /// One tenant's uses: the same as long as the process lives, whatever is configured meanwhile.
    #[must_use]
    pub fn tenant(&self, tenant: &str) -> Arc<TenantUses> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = tenants
            .entry(tenant.into())
            .or_insert_with(|| Arc::new(TenantUses::new(self.tenant_uses_max)));
        Arc::clone(uses)
    }

    /// Number of uses remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.values().map(|uses| uses.len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One tenant's uses.
pub struct TenantUses {
    parts: [Mutex<Part>; PARTS],
    len: AtomicUsize,
    max: usize,
    /// When all of it was swept last for want of room: seconds since boot, and one.
    swept_at: AtomicU64,
}

#[derive(Default)]
struct Part {
    uses: HashMap<UseId, Until>,
    /// So many entries are worth a sweep.
    sweep_at: usize,
}

/// When a use may be forgotten: not before both clocks have come so far, because one of them may be wrong.
#[derive(Clone, Copy)]
struct Until {
    /// Seconds since the epoch; the greatest number is never reached.
    wall: u32,
    /// Seconds since boot.
    boot: u32,
}

impl TenantUses {
    fn new(max: usize) -> Self {
        Self {
            parts: Default::default(),
            len: AtomicUsize::new(0),
            max,
            swept_at: AtomicU64::new(0),
        }
    }

    /// Uses a token that can pass until just before this second. Of any number of attempts, on any threads, exactly
    /// one is the first.
    #[must_use]
    pub fn claim(&self, id: UseId, until: i64, now: Now) -> Claim {
        let until = Until::new(until, now);
        match self.try_claim(id, until, now) {
            Claim::Unknown if self.make_room(now) => self.try_claim(id, until, now),
            claim => claim,
        }
    }

    fn try_claim(&self, id: UseId, until: Until, now: Now) -> Claim {
        let mut part = self.part(id);
        if let Some(known) = part.uses.get_mut(&id) {
            // The same `jti` in a token that lives longer: remembered for longer.
            known.wall = known.wall.max(until.wall);
            known.boot = known.boot.max(until.boot);
            return Claim::Again;
        }
        // A part that has doubled since it was swept is swept again.
        if part.uses.len() >= part.sweep_at.max(SWEPT_MIN) {
            self.sweep(&mut part, now);
        }
        if self.len() >= self.max {
            return Claim::Unknown;
        }
        part.uses.insert(id, until);
        self.len.fetch_add(1, Ordering::Relaxed);
        Claim::First
    }

    /// Whether a token is known to have been used.
    #[must_use]
    pub fn is_used(&self, id: UseId) -> bool {
        self.part(id).uses.contains_key(&id)
    }

    /// Number of uses remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sweeps all parts, at most once a second; whether it did.
    fn make_room(&self, now: Now) -> bool {
        let second = now.since_boot.as_secs() + 1;
        if self.swept_at.swap(second, Ordering::Relaxed) == second {
            return false;
        }
        for part in &self.parts {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            self.sweep(&mut part, now);
        }
        true
    }

    fn sweep(&self, part: &mut Part, now: Now) {
        let before = part.uses.len();
        part.uses.retain(|_, until| !until.has_come(now));
        let after = part.uses.len();
        self.len.fetch_sub(before - after, Ordering::Relaxed);
        part.sweep_at = 2 * after;
        if part.uses.capacity() > 4 * after.max(SWEPT_MIN) {
            part.uses.shrink_to(2 * after);
        }
    }

    /// The id is a keyed hash: any bits of it will do.
    fn part(&self, id: UseId) -> MutexGuard<'_, Part> {
        let [.., last] = id.0;
        let part = &self.parts[usize::from(last) % PARTS];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Until {
    fn new(until: i64, now: Now) -> Self {
        let left = until.saturating_sub(now.earliest).max(0);
        let boot = now
            .since_boot
            .as_secs()
            .saturating_add(left.cast_unsigned());
        Self {
            wall: u32::try_from(until.max(0)).unwrap_or(u32::MAX),
            // A little later than too early: this second is not over.
            boot: u32::try_from(boot.saturating_add(1)).unwrap_or(u32::MAX),
        }
    }

    fn has_come(self, now: Now) -> bool {
        self.wall < u32::MAX
            && now.earliest >= i64::from(self.wall)
            && now.since_boot.as_secs() >= u64::from(self.boot)
    }
}

impl std::fmt::Debug for TenantUses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantUses({} of {})", self.len(), self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    const NOW: i64 = 1_700_000_000;

    fn id(number: u32) -> UseId {
        let mut id = [0; 20];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id[19] = number.to_le_bytes()[0];
        UseId(id)
    }

    fn at(seconds: u64) -> Now {
        Now {
            since_boot: Duration::from_secs(seconds),
            ..Now::at(NOW + seconds.cast_signed())
        }
    }

    #[test]
    fn a_token_is_used_once() {
        let used = UsedTokens::new(100);
        let [acme, other] = ["acme", "other"].map(|tenant| used.tenant(tenant));
        assert_eq!(acme.claim(id(1), NOW + 60, at(0)), Claim::First);
        assert_eq!(acme.claim(id(1), NOW + 60, at(0)), Claim::Again);
        assert_eq!(used.tenant("acme").claim(id(1), NOW, at(0)), Claim::Again);
        assert!(acme.is_used(id(1)) && !acme.is_used(id(2)));
        assert_eq!(other.claim(id(1), NOW + 60, at(0)), Claim::First);
        assert_eq!((acme.len(), used.len()), (1, 2));
    }

    #[test]
    fn of_many_threads_one_is_the_first() {
        const TOKENS: u32 = 2_000;
        let used = UsedTokens::new(TENANT_USES_DEFAULT);
        let uses = used.tenant("acme");
        let go = AtomicBool::new(false);
        let firsts: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        while !go.load(Ordering::Acquire) {
                            std::hint::spin_loop();
                        }
                        let claims =
                            (0..TOKENS).map(|token| uses.claim(id(token), NOW + 60, at(0)));
                        claims.filter(|claim| *claim == Claim::First).count()
                    })
                })
                .collect();
            go.store(true, Ordering::Release);
            let counts = threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"));
            counts.sum()
        });
        assert_eq!(firsts, TOKENS as usize);
        assert_eq!(uses.len(), TOKENS as usize);
    }

    /// Nothing is forgotten to make room; what has expired by both clocks is.
    #[test]
    fn a_full_tenant_says_that_it_cannot_say() {
        let used = UsedTokens::new(100);
        let uses = used.tenant("acme");
        for number in 0..100 {
            assert_eq!(uses.claim(id(number), NOW + 60, at(0)), Claim::First);
        }
        assert_eq!(uses.claim(id(100), NOW + 60, at(0)), Claim::Unknown);
        assert_eq!(uses.claim(id(7), NOW + 60, at(0)), Claim::Again);
        assert_eq!(
            used.tenant("other").claim(id(100), NOW + 60, at(0)),
            Claim::First
        );
        // The wall clock alone has come so far.
        let stepped = Now {
            since_boot: Duration::from_secs(2),
            ..Now::at(NOW + 86_400)
        };
        assert_eq!(uses.claim(id(101), NOW + 90_000, stepped), Claim::Unknown);
        assert!(uses.is_used(id(7)));
        let later =
            (100..200).filter(|number| uses.claim(id(*number), NOW + 200, at(62)) == Claim::First);
        assert_eq!(later.count(), 100, "all that had expired made room");
        assert!(!uses.is_used(id(7)));
    }

    #[test]
    fn memory_follows_what_lives() {
        let used = UsedTokens::new(TENANT_USES_DEFAULT);
        let uses = used.tenant("acme");
        for second in 0..2_000_u32 {
            for number in 0..10 {
                let claim = uses.claim(
                    id(second * 10 + number),
                    NOW + i64::from(second) + 5,
                    at(second.into()),
                );
                assert_eq!(claim, Claim::First);
            }
        }
        assert!(uses.len() < 3 * PARTS * SWEPT_MIN, "{uses:?}");
    }

    /// A token that outlives what a second holds is never forgotten, which is the safe side.
    #[test]
    fn the_end_of_time_is_not_reached() {
        let used = UsedTokens::new(100);
        let uses = used.tenant("acme");
        assert_eq!(uses.claim(id(1), i64::MAX, at(0)), Claim::First);
        for number in 2..200 {
            let _ = uses.claim(id(number), NOW, at(u64::from(u32::MAX)));
        }
        assert_eq!(uses.claim(id(1), i64::MAX, at(0)), Claim::Again);
    }
}
