//! One connection to Redis: asks what a machine asks.
#![forbid(unsafe_code)]

use super::answers::{array, called, entries, fault, look, number, page, written};
use super::wire::{Ask, Entry, Fault, Position, Present, Reply};
use super::{Durability, READ_ENTRIES_MAX};
use crate::revocation::Record;
use crate::upstream::dial::{Finder, Line};
use redis::{Cmd, Pipeline, RedisResult, Script, Value};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::timeout;

/// How long an answer may take beyond what was asked for: a slow server is not yet a dead one.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a write waits for replicas or disks to confirm it.
const CONFIRM_MS: u64 = 500;

/// Strings that hold records, and how many of them one page of a scan brings: with ten million records, 2,560 of those.
const SHARDS: u64 = 65_536;
const PAGE_SHARDS: u64 = 128;

/// How many of them a sweep goes through at a time, and how many before it rests.
const PRUNE_SHARDS: u64 = 64;
const PRUNE_PART_SHARDS: u64 = 4_096;

const PRELUDE: &str = include_str!("scripts/prelude.lua");

macro_rules! script {
    ($name:literal) => {
        LazyLock::new(|| {
            Script::new(&[PRELUDE, include_str!(concat!("scripts/", $name, ".lua"))].concat())
        })
    };
}

static LOOK: LazyLock<Script> = script!("look");
static OPEN: LazyLock<Script> = script!("open");
static WRITE: LazyLock<Script> = script!("write");
static BEAT: LazyLock<Script> = script!("beat");
static PRUNE: LazyLock<Script> = script!("prune");
static CALL: LazyLock<Script> = script!("call");

/// How a log is spoken to, whatever the connection.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// The keys, in the order of the scripts.
    pub(crate) keys: [String; 5],
    /// What the keys of uses begin with.
    pub(crate) used: String,
    /// This daemon's own name.
    pub(crate) host: String,
    pub(crate) durability: Durability,
    pub(crate) replica_lag_seconds: u64,
    pub(crate) keep_entries: u64,
    pub(crate) beat_ms: u64,
}

pub(crate) struct Connection {
    pub(super) line: Line,
    pub(super) manner: Manner,
}

impl Connection {
    pub(crate) async fn open(finder: &mut Finder, manner: Manner) -> Result<Self, Fault> {
        let connecting = async {
            // Each question has a time limit of its own.
            let line = Line::open(finder, PATIENCE).await?;
            let mut connection = Self { line, manner };
            // What is asked in a pipeline has to be there.
            let redis = &mut connection.line.redis;
            LOOK.prepare_invoke().load_async(redis).await?;
            WRITE.prepare_invoke().load_async(redis).await?;
            Ok(connection)
        };
        match timeout(2 * PATIENCE, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(fault(&error)),
            Err(_) => Err(Fault::Lost),
        }
    }

