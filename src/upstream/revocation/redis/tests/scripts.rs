//! The scripts, on a real server, through the very code that the daemon speaks to it with.

use super::super::connection::{Connection, Manner};
use super::super::wire::{Ask, Content, Entry, Fault, Look, Reply};
use super::super::{Durability, Options, Position};
use super::host::record;
use super::server::RedisServer;
use crate::revocation::{IdKey, Member, Members, Record};
use std::process::Command;

/// The clock that the caller claims to have.
const NOW: i64 = 1_900_000_000;

pub(super) struct Bench {
    pub(super) redis: RedisServer,
    connection: Connection,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let redis = RedisServer::start(&[]);
        let connection = connect(&redis, Durability::Memory).await;
        Self { redis, connection }
    }

    pub(super) async fn ask(&mut self, ask: Ask) -> Result<Reply, Fault> {
        self.connection.ask(&ask, NOW, |_| {}).await
    }

    pub(super) async fn look(&mut self) -> Look {
        match self.ask(Ask::Look { at: None }).await {
            Ok(Reply::Look(look)) => look,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn open(&mut self, epoch: u64) -> Look {
        let server = self.look().await.server;
        match self.ask(Ask::Open { epoch, server }).await {
            Ok(Reply::Look(look)) => look,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn write(&mut self, epoch: u64, records: Vec<Record>) -> Result<Reply, Fault> {
        self.ask(Ask::Write {
            epoch,
            records,
            is_awaited: false,
        })
        .await
    }

    async fn entries(&mut self) -> Vec<Entry> {
        let after = Position::default();
        match self
            .ask(Ask::Read {
                after,
                block_ms: 0,
                note: None,
            })
            .await
        {
            Ok(Reply::Entries { entries, .. }) => entries,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn held(&mut self) -> Vec<Record> {
        let (mut cursor, mut held) = (0, Vec::new());
        loop {
            match self.ask(Ask::Page { cursor }).await {
                Ok(Reply::Page {
                    next,
                    records,
                    unreadable: 0,
                }) => {
                    held.extend(records);
                    cursor = next;
                }
                other => panic!("{other:?}"),
            }
            if cursor == 0 {
                return held;
            }
        }
    }
}

async fn connect(redis: &RedisServer, durability: Durability) -> Connection {
    let mut options = Options::one(redis.address());
    options.logs[0].durability = durability;
    let manner: Manner = options.manner(options.timing(), &options.logs[0], "bench");
    let mut finder = redis.address().finder().expect("an address");
    Connection::open(&mut finder, manner)
        .await
        .expect("a server")
}

#[tokio::test]
async fn an_epoch_is_opened_once_and_fences_writers() {
    let mut bench = Bench::new().await;
    let nothing = bench.look().await;
    assert_eq!(
        (nothing.head.at.epoch, nothing.is_intact, nothing.is_primary),
        (0, false, true)
    );
    assert_eq!(bench.write(1, vec![record(1)]).await, Err(Fault::Fenced));
    let opened = bench.open(5).await;
    assert_eq!(
        (
            opened.head.at.epoch,
            opened.head.at.sequence,
            opened.is_intact
        ),
        (5, 0, true)
    );
    assert_eq!(bench.open(5).await, opened, "the second comes to nothing");
    assert_eq!(
        bench.open(3).await,
        opened,
        "and so does one that is behind"
    );
    assert_eq!(bench.write(4, vec![record(1)]).await, Err(Fault::Fenced));
    assert_eq!(bench.ask(Ask::Beat { epoch: 4 }).await, Err(Fault::Fenced));
    let written = bench
        .write(5, vec![record(1), record(4)])
        .await
        .expect("written");
    let last = Position {
        epoch: 5,
        sequence: 2,
    };
    assert_eq!(
        written,
        Reply::Written {
            last,
            is_durable: true
        }
    );
    // A caller that has looked at another server opens nothing here.
    let server = super::super::wire::Mark([7; 20]);
    bench
        .ask(Ask::Open { epoch: 9, server })
        .await
        .expect("an answer");
    assert_eq!(bench.look().await.head.at, last);
}

#[tokio::test]
async fn entries_form_a_chain_across_epochs() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    bench
        .write(1, (0..10).map(record).collect())
        .await
        .expect("written");
    bench.open(4).await;
    bench.write(4, vec![record(10)]).await.expect("written");
    let entries = bench.entries().await;
    assert_eq!(entries.len(), 1 + 10 + 1 + 1);
    for pair in entries.windows(2) {
        assert!(pair[0].cursor.is_followed_by(&pair[1]), "{pair:?}");
    }
    assert!(
        !entries[1].cursor.is_followed_by(&entries[3]),
        "a hole shows"
    );
    assert_eq!(bench.look().await.head, entries[12].cursor);
    let at = Some(entries[6].cursor.at);
    let Ok(Reply::Look(look)) = bench.ask(Ask::Look { at }).await else {
        panic!("no look");
    };
    assert_eq!(look.there, Some(entries[6].cursor.chain));
}

#[tokio::test]
async fn records_merge_by_the_greater_of_each_time() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    let low = Record {
        before: 10,
        until: 2_000_000_000,
        ..record(0)
    };
    let high = Record {
        before: 20,
        until: 1_990_000_000,
        ..record(0)
    };
    for records in [vec![low, high], vec![high, low], vec![low]] {
        bench.write(1, records).await.expect("written");
        let merged = Record {
            before: 20,
            until: 2_000_000_000,
            ..record(0)
        };
        let held = bench.held().await;
        assert!(held == [merged] || held == [low], "{held:?}");
    }
    assert_eq!(bench.held().await, [low.merged(high.before, high.until)]);
    let every = Record {
        before: Record::EVERY,
        until: Record::FOREVER,
        ..low
    };
    bench.write(1, vec![every, low]).await.expect("written");
    assert_eq!(bench.held().await, [every], "every token stays every token");
}

#[tokio::test]
async fn only_what_is_lacking_is_written_back() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    bench
        .write(1, (0..10).map(record).collect())
        .await
        .expect("written");
    let head = bench.look().await.head;
    let fill = |records| Ask::Fill { epoch: 1, records };
    bench
        .ask(fill((0..10).map(record).collect()))
        .await
        .expect("an answer");
    assert_eq!(bench.look().await.head, head, "nothing was lacking");
    let later = Record {
        until: 4_100_000_000,
        ..record(3)
    };
    bench
        .ask(fill(vec![record(2), later, record(11)]))
        .await
        .expect("an answer");
    let new: Vec<_> = bench
        .entries()
        .await
        .split_off(11)
        .iter()
        .map(|entry| entry.content)
        .collect();
    assert_eq!(new, [Content::Order(later), Content::Order(record(11))]);
}

#[tokio::test]
async fn what_both_clocks_call_expired_is_dropped_and_pruned() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    // 2001: long ago by the server's clock and by the caller's.
    let expired = Record {
        until: 1_000_000_000,
        ..record(1)
    };
    bench
        .write(1, vec![expired, record(2)])
        .await
        .expect("written");
    assert_eq!(bench.held().await, [record(2)]);
    // By the caller's clock it is 1990: nothing has expired.
    bench
        .connection
        .ask(
            &Ask::Write {
                epoch: 1,
                records: vec![expired],
                is_awaited: false,
            },
            631_152_000,
            |_| {},
        )
        .await
        .expect("written");
    bench
        .connection
        .ask(&Ask::Prune, 631_152_000, |_| {})
        .await
        .expect("swept");
    assert_eq!(bench.held().await.len(), 2);
    // Once around: 64 strings at a time.
    for _ in 0..1_024 {
        bench.ask(Ask::Prune).await.expect("swept");
    }
    assert_eq!(bench.held().await, [record(2)]);
}

#[tokio::test]
async fn signs_of_life_are_few_and_need_the_replicas() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    for _ in 0..10 {
        bench.ask(Ask::Beat { epoch: 1 }).await.expect("an answer");
    }
    let beats = bench.entries().await.len() - 1;
    assert!((1..10).contains(&beats), "{beats}");
    let mut alone = connect(&bench.redis, Durability::Replicas(1)).await;
    assert_eq!(
        alone.ask(&Ask::Beat { epoch: 1 }, NOW, |_| {}).await,
        Err(Fault::Refused)
    );
}

