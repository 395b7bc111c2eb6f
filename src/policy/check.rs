//! The rules applied to the claims of a token whose signature has been verified.
//!
//! Checks run in the order of [`Reason`](crate::verdict::Reason): when several apply, the first is given.

use super::{Accepted, Narrowing, Policy, TokenTypes};
use crate::clock::Now;
use crate::jose::{Claims, Header, NumericDate};
use crate::verdict::Refusal;
use std::borrow::Cow;

/// Claims that an access token of the JWT profile always carries (RFC 9068 §2.2).
const ACCESS_TOKEN_CLAIMS: [&str; 7] = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];

/// When a token passes its time checks, leeway included: from `from` until just before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First second at which it passes.
    pub from: i64,
    /// First second at which it no longer does.
    pub until: i64,
}

impl Window {
    /// Whether every moment that `now` may be lies inside.
    #[must_use]
    pub fn contains(&self, now: Now) -> bool {
        now.earliest >= self.from && now.latest < self.until
    }
}

impl Policy {
    /// Checks a verified token's claims under this policy and a request's narrowing of it.
    ///
    /// # Errors
    /// The first refusal in the order of precedence.
    pub fn check(
        &self,
        narrowing: &Narrowing,
        issuer_name: &str,
        header: &Header,
        claims: &Claims<'_>,
        now: Now,
    ) -> Result<Window, Refusal> {
        let window = self.check_times(narrowing, claims, now)?;
        if let Some(accepted) = &narrowing.issuers
            && !accepted.iter().any(|name| **name == *issuer_name)
        {
            return Err(Refusal::WrongIssuer);
        }
        self.check_audience(narrowing, claims)?;
        self.check_type(narrowing, header)?;
        self.check_presence(narrowing, claims)?;
        if let Some(name) = claims.invalid {
            return Err(Refusal::InvalidClaim(name.into()));
        }
        self.check_values(claims)?;
        //= https://www.rfc-editor.org/rfc/rfc7800#section-3.1
        //# the recipient MUST [...] verify that the presenter possesses the confirmation key
        if !self.bound_tokens_as_bearer && claims.member("cnf").is_some() {
            return Err(Refusal::BindingMismatch);
        }
        if !narrowing.scopes.is_empty() && !Scope::of(claims).grants(&narrowing.scopes) {
            return Err(Refusal::InsufficientScope);
        }
        Ok(window)
    }

    fn check_times(
        &self,
        narrowing: &Narrowing,
        claims: &Claims<'_>,
        now: Now,
    ) -> Result<Window, Refusal> {
        let leeway = self.leeway_seconds;
        let mut window = Window {
            from: i64::MIN,
            until: i64::MAX,
        };
        //= https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4
        //# the current date/time MUST be before the expiration date/time listed in the "exp" claim
        if let Some(exp) = claims.exp {
            window.until = exp.floor.saturating_add(leeway);
            if now.latest >= window.until {
                return Err(expired(exp.floor, now));
            }
        }
        //= https://www.rfc-editor.org/rfc/rfc7519#section-4.1.5
        //# the current date/time MUST be after or equal to the not-before date/time
        if let Some(nbf) = claims.nbf {
            window.from = nbf.ceil.saturating_sub(leeway);
            if now.earliest < window.from {
                return Err(Refusal::NotYetValid {
                    not_before: nbf.ceil,
                });
            }
        }
        if let Some(iat) = claims.iat {
            let from = iat.ceil.saturating_sub(leeway);
            if now.earliest < from {
                return Err(Refusal::IssuedInFuture {
                    issued_at: iat.ceil,
                });
            }
            window.from = window.from.max(from);
            self.check_age(narrowing, iat, claims.exp, now, &mut window)?;
        }
        Ok(window)
    }

    fn check_age(
        &self,
        narrowing: &Narrowing,
        iat: NumericDate,
        exp: Option<NumericDate>,
        now: Now,
        window: &mut Window,
    ) -> Result<(), Refusal> {
        for age_seconds_max in [self.age_seconds_max, narrowing.age_seconds_max]
            .into_iter()
            .flatten()
        {
            let until = iat
                .floor
                .saturating_add(age_seconds_max)
                .saturating_add(self.leeway_seconds)
                .saturating_add(1);
            if now.latest >= until {
                return Err(Refusal::TooOld("issued longer ago than the policy allows"));
            }
            window.until = window.until.min(until);
        }
        if let (Some(lifetime_seconds_max), Some(exp)) = (self.lifetime_seconds_max, exp)
            && exp.ceil.saturating_sub(iat.floor) > lifetime_seconds_max
        {
            return Err(Refusal::TooOld(
                "issued for a longer life than the policy allows",
            ));
        }
        Ok(())
    }

