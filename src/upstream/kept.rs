//! Fetched sets on this host's disk, so that it verifies from its first second on although an issuer is down.
//!
//! A file is worth something only whole, private, of the very source that is configured, and for as long as its keys
//! may be trusted; else it is as if there were none. What it holds was pinned once and is pinned again: nothing read
//! here is trusted more than what comes over the network.
#![forbid(unsafe_code)]

use super::source::Remote;
use crate::encoding::hex;
use crate::limits::JWKS_BYTES_MAX;
use rustix::fs::{Mode, OFlags, openat, renameat, unlinkat};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs::{DirBuilder, DirEntry, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A folder of fetched sets, one file an issuer.
#[derive(Debug)]
pub struct KeptSets {
    path: PathBuf,
    folder: File,
}

/// A set as it was kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The set, byte for byte as the issuer sent it.
    pub(super) body: Vec<u8>,
    /// How long its keys may still be trusted.
    pub(super) trust_left: Duration,
}

/// What a file says of its set. Stands between the digest of all that follows it and the set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    /// The issuer's configured name.
    issuer: String,
    /// Where the set came from.
    source: String,
    /// When the issuer last said that it holds, in seconds since the epoch.
    seen_at: i64,
}

const VERSION: u32 = 1;

/// What the names of files end in.
const SUFFIX: &str = "jwks";

/// Longer than any set may be trusted without a word of its issuer.
const OVER: Duration = Duration::from_secs(31 * 24 * 3_600);

/// Room for digest and head beside the largest set.
const FILE_BYTES_MAX: usize = JWKS_BYTES_MAX + 16 * 1024;

/// What is kept is dated anew when so much of its time has gone: often enough, and seldom enough for disks.
const RENEWALS: u32 = 16;

/// A file from the future shows that a clock was set back; by so little it may be slewing.
const AHEAD_SECONDS_MAX: i64 = 60;

