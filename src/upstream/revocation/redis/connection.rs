//! One connection to Redis: asks what a machine asks, and makes plain values of what comes back. Nothing that
//! a server sends is believed to have the right shape.
#![forbid(unsafe_code)]

use super::address::Finder;
use super::wire::{Ask, Content, Cursor, Entry, Fault, Look, Mark, Position, Reply};
use super::{Durability, READ_ENTRIES_MAX};
use crate::revocation::Record;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisError, Script, Value};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::timeout;

/// How long an answer may take beyond what was asked for: a slow server is not yet a dead one.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a write waits for replicas or disks to confirm it.
const CONFIRM_MS: u64 = 500;

/// About how many records one page of a scan brings.
const PAGE_RECORDS: usize = 1_000;

/// Most records that one sweep forgets.
const PRUNE_RECORDS: usize = 1_000;

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
static PAGE: LazyLock<Script> = script!("page");
static PRUNE: LazyLock<Script> = script!("prune");

/// How a log is spoken to, whatever the connection.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// The five keys, in the order of the scripts.
    pub(crate) keys: [String; 5],
    /// What the keys of uses begin with.
    pub(crate) used: String,
    pub(crate) durability: Durability,
    pub(crate) replica_lag_seconds: u64,
    pub(crate) keep_entries: u64,
    pub(crate) beat_ms: u64,
}

pub(crate) struct Connection {
    pub(super) redis: MultiplexedConnection,
    pub(super) manner: Manner,
}

impl Connection {
    pub(crate) async fn open(finder: &mut Finder, manner: Manner) -> Result<Self, Fault> {
        // Each question has a time limit of its own.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(PATIENCE));
        let connecting = async {
            let mut redis = match finder {
                Finder::Server(client) => {
                    client
                        .get_multiplexed_async_connection_with_config(&config)
                        .await
                }
                Finder::Sentinels(client) => client.get_async_connection_with_config(&config).await,
            }?;
            // What is asked in a pipeline has to be there.
            LOOK.prepare_invoke().load_async(&mut redis).await?;
            WRITE.prepare_invoke().load_async(&mut redis).await?;
            Ok(redis)
        };
        match timeout(2 * PATIENCE, connecting).await {
            Ok(Ok(redis)) => Ok(Self { redis, manner }),
            Ok(Err(error)) => Err(fault(&error)),
            Err(_) => Err(Fault::Lost),
        }
    }

