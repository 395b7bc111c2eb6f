//! A real `redis-server` for daemons to share, and the bare minimum to speak to it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Redis {
    folder: tempfile::TempDir,
    child: Child,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let child = spawn(folder.path());
        let redis = Self { folder, child };
        redis.wait_until_ready();
        redis
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// `kill -9`; it has kept nothing.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a process of ours");
        self.child.wait().expect("a process of ours");
        let _ = std::fs::remove_file(self.socket());
    }

    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.folder.path());
        self.wait_until_ready();
    }

    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).expect("it listens")
    }

    /// How many strings of records there are: with a few records, as many.
    pub(crate) fn shards(&self) -> usize {
        let answer = command(&self.connect(), &["KEYS", "rev:{jotd}:held:*"]);
        let count = answer
            .strip_prefix('*')
            .and_then(|rest| rest.lines().next());
        count
            .and_then(|count| count.parse().ok())
            .expect("an array")
    }

    fn wait_until_ready(&self) {
        crate::daemon_support::eventually("a server", || {
            UnixStream::connect(self.socket())
                .is_ok_and(|stream| command(&stream, &["PING"]).starts_with('+'))
        });
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It has usually not ended yet.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path) -> Child {
    Command::new("redis-server")
        .current_dir(folder)
        .args(["--port", "0", "--unixsocket", "redis.sock"])
        .args(["--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server, which scripts/install-tools installs")
}

/// Asks, and returns what comes back at once: enough for short answers.
pub(crate) fn command(mut stream: &UnixStream, words: &[&str]) -> String {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(text.as_bytes()).expect("sent");
    let mut answer = [0; 4_096];
    let length = stream.read(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}
