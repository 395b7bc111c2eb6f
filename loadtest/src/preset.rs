//! Runs that are asked for by name: a quick look at every transport, a minute of each, and the figures
//! that the documentation states.
#![forbid(unsafe_code)]

use crate::failure::Failure;
use crate::options::{EchoKind, Load, Preset, Transport};
use crate::report::Outcome;
use crate::run::{Cpus, Stage, Target};
use std::time::Duration;

/// A run to perform.
struct Item {
    title: String,
    load: Load,
    /// What the figures say about it, where something is promised.
    promise: Option<Promise>,
}

/// What the figures must reach.
#[derive(Clone, Copy)]
enum Promise {
    /// At least this share of the echo's rate.
    RatioAtLeast(f64),
    /// A median latency of at most this multiple of the echo's.
    LatencyAtMost(f64),
}

/// Every transport for a few seconds, with every class in the mix.
///
/// # Errors
/// [`Failure`] where a run gives no figures.
pub(crate) fn smoke(preset: &Preset) -> Result<Vec<Outcome>, Failure> {
    perform(preset, &smoke_items())
}

/// Every transport for a minute: good, forged, expired and malformed tokens mixed.
///
/// # Errors
/// [`Failure`] where a run gives no figures.
pub(crate) fn minute(preset: &Preset) -> Result<Vec<Outcome>, Failure> {
    perform(preset, &minute_items())
}

/// The figures of the documentation, each beside its ceiling.
///
/// # Errors
/// [`Failure`] where a run gives no figures.
pub(crate) fn figures(preset: &Preset) -> Result<Vec<Outcome>, Failure> {
    perform(preset, &figure_items())
}

