//! What is measured: distinct, genuine tokens of one algorithm, and the ways to check them.

use super::reference::Reference;
use crate::cli::exit::Failure;
use jotd::clock::{Clock, Now};
use jotd::crypto::{self, Check, Outcome, VerifyingKey};
use jotd::issuer::{Claims, SigningKey, danger};
use jotd::jose::{Algorithm, CompactJws, Jwk, JwkSet};
use jotd::keys::{KeySet, Owner};
use jotd::limits::TOKEN_BYTES_MAX;
use jotd::policy::{Accepted, Policy};
use jotd::verify::{
    Issuer, IssuerKeys, IssuerMatch, PolicyId, Question, Records, Scratch, Want, verify_batch,
};
use std::hint::black_box;
use std::sync::Arc;

/// Distinct tokens at least, so that no branch predictor learns them by heart.
const TOKENS_MIN: usize = 64;

/// Tokens of one algorithm with their keys.
pub(super) struct Subject {
    algorithm: Algorithm,
    keys: Vec<Key>,
    tokens: Vec<Token>,
    records: Records,
    now: Now,
}

struct Key {
    verifying: VerifyingKey,
    reference: Reference,
}

struct Token {
    text: String,
    signed_bytes: usize,
    signature: Vec<u8>,
    key: usize,
}

impl Subject {
    /// Makes keys and enough tokens for batches of `batch_tokens_max`.
    pub(super) fn new(
        algorithm: Algorithm,
        keys: usize,
        batch_tokens_max: usize,
    ) -> Result<Self, Failure> {
        let fault = |what: &str| Failure::fault(format!("{algorithm}: {what}"));
        let now = Clock::system().now();
        let mut subject = Self {
            algorithm,
            keys: Vec::with_capacity(keys),
            tokens: Vec::new(),
            records: Records::new(Vec::new(), Vec::new())
                .map_err(|error| fault(&error.to_string()))?,
            now,
        };
        let mut signing = Vec::with_capacity(keys);
        let mut jwks = Vec::with_capacity(keys);
        for _ in 0..keys {
            let key = SigningKey::generate(algorithm, None).map_err(|e| fault(&e.to_string()))?;
            let json = danger::to_private_jwk(&key).map_err(|e| fault(&e.to_string()))?;
            let jwk = Jwk::parse(json.as_bytes()).map_err(|e| fault(&e.to_string()))?;
            let verifying = jwk
                .verifying_key(algorithm.scheme())
                .map_err(|e| fault(&e.to_string()))?;
            verifying.prepare();
            subject.keys.push(Key {
                verifying,
                reference: Reference::new(algorithm.scheme(), &jwk)
                    .ok_or_else(|| fault("aws-lc-rs does not take the key"))?,
            });
            signing.push(key);
            jwks.push(jwk);
        }
        let claims = Claims {
            issuer: Some(ISSUER.to_owned()),
            subject: Some("248289761001".to_owned()),
            audiences: vec![AUDIENCE.to_owned()],
            lifetime_seconds: Some(86_400),
            ..Claims::default()
        };
        for number in 0..TOKENS_MIN.max(keys).max(2 * batch_tokens_max) {
            let key = number % keys;
            let text = signing[key]
                .mint(&claims, now.latest)
                .map_err(|e| fault(&e.to_string()))?;
            subject
                .tokens
                .push(Token::new(text, key).ok_or_else(|| fault("no token"))?);
        }
        subject.records = records(algorithm, jwks).map_err(|why| fault(&why))?;
        Ok(subject)
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// One call checks the next batch as jotd does, with kernels up to the ceiling that is set.
    pub(super) fn contender(&self, batch: usize) -> Result<impl FnMut() + '_, Failure> {
        let checks: Vec<Check<'_>> = self.tokens.iter().map(|token| self.check(token)).collect();
        let mut outcomes = Vec::with_capacity(checks.len());
        crypto::verify_batch(&checks, &mut outcomes);
        self.require(outcomes.iter().all(|outcome| *outcome == Outcome::Genuine))?;
        let mut batches = Batches::new(checks.len(), batch);
        Ok(move || {
            crypto::verify_batch(black_box(&checks[batches.next()]), &mut outcomes);
            black_box(&outcomes);
        })
    }

