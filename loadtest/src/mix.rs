//! What is asked, and what must be answered: the classes of tokens, and the seeded choice among them.
//!
//! A load test that does not check its answers measures how fast a server can be wrong. Every class
//! states the one verdict it must get; `mint::tests` proves the table against the library itself.
#![forbid(unsafe_code)]

use crate::random::{Random, threshold};
use jotd::verdict::Reason;
use std::ops::Range;

/// A kind of token, known when it is minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
#[repr(u8)]
pub(crate) enum Class {
    /// Signed by a trusted key, for this audience, now.
    Good,
    /// One bit of the signature is flipped.
    Forged,
    /// The claims were changed after signing.
    Tampered,
    /// Cut before the second dot, as by a header that was too long for somebody.
    Truncated,
    /// Not a token at all.
    Garbage,
    /// A member occurs twice in the signed claims.
    DuplicateMember,
    /// `alg` is `none` (RFC 8725 §3.2).
    AlgNone,
    /// The header claims another algorithm than the key is for (RFC 8725 §2.1).
    AlgSwapped,
    /// `crit` names an extension that nobody knows (RFC 7515 §4.1.11).
    UnknownCritical,
    /// An `iss` that is not configured, under a trusted key.
    UnknownIssuer,
    /// A `kid` that the issuer does not have.
    UnknownKid,
    /// Expired an hour ago.
    Expired,
    /// `nbf` lies a day ahead.
    NotYetValid,
    /// `iat` lies a day ahead.
    IssuedInFuture,
    /// For somebody else.
    WrongAudience,
    /// Has no `exp`, so it would live for ever.
    MissingExpiry,
    /// `exp` is a string.
    InvalidExpiry,
    /// Longer than the server reads.
    TooLarge,
}

impl Class {
    /// Every class, in the order of the report.
    pub(crate) const ALL: [Self; 18] = [
        Self::Good,
        Self::Forged,
        Self::Tampered,
        Self::Truncated,
        Self::Garbage,
        Self::DuplicateMember,
        Self::AlgNone,
        Self::AlgSwapped,
        Self::UnknownCritical,
        Self::UnknownIssuer,
        Self::UnknownKid,
        Self::Expired,
        Self::NotYetValid,
        Self::IssuedInFuture,
        Self::WrongAudience,
        Self::MissingExpiry,
        Self::InvalidExpiry,
        Self::TooLarge,
    ];

    /// How many classes there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Every class that must be refused.
    pub(crate) fn invalid() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|class| *class != Self::Good)
    }

    /// The reason for which the server must refuse it; `None` where it must trust it.
    pub(crate) const fn expected(self) -> Option<Reason> {
        match self {
            Self::Good => None,
            Self::Forged | Self::Tampered => Some(Reason::BadSignature),
            Self::Truncated | Self::Garbage | Self::DuplicateMember => Some(Reason::Malformed),
            Self::AlgNone => Some(Reason::UnsupportedAlg),
            Self::AlgSwapped => Some(Reason::AlgNotAllowed),
            Self::UnknownCritical => Some(Reason::UnknownCritical),
            Self::UnknownIssuer => Some(Reason::UnknownIssuer),
            Self::UnknownKid => Some(Reason::UnknownKid),
            Self::Expired => Some(Reason::Expired),
            Self::NotYetValid => Some(Reason::NotYetValid),
            Self::IssuedInFuture => Some(Reason::IssuedInFuture),
            Self::WrongAudience => Some(Reason::WrongAudience),
            Self::MissingExpiry => Some(Reason::MissingClaim),
            Self::InvalidExpiry => Some(Reason::InvalidClaim),
            Self::TooLarge => Some(Reason::TooLarge),
        }
    }

    /// Its name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Forged => "forged",
            Self::Tampered => "tampered",
            Self::Truncated => "truncated",
            Self::Garbage => "garbage",
            Self::DuplicateMember => "duplicate-member",
            Self::AlgNone => "alg-none",
            Self::AlgSwapped => "alg-swapped",
            Self::UnknownCritical => "unknown-critical",
            Self::UnknownIssuer => "unknown-issuer",
            Self::UnknownKid => "unknown-kid",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::IssuedInFuture => "issued-in-future",
            Self::WrongAudience => "wrong-audience",
            Self::MissingExpiry => "missing-expiry",
            Self::InvalidExpiry => "invalid-expiry",
            Self::TooLarge => "too-large",
        }
    }

    /// How often it occurs among the invalid. The oversized are rare: at 16 times the bytes of the
    /// others, an equal share would turn every mix into a test of `memcpy`.
    const fn weight(self) -> u32 {
        match self {
            Self::Good => 0,
            Self::TooLarge => 1,
            _ => 16,
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where in the corpus each kind of token lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Good tokens that are asked for again and again.
    pub(crate) working_set: Range<u32>,
    /// Good tokens that are asked for once.
    pub(crate) fresh: Range<u32>,
    /// Tokens that must be refused, by class. They are asked for again and again: nothing that was
    /// refused is ever cached, so it costs the server the same each time.
    pub(crate) invalid: Vec<(Class, Range<u32>)>,
}

impl Layout {
    /// The part of this layout that one of several threads may use: its own fresh tokens, and all of
    /// the rest.
    pub(crate) fn part(&self, index: usize, of: usize) -> Self {
        let length = self.fresh.len();
        let cut = |i: usize| {
            self.fresh.start + u32::try_from(length * i / of).expect("a part is not more than all")
        };
        Self {
            fresh: cut(index)..cut(index + 1),
            ..self.clone()
        }
    }
}

/// The shares of a mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shares {
    /// Share of all tokens that must be refused, from 0 to 1.
    pub(crate) invalid: f64,
    /// Share of good tokens that come from the working set, from 0 to 1.
    pub(crate) hits: f64,
}

