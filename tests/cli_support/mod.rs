//! Runs the real binary, with files in a folder of the test's own.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use jotd::issuer::{Claims, SigningKey, danger};
use jotd::jose::Algorithm;
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The moment at which these tests take place.
pub(crate) const NOW: i64 = 1_710_600_000;

/// The issuer of the tests' tokens.
pub(crate) const ISSUER: &str = "https://idp.example";

/// Whom they are for.
pub(crate) const AUDIENCE: &str = "payments";

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

    /// Runs the binary and feeds it `input`.
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
        let feeder = std::thread::spawn(move || {
            // A command that does not want its input closes it.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("the binary ends");
        feeder.join().expect("the feeder does not panic");
        Said::from(output)
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

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).expect("stdout is text"),
            stderr: String::from_utf8(output.stderr).expect("stderr is text"),
            code: output.status.code().expect("it was not killed"),
        }
    }
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
