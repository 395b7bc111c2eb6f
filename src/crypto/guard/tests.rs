//! What the guard does with kernels that are right, and with kernels that are wrong in each way there is.

use super::*;
use std::cell::Cell;

const SCHEME: Scheme = Scheme::EcdsaP256Sha256;

/// How the kernel of these tests behaves. It is the reference in disguise, until it is told to be something else.
#[derive(Clone, Copy)]
enum Manner {
    Right,
    AcceptsAll,
    RefusesAll,
    Undecided,
    /// Wrong about the last check only: no known answer need stand there.
    AcceptsLast,
}

thread_local! {
    static MANNER: Cell<Manner> = const { Cell::new(Manner::Right) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn pretend(_: Scheme, _: Tier, checks: &[&Check<'_>], findings: &mut [Finding]) {
    ASKED.set(ASKED.get() + checks.len());
    let right = |check: &Check<'_>| match by_reference(check) {
        Outcome::Genuine => Finding::Genuine,
        Outcome::Forged => Finding::Forged,
    };
    for (place, finding) in findings.iter_mut().enumerate() {
        *finding = match MANNER.get() {
            Manner::Right => right(checks[place]),
            Manner::AcceptsAll => Finding::Genuine,
            Manner::RefusesAll => Finding::Forged,
            Manner::Undecided => Finding::Undecided,
            Manner::AcceptsLast if place == checks.len() - 1 => Finding::Genuine,
            Manner::AcceptsLast => right(checks[place]),
        };
    }
}

/// A guard of its own, over a kernel that has proven itself.
struct Guarded {
    local: Local,
    states: &'static States,
}

impl Guarded {
    fn new() -> Self {
        warm_up(SCHEME);
        let states: &'static States = Box::leak(Box::new(States::new()));
        let mut guarded = Self {
            local: Local::new(states, pretend),
            states,
        };
        let expected = guarded.verify(4);
        assert_eq!(guarded.tier(), tier::ceiling(), "the kernel works");
        assert_eq!(expected, EXPECTED[..4]);
        guarded
    }

    /// Outcomes of so many checks, every other one forged.
    fn verify(&mut self, count: usize) -> Vec<Outcome> {
        let canary = canary::of(SCHEME).expect("ready");
        let checks: Vec<Check<'_>> = (0..count)
            .map(|index| match index % 2 {
                0 => *canary.genuine(),
                _ => *canary.forged(),
            })
            .collect();
        let picks: Vec<u8> = (0..).take(count).collect();
        let mut outcomes = vec![Outcome::Forged; count];
        self.local
            .verify_window(SCHEME, &checks, &picks, &mut outcomes);
        outcomes
    }

    fn tier(&mut self) -> Tier {
        self.local.choose(SCHEME, 8)
    }

    fn state(&self) -> &'static state::State {
        self.states.of(SCHEME, tier::ceiling())
    }
}

use Outcome::{Forged, Genuine};
const EXPECTED: [Outcome; 8] = [
    Genuine, Forged, Genuine, Forged, Genuine, Forged, Genuine, Forged,
];

/// Nothing here makes sense where the reference verifies everything anyway.
fn kernels_are_allowed() -> bool {
    tier::ceiling() > Tier::AwsLc
}

/// Checks K6.
#[test]
fn every_kernel_gives_its_known_answers() {
    for scheme in Scheme::ALL {
        for tier in [Tier::Portable, Tier::Ifma] {
            if own::checks_min(scheme, tier).is_none() || tier > Tier::of_cpu() {
                continue;
            }
            warm_up(scheme);
            let canary = canary::of(scheme).expect("ready");
            assert!(canary.self_test(tier, own::find), "{scheme:?} {tier}");
        }
    }
}

/// Checks K6.
#[test]
fn every_known_answer_can_fail() {
    for scheme in Scheme::ALL {
        if own::checks_min(scheme, Tier::Ifma).is_none() {
            continue;
        }
        warm_up(scheme);
        let canary = canary::of(scheme).expect("ready");
        let right = |checks: &[&Check<'_>], findings: &mut [Finding]| {
            pretend(scheme, Tier::Ifma, checks, findings);
        };
        assert!(canary.gives(right), "{scheme:?}");
        // A kernel that is wrong about one signature, whichever, in one lane, whichever.
        for victim in canary.signatures() {
            for lane in 0..16 {
                let wrong = |checks: &[&Check<'_>], findings: &mut [Finding]| {
                    right(checks, findings);
                    if std::ptr::eq(checks[lane].signature, victim) {
                        findings[lane] = match findings[lane] {
                            Finding::Genuine => Finding::Forged,
                            _ => Finding::Genuine,
                        };
                    }
                };
                assert!(!canary.gives(wrong), "{scheme:?} lane {lane}");
            }
        }
    }
}

/// Checks K6.
#[test]
fn a_kernel_that_fails_its_self_test_never_works() {
    if !kernels_are_allowed() {
        return;
    }
    for manner in [Manner::AcceptsAll, Manner::RefusesAll, Manner::Undecided] {
        warm_up(SCHEME);
        let states: &'static States = Box::leak(Box::new(States::new()));
        let mut guarded = Guarded {
            local: Local::new(states, pretend),
            states,
        };
        MANNER.set(manner);
        assert_eq!(guarded.verify(8), EXPECTED);
        assert_eq!(guarded.tier(), Tier::AwsLc);
        assert!(!guarded.state().is_on());
        MANNER.set(Manner::Right);
        assert_eq!(guarded.tier(), Tier::AwsLc, "and stays off");
    }
}

/// Checks K9, K10.
#[test]
fn a_kernel_that_refuses_what_is_genuine_is_off_at_once_and_costs_nobody_a_verdict() {
    if !kernels_are_allowed() {
        return;
    }
    let mut guarded = Guarded::new();
    MANNER.set(Manner::RefusesAll);
    assert_eq!(guarded.verify(8), EXPECTED);
    assert!(!guarded.state().is_on());
    assert_eq!(guarded.verify(8), EXPECTED);
    ASKED.set(0);
    assert_eq!(guarded.verify(8), EXPECTED);
    assert_eq!(ASKED.get(), 0, "nobody asks any kernel any more");
}

/// Checks K7, K10.
#[test]
fn a_kernel_that_accepts_everything_is_caught_by_a_known_answer() {
    if !kernels_are_allowed() {
        return;
    }
    let mut guarded = Guarded::new();
    // Nothing else is to catch it.
    guarded.local.shadow = Budget::new(0);
    guarded.local.shadow.empty();
    MANNER.set(Manner::AcceptsAll);
    let windows = (1..=WINDOWS_PER_CANARY)
        .find(|_| {
            let outcomes = guarded.verify(8);
            let caught = !guarded.state().is_on();
            assert_eq!(
                outcomes == EXPECTED,
                caught,
                "the window that caught it is right"
            );
            caught
        })
        .expect("caught within as many windows as carry one canary");
    assert!(windows <= WINDOWS_PER_CANARY);
    assert_eq!(guarded.verify(8), EXPECTED);
}

/// Checks K8, K10.
#[test]
fn a_kernel_that_accepts_a_forgery_now_and_then_is_caught_by_its_shadow() {
    if !kernels_are_allowed() {
        return;
    }
    let mut guarded = Guarded::new();
    MANNER.set(Manner::AcceptsLast);
    let caught = (0..100_000).find(|_| {
        // No known answers, so that the last check is the forged one.
        guarded.local.windows = 0;
        guarded.local.shadow = Budget::new(SHADOW_PERMILLE);
        guarded.verify(2);
        !guarded.state().is_on()
    });
    assert!(caught.is_some());
    assert_eq!(guarded.verify(8), EXPECTED);
}

/// Checks K9.
#[test]
fn what_a_kernel_leaves_undecided_the_reference_decides() {
    if !kernels_are_allowed() {
        return;
    }
    let mut guarded = Guarded::new();
    guarded.local.windows = 0;
    MANNER.set(Manner::Undecided);
    assert_eq!(guarded.verify(8), EXPECTED);
    assert!(guarded.state().is_on(), "that is no disagreement");
}

/// Checks K9.
#[test]
fn without_time_for_confirmation_a_refusal_stands() {
    if !kernels_are_allowed() {
        return;
    }
    let mut guarded = Guarded::new();
    guarded.local.windows = 0;
    guarded.local.confirm = Budget::new(0);
    guarded.local.confirm.empty();
    MANNER.set(Manner::RefusesAll);
    assert_eq!(guarded.verify(8), [Forged; 8]);
    guarded.local.confirm = Budget::new(CONFIRM_PERMILLE);
    assert_eq!(guarded.verify(8), EXPECTED);
}

/// Checks K7.
#[test]
fn known_answers_stand_where_they_are_said_to_stand() {
    let canary = {
        warm_up(SCHEME);
        canary::of(SCHEME).expect("ready")
    };
    for count in 0..5 {
        for first in 0..=count {
            for second in 0..=count + 1 {
                let mut window = Window::new(count);
                for pick in 0..count {
                    window.push(canary.genuine(), u8::try_from(pick).expect("small"));
                }
                let [genuine, forged] = window.insert(canary, [first, second]);
                assert!(std::ptr::eq(window.checks[genuine], canary.genuine()));
                assert!(std::ptr::eq(window.checks[forged], canary.forged()));
                assert_eq!((window.picks[genuine], window.picks[forged]), (None, None));
                let picks: Vec<u8> = window.picks.iter().flatten().copied().collect();
                assert!(
                    picks
                        .iter()
                        .copied()
                        .eq(0..u8::try_from(count).expect("small"))
                );
            }
        }
    }
}

/// Checks K10.
#[test]
fn a_kernel_is_off_for_every_thread() {
    if !kernels_are_allowed() {
        return;
    }
    let guarded = Guarded::new();
    guarded
        .state()
        .trip(SCHEME, tier::ceiling(), Disagreement::Canary);
    let states = guarded.states;
    std::thread::spawn(move || {
        let mut other = Guarded {
            local: Local::new(states, pretend),
            states,
        };
        assert_eq!(other.tier(), tier::ceiling().below());
        assert_eq!(other.verify(8), EXPECTED);
    })
    .join()
    .expect("the other thread agrees");
}
