//! File and environment in, one checked [`Config`] out, or every fault at once with its place and the way
//! out. Nothing below this room reads the environment or knows what TOML is.
//!
//! Reading goes in two steps. [`document`] makes one tree of file and environment, and `raw` reads it into
//! what was *written*; `check` turns that into what is *meant*, in the types that the rooms below own.
//! Settings that make a verifier unsafe have no default that a forgetful operator could fall into: they
//! are spelled out or they are faults.
#![forbid(unsafe_code)]

mod check;
mod check_feed;
mod check_fetch;
mod check_issuer;
mod check_jwe;
mod check_peer;
mod check_redis;
mod check_revocation;
mod check_secrets;
mod check_source;
mod check_template;
mod choice;
mod document;
mod fault;
#[doc(hidden)]
pub mod fuzz;
mod preset;
mod raw;
mod schema;
mod section;
mod setting;
mod tenancy;
#[cfg(test)]
mod tests;

pub use choice::{LogFormat, LogLevel};
pub use fault::{Fault, Faults, Origin};
pub use schema::schema;

use crate::engine;
use crate::keys::Decryption;
use crate::policy::{Narrowing, Policy};
use crate::revocation::Staleness;
use crate::transport;
use crate::transport::peers::UnixRule;
use crate::transport::tls::Identity;
use crate::upstream::{DecryptionFiles, Source, StatusSource, TenantTerms, Trust};
use crate::verify::{Feed, IssuerMatch};
use fault::Found;
use section::Section;
use std::ffi::OsString;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Largest configuration file, in bytes: room for as many issuers as there may be, with a few lines each.
pub const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which CPUs do what.
    pub threads: Threads,
    /// Workers, batches and the cache.
    pub engine: engine::Options,
    /// Where callers come in.
    pub listen: Listen,
    /// Limits of connections.
    pub limits: transport::Limits,
    /// How long questions in flight may take to be answered once we stop.
    pub drain_patience: Duration,
    /// Most single-use tokens of one tenant that are remembered.
    pub single_use_tokens_max: usize,
    /// What is logged.
    pub log: Log,
    /// How tokens are revoked, where they can be.
    pub revocation: Option<Revocation>,
    /// Folder where fetched key sets are kept.
    pub keys_state_dir: Option<PathBuf>,
    /// How they are shared with other hosts.
    pub keys_shared: Option<SharedKeys>,
    /// Whose tokens are trusted.
    pub issuers: Vec<Issuer>,
    /// Named request policies.
    pub policies: Vec<(Box<str>, Narrowing)>,
    /// Who may ask on the Unix socket, first fit first; empty for everyone its permissions let in.
    pub peers: Vec<UnixRule>,
    /// What is no fault, but worth a look.
    pub warnings: Vec<String>,
}

/// Which CPUs do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    /// One thread each for connections.
    pub io: Vec<usize>,
    /// One worker each.
    pub verify: Vec<usize>,
}

/// Where callers come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The Unix socket.
    pub socket: Option<Socket>,
    /// HTTP and gRPC.
    pub http: Option<SocketAddr>,
    /// Metrics, health, reload, revocation.
    pub admin: Option<SocketAddr>,
    /// The same on a Unix socket, whose permissions say who may.
    pub admin_socket: Option<Socket>,
    /// Names by which `admin` may be called to reload, besides those of loopback.
    pub admin_hosts: Vec<Box<str>>,
    /// Whether readiness waits for every issuer's keys.
    pub keys_required: bool,
    /// TLS for `http`.
    pub tls: Option<Tls>,
}

/// The Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its path.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Its group, where it is not ours.
    pub group: Option<u32>,
}

/// Files for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Our chain.
    pub cert_file: PathBuf,
    /// Our key.
    pub key_file: PathBuf,
    /// Whose clients we take; any where there is none.
    pub client_ca_file: Option<PathBuf>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file, and what the system said.
    pub fn read(&self) -> Result<Identity, String> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))
        };
        Ok(Identity {
            certificate_chain: read(&self.cert_file)?,
            private_key: read(&self.key_file)?,
            client_authorities: self.client_ca_file.as_deref().map(read).transpose()?,
        })
    }
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least level.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
}

/// How tokens are revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Folder of this host's log.
    pub state_dir: PathBuf,
    /// The secret that callers bear to revoke; without one, only the admin socket's permissions let in.
    pub token_file: Option<PathBuf>,
    /// The secret under which ids are made.
    pub id_secret_file: Option<PathBuf>,
    /// What to say of tokens when orders may have been missed.
    pub staleness: Staleness,
    /// The same, by tenant, where it differs.
    pub tenant_staleness: Vec<(Box<str>, Staleness)>,
    /// Most records of one tenant.
    pub tenant_records_max: usize,
    /// How long a log elsewhere counts as current.
    pub lease: Duration,
    /// How many logs elsewhere must hold an order.
    pub write_quorum: usize,
    /// What the keys of logs elsewhere begin with.
    pub prefix: Box<str>,
    /// About how many entries a log elsewhere keeps.
    pub keep_entries: u64,
    /// How long a primary may not have heard from its replicas and still write signs of life.
    pub replica_lag_seconds: u64,
    /// Logs elsewhere.
    pub logs: Vec<RevocationLog>,
    /// Who else says what is revoked.
    pub feeds: Vec<RevocationFeed>,
}

