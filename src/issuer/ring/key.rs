//! One key of a ring, and what it is at each moment.

use crate::jose::{Algorithm, Jwk};
use crate::limits::LEEWAY_SECONDS_MAX;

/// One key of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    pub(super) kid: Box<str>,
    pub(super) algorithm: Algorithm,
    /// As JSON.
    pub(super) public_jwk: Box<str>,
    pub(super) private: PrivatePart,
    pub(super) published_at: i64,
    pub(super) signs_from: i64,
    pub(super) retires: Option<Retiring>,
    pub(super) revoked_at: Option<i64>,
}

/// Where a key's private half is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivatePart {
    /// In this file of the ring's folder.
    File(Box<str>),
    /// In a hardware module, by its RFC 7512 URI.
    Pkcs11(Box<str>),
    /// Nowhere any more: it has no business once it no longer signs.
    Erased,
}

/// A key to be put on a ring.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its public half, as [`crate::issuer::SigningKey::public_jwk`] gives it.
    pub public_jwk: String,
    /// Its private half.
    pub private: PrivatePart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retiring {
    pub(super) signs_until: i64,
    pub(super) removed_at: i64,
}

/// What a key is at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Verifiers may fetch it; it does not sign yet.
    Published,
    /// It signs. Of several, the one that began last does.
    Signing,
    /// It signs no more, and tokens that it signed may still live.
    Retired,
    /// No token that it signed lives, and it is published no more.
    Removed,
    /// Out at once, for it may be in other hands.
    Revoked,
}

impl RingKey {
    /// Its name in the headers of its tokens.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its one algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its public half, as a JWK.
    #[must_use]
    pub fn public_jwk(&self) -> &str {
        &self.public_jwk
    }

    /// Where its private half is.
    #[must_use]
    pub fn private(&self) -> &PrivatePart {
        &self.private
    }

    /// When it began, or begins, to sign.
    #[must_use]
    pub fn signs_from(&self) -> i64 {
        self.signs_from
    }

    /// When it ceases to sign, where that is known.
    #[must_use]
    pub fn signs_until(&self) -> Option<i64> {
        self.revoked_at.or(self.retires.map(|end| end.signs_until))
    }

    /// When it ceases to be published, where that is known.
    #[must_use]
    pub fn removed_at(&self) -> Option<i64> {
        self.revoked_at.or(self.retires.map(|end| end.removed_at))
    }

    pub(super) fn may_sign(&self, now: i64) -> bool {
        self.is_in_turn(now) && now >= self.signs_from
    }

    /// Whether it signs, now or later.
    pub(super) fn is_in_turn(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.retires.is_none_or(|end| now < end.signs_until)
    }

    /// Ends its turn when another's begins, unless it ends sooner.
    pub(super) fn retire_by(&mut self, signs_until: i64, lifetime: i64) {
        let ends_sooner = |end: &Retiring| end.signs_until <= signs_until;
        if self.revoked_at.is_some() || self.retires.as_ref().is_some_and(ends_sooner) {
            return;
        }
        // The leeway of whoever verifies is part of a token's life, and so is a clock that is a little off.
        let outlived = lifetime.saturating_add(LEEWAY_SECONDS_MAX);
        self.retires = Some(Retiring {
            signs_until,
            removed_at: signs_until.saturating_add(outlived),
        });
    }
}

impl State {
    /// One word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Retired => "retired",
            Self::Removed => "removed",
            Self::Revoked => "revoked",
        }
    }
}

/// The algorithm that a ring's key is pinned to.
pub(super) fn algorithm_of(jwk: &Jwk) -> Result<Algorithm, &'static str> {
    if jwk.kid.as_deref().is_none_or(str::is_empty) {
        return Err("it has no kid");
    }
    let algorithm = jwk.alg.ok_or("it names no alg")?;
    if algorithm.scheme().is_hmac() {
        return Err("a secret has no public half; list several in secret_file to rotate them");
    }
    if jwk.is_private() {
        return Err("what should be its public half is private");
    }
    jwk.verifying_key(algorithm.scheme())
        .map_err(|_| "its public half is refused")?;
    Ok(algorithm)
}
