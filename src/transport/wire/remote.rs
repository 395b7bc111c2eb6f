//! Reading VERDICTS frames: the client's half of `verdicts`.
#![forbid(unsafe_code)]

use super::bytes::{i64_at, u16_at, u32_at, u64_at};
use super::verdicts::{
    FIXED_BYTES, FLAG_CACHED, FLAG_CLAIMS, FLAG_EXPIRES_IN, FLAG_MOMENT, NONE, RECORD_BYTES,
    RECORD_TEXT_BYTES_AT, STATUS_INVALID, STATUS_UNAVAILABLE, STATUS_VALID, Standing, moment_of,
};
use super::{BadBytes, FrameKind, Head};
use crate::verdict::{Cause, ClaimsJson, Reason, Unavailable, Verdict};
use std::fmt;
use std::sync::Arc;

/// A decoded VERDICTS frame, borrowed.
#[derive(Clone, Copy)]
pub struct Verdicts<'a> {
    /// The request that these answer.
    pub request_id: u64,
    /// How far the daemon's knowledge of revocations reached.
    pub standing: Standing,
    signer_count: usize,
    records: &'a [[u8; RECORD_BYTES]],
    signers: &'a [u8],
    texts: &'a [u8],
}

/// One verdict of a frame, borrowed; [`Verdicts::to_remote`] makes it a value.
#[derive(Clone, Copy)]
pub struct VerdictRecord<'a> {
    fixed: &'a [u8; RECORD_BYTES],
    text: &'a [u8],
}

/// A verdict as a client receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteVerdict {
    /// The token may be trusted now.
    Valid {
        /// Who vouches.
        signer: Arc<RemoteSigner>,
        /// The claims, if asked for.
        claims: ClaimsJson,
        /// `exp`, in seconds since the epoch.
        expires_at: Option<i64>,
        /// Seconds to `exp` at the time of the decision.
        expires_in: Option<i64>,
        /// Whether the daemon answered from its cache.
        cached: bool,
    },
    /// It may not.
    Invalid {
        /// The closed-set reason.
        reason: Reason,
        /// One line for a log.
        detail: String,
        /// `exp`, `nbf` or `iat`, where that is what the refusal is about.
        moment: Option<i64>,
    },
    /// The daemon cannot say. Never to be read as either of the other two.
    Unavailable(Unavailable),
}

/// Issuer, algorithm and key behind a trusted token, as a client receives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSigner {
    /// The issuer's configured name.
    pub issuer: String,
    /// The tenant.
    pub tenant: String,
    /// The JWS `alg`.
    pub alg: String,
    /// The key's `kid`.
    pub kid: Option<String>,
}

impl<'a> Verdicts<'a> {
    /// Reads a whole VERDICTS frame and checks every length in it.
    ///
    /// # Errors
    /// [`BadBytes`] where it contradicts itself.
    pub fn decode(frame: &'a [u8]) -> Result<Self, BadBytes> {
        const SHORT: BadBytes = BadBytes("a VERDICTS frame is shorter than its counts say");
        let fixed: &[u8; FIXED_BYTES] = frame.first_chunk().ok_or(SHORT)?;
        let head = Head::decode(fixed).ok_or(SHORT)?;
        if head.kind != FrameKind::Verdicts as u8 || head.flags != 0 || fixed[31] != 0 {
            return Err(BadBytes("not a VERDICTS frame of this version"));
        }
        let (records, rest) = frame[FIXED_BYTES..]
            .split_at_checked(usize::from(head.count) * RECORD_BYTES)
            .ok_or(SHORT)?;
        let (records, _) = records.as_chunks();
        let signer_count = usize::from(u16_at(fixed, 28).ok_or(SHORT)?);
        let mut texts = rest;
        for _ in 0..signer_count {
            (_, texts) = split_signer(texts).ok_or(SHORT)?;
        }
        let signers = &rest[..rest.len() - texts.len()];
        let mut text_bytes = 0u64;
        for record in records {
            text_bytes += u64::from(check_record(record, signer_count)?);
        }
        if text_bytes != texts.len() as u64 {
            return Err(BadBytes("the texts' lengths do not fill the frame"));
        }
        Ok(Self {
            request_id: head.request_id,
            standing: Standing {
                applied_revision: u64_at(fixed, 16).ok_or(SHORT)?,
                staleness_ms: u32_at(fixed, 24).ok_or(SHORT)?,
                revocation_state: fixed[30],
            },
            signer_count,
            records,
            signers,
            texts,
        })
    }

    /// How many verdicts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The verdicts in the order of the tokens.
    pub fn iter(&self) -> impl Iterator<Item = VerdictRecord<'a>> + use<'a> {
        let mut texts = self.texts;
        self.records.iter().map(move |fixed| {
            let text_bytes = u32_at(fixed, RECORD_TEXT_BYTES_AT).unwrap_or(0) as usize;
            let (text, rest) = texts.split_at_checked(text_bytes).unwrap_or_default();
            texts = rest;
            VerdictRecord { fixed, text }
        })
    }

    /// The verdicts as values, which outlive the frame.
    ///
    /// # Errors
    /// [`BadBytes`] for a name that is not UTF-8, or a reason or cause this code does not know.
    pub fn to_remote(&self) -> Result<Vec<RemoteVerdict>, BadBytes> {
        let mut signers = Vec::with_capacity(self.signer_count);
        let mut rest = self.signers;
        while let Some((parts, after)) = split_signer(rest) {
            signers.push(Arc::new(RemoteSigner::new(parts)?));
            rest = after;
        }
        self.iter()
            .map(|record| record.to_remote(&signers))
            .collect()
    }
}

