//! The kinds of values that options take.
#![forbid(unsafe_code)]

use clap::ValueEnum;
use jotd::jose::Algorithm;
use jotd::limits::{FRAME_TOKENS_MAX, TOKEN_BYTES_DEFAULT};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// A way into the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// The binary protocol on the Unix socket.
    Uds,
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
    /// gRPC.
    Grpc,
}

/// A way to call gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GrpcCall {
    /// `Verify`.
    Unary,
    /// `VerifyBatch`.
    Batch,
    /// `VerifyStream`, one stream a connection.
    Stream,
}

/// What answers carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wanted {
    /// The verdict only.
    Verdict,
    /// The claims too.
    Claims,
}

/// What the echo answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EchoKind {
    /// An answer of jotd's own: the same bytes in, the same bytes out.
    Reply,
    /// The frame as it came: many more bytes out than jotd ever sends.
    Full,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// `HOST:PORT`.
    Tcp(String),
}

/// Algorithms with weights that add up to anything above zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AlgMix(Vec<(Algorithm, u32)>);

impl Transport {
    pub(crate) const ALL: [Self; 4] = [Self::Uds, Self::H1, Self::H2, Self::Grpc];

    /// The name on the command line and in the JSON line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uds => "uds",
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::Grpc => "grpc",
        }
    }
}

impl AlgMix {
    /// The algorithms with their weights.
    pub(crate) fn weighted(&self) -> &[(Algorithm, u32)] {
        &self.0
    }

    /// The algorithms.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.0.iter().map(|(alg, _)| *alg)
    }

    /// The one algorithm, or `mixed`.
    pub(crate) fn label(&self) -> &'static str {
        match self.0.as_slice() {
            [(alg, _)] => alg.name(),
            _ => "mixed",
        }
    }
}

impl std::fmt::Display for AlgMix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (alg, weight)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{alg}={weight}")?;
        }
        Ok(())
    }
}

impl FromStr for AlgMix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix: Vec<(Algorithm, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let alg = Algorithm::from_name(name.trim())
                .ok_or_else(|| format!("`{name}` is no algorithm that jotd verifies"))?;
            let weight = match weight.trim().parse() {
                Ok(weight @ 1..=1_000_000) => weight,
                _ => {
                    return Err(format!(
                        "the weight of {name} is a number from 1 to 1000000"
                    ));
                }
            };
            if mix.iter().any(|(other, _)| *other == alg) {
                return Err(format!("{name} is named twice"));
            }
            mix.push((alg, weight));
        }
        Ok(Self(mix))
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        if let Some(rest) = text.strip_prefix("http://") {
            let authority = rest.strip_suffix('/').unwrap_or(rest);
            let valid = authority.parse::<http::uri::Authority>();
            return match valid {
                Ok(parsed) if parsed.port_u16().is_some() => Ok(Self::Tcp(authority.to_owned())),
                _ => Err("a URL here is http://HOST:PORT".to_owned()),
            };
        }
        if text.contains("://") {
            return Err("only http:// URLs and Unix sockets are driven".to_owned());
        }
        Ok(Self::Unix(text.into()))
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(authority) => write!(f, "http://{authority}"),
        }
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a time is a number of seconds, a day at most".to_owned()),
    }
}

pub(super) fn count_to<const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MAX).contains(&count) => Ok(count),
        _ => Err(format!("a number from 1 to {MAX}")),
    }
}

pub(super) fn frame_tokens(text: &str) -> Result<usize, String> {
    count_to::<FRAME_TOKENS_MAX>(text)
}

pub(super) fn token_bytes(text: &str) -> Result<usize, String> {
    count_to::<TOKEN_BYTES_DEFAULT>(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_sockets_or_plain_urls() {
        let unix = |path: &str| Ok(Endpoint::Unix(path.into()));
        assert_eq!("/run/jotd/jotd.sock".parse(), unix("/run/jotd/jotd.sock"));
        assert_eq!("unix:a.sock".parse(), unix("a.sock"));
        for url in ["http://127.0.0.1:8484", "http://127.0.0.1:8484/"] {
            assert_eq!(url.parse(), Ok(Endpoint::Tcp("127.0.0.1:8484".into())));
        }
        for wrong in [
            "https://a:1",
            "http://a",
            "http://",
            "http://a:1/v1",
            "http://a b:1",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn mixes_have_weights_and_a_label() {
        let mix: AlgMix = "ES256=50,RS256=30,HS256".parse().expect("well formed");
        let weights: Vec<u32> = mix.weighted().iter().map(|(_, weight)| *weight).collect();
        assert_eq!(
            (weights.as_slice(), mix.label()),
            (&[50, 30, 1][..], "mixed")
        );
        let one: AlgMix = "EdDSA".parse().expect("well formed");
        assert_eq!(one.label(), "EdDSA");
    }
}