#[tokio::test]
async fn a_write_that_no_replica_has_is_not_durable() {
    let bench = Bench::new().await;
    let mut alone = connect(&bench.redis, Durability::Replicas(1)).await;
    let Ok(Reply::Look(look)) = alone.ask(&Ask::Look { at: None }, NOW, |_| {}).await else {
        panic!("no look");
    };
    let open = Ask::Open {
        epoch: 1,
        server: look.server,
    };
    alone.ask(&open, NOW, |_| {}).await.expect("opened");
    let write = Ask::Write {
        epoch: 1,
        records: vec![record(1)],
        is_awaited: false,
    };
    let Ok(Reply::Written { is_durable, .. }) = alone.ask(&write, NOW, |_| {}).await else {
        panic!("not written");
    };
    assert!(!is_durable);
}

#[tokio::test]
async fn a_stream_that_was_tampered_with_is_not_intact() {
    let mut bench = Bench::new().await;
    for (epoch, tamper) in [
        (1, &["DEL", "rev:{jotd}:log"][..]),
        (2, &["XADD", "rev:{jotd}:log", "*", "a", "b"][..]),
        (3, &["DEL", "rev:{jotd}:state"][..]),
        (4, &["FLUSHALL"][..]),
    ] {
        let opened = bench.open(epoch).await;
        assert!(opened.is_intact, "{epoch}");
        let epoch = opened.head.at.epoch;
        bench.write(epoch, vec![record(1)]).await.expect("written");
        bench.redis.cli(tamper);
        assert!(!bench.look().await.is_intact, "{tamper:?}");
        assert_eq!(
            bench.write(epoch, vec![record(2)]).await,
            Err(Fault::Fenced),
            "{tamper:?}"
        );
    }
}

