//! The pipeline: open what is encrypted, read each token, find its key, check all signatures together, judge the claims.

#![expect(
    clippy::result_large_err,
    reason = "an answer is no larger than what it stands in for, and a refusal must not cost an allocation"
)]

use super::opening::Opened;
use super::revoking::{Verified, Word};
use super::{Answer, IssuerKeys, Question, Records, Remember, header_memo, refusal, wanted_claims};
use crate::cache::Entry;
use crate::clock::Now;
use crate::crypto::{self, Check, Outcome};
use crate::jose::{Claims, CompactJws, Header};
use crate::keys::{Candidates, KeyMiss, KeySet};
use crate::verdict::{Freshness, Refusal, Trusted, Unavailable, Verdict};
use std::ops::Range;
use std::rc::Rc;

/// Reused buffers of one verifying thread: a batch decodes into two arenas and allocates little else.
#[derive(Default)]
pub struct Scratch {
    payloads: Vec<u8>,
    signatures: Vec<u8>,
    outcomes: Vec<Outcome>,
}

/// Verifies a batch and appends one answer a question to `answers`, in order.
pub fn verify_batch(
    records: &Records,
    questions: &[Question<'_>],
    now: Now,
    scratch: &mut Scratch,
    answers: &mut Vec<Answer>,
) {
    scratch.payloads.clear();
    scratch.signatures.clear();
    let opened = open(records, questions);
    let read: Vec<Result<Read<'_>, Refusal>> = questions
        .iter()
        .enumerate()
        .map(|(at, question)| match opened.get(at) {
            None | Some(None) => read(records, question.token, None, scratch),
            Some(Some(Ok(opened))) => read(records, &opened.token, Some(opened), scratch),
            Some(Some(Err(refusal))) => Err(refusal.clone()),
        })
        .collect();
    let Scratch {
        payloads,
        signatures,
        outcomes,
    } = scratch;
    let (payloads, signatures) = (&payloads[..], &signatures[..]);
    let mut checks = Vec::with_capacity(questions.len());
    let found: Vec<Result<Found<'_>, Answer>> = read
        .into_iter()
        .map(|read| {
            let read = read.map_err(Answer::plain)?;
            find(records, read, payloads, signatures, now, &mut checks)
        })
        .collect();
    crypto::verify_batch(&checks, outcomes);
    answers.extend(
        questions
            .iter()
            .zip(found)
            .map(|(question, found)| match found {
                Ok(found) => judge(records, *question, &found, outcomes, now),
                Err(answer) => answer,
            }),
    );
}

type Opening<'r> = Option<Result<Opened<'r>, Refusal>>;

/// Opens the encrypted tokens. Where no issuer accepts any, this is nothing at all.
fn open<'r>(records: &'r Records, questions: &[Question<'_>]) -> Vec<Opening<'r>> {
    if records.openings.is_none() {
        return Vec::new();
    }
    let open = |question: &Question<'_>| {
        let is_encrypted = records.opens(question.token);
        is_encrypted.then(|| records.open(question.token))
    };
    questions.iter().map(open).collect()
}

/// A token whose form is right; its parts lie decoded in the scratch.
struct Read<'t> {
    signing_input: &'t [u8],
    header: Rc<Header>,
    payload: Range<usize>,
    signature: Range<usize>,
    token_bytes: usize,
    /// What it was taken out of.
    opened: Option<&'t Opened<'t>>,
}

fn read<'t>(
    records: &Records,
    token: &'t [u8],
    opened: Option<&'t Opened<'t>>,
    scratch: &mut Scratch,
) -> Result<Read<'t>, Refusal> {
    let jws = CompactJws::parse(token, records.token_bytes_max()).map_err(refusal)?;
    let header = header_memo::parse(jws.header_segment()).map_err(refusal)?;
    let payload_start = scratch.payloads.len();
    jws.decode_payload(&mut scratch.payloads).map_err(refusal)?;
    let signature_start = scratch.signatures.len();
    jws.decode_signature(&mut scratch.signatures)
        .map_err(refusal)?;
    Ok(Read {
        signing_input: jws.signing_input(),
        header,
        payload: payload_start..scratch.payloads.len(),
        signature: signature_start..scratch.signatures.len(),
        token_bytes: token.len(),
        opened,
    })
}

/// A token whose issuer and keys are known; its signature stands among the checks.
struct Found<'s> {
    signing_input: &'s [u8],
    header: Rc<Header>,
    claims: Claims<'s>,
    issuer: u32,
    keys: &'s KeySet,
    candidates: Candidates,
    /// Where its checks begin; one a candidate.
    first_check: usize,
}

