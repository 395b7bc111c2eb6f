//! The daemon as its operators see it: a process, signals, a service manager.

mod daemon_support;

use daemon_support::{PATIENCE, World, eventually, token};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// `jotd serve` as a child. Killed when dropped, if it still runs.
struct Process {
    child: Child,
    log: Receiver<String>,
}

impl Process {
    fn serve(world: &World) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jotd"));
        command
            .arg("serve")
            .arg("--config")
            .arg(world.config_path());
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (lines, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody may be listening any more.
                let _ = lines.send(line);
            }
        });
        Self { child, log }
    }

    /// Waits for a line in the log.
    fn until_logged(&self, wanted: &str) -> String {
        let began = Instant::now();
        let mut seen = Vec::new();
        loop {
            let left = PATIENCE.saturating_sub(began.elapsed());
            match self.log.recv_timeout(left) {
                Ok(line) if line.contains(wanted) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("never logged: {wanted}\n{}", seen.join("\n")),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it runs");
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", || {
            status = self.child.try_wait().expect("a child of ours");
            status.is_some()
        });
        status.expect("just seen")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has usually ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One verdict over HTTP on the Unix socket.
fn verdict(socket: &Path, token: &str) -> serde_json::Value {
    let stream = UnixStream::connect(socket).expect("it listens");
    finish(begin(stream, token))
}

/// Sends all of a request but its last byte.
fn begin(mut stream: UnixStream, token: &str) -> UnixStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let body = format!("{{\"token\":\"{token}\"");
    write!(
        stream,
        "POST /v1/verify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len() + 1
    )
    .expect("sent");
    stream
}

/// Sends the last byte, and reads the verdict.
fn finish(mut stream: UnixStream) -> serde_json::Value {
    stream.write_all(b"}").expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a whole reply");
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no verdict: {reply}"))
}

#[test]
fn a_hangup_reloads_and_a_faulty_file_changes_nothing() {
    let world = World::new();
    let mut process = Process::serve(&world);
    process.until_logged("ready");
    assert_eq!(verdict(&world.socket(), &world.token())["valid"], true);

    world.write_config("[cashe]\n");
    process.signal(Signal::HUP);
    process.until_logged("the old configuration stays");
    process.until_logged("did you mean `cache`?");
    assert_eq!(verdict(&world.socket(), &world.token())["valid"], true);

    world.write_config(&world.default_config().replace("payments", "ledger"));
    process.signal(Signal::HUP);
    process.until_logged("reloaded");
    let said = verdict(&world.socket(), &world.token());
    assert_eq!(said["reason"], "wrong_audience", "{said}");

    process.signal(Signal::TERM);
    assert!(process.wait().success());
    assert!(!world.socket().exists());
}

#[test]
fn what_was_begun_before_the_signal_is_answered_after_it() {
    let world = World::new();
    let mut process = Process::serve(&world);
    process.until_logged("ready");
    let begun = begin(
        UnixStream::connect(world.socket()).expect("it listens"),
        &world.token(),
    );
    // The connection is being served once a later one has been.
    assert_eq!(verdict(&world.socket(), &world.token())["valid"], true);
    process.signal(Signal::TERM);
    process.until_logged("stopping");
    let said = finish(begun);
    assert_eq!(said["valid"], true, "{said}");
    assert!(process.wait().success(), "nothing was lost");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let world = World::new();
    let mut process = Process::serve(&world);
    process.until_logged("ready");
    let _begun = begin(
        UnixStream::connect(world.socket()).expect("it listens"),
        &world.token(),
    );
    assert_eq!(verdict(&world.socket(), &world.token())["valid"], true);
    process.signal(Signal::TERM);
    process.until_logged("stopping");
    process.signal(Signal::INT);
    assert_eq!(process.wait().code(), Some(1), "somebody got no answer");
}

