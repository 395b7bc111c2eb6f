//! A ring of signing keys: which one signs, which are published, and until when.
//!
//! Nothing has to run for a rotation to go on: each key's states are functions of the time, out of moments that
//! were written down when the rotation was asked for. A key is *published* first, so that verifiers that hold
//! an older set can fetch it; it *signs* once none of them can hold the older one; then it is *retired*, and
//! stays published until the last token that it signed is over; then it is *removed*. A *revoked* key is out
//! at once.
//!
//! It refuses secrets, which have no public half and are rotated as files, and a state in which nothing could
//! sign, unless that is asked for. It reads no clock and no file.
#![forbid(unsafe_code)]

mod key;
mod manifest;
mod seal;
#[cfg(test)]
mod tests;

pub use key::{NewKey, PrivatePart, RingKey, State};
pub use seal::{Sealed, Sealing};

use super::SigningError;
use crate::jose::Jwk;
use crate::limits::{JWKS_KEYS_MAX, JWKS_MAX_AGE_SECONDS, LEEWAY_SECONDS_MAX};
use key::{Retiring, algorithm_of};

/// How long verifiers are given to fetch a new key before it signs, in seconds, where nothing else is said: twice
/// the time after which jotd itself fetches, by itself, and far longer than our own answer may be kept.
pub const PUBLISH_SECONDS_DEFAULT: i64 = 600;

/// Longest life of a token that a ring's keys sign, in seconds, where nothing else is said.
pub const LIFETIME_SECONDS_DEFAULT: i64 = 3600;

/// Longest time that a ring may be told to wait, in seconds: a year, beyond which it is a slip of the keyboard.
pub const RING_SECONDS_MAX: i64 = 366 * 86_400;

const _: () = assert!(
    PUBLISH_SECONDS_DEFAULT >= 2 * JWKS_MAX_AGE_SECONDS,
    "whoever keeps the set that we serve for as long as it may has the new key before that signs"
);

/// How long a key that is out is still remembered, in seconds, so that its name is not given again.
const REMEMBERED_SECONDS: i64 = 90 * 86_400;

/// A ring of keys, as its manifest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    terms: Terms,
    sealed: Option<Sealed>,
    short_lives: Option<ShortLives>,
    keys: Vec<RingKey>,
}

/// What a ring's rotations go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a key is published before it signs: at least as long as any verifier keeps a set.
    pub publish_seconds: i64,
    /// Longest life of a token that the keys sign.
    pub lifetime_seconds_max: i64,
}

/// After a key had to be revoked: tokens that live shortly, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortLives {
    /// Longest life.
    pub seconds: i64,
    /// The while's end, in seconds since the epoch.
    pub until: i64,
}

/// Why a ring cannot be read, or be changed like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The manifest is not one.
    #[error("is no manifest of a key ring: {0}")]
    Malformed(String),
    /// A key that a ring does not take.
    #[error("the key cannot be on a ring: {0}")]
    Unfit(&'static str),
    /// The name is taken, or was within the last months.
    #[error("the ring has or had a key of the same kid, {}", .0.escape_debug())]
    KidTaken(Box<str>),
    /// There is no such key.
    #[error("the ring has no key of the kid {}", .0.escape_debug())]
    UnknownKid(Box<str>),
    /// Nothing would be left to sign with.
    #[error("nothing would sign after {} is retired: rotate the ring instead, or write out --last", .0.escape_debug())]
    LastKey(Box<str>),
    /// It retires already, or is out.
    #[error("{} is {} already", kid.escape_debug(), state.name())]
    Over {
        /// Which.
        kid: Box<str>,
        /// What it is.
        state: State,
    },
    /// Too many keys are published at once.
    #[error(
        "more than {JWKS_KEYS_MAX} keys would be published: wait until retired ones are removed"
    )]
    TooMany,
    /// A key could not be made, sealed or opened.
    #[error(transparent)]
    Key(#[from] SigningError),
}

impl Ring {
    /// A ring without keys.
    #[must_use]
    pub fn new(terms: Terms, sealed: Option<Sealed>) -> Self {
        Self {
            terms,
            sealed,
            short_lives: None,
            keys: Vec::new(),
        }
    }

