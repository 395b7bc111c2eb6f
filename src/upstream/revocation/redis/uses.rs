//! Uses of single-use tokens, shared through the same servers as revocations: `SET … NX EX` in a script, one key a
//! use.
//!
//! Only a clear answer of more than half of the servers lets a token pass, and only if none of the others has seen
//! it: of two simultaneous uses at most one passes, and a server that has lost its data does not bring one back as
//! long as another has it. Whatever goes wrong leaves the use unknown.
#![forbid(unsafe_code)]

use super::super::apart::Apart;
use super::answers::{array, fault, number};
use super::connection::{Connection, Manner};
use super::wire::Fault;
use super::{Durability, Options};
use crate::encoding::hex;
use crate::replay::{Claim, Done, SharedUse, SharedUses};
use crate::upstream::dial::{AddressFault, Finder};
use redis::{Pipeline, Script};
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Most claims that may wait for one server; the next is unknown at once.
const WAITING_MAX: usize = 1_024;

/// Most claims that share one question.
const CLAIMS_TOGETHER_MAX: usize = 64;

/// How long an answer may take: whoever asks waits with a deadline of a second or so.
const PATIENCE: Duration = Duration::from_millis(400);

/// How long replicas or disks may take to confirm.
const CONFIRM_MS: u64 = 250;

/// How long everything is unknown after a server failed, before it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

static USE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/use.lua")));

/// The way to all servers, on a thread of its own that ends when this is dropped.
pub struct Uses {
    servers: Vec<mpsc::Sender<Asked>>,
    quorum: usize,
    _apart: Apart,
}

/// Some uses, for one server to grant.
struct Asked {
    uses: Arc<[SharedUse]>,
    gathering: Arc<Gathering>,
}

/// What the servers have said about some uses so far. The last to speak, or to fall silent, ends it.
struct Gathering {
    votes: Mutex<Vec<Votes>>,
    quorum: usize,
    done: Mutex<Option<Done>>,
}

#[derive(Clone, Copy, Default)]
struct Votes {
    first: usize,
    again: usize,
}

/// One server's connection.
struct Server {
    name: String,
    finder: Finder,
    manner: Manner,
    connection: Option<Connection>,
}

impl Uses {
    /// Makes ready to ask. No connection is made before the first question.
    ///
    /// # Errors
    /// Addresses that cannot be used, or that no thread could be started.
    pub fn start(options: &Options) -> io::Result<Self> {
        let unusable = |fault: AddressFault| io::Error::new(io::ErrorKind::InvalidInput, fault);
        let apart = Apart::start("jotd-uses")?;
        let mut servers = Vec::with_capacity(options.logs.len());
        for log in &options.logs {
            let server = Server {
                name: log.name.clone(),
                finder: log.address.finder().map_err(unusable)?,
                // Uses stand in no log: nobody waits for them to be applied elsewhere.
                manner: options.manner(options.timing(), log, ""),
                connection: None,
            };
            let (sender, asked) = mpsc::channel(WAITING_MAX);
            apart.handle().spawn(server.run(asked));
            servers.push(sender);
        }
        Ok(Self {
            quorum: options.write_quorum.max(options.logs.len() / 2 + 1),
            servers,
            _apart: apart,
        })
    }
}

impl SharedUses for Uses {
    fn claim(&self, uses: Vec<SharedUse>, done: Done) {
        let gathering = Arc::new(Gathering {
            votes: Mutex::new(vec![Votes::default(); uses.len()]),
            quorum: self.quorum,
            done: Mutex::new(Some(done)),
        });
        let uses: Arc<[SharedUse]> = uses.into();
        for server in &self.servers {
            // Where there is no room, this server does not vote.
            let _ = server.try_send(Asked {
                uses: Arc::clone(&uses),
                gathering: Arc::clone(&gathering),
            });
        }
    }
}

impl Gathering {
    fn vote(&self, first: &[bool]) {
        let mut votes = self.votes.lock().unwrap_or_else(PoisonError::into_inner);
        for (votes, first) in votes.iter_mut().zip(first) {
            if *first {
                votes.first += 1;
            } else {
                votes.again += 1;
            }
        }
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let quorum = self.quorum;
        let votes = self.votes.get_mut().unwrap_or_else(PoisonError::into_inner);
        let claims = votes.iter().map(|votes| votes.claim(quorum)).collect();
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = done.take() {
            done(claims);
        }
    }
}

impl Votes {
    fn claim(self, quorum: usize) -> Claim {
        if self.again > 0 {
            Claim::Again
        } else if self.first >= quorum {
            Claim::First
        } else {
            Claim::Unknown
        }
    }
}

