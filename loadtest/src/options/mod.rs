//! The command line: what is typed, checked as it is read.
#![forbid(unsafe_code)]

mod values;

pub(crate) use values::{AlgMix, EchoKind, Endpoint, GrpcCall, Transport, Wanted};

use crate::cpu::CpuList;
use crate::mix::{Class, Shares};
use crate::pace::{Arrivals, Pace};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use values::{count_to, frame_tokens, seconds, share, token_bytes};

/// Drives jotd from outside: tokens with known verdicts, latency from the intended start, and the
/// transport's own ceiling in the same run.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, max_term_width = 100)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Drives one transport with one mix.
    Run(Box<Run>),
    /// Drives every transport for a few seconds with everything in the mix.
    Smoke(Preset),
    /// Drives every transport for a minute with good, forged, expired and malformed tokens.
    Minute(Preset),
    /// Measures the figures of docs/performance.md, each beside its ceiling.
    Figures(Preset),
    /// Serves as the ceiling: the same bytes in, the same bytes out, and nothing decided.
    Echo(Echo),
    /// Writes keys and a configuration for a server of your own, to be driven with --target and --keys.
    Prepare(Prepare),
    /// Becomes another program, confined to some CPUs; how servers are started.
    #[command(hide = true)]
    Confine(Confine),
}

/// `loadtest run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) load: Load,
    /// The server to drive: a socket's path, unix:PATH, or http://HOST:PORT. Without it, one is started.
    #[arg(
        long,
        value_name = "PATH|URL",
        requires = "keys",
        conflicts_with = "spawn"
    )]
    pub(crate) target: Option<Endpoint>,
    /// Starts a server of its own with a generated configuration; the default without --target.
    #[arg(long)]
    pub(crate) spawn: bool,
    /// Process id of the server given with --target, to account for its CPU time.
    #[arg(long, value_name = "PID", requires = "target")]
    pub(crate) server_pid: Option<u32>,
    /// Directory written by `loadtest prepare`, whose keys the server trusts.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What is asked, how, and how fast.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    /// The way in.
    #[arg(long, value_enum, default_value = "uds")]
    pub(crate) transport: Transport,
    /// How gRPC is called; unary asks one token a call. Unset: unary for one token a frame, else batch.
    #[arg(long, value_enum)]
    pub(crate) grpc_call: Option<GrpcCall>,
    /// Algorithms with their weights.
    #[arg(long, value_name = "ALG=WEIGHT,…", default_value = "ES256")]
    pub(crate) algs: AlgMix,
    /// Share of good tokens that were asked for before, so that the server's cache may know them.
    #[arg(long, value_name = "0..1", default_value = "0", value_parser = share)]
    pub(crate) hit_ratio: f64,
    /// Share of tokens that must be refused.
    #[arg(long, value_name = "0..1", default_value = "0", value_parser = share)]
    pub(crate) invalid_share: f64,
    /// Classes of tokens that must be refused; all of them unless given.
    #[arg(long, value_enum, value_name = "CLASS,…", value_delimiter = ',')]
    pub(crate) invalid_classes: Vec<Class>,
    /// Tokens in a frame, a batch call or a stream message.
    #[arg(long, value_name = "N", default_value = "64", value_parser = frame_tokens)]
    pub(crate) frame_tokens: usize,
    /// Length of good tokens, in bytes; claims are padded to reach it.
    #[arg(long, value_name = "N", default_value = "1024", value_parser = token_bytes)]
    pub(crate) token_bytes: usize,
    /// Open connections.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count_to::<1024>)]
    pub(crate) connections: usize,
    /// Frames in flight on each connection. HTTP/1.1 has one whatever is given.
    #[arg(long, value_name = "N", default_value = "8", value_parser = count_to::<128>)]
    pub(crate) in_flight: usize,
    /// Measured time, in seconds.
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Time before measuring, in seconds.
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) warmup: Duration,
    /// Open loop: tokens a second by a timetable. Unset: closed loop, as fast as answers come.
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) rate: Option<u64>,
    /// How the starts of an open loop lie in time.
    #[arg(long, value_enum, default_value = "even", requires = "rate")]
    pub(crate) arrivals: Arrivals,
    /// What the answers carry.
    #[arg(long, value_enum, default_value = "verdict")]
    pub(crate) want: Wanted,
    /// Good tokens that hits are drawn from.
    #[arg(long, value_name = "N", default_value = "4096", value_parser = count_to::<1_000_000>)]
    pub(crate) working_set: usize,
    /// Fresh tokens to mint. Unset: what the run can use, within --pool-mib and --mint-seconds.
    #[arg(long, value_name = "N", value_parser = count_to::<100_000_000>)]
    pub(crate) pool_tokens: Option<usize>,
    /// Most memory for fresh tokens, in MiB.
    #[arg(long, value_name = "MIB", default_value = "512", value_parser = count_to::<65_536>)]
    pub(crate) pool_mib: usize,
    /// Longest time to spend on minting fresh tokens, in seconds.
    #[arg(long, value_name = "S", default_value = "30", value_parser = seconds)]
    pub(crate) mint_seconds: Duration,
    /// Rounds that the measured time is cut into; with a ceiling, each follows a round of the echo.
    #[arg(long, value_name = "N", default_value = "5", value_parser = count_to::<1000>)]
    pub(crate) rounds: usize,
    /// Drives the bare echo in the same run.
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1,
          default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) ceiling: bool,
    /// What the echo answers with: as many bytes as jotd does, or each frame as it came (Unix socket only).
    #[arg(long, value_enum, default_value = "reply")]
    pub(crate) echo: EchoKind,
    /// Determines the sequence of classes and tokens.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
}