fn find<'s>(
    records: &'s Records,
    read: Read<'s>,
    payloads: &'s [u8],
    signatures: &'s [u8],
    now: Now,
    checks: &mut Vec<Check<'s>>,
) -> Result<Found<'s>, Answer> {
    let claims =
        Claims::parse(&payloads[read.payload]).map_err(|error| Answer::plain(refusal(error)))?;
    //= https://www.rfc-editor.org/rfc/rfc8725#section-3.8
    //# the application MUST validate that the cryptographic keys used for the cryptographic
    //# operations in the JWT belong to the issuer
    let number = records.admit(claims.iss.as_deref(), now)?;
    let issuer = &records.entry(number).expect("found just now").issuer;
    if read.token_bytes > issuer.token_bytes_max {
        return Err(Answer::plain(Refusal::TooLarge {
            what: "token",
            limit_bytes: issuer.token_bytes_max,
        }));
    }
    if let Some(opened) = read.opened {
        opened.admit(&issuer.name).map_err(Answer::plain)?;
    }
    let alg = read.header.alg;
    //= https://www.rfc-editor.org/rfc/rfc8725#section-3.1
    //# Libraries MUST enable the caller to specify a supported set of algorithms and MUST NOT use any
    //# other algorithms
    if !issuer.policy.schemes.contains(&alg.scheme()) {
        return Err(Answer::plain(Refusal::AlgNotAllowed { alg: alg.name() }));
    }
    let IssuerKeys::Known(keys) = &issuer.keys else {
        return Err(Answer {
            missing_key_of: Some(number),
            ..Answer::plain(Unavailable::KEYS_REFRESHING)
        });
    };
    let candidates = keys
        .candidates(read.header.kid.as_deref(), alg.scheme())
        .map_err(|miss| match miss {
            KeyMiss::WrongAlgorithm => Answer::plain(Refusal::AlgNotAllowed { alg: alg.name() }),
            KeyMiss::UnknownKid => Answer {
                missing_key_of: Some(number),
                ..Answer::plain(Refusal::UnknownKid)
            },
        })?;
    let first_check = checks.len();
    checks.extend(candidates.as_slice().iter().map(|&slot| Check {
        key: &keys.slots()[slot as usize].key,
        message: read.signing_input,
        signature: &signatures[read.signature.clone()],
    }));
    Ok(Found {
        signing_input: read.signing_input,
        header: read.header,
        claims,
        issuer: number,
        keys,
        candidates,
        first_check,
    })
}

fn judge(
    records: &Records,
    question: Question<'_>,
    found: &Found<'_>,
    outcomes: &[Outcome],
    now: Now,
) -> Answer {
    let outcomes = &outcomes[found.first_check..];
    let Some((&slot, _)) = found
        .candidates
        .as_slice()
        .iter()
        .zip(outcomes)
        .find(|(_, outcome)| **outcome == Outcome::Genuine)
    else {
        return Answer::plain(Refusal::BadSignature);
    };
    let entry = records.entry(found.issuer).expect("found by this number");
    let claims = &found.claims;
    let key = &found.keys.slots()[slot as usize];
    if let Some(iat) = claims.iat {
        // Also of a token that is refused for it: whoever signed it has that clock.
        key.usage.note_issued(iat.floor, now);
    }
    if let Some(answer) = entry.note_genuine(claims, now) {
        return answer;
    }
    let narrowing = match records.narrowing_for(question.policy, entry) {
        Ok(narrowing) => narrowing,
        Err(refusal) => return Answer::plain(refusal),
    };
    let window =
        match entry
            .issuer
            .policy
            .check(narrowing, &entry.issuer.name, &found.header, claims, now)
        {
            Ok(window) => window,
            Err(refusal) => return Answer::plain(refusal),
        };
    let signer = &key.signer;
    // After the crypto and last of all: what was revoked while the signature was checked is revoked.
    let (word, stamp) = match &entry.revoking {
        None => (Word::Clear(Freshness::default()), [0; 2]),
        Some(revoking) => {
            let verified = Verified {
                header: &found.header,
                claims,
                signing_input: found.signing_input,
            };
            revoking.judge(verified, signer, now)
        }
    };
    let expires_at = claims.exp.map(|exp| exp.floor);
    let status = || records.check_status(&entry.issuer, claims, now);
    let standing = word
        .freshness()
        .and_then(|freshness| status().map(|()| freshness));
    let verdict = standing.map_or_else(
        |verdict| verdict,
        |revocation| {
            Verdict::Valid(Trusted {
                signer: signer.clone(),
                claims: wanted_claims(question.want, claims),
                expires_at,
                expires_in: expires_at.map(|exp| exp.saturating_sub(now.latest)),
                cached: false,
                revocation,
            })
        },
    );
    Answer {
        verdict,
        // Of a revoked token too: that its signature is genuine stays true.
        remember: Some(Remember {
            entry: Entry {
                generation: entry.generation,
                valid_from: window.from,
                valid_until: window.until,
                expires_at: expires_at.unwrap_or(i64::MAX),
                issuer: found.issuer,
                key: entry.key_numbers.number(slot).into(),
                revocation: stamp,
            },
            share: entry.share,
        }),
        missing_key_of: None,
        missing_tenant: None,
    }
}
