//! From what was written to what is meant: contradictions, unsafe settings that were not spelled out, and
//! files that are not there all become faults here, beside those of reading.
#![forbid(unsafe_code)]

use super::choice::{Address, CpuList, ReplayWord};
use super::fault::{Found, Place, did_you_mean, shown};
use super::raw;
use super::section::At;
use super::setting::{FilePath, List, Name, Text};
use super::{
    Config, Listen, Log, Socket, Threads, Tls, check_fetch, check_issuer, check_peer,
    check_revocation,
};
use crate::policy::Narrowing;
use crate::transport::tls::Acceptor;
use crate::{cache, engine, os, transport};
use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Checks a whole document. The result is complete only if nothing was found.
pub(super) fn check(
    raw: &raw::Document,
    folder: &Path,
    environment: &[(OsString, OsString)],
    found: &mut Found,
) -> Config {
    let mut checker = Checker {
        folder,
        environment,
        found,
    };
    let issuers = check_issuer::issuers(raw, &mut checker);
    let policies = checker.policies(raw);
    let tenants: std::collections::HashSet<&str> =
        issuers.iter().map(|issuer| &*issuer.tenant).collect();
    let threads = checker.threads(&raw.threads);
    let revocation = check_revocation::revocation(raw, &mut checker);
    Config {
        engine: engine::Options {
            cpus: threads.verify.clone(),
            batch_tokens_max: raw.batch.max_tokens.value.usize(),
            batch_wait_us: raw.batch.max_wait_us.value.u64(),
            queue_cost_ns_max: raw.limits.queue_ms.value.u64() * 1_000_000,
            cache: checker.cache(&raw.cache, tenants.len()),
            ceiling: raw.kernels.ceiling.value.into(),
            table_bytes_max: raw.kernels.table_mib_max.value.usize() << 20,
        },
        threads,
        listen: checker.listen(&raw.listen),
        limits: limits(&raw.limits),
        drain_patience: milliseconds(raw.limits.drain_ms.value.u64()),
        single_use_tokens_max: raw.limits.single_use_tokens_max.value.usize(),
        log: Log {
            level: raw.log.level.value,
            format: raw.log.format.value,
        },
        peers: check_peer::peers(raw, &mut checker),
        revocation,
        keys_state_dir: check_fetch::state_dir(raw, &checker),
        keys_shared: check_fetch::shared(raw, &mut checker),
        issuers,
        policies,
        warnings: Vec::new(),
    }
}

/// The variable in which the service manager says where it has put credentials (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Gathers faults, and knows where relative paths begin.
pub(super) struct Checker<'a> {
    folder: &'a Path,
    environment: &'a [(OsString, OsString)],
    pub(super) found: &'a mut Found,
}

