//! Holds a verified token against the status list that it names: at its verification, and at every hit.

use super::revoking::{Again, read_again};
use super::{Issuer, IssuerMatch, Records};
use crate::clock::Now;
use crate::jose::Claims;
use crate::limits::STATUS_TOKEN_BYTES_MAX;
use crate::revocation::status::{Status, StatusKey, StatusList, StatusLists, StatusReference};
use crate::verdict::{Refusal, Unavailable, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// The kind of a status list in its header.
const TYP: &str = "statuslist+jwt";

impl Records {
    /// The same snapshot, with tokens held against these status lists where their issuer's policy says so. Without
    /// any, such tokens are `unavailable`.
    #[must_use]
    pub fn with_statuses(mut self, lists: Arc<StatusLists>) -> Self {
        self.statuses = Some(lists);
        self
    }

    /// Whether a token's status stands against it.
    #[inline]
    pub(super) fn check_status(
        &self,
        issuer: &Issuer,
        claims: &Claims<'_>,
        now: Now,
    ) -> Result<(), Verdict> {
        if issuer.policy.status_lists.is_empty() {
            return Ok(());
        }
        self.look_up_status(issuer, claims, now)
    }

    /// The same for a token that the cache knows.
    #[cold]
    pub(super) fn check_status_again(
        &self,
        issuer: &Issuer,
        token: &[u8],
        now: Now,
    ) -> Result<(), Verdict> {
        let mut room = Again::default();
        let (_, claims, _) = read_again(self, token, &mut room)?;
        self.look_up_status(issuer, &claims, now)
    }

    fn look_up_status(
        &self,
        issuer: &Issuer,
        claims: &Claims<'_>,
        now: Now,
    ) -> Result<(), Verdict> {
        let invalid = || Verdict::from(Refusal::InvalidClaim("status".into()));
        let Some(reference) = StatusReference::of(claims).map_err(|_| invalid())? else {
            return Ok(());
        };
        // A token does not get to choose whom we ask.
        let mut allowed = issuer.policy.status_lists.iter();
        if !allowed.any(|prefix| reference.uri.starts_with(&**prefix)) {
            return Err(invalid());
        }
        let unknown = || Verdict::from(Unavailable::REVOCATION_STALE);
        let lists = self.statuses.as_ref().ok_or_else(unknown)?;
        let grace = Duration::from_secs(issuer.policy.status_grace_seconds.into());
        match lists.status(&issuer.name, &reference, grace, now) {
            Status::Valid => Ok(()),
            Status::Revoked => Err(Refusal::Revoked.into()),
            Status::OutOfRange => Err(invalid()),
            Status::Unknown => Err(unknown()),
        }
    }

    /// Reads a status list that came from where its key says. It runs kernels, which takes a stack of some size.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn read_status_list(
        &self,
        key: &StatusKey,
        text: &[u8],
        now: Now,
    ) -> Result<StatusList, String> {
        let read = self.read_statement(&key.issuer, TYP, text, STATUS_TOKEN_BYTES_MAX);
        let payload = read.map_err(|verdict| match verdict {
            Verdict::Invalid(refusal) => refusal.to_string(),
            _ => "the issuer's keys are being fetched".to_owned(),
        })?;
        let claims = Claims::parse(&payload).map_err(|error| error.to_string())?;
        let issuer = self.issuer_named(&key.issuer);
        let iss = issuer.and_then(|issuer| match &issuer.iss {
            IssuerMatch::Exact(iss) => Some(&**iss),
            IssuerMatch::Any | IssuerMatch::Template(_) => None,
        });
        StatusList::read(&claims, &key.uri, iss, now).map_err(str::to_owned)
    }
}