    /// `now` is this host's clock, in seconds since the epoch.
    pub(crate) async fn ask(&mut self, ask: &Ask, now: i64) -> Result<Reply, Fault> {
        let waits = match ask {
            Ask::Read { block_ms, .. } => Duration::from_millis(*block_ms),
            Ask::Write { .. } => Duration::from_millis(CONFIRM_MS),
            _ => Duration::ZERO,
        };
        match timeout(PATIENCE + waits, self.answer(ask, now)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::Lost),
        }
    }

    async fn answer(&mut self, ask: &Ask, now: i64) -> Result<Reply, Fault> {
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
                let arguments = [cursor.to_string(), PAGE_RECORDS.to_string()];
                page(&self.run(&PAGE, &arguments).await?)
            }
            Ask::Read { after, block_ms } => self.read(*after, *block_ms).await,
            Ask::Write { epoch, records } => self.write(*epoch, records, now).await,
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
                self.run(&PRUNE, &[now.to_string(), PRUNE_RECORDS.to_string()])
                    .await?;
                Ok(Reply::Done)
            }
        }
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
            .invoke_async(&mut self.redis)
            .await
            .map_err(|error| fault(&error))
    }

    /// Reads, and looks where that was read from: a server may have been demoted while the question waited.
    async fn read(&mut self, after: Position, block_ms: u64) -> Result<Reply, Fault> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(READ_ENTRIES_MAX);
        if block_ms > 0 {
            read.arg("BLOCK").arg(block_ms);
        }
        read.arg("STREAMS")
            .arg(&self.manner.keys[3])
            .arg(after.to_string());
        let mut pipe = Pipeline::with_capacity(2);
        pipe.add_command(read)
            .add_command(self.invocation(&LOOK, &[]));
        let (answer, state) = self.both(&pipe).await?;
        Ok(Reply::Entries {
            entries: entries(&answer)?,
            look: look(&state)?,
        })
    }

    /// Writes, and waits on the same connection until as many copies exist as were asked for.
    async fn write(&mut self, epoch: u64, records: &[Record], now: i64) -> Result<Reply, Fault> {
        let arguments = self.write_arguments(epoch, "always", records, now);
        let write = self.invocation(&WRITE, &arguments);
        let (answer, is_durable) = match self.manner.durability {
            Durability::Memory => {
                let answer: Result<Value, _> = write.query_async(&mut self.redis).await;
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
        pipe.query_async(&mut self.redis)
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

fn look(value: &Value) -> Result<Look, Fault> {
    let [
        epoch,
        sequence,
        chain,
        _history,
        server,
        role,
        intact,
        there @ ..,
    ] = array(value)?
    else {
        return Err(Fault::Garbage);
    };
    let is_primary = text(role)? == "master";
    let mut look = Look {
        head: Cursor::default(),
        server: mark(server)?,
        is_primary,
        is_intact: number(intact)? == 1,
        there: there.first().map(mark).transpose()?,
    };
    let epoch = number(epoch)?;
    if epoch > 0 {
        look.head = Cursor {
            at: Position {
                epoch,
                sequence: number(sequence)?,
            },
            chain: mark(chain)?,
        };
    }
    Ok(look)
}

fn page(value: &Value) -> Result<Reply, Fault> {
    let [next, found] = array(value)? else {
        return Err(Fault::Garbage);
    };
    let found = array(found)?;
    let mut records = Vec::with_capacity(found.len());
    for record in found {
        records.extend(Record::from_hex(text(record)?).ok());
    }
    Ok(Reply::Page {
        next: text(next)?.parse().map_err(|_| Fault::Garbage)?,
        unreadable: found.len() - records.len(),
        records,
    })
}

/// `nil`, or one stream with its entries.
fn entries(value: &Value) -> Result<Vec<Entry>, Fault> {
    if *value == Value::Nil {
        return Ok(Vec::new());
    }
    let [stream] = array(value)? else {
        return Err(Fault::Garbage);
    };
    let [_name, entries] = array(stream)? else {
        return Err(Fault::Garbage);
    };
    array(entries)?.iter().map(entry).collect()
}

fn entry(value: &Value) -> Result<Entry, Fault> {
    let [id, fields] = array(value)? else {
        return Err(Fault::Garbage);
    };
    let at: Position = text(id)?.parse().map_err(|_| Fault::Garbage)?;
    let mut chain = Mark::default();
    let mut content = Content::Unreadable;
    // Somebody may write anything into a stream; only what the scripts write is followed.
    if let [kind, what, name, link] = array(fields)?
        && text(name)? == "chain"
        && let Some(link) = Mark::from_hex(text(link)?.as_bytes())
    {
        chain = link;
        content = match (text(kind)?, text(what)?) {
            ("record", record) => {
                Record::from_hex(record).map_or(Content::Unreadable, Content::Order)
            }
            ("beat", "") => Content::Beat,
            ("open", opened) => opened
                .split_once(':')
                .and_then(|(_, server)| Mark::from_hex(server.as_bytes()))
                .map_or(Content::Unreadable, Content::Opened),
            _ => Content::Unreadable,
        };
    }
    Ok(Entry {
        cursor: Cursor { at, chain },
        content,
    })
}

/// `{epoch, first, last, chain, dropped}`.
fn written(value: &Value) -> Result<Position, Fault> {
    let [epoch, _first, last, ..] = array(value)? else {
        return Err(Fault::Garbage);
    };
    Ok(Position {
        epoch: number(epoch)?,
        sequence: number(last)?,
    })
}

pub(super) fn array(value: &Value) -> Result<&[Value], Fault> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(Fault::Garbage),
    }
}

fn text(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).map_err(|_| Fault::Garbage),
        Value::SimpleString(text) => Ok(text),
        _ => Err(Fault::Garbage),
    }
}

pub(super) fn number(value: &Value) -> Result<u64, Fault> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| Fault::Garbage),
        _ => Err(Fault::Garbage),
    }
}

fn mark(value: &Value) -> Result<Mark, Fault> {
    Mark::from_hex(text(value)?.as_bytes()).ok_or(Fault::Garbage)
}

/// What an error means for whoever asked.
pub(super) fn fault(error: &RedisError) -> Fault {
    let code = match error.code() {
        Some(code) => code,
        None if error.kind() == redis::ErrorKind::AuthenticationFailed => return Fault::Denied,
        None if error.kind() == redis::ErrorKind::Parse => return Fault::Garbage,
        None if error.kind() == redis::ErrorKind::UnexpectedReturnType => return Fault::Garbage,
        None => return Fault::Lost,
    };
    tracing::debug!(code, "Redis refused");
    match code {
        "LOADING" | "MASTERDOWN" | "BUSY" | "TRYAGAIN" => Fault::Busy,
        "READONLY" | "MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT" => Fault::NotPrimary,
        "NOAUTH" | "NOPERM" | "WRONGPASS" => Fault::Denied,
        "JOTDEPOCH" => Fault::Fenced,
        // UNBLOCKED: the server has changed its role. NOSCRIPT: it has been restarted.
        "UNBLOCKED" | "NOSCRIPT" => Fault::Lost,
        // OOM, NOREPLICAS, MISCONF, and commands that it does not know.
        _ => Fault::Refused,
    }
}