    /// `now` is this host's clock, in seconds since the epoch. Entries are told to `heard` as soon as they come, before
    /// anything else is known of them.
    pub(crate) async fn ask(
        &mut self,
        ask: &Ask,
        now: i64,
        heard: impl FnMut(&[Entry]),
    ) -> Result<Reply, Fault> {
        let waits = match ask {
            Ask::Read { block_ms, .. } => Duration::from_millis(*block_ms),
            Ask::Write { .. } => Duration::from_millis(CONFIRM_MS),
            _ => Duration::ZERO,
        };
        match timeout(PATIENCE + waits, self.answer(ask, now, heard)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Lost),
        }
    }

    async fn answer(
        &mut self,
        ask: &Ask,
        now: i64,
        heard: impl FnMut(&[Entry]),
    ) -> Result<Reply, Fault> {
        match ask {
            Ask::Look { at } => {
                let at: Vec<_> = at.iter().map(ToString::to_string).collect();
                Ok(Reply::Look(look(&self.run(&LOOK, &at).await?)?))
            }
            Ask::Open { epoch, server } => {
                let arguments = [epoch.to_string(), server.to_string()];
                Ok(Reply::Look(look(&self.run(&OPEN, &arguments).await?)?))
            }
            Ask::Page { cursor } => {
                let next = (cursor + PAGE_SHARDS) % SHARDS;
                page(&self.shards(*cursor).await?, next)
            }
            Ask::Read {
                after,
                block_ms,
                note,
            } => self.read(*after, *block_ms, *note, heard).await,
            Ask::Write {
                epoch,
                records,
                is_awaited,
            } => {
                let which = if *is_awaited { "awaited" } else { "always" };
                let arguments = self.write_arguments(*epoch, which, records, now);
                self.write(&arguments).await
            }
            Ask::Fill { epoch, records } => {
                let arguments = self.write_arguments(*epoch, "lacking", records, now);
                let answer = self.run(&WRITE, &arguments).await?;
                Ok(Reply::Written {
                    last: written(&answer)?,
                    is_durable: false,
                })
            }
            Ask::Beat { epoch } => {
                let manner = &self.manner;
                let arguments = [
                    *epoch,
                    manner.durability.replicas(),
                    manner.replica_lag_seconds,
                    manner.beat_ms,
                ];
                self.run(&BEAT, &arguments.map(|number| number.to_string()))
                    .await?;
                Ok(Reply::Done)
            }
            Ask::Prune => {
                let arguments = [now.to_string(), PRUNE_SHARDS.to_string()];
                let answer = self.run(&PRUNE, &arguments).await?;
                let [_pruned, next] = array(&answer)? else {
                    return Err(Fault::Garbage);
                };
                Ok(Reply::Pruned {
                    is_all: number(next)? % PRUNE_PART_SHARDS == 0,
                })
            }
            Ask::Call { epoch, outdated } => {
                let notes = outdated.iter();
                let notes =
                    notes.flat_map(|old| [old.host.clone(), Present::said(old.at, old.count)]);
                let arguments: Vec<_> = [epoch.to_string()].into_iter().chain(notes).collect();
                called(&self.run(&CALL, &arguments).await?)
            }
        }
    }

    /// What the strings of records from this one on hold.
    async fn shards(&mut self, from: u64) -> Result<Value, Fault> {
        let [_state, held, ..] = &self.manner.keys;
        let mut command = redis::cmd("MGET");
        for shard in from..(from + PAGE_SHARDS).min(SHARDS) {
            command.arg(format!("{held}:{shard:04x}"));
        }
        let answer = command.query_async(&mut self.line.redis).await;
        answer.map_err(|error| fault(&error))
    }

    async fn run(&mut self, script: &Script, arguments: &[String]) -> Result<Value, Fault> {
        let mut invocation = script.prepare_invoke();
        for key in &self.manner.keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(argument);
        }
        invocation
            .invoke_async(&mut self.line.redis)
            .await
            .map_err(|error| fault(&error))
    }

    /// Reads, and looks where that was read from: a server may have been demoted while the question waited. The note
    /// goes first: who says to have applied something has done so before it reads on.
    async fn read(
        &mut self,
        after: Position,
        block_ms: u64,
        note: Option<u64>,
        mut heard: impl FnMut(&[Entry]),
    ) -> Result<Reply, Fault> {
        let [.., log, _wake, hosts] = &self.manner.keys;
        let mut pipe = Pipeline::with_capacity(2);
        if let Some(count) = note {
            let mut write = redis::cmd("HSET");
            write.arg(hosts).arg(&self.manner.host);
            pipe.add_command(write.arg(Present::said(after, count)).to_owned());
        }
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(READ_ENTRIES_MAX);
        if block_ms > 0 {
            read.arg("BLOCK").arg(block_ms);
        }
        read.arg("STREAMS").arg(log).arg(after.to_string());
        // A server that takes no writes can still be read.
        pipe.add_command(read).ignore_errors();
        let (mut first, mut second) = (self.line.redis.clone(), self.line.redis.clone());
        let reading = async {
            let answers: RedisResult<Vec<RedisResult<Value>>> = pipe.query_async(&mut first).await;
            let mut answers = answers.map_err(|error| fault(&error))?.into_iter();
            let is_noted = note.is_some() && answers.next().is_some_and(|noted| noted.is_ok());
            let answer = answers.next().ok_or(Fault::Garbage)?;
            let entries = entries(&answer.map_err(|error| fault(&error))?)?;
            heard(&entries);
            Ok((entries, is_noted))
        };
        let looking = self.invocation(&LOOK, &[]);
        let looking = looking.query_async::<Value>(&mut second);
        // In this order they are sent, one right behind the other.
        let (read, state) = tokio::join!(biased; reading, looking);
        let (entries, is_noted) = read?;
        Ok(Reply::Entries {
            entries,
            look: look(&state.map_err(|error| fault(&error))?)?,
            is_noted,
        })
    }

    /// Writes, and waits on the same connection until as many copies exist as were asked for.
    async fn write(&mut self, arguments: &[String]) -> Result<Reply, Fault> {
        let write = self.invocation(&WRITE, arguments);
        let (answer, is_durable) = match self.manner.durability {
            Durability::Memory => {
                let answer: Result<Value, _> = write.query_async(&mut self.line.redis).await;
                (answer.map_err(|error| fault(&error))?, true)
            }
            Durability::Replicas(replicas) => {
                let mut wait = redis::cmd("WAIT");
                wait.arg(replicas).arg(CONFIRM_MS);
                let mut pipe = Pipeline::with_capacity(2);
                let (answer, copies) = self.both(pipe.add_command(write).add_command(wait)).await?;
                (answer, number(&copies)? >= u64::from(replicas))
            }
            Durability::Disks { replicas } => {
                let mut wait = redis::cmd("WAITAOF");
                wait.arg(1).arg(replicas).arg(CONFIRM_MS);
                let mut pipe = Pipeline::with_capacity(2);
                let (answer, copies) = self.both(pipe.add_command(write).add_command(wait)).await?;
                let [here, there] = array(&copies)? else {
                    return Err(Fault::Garbage);
                };
                (
                    answer,
                    number(here)? >= 1 && number(there)? >= u64::from(replicas),
                )
            }
        };
        Ok(Reply::Written {
            last: written(&answer)?,
            is_durable,
        })
    }

    async fn both(&mut self, pipe: &Pipeline) -> Result<(Value, Value), Fault> {
        pipe.query_async(&mut self.line.redis)
            .await
            .map_err(|error| fault(&error))
    }

    fn invocation(&self, script: &Script, arguments: &[String]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(self.manner.keys.len());
        command.arg(&self.manner.keys[..]).arg(arguments);
        command
    }

    fn write_arguments(
        &self,
        epoch: u64,
        which: &str,
        records: &[Record],
        now: i64,
    ) -> Vec<String> {
        let head = [
            epoch.to_string(),
            which.to_owned(),
            now.to_string(),
            self.manner.keep_entries.to_string(),
        ];
        head.into_iter()
            .chain(records.iter().map(Record::to_hex))
            .collect()
    }
}
