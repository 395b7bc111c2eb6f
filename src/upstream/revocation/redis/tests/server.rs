//! A real `redis-server` of a test's own, on a Unix socket in a folder of its own.

use crate::upstream::dial::Address;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

pub(in crate::upstream::revocation) struct RedisServer {
    folder: TempDir,
    prefix: Vec<String>,
    arguments: Vec<String>,
    child: Child,
}

impl RedisServer {
    /// Keeps nothing on disk unless the arguments say so.
    pub(in crate::upstream::revocation) fn start(arguments: &[&str]) -> Self {
        Self::start_under(&[], arguments)
    }

    /// Started by another command, as `ip netns exec` is one.
    pub(in crate::upstream::revocation) fn start_under(
        prefix: &[&str],
        arguments: &[&str],
    ) -> Self {
        let prefix: Vec<_> = prefix.iter().map(|word| (*word).to_owned()).collect();
        let folder = tempfile::Builder::new()
            .prefix("jotd-redis")
            .tempdir()
            .expect("a folder");
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        let child = spawn(&folder, &prefix, &arguments);
        let server = Self {
            folder,
            prefix,
            arguments,
            child,
        };
        server.wait_until_ready();
        server
    }

    pub(in crate::upstream::revocation) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    pub(in crate::upstream::revocation) fn address(&self) -> Address {
        Address::parse(&format!("redis+unix://{}", self.socket().display())).expect("an address")
    }

    /// `kill -9`, and nobody is asked.
    pub(in crate::upstream::revocation) fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
        let _ = std::fs::remove_file(self.socket());
    }

    pub(in crate::upstream::revocation) fn restart(&mut self) {
        self.begin();
        self.wait_until_ready();
    }

    /// Started again, and not waited for.
    pub(in crate::upstream::revocation) fn begin(&mut self) {
        self.child = spawn(&self.folder, &self.prefix, &self.arguments);
    }

    pub(in crate::upstream::revocation) fn stop(&self, is_stopped: bool) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let signal = if is_stopped {
            rustix::process::Signal::STOP
        } else {
            rustix::process::Signal::CONT
        };
        rustix::process::kill_process(pid, signal).expect("a process of ours");
    }

    /// What `redis-cli` prints for a command.
    pub(in crate::upstream::revocation) fn cli(&self, arguments: &[&str]) -> String {
        cli(&self.socket(), arguments)
    }

    /// How many records it holds.
    pub(in crate::upstream::revocation) fn held(&self) -> usize {
        let count = "local digits = 0 for shard = 0, 65535 do digits = digits + \
                     redis.call('STRLEN', string.format('%s:%04x', KEYS[1], shard)) end return digits / 58";
        let held = self.cli(&["EVAL", count, "1", "rev:{jotd}:held"]);
        held.trim().parse().expect("a number")
    }

    pub(in crate::upstream::revocation) fn wait_until_ready(&self) {
        for _ in 0..1_500 {
            if self.socket().exists() && cli(&self.socket(), &["PING"]).contains("PONG") {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not answer");
    }
}

/// A port of loopback that nobody has at this moment.
pub(in crate::upstream::revocation) fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address").port()
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(in crate::upstream::revocation) fn cli(socket: &std::path::Path, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .arg("-s")
        .arg(socket)
        .args(arguments)
        .output();
    String::from_utf8_lossy(
        &output
            .expect("redis-cli, which scripts/install-tools installs")
            .stdout,
    )
    .into_owned()
}

fn spawn(folder: &TempDir, prefix: &[String], arguments: &[String]) -> Child {
    let words = [prefix, &["redis-server".to_owned()]].concat();
    Command::new(&words[0])
        .args(&words[1..])
        .current_dir(folder.path())
        .arg("--unixsocket")
        .arg(folder.path().join("redis.sock"))
        .args(["--port", "0", "--save", "", "--appendonly", "no"])
        .args([
            "--repl-diskless-sync-delay",
            "0",
            "--repl-ping-replica-period",
            "1",
        ])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server, which scripts/install-tools installs")
}