/// Chooses one token after the other. The same seed, shares and layout choose the same tokens.
#[derive(Clone)]
pub(crate) struct Picker {
    random: Random,
    invalid_below: u64,
    hit_below: u64,
    layout: Layout,
    /// Cumulative weights of `layout.invalid`.
    weights: Vec<u32>,
    /// Fresh tokens to start over with, where using one twice does no harm.
    recycled: Option<Range<u32>>,
}

impl Picker {
    /// A picker over a layout.
    pub(crate) fn new(seed: u64, shares: Shares, layout: Layout) -> Self {
        let weights = layout
            .invalid
            .iter()
            .scan(0, |sum, (class, _)| {
                *sum += class.weight();
                Some(*sum)
            })
            .collect();
        Self {
            random: Random::new(seed),
            invalid_below: threshold(shares.invalid),
            hit_below: threshold(shares.hits),
            layout,
            weights,
            recycled: None,
        }
    }

    /// The same choice out of one part in `parts` of the fresh tokens, for a span that must leave the rest.
    pub(crate) fn lend(&self, parts: u32) -> Self {
        let mut lent = self.clone();
        let fresh = &mut lent.layout.fresh;
        fresh.end = fresh.start + (fresh.end - fresh.start) / parts.max(1);
        lent
    }

    /// Goes on where the span ended that this was lent to.
    pub(crate) fn resume(&mut self, lent: Self) {
        let end = self.layout.fresh.end;
        *self = lent;
        self.layout.fresh.end = end;
    }

    /// The same choice for a server that remembers nothing: when the fresh tokens have been used, it
    /// starts over with those there are now.
    pub(crate) fn recycling(mut self) -> Self {
        self.recycled = Some(self.layout.fresh.clone());
        self
    }

    /// The next token's number, or `None` when a fresh one was due and all have been used: a token used
    /// twice would be answered from the cache and be counted as what it is not.
    pub(crate) fn pick(&mut self) -> Option<u32> {
        if self.random.below(self.invalid_below) {
            let total = self.weights.last().copied().unwrap_or(0);
            let point = self.random.index(total);
            let class = self.weights.partition_point(|&sum| sum <= point);
            let (_, range) = self.layout.invalid.get(class)?;
            return Some(range.start + self.random.index(range.end - range.start));
        }
        if self.random.below(self.hit_below) {
            let range = &self.layout.working_set;
            return Some(range.start + self.random.index(range.end - range.start));
        }
        self.layout.fresh.next().or_else(|| {
            self.layout.fresh = self.recycled.clone()?;
            self.layout.fresh.next()
        })
    }

