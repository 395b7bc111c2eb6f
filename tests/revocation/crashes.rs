//! The log after `kill -9`, and after damage.

use crate::daemon_support::eventually;
use crate::support::{Process, admin, jotd_revoke, request, revoke, said, world};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Checks F-01. `kill -9` amid a stream of orders, again and again: every order that was acknowledged is known to the
/// next daemon.
#[test]
fn a_killed_daemon_forgets_no_acknowledged_order() {
    let world = world();
    let mut acknowledged = Vec::new();
    for round in 0..3_u64 {
        let (process, _log) = Process::serve(&world);
        let socket = world.path("run/admin.sock");
        eventually("it listens", || UnixStream::connect(&socket).is_ok());
        let mut askers = Vec::new();
        let count = std::sync::Arc::new(AtomicUsize::new(0));
        for asker in 0..4_u64 {
            let (socket, count) = (socket.clone(), count.clone());
            askers.push(std::thread::spawn(move || {
                let mut keys = Vec::new();
                for number in 0.. {
                    let order = json!({"jti": format!("{round}-{asker}-{number}")}).to_string();
                    let Some(key) = order_once(&socket, &order) else {
                        break;
                    };
                    keys.push(key);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                keys
            }));
        }
        eventually("some are acknowledged", || {
            count.load(Ordering::Relaxed) > 20
        });
        // Amid whatever comes next.
        std::thread::sleep(std::time::Duration::from_micros(1_700 * round));
        process.kill();
        for asker in askers {
            acknowledged.extend(asker.join().expect("no panic"));
        }
    }
    let (_process, _log) = Process::serve(&world);
    eventually("it listens", || {
        UnixStream::connect(world.path("run/admin.sock")).is_ok()
    });
    let list = jotd_revoke(&world, &["list", "--limit", "10000000"], "");
    let known = String::from_utf8_lossy(&list.stdout);
    let known: std::collections::HashSet<&str> = known
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|key| !known.contains(key.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} were lost",
        lost.len(),
        acknowledged.len()
    );
}

/// The key of the record, if the order was acknowledged.
fn order_once(socket: &Path, order: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    write!(
        stream,
        "POST /v1/revocations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{order}",
        order.len()
    )
    .ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let receipt: Value = serde_json::from_str(body).ok()?;
    assert!(head.contains(" 200 "), "{head}");
    receipt["revocations"][0]["record"]
        .as_str()
        .map(str::to_owned)
}

/// Checks F-39. Audit lines go to standard error; where those cannot be kept, tokens die all the same, and it shows.
#[test]
fn a_full_disk_behind_standard_error_stops_nothing() {
    let world = world();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let child = Command::new(env!("CARGO_BIN_EXE_jotd"))
        .arg("serve")
        .arg("--config")
        .arg(world.config_path())
        .stderr(full.expect("Linux has it"))
        .spawn();
    let mut process = Process(child.expect("the binary runs"));
    let socket = world.path("run/admin.sock");
    eventually("it listens", || UnixStream::connect(&socket).is_ok());
    let order = json!({"sub": "alice"}).to_string();
    assert!(order_once(&socket, &order).is_some());
    let stream = UnixStream::connect(&socket).expect("it listens");
    let (_, metrics) = request(stream, "GET /metrics", "", "");
    let lost = metrics
        .lines()
        .find_map(|line| line.strip_prefix("jotd_log_lines_lost_total "));
    let lost: u64 = lost.expect("it is counted").parse().expect("a number");
    assert!(lost > 0);
    assert!(process.0.try_wait().expect("a child of ours").is_none());
}

/// A log that cannot be trusted stops the start: without it, revoked tokens would pass.
#[test]
fn a_damaged_log_stops_the_start_and_what_is_left_can_be_saved() {
    let world = world();
    let daemon = world.start();
    for sub in ["a", "b", "c"] {
        revoke(
            daemon.addresses().admin.expect("an admin listener"),
            &json!({"sub": sub}),
        );
    }
    let _ = daemon.stop();
    let journal = world.path("state/revocations");
    let mut bytes = std::fs::read(&journal).expect("readable");
    // A bit of the first record: two commits stand behind it.
    bytes[50] ^= 1;
    std::fs::write(&journal, &bytes).expect("writable");
    let (mut process, log) = Process::serve(&world);
    let code = process.0.wait().expect("it ends").code();
    let text = log.iter().collect::<Vec<_>>().join("\n");
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("damaged at byte 48: 1 of its records cannot be read, 2 can"),
        "{text}"
    );
    assert_eq!(
        std::fs::read(&journal).expect("readable"),
        bytes,
        "left as it was"
    );

    let saved = world.path("saved");
    let [from, to] = [&journal, &saved].map(|path| path.display().to_string());
    let salvaged = jotd_revoke(&world, &["salvage", &from, "--out", &to], "");
    assert!(
        said(&salvaged).contains("2 records saved"),
        "{}",
        said(&salvaged)
    );
    let config = std::fs::read_to_string(world.config_path()).expect("readable");
    world.write_config(&config.replace("state_dir = \"state\"", "state_dir = \"saved\""));
    let daemon = world.start();
    let address = daemon.addresses().admin.expect("an admin listener");
    assert_eq!(admin(address, "GET /v1/revocations", "").1["total"], 2);
    let _ = daemon.stop();
}