    fn check_audience(&self, narrowing: &Narrowing, claims: &Claims<'_>) -> Result<(), Refusal> {
        //= https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
        //# If the principal processing the claim does not identify itself with a value in the "aud"
        //# claim when this claim is present, then the JWT MUST be rejected.
        let names_one_of =
            |accepted: &[Box<str>]| claims.audiences().any(|aud| contains(accepted, &aud));
        let by_issuer = match &self.audiences {
            Accepted::Any => true,
            Accepted::OneOf(accepted) => names_one_of(accepted),
        };
        let by_request = narrowing.audiences.as_deref().is_none_or(names_one_of);
        if by_issuer && by_request {
            Ok(())
        } else {
            Err(Refusal::WrongAudience)
        }
    }

    fn check_type(&self, narrowing: &Narrowing, header: &Header) -> Result<(), Refusal> {
        let is_one_of = |accepted: &[Box<str>]| accepted.iter().any(|typ| header.typ_is(typ));
        let by_issuer = match &self.types {
            TokenTypes::Any => true,
            TokenTypes::AccessToken => {
                header.typ.is_none() || header.typ_is("JWT") || header.typ_is("at+jwt")
            }
            TokenTypes::OneOf(accepted) => is_one_of(accepted),
        };
        let by_request = narrowing.types.as_deref().is_none_or(is_one_of);
        if by_issuer && by_request {
            Ok(())
        } else {
            Err(Refusal::WrongType)
        }
    }

    fn check_presence(&self, narrowing: &Narrowing, claims: &Claims<'_>) -> Result<(), Refusal> {
        let missing = |name: &str| {
            claims
                .member(name)
                .is_none()
                .then(|| Refusal::MissingClaim(Cow::Owned(name.to_owned())))
        };
        // A use is remembered until the token has expired, so there must be such a moment.
        let single_use = self.single_use || narrowing.single_use;
        if (self.expiry_required || single_use)
            && let Some(refusal) = missing("exp")
        {
            return Err(refusal);
        }
        let ages = self.age_seconds_max.is_some()
            || self.lifetime_seconds_max.is_some()
            || narrowing.age_seconds_max.is_some();
        if ages && let Some(refusal) = missing("iat") {
            return Err(refusal);
        }
        if self.asks_for_access_tokens_only()
            && let Some(refusal) = ACCESS_TOKEN_CLAIMS.iter().find_map(|name| missing(name))
        {
            return Err(refusal);
        }
        if single_use && let Some(refusal) = missing("jti") {
            return Err(refusal);
        }
        let required = self
            .required_claims
            .iter()
            .chain(&narrowing.required_claims);
        match required.into_iter().find_map(|name| missing(name)) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn check_values(&self, claims: &Claims<'_>) -> Result<(), Refusal> {
        for rule in &self.claims {
            let Some(value) = claims.get(&rule.name) else {
                return Err(Refusal::MissingClaim(Cow::Owned(rule.name.to_string())));
            };
            let fits = |text: &str| {
                rule.accepted.iter().any(|one| match one.strip_suffix('*') {
                    Some(beginning) => text.starts_with(beginning),
                    None => **one == *text,
                })
            };
            let is_accepted = match value.as_str() {
                Some(text) => fits(&text),
                None => {
                    let several = value.as_strings();
                    several.is_some_and(|several| several.iter().any(|text| fits(text)))
                }
            };
            if !is_accepted {
                return Err(Refusal::InvalidClaim(Cow::Owned(rule.name.to_string())));
            }
        }
        Ok(())
    }

    /// A policy that accepts nothing but `at+jwt` is the JWT profile's (RFC 9068 §4), and its claims are
    /// then required too.
    fn asks_for_access_tokens_only(&self) -> bool {
        matches!(&self.types, TokenTypes::OneOf(accepted)
            if !accepted.is_empty() && accepted.iter().all(|typ| is_access_token_type(typ)))
    }
}

/// The refusal of a token whose `exp` has passed.
#[must_use]
pub(crate) fn expired(expired_at: i64, now: Now) -> Refusal {
    Refusal::Expired {
        expired_at,
        ago_seconds: now.latest.saturating_sub(expired_at),
    }
}

/// The scopes a token grants: space-delimited in `scope` (RFC 8693 §4.2), or an array in `scope` or `scp`.
pub struct Scope<'b>(Vec<Cow<'b, str>>);

impl<'b> Scope<'b> {
    /// Reads the scopes of a claims set; none where the claims have other types.
    #[must_use]
    pub fn of(claims: &Claims<'b>) -> Self {
        let mut scopes = Vec::new();
        for value in ["scope", "scp"].iter().filter_map(|name| claims.get(name)) {
            if let Some(list) = value.as_strings() {
                scopes.extend(list);
            } else if let Some(text) = value.as_str() {
                scopes.extend(text.split(' ').map(|scope| Cow::Owned(scope.to_owned())));
            }
        }
        Self(scopes)
    }

    /// Whether all of `required` are granted.
    #[must_use]
    pub fn grants(&self, required: &[Box<str>]) -> bool {
        required
            .iter()
            .all(|scope| self.0.iter().any(|granted| **granted == **scope))
    }
}

fn contains(accepted: &[Box<str>], value: &str) -> bool {
    accepted.iter().any(|one| **one == *value)
}

fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}