fn perform(preset: &Preset, items: &[Item]) -> Result<Vec<Outcome>, Failure> {
    let chosen: Vec<Item> = items
        .iter()
        .filter(|item| {
            preset.transports.is_empty() || preset.transports.contains(&item.load.transport)
        })
        .map(|item| Item {
            title: item.title.clone(),
            load: Load {
                duration: preset.duration.unwrap_or(item.load.duration),
                ..item.load.clone()
            },
            promise: item.promise,
        })
        .collect();
    let cpus = Cpus::of(&preset.place)?;
    let mut outcomes = Vec::new();
    let loads: Vec<&Load> = chosen.iter().map(|item| &item.load).collect();
    let Some((first, others)) = loads.split_first() else {
        return Err(Failure::Usage(
            "none of its runs is over these transports".to_owned(),
        ));
    };
    let stage = Stage::set(first, others, &cpus, None)?;
    for item in &chosen {
        let target = Target::Spawned;
        let mut outcome = stage.perform(&item.title, &item.load, &target, &cpus, &preset.place)?;
        outcome
            .notes
            .extend(item.promise.map(|promise| promise.kept(&outcome)));
        eprint!("{}", crate::report::summary(&outcome));
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn smoke_items() -> Vec<Item> {
    Transport::ALL
        .into_iter()
        .map(|transport| Item {
            title: format!("Smoke: {}, everything in the mix", transport.name()),
            load: Load {
                algs: mix("ES256=5,RS256=1,HS256=3,EdDSA=1"),
                hit_ratio: 0.5,
                invalid_share: 0.4,
                frame_tokens: if transport == Transport::H1 { 1 } else { 16 },
                connections: 2,
                in_flight: 4,
                duration: Duration::from_secs(2),
                warmup: Duration::from_millis(200),
                rounds: 2,
                mint_seconds: Duration::from_secs(2),
                ..Load::of(transport)
            },
            promise: None,
        })
        .collect()
}

/// In an open loop, because a closed one would use up any number of fresh tokens within the minute. The
/// rates are a fraction of what one core does, so that nothing is shed and every verdict is one.
fn minute_items() -> Vec<Item> {
    Transport::ALL
        .into_iter()
        .map(|transport| {
            let (rate, frame_tokens) = match transport {
                Transport::Uds => (20_000, 16),
                Transport::H1 => (4_000, 1),
                Transport::H2 => (4_000, 1),
                Transport::Grpc => (8_000, 8),
            };
            Item {
                title: format!(
                    "A minute of {}: good, forged, expired, malformed",
                    transport.name()
                ),
                load: Load {
                    algs: mix("ES256=40,RS256=30,HS256=20,EdDSA=10"),
                    hit_ratio: 0.9,
                    invalid_share: 0.3,
                    frame_tokens,
                    connections: 4,
                    in_flight: 16,
                    rate: Some(rate),
                    duration: Duration::from_secs(60),
                    rounds: 1,
                    ceiling: false,
                    mint_seconds: Duration::from_secs(60),
                    ..Load::of(transport)
                },
                promise: None,
            }
        })
        .collect()
}

fn figure_items() -> Vec<Item> {
    let hits = |transport| Load {
        hit_ratio: 1.0,
        duration: Duration::from_secs(10),
        ..Load::of(transport)
    };
    vec![
        Item {
            title: "Unix socket, frames of 64 tokens, hits".to_owned(),
            load: hits(Transport::Uds),
            promise: Some(Promise::RatioAtLeast(0.6)),
        },
        Item {
            title: "Unix socket, frames of 64 tokens, hits; the echo sends frames back whole"
                .to_owned(),
            load: Load {
                echo: EchoKind::Full,
                ..hits(Transport::Uds)
            },
            promise: Some(Promise::RatioAtLeast(0.6)),
        },
        Item {
            title: "Unix socket, one token a frame, unloaded".to_owned(),
            load: Load {
                frame_tokens: 1,
                in_flight: 1,
                ..hits(Transport::Uds)
            },
            promise: Some(Promise::LatencyAtMost(1.5)),
        },
        Item {
            title: "HTTP/2, POST /v1/verify, hits".to_owned(),
            load: Load {
                frame_tokens: 1,
                connections: 2,
                in_flight: 32,
                ..hits(Transport::H2)
            },
            promise: Some(Promise::RatioAtLeast(0.5)),
        },
        Item {
            title: "Unix socket, frames of 64 tokens, distinct ES256".to_owned(),
            load: Load {
                duration: Duration::from_secs(10),
                ..Load::of(Transport::Uds)
            },
            promise: None,
        },
    ]
}

impl Promise {
    fn kept(self, outcome: &Outcome) -> String {
        let (what, found, kept) = match self {
            Self::RatioAtLeast(least) => {
                let found = outcome.ratio_to_ceiling();
                let what = format!("promised at least {least:.2} of the echo's rate");
                (what, found, found.is_some_and(|ratio| ratio >= least))
            }
            Self::LatencyAtMost(most) => {
                let found = outcome.latency_ratio();
                let what = format!("promised a p50 of at most {most:.2} times the echo's");
                (what, found, found.is_some_and(|ratio| ratio <= most))
            }
        };
        let found = found.map_or("nothing".to_owned(), |found| format!("{found:.2}"));
        format!(
            "{what}, found {found}: {}",
            if kept { "kept" } else { "NOT KEPT" }
        )
    }
}

fn mix(text: &str) -> crate::options::AlgMix {
    text.parse().expect("the presets' mixes are well formed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mix::Class;
    use crate::report::tests::outcome;

    #[test]
    fn every_preset_asks_for_what_the_command_line_would_take() {
        for item in [smoke_items(), minute_items(), figure_items()]
            .iter()
            .flatten()
        {
            assert!(item.load.check().is_ok(), "{}", item.title);
        }
        for items in [smoke_items(), minute_items(), figure_items()] {
            let minted = |item: &Item| (item.load.algs.clone(), item.load.token_bytes);
            let first = minted(&items[0]);
            assert!(
                items.iter().all(|item| minted(item) == first),
                "they share one stage"
            );
        }
    }

    #[test]
    fn smoke_and_minute_mix_every_class_over_every_transport() {
        for items in [smoke_items(), minute_items()] {
            let transports: Vec<Transport> = items.iter().map(|i| i.load.transport).collect();
            assert_eq!(transports, Transport::ALL);
            for item in items {
                assert_eq!(item.load.invalid_classes().len(), Class::COUNT - 1);
                assert!(item.load.algs.weighted().len() > 1);
            }
        }
    }

    #[test]
    fn a_promise_is_held_against_what_was_found() {
        let outcome = outcome();
        assert!(
            Promise::RatioAtLeast(0.5)
                .kept(&outcome)
                .ends_with("found 0.50: kept")
        );
        assert!(
            Promise::RatioAtLeast(0.6)
                .kept(&outcome)
                .ends_with("NOT KEPT")
        );
        assert!(
            Promise::LatencyAtMost(1.5)
                .kept(&outcome)
                .ends_with("found 1.00: kept")
        );
        assert!(
            Promise::LatencyAtMost(0.9)
                .kept(&outcome)
                .ends_with("NOT KEPT")
        );
    }
}
