//! From the flags of `jotd verify` to the records that tokens are held against.

use super::{Args, decryption};
use crate::cli::exit::Failure;
use crate::cli::{algorithms, keyfiles};
use jotd::crypto::Scheme;
use jotd::jose::{Algorithm, Jwk, JwkSet, KeyUse, Skipped};
use jotd::keys::{Decryption, KeySet, Owner};
use jotd::limits::TOKEN_BYTES_MAX;
use jotd::policy::{Accepted, Narrowing, Policy, TokenTypes};
use jotd::verify::{Issuer, IssuerKeys, IssuerMatch, PolicyId, Records};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Names the tokens whose `iss` is none of those accepted. They are verified like all others, so that
/// they are refused as `wrong_issuer` only where the signature is good; no `--issuer` can have this name.
const ANY_OTHER_ISSUER: &str = "";

type Keys = (JwkSet, Vec<Scheme>, Option<Arc<Decryption>>);

/// The request policy that leaves only the named issuers standing.
const NAMED_ISSUERS: &str = "named issuers";

/// The records and the request policy that the flags describe.
pub(super) fn from_flags(args: &Args) -> Result<(Records, PolicyId), Failure> {
    let issuers = issuers(args)?;
    let audiences = audiences(args)?;
    let (jwks, schemes, decryption) = keys(args)?;
    let policy = Policy {
        schemes: schemes.clone(),
        audiences,
        types: token_types(args),
        leeway_seconds: args.leeway,
        ..Policy::default()
    };
    let pin = |name: &str| {
        let owner = Owner {
            issuer: name.into(),
            tenant: "default".into(),
        };
        KeySet::pin(&owner, &jwks, &schemes)
    };
    let issuer = |name: &str, iss: IssuerMatch| Issuer {
        name: name.into(),
        tenant: "default".into(),
        iss,
        policy: policy.clone(),
        keys: IssuerKeys::Known(Arc::new(pin(name).0)),
        token_bytes_max: TOKEN_BYTES_MAX,
    };
    // The same keys are pinned for every issuer, so one warning each is enough.
    keyfiles::warn_of_skipped(&pin(ANY_OTHER_ISSUER).1);

    let decrypting = |records: Records| {
        let names: Vec<_> = records
            .issuers()
            .map(|issuer| issuer.name.clone())
            .collect();
        let terms = decryption.iter().cloned();
        records.decrypting(
            terms.flat_map(|terms| names.iter().map(move |name| (name.clone(), terms.clone()))),
        )
    };
    let Some(names) = issuers else {
        let records = Records::new(vec![issuer("any", IssuerMatch::Any)], Vec::new())
            .map_err(|error| Failure::usage(error.to_string()))?;
        return Ok((decrypting(records), PolicyId::DEFAULT));
    };
    let narrowing = Narrowing {
        issuers: Some(names.iter().map(|name| name.clone().into()).collect()),
        ..Narrowing::default()
    };
    let known = names
        .iter()
        .map(|name| issuer(name, IssuerMatch::Exact(name.clone().into())))
        .chain([issuer(ANY_OTHER_ISSUER, IssuerMatch::Any)])
        .collect();
    let records = Records::new(known, vec![(NAMED_ISSUERS.into(), narrowing)])
        .map_err(|error| Failure::usage(error.to_string()))?;
    let records = decrypting(records);
    let policy = records
        .policy(NAMED_ISSUERS)
        .expect("the policy was entered just now");
    Ok((records, policy))
}

/// The accepted issuers; `None` where it was written out that any will do.
fn issuers(args: &Args) -> Result<Option<BTreeSet<String>>, Failure> {
    if args.issuer.iter().any(String::is_empty) {
        return Err(Failure::usage("--issuer cannot be empty"));
    }
    match (args.issuer.is_empty(), args.any_issuer) {
        (true, false) => Err(Failure::usage(
            "whose tokens are these? Name the expected iss with --issuer, \
             or write out --any-issuer to leave it unchecked",
        )),
        (true, true) => Ok(None),
        // A repeated issuer is still one issuer.
        (false, _) => Ok(Some(args.issuer.iter().cloned().collect())),
    }
}

fn audiences(args: &Args) -> Result<Accepted, Failure> {
    match (args.audience.is_empty(), args.any_audience) {
        (true, false) => Err(Failure::usage(
            "whom are these tokens for? Name the expected aud with --audience, \
             or write out --any-audience to leave it unchecked",
        )),
        (true, true) => Ok(Accepted::Any),
        (false, _) => Ok(Accepted::OneOf(boxed(&args.audience))),
    }
}

fn token_types(args: &Args) -> TokenTypes {
    if args.any_type {
        TokenTypes::Any
    } else if args.types.is_empty() {
        TokenTypes::AccessToken
    } else {
        TokenTypes::OneOf(boxed(&args.types))
    }
}

/// The keys of all files, the schemes they may be used with, and those that decrypt.
fn keys(args: &Args) -> Result<Keys, Failure> {
    if args.jwks.is_empty() && args.secret_file.is_empty() {
        return Err(Failure::usage(
            "no keys to verify with: give --jwks, --secret-file or --config",
        ));
    }
    let mut all = JwkSet {
        keys: Vec::new(),
        skipped: Vec::new(),
    };
    for path in &args.jwks {
        let set = keyfiles::read_keys(path)?;
        all.keys.extend(set.keys);
        all.skipped.extend(set.skipped);
    }
    let decryption = decryption::take(args, &mut all.keys);
    let schemes = if args.algorithms.is_empty() {
        schemes_of_keys(&mut all, &args.secret_file)
    } else {
        args.algorithms.iter().map(|alg| alg.scheme()).collect()
    };
    for path in &args.secret_file {
        all.keys
            .push(Jwk::from_secret(&keyfiles::read_secret(path)?));
    }
    Ok((all, schemes, decryption))
}

/// Without `--algorithms` each key serves the one algorithm it names, or the usual one of its type. A
/// symmetric key in a set has no usual one and is left out: a set is mostly public keys, and what else is
/// in it should not become a shared secret by accident. A secret file, though, can be nothing else.
fn schemes_of_keys(set: &mut JwkSet, secret_files: &[PathBuf]) -> Vec<Scheme> {
    let mut wanted = BTreeSet::new();
    let mut index = 0;
    let JwkSet { keys, skipped } = set;
    keys.retain(|key| {
        let scheme = algorithms::usual_scheme(key);
        match scheme {
            // What is not for verifying is reported where keys are pinned.
            _ if key.key_use == KeyUse::Other => {}
            Some(scheme) => {
                wanted.insert(scheme);
            }
            None => skipped.push(Skipped {
                index,
                kid: key.kid.as_deref().map(str::to_owned),
                why: "it names no alg; --algorithms must say how it may be used".to_owned(),
            }),
        }
        index += 1;
        key.key_use == KeyUse::Other || scheme.is_some()
    });
    if !secret_files.is_empty() {
        wanted.insert(Scheme::HmacSha256);
    }
    // A key without `alg` is pinned to the first scheme that fits it, and here that is the usual one:
    // RS256 comes before the other RSA schemes, and each curve has a single scheme.
    Algorithm::ALL
        .iter()
        .map(|alg| alg.scheme())
        .filter(|scheme| wanted.remove(scheme))
        .collect()
}

fn boxed(strings: &[String]) -> Vec<Box<str>> {
    strings.iter().map(|text| text.as_str().into()).collect()
}