#[test]
fn a_faulty_configuration_is_told_whole_and_exits_with_2() {
    let world = World::new();
    world.write_config("[cashe]\n[[issuer]]\nname = 1\n");
    let mut process = Process::serve(&world);
    process.until_logged("jotd.toml:1:2: unknown setting `cashe`");
    process.until_logged("jotd.toml:3:8: wants a string");
    assert_eq!(process.wait().code(), Some(2));
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused() {
    let world = World::new();
    let first = Process::serve(&world);
    first.until_logged("ready");
    let mut second = Process::serve(&world);
    second.until_logged("another jotd serves this socket");
    assert_eq!(second.wait().code(), Some(1));
    assert_eq!(verdict(&world.socket(), &world.token())["valid"], true);
}

#[test]
fn a_killed_daemon_leaves_nothing_that_stops_the_next() {
    let world = World::new();
    let mut first = Process::serve(&world);
    first.until_logged("ready");
    first.signal(Signal::KILL);
    assert!(!first.wait().success());
    assert!(world.socket().exists(), "nobody could take it away");
    let second = Process::serve(&world);
    second.until_logged("ready");
    assert_eq!(verdict(&world.socket(), &world.token())["valid"], true);
}

#[test]
fn a_socket_that_the_service_manager_opened_is_taken_over_and_left_behind() {
    let world = World::new();
    let passed = world.path("passed.sock");
    let listener = UnixListener::bind(&passed).expect("bound");
    // The shell gives the listener the number, and its own process the name, that the protocol wants.
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg("exec 3<&0 </dev/null; LISTEN_PID=$$ exec \"$0\" \"$@\"")
        .arg(env!("CARGO_BIN_EXE_jotd"))
        .arg("serve")
        .arg("--config")
        .arg(world.config_path())
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "socket")
        .stdin(Stdio::from(OwnedFd::from(listener)));
    // Whoever connects before it runs waits in the backlog.
    let early = UnixStream::connect(&passed).expect("the manager listens");
    let mut process = Process::start(command);
    let said = finish(begin(early, &world.token()));
    assert_eq!(said["valid"], true, "{said}");
    assert!(!world.socket().exists(), "the configured path is not used");
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    assert!(passed.exists(), "the manager's to remove");
}

#[test]
fn the_service_manager_is_told_how_it_goes() {
    let world = World::new();
    let manager = UnixDatagram::bind(world.path("notify")).expect("bound");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let told = |wanted: &str| {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = manager.recv(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.lines().any(|line| line.starts_with(wanted)) {
                return message;
            }
            seen.push(message);
        }
        panic!("never told {wanted}: {seen:?}");
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_jotd"));
    command
        .arg("serve")
        .arg("--config")
        .arg(world.config_path())
        .env("NOTIFY_SOCKET", world.path("notify"))
        .env("WATCHDOG_USEC", "300000");
    let mut process = Process::start(command);
    told("READY=1");
    // Three in a row: each is a question that came back from the workers.
    for _ in 0..3 {
        told("WATCHDOG=1");
    }
    process.signal(Signal::HUP);
    let reloading = told("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    told("READY=1");
    process.signal(Signal::TERM);
    told("STOPPING=1");
    assert!(process.wait().success());
}

/// Tokens and secrets must not be found in a core file, nor by another process of the same user.
#[test]
fn the_process_cannot_be_dumped() {
    let world = World::new();
    let process = Process::serve(&world);
    process.until_logged("ready");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.child.id()));
    let limits = limits.expect("readable");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = core.expect("listed").split_whitespace().collect();
    assert_eq!(words.get(4..6), Some(["0", "0"].as_slice()), "{words:?}");
}

#[test]
fn no_log_line_holds_a_token() {
    let world = World::new();
    let config = format!(
        "[log]\nlevel = \"trace\"\nformat = \"json\"\n{}",
        world.default_config()
    );
    world.write_config(&config);
    let mut process = Process::serve(&world);
    process.until_logged("ready");
    let stranger = token(&daemon_support::signing_key("k9"));
    for token in [world.token(), stranger.clone(), format!("{stranger}!")] {
        verdict(&world.socket(), &token);
    }
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    let log: String = process.log.iter().collect();
    assert!(log.contains("stopped"), "{log}");
    // Every part of a token is at least this long, and nothing else in a log begins like one.
    assert!(!log.contains("eyJ"), "{log}");
}
