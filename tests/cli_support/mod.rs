//! Runs the real binary, with files in a folder of the test's own.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

use jotd::issuer::{Claims, SigningKey, danger};
use jotd::jose::Algorithm;
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// The moment at which these tests take place.
pub(crate) const NOW: i64 = 1_710_600_000;

/// The issuer of the tests' tokens.
pub(crate) const ISSUER: &str = "https://idp.example";

/// Whom they are for.
pub(crate) const AUDIENCE: &str = "payments";

/// What takes longer hangs, however loaded the machine is.
const PATIENCE: Duration = Duration::from_secs(180);

/// A folder with key files, and the binary run in it.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// What a command said, and how it ended.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("the folder is writable");
        path
    }

    pub(crate) fn write_private(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .expect("the folder is writable");
        file.write_all(bytes.as_ref()).expect("written");
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file was written")
    }

    /// A key for an algorithm; its public half is written as `<name>.json`, a JWK Set.
    pub(crate) fn key(&self, name: &str, algorithm: Algorithm) -> SigningKey {
        let key = SigningKey::generate(algorithm, None).expect("keys can be made");
        let json = match key.public_jwk() {
            Some(public) => public,
            None => danger::to_private_jwk(&key)
                .expect("it is private")
                .to_string(),
        };
        self.write(&format!("{name}.json"), format!("{{\"keys\":[{json}]}}"));
        key
    }

    /// The binary, to be run in the folder, without this process's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jotd"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear();
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "")
    }

    /// Runs the binary and feeds it `input`. A command that hangs is ended, and what it was doing is told.
    pub(crate) fn run_with(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Said {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.as_ref().to_vec();
        std::thread::spawn(move || {
            // A command that does not want its input closes it.
            let _ = stdin.write_all(&input);
        });
        let stdout = read_aside(child.stdout.take().expect("piped"));
        let stderr = read_aside(child.stderr.take().expect("piped"));
        let status = wait(&mut child, arguments);
        let text = |bytes: Receiver<Vec<u8>>| {
            let bytes = bytes
                .recv_timeout(PATIENCE)
                .expect("it ends with the process");
            String::from_utf8(bytes).expect("its output is text")
        };
        Said {
            stdout: text(stdout),
            stderr: text(stderr),
            code: status.code().expect("it was not killed"),
        }
    }

    /// Verifies tokens at [`NOW`] against `keys.json` for [`ISSUER`] and [`AUDIENCE`].
    pub(crate) fn verify(&self, more: &[&str], input: impl AsRef<[u8]>) -> Said {
        let now = NOW.to_string();
        let mut arguments = vec!["verify", "--jwks", "keys.json", "--now", &now];
        arguments.extend(["--issuer", ISSUER, "--audience", AUDIENCE]);
        arguments.extend(more);
        self.run_with(&arguments, input)
    }
}

impl Said {
    /// Every line of stdout as JSON.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).expect("each line is JSON");
        self.stdout.lines().map(parse).collect()
    }

    /// The reason of every verdict; `valid` for those that have none.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.json_lines()
            .iter()
            .map(|verdict| match verdict["valid"].as_bool() {
                Some(true) => "valid".to_owned(),
                _ => verdict["reason"].as_str().expect("a reason").to_owned(),
            })
            .collect()
    }
}

fn read_aside(mut output: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, bytes) = mpsc::channel();
    std::thread::spawn(move || {
        let mut read = Vec::new();
        // Whatever was read before a fault is what there is.
        let _ = output.read_to_end(&mut read);
        let _ = sender.send(read);
    });
    bytes
}

fn wait(child: &mut Child, arguments: &[&str]) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if began.elapsed() > PATIENCE {
            let threads = threads(child.id());
            child.kill().expect("it is our child");
            panic!("{arguments:?} hangs:\n{threads}");
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// What each thread of a process is waiting for, as far as the system tells.
fn threads(process: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let told = tasks.map(|task| {
        let tell = |name: &str| {
            let text = std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            text.trim().to_owned()
        };
        format!(
            "{}: waits in {}; stat {}; syscall {}",
            tell("comm"),
            tell("wchan"),
            tell("stat"),
            tell("syscall")
        )
    });
    told.collect::<Vec<_>>().join("\n")
}

/// Claims that verify at [`NOW`].
pub(crate) fn claims(subject: &str) -> Claims {
    Claims {
        issuer: Some(ISSUER.to_owned()),
        subject: Some(subject.to_owned()),
        audiences: vec![AUDIENCE.to_owned()],
        id: Some(format!("id-{subject}")),
        ..Claims::default()
    }
}

/// A token that is good at [`NOW`].
pub(crate) fn good(key: &SigningKey, subject: &str) -> String {
    key.mint(&claims(subject), NOW).expect("it can be minted")
}

/// The token with another signature of the same length.
pub(crate) fn forged(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("a token has dots");
    // The first character carries six bits of the signature and no padding.
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{signed}.{other}{}", &signature[1..])
}

pub(crate) fn mode(path: &Path) -> u32 {
    let metadata = std::fs::metadata(path).expect("the file is there");
    metadata.permissions().mode() & 0o7777
}
