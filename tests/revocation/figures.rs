//! From an order given to one daemon to the first refusal by another, beside what Redis itself takes for the way.
//!
//! By itself a few orders, to see that each is obeyed. `make faults` runs the release build at 1,000 orders a second
//! while the other daemon verifies half of the time, and prints the figures.

use crate::daemon_support::{World, eventually};
use crate::redis::{Redis, command};
use crate::shared::sharing;
use crate::support::Process;
use crate::tokens::mint;
use jotd::transport::client::Client;
use jotd::transport::wire::RemoteVerdict;
use jotd::verdict::Reason;
use jotd::verify::Want;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A kept connection of HTTP/1.1.
struct Http(UnixStream, Vec<u8>);

impl Http {
    fn connect(socket: &Path) -> Self {
        Self(UnixStream::connect(socket).expect("it listens"), Vec::new())
    }

    fn send(&mut self, path: &str, body: &str) {
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.write_all(text.as_bytes()).expect("sent");
    }

    fn receive(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.1);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.parse::<usize>().ok())?
                });
                let length = length.expect("a length");
                if body.len() >= length {
                    let body = body[..length].to_owned();
                    self.1.clear();
                    return body;
                }
            }
            let mut bytes = [0; 65_536];
            let read = self.0.read(&mut bytes).expect("an answer");
            assert!(read > 0, "the daemon hung up");
            self.1.extend_from_slice(&bytes[..read]);
        }
    }

    fn ask(&mut self, path: &str, body: &str) -> String {
        self.send(path, body);
        self.receive()
    }
}

fn order(jti: &str) -> String {
    json!({"iss": "https://idp.example", "jti": jti}).to_string()
}

fn question(token: &str) -> String {
    json!({"token": token}).to_string()
}

/// Everything that goes on beside what is measured.
struct Load<'w> {
    is_over: AtomicBool,
    orders: AtomicU64,
    verdicts: AtomicU64,
    giver: &'w World,
    taker: &'w World,
}

