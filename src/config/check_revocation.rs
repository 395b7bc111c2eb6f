//! Checks revocation: where orders are kept, who may give them, and what holds when some may have been missed.
#![forbid(unsafe_code)]

use super::check::{Checker, milliseconds};
use super::check_redis::{self, Parts};
use super::section::At;
use super::setting::{FilePath, Name};
use super::{RedisServer, Revocation, RevocationLog, raw};
use crate::revocation::Staleness;
use std::collections::HashMap;
use std::path::PathBuf;

/// Checks the section. `None` where nothing can be revoked.
pub(super) fn revocation(raw: &raw::Document, checker: &mut Checker<'_>) -> Option<Revocation> {
    checker.revocation(raw)
}

/// Fewest bytes of a secret that callers bear: 128 bits in hexadecimal.
const TOKEN_BYTES_MIN: u64 = 32;

/// Where orders are kept on their way to logs elsewhere, unless something else is written.
const STATE_DIR_DEFAULT: &str = "/var/lib/jotd";

/// What the log is called that `redis` names.
const SHORT_LOG: &str = "redis";

impl Checker<'_> {
    fn revocation(&mut self, document: &raw::Document) -> Option<Revocation> {
        let raw = &document.revocation;
        let token_file = self.secret(raw.token_file.as_ref());
        let id_secret_file = self.secret(raw.id_secret_file.as_ref());
        let mut logs = self.logs(raw);
        logs.extend(self.short_log(raw));
        let tenant_staleness = self.tenants(document);
        let feeds = self.feeds(document);
        let is_shared = raw.redis.is_some() || !raw.log.is_empty();
        let state_dir = match &raw.state_dir {
            Some(state_dir) => Some(self.path(&state_dir.value)),
            None => is_shared.then(|| STATE_DIR_DEFAULT.into()),
        };
        let Some(state_dir) = state_dir else {
            let file =
                |file: &'_ Option<At<FilePath>>| file.as_ref().map(|file| file.place.clone());
            let first = file(&raw.token_file)
                .or(file(&raw.id_secret_file))
                .or(raw.feed.first().map(|feed| feed.place.clone()));
            if let Some(place) = first {
                let message =
                    "does nothing without `state_dir`, the folder where revocations are kept";
                self.found.push(&place, message);
            }
            return None;
        };
        if !is_shared && let Some(state_dir) = &raw.state_dir {
            self.refuse_unreachable(document, state_dir);
        }
        let quorum = self.quorum(raw, logs.len());
        Some(Revocation {
            state_dir,
            token_file,
            id_secret_file,
            staleness: raw.staleness.value.0,
            tenant_staleness,
            tenant_records_max: raw.tenant_records_max.value.usize(),
            lease: milliseconds(raw.lease_ms.value.u64()),
            write_quorum: quorum,
            prefix: check_redis::prefix(&raw.prefix, self),
            keep_entries: raw.keep_entries.value.u64(),
            replica_lag_seconds: raw.replica_lag_seconds.value.u64(),
            logs,
            feeds,
        })
    }

    /// The log that `redis` is short for.
    fn short_log(&mut self, raw: &raw::Revocation) -> Option<RevocationLog> {
        let address = raw.redis.as_ref()?;
        if !raw.log.is_empty() {
            let message = "stands beside [[revocation.log]]: write one or the other; every log of several has a \
                           name of its own";
            self.found.push(&address.place, message);
        }
        check_redis::refuse_no_address(address, self);
        Some(RevocationLog {
            name: SHORT_LOG.into(),
            server: RedisServer {
                addresses: vec![address.value.0.clone()],
                sentinel_primary: None,
                user: None,
                password_file: None,
                ca_file: None,
            },
            replicas: 0,
            on_disk: false,
        })
    }

    /// Faults a log of revocations that nobody could ever write to.
    fn refuse_unreachable(&mut self, document: &raw::Document, state_dir: &At<FilePath>) {
        let is_off = |path: &FilePath| path.0 == std::path::Path::new("off");
        let by_token = document.revocation.token_file.is_some();
        let by_socket = !is_off(&document.listen.admin_socket.value);
        if !by_token && !by_socket && document.revocation.feed.is_empty() {
            self.found.push(
                &state_dir.place,
                "nobody could revoke: name a `token_file` whose secret callers of the admin listener bear, or \
                 an `admin_socket` in [listen]",
            );
        }
    }

    fn secret(&mut self, file: Option<&At<FilePath>>) -> Option<PathBuf> {
        let file = file?;
        let path = self.readable(file);
        self.refuse_exposed(&path, &file.place);
        if let Ok(metadata) = std::fs::metadata(&path)
            && metadata.len() < TOKEN_BYTES_MIN
        {
            self.found.push(
                &file.place,
                format!(
                    "{} holds fewer than {TOKEN_BYTES_MIN} bytes; run: openssl rand -hex 32 > {}",
                    path.display(),
                    path.display()
                ),
            );
        }
        Some(path)
    }

    fn logs(&mut self, raw: &raw::Revocation) -> Vec<RevocationLog> {
        let mut names = HashMap::new();
        let mut logs = Vec::with_capacity(raw.log.len());
        for At { value: log, .. } in &raw.log {
            let (Some(name), Some(address)) = (&log.name, &log.address) else {
                continue;
            };
            self.unique(&mut names, "the log name", &name.value.0, &name.place);
            let server = check_redis::server(
                &Parts {
                    address,
                    sentinel_primary: log.sentinel_primary.as_ref(),
                    user: log.user.as_ref(),
                    password_file: log.password_file.as_ref(),
                    ca_file: log.ca_file.as_ref(),
                },
                self,
            );
            logs.push(RevocationLog {
                name: (&*name.value.0).into(),
                server,
                replicas: log.replicas.value.usize(),
                on_disk: log.on_disk.value,
            });
        }
        logs
    }

    fn tenants(&mut self, document: &raw::Document) -> Vec<(Box<str>, Staleness)> {
        let known = || {
            let names = document
                .issuer
                .iter()
                .map(|issuer| &*issuer.value.tenant.value.0);
            names.collect::<Vec<&str>>()
        };
        let mut seen = HashMap::new();
        let mut terms = Vec::new();
        for At { value: tenant, .. } in &document.revocation.tenant {
            let Some(name) = &tenant.name else { continue };
            let Name(text) = &name.value;
            self.unique(&mut seen, "the tenant", text, &name.place);
            if !known().contains(&&**text) {
                let guess = super::fault::did_you_mean(text, known());
                let message = format!(
                    "no [[issuer]] has the tenant {}{guess}",
                    super::fault::shown(text)
                );
                self.found.push(&name.place, message);
            }
            if let Some(staleness) = &tenant.staleness {
                terms.push((text.clone(), staleness.value.0));
            }
        }
        terms
    }

    /// More than half by default: any two majorities have a log in common.
    fn quorum(&mut self, raw: &raw::Revocation, logs: usize) -> usize {
        let Some(quorum) = &raw.write_quorum else {
            return logs / 2 + usize::from(logs > 0);
        };
        let wanted = quorum.value.usize();
        if wanted > logs {
            let message = format!(
                "{wanted} logs must hold an order, but {logs} [[revocation.log]] are configured"
            );
            self.found.push(&quorum.place, message);
        }
        wanted
    }
}