impl Checker<'_> {
    /// A path, from the configuration file's folder where it is relative; `credential:NAME` is the file of a
    /// credential that the service manager passed.
    pub(super) fn path(&self, path: &FilePath) -> PathBuf {
        let credential = path
            .0
            .to_str()
            .and_then(|path| path.strip_prefix("credential:"));
        match credential {
            // Left as it is written where there are none, it is a file that cannot be read, and the fault says so.
            Some(name) => match self.variable(CREDENTIALS_DIRECTORY).map(Path::new) {
                Some(folder) if !name.contains('/') && !name.starts_with('.') => folder.join(name),
                _ => Path::new("$CREDENTIALS_DIRECTORY").join(name),
            },
            None => self.folder.join(&path.0),
        }
    }

    /// A variable of the environment.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    }

    /// A path to a file that we must be able to read.
    pub(super) fn readable(&mut self, path: &At<FilePath>) -> PathBuf {
        let resolved = self.path(&path.value);
        if let Err(error) = std::fs::File::open(&resolved) {
            self.found.push(
                &path.place,
                format!("{} cannot be read: {error}", resolved.display()),
            );
        }
        resolved
    }

    /// Enters a name, and faults the second of two.
    pub(super) fn unique(
        &mut self,
        seen: &mut HashMap<Box<str>, Place>,
        what: &str,
        value: &str,
        place: &Place,
    ) {
        if seen.insert(value.into(), place.clone()).is_some() {
            self.found
                .push(place, format!("{what} {} is taken already", shown(value)));
        }
    }

    fn threads(&mut self, raw: &raw::Threads) -> Threads {
        let allowed = os::allowed_cpus();
        let layout = Threads::auto(&allowed);
        Threads {
            io: self.cpus(&raw.io, &allowed, layout.io),
            verify: self.cpus(&raw.verify, &allowed, layout.verify),
        }
    }

    fn cpus(&mut self, list: &At<CpuList>, allowed: &[usize], auto: Vec<usize>) -> Vec<usize> {
        let CpuList::These(cpus) = &list.value else {
            return auto;
        };
        for cpu in cpus.iter().filter(|cpu| !allowed.contains(cpu)) {
            self.found.push(
                &list.place,
                format!("this process may not run on CPU {cpu}; it may on {allowed:?}"),
            );
        }
        cpus.clone()
    }

    fn cache(&mut self, raw: &raw::Cache, tenants: usize) -> cache::Options {
        let shards = raw.shards.value.usize();
        let capacity = raw.capacity.value.usize();
        if !shards.is_power_of_two() {
            self.found.push(
                &raw.shards.place,
                format!(
                    "{shards} is no power of two; {} is the next",
                    shards.next_power_of_two()
                ),
            );
        }
        let share = raw.share_percent_max.as_ref().map(|share| share.value.0);
        let share = share.unwrap_or(if tenants > 1 { 50 } else { 100 });
        cache::Options {
            capacity,
            shards,
            share_percent_max: u8::try_from(share).unwrap_or(100),
        }
    }

    fn listen(&mut self, raw: &raw::Listen) -> Listen {
        let tls = self.tls(&raw.tls);
        let socket = self.socket(raw);
        let admin_socket = self.admin_socket(raw);
        if let (Some(socket), Some(admin)) = (&socket, &admin_socket)
            && socket.path == admin.path
        {
            let message = "is the same path as `socket`";
            self.found.push(&raw.admin_socket.place, message);
        }
        let http = address(&raw.http);
        let admin = address(&raw.admin);
        if socket.is_none() && http.is_none() {
            self.found.push(
                &raw.socket.place,
                "nobody could ask: `socket` and `http` are both \"off\"",
            );
        }
        if let Some(http) = http
            && !http.ip().is_loopback()
            && tls.is_none()
            && !raw.allow_plaintext.value
        {
            self.found.push(
                &raw.http.place,
                format!(
                    "{http} is beyond loopback, where tokens would cross the network in clear; add \
                     [listen.tls], or write allow_plaintext = true"
                ),
            );
        }
        if let Some(admin) = admin {
            if !admin.ip().is_loopback() && !raw.allow_remote_admin.value {
                self.found.push(
                    &raw.admin.place,
                    format!(
                        "{admin} is beyond loopback, and whoever reaches it may read metrics and \
                         reload; if that is meant, write allow_remote_admin = true"
                    ),
                );
            }
            if http == Some(admin) && admin.port() != 0 {
                self.found
                    .push(&raw.admin.place, "is the same address as `http`");
            }
        }
        Listen {
            socket,
            http,
            admin,
            admin_socket,
            admin_hosts: optional_texts(raw.admin_hosts.as_ref()),
            keys_required: raw.keys_required.value,
            tls,
        }
    }

    /// The path of a Unix socket, unless it is off.
    fn socket_path(&mut self, raw: &At<FilePath>) -> Option<PathBuf> {
        if raw.value.0 == Path::new("off") {
            return None;
        }
        let path = self.path(&raw.value);
        // `sun_path` of unix(7) has 108 bytes, one of them for the end.
        if path.as_os_str().len() > 107 {
            self.found.push(
                &raw.place,
                "is longer than the 107 bytes that a Unix socket's path may have",
            );
        }
        Some(path)
    }

    fn admin_socket(&mut self, raw: &raw::Listen) -> Option<Socket> {
        let path = self.socket_path(&raw.admin_socket)?;
        let mode = raw.admin_socket_mode.value.0;
        if mode & 0o007 != 0 {
            self.found.push(
                &raw.admin_socket_mode.place,
                "lets everybody on this host reload and revoke; 0600 and 0660 do not",
            );
        }
        Some(Socket {
            path,
            mode,
            group: None,
        })
    }

    fn socket(&mut self, raw: &raw::Listen) -> Option<Socket> {
        let path = self.socket_path(&raw.socket)?;
        let group = raw.socket_group.as_ref().and_then(|group| {
            let Name(name) = &group.value;
            let id = name.parse().ok().or_else(|| os::group_id(name));
            if id.is_none() {
                self.found.push(
                    &group.place,
                    format!("no group {} in /etc/group", shown(name)),
                );
            }
            id
        });
        Some(Socket {
            path,
            mode: raw.socket_mode.value.0,
            group,
        })
    }

    fn tls(&mut self, raw: &raw::Tls) -> Option<Tls> {
        let cert_file = raw.cert_file.as_ref().map(|path| self.readable(path));
        let key_file = raw.key_file.as_ref().map(|path| {
            let resolved = self.readable(path);
            self.refuse_exposed(&resolved, &path.place);
            resolved
        });
        let client_ca_file = raw.client_ca_file.as_ref().map(|path| self.readable(path));
        match (cert_file, key_file, client_ca_file) {
            (None, None, None) => None,
            (Some(cert_file), Some(key_file), client_ca_file) => {
                let tls = Tls {
                    cert_file,
                    key_file,
                    client_ca_file,
                };
                // A file that cannot be read is a fault already.
                if let Ok(identity) = tls.read()
                    && let Err(error) = Acceptor::new(&identity)
                    && let Some(place) = raw.cert_file.as_ref().map(|path| &path.place)
                {
                    self.found.push(place, error.to_string());
                }
                Some(tls)
            }
            (cert_file, ..) => {
                let (missing, place) = if cert_file.is_none() {
                    (
                        "cert_file",
                        raw.key_file.as_ref().or(raw.client_ca_file.as_ref()),
                    )
                } else {
                    ("key_file", raw.cert_file.as_ref())
                };
                let place = place.map(|path| path.place.clone()).unwrap_or_default();
                self.found
                    .push(&place, format!("TLS needs `{missing}` as well"));
                None
            }
        }
    }

    pub(super) fn refuse_exposed(&mut self, path: &Path, place: &Place) {
        let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o007 != 0 {
            self.found.push(
                place,
                format!(
                    "{} holds a secret, but its mode {:04o} lets others at it; run: chmod o= {}",
                    path.display(),
                    mode & 0o7777,
                    path.display()
                ),
            );
        }
    }

    fn policies(&mut self, raw: &raw::Document) -> Vec<(Box<str>, Narrowing)> {
        let mut seen = HashMap::new();
        let mut policies = Vec::new();
        for At { value: policy, .. } in &raw.policy {
            let Some(name) = &policy.name else { continue };
            self.unique(&mut seen, "the policy name", &name.value.0, &name.place);
            self.known_tenants(policy.tenants.as_ref(), raw);
            for issuer in policy.issuers.iter().flat_map(|list| &list.value.0) {
                let known = raw
                    .issuer
                    .iter()
                    .filter_map(|known| known.value.name.as_ref())
                    .map(|name| &*name.value.0);
                self.refuse_unknown("issuer", issuer, known.collect());
            }
            policies.push((
                name.value.0.clone(),
                Narrowing {
                    issuers: policy.issuers.as_ref().map(|list| names(&list.value)),
                    audiences: policy.audiences.as_ref().map(|list| texts(&list.value)),
                    types: policy.types.as_ref().map(|list| texts(&list.value)),
                    required_claims: optional_texts(policy.required_claims.as_ref()),
                    scopes: optional_texts(policy.scopes.as_ref()),
                    age_seconds_max: policy.age_seconds_max.as_ref().map(|age| age.value.0),
                    single_use: policy.replay.value == ReplayWord::SingleUse,
                    tenants: policy.tenants.as_ref().map(|list| in_order(&list.value)),
                },
            ));
        }
        policies
    }

    /// Faults a name that nothing has, with a guess.
    pub(super) fn refuse_unknown(&mut self, what: &str, name: &At<Name>, known: Vec<&str>) {
        let Name(text) = &name.value;
        if !known.contains(&&**text) {
            let guess = did_you_mean(text, known);
            let message = format!("no [[{what}]] is named {}{guess}", shown(text));
            self.found.push(&name.place, message);
        }
    }
}

