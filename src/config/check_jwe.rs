//! Checks how an issuer's tokens may be encrypted: with which of our keys, and in which ways. Nothing of it is on unless
//! all of it is written out.
#![forbid(unsafe_code)]

use super::check::Checker;
use super::choice::registered_names;
use super::document::Node;
use super::fault::{Found, Place, did_you_mean, shown};
use super::section::{At, Setting};
use super::setting::{List, string, wanted};
use super::{Decrypting, Issuer, raw};
use crate::jose::{ContentEncryption, KeyManagement};
use crate::keys::DecryptionKeyId;
use crate::limits::KEY_CANDIDATES_MAX;
use crate::upstream::DecryptionFiles;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An issuer's terms for encrypted tokens; `None` where it takes none, or where they are at fault.
pub(super) fn decryption(raw: &raw::Issuer, checker: &mut Checker<'_>) -> Option<Decrypting> {
    let given = [
        raw.decrypt_key_files.as_ref().map(|at| &at.place),
        raw.jwe_algorithms.as_ref().map(|at| &at.place),
        raw.jwe_encodings.as_ref().map(|at| &at.place),
    ];
    let zip_bytes_max = raw.jwe_zip_bytes_max.value.usize();
    let place = given.into_iter().flatten().next();
    let place = place.or((zip_bytes_max > 0).then_some(&raw.jwe_zip_bytes_max.place))?;
    let (Some(files), Some(algorithms), Some(encodings)) = (
        raw.decrypt_key_files.as_ref(),
        raw.jwe_algorithms.as_ref(),
        raw.jwe_encodings.as_ref(),
    ) else {
        checker.found.push(
            place,
            "encrypted tokens need all of `decrypt_key_files`, `jwe_algorithms` and `jwe_encodings`, each without a \
             fault; leave all out to refuse them",
        );
        return None;
    };
    let algorithms = each_once(&algorithms.value, checker);
    let encodings = each_once(&encodings.value, checker);
    let list = &files.value.0;
    let paths = list.iter().map(|file| checker.path(&file.value));
    let files = DecryptionFiles {
        paths: paths.collect(),
        algorithms,
        encodings,
        zip_bytes_max,
    };
    match files.read() {
        Ok(keys) => Some(Decrypting {
            files,
            keys: Arc::new(keys),
        }),
        Err(faults) => {
            for (index, why) in faults {
                let place = list.get(index).map_or(place, |file| &file.place);
                checker.found.push(place, why);
            }
            None
        }
    }
}

/// A token says by `kid` alone which key it is encrypted to: its issuer is only seen once it is open.
pub(super) fn names(issuers: &[Issuer], checker: &mut Checker<'_>) {
    let mut by_kid: HashMap<&str, HashSet<DecryptionKeyId>> = HashMap::new();
    for slot in issuers
        .iter()
        .filter_map(|issuer| issuer.decryption.as_ref())
        .flat_map(|decryption| &decryption.keys.keys)
    {
        let keys = by_kid.entry(&slot.kid).or_default();
        keys.insert(slot.id());
        if keys.len() == KEY_CANDIDATES_MAX + 1 {
            let name = match &*slot.kid {
                "" => "no name at all".to_owned(),
                kid => format!("the name {}", shown(kid)),
            };
            checker.found.push(
                &Place::Nowhere,
                format!(
                    "more than {KEY_CANDIDATES_MAX} decryption keys have {name}, and a token picks one by that; \
                     give each a `kid` of its own"
                ),
            );
        }
    }
}

fn each_once<T: Copy + PartialEq + std::fmt::Display>(
    list: &List<T>,
    checker: &mut Checker<'_>,
) -> Vec<T> {
    let mut seen = Vec::with_capacity(list.0.len());
    for At { value, place } in &list.0 {
        if seen.contains(value) {
            let message = format!("{value} is listed twice");
            checker.found.push(place, message);
        } else {
            seen.push(*value);
        }
    }
    seen
}

impl Setting for KeyManagement {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Some(name) = string(node) else {
            wanted(
                node,
                "the name of a key management algorithm, like \"ECDH-ES+A256KW\"",
                found,
            );
            return None;
        };
        let algorithm = Self::from_name(name);
        if algorithm.is_none() {
            found.push(&node.place, why_not(name));
        }
        algorithm
    }
}

/// Why a way of managing keys is not offered.
fn why_not(name: &str) -> String {
    match name {
        "RSA1_5" => "`RSA1_5` is not offered: its padding tells an attacker what the key says (RFC 8725 §3.2); use \
                     RSA-OAEP-256"
            .to_owned(),
        _ if name.starts_with("PBES2") => format!(
            "{} is not offered: a password is no key, and the work that it costs would be the sender's to choose \
             (RFC 8725 §3.5)",
            shown(name)
        ),
        _ => {
            let guess = did_you_mean(name, KeyManagement::ALL.iter().map(|known| known.name()));
            format!(
                "{} is no key management algorithm that jotd decrypts by{guess}",
                shown(name)
            )
        }
    }
}

impl Setting for ContentEncryption {
    fn read(node: &Node, found: &mut Found) -> Option<Self> {
        let Some(name) = string(node) else {
            wanted(
                node,
                "the name of a content encryption, like \"A256GCM\"",
                found,
            );
            return None;
        };
        let encoding = Self::from_name(name);
        if encoding.is_none() {
            let guess = did_you_mean(name, Self::ALL.iter().map(|known| known.name()));
            found.push(
                &node.place,
                format!(
                    "{} is no content encryption that jotd decrypts{guess}",
                    shown(name)
                ),
            );
        }
        encoding
    }
}

registered_names!(KeyManagement);
registered_names!(ContentEncryption);