    /// What its rotations go by.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// How its private keys are sealed at rest; `None` where file permissions are all that guards them.
    #[must_use]
    pub fn sealed(&self) -> Option<Sealed> {
        self.sealed
    }

    /// The keys, oldest first, also those that are out.
    #[must_use]
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The key that signs at this moment.
    #[must_use]
    pub fn signing(&self, now: i64) -> Option<&RingKey> {
        let signing = self.keys.iter().filter(|key| key.may_sign(now));
        signing.max_by_key(|key| key.signs_from)
    }

    /// What a key is at this moment.
    #[must_use]
    pub fn state(&self, key: &RingKey, now: i64) -> State {
        let is_it = |signing: &RingKey| signing.kid == key.kid;
        match key.retires {
            _ if key.revoked_at.is_some() => State::Revoked,
            Some(retiring) if now >= retiring.removed_at => State::Removed,
            _ if now < key.signs_from => State::Published,
            // Of two that may sign, the older one rests.
            _ if self.signing(now).is_some_and(is_it) => State::Signing,
            _ => State::Retired,
        }
    }

    /// The keys that verifiers are to have: those of which a token may live, now or soon. A clock that was set
    /// back brings none back that was revoked.
    pub fn published(&self, now: i64) -> impl Iterator<Item = &RingKey> {
        let is_out = move |key: &RingKey| {
            key.revoked_at.is_some() || key.retires.is_some_and(|end| now >= end.removed_at)
        };
        self.keys.iter().filter(move |key| !is_out(key))
    }