impl KeptSets {
    /// Opens the folder, and makes it where there is none.
    ///
    /// # Errors
    /// What the system said, or that others could put keys there.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        let folder = File::open(path)?;
        require_ours(&folder)?;
        sweep(path);
        Ok(Self {
            path: path.to_owned(),
            folder,
        })
    }

    /// Where the folder is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The set of an issuer, if one is kept that may still be trusted at `now`, in seconds since the epoch.
    pub(super) fn load(&self, issuer: &str, remote: &Remote, now: i64) -> Option<Kept> {
        let read = self.read(issuer);
        let opened = match &read {
            Ok(bytes) => decode(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(_) => Err("it cannot be read"),
        };
        let (head, body) = match opened {
            Ok(file) => file,
            Err(why) => {
                let error = read.err().map(tracing::field::display);
                tracing::warn!(issuer, error, "the kept keys are fetched anew: {why}");
                return None;
            }
        };
        let unused = |why: &str| tracing::info!(issuer, why, "the kept keys are not used");
        if head.issuer != issuer || head.source != source_of(remote) {
            unused("they came from elsewhere");
            return None;
        }
        let age = now.saturating_sub(head.seen_at);
        let trusted_seconds = i64::try_from(remote.keys_max_age.as_secs()).unwrap_or(i64::MAX);
        if age < -AHEAD_SECONDS_MAX || age >= trusted_seconds {
            unused("they are too old, or the clock was set back");
            return None;
        }
        let age = Duration::from_secs(u64::try_from(age).unwrap_or(0));
        Some(Kept {
            body: body.to_vec(),
            trust_left: remote.keys_max_age.saturating_sub(age),
        })
    }

    /// Keeps a set that an issuer has just sent. What was kept before stays whole until the new one is.
    ///
    /// # Errors
    /// What the system said.
    pub(super) fn save(
        &self,
        issuer: &str,
        remote: &Remote,
        seen_at: i64,
        body: &[u8],
    ) -> io::Result<()> {
        let head = Head {
            version: VERSION,
            issuer: issuer.to_owned(),
            source: source_of(remote),
            seen_at,
        };
        self.write(issuer, &encode(&head, body))
    }

    /// Notes that the issuer still says what is kept.
    ///
    /// # Errors
    /// What the system said; or that nothing is kept of this source.
    pub(super) fn renew(&self, issuer: &str, remote: &Remote, seen_at: i64) -> io::Result<()> {
        let bytes = self.read(issuer)?;
        let (head, body) = decode(&bytes).map_err(other)?;
        if head.issuer != issuer || head.source != source_of(remote) {
            return Err(other("what is kept came from elsewhere"));
        }
        let head = Head { seen_at, ..head };
        self.write(issuer, &encode(&head, body))
    }

    fn read(&self, issuer: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::from(openat(
            &self.folder,
            file_name(issuer),
            flags,
            Mode::empty(),
        )?);
        require_ours(&file)?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(FILE_BYTES_MAX + 1).unwrap_or(u64::MAX);
        file.take(limit).read_to_end(&mut bytes)?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(other("it is too long"));
        }
        Ok(bytes)
    }

    fn write(&self, issuer: &str, bytes: &[u8]) -> io::Result<()> {
        let name = file_name(issuer);
        let new = format!("{name}.new");
        // One that a crash left behind may be anything, even a link.
        let _ = unlinkat(&self.folder, &new, rustix::fs::AtFlags::empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(openat(&self.folder, &new, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(bytes)?;
        file.sync_all()?;
        renameat(&self.folder, &new, &self.folder, name)?;
        self.folder.sync_all()
    }
}

/// Whether what was dated then, as time since boot like `now`, need not be dated anew yet.
pub(super) fn is_young(kept_at: Option<Duration>, remote: &Remote, now: Duration) -> bool {
    kept_at.is_some_and(|at| now.saturating_sub(at) < remote.keys_max_age / RENEWALS)
}

/// Removes what nobody can trust any more: issuers and tenants come and go.
fn sweep(path: &Path) {
    let is_over = |file: &DirEntry| {
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        file.path().extension() == Some(OsStr::new(SUFFIX)) && age.is_some_and(|age| age > OVER)
    };
    for file in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if is_over(&file) {
            // What cannot be removed is too old to be used all the same.
            let _ = std::fs::remove_file(file.path());
        }
    }
}

/// The name in the configuration may be anything; the file's is made of its digest.
fn file_name(issuer: &str) -> String {
    let mut name = hex(&Sha256::digest(issuer.as_bytes())[..16]);
    name.push('.');
    name.push_str(SUFFIX);
    name
}

fn source_of(remote: &Remote) -> String {
    remote.endpoint.identity()
}

fn encode(head: &Head, body: &[u8]) -> Vec<u8> {
    let head = serde_json::to_string(head).expect("strings and numbers are always JSON");
    let mut sealed = head.into_bytes();
    sealed.push(b'\n');
    sealed.extend_from_slice(body);
    let mut file = hex(&Sha256::digest(&sealed)).into_bytes();
    file.push(b'\n');
    file.append(&mut sealed);
    file
}

fn decode(bytes: &[u8]) -> Result<(Head, &[u8]), &'static str> {
    const DAMAGED: &str = "it is damaged";
    let (digest, sealed) = line(bytes).ok_or(DAMAGED)?;
    if digest != hex(&Sha256::digest(sealed)).as_bytes() {
        return Err(DAMAGED);
    }
    let (head, body) = line(sealed).ok_or(DAMAGED)?;
    let head: Head = serde_json::from_slice(head).map_err(|_| "it is of another version")?;
    if head.version != VERSION {
        return Err("it is of another version");
    }
    Ok((head, body))
}

/// What stands before the first line feed, and what behind it.
pub(super) fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at(end);
    Some((line, rest.get(1..)?))
}

/// What another user can write, another user may have written: that would be a key of theirs in the issuer's name.
fn require_ours(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    let is_ours = metadata.uid() == geteuid().as_raw() || metadata.uid() == 0;
    if is_ours && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(other(
        "others than its owner may write it, or its owner is another",
    ))
}

fn other(why: &'static str) -> io::Error {
    io::Error::other(why)
}

#[cfg(test)]
mod tests;