#[tokio::test]
async fn what_somebody_else_wrote_is_unreadable_and_no_fault() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    for fields in [
        &["a", "b"][..],
        &["record", "zz", "chain", "00"][..],
        &["beat", "", "x", "y"][..],
    ] {
        bench
            .redis
            .cli(&[&["XADD", "rev:{jotd}:log", "1-*"], fields].concat());
    }
    let entries = bench.entries().await;
    assert!(
        entries[1..]
            .iter()
            .all(|entry| entry.content == Content::Unreadable),
        "{entries:?}"
    );
    bench
        .redis
        .cli(&["SET", "rev:{jotd}:held:0000", "not a record"]);
    let Ok(Reply::Page {
        records,
        unreadable,
        ..
    }) = bench.ask(Ask::Page { cursor: 0 }).await
    else {
        panic!("no page");
    };
    assert_eq!((records.len(), unreadable), (0, 1));
}

#[tokio::test]
async fn a_plain_client_revokes_with_the_script() {
    let mut bench = Bench::new().await;
    let prelude = include_str!("../scripts/prelude.lua");
    let script = [prelude, include_str!("../scripts/write.lua")].concat();
    let keys = ["state", "held", "log", "wake"].map(|name| format!("rev:{{jotd}}:{name}"));
    let [state, held, log, wake] = &keys;
    let order = record(1).to_hex();
    let mut call = vec!["EVAL", &script, "4", state, held, log, wake, "*", "always"];
    call.extend(["1900000000", "100000", &order]);
    let answer = bench.redis.cli(&call);
    assert!(
        answer.starts_with("1\n1\n1\n"),
        "opened by itself: {answer}"
    );
    assert_eq!(bench.held().await, [record(1)]);
    let wrong = order.to_uppercase();
    *call.last_mut().expect("arguments") = &wrong;
    assert!(bench.redis.cli(&call).contains("JOTDRECORD"));
    assert_eq!(bench.held().await, [record(1)]);
}

/// The lines of the documentation that compute a record by hand, run as they stand there.
#[test]
fn the_documented_id_is_ours() {
    let page = include_str!("../../../../../docs/revocation.md");
    let from = page.find("net() {").expect("the lines");
    let lines = &page[from..from + page[from..].find("```").expect("their end")];
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("id-secret"),
        "0123456789abcdef0123456789abcdef\n",
    )
    .expect("a file");
    let script = format!("{lines}printf %s \"$record\"");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output();
    let printed = String::from_utf8(output.expect("a shell").stdout).expect("text");
    let theirs = Record::from_hex(&printed).expect(&printed);
    let ids = IdKey::new(b"0123456789abcdef0123456789abcdef").tenant("default");
    let members = Members::NONE.with(Member::Issuer).with(Member::TokenId);
    let ours = ids.key(members, |member| match member {
        Member::Issuer => Some(b"https://idp.example"),
        Member::TokenId => Some(b"4f1c"),
        _ => None,
    });
    assert_eq!(Some(theirs.key), ours);
    assert_eq!(theirs.before, Record::EVERY);
}
