//! Checks where a Redis or Valkey server is said to be, and as whom to go there.
#![forbid(unsafe_code)]

use super::RedisServer;
use super::check::Checker;
use super::section::At;
use super::setting::{FilePath, Name, OneOrMany, Text};
use crate::upstream::dial::Address;

/// Longest prefix of keys.
const PREFIX_BYTES_MAX: usize = 64;

/// What is written of a server.
pub(super) struct Parts<'r> {
    pub(super) address: &'r At<OneOrMany<Text>>,
    pub(super) sentinel_primary: Option<&'r At<Name>>,
    pub(super) user: Option<&'r At<Name>>,
    pub(super) password_file: Option<&'r At<FilePath>>,
    pub(super) ca_file: Option<&'r At<FilePath>>,
}

/// A server, with a fault for each part that is none.
pub(super) fn server(parts: &Parts<'_>, checker: &mut Checker<'_>) -> RedisServer {
    let addresses = &parts.address.value.0;
    for address in addresses {
        refuse_no_address(address, checker);
    }
    if addresses.len() > 1 && parts.sentinel_primary.is_none() {
        let message = "several addresses are Sentinels: name the primary to ask them for in `sentinel_primary`";
        checker.found.push(&parts.address.place, message);
    }
    let password_file = parts.password_file.map(|file| {
        let path = checker.readable(file);
        checker.refuse_exposed(&path, &file.place);
        path
    });
    let name = |name: &At<Name>| name.value.0.clone();
    RedisServer {
        addresses: addresses.iter().map(|at| at.value.0.clone()).collect(),
        sentinel_primary: parts.sentinel_primary.map(name),
        user: parts.user.map(name),
        password_file,
        ca_file: parts.ca_file.map(|file| checker.readable(file)),
    }
}

/// Faults what cannot be an address of Redis. Whether somebody is there, only a connection shows.
pub(super) fn refuse_no_address(address: &At<Text>, checker: &mut Checker<'_>) {
    const SCHEMES: [&str; 9] = [
        "redis://",
        "rediss://",
        "valkey://",
        "valkeys://",
        "unix:/",
        "redis+unix:/",
        "valkey+unix:/",
        "redis+sentinel://",
        "rediss+sentinel://",
    ];
    let text = &*address.value.0;
    if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
        let message =
            "is no address of Redis: redis://host:port, rediss://host:port and unix:/path are";
        checker.found.push(&address.place, message);
    } else if ["@", "user=", "pass="]
        .iter()
        .any(|part| text.contains(part))
    {
        let message = "holds a user or password; write `user` and `password_file` of a [[revocation.log]] or of [keys.shared]";
        checker.found.push(&address.place, message);
    } else if let Err(fault) = Address::of_parts(&[text.into()], None, None) {
        let message = format!("is no address of Redis: {fault}");
        checker.found.push(&address.place, message);
    }
}

/// Keys of Redis are any bytes; a prefix that people cannot see or type is a mistake.
pub(super) fn prefix(prefix: &At<Text>, checker: &mut Checker<'_>) -> Box<str> {
    let text = &*prefix.value.0;
    if text.len() > PREFIX_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!(
            "is no prefix of keys: up to {PREFIX_BYTES_MAX} letters, digits and signs are, without spaces"
        );
        checker.found.push(&prefix.place, message);
    }
    text.into()
}