    /// Fills a frame with `count` tokens. False when there are no more; the frame is then left empty.
    pub(crate) fn fill(&mut self, count: usize, frame: &mut Vec<u32>) -> bool {
        frame.clear();
        for _ in 0..count {
            let Some(token) = self.pick() else {
                frame.clear();
                return false;
            };
            frame.push(token);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            working_set: 0..100,
            fresh: 100..1_100,
            invalid: Class::invalid()
                .enumerate()
                .map(|(i, class)| {
                    let start = 1_100 + u32::try_from(i).expect("few classes") * 10;
                    (class, start..start + 10)
                })
                .collect(),
        }
    }

    fn class_of(layout: &Layout, token: u32) -> Option<Class> {
        layout
            .invalid
            .iter()
            .find(|(_, range)| range.contains(&token))
            .map(|(class, _)| *class)
    }

    #[test]
    fn the_same_seed_asks_for_the_same_tokens() {
        let shares = Shares {
            invalid: 0.3,
            hits: 0.5,
        };
        let sequence = |seed| -> Vec<Option<u32>> {
            let mut picker = Picker::new(seed, shares, layout());
            (0..1_000).map(|_| picker.pick()).collect()
        };
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
    }

    #[test]
    fn shares_are_kept_and_every_class_occurs() {
        let layout = layout();
        let shares = Shares {
            invalid: 0.4,
            hits: 0.9,
        };
        let mut picker = Picker::new(1, shares, layout.clone());
        let (mut hits, mut fresh, mut invalid) = (0, 0, [0; Class::COUNT]);
        for _ in 0..10_000 {
            let token = picker.pick().expect("600 fresh tokens of 1000 are due");
            match class_of(&layout, token) {
                Some(class) => invalid[class as usize] += 1,
                None if layout.working_set.contains(&token) => hits += 1,
                None => fresh += 1,
            }
        }
        // Ten standard deviations of a binomial with n = 10,000 are below 500.
        assert!(i32::abs(hits - 5_400) < 500, "{hits} hits");
        assert!(i32::abs(fresh - 600) < 250, "{fresh} fresh");
        for class in Class::invalid() {
            assert!(invalid[class as usize] > 0, "{class} never occurred");
        }
    }

    #[test]
    fn all_and_nothing_are_exact() {
        let all_hits = Shares {
            invalid: 0.0,
            hits: 1.0,
        };
        let mut picker = Picker::new(3, all_hits, layout());
        assert!((0..10_000).all(|_| picker.pick().is_some_and(|token| token < 100)));

        let all_invalid = Shares {
            invalid: 1.0,
            hits: 1.0,
        };
        let mut picker = Picker::new(3, all_invalid, layout());
        assert!((0..10_000).all(|_| picker.pick().is_some_and(|token| token >= 1_100)));
    }

    #[test]
    fn a_fresh_token_is_used_once_and_then_there_are_none() {
        let all_fresh = Shares {
            invalid: 0.0,
            hits: 0.0,
        };
        let mut used: Vec<u32> = Vec::new();
        for part in 0..3 {
            let mut picker = Picker::new(9, all_fresh, layout().part(part, 3));
            used.extend(std::iter::from_fn(|| picker.pick()));
            let mut frame = vec![1];
            assert!(!picker.fill(4, &mut frame) && frame.is_empty());
        }
        let mut whole = Picker::new(9, all_fresh, layout());
        let mut lent = whole.lend(4);
        let mut lent_out: Vec<u32> = std::iter::from_fn(|| lent.pick()).collect();
        whole.resume(lent);
        lent_out.extend(std::iter::from_fn(|| whole.pick()));
        assert_eq!(
            lent_out,
            (100..1_100).collect::<Vec<u32>>(),
            "none is lost or used twice"
        );
        let mut recycling = Picker::new(9, all_fresh, layout().part(0, 500)).recycling();
        assert!(
            (0..5).all(|_| recycling.pick().is_some()),
            "two tokens, over and over"
        );
        used.sort_unstable();
        assert_eq!(used, (100..1_100).collect::<Vec<u32>>());
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        use clap::ValueEnum;
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index, "reports index by class");
            let value = class.to_possible_value().expect("no class is hidden");
            assert_eq!(value.get_name(), class.name());
        }
    }
}
