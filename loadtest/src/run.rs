//! One run from keys to figures: mint, start, warm, measure in rounds, compare.
#![forbid(unsafe_code)]

use crate::corpus::Corpus;
use crate::cpu::{self, CpuList};
use crate::drive::{self, Feed, Job};
use crate::failure::Failure;
use crate::keys::Trust;
use crate::mill::{self, Plan};
use crate::mix::Picker;
use crate::options::{EchoKind, Endpoint, GrpcCall, Load, Place, Transport};
use crate::pace::Pace;
use crate::record::Record;
use crate::report::{Outcome, Round};
use crate::server::Server;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest warm-up of the echo: it has nothing to learn but the client's caches.
const ECHO_WARMUP: Duration = Duration::from_millis(300);

/// One part in this many of the fresh tokens is enough to warm up with.
const WARMUP_PARTS: u32 = 10;

/// Time to make the working set known to the server.
const TEACHING: Duration = Duration::from_secs(60);

/// Who may run where.
pub(crate) struct Cpus {
    /// The server's and the echo's.
    pub(crate) server: CpuList,
    /// The client's.
    pub(crate) client: CpuList,
}

/// Keys and tokens. One stage serves several runs, each on a server of its own that knows none of them.
pub(crate) struct Stage {
    trust: Trust,
    corpus: Corpus,
    /// What bounds the number of fresh tokens.
    bound_by: &'static str,
}

/// What to drive.
pub(crate) enum Target {
    /// A server of our own.
    Spawned,
    /// Somebody else's.
    Given {
        /// Where it listens.
        endpoint: Endpoint,
        /// Its process, to account for its CPU time.
        process: Option<u32>,
    },
}

impl Cpus {
    /// As given, or as they are best split.
    ///
    /// # Errors
    /// [`Failure::Fault`] where the system does not say which CPUs there are.
    pub(crate) fn of(place: &Place) -> Result<Self, Failure> {
        let allowed = CpuList::allowed().map_err(|error| Failure::Fault(error.to_string()))?;
        let (server, client) = allowed.split();
        Ok(Self {
            server: place.server_cpus.clone().unwrap_or(server),
            client: place.client_cpus.clone().unwrap_or(client),
        })
    }
}

impl Stage {
    /// Keys, from a directory or fresh, and the tokens that a load needs; of several loads that differ in
    /// how much they ask, but not in algorithms and token length, the tokens that any of them needs.
    ///
    /// # Errors
    /// [`Failure`] where keys cannot be read or made.
    pub(crate) fn set(
        load: &Load,
        others: &[&Load],
        cpus: &Cpus,
        keys: Option<&Path>,
    ) -> Result<Self, Failure> {
        let algs = load.algs.algorithms();
        let trust = match keys {
            None => Trust::generate(algs)?,
            Some(directory) => Trust::load(directory, algs)?,
        };
        let now = now_unix();
        let mut plan = Plan::of(load, &trust, cpus.server.as_slice().len(), now)?;
        for other in others {
            plan.cover(&Plan::of(other, &trust, cpus.server.as_slice().len(), now)?);
        }
        let bound_by = match load.pool_tokens {
            Some(_) => "--pool-tokens",
            None => "--pool-mib and --mint-seconds",
        };
        let start = Instant::now();
        let corpus = mill::mint(&plan, &trust)?;
        eprintln!(
            "minted {} tokens ({} MiB) in {:.1} s",
            corpus.len(),
            corpus.bytes() / (1024 * 1024),
            start.elapsed().as_secs_f64()
        );
        Ok(Self {
            trust,
            corpus,
            bound_by,
        })
    }

    /// Drives one target with one load.
    ///
    /// # Errors
    /// [`Failure`] where a server does not start, or a connection fails.
    pub(crate) fn perform(
        &self,
        title: &str,
        load: &Load,
        target: &Target,
        cpus: &Cpus,
        place: &Place,
    ) -> Result<Outcome, Failure> {
        let directory = tempfile::Builder::new()
            .prefix("loadtest-")
            .tempdir()
            .map_err(|error| Failure::Fault(format!("making a directory: {error}")))?;
        let mut spawned = None;
        let (endpoint, process) = match target {
            Target::Given { endpoint, process } => (endpoint.clone(), *process),
            Target::Spawned => {
                let transport = load.transport;
                let path = directory.path();
                let server = Server::jotd(place, &cpus.server, &self.trust, path, transport)?;
                let found = (server.endpoint().clone(), Some(server.process()));
                spawned = Some(server);
                found
            }
        };
        let mut run = Run {
            stage: self,
            load,
            cpus,
            endpoint,
            process,
            feeds: self.feeds(load, cpus),
            notes: Vec::new(),
            unmeasured: Record::new(),
        };
        run.teach()?;
        let echo = run.start_echo(directory.path())?;
        run.warm(echo.as_ref())?;
        let measured = run.measure(echo.as_ref())?;
        if let Some(server) = &mut spawned
            && !server.is_running()
        {
            return Err(Failure::Fault(
                "the server did not survive the run".to_owned(),
            ));
        }
        Ok(run.conclude(title, measured))
    }

