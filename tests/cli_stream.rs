//! `jotd verify` over long inputs: in order, at once, and in bounded memory.

mod cli_support;

use cli_support::{AUDIENCE, Bench, ISSUER, NOW, claims, forged, good};
use jotd::jose::Algorithm;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// More than any of this takes on a slow machine; it only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(120);

fn start(bench: &Bench) -> Child {
    let now = NOW.to_string();
    let mut command = bench.command(&["verify", "--jwks", "keys.json", "--now", &now]);
    command
        .args(["--issuer", ISSUER, "--audience", AUDIENCE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("the binary starts")
}

#[test]
fn a_hundred_thousand_tokens_come_out_in_order_with_the_right_verdicts() {
    const TOKENS: usize = 100_000;
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Hs256);
    // A prime number of kinds, so that they shift against every chunk and batch size.
    let expired = key.mint(&claims("old"), NOW - 1000).expect("minted");
    let other = forged(&good(&key, "forged"));
    let line = |number: usize| match number % 7 {
        0 => forged(&good(&key, &number.to_string())),
        1 => expired.clone(),
        2 => "garbage".repeat(number % 100),
        3 => other.clone(),
        _ => good(&key, &number.to_string()),
    };
    let input: String = (0..TOKENS).map(|number| line(number) + "\n").collect();
    let said = bench.verify(&[], input);
    assert_eq!((said.code, said.stderr.as_str()), (1, ""));
    let mut lines = 0;
    for (number, verdict) in said.stdout.lines().enumerate() {
        let expected = match number % 7 {
            0 | 3 => "\"reason\":\"bad_signature\"".to_owned(),
            1 => "\"reason\":\"expired\"".to_owned(),
            2 => "\"reason\":\"malformed\"".to_owned(),
            _ => format!("\"valid\":true,\"issuer\":\"{ISSUER}\""),
        };
        assert!(verdict.contains(&expected), "line {number}: {verdict}");
        if number % 7 > 3 {
            // The subject says that this is the verdict of this very token.
            let subject = format!("\"sub\":\"{number}\"");
            assert!(verdict.contains(&subject), "line {number}: {verdict}");
        }
        lines += 1;
    }
    assert_eq!(lines, TOKENS);
}

#[test]
fn whoever_feeds_it_slowly_is_answered_at_once() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Es256);
    let mut child = start(&bench);
    let mut stdin = child.stdin.take().expect("piped");
    let verdicts = lines_of(child.stdout.take().expect("piped"));
    for number in 0..3 {
        let token = good(&key, &number.to_string());
        // In two pieces, as a pipe may deliver them.
        let (first, second) = token.split_at(token.len() / 2);
        stdin.write_all(first.as_bytes()).expect("it listens");
        stdin.flush().expect("it listens");
        stdin.write_all(second.as_bytes()).expect("it listens");
        stdin.write_all(b"\n").expect("it listens");
        let verdict = verdicts
            .recv_timeout(PATIENCE)
            .expect("a verdict before more input");
        assert!(
            verdict.contains(&format!("\"sub\":\"{number}\"")),
            "{verdict}"
        );
    }
    drop(stdin);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_line_of_fifty_megabytes_is_too_large_and_is_never_kept() {
    const LINE_BYTES: usize = 50 * 1024 * 1024;
    /// Debug builds and the C library's arenas take some 20 MiB; a kept line would add 50.
    const RESIDENT_KIB_MAX: u64 = 48 * 1024;
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Es256);
    let mut child = start(&bench);
    let mut stdin = child.stdin.take().expect("piped");
    let verdicts = lines_of(child.stdout.take().expect("piped"));
    let piece = vec![b'e'; 1024 * 1024];
    for _ in 0..LINE_BYTES / piece.len() {
        stdin.write_all(&piece).expect("it reads on");
    }
    stdin.write_all(b"\n").expect("it reads on");
    writeln!(stdin, "{}", good(&key, "after")).expect("it reads on");
    let first = verdicts.recv_timeout(PATIENCE).expect("a verdict");
    assert_eq!(
        first,
        r#"{"valid":false,"reason":"too_large","detail":"the token is longer than 65536 bytes"}"#
    );
    let second = verdicts.recv_timeout(PATIENCE).expect("a verdict");
    assert!(second.contains("\"sub\":\"after\""), "{second}");
    let peak = peak_resident_kib(child.id());
    assert!(peak < RESIDENT_KIB_MAX, "{peak} KiB at the peak");
    drop(stdin);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn many_small_lines_do_not_pile_up_while_nobody_reads() {
    const RESIDENT_KIB_MAX: u64 = 96 * 1024;
    let bench = Bench::new();
    bench.key("keys", Algorithm::Es256);
    let mut child = start(&bench);
    let mut stdin = child.stdin.take().expect("piped");
    // Nobody reads stdout yet: once pipes and parcels are full, the writer below is held up.
    let (sender, receiver) = mpsc::channel();
    let feeder = std::thread::spawn(move || {
        let piece = vec![b'\n'; 64 * 1024];
        for number in 0..64 {
            stdin.write_all(&piece).expect("it reads on");
            // The receiver may have stopped listening.
            let _ = sender.send(number);
        }
    });
    // Waits until the pipe has been full for a moment. If it never were, all 64 would arrive, and the
    // check below would still hold.
    while receiver.recv_timeout(Duration::from_millis(300)).is_ok() {}
    let peak = peak_resident_kib(child.id());
    assert!(peak < RESIDENT_KIB_MAX, "{peak} KiB at the peak");
    let mut verdicts = String::new();
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_to_string(&mut verdicts).expect("text");
    feeder.join().expect("everything was read");
    assert_eq!(verdicts.lines().count(), 64 * 64 * 1024);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly_and_not_as_a_success() {
    let bench = Bench::new();
    let key = bench.key("keys", Algorithm::Hs256);
    let mut child = start(&bench);
    let mut stdin = child.stdin.take().expect("piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let tokens = (good(&key, "a") + "\n").repeat(1000);
    let feeder = std::thread::spawn(move || while stdin.write_all(tokens.as_bytes()).is_ok() {});
    let mut first = String::new();
    stdout.read_line(&mut first).expect("a verdict");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    feeder.join().expect("it stopped listening");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn lines_of(stdout: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("text");
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The most memory the process has ever had resident, in KiB.
fn peak_resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it still runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("Linux says");
    line.trim_end_matches("kB")
        .trim()
        .parse()
        .expect("a number")
}
