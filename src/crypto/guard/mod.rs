//! Stands between the kernels and everybody who relies on them.
//!
//! A kernel finds; this decides. Each finding is worth what it has shown itself to be worth: a kernel proves itself
//! on known answers on every thread before it may work there, known answers run among the real checks, accepted
//! signatures are sampled and verified again, and what a kernel would refuse is asked of the reference. At the
//! first disagreement the kernel is off for the whole process, and the window that showed it is verified again by
//! the reference. `docs/SOUNDNESS.md` says what this covers and what not.
#![forbid(unsafe_code)]

mod budget;
mod calibrate;
mod canary;
mod state;
#[cfg(test)]
mod tests;
mod vectors;

pub(super) use calibrate::calibrate;
pub(super) use canary::warm_up;
pub use state::{KernelReport, kernels};

use super::batch::{Check, Outcome, Run};
use super::tier::{self, Tier};
use super::{Scheme, kernels as own};
use crate::sync;
use budget::Budget;
use canary::Canary;
use state::{Disagreement, STATES, States};
use std::cell::RefCell;
use std::sync::atomic::Ordering;

/// What a kernel says of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It is the key's over the message.
    Genuine,
    /// It is not.
    Forged,
    /// The kernel cannot say: an exceptional case, or a key that it does not know.
    Undecided,
}

/// Checks handed to a kernel at a time, known answers among them.
pub(super) const WINDOW: usize = 128;

/// One window in so many carries known answers.
const WINDOWS_PER_CANARY: u32 = 32;

/// Of the signatures found genuine, one in so many is verified again, as long as the budget lasts.
const GENUINE_PER_SHADOW: u32 = 64;

/// The part of its time, in thousandths, that a thread may spend on asking the reference about what a kernel
/// refused. Beyond it a refusal stands as it is: a flood of forgeries must not cost what the kernel saves.
const CONFIRM_PERMILLE: i64 = 50;

/// The same for signatures found genuine.
const SHADOW_PERMILLE: i64 = 10;

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::new(Local::new(&STATES, own::find));
}