impl Server {
    async fn run(mut self, mut waiting: mpsc::Receiver<Asked>) {
        let mut asked = Vec::with_capacity(CLAIMS_TOGETHER_MAX);
        while waiting.recv_many(&mut asked, CLAIMS_TOGETHER_MAX).await > 0 {
            let uses: Vec<SharedUse> = asked
                .iter()
                .flat_map(|asked| &*asked.uses)
                .copied()
                .collect();
            match self.ask(&uses).await {
                Ok(first) => {
                    let mut rest = &first[..];
                    for Asked { uses, gathering } in asked.drain(..) {
                        let (own, others) = rest.split_at(uses.len().min(rest.len()));
                        gathering.vote(own);
                        rest = others;
                    }
                }
                Err(fault) => {
                    tracing::warn!(
                        log = self.name,
                        fault = fault.name(),
                        "single-use tokens are not decided there"
                    );
                    self.connection = None;
                    asked.clear();
                    // Nobody waits behind a server that is down.
                    let _ = timeout(PAUSE, async {
                        while waiting.recv().await.is_some() {}
                        sleep(PAUSE).await;
                    })
                    .await;
                }
            }
        }
    }

    async fn ask(&mut self, uses: &[SharedUse]) -> Result<Vec<bool>, Fault> {
        let asking = async {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => none.insert(open(&mut self.finder, &self.manner).await?),
            };
            claim(connection, uses).await
        };
        timeout(PATIENCE, asking).await.unwrap_or(Err(Fault::Lost))
    }
}

async fn open(finder: &mut Finder, manner: &Manner) -> Result<Connection, Fault> {
    let mut connection = Connection::open(finder, manner.clone()).await?;
    let loaded = USE
        .prepare_invoke()
        .load_async(&mut connection.line.redis)
        .await;
    loaded.map_err(|error| fault(&error))?;
    Ok(connection)
}

/// Whether each of these was the first use, in order; known to as many copies as an order would be.
async fn claim(connection: &mut Connection, uses: &[SharedUse]) -> Result<Vec<bool>, Fault> {
    let manner = &connection.manner;
    let mut script = redis::cmd("EVALSHA");
    script.arg(USE.get_hash()).arg(uses.len());
    for SharedUse { id, .. } in uses {
        script.arg(manner.used.clone() + &hex(&id.0));
    }
    for SharedUse { keep_seconds, .. } in uses {
        script.arg((*keep_seconds).clamp(1, KEEP_SECONDS_MAX));
    }
    let mut pipe = Pipeline::with_capacity(2);
    pipe.add_command(script);
    let wanted: &[u64] = match manner.durability {
        Durability::Memory => &[],
        Durability::Replicas(replicas) => {
            pipe.cmd("WAIT").arg(replicas).arg(CONFIRM_MS);
            &[replicas.into()]
        }
        Durability::Disks { replicas } => {
            pipe.cmd("WAITAOF").arg(1).arg(replicas).arg(CONFIRM_MS);
            &[1, replicas.into()]
        }
    };
    let answers: redis::Value = pipe
        .query_async(&mut connection.line.redis)
        .await
        .map_err(|error| fault(&error))?;
    let [first, copies @ ..] = array(&answers)? else {
        return Err(Fault::Garbage);
    };
    let copies = match copies {
        [] => Vec::new(),
        [redis::Value::Array(copies)] => copies.iter().map(number).collect::<Result<_, _>>()?,
        [copies] => vec![number(copies)?],
        _ => return Err(Fault::Garbage),
    };
    if copies.len() != wanted.len()
        || copies
            .iter()
            .zip(wanted)
            .any(|(held, wanted)| held < wanted)
    {
        return Err(Fault::Refused);
    }
    let first: Vec<bool> = array(first)?
        .iter()
        .map(|answer| number(answer).map(|number| number == 1))
        .collect::<Result<_, _>>()?;
    if first.len() == uses.len() {
        Ok(first)
    } else {
        Err(Fault::Garbage)
    }
}

/// Longest that a use is kept, in seconds: beyond it, no token of today is of any use.
const KEEP_SECONDS_MAX: u64 = 100 * 366 * 86_400;

impl std::fmt::Debug for Uses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Uses({} of {})", self.quorum, self.servers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_doubt_a_token_does_not_pass() {
        let claim = |first, again, quorum| Votes { first, again }.claim(quorum);
        assert_eq!(claim(1, 0, 1), Claim::First);
        assert_eq!(claim(2, 0, 2), Claim::First, "one of three is away");
        assert_eq!(claim(1, 0, 2), Claim::Unknown);
        assert_eq!(
            claim(2, 1, 2),
            Claim::Again,
            "two have lost what the third knows"
        );
        assert_eq!(claim(0, 1, 2), Claim::Again);
        assert_eq!(claim(0, 0, 1), Claim::Unknown);
    }
}