    /// One call checks the next batch, token by token, with the library alone.
    pub(super) fn reference(&self, batch: usize) -> Result<impl FnMut() + '_, Failure> {
        let verify = |token: &Token| {
            let key = &self.keys[token.key];
            key.reference.verify(token.signed(), &token.signature)
        };
        self.require(self.tokens.iter().all(verify))?;
        let mut batches = Batches::new(self.tokens.len(), batch);
        Ok(move || {
            for token in black_box(&self.tokens[batches.next()]) {
                black_box(verify(token));
            }
        })
    }

    /// One call validates the next batch in full: structure, key, signature, claims.
    pub(super) fn pipeline(&self, batch: usize) -> Result<impl FnMut() + '_, Failure> {
        let questions: Vec<Question<'_>> = self
            .tokens
            .iter()
            .map(|token| Question {
                token: token.text.as_bytes(),
                policy: PolicyId::DEFAULT,
                want: &Want::Verdict,
            })
            .collect();
        let (mut scratch, mut answers) = (Scratch::default(), Vec::new());
        let (records, now) = (&self.records, self.now);
        verify_batch(records, &questions, now, &mut scratch, &mut answers);
        self.require(answers.iter().all(|answer| answer.verdict.is_valid()))?;
        let mut batches = Batches::new(questions.len(), batch);
        Ok(move || {
            answers.clear();
            let questions = black_box(&questions[batches.next()]);
            verify_batch(records, questions, now, &mut scratch, &mut answers);
            black_box(&answers);
        })
    }

    fn check<'s>(&'s self, token: &'s Token) -> Check<'s> {
        Check {
            key: &self.keys[token.key].verifying,
            message: token.signed(),
            signature: &token.signature,
        }
    }

    /// The speed of wrong answers is of no interest.
    fn require(&self, all_genuine: bool) -> Result<(), Failure> {
        if all_genuine {
            Ok(())
        } else {
            let algorithm = self.algorithm;
            Err(Failure::fault(format!(
                "{algorithm}: a genuine token was refused"
            )))
        }
    }
}

impl Token {
    fn new(text: String, key: usize) -> Option<Self> {
        let jws = CompactJws::parse(text.as_bytes(), TOKEN_BYTES_MAX).ok()?;
        let signed_bytes = jws.signing_input().len();
        let mut signature = Vec::new();
        jws.decode_signature(&mut signature).ok()?;
        Some(Self {
            text,
            signed_bytes,
            signature,
            key,
        })
    }

    fn signed(&self) -> &[u8] {
        &self.text.as_bytes()[..self.signed_bytes]
    }
}

const ISSUER: &str = "https://bench.invalid";
const AUDIENCE: &str = "bench";

fn records(algorithm: Algorithm, keys: Vec<Jwk>) -> Result<Records, String> {
    let schemes = vec![algorithm.scheme()];
    let owner = Owner {
        issuer: "bench".into(),
        tenant: "default".into(),
    };
    let set = JwkSet {
        keys,
        skipped: Vec::new(),
    };
    let issuer = Issuer {
        name: Arc::clone(&owner.issuer),
        tenant: Arc::clone(&owner.tenant),
        iss: IssuerMatch::Exact(ISSUER.into()),
        policy: Policy {
            schemes: schemes.clone(),
            audiences: Accepted::OneOf(vec![AUDIENCE.into()]),
            ..Policy::default()
        },
        keys: IssuerKeys::Known(Arc::new(KeySet::pin(&owner, &set, &schemes).0)),
        token_bytes_max: TOKEN_BYTES_MAX,
    };
    Records::new(vec![issuer], Vec::new()).map_err(|error| error.to_string())
}

/// Walks over all tokens in whole batches, again and again.
struct Batches {
    tokens: usize,
    batch: usize,
    start: usize,
}

impl Batches {
    fn new(tokens: usize, batch: usize) -> Self {
        Self {
            tokens,
            batch,
            start: 0,
        }
    }

    fn next(&mut self) -> std::ops::Range<usize> {
        if self.start + self.batch > self.tokens {
            self.start = 0;
        }
        let range = self.start..self.start + self.batch;
        self.start = range.end;
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_whole_and_begin_again_at_the_end() {
        let mut batches = Batches::new(5, 2);
        let starts: Vec<usize> = (0..4).map(|_| batches.next().start).collect();
        assert_eq!(starts, [0, 2, 0, 2]);
    }

    #[test]
    fn library_kernel_and_pipeline_agree_that_the_tokens_are_genuine() {
        // Two keys, so that a token checked with its neighbour's key would be seen.
        for algorithm in [Algorithm::Hs256, Algorithm::Es256, Algorithm::EdDsa] {
            let subject = Subject::new(algorithm, 2, 4).expect("keys and tokens are made");
            subject.contender(4).expect("the kernels agree")();
            subject.reference(4).expect("the library agrees")();
            subject.pipeline(4).expect("the pipeline agrees")();
        }
    }
}
