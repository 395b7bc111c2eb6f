//! From the flags of `jotd verify` to the keys that tokens may be encrypted to.

use super::Args;
use crate::cli::{algorithms, keyfiles};
use jotd::jose::{ContentEncryption, Jwk, KeyManagement};
use jotd::keys::Decryption;
use jotd::limits::TOKEN_BYTES_MAX;
use std::sync::Arc;

/// Takes the private keys that are for decryption out of `keys`, where encrypted tokens were asked for. A private key that
/// does not say what it is for is for decryption then: one use a key (RFC 8725 §3.1).
pub(super) fn take(args: &Args, keys: &mut Vec<Jwk>) -> Option<Arc<Decryption>> {
    if args.jwe_algorithms.is_empty() && args.jwe_encodings.is_empty() {
        return None;
    }
    let managements = known(&args.jwe_algorithms, KeyManagement::from_name);
    let managements = if args.jwe_algorithms.is_empty() {
        KeyManagement::ALL.to_vec()
    } else {
        managements
    };
    let encodings = known(&args.jwe_encodings, ContentEncryption::from_name);
    let encodings = if args.jwe_encodings.is_empty() {
        ContentEncryption::ALL.to_vec()
    } else {
        encodings
    };
    let is_for_it = |key: &mut Jwk| {
        let says_so = key.key_use == jotd::jose::KeyUse::Other;
        let fits = || key.pin_management(&managements, &encodings).is_ok();
        key.is_private() && key.may_encrypt && (says_so || fits())
    };
    let private: Vec<Jwk> = keys.extract_if(.., is_for_it).collect();
    let zip_bytes_max = if args.jwe_zip { TOKEN_BYTES_MAX } else { 0 };
    let (decryption, skipped) = Decryption::pin(&private, &managements, &encodings, zip_bytes_max);
    keyfiles::warn_of_skipped(&skipped);
    if decryption.keys.is_empty() {
        eprintln!(
            "warning: there is no private key to decrypt with, so encrypted tokens are refused"
        );
    }
    Some(Arc::new(decryption))
}

/// The algorithms of these names. One that is not offered is no mistake, but no token will pass by it.
fn known<T>(names: &[String], from_name: fn(&str) -> Option<T>) -> Vec<T> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        match from_name(name) {
            Some(known) => found.push(known),
            None => eprintln!("warning: {}", algorithms::not_offered(name)),
        }
    }
    found
}
