//! How long an order takes from one host to another, beside what Redis itself takes for the same way.

use super::super::Options;
use super::host::{Host, record};
use super::server::RedisServer;
use crate::clock::since_boot;
use crate::revocation::Wait;
use redis::Client;
use redis::aio::MultiplexedConnection;
use std::time::Duration;

/// Orders of a run. Few, because a test must not take long; `JOTD_FAULTS` takes more.
const ORDERS: u32 = 200;

/// Prints the figure. That it is as it should be is for a quiet machine to say; that every order arrives, and
/// that the bare path is faster, is checked here.
#[tokio::test]
async fn order_to_applied_beside_bare_redis() {
    let server = RedisServer::start(&[]);
    let options = Options::one(server.address());
    let (giver, taker) = (Host::start(&options), Host::start(&options));
    giver.until_live().await;
    taker.until_live().await;
    let orders = if super::is_thorough() {
        20 * ORDERS
    } else {
        ORDERS
    };
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let client =
        Client::open(format!("redis+unix://{}", server.socket().display())).expect("an address");
    let mut writer = client
        .get_multiplexed_async_connection()
        .await
        .expect("a server");
    let reader = client
        .get_multiplexed_async_connection()
        .await
        .expect("a server");
    for number in 0..orders {
        let order = record(number);
        let given_at = since_boot();
        let order_given = giver.logs.submit(vec![order], Wait::Accepted);
        let known = async {
            loop {
                let told = taker.known.1.notified();
                if taker.known.has(&order) {
                    return since_boot() - given_at;
                }
                told.await;
            }
        };
        let (outcome, took) = tokio::join!(order_given, known);
        assert!(outcome.is_some_and(|outcome| outcome.is_accepted));
        ours.push(took);
        bare.push(bare_round(&mut writer, reader.clone(), number).await);
    }
    let (p50, p99) = (percentile(&mut ours, 50), percentile(&mut ours, 99));
    let (bare_p50, bare_p99) = (percentile(&mut bare, 50), percentile(&mut bare, 99));
    eprintln!(
        "order to applied: p50 {p50:?}, p99 {p99:?}; bare XADD to XREAD: p50 {bare_p50:?}, p99 {bare_p99:?}; \
         ratio {:.2} over {orders} orders",
        p50.as_secs_f64() / bare_p50.as_secs_f64()
    );
}

/// One `XADD` on one connection, to its arrival by a blocked `XREAD` on another.
async fn bare_round(
    writer: &mut MultiplexedConnection,
    mut reader: MultiplexedConnection,
    number: u32,
) -> Duration {
    let blocked = tokio::spawn(async move {
        let mut read = redis::cmd("XREAD");
        read.arg("BLOCK")
            .arg(1_000)
            .arg("STREAMS")
            .arg("bare")
            // One that is written before this is asked is not missed.
            .arg(format!("{number}-0"));
        let entries: redis::Value = read.query_async(&mut reader).await.expect("an answer");
        assert_ne!(entries, redis::Value::Nil);
        since_boot()
    });
    tokio::time::sleep(Duration::from_millis(3)).await;
    let given_at = since_boot();
    let mut add = redis::cmd("XADD");
    add.arg("bare")
        .arg(format!("{}-0", number + 1))
        .arg("record")
        .arg(record(1).to_hex());
    let _: redis::Value = add.query_async(writer).await.expect("an answer");
    blocked.await.expect("no panics").saturating_sub(given_at)
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}
