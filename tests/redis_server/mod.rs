//! A real `redis-server` for daemons to share, and the bare minimum to speak to it.
#![allow(dead_code, reason = "each story uses a part")]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

    /// What is answered: the bytes of a string, or of the first of several, or a number.
    pub(crate) fn ask(&self, words: &[&str]) -> Vec<u8> {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        self.ask_bytes(&words)
    }

    pub(crate) fn ask_bytes(&self, words: &[&[u8]]) -> Vec<u8> {
        let mut stream = self.connect();
        let mut question = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            question.extend(format!("${}\r\n", word.len()).bytes());
            question.extend([word, &b"\r\n"[..]].concat());
        }
        stream.write_all(&question).expect("sent");
        let mut answer = BufReader::new(stream);
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).expect("an answer");
            let (kind, rest) = line.trim_end().split_at(1);
            match kind {
                "*" => {}
                "$" => {
                    let mut bytes = vec![0; rest.parse().expect("a length")];
                    answer.read_exact(&mut bytes).expect("a whole answer");
                    return bytes;
                }
                _ => return rest.as_bytes().to_vec(),
            }
        }
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
        let began = Instant::now();
        while !UnixStream::connect(self.socket())
            .is_ok_and(|stream| command(&stream, &["PING"]).starts_with('+'))
        {
            assert!(began.elapsed() < Duration::from_secs(30), "no server");
            std::thread::sleep(Duration::from_millis(20));
        }
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
