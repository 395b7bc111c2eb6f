//! A host that has a great many revocations to learn: from Redis, and at its next start from its own disk.
//!
//! By itself one in each string of records. `make faults` runs the release build with a million, and prints how long it took.

use crate::daemon_support::PATIENCE;
use crate::redis::{Redis, command};
use crate::shared::sharing;
use crate::support::{Process, jotd_revoke, request, said};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// Strings of records.
const SHARDS: u32 = 65_536;

/// Strings of records that are put there at a time.
const TOGETHER: u32 = 1_024;

#[test]
fn many_records_are_learnt_from_redis_and_from_disk() {
    let many = if std::env::var_os("JOTD_FAULTS").is_some() {
        16 * SHARDS
    } else {
        SHARDS
    };
    let redis = Redis::start();
    let world = sharing(&redis, None);
    let named = ["--iss", "https://idp.example", "--jti", "x"];
    let printed = jotd_revoke(&world, &[&named[..], &["--print-id"]].concat(), "");
    let text = said(&printed);
    let record = String::from_utf8(printed.stdout).expect("digits");
    fill(&redis, record.get(..10).expect(&text), many);

    let admin = world.path("run/admin.sock");
    let began = Instant::now();
    let (mut process, _log) = Process::serve(&world);
    until_known(&admin, many, "");
    let from_redis = began.elapsed();
    until_known(&admin, many, "\"live\"");
    let live = began.elapsed();
    let pid = i32::try_from(process.0.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), Signal::TERM).expect("it runs");
    process.0.wait().expect("a child of ours");

    let began = Instant::now();
    let (_process, log) = Process::serve(&world);
    until_known(&admin, many, "");
    let from_disk = began.elapsed();
    eprintln!(
        "{many} revocations: known {from_redis:?} after a start with nothing, and live after {live:?}; known \
         {from_disk:?} after the next start, of which the journal took {} ms",
        reading_took(&log)
    );
}

/// As many whole sets of records as there are strings of them, by a hand that is faster than the script's.
fn fill(redis: &Redis, tag_and_members: &str, many: u32) {
    let stream = redis.connect();
    let each = many / SHARDS;
    for first in (0..SHARDS).step_by(TOGETHER as usize) {
        let mut words = vec!["MSET".to_owned()];
        for shard in first..first + TOGETHER {
            words.push(format!("rev:{{jotd}}:held:{shard:04x}"));
            let record = |number| {
                // Spread like the hashes that ids are.
                let id = u128::from(shard * each + number)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                let rest = id >> 16;
                format!("{tag_and_members}{shard:04x}{rest:028x}ffffffffee6b2800")
            };
            words.push((0..each).map(record).collect());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(command(&stream, &words), "+OK\r\n");
    }
}

fn until_known(admin: &Path, many: u32, state: &str) {
    let since = Instant::now();
    let entries = format!("\njotd_revocation_entries {many}\n");
    let is_so = || {
        let ask = |head: &str| {
            let stream = UnixStream::connect(admin).ok()?;
            Some(request(stream, head, "", "").1)
        };
        Some(ask("GET /metrics")?.contains(&entries) && ask("GET /readyz")?.contains(state))
    };
    while is_so() != Some(true) {
        assert!(since.elapsed() < PATIENCE, "never known");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn reading_took(log: &Receiver<String>) -> String {
    let line = log
        .iter()
        .find(|line| line.contains("revocations are known"));
    let line = line.expect("it says so");
    let took = line.split("took_ms").nth(1).expect("it says how long");
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    took.trim_start_matches(|c| !is_number(c))
        .chars()
        .take_while(|c| is_number(*c))
        .collect()
}