    /// The published set, as a JWK Set document (RFC 7517 §5).
    #[must_use]
    pub fn public_jwks(&self, now: i64) -> String {
        let keys: Vec<&str> = self.published(now).map(RingKey::public_jwk).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// Longest life of a token signed at this moment, in seconds, and whether that is for a while only.
    #[must_use]
    pub fn lifetime_seconds_max(&self, now: i64) -> (i64, Option<ShortLives>) {
        let lasting = self.terms.lifetime_seconds_max;
        match self.short_lives {
            Some(short) if now < short.until && short.seconds < lasting => {
                (short.seconds, Some(short))
            }
            _ => (lasting, None),
        }
    }

    /// Puts a key on the ring and begins to rotate to it: it signs once verifiers have had time to fetch it, or
    /// at once where nothing signs. Returns that moment.
    ///
    /// # Errors
    /// [`RingError`]; nothing has changed then.
    pub fn rotate(&mut self, new: NewKey, now: i64) -> Result<i64, RingError> {
        let wait = match self.signing(now) {
            // Of a second that has begun, `now` is the beginning; whoever fetched the old set since keeps it as long.
            Some(_) => self.terms.publish_seconds.saturating_add(1),
            None => 0,
        };
        let signs_from = now.saturating_add(wait);
        let key = self.admit(new, now, signs_from)?;
        let lifetime = self.terms.lifetime_seconds_max;
        for old in &mut self.keys {
            old.retire_by(signs_from, lifetime);
        }
        self.keys.push(key);
        Ok(signs_from)
    }

    /// Whether something still signs at this moment without these keys.
    #[must_use]
    pub fn signs_without(&self, kids: &[&str], now: i64) -> bool {
        let stays = |key: &&RingKey| key.may_sign(now) && !kids.contains(&&*key.kid);
        self.keys.iter().find(stays).is_some()
    }

    /// Revokes keys. Where they leave nothing that signs at this moment, `new` signs from now on, without any
    /// wait: a token that a verifier cannot check yet is better than one that somebody else made. There may be none
    /// only if the key revoked is to be the `last`.
    ///
    /// # Errors
    /// [`RingError`]; nothing has changed then.
    pub fn revoke(
        &mut self,
        kids: &[&str],
        new: Option<NewKey>,
        short: Option<ShortLives>,
        last: bool,
        now: i64,
    ) -> Result<(), RingError> {
        for kid in kids {
            let key = self.key(kid)?;
            if self.state(key, now) == State::Revoked {
                return Err(self.over(key, now));
            }
        }
        if !self.signs_without(kids, now) && new.is_none() && !last {
            let kid = kids.first().copied().unwrap_or_default();
            return Err(RingError::LastKey(kid.into()));
        }
        let admitted = new.map(|new| self.admit(new, now, now)).transpose()?;
        for key in &mut self.keys {
            if kids.contains(&&*key.kid) {
                key.revoked_at = Some(now);
            }
        }
        self.short_lives = short.or(self.short_lives);
        self.keys.extend(admitted);
        self.reschedule(now);
        Ok(())
    }

    /// Retires a key. One that has never signed is removed at once, and its predecessor goes on; one that signs
    /// must have a successor, unless it is to be the `last`.
    ///
    /// # Errors
    /// [`RingError`]; nothing has changed then.
    pub fn retire(&mut self, kid: &str, last: bool, now: i64) -> Result<State, RingError> {
        let key = self.key(kid)?;
        let state = self.state(key, now);
        match state {
            State::Published => {}
            State::Signing if last => {}
            State::Signing if key.retires.is_none() => return Err(RingError::LastKey(kid.into())),
            _ => return Err(self.over(key, now)),
        }
        let lifetime = match state {
            State::Published => 0,
            _ => self.terms.lifetime_seconds_max + LEEWAY_SECONDS_MAX,
        };
        for key in &mut self.keys {
            if *key.kid == *kid {
                key.retires = Some(Retiring {
                    signs_until: now,
                    removed_at: now.saturating_add(lifetime),
                });
            }
        }
        if state == State::Published {
            self.reschedule(now);
        }
        Ok(state)
    }

    /// Lets go of what no longer matters: private halves in files that will not sign again, and keys that
    /// have long been out.
    pub fn tidy(&mut self, now: i64) {
        self.keys.retain(|key| {
            let out = key.revoked_at.or(key.retires.map(|end| end.removed_at));
            out.is_none_or(|out| now < out.saturating_add(REMEMBERED_SECONDS))
        });
        for key in &mut self.keys {
            let is_over =
                key.revoked_at.is_some() || key.retires.is_some_and(|end| now >= end.signs_until);
            if is_over && matches!(key.private, PrivatePart::File(_)) {
                key.private = PrivatePart::Erased;
            }
        }
        if self.short_lives.is_some_and(|short| now >= short.until) {
            self.short_lives = None;
        }
    }

    /// A key by its name.
    ///
    /// # Errors
    /// [`RingError::UnknownKid`].
    pub fn key(&self, kid: &str) -> Result<&RingKey, RingError> {
        let found = self.keys.iter().find(|key| *key.kid == *kid);
        found.ok_or_else(|| RingError::UnknownKid(kid.into()))
    }

    /// A new key, if the ring takes it.
    fn admit(&self, new: NewKey, now: i64, signs_from: i64) -> Result<RingKey, RingError> {
        let jwk = Jwk::parse(new.public_jwk.as_bytes())
            .map_err(|_| RingError::Unfit("its public half is no JWK"))?;
        let key = RingKey {
            kid: jwk.kid.as_deref().unwrap_or_default().into(),
            algorithm: algorithm_of(&jwk).map_err(RingError::Unfit)?,
            public_jwk: new.public_jwk.into(),
            private: new.private,
            published_at: now,
            signs_from,
            retires: None,
            revoked_at: None,
        };
        if self.key(&key.kid).is_ok() {
            return Err(RingError::KidTaken(key.kid));
        }
        if self.published(now).count() >= JWKS_KEYS_MAX {
            return Err(RingError::TooMany);
        }
        Ok(key)
    }

    /// Each key signs until its next successor does; the last one without an end. Asked for where a key in the
    /// middle has gone.
    fn reschedule(&mut self, now: i64) {
        let lifetime = self.terms.lifetime_seconds_max;
        let starts: Vec<i64> = self
            .keys
            .iter()
            .filter(|key| key.is_in_turn(now))
            .map(|key| key.signs_from)
            .collect();
        for key in &mut self.keys {
            if !key.is_in_turn(now) {
                continue;
            }
            key.retires = None;
            let next = starts.iter().filter(|start| **start > key.signs_from).min();
            if let Some(next) = next {
                key.retire_by(*next, lifetime);
            }
        }
    }

    fn over(&self, key: &RingKey, now: i64) -> RingError {
        RingError::Over {
            kid: key.kid.clone(),
            state: self.state(key, now),
        }
    }
}
