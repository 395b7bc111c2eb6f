//! How much the register's word is worth: whether it follows its feed, how old its knowledge may be, and what a
//! tenant makes of that.

use crate::clock::Now;
use crate::verdict::{Freshness, RevocationState as State};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is known about the register's completeness. Whoever feeds the register keeps it true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// No revocation is configured.
    #[default]
    Off,
    /// The register is fed by this host's own log, which is the whole truth.
    Local,
    /// The register follows logs elsewhere.
    Following {
        /// Time since boot at which the read was *sent* that last showed the register to be complete; `None` if it
        /// never was.
        complete_at: Option<Duration>,
        /// How long after that it still counts as current. A gap, a lost connection's lost history, anything that
        /// makes completeness doubtful: zero, until the register is complete again.
        lease: Duration,
    },
}

/// What a tenant wants answered about tokens that are fine but for revocations that may have been missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Staleness {
    /// `unavailable/revocation_stale` as soon as the state is not live.
    #[default]
    Strict,
    /// The same, but only once the knowledge is older than this.
    Bounded(Duration),
    /// The token is good; the verdict says `stale`.
    Open,
}

impl Standing {
    /// The state now.
    #[must_use]
    pub fn freshness(self, now: Now) -> Freshness {
        match self {
            Self::Off => Freshness::default(),
            Self::Local => Freshness {
                state: State::Live,
                age_ms: 0,
            },
            Self::Following { complete_at, lease } => {
                let Some(complete_at) = complete_at else {
                    return Freshness {
                        state: State::Stale,
                        age_ms: u32::MAX,
                    };
                };
                let age = now.since_boot.saturating_sub(complete_at);
                Freshness {
                    state: if age < lease {
                        State::Live
                    } else {
                        State::Stale
                    },
                    age_ms: u32::try_from(age.as_millis()).unwrap_or(u32::MAX),
                }
            }
        }
    }
}

impl Staleness {
    /// Whether a token may be called good at this freshness.
    #[must_use]
    pub fn tolerates(self, freshness: Freshness) -> bool {
        match (freshness.state, self) {
            (State::Off | State::Live, _) | (State::Stale, Self::Open) => true,
            (State::Stale, Self::Strict) => false,
            (State::Stale, Self::Bounded(bound)) => {
                freshness.age_ms < u32::MAX && u128::from(freshness.age_ms) <= bound.as_millis()
            }
        }
    }
}

/// A standing that many read while one writes, in one word so that it is never seen half-written.
#[derive(Default)]
pub(super) struct StandingCell(AtomicU64);

/// Bits of the lease, in milliseconds: more than an hour.
const LEASE_BITS: u32 = 22;
/// Bits of the time since boot, in milliseconds: more than thirty years.
const TIME_BITS: u32 = 40;
const NEVER: u64 = (1 << TIME_BITS) - 1;
const KIND: u32 = LEASE_BITS + TIME_BITS;

impl StandingCell {
    pub(super) fn set(&self, standing: Standing) {
        let word = match standing {
            Standing::Off => 0,
            Standing::Local => 1 << KIND,
            Standing::Following { complete_at, lease } => {
                let lease = millis(lease).min((1 << LEASE_BITS) - 1);
                // Rounded down, as the lease is: never fresher than it was.
                let at = complete_at.map_or(NEVER, |at| millis(at).min(NEVER - 1));
                2 << KIND | lease << TIME_BITS | at
            }
        };
        self.0.store(word, Ordering::Release);
    }

    pub(super) fn get(&self) -> Standing {
        let word = self.0.load(Ordering::Acquire);
        let at = word & NEVER;
        match word >> KIND {
            0 => Standing::Off,
            1 => Standing::Local,
            _ => Standing::Following {
                complete_at: (at != NEVER).then(|| Duration::from_millis(at)),
                lease: Duration::from_millis(word >> TIME_BITS & ((1 << LEASE_BITS) - 1)),
            },
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now {
            since_boot: Duration::from_millis(millis),
            ..Now::at(0)
        }
    }

    fn following(complete_ms: Option<u64>, lease_ms: u64) -> Standing {
        Standing::Following {
            complete_at: complete_ms.map(Duration::from_millis),
            lease: Duration::from_millis(lease_ms),
        }
    }

    #[test]
    fn the_lease_runs_from_when_the_read_was_sent() {
        let standing = following(Some(1_000), 500);
        let seen = |millis| standing.freshness(at(millis));
        assert_eq!((seen(1_003).state, seen(1_003).age_ms), (State::Live, 3));
        assert_eq!(seen(1_499).state, State::Live);
        assert_eq!((seen(1_500).state, seen(1_500).age_ms), (State::Stale, 500));
        assert_eq!(
            following(Some(1_000), 0).freshness(at(1_000)).state,
            State::Stale
        );
    }

    #[test]
    fn each_tenant_draws_its_own_line() {
        let bounded = Staleness::Bounded(Duration::from_millis(700));
        let cases = [
            (Standing::Off, [true; 3]),
            (Standing::Local, [true; 3]),
            (following(Some(600), 500), [true; 3]),
            (following(Some(300), 500), [false, true, true]),
            (following(Some(299), 500), [false, false, true]),
            (following(None, 500), [false, false, true]),
        ];
        for (standing, expected) in cases {
            let freshness = standing.freshness(at(1_000));
            let tolerates = [Staleness::Strict, bounded, Staleness::Open]
                .map(|staleness| staleness.tolerates(freshness));
            assert_eq!(tolerates, expected, "{standing:?}");
        }
        let for_ever = Staleness::Bounded(Duration::MAX);
        assert!(
            !for_ever.tolerates(following(None, 500).freshness(at(1))),
            "never known"
        );
    }

    #[test]
    fn a_word_holds_every_standing() {
        let cell = StandingCell::default();
        assert_eq!(cell.get(), Standing::Off);
        let cases = [
            Standing::Local,
            following(None, 0),
            following(Some(0), 1),
            following(Some(1 << 39), (1 << 22) - 1),
            Standing::Off,
        ];
        for standing in cases {
            cell.set(standing);
            assert_eq!(cell.get(), standing);
        }
    }
}