/// Which binary runs where.
#[derive(Args, Clone, Debug)]
pub(crate) struct Place {
    /// The jotd to start. Unset: the one beside this binary.
    #[arg(long, value_name = "PATH")]
    pub(crate) jotd: Option<PathBuf>,
    /// CPUs of the server and of the echo. Unset: all but the last.
    #[arg(long, value_name = "LIST")]
    pub(crate) server_cpus: Option<CpuList>,
    /// CPUs of the client, one thread on each. Unset: the last.
    #[arg(long, value_name = "LIST")]
    pub(crate) client_cpus: Option<CpuList>,
}

/// Where the results go.
#[derive(Args, Clone, Debug)]
pub(crate) struct Output {
    /// Prints one JSON object a run to stdout.
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes a self-contained HTML report.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// `loadtest smoke`, `minute` and `figures`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Preset {
    /// Measured time of each run, in seconds, instead of the preset's own.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
    /// Only these transports.
    #[arg(long, value_enum, value_name = "TRANSPORT,…", value_delimiter = ',')]
    pub(crate) transports: Vec<Transport>,
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `loadtest echo`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Echo {
    /// What it pretends to be.
    #[arg(long, value_enum, default_value = "uds")]
    pub(crate) transport: Transport,
    /// Where it listens: a socket's path, unix:PATH, or http://HOST:PORT.
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) listen: Endpoint,
    /// The answer, verbatim: a frame, a body or a message as a server once sent it. Unset: made of valid
    /// verdicts, as many as the frame has tokens.
    #[arg(long, value_name = "FILE")]
    pub(crate) reply: Option<PathBuf>,
    /// Sends each frame back as it came (Unix socket only).
    #[arg(long, conflicts_with = "reply")]
    pub(crate) full_echo: bool,
}

/// `loadtest prepare`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Prepare {
    /// Directory for the keys, the key sets and jotd.toml; made if it does not exist.
    pub(crate) directory: PathBuf,
    /// The algorithms to make keys for.
    #[arg(long, value_name = "ALG,…", default_value = "ES256,RS256,HS256")]
    pub(crate) algs: AlgMix,
}

/// `loadtest confine`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Confine {
    /// The CPUs.
    #[arg(long, value_name = "LIST")]
    pub(crate) cpus: CpuList,
    /// The program and its arguments.
    #[arg(required = true, last = true)]
    pub(crate) program: Vec<OsString>,
}

impl Load {
    /// A load of one transport with the defaults of the command line.
    pub(crate) fn of(transport: Transport) -> Self {
        #[derive(Parser)]
        struct Defaults {
            #[command(flatten)]
            load: Load,
        }
        let defaults = Defaults::parse_from(["defaults"]);
        Self {
            transport,
            ..defaults.load
        }
    }

    /// Frames in flight on one connection: HTTP/1.1 answers in order, and nobody pipelines it.
    pub(crate) fn in_flight(&self) -> usize {
        match self.transport {
            Transport::H1 => 1,
            _ => self.in_flight,
        }
    }

