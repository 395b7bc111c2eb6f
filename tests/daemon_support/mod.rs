//! What the stories about the daemon share: a folder, an issuer with real keys, and a daemon on it.
#![allow(dead_code, reason = "each story uses a part")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits in real time, and mints for now"
)]

use jotd::config::{self, Config, Faults};
use jotd::daemon::Daemon;
use jotd::issuer::{Claims, SigningKey};
use jotd::jose::Algorithm;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Long enough for a loaded machine; nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with an issuer's key and a configuration that trusts it.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) key: SigningKey,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            key: signing_key("k1"),
        };
        world.write_jwks("jwks.json", &[&world.key]);
        world.write_config(&world.default_config());
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("run/jotd.sock")
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.path("jotd.toml")
    }

    pub(crate) fn default_config(&self) -> String {
        format!("{}{}", self.listen(), issuer("jwks_file = \"jwks.json\""))
    }

    /// How every configuration begins: ports that are free, and time enough for a slow machine to verify a batch.
    pub(crate) fn listen(&self) -> String {
        "[limits]\ndeadline_ms = 10_000\n\n\
         [listen]\nsocket = \"run/jotd.sock\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n"
            .to_owned()
    }

    pub(crate) fn write_config(&self, text: &str) {
        std::fs::write(self.config_path(), text).expect("writable");
    }

    /// Replaces a key set as tools do: a new file, renamed over the old.
    pub(crate) fn write_jwks(&self, name: &str, keys: &[&SigningKey]) {
        let fresh = self.path(&format!("{name}.new"));
        std::fs::write(&fresh, jwks(keys)).expect("writable");
        std::fs::rename(fresh, self.path(name)).expect("renamed");
    }

    pub(crate) fn load(&self) -> Result<Config, Faults> {
        config::load_with(&self.config_path(), [])
    }

    pub(crate) fn start(&self) -> Daemon {
        let path = self.config_path();
        let config = self.load().expect("a good configuration");
        Daemon::start(config, Box::new(move || config::load_with(&path, []))).expect("it starts")
    }

    pub(crate) fn token(&self) -> String {
        token(&self.key)
    }
}

/// An `[[issuer]]` with keys from this source.
pub(crate) fn issuer(source: &str) -> String {
    format!(
        "\n[[issuer]]\nname = \"acme\"\nissuer = \"https://idp.example\"\n{source}\n\
         audiences = [\"payments\"]\nalgorithms = [\"ES256\"]\n"
    )
}

pub(crate) fn signing_key(kid: &str) -> SigningKey {
    let key = SigningKey::generate(Algorithm::Es256, None).expect("a key");
    key.with_kid(Some(kid)).expect("a good kid")
}

pub(crate) fn jwks(keys: &[&SigningKey]) -> String {
    let keys: Vec<String> = keys.iter().filter_map(|key| key.public_jwk()).collect();
    format!("{{\"keys\":[{}]}}", keys.join(","))
}

pub(crate) fn token(key: &SigningKey) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time");
    let claims = Claims {
        issuer: Some("https://idp.example".to_owned()),
        subject: Some("somebody".to_owned()),
        audiences: vec!["payments".to_owned()],
        ..Claims::default()
    };
    key.mint(&claims, now).expect("signed")
}

/// One HTTP request on a connection of its own: status and body.
pub(crate) fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a whole reply");
    let status = reply.get(9..12).and_then(|status| status.parse().ok());
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.expect("a status line"), body.to_owned())
}

/// What the daemon says of a token, over HTTP.
pub(crate) fn verdict(address: SocketAddr, token: &str) -> serde_json::Value {
    let body = format!("{{\"token\":\"{token}\"}}");
    let (_, reply) = http(address, "POST", "/v1/verify", &body);
    serde_json::from_str(&reply).unwrap_or_else(|_| panic!("not JSON: {reply}"))
}

/// Waits until something is true that will be, if the daemon is right.
pub(crate) fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is_true() {
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
