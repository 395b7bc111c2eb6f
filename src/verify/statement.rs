//! Statements that are no access tokens: logout tokens, security events, status lists. An issuer signs them with the
//! keys that sign its tokens, so the kind must be written in them, and rules of their own hold for what they say.

use super::{IssuerKeys, Records, header_memo, refusal};
use crate::crypto::{self, Check, Outcome};
use crate::jose::CompactJws;
use crate::keys::KeyMiss;
use crate::verdict::{Refusal, Unavailable, Verdict};

impl Records {
    /// The payload of a statement of this kind (`typ`) that an issuer, by its configured name, has signed with an
    /// algorithm and key of its own. It runs kernels, which takes a stack of some size.
    ///
    /// # Errors
    /// Why it is none, or cannot be told from one now; never [`Verdict::Valid`].
    pub fn read_statement(
        &self,
        issuer: &str,
        typ: &str,
        statement: &[u8],
        bytes_max: usize,
    ) -> Result<Vec<u8>, Verdict> {
        let jws = CompactJws::parse(statement, bytes_max).map_err(refusal)?;
        let header = header_memo::parse(jws.header_segment()).map_err(refusal)?;
        //= https://www.rfc-editor.org/rfc/rfc8725#section-3.11
        //# explicit JWT typing MUST be [...] used
        if !header.typ_is(typ) {
            return Err(Refusal::WrongType.into());
        }
        let issuer = self.issuer_named(issuer).ok_or(Refusal::UnknownIssuer)?;
        let alg = header.alg;
        if !issuer.policy.schemes.contains(&alg.scheme()) {
            return Err(Refusal::AlgNotAllowed { alg: alg.name() }.into());
        }
        let IssuerKeys::Known(keys) = &issuer.keys else {
            return Err(Unavailable::KEYS_REFRESHING.into());
        };
        let candidates = keys
            .candidates(header.kid.as_deref(), alg.scheme())
            .map_err(|miss| match miss {
                KeyMiss::WrongAlgorithm => Refusal::AlgNotAllowed { alg: alg.name() },
                KeyMiss::UnknownKid => Refusal::UnknownKid,
            })?;
        let mut signature = Vec::new();
        jws.decode_signature(&mut signature).map_err(refusal)?;
        let check = |&slot: &u32| Check {
            key: &keys.slots()[slot as usize].key,
            message: jws.signing_input(),
            signature: &signature,
        };
        let checks: Vec<Check<'_>> = candidates.as_slice().iter().map(check).collect();
        let mut outcomes = Vec::new();
        crypto::verify_batch(&checks, &mut outcomes);
        if !outcomes.contains(&Outcome::Genuine) {
            return Err(Refusal::BadSignature.into());
        }
        let mut payload = Vec::new();
        jws.decode_payload(&mut payload).map_err(refusal)?;
        Ok(payload)
    }
}
