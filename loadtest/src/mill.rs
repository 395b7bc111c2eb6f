//! Mints a whole run's tokens on every core, and decides how many fresh ones a run needs.
#![forbid(unsafe_code)]

use crate::corpus::Corpus;
use crate::keys::Trust;
use crate::mint::Minter;
use crate::mix::{Class, Layout};
use crate::options::{AlgMix, Load};
use crate::random::Random;
use indicatif::{ProgressBar, ProgressStyle};
use jotd::crypto::estimated_cost_ns;
use jotd::issuer::SigningError;
use jotd::jose::Algorithm;
use rayon::prelude::*;
use std::time::Instant;

/// What to mint.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Algorithms with weights.
    pub(crate) algs: AlgMix,
    /// Length of good tokens.
    pub(crate) token_bytes: usize,
    /// Good tokens that are asked for again and again.
    pub(crate) working_set: usize,
    /// Good tokens that are asked for once.
    pub(crate) fresh: usize,
    /// Classes that must be refused.
    pub(crate) invalid: Vec<Class>,
    /// Determines everything but keys and signatures.
    pub(crate) seed: u64,
    /// When the run begins, in seconds since the epoch.
    pub(crate) now: i64,
}

/// Tokens of each class that must be refused. They differ from each other, and that many of them keep the
/// server from being measured on one token.
const INVALID_TOKENS: usize = 256;

/// Fewer of those that are 16 times as long.
const TOO_LARGE_TOKENS: usize = 16;

/// Tokens that one task mints: enough to make tasks cheap, few enough to keep the cores evenly busy.
const CHUNK_TOKENS: usize = 64;

/// Tasks whose tokens wait to be laid into the arena.
const CHUNKS_AT_ONCE: usize = 64;

/// What a server does not undercut for any token, in nanoseconds: reading, digesting and answering.
const FLOOR_NS: f64 = 250.0;

impl Plan {
    /// What a load needs. `server_cpus` bounds how fast the server can use fresh tokens up.
    ///
    /// A closed loop's need is not known before it runs, so it is estimated from what verification costs;
    /// whatever the estimate, memory and minting time are bounded, and a run whose tokens are used up
    /// ends early and says so.
    ///
    /// # Errors
    /// [`SigningError`] where a key does not sign.
    pub(crate) fn of(
        load: &Load,
        trust: &Trust,
        server_cpus: usize,
        now: i64,
    ) -> Result<Self, SigningError> {
        let mut plan = Self {
            algs: load.algs.clone(),
            token_bytes: load.token_bytes,
            working_set: if load.hit_ratio > 0.0 {
                load.working_set
            } else {
                0
            },
            fresh: 0,
            invalid: load.invalid_classes(),
            seed: load.seed,
            now,
        };
        plan.fresh = match load.pool_tokens {
            Some(tokens) => tokens,
            None => {
                let memory = load.pool_mib * 1024 * 1024 / load.token_bytes.max(1);
                let minting = plan.minted_in(trust, load.mint_seconds.as_secs_f64())?;
                plan.needed(load, server_cpus).min(memory).min(minting)
            }
        };
        Ok(plan)
    }

    /// Mints for another load too. What they share is used by one after the other, each on a server that
    /// knows none of it.
    pub(crate) fn cover(&mut self, other: &Self) {
        debug_assert_eq!(
            (&self.algs, self.token_bytes),
            (&other.algs, other.token_bytes)
        );
        self.working_set = self.working_set.max(other.working_set);
        self.fresh = self.fresh.max(other.fresh);
        for class in &other.invalid {
            if !self.invalid.contains(class) {
                self.invalid.push(*class);
            }
        }
    }

    /// Fresh tokens that the load can use at most.
    fn needed(&self, load: &Load, server_cpus: usize) -> usize {
        let fresh_share = (1.0 - load.invalid_share) * (1.0 - load.hit_ratio);
        let rate = match load.rate {
            Some(rate) => rate as f64,
            None => {
                let verify_ns = self.mean(|alg| {
                    let signature_bytes = if alg.name().starts_with(['R', 'P']) {
                        256
                    } else {
                        64
                    };
                    estimated_cost_ns(alg.scheme(), signature_bytes) as f64
                });
                // The estimates schedule work and are rough; twice their rate is beyond any kernel here.
                2.0 * server_cpus.max(1) as f64 * 1e9 / (FLOOR_NS + fresh_share * verify_ns)
            }
        };
        let seconds = (load.duration + load.warmup).as_secs_f64();
        // A hundredth more: shares are kept on average only.
        (rate * fresh_share * seconds * 1.01).ceil() as usize
    }

