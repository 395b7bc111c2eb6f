//! The verdict as a message of `jotd.v1`: the same words as the JSON.
#![forbid(unsafe_code)]

use super::v1;
use crate::verdict::{
    Cause, Freshness, Reason, Refusal, RevocationState, Trusted, Unavailable, Verdict,
};

impl From<Verdict> for v1::Verdict {
    fn from(verdict: Verdict) -> Self {
        use v1::verdict::Outcome;
        let outcome = match verdict {
            Verdict::Valid(trusted) => Outcome::Valid(trusted.into()),
            Verdict::Invalid(refusal) => Outcome::Invalid(refusal.into()),
            Verdict::Unavailable(unavailable) => Outcome::Unavailable(unavailable.into()),
        };
        Self {
            outcome: Some(outcome),
        }
    }
}

impl From<Trusted> for v1::Valid {
    fn from(trusted: Trusted) -> Self {
        let signer = &*trusted.signer;
        Self {
            issuer: signer.issuer.as_ref().to_owned(),
            tenant: signer.tenant.as_ref().to_owned(),
            alg: signer.alg.to_owned(),
            kid: signer.kid.as_deref().map(str::to_owned),
            // Claims were parsed as JSON, which is UTF-8; nothing is lost here.
            claims: trusted
                .claims
                .as_bytes()
                .map(|json| String::from_utf8_lossy(json).into_owned()),
            expires_in: trusted.expires_in,
            cached: trusted.cached,
            revocation: Some(trusted.revocation.into()),
        }
    }
}

impl From<Freshness> for v1::Revocation {
    fn from(freshness: Freshness) -> Self {
        let (state, age_ms) = match freshness.state {
            RevocationState::Off => (v1::RevocationState::Off, None),
            RevocationState::Live => (v1::RevocationState::Live, Some(freshness.age_ms)),
            RevocationState::Stale => (v1::RevocationState::Stale, Some(freshness.age_ms)),
        };
        Self {
            state: state.into(),
            age_ms,
        }
    }
}

impl From<Refusal> for v1::Invalid {
    fn from(refusal: Refusal) -> Self {
        let mut invalid = Self {
            reason: v1::Reason::from(refusal.reason()).into(),
            detail: refusal.to_string(),
            ..Self::default()
        };
        match refusal {
            Refusal::Expired { expired_at, .. } => invalid.expired_at = Some(expired_at),
            Refusal::NotYetValid { not_before } => invalid.not_before = Some(not_before),
            Refusal::IssuedInFuture { issued_at } => invalid.issued_at = Some(issued_at),
            _ => {}
        }
        invalid
    }
}

impl From<Unavailable> for v1::Unavailable {
    fn from(unavailable: Unavailable) -> Self {
        Self {
            cause: v1::Cause::from(unavailable.cause).into(),
            retry_after_ms: unavailable.retry_after_ms,
        }
    }
}

impl From<Reason> for v1::Reason {
    /// By number: the numbers are the same, and a test holds them together.
    fn from(reason: Reason) -> Self {
        Self::try_from(i32::from(reason.code())).unwrap_or_default()
    }
}

impl From<Cause> for v1::Cause {
    fn from(cause: Cause) -> Self {
        Self::try_from(i32::from(cause.code())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::verdict::Outcome;

    #[test]
    fn reasons_and_causes_have_the_same_names_and_numbers_everywhere() {
        for reason in Reason::ALL {
            let message = v1::Reason::from(reason);
            assert_eq!(message as i32, i32::from(reason.code()));
            let name = format!("REASON_{}", reason.name().to_uppercase());
            assert_eq!(message.as_str_name(), name);
        }
        for cause in Cause::ALL {
            let message = v1::Cause::from(cause);
            assert_eq!(message as i32, i32::from(cause.code()));
            let name = format!("CAUSE_{}", cause.name().to_uppercase());
            assert_eq!(message.as_str_name(), name);
        }
        let beyond = i32::try_from(Reason::ALL.len()).expect("a small number") + 1;
        assert!(
            v1::Reason::try_from(beyond).is_err(),
            "the proto has no more"
        );
    }

    #[test]
    fn times_stand_where_the_json_has_them() {
        let invalid = |refusal: Refusal| match v1::Verdict::from(Verdict::from(refusal)).outcome {
            Some(Outcome::Invalid(invalid)) => {
                (invalid.expired_at, invalid.not_before, invalid.issued_at)
            }
            other => panic!("not invalid: {other:?}"),
        };
        let expired = Refusal::Expired {
            expired_at: 7,
            ago_seconds: 1,
        };
        assert_eq!(invalid(expired), (Some(7), None, None));
        let early = Refusal::NotYetValid { not_before: 8 };
        assert_eq!(invalid(early), (None, Some(8), None));
        let future = Refusal::IssuedInFuture { issued_at: 9 };
        assert_eq!(invalid(future), (None, None, Some(9)));
        assert_eq!(invalid(Refusal::BadSignature), (None, None, None));
    }

    #[test]
    fn the_age_of_knowledge_is_said_where_there_is_any() {
        let said = |state, age_ms| {
            let message = v1::Revocation::from(Freshness { state, age_ms });
            (message.state(), message.age_ms)
        };
        use v1::RevocationState as S;
        assert_eq!(said(RevocationState::Off, 0), (S::Off, None));
        assert_eq!(said(RevocationState::Live, 3), (S::Live, Some(3)));
        assert_eq!(
            said(RevocationState::Stale, u32::MAX),
            (S::Stale, Some(u32::MAX))
        );
    }

    /// Checks V-42.
    #[test]
    fn undecided_is_its_own_outcome() {
        let verdict = v1::Verdict::from(Verdict::from(Unavailable::KEYS_REFRESHING));
        let Some(Outcome::Unavailable(unavailable)) = verdict.outcome else {
            panic!("unavailable must stay so");
        };
        assert_eq!(unavailable.cause(), v1::Cause::KeysRefreshing);
        assert_eq!(unavailable.retry_after_ms, 200);
    }
}