impl Load<'_> {
    /// Orders, at this rate on one connection.
    fn give(&self, lane: usize, per_second: u32) {
        let mut http = Http::connect(&self.giver.path("run/admin.sock"));
        let began = Instant::now();
        for number in 0_u32.. {
            let due = Duration::from_secs(1) * number / per_second;
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let answer = http.ask("/v1/revocations", &order(&format!("load-{lane}-{number}")));
            assert!(answer.contains("\"revocations\""), "{answer}");
            self.orders.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Batches of good tokens, half of the time.
    fn verify(&self, tokens: &[String]) {
        let mut http = Http::connect(&self.taker.socket());
        let body = json!({"tokens": tokens}).to_string();
        while !self.is_over.load(Ordering::Relaxed) {
            let began = Instant::now();
            let answer = http.ask("/v1/verify/batch", &body);
            let valid = answer.matches("\"valid\":true").count();
            assert_eq!(valid, tokens.len(), "{answer}");
            self.verdicts.fetch_add(valid as u64, Ordering::Relaxed);
            std::thread::sleep(began.elapsed());
        }
    }
}

/// A service that asks over the socket, in frames.
struct Service {
    runtime: Runtime,
    client: Client,
}

impl Service {
    fn connect(socket: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = runtime.block_on(Client::connect(socket));
        Self {
            client: client.expect("it listens"),
            runtime,
        }
    }

    fn is_valid(&self, token: &str) -> bool {
        let verdicts = self
            .runtime
            .block_on(async { self.client.verify(&[token], &Want::Verdict).await })
            .expect("an answer");
        match verdicts.first().expect("one") {
            RemoteVerdict::Valid { .. } => true,
            RemoteVerdict::Invalid {
                reason: Reason::Revoked,
                ..
            } => false,
            other => panic!("{other:?}"),
        }
    }
}

/// One order, and questions until it is obeyed.
fn round(orders: &mut Http, service: &Service, jti: &str, token: &str) -> Duration {
    assert!(service.is_valid(token));
    let began = Instant::now();
    orders.send("/v1/revocations", &order(jti));
    let took = loop {
        if !service.is_valid(token) {
            break began.elapsed();
        }
        // Who asks without a pause takes one of two cores from those who are measured.
        std::thread::sleep(Duration::from_micros(50));
    };
    let receipt: Value = serde_json::from_str(&orders.receive()).expect("JSON");
    assert_eq!(receipt["progress"], "accepted", "{receipt}");
    took
}

/// `XADD` on one connection to its arrival by a blocked `XREAD` on another.
fn bare_round(
    writer: &UnixStream,
    number: usize,
    blocked: &mpsc::Sender<usize>,
    arrived: &mpsc::Receiver<Instant>,
) -> Duration {
    blocked.send(number).expect("a reader");
    std::thread::sleep(Duration::from_millis(3));
    let began = Instant::now();
    let id = format!("{}-0", number + 1);
    command(writer, &["XADD", "bare", &id, "record", &"0".repeat(58)]);
    let arrived = arrived.recv().expect("a reader");
    arrived.saturating_duration_since(began)
}

fn percentiles(times: &mut [Duration]) -> [Duration; 2] {
    times.sort_unstable();
    [50, 99].map(|percent| times[(times.len() - 1) * percent / 100])
}

#[test]
fn order_to_refused_through_two_daemons() {
    let is_thorough = std::env::var_os("JOTD_FAULTS").is_some();
    let (rounds, lanes, per_second) = if is_thorough {
        (1_000, 8, 125)
    } else {
        (20, 2, 25)
    };
    let redis = Redis::start();
    let giver = sharing(&redis, None);
    let taker = sharing(&redis, Some(&giver));
    let _daemons = [&giver, &taker].map(Process::serve);
    for world in [&giver, &taker] {
        eventually("a socket", || UnixStream::connect(world.socket()).is_ok());
        eventually("an admin socket", || {
            UnixStream::connect(world.path("run/admin.sock")).is_ok()
        });
    }
    let tokens: Vec<_> = (0..rounds)
        .map(|number| {
            mint(
                &giver,
                &json!({"sub": "s", "jti": format!("probe-{number}")}),
                0,
            )
        })
        .collect();
    let good: Vec<_> = (0..64)
        .map(|number| {
            mint(
                &giver,
                &json!({"sub": "s", "jti": format!("good-{number}")}),
                0,
            )
        })
        .collect();
    let mut questions = Http::connect(&taker.socket());
    eventually("live", || {
        questions
            .ask("/v1/verify", &question(&good[0]))
            .contains("\"live\"")
    });
    let service = Service::connect(&taker.socket());
    let mut orders = Http::connect(&giver.path("run/admin.sock"));
    eventually("accepted", || {
        orders
            .ask("/v1/revocations", &order("first"))
            .contains("\"accepted\"")
    });

    let load = Load {
        is_over: AtomicBool::new(false),
        orders: AtomicU64::new(0),
        verdicts: AtomicU64::new(0),
        giver: &giver,
        taker: &taker,
    };
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for lane in 0..lanes {
            let load = &load;
            scope.spawn(move || load.give(lane, per_second));
        }
        scope.spawn(|| load.verify(&good));
        let (blocked, begin) = mpsc::channel();
        let (told, arrived) = mpsc::channel();
        let reader = redis.connect();
        scope.spawn(move || {
            while let Ok(number) = begin.recv() {
                // By its number: one that is written before this is asked is not missed.
                let after = format!("{number}-0");
                let read = ["XREAD", "BLOCK", "5000", "STREAMS", "bare", &after];
                let answer = command(&reader, &read);
                let at = Instant::now();
                assert!(answer.contains("record"), "{answer}");
                told.send(at).expect("somebody waits");
            }
        });
        let writer = redis.connect();
        for (number, token) in tokens.iter().enumerate() {
            let jti = format!("probe-{number}");
            ours.push(round(&mut orders, &service, &jti, token));
            bare.push(bare_round(&writer, number, &blocked, &arrived));
        }
        load.is_over.store(true, Ordering::Relaxed);
        drop(blocked);
    });
    let seconds = began.elapsed().as_secs_f64();
    let ([p50, p99], [bare_p50, bare_p99]) = (percentiles(&mut ours), percentiles(&mut bare));
    let rate = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / seconds;
    eprintln!(
        "order to refused: p50 {p50:?}, p99 {p99:?}; bare XADD to XREAD: p50 {bare_p50:?}, p99 {bare_p99:?}; ratio \
         {:.2} over {rounds} orders, beside {:.0} orders/s and {:.0} verdicts/s",
        p50.as_secs_f64() / bare_p50.as_secs_f64(),
        rate(&load.orders),
        rate(&load.verdicts),
    );
}