    /// The shares of the mix.
    pub(crate) fn shares(&self) -> Shares {
        Shares {
            invalid: self.invalid_share,
            hits: self.hit_ratio,
        }
    }

    /// The pace.
    pub(crate) fn pace(&self) -> Pace {
        match self.rate {
            None => Pace::Closed,
            Some(tokens_per_second) => Pace::Open {
                tokens_per_second,
                arrivals: self.arrivals,
            },
        }
    }

    /// How gRPC is called.
    pub(crate) fn grpc_call(&self) -> GrpcCall {
        self.grpc_call.unwrap_or(match self.frame_tokens {
            1 => GrpcCall::Unary,
            _ => GrpcCall::Batch,
        })
    }

    /// Classes of tokens that must be refused.
    pub(crate) fn invalid_classes(&self) -> Vec<Class> {
        let chosen =
            |class: &Class| self.invalid_classes.is_empty() || self.invalid_classes.contains(class);
        if self.invalid_share > 0.0 {
            Class::invalid().filter(chosen).collect()
        } else {
            Vec::new()
        }
    }

    /// What no single option shows to be wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.invalid_classes.contains(&Class::Good) {
            return Err("--invalid-classes: good tokens are not to be refused".to_owned());
        }
        if self.transport == Transport::Grpc
            && self.grpc_call == Some(GrpcCall::Unary)
            && self.frame_tokens != 1
        {
            return Err("--grpc-call unary asks one token a call: add --frame-tokens 1".to_owned());
        }
        if self.echo == EchoKind::Full && self.transport != Transport::Uds {
            return Err(
                "--echo full: only the Unix socket's frames are sent back whole".to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn load(arguments: &[&str]) -> Result<Load, clap::Error> {
        let line = ["loadtest", "run"].iter().chain(arguments);
        Options::try_parse_from(line).map(|options| match options.command {
            Command::Run(run) => run.load,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_command_line_has_no_contradictions() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_preset_s_defaults_are_those_of_the_command_line() {
        let typed = load(&["--transport", "h2"]).expect("every option has a default");
        assert_eq!(
            format!("{typed:?}"),
            format!("{:?}", Load::of(Transport::H2))
        );
        assert!(typed.ceiling && typed.check().is_ok());
        assert_eq!(typed.pace(), Pace::Closed);
    }

    #[test]
    fn nonsense_is_refused_where_it_is_typed() {
        for wrong in [
            ["--hit-ratio", "1.1"],
            ["--invalid-share", "nan"],
            ["--frame-tokens", "0"],
            ["--frame-tokens", "1025"],
            ["--algs", "none"],
            ["--algs", "ES256,ES256"],
            ["--algs", "ES256=0"],
            ["--rate", "0"],
            ["--duration", "-1"],
            ["--arrivals", "poisson"],
            ["--target", "/run/jotd.sock"],
            ["--server-pid", "1"],
        ] {
            assert!(load(&wrong).is_err(), "{wrong:?}");
        }
        let unary = load(&["--transport", "grpc", "--grpc-call", "unary"]).expect("parses");
        assert!(unary.check().is_err());
        let whole = load(&["--transport", "h2", "--echo", "full"]).expect("parses");
        assert!(whole.check().is_err());
        let good = load(&["--invalid-classes", "good,forged"]).expect("parses");
        assert!(good.check().is_err());
    }

    #[test]
    fn the_invalid_are_all_classes_or_those_chosen_or_none() {
        let classes = |arguments: &[&str]| load(arguments).expect("parses").invalid_classes();
        assert_eq!(classes(&["--invalid-classes", "forged"]), []);
        assert_eq!(classes(&["--invalid-share", "0.1"]).len(), Class::COUNT - 1);
        assert_eq!(
            classes(&[
                "--invalid-share",
                "0.1",
                "--invalid-classes",
                "expired,forged"
            ]),
            [Class::Forged, Class::Expired]
        );
    }

    #[test]
    fn grpc_is_called_as_the_frame_suggests() {
        let call = |tokens: &str| {
            load(&["--frame-tokens", tokens])
                .expect("parses")
                .grpc_call()
        };
        assert_eq!((call("1"), call("2")), (GrpcCall::Unary, GrpcCall::Batch));
    }
}
