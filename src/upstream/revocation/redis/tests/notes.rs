//! Notes of who has applied what, and sweeps, on a real server.

use super::super::Position;
use super::super::wire::{Ask, Fault, Present, Reply};
use super::host::record;
use super::scripts::Bench;

#[tokio::test]
async fn notes_are_taken_told_and_swept() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    let at = |sequence| Position { epoch: 1, sequence };
    let note = |sequence, count| Ask::Read {
        after: at(sequence),
        block_ms: 0,
        note: Some(count),
    };
    for count in [1, 2] {
        let Ok(Reply::Entries { is_noted, .. }) = bench.ask(note(0, count)).await else {
            panic!("no answer");
        };
        assert!(is_noted);
    }
    bench
        .redis
        .cli(&["HSET", "rev:{jotd}:hosts", "stranger", "hello"]);
    let said = Present {
        host: "bench".into(),
        at: at(0),
        count: 2,
    };
    let call = |outdated| Ask::Call { epoch: 1, outdated };
    let called = Ok(Reply::Called(vec![said.clone()]));
    assert_eq!(bench.ask(call(vec![])).await, called);
    // It has said something else since: it lives.
    let old = Present {
        count: 1,
        ..said.clone()
    };
    assert_eq!(bench.ask(call(vec![old])).await, called);
    assert_eq!(bench.ask(call(vec![said])).await, Ok(Reply::Called(vec![])));
    let elsewhere = Ask::Call {
        epoch: 2,
        outdated: vec![],
    };
    assert_eq!(bench.ask(elsewhere).await, Err(Fault::Fenced));

    // A server that takes no writes takes no note, and is read all the same.
    bench.redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let Ok(Reply::Entries {
        entries, is_noted, ..
    }) = bench.ask(note(0, 3)).await
    else {
        panic!("no answer");
    };
    assert_eq!((entries.len(), is_noted), (0, false));
}

#[tokio::test]
async fn who_waits_for_everybody_says_so() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    bench.write(1, vec![record(1)]).await.expect("written");
    assert_eq!(bench.look().await.awaited, Position::default());
    let write = Ask::Write {
        epoch: 1,
        records: vec![record(2)],
        is_awaited: true,
    };
    let Ok(Reply::Written { last, .. }) = bench.ask(write).await else {
        panic!("not written");
    };
    bench.write(1, vec![record(3)]).await.expect("written");
    assert_eq!(bench.look().await.awaited, last);
}

#[tokio::test]
async fn a_sweep_goes_on_until_all_is_swept() {
    let mut bench = Bench::new().await;
    bench.open(1).await;
    bench.write(1, vec![record(7)]).await.expect("written");
    // In every string one, put there by hand: nothing that has expired is ever written.
    let fill = "for i = 0, 65535 do local shard = string.format('%04x', i) redis.call('APPEND', KEYS[1] .. ':' .. \
                shard, '0000000002' .. shard .. string.rep('0', 28) .. 'ffffffff3b9aca00') end";
    bench.redis.cli(&["EVAL", fill, "1", "rev:{jotd}:held"]);
    assert_eq!(bench.redis.held(), 65_537);
    let mut rests = 0;
    while bench.redis.held() > 1 {
        loop {
            match bench.ask(Ask::Prune).await {
                Ok(Reply::Pruned { is_all: false }) => {}
                Ok(Reply::Pruned { is_all: true }) => break,
                other => panic!("{other:?}"),
            }
        }
        rests += 1;
    }
    assert_eq!(rests, 16, "a sixteenth at a time");
    assert_eq!(bench.held().await, [record(7)]);
}