/// Checks a record's closed sets, and returns the length of its text.
fn check_record(record: &[u8; RECORD_BYTES], signer_count: usize) -> Result<u32, BadBytes> {
    let signer = u16_at(record, 4).unwrap_or(NONE);
    let signer_known = usize::from(signer) < signer_count;
    match record[0] {
        STATUS_VALID if signer_known => {}
        STATUS_INVALID | STATUS_UNAVAILABLE if signer == NONE => {}
        _ => return Err(BadBytes("a record's status or signer is out of range")),
    }
    Ok(u32_at(record, RECORD_TEXT_BYTES_AT).unwrap_or(0))
}

/// Issuer, tenant, `alg` and, if there is one, `kid`.
type SignerParts<'a> = [Option<&'a [u8]>; 4];

/// The first signer of a table, and the rest.
fn split_signer(table: &[u8]) -> Option<(SignerParts<'_>, &[u8])> {
    let mut rest = table.get(8..)?;
    let mut parts = [None; 4];
    for (nth, part) in parts.iter_mut().enumerate() {
        let length = u16_at(table, nth * 2)?;
        // Only the last, the kid, may be absent.
        if length == NONE && nth == 3 {
            continue;
        }
        let (bytes, after) = rest.split_at_checked(usize::from(length))?;
        *part = Some(bytes);
        rest = after;
    }
    Some((parts, rest))
}

impl RemoteSigner {
    fn new(parts: SignerParts<'_>) -> Result<Self, BadBytes> {
        let text = |part: Option<&[u8]>| {
            String::from_utf8(part.unwrap_or_default().to_vec())
                .map_err(|_| BadBytes("a signer's name is not UTF-8"))
        };
        let [issuer, tenant, alg, kid] = parts;
        Ok(Self {
            issuer: text(issuer)?,
            tenant: text(tenant)?,
            alg: text(alg)?,
            kid: kid.map(|kid| text(Some(kid))).transpose()?,
        })
    }
}

impl<'a> VerdictRecord<'a> {
    /// Whether the token may be trusted.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.fixed[0] == STATUS_VALID
    }

    /// Whether the daemon could not say.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.fixed[0] == STATUS_UNAVAILABLE
    }

    /// Whether the daemon answered from its cache.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.fixed[2] & FLAG_CACHED != 0
    }

    /// The reason; `None` for a valid token, and for a number that this code does not know.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        Reason::from_code(self.fixed[1])
    }

    /// The claims of a valid token, the detail of a refusal.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    fn to_remote(self, signers: &[Arc<RemoteSigner>]) -> Result<RemoteVerdict, BadBytes> {
        let flag = |flag: u8| self.fixed[2] & flag != 0;
        let moment = i64_at(self.fixed, 16).filter(|_| flag(FLAG_MOMENT));
        match self.fixed[0] {
            STATUS_VALID => {
                let index = usize::from(u16_at(self.fixed, 4).unwrap_or(NONE));
                let signer = signers.get(index).ok_or(BadBytes("a signer is missing"))?;
                Ok(RemoteVerdict::Valid {
                    signer: Arc::clone(signer),
                    claims: match flag(FLAG_CLAIMS) {
                        true => ClaimsJson::new(self.text.into()),
                        false => ClaimsJson::default(),
                    },
                    expires_at: moment,
                    expires_in: i64_at(self.fixed, 24).filter(|_| flag(FLAG_EXPIRES_IN)),
                    cached: self.is_cached(),
                })
            }
            STATUS_INVALID => Ok(RemoteVerdict::Invalid {
                reason: self.reason().ok_or(BadBytes("an unknown reason"))?,
                detail: String::from_utf8_lossy(self.text).into_owned(),
                moment,
            }),
            _ => Ok(RemoteVerdict::Unavailable(Unavailable {
                cause: Cause::from_code(self.fixed[3]).ok_or(BadBytes("an unknown cause"))?,
                retry_after_ms: u32_at(self.fixed, 12).unwrap_or(0),
            })),
        }
    }
}

impl From<&Verdict> for RemoteVerdict {
    /// The verdict as it looks from the other end of the wire.
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Valid(trusted) => Self::Valid {
                signer: Arc::new(RemoteSigner {
                    issuer: trusted.signer.issuer.to_string(),
                    tenant: trusted.signer.tenant.to_string(),
                    alg: trusted.signer.alg.to_owned(),
                    kid: trusted.signer.kid.as_deref().map(str::to_owned),
                }),
                claims: trusted.claims.clone(),
                expires_at: trusted.expires_at,
                expires_in: trusted.expires_in,
                cached: trusted.cached,
            },
            Verdict::Invalid(refusal) => Self::Invalid {
                reason: refusal.reason(),
                detail: refusal.to_string(),
                moment: moment_of(refusal),
            },
            Verdict::Unavailable(unavailable) => Self::Unavailable(*unavailable),
        }
    }
}

/// Claims are personal data, so neither prints them.
impl fmt::Debug for Verdicts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verdicts({} for {})", self.len(), self.request_id)
    }
}

impl fmt::Debug for VerdictRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerdictRecord(status {})", self.fixed[0])
    }
}