    /// Fresh tokens that can be minted in that time, as measured on a few.
    fn minted_in(&self, trust: &Trust, seconds: f64) -> Result<usize, SigningError> {
        let mut ns = Vec::new();
        for alg in self.algs.algorithms() {
            let issuer = trust
                .issuer(alg)
                .expect("keys are made for every algorithm");
            let minter = Minter::new(issuer, self.now, self.token_bytes)?;
            let mut random = Random::new(self.seed);
            let start = Instant::now();
            for _ in 0..TRIALS {
                minter.mint(Class::Good, &mut random)?;
            }
            ns.push((alg, start.elapsed().as_nanos() as f64 / f64::from(TRIALS)));
        }
        let mean_ns = self.mean(|alg| {
            let measured = ns.iter().find(|(measured, _)| *measured == alg);
            measured.map_or(1.0, |(_, ns)| *ns)
        });
        let cores = rayon::current_num_threads() as f64;
        Ok((seconds * 1e9 * cores / mean_ns.max(1.0)) as usize)
    }

    fn mean(&self, of: impl Fn(Algorithm) -> f64) -> f64 {
        let weights = self.algs.weighted().iter();
        let (sum, total) = weights.fold((0.0, 0.0), |(sum, total), (alg, weight)| {
            (
                sum + f64::from(*weight) * of(*alg),
                total + f64::from(*weight),
            )
        });
        sum / total
    }

    /// The sections of the corpus, in order.
    fn sections(&self) -> Vec<(Class, usize)> {
        let mut sections = vec![(Class::Good, self.working_set), (Class::Good, self.fresh)];
        sections.extend(self.invalid.iter().map(|&class| match class {
            Class::TooLarge => (class, TOO_LARGE_TOKENS),
            _ => (class, INVALID_TOKENS),
        }));
        sections
    }
}

/// Tokens minted to see how long it takes.
const TRIALS: u32 = 8;