pub(super) fn texts(list: &List<Text>) -> Vec<Box<str>> {
    list.0.iter().map(|item| item.value.0.clone()).collect()
}

pub(super) fn optional_texts(list: Option<&At<List<Text>>>) -> Vec<Box<str>> {
    list.map(|list| texts(&list.value)).unwrap_or_default()
}

pub(super) fn names(list: &List<Name>) -> Vec<Box<str>> {
    list.0.iter().map(|item| item.value.0.clone()).collect()
}

/// In order and each once, so that one set of tenants is the same however it was written.
pub(super) fn in_order(list: &List<Name>) -> Box<[Box<str>]> {
    let names: BTreeSet<Box<str>> = names(list).into_iter().collect();
    names.into_iter().collect()
}

fn address(address: &At<Address>) -> Option<SocketAddr> {
    match address.value {
        Address::Off => None,
        Address::At(address) => Some(address),
    }
}

fn limits(raw: &raw::Limits) -> transport::Limits {
    transport::Limits {
        connections_max: raw.connections_max.value.usize(),
        connections_per_peer_max: raw.connections_per_peer_max.value.usize(),
        calls_in_flight_max: u32::try_from(raw.calls_in_flight_max.value.0).unwrap_or(u32::MAX),
        handshake_timeout: milliseconds(raw.handshake_ms.value.u64()),
        stall_timeout: milliseconds(raw.stall_ms.value.u64()),
        idle_timeout: milliseconds(raw.idle_ms.value.u64()),
        body_bytes_max: raw.body_bytes_max.value.usize(),
        deadline_default: milliseconds(raw.deadline_ms.value.u64()),
    }
}

pub(super) fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}