/// Finds out about checks of one scheme, by the kernel of a tier.
type Find = fn(Scheme, Tier, &[&Check<'_>], &mut [Finding]);

/// What a thread remembers.
struct Local {
    states: &'static States,
    find: Find,
    /// Kernels that have given the known answers on this thread, a bit each.
    proven: u64,
    windows: u32,
    genuine: u32,
    confirm: Budget,
    shadow: Budget,
    random: u64,
}

/// Checks a run of one scheme: by its kernels what they know, the rest by the reference.
pub(super) fn verify_run(scheme: Scheme, run: Run<'_, '_>) {
    LOCAL.with_borrow_mut(|local| {
        for picks in run.picks.chunks(WINDOW - Canary::CHECKS) {
            local.verify_window(scheme, run.checks, picks, run.outcomes);
        }
    });
    for &pick in run.picks {
        let pick = usize::from(pick);
        if let (Some(check), Some(Outcome::Genuine)) =
            (run.checks.get(pick), run.outcomes.get(pick))
        {
            check.key.genuine.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Local {
    fn new(states: &'static States, find: Find) -> Self {
        Self {
            states,
            find,
            proven: 0,
            windows: 0,
            genuine: 0,
            confirm: Budget::new(CONFIRM_PERMILLE),
            shadow: Budget::new(SHADOW_PERMILLE),
            // Any odd number will do; threads differ by where their stacks are.
            random: std::ptr::from_ref(&()).addr() as u64 | 1,
        }
    }

    fn verify_window(
        &mut self,
        scheme: Scheme,
        checks: &[Check<'_>],
        picks: &[u8],
        outcomes: &mut [Outcome],
    ) {
        // Once here, and not for every key's table.
        let _pinned = sync::pin();
        let mut window = Window::new(picks.len());
        for &pick in picks {
            let Some(check) = checks.get(usize::from(pick)) else {
                continue;
            };
            if own::knows(check) {
                window.push(check, pick);
            } else {
                outcomes[usize::from(pick)] = by_reference(check);
            }
        }
        let tier = self.choose(scheme, window.checks.len());
        if tier == Tier::AwsLc {
            return window.by_reference(outcomes);
        }
        let state = self.states.of(scheme, tier);
        let canary = self.canary_due().then(|| canary::of(scheme)).flatten();
        let places = canary.map(|canary| {
            let places = [
                self.below(window.checks.len()),
                self.below(window.checks.len()),
            ];
            window.insert(canary, places)
        });
        let mut findings = [Finding::Undecided; WINDOW];
        let findings = &mut findings[..window.checks.len()];
        (self.find)(scheme, tier, &window.checks, findings);
        state.checked(window.checks.len());
        if let Some(places) = places {
            state.canaries.add(1);
            if !Canary::is_answered(places.map(|place| findings[place])) {
                state.trip(scheme, tier, Disagreement::Canary);
            }
        }
        for ((check, pick), &finding) in window.checks.iter().zip(&window.picks).zip(&*findings) {
            if let Some(pick) = pick {
                outcomes[usize::from(*pick)] = self.decide(scheme, tier, check, finding);
            }
        }
        if !state.is_on() {
            // It may have tripped at the last check of the window; what it said of the others counts for nothing.
            window.by_reference(outcomes);
        }
    }

    /// The tier that is to take so many checks.
    fn choose(&mut self, scheme: Scheme, checks: usize) -> Tier {
        let mut tier = tier::ceiling();
        while tier != Tier::AwsLc && !self.may(scheme, tier, checks) {
            tier = tier.below();
        }
        tier
    }

    /// Whether a tier has a kernel for the scheme, is worth while for so many checks, and has shown on this thread
    /// that it works.
    fn may(&mut self, scheme: Scheme, tier: Tier, checks: usize) -> bool {
        let state = self.states.of(scheme, tier);
        if !state.is_on() || !state.is_worth(scheme, tier, checks) {
            return false;
        }
        let bit = 1 << States::number(scheme, tier);
        if self.proven & bit == 0 {
            let Some(canary) = canary::of(scheme) else {
                return false;
            };
            if !canary.self_test(tier, self.find) {
                state.trip(scheme, tier, Disagreement::SelfTest);
                return false;
            }
            self.proven |= bit;
        }
        true
    }

    fn decide(
        &mut self,
        scheme: Scheme,
        tier: Tier,
        check: &Check<'_>,
        finding: Finding,
    ) -> Outcome {
        let state = self.states.of(scheme, tier);
        match finding {
            Finding::Genuine => {
                self.genuine = self.genuine.wrapping_add(1);
                if self.genuine.is_multiple_of(GENUINE_PER_SHADOW)
                    && let Some(outcome) = self.shadow.spend(|| by_reference(check))
                {
                    state.shadowed.add(1);
                    if outcome != Outcome::Genuine {
                        state.trip(scheme, tier, Disagreement::Accepted);
                    }
                    return outcome;
                }
                Outcome::Genuine
            }
            // A fault of the hardware or of a kernel turns a good signature into a bad one much more easily than
            // the reverse, so a refusal is the reference's own while there is time for it.
            Finding::Forged => match self.confirm.spend(|| by_reference(check)) {
                None => Outcome::Forged,
                Some(outcome) => {
                    state.confirmed.add(1);
                    if outcome != Outcome::Forged {
                        state.trip(scheme, tier, Disagreement::Refused);
                    }
                    outcome
                }
            },
            Finding::Undecided => by_reference(check),
        }
    }

    fn canary_due(&mut self) -> bool {
        self.windows = self.windows.wrapping_add(1);
        self.windows.is_multiple_of(WINDOWS_PER_CANARY)
    }

    /// A place up to and including `last` (xorshift64: any will do, as long as they differ).
    fn below(&mut self, last: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 32).unwrap_or(0) % (last + 1)
    }
}

/// Checks on their way to a kernel, and whose they are: the position in the run, or none for a known answer.
struct Window<'c> {
    checks: Vec<&'c Check<'c>>,
    picks: Vec<Option<u8>>,
}

impl<'c> Window<'c> {
    fn new(checks: usize) -> Self {
        Self {
            checks: Vec::with_capacity(checks + Canary::CHECKS),
            picks: Vec::with_capacity(checks + Canary::CHECKS),
        }
    }

    fn push(&mut self, check: &'c Check<'c>, pick: u8) {
        self.checks.push(check);
        self.picks.push(Some(pick));
    }

    /// Puts the known answers among the checks, and says where they stand.
    fn insert(&mut self, canary: &'static Canary, places: [usize; 2]) -> [usize; 2] {
        let [mut genuine, forged] = places;
        self.checks.insert(genuine, canary.genuine());
        self.picks.insert(genuine, None);
        self.checks.insert(forged, canary.forged());
        self.picks.insert(forged, None);
        if forged <= genuine {
            genuine += 1;
        }
        [genuine, forged]
    }

    fn by_reference(&self, outcomes: &mut [Outcome]) {
        for (check, pick) in self.checks.iter().zip(&self.picks) {
            if let Some(pick) = pick {
                outcomes[usize::from(*pick)] = by_reference(check);
            }
        }
    }
}

/// The reference's word on a check.
pub(super) fn by_reference(check: &Check<'_>) -> Outcome {
    check.key.public_key().map_or(Outcome::Forged, |key| {
        key.verify(check.message, check.signature)
    })
}