/// Mints what the plan says.
///
/// # Errors
/// [`SigningError`] where a key does not sign.
pub(crate) fn mint(plan: &Plan, trust: &Trust) -> Result<Corpus, SigningError> {
    let minters = plan
        .algs
        .weighted()
        .iter()
        .map(|&(alg, weight)| {
            let issuer = trust
                .issuer(alg)
                .expect("keys are made for every algorithm");
            Minter::new(issuer, plan.now, plan.token_bytes).map(|minter| (minter, weight))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let sections: Vec<(Class, usize)> = plan
        .sections()
        .into_iter()
        .filter(|(class, _)| minters.iter().any(|(minter, _)| minter.can(*class)))
        .collect();
    let tokens: usize = sections.iter().map(|(_, count)| count).sum();
    let mut corpus = Corpus::default();
    corpus.reserve(tokens, tokens * plan.token_bytes);
    let progress = progress(tokens);
    let mut ranges = Vec::new();
    for (number, &(class, count)) in sections.iter().enumerate() {
        let start = corpus.len();
        let seed = Random::new(plan.seed ^ (number as u64).rotate_left(48)).bits();
        mint_section(&minters, class, count, seed, &mut corpus, &progress)?;
        ranges.push((class, start..corpus.len()));
    }
    progress.finish_and_clear();
    let mut ranges = ranges.into_iter();
    let mut good = || ranges.next().map(|(_, range)| range).unwrap_or_default();
    corpus.layout = Layout {
        working_set: good(),
        fresh: good(),
        invalid: ranges.collect(),
    };
    Ok(corpus)
}

fn mint_section(
    minters: &[(Minter<'_>, u32)],
    class: Class,
    count: usize,
    seed: u64,
    corpus: &mut Corpus,
    progress: &ProgressBar,
) -> Result<(), SigningError> {
    let chunks: Vec<usize> = (0..count).step_by(CHUNK_TOKENS).collect();
    for at_once in chunks.chunks(CHUNKS_AT_ONCE) {
        let minted = at_once
            .par_iter()
            .map(|&from| {
                (from..count.min(from + CHUNK_TOKENS))
                    // A sequence of its own for each token: which thread mints it changes nothing.
                    .map(|index| mint_one(minters, class, Random::new(seed ^ index as u64)))
                    .collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        for token in minted.iter().flatten() {
            corpus.push(class, token);
            progress.inc(1);
        }
    }
    Ok(())
}

fn mint_one(
    minters: &[(Minter<'_>, u32)],
    class: Class,
    mut random: Random,
) -> Result<Vec<u8>, SigningError> {
    let able = || minters.iter().filter(|(minter, _)| minter.can(class));
    let mut point = random.index(able().map(|(_, weight)| weight).sum());
    for (minter, weight) in able() {
        if point < *weight {
            return minter.mint(class, &mut random);
        }
        point -= weight;
    }
    unreachable!("a point below the sum of weights lies within one of them")
}

/// A bar on stderr where that is a terminal; indicatif draws nothing elsewhere.
fn progress(tokens: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("minting {wide_bar} {pos}/{len} tokens, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(tokens as u64).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Transport;
    use std::time::Duration;

    fn trust() -> Trust {
        let algs = [Algorithm::Es256, Algorithm::Hs256];
        Trust::generate(algs.into_iter()).expect("keys")
    }

    fn load() -> Load {
        Load {
            algs: "ES256=1,HS256=3".parse().expect("well formed"),
            invalid_share: 0.5,
            hit_ratio: 0.5,
            working_set: 100,
            ..Load::of(Transport::Uds)
        }
    }

    #[test]
    fn the_corpus_is_laid_out_as_planned_and_the_same_for_one_seed() {
        let trust = trust();
        let plan = Plan {
            fresh: 130,
            ..Plan::of(&load(), &trust, 1, 1_800_000_000).expect("keys sign")
        };
        let corpus = mint(&plan, &trust).expect("keys sign");
        let layout = &corpus.layout;
        assert_eq!(
            (layout.working_set.clone(), layout.fresh.clone()),
            (0..100, 100..230)
        );
        assert_eq!(layout.invalid.len(), Class::COUNT - 1);
        for (class, range) in &layout.invalid {
            assert!(range.clone().all(|token| corpus.class(token) == *class));
        }
        // Signatures differ from run to run, for ECDSA draws nonces; what is signed does not.
        let again = mint(&plan, &trust).expect("keys sign");
        let signed = |corpus: &Corpus, token| {
            let text = corpus.token(token).to_vec();
            let dot = text.iter().rposition(|&byte| byte == b'.');
            text[..dot.unwrap_or(text.len())].to_vec()
        };
        for token in 0..230 {
            assert_eq!(signed(&corpus, token), signed(&again, token));
        }
        let mut distinct: Vec<&[u8]> = (0..230).map(|token| corpus.token(token)).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 230);
    }

    #[test]
    fn the_pool_is_what_the_load_can_use_within_its_bounds() {
        let trust = trust();
        let fresh = |load: &Load| {
            let plan = Plan::of(load, &trust, 1, 1_800_000_000);
            plan.expect("keys sign").fresh
        };
        let open = Load {
            rate: Some(1_000),
            duration: Duration::from_secs(9),
            warmup: Duration::from_secs(1),
            ..load()
        };
        assert_eq!(
            fresh(&open),
            2_525,
            "a quarter of 10,000, and a hundredth more"
        );
        let hits = Load {
            hit_ratio: 1.0,
            ..load()
        };
        assert_eq!(fresh(&hits), 0);
        let little_memory = Load {
            pool_mib: 1,
            ..load()
        };
        assert_eq!(fresh(&little_memory), 1_024);
        let no_time = Load {
            mint_seconds: Duration::ZERO,
            ..load()
        };
        assert_eq!(fresh(&no_time), 0);
        let mut plan = Plan::of(&hits, &trust, 1, 0).expect("keys sign");
        plan.cover(&Plan::of(&open, &trust, 1, 0).expect("keys sign"));
        assert_eq!(
            (plan.fresh, plan.working_set, plan.invalid.len()),
            (2_525, 100, 17)
        );
        let given = Load {
            pool_tokens: Some(7),
            ..load()
        };
        assert_eq!(fresh(&given), 7);
    }
}