    /// One feed a client thread: its own fresh tokens, and all others.
    fn feeds(&self, load: &Load, cpus: &Cpus) -> Vec<Feed> {
        let threads = cpus.client.as_slice().len().max(1).min(load.connections);
        (0..threads)
            .map(|index| {
                let layout = self.corpus.layout.part(index, threads);
                // Odd multiples keep the seeds of threads apart.
                let seed = load.seed.wrapping_add((2 * index as u64 + 1) << 32);
                Feed::Mix(Picker::new(seed, load.shares(), layout))
            })
            .collect()
    }
}

/// A run under way.
struct Run<'a> {
    stage: &'a Stage,
    load: &'a Load,
    cpus: &'a Cpus,
    endpoint: Endpoint,
    process: Option<u32>,
    feeds: Vec<Feed>,
    notes: Vec<String>,
    /// What was wrong before anything was measured.
    unmeasured: Record,
}

/// What the rounds gave.
struct Measured {
    record: Record,
    echo: Option<Record>,
    rounds: Vec<Round>,
    server_cpu: Option<Duration>,
    client_cpu: Duration,
}

impl Run<'_> {
    fn job<'j>(&'j self, endpoint: &'j Endpoint, pace: Pace, duration: Duration) -> Job<'j> {
        Job {
            corpus: &self.stage.corpus,
            transport: self.load.transport,
            endpoint,
            grpc_call: self.load.grpc_call(),
            want: self.load.want,
            frame_tokens: self.load.frame_tokens,
            connections: self.load.connections,
            in_flight: self.load.in_flight(),
            pace,
            duration,
            cpus: &self.cpus.client,
            echoes_frames: false,
            seed: self.load.seed,
        }
    }

    /// Makes the working set known to the server's cache.
    fn teach(&mut self) -> Result<(), Failure> {
        if self.load.hit_ratio == 0.0 {
            return Ok(());
        }
        let working_set = self.stage.corpus.layout.working_set.clone();
        let all_at_once = Job {
            connections: 1,
            ..self.job(&self.endpoint, Pace::Closed, TEACHING)
        };
        let taught = drive::drive(&all_at_once, &mut [Feed::Once(working_set)])?;
        self.unmeasured.add_wrong(&taught);
        Ok(())
    }

    /// Starts the echo with an answer that the server itself gave.
    fn start_echo(&mut self, directory: &Path) -> Result<Option<Server>, Failure> {
        if !self.load.ceiling {
            return Ok(None);
        }
        if self.load.transport == Transport::Grpc && self.load.grpc_call() == GrpcCall::Stream {
            self.notes
                .push("the echo does not speak gRPC streams".to_owned());
            return Ok(None);
        }
        let mut feed = self.feeds[0].clone();
        let job = self.job(&self.endpoint, Pace::Closed, Duration::ZERO);
        let reply = drive::probe(&job, &mut feed)?;
        // What was asked now is known to the server; the run goes on behind it.
        self.feeds[0] = feed;
        let reply = match self.load.echo {
            EchoKind::Reply => Some(reply.as_slice()),
            EchoKind::Full => None,
        };
        let echo = Server::echo(&self.cpus.server, directory, self.load.transport, reply)?;
        Ok(Some(echo))
    }

    fn warm(&mut self, echo: Option<&Server>) -> Result<(), Failure> {
        if self.load.warmup.is_zero() {
            return Ok(());
        }
        if let Some(echo) = echo {
            self.drive_echo(echo, self.load.warmup.min(ECHO_WARMUP))?;
        }
        let warm = self.drive_server(self.load.warmup, WARMUP_PARTS)?;
        self.unmeasured.add_wrong(&warm);
        Ok(())
    }

    fn measure(&mut self, echo: Option<&Server>) -> Result<Measured, Failure> {
        let rounds = u32::try_from(self.load.rounds).unwrap_or(1).max(1);
        let duration = self.load.duration / rounds;
        let mut measured = Measured {
            record: Record::new(),
            echo: echo.map(|_| Record::new()),
            rounds: Vec::new(),
            server_cpu: self.process.map(|_| Duration::ZERO),
            client_cpu: Duration::ZERO,
        };
        measured.record.add_wrong(&self.unmeasured);
        for round in 0..rounds {
            let echoed = match echo {
                None => None,
                Some(echo) => Some(self.drive_echo(echo, duration)?),
            };
            if let (Some(all), Some(echoed)) = (&mut measured.echo, &echoed) {
                all.follow(echoed);
            }
            let before = (self.server_time()?, client_time()?);
            let record = self.drive_server(duration, rounds - round)?;
            let after = (self.server_time()?, client_time()?);
            measured.client_cpu += after.1.saturating_sub(before.1);
            if let (Some(sum), Some(before), Some(after)) =
                (&mut measured.server_cpu, before.0, after.0)
            {
                *sum += after.saturating_sub(before);
            }
            measured.rounds.push(Round {
                echo: echoed.as_ref().map(Record::per_second_mean),
                server: record.per_second_mean(),
            });
            measured.record.follow(&record);
        }
        Ok(measured)
    }

    /// Drives the server with one part in `parts` of the fresh tokens that are left: where there are too
    /// few, every round is shorter, instead of the last ones empty.
    fn drive_server(&mut self, duration: Duration, parts: u32) -> Result<Record, Failure> {
        let mut lent: Vec<Feed> = self.feeds.iter().map(|feed| feed.lend(parts)).collect();
        let job = self.job(&self.endpoint, self.load.pace(), duration);
        let record = drive::drive(&job, &mut lent)?;
        for (feed, lent) in self.feeds.iter_mut().zip(lent) {
            feed.resume(lent);
        }
        Ok(record)
    }

    /// Drives the echo with the very frames that the server gets next. It remembers nothing, so it may
    /// have them over and over.
    fn drive_echo(&self, echo: &Server, duration: Duration) -> Result<Record, Failure> {
        let mut feeds: Vec<Feed> = self.feeds.iter().map(Feed::recycling).collect();
        let job = Job {
            echoes_frames: self.load.echo == EchoKind::Full,
            ..self.job(echo.endpoint(), self.load.pace(), duration)
        };
        Ok(drive::drive(&job, &mut feeds)?)
    }

    fn server_time(&self) -> Result<Option<Duration>, Failure> {
        self.process
            .map(|process| {
                cpu::time_used(process).map_err(|error| {
                    Failure::Fault(format!("the server's CPU time (pid {process}): {error}"))
                })
            })
            .transpose()
    }

    fn conclude(mut self, title: &str, measured: Measured) -> Outcome {
        let record = &measured.record;
        if record.exhausted {
            self.notes.push(format!(
                "measured for {:.1} s only, for then every fresh token had been used once; {} bound \
                 how many there are",
                record.elapsed.as_secs_f64(),
                self.stage.bound_by
            ));
        }
        if self.load.hit_ratio == 0.0 && record.cached > 0 {
            self.notes.push(format!(
                "{} verdicts of distinct tokens came from the server's cache: it was asked before",
                record.cached
            ));
        }
        let client = measured.client_cpu.as_secs_f64();
        let busy = client / (self.feeds.len() as f64 * record.elapsed.as_secs_f64().max(1e-9));
        if self.load.rate.is_none() && busy > 0.97 {
            self.notes.push(
                "the client's CPUs were busy throughout: it, and not the server, may be what was \
                 measured"
                    .to_owned(),
            );
        }
        if measured.record.unsent > 0 {
            self.notes.push(format!(
                "{} tokens were due and never sent: the server is below this rate",
                measured.record.unsent
            ));
        }
        Outcome {
            title: title.to_owned(),
            load: self.load.clone(),
            record: measured.record,
            echo: measured.echo,
            rounds: measured.rounds,
            server_cpu: measured.server_cpu,
            client_cpu: measured.client_cpu,
            notes: self.notes,
        }
    }
}

fn client_time() -> Result<Duration, Failure> {
    cpu::time_used_here().map_err(|error| Failure::Fault(format!("CPU time: {error}")))
}

/// The time, in seconds since the epoch.
pub(crate) fn now_unix() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}