/// Somebody else who says what is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationFeed {
    /// Whose it is, and what it may say.
    pub feed: Arc<Feed>,
    /// The secret that whoever delivers it bears; of one that is fetched, that we bear.
    pub token_file: Option<PathBuf>,
    /// Where it is fetched; `None` where it is delivered.
    pub poll: Option<RevocationPoll>,
}

/// Where a feed is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationPoll {
    /// Where.
    pub uri: http::Uri,
    /// Time between questions.
    pub every: Duration,
    /// Whom to trust there.
    pub trust: Trust,
}

/// A log elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationLog {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub server: RedisServer,
    /// How many replicas must confirm an entry.
    pub replicas: usize,
    /// Whether an entry must be on disks.
    pub on_disk: bool,
}

/// A Redis or Valkey server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServer {
    /// Where it is; several for Sentinels.
    pub addresses: Vec<Box<str>>,
    /// The primary to ask Sentinels for.
    pub sentinel_primary: Option<Box<str>>,
    /// The ACL user.
    pub user: Option<Box<str>>,
    /// A file with the user's password.
    pub password_file: Option<PathBuf>,
    /// Authorities to trust for TLS instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// How fetched key sets are shared with other hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedKeys {
    /// Where.
    pub server: RedisServer,
    /// A file with the secrets that seal them.
    pub secret_file: PathBuf,
    /// What the keys in Redis begin with.
    pub prefix: Box<str>,
}

impl Revocation {
    /// What to say of this tenant's tokens when orders may have been missed.
    #[must_use]
    pub fn staleness_of(&self, tenant: &str) -> Staleness {
        let own = self
            .tenant_staleness
            .iter()
            .find(|(name, _)| **name == *tenant);
        own.map_or(self.staleness, |(_, staleness)| *staleness)
    }
}

/// A trusted issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its name here.
    pub name: Arc<str>,
    /// Its tenant.
    pub tenant: Arc<str>,
    /// Which `iss` it answers to.
    pub iss: IssuerMatch,
    /// Its rules.
    pub policy: Policy,
    /// Longest token accepted, in bytes.
    pub token_bytes_max: usize,
    /// Where its keys come from.
    pub source: Source,
    /// How its status lists are fetched, if its policy looks at any.
    pub status_source: StatusSource,
    /// How its tenants come and go, if it is a template.
    pub tenants: Option<TenantTerms>,
    /// How its tokens may be encrypted, if they may.
    pub decryption: Option<Decrypting>,
}

/// How an issuer's tokens may be encrypted.
#[derive(Clone, Debug)]
pub struct Decrypting {
    /// Where the keys are, and the terms.
    pub files: DecryptionFiles,
    /// What was in the files when the configuration was read.
    pub keys: Arc<Decryption>,
}

/// Reads a configuration file and the environment's `JOTD_` variables.
///
/// # Errors
/// Every fault at once.
pub fn load(path: &Path) -> Result<Config, Faults> {
    load_with(path, std::env::vars_os())
}

/// Reads a configuration file and the given environment.
///
/// # Errors
/// Every fault at once.
pub fn load_with(
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, Faults> {
    let text = read(path).map_err(|message| Faults::whole_file(path, message))?;
    parse(&text, path, environment)
}

/// Checks a configuration given as text; `path` names it in messages, and relative paths begin at its
/// folder.
///
/// # Errors
/// Every fault at once.
pub fn parse(
    text: &str,
    path: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, Faults> {
    let mut found = Found::default();
    let mut document = document::parse(text, &mut found);
    // What is left of a document that could not be parsed would only raise faults that are not there.
    if !found.is_empty() {
        return Err(found.resolve(path, text));
    }
    let environment: Vec<(OsString, OsString)> = environment.into_iter().collect();
    let sections = raw::Document::NAMES;
    let warnings = document::overlay(
        &mut document,
        environment.iter().cloned(),
        sections,
        &mut found,
    );
    preset::apply(&mut document);
    let raw = raw::Document::read(&document, &fault::Place::Nowhere, &mut found);
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut config = check::check(&raw, folder, &environment, &mut found);
    if !found.is_empty() {
        return Err(found.resolve(path, text));
    }
    config.warnings = warnings;
    Ok(config)
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let limit = u64::try_from(FILE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(format!("is larger than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

impl Threads {
    /// A layout for these CPUs: one in eight for connections and the rest for workers; with two, one each;
    /// a lone CPU does both.
    #[must_use]
    pub fn auto(allowed: &[usize]) -> Self {
        let io = allowed.len().div_ceil(8).max(1).min(allowed.len());
        let (io, verify) = allowed.split_at(io);
        Self {
            io: io.to_vec(),
            verify: if verify.is_empty() { io } else { verify }.to_vec(),
        }
    }
}
