//! VERDICTS frames: one fixed record a token, then the signers they name, then texts.
//!
//! ```text
//!  0 head, 16 bytes: count is the number of records
//! 16 u64 applied_revision
//! 24 u32 staleness_ms   28 u16 signer count   30 u8 revocation state   31 u8 zero
//! 32 records, 32 bytes each; then the signer table; then the texts, in the records' order
//! ```
#![forbid(unsafe_code)]

use super::bytes::{i64_at, u16_at, u32_at, u64_at};
use super::frame::{begin_frame, end_frame};
use super::{BadBytes, Fault, FaultCode, FrameKind, HEAD_BYTES, Head};
use crate::verdict::{Cause, Reason, Refusal, Signer, Trusted, Unavailable, Verdict};
use std::io::Write;
use std::sync::Arc;

/// Bytes of a VERDICTS frame before its records.
const FIXED_BYTES: usize = HEAD_BYTES + 16;

/// Bytes of one record.
const RECORD_BYTES: usize = 32;

/// Where a record keeps the length of its text.
const RECORD_TEXT_BYTES_AT: usize = 8;

const STATUS_VALID: u8 = 1;
const STATUS_INVALID: u8 = 2;
const STATUS_UNAVAILABLE: u8 = 3;

const FLAG_CACHED: u8 = 1;
const FLAG_MOMENT: u8 = 2;
const FLAG_EXPIRES_IN: u8 = 4;
const FLAG_CLAIMS: u8 = 8;

/// In place of a signer's index: the verdict has none. In place of a length: the key has no `kid`.
const NONE: u16 = u16::MAX;

/// How far back a signer is looked for before it is entered again: bounds the work of a frame whose
/// tokens all come from different keys.
const SIGNERS_SOUGHT: usize = 8;

/// How far the daemon's knowledge of revocations reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The revocation revision applied before these verdicts.
    pub applied_revision: u64,
    /// How old that knowledge may be, in milliseconds.
    pub staleness_ms: u32,
    /// 0: no revocation feed is configured; 1: live; 2: stale.
    pub revocation_state: u8,
}

/// Appends a VERDICTS frame.
///
/// # Errors
/// [`FaultCode::AnswerTooLarge`], with `out` as it was.
pub fn encode_verdicts(
    out: &mut Vec<u8>,
    request_id: u64,
    verdicts: &[Verdict],
    standing: Standing,
    frame_bytes_max: usize,
) -> Result<(), Fault> {
    let too_large = Fault::of_request(FaultCode::AnswerTooLarge, request_id);
    let count = u16::try_from(verdicts.len()).map_err(|_| too_large)?;
    let start = begin_frame(out, FrameKind::Verdicts, count, request_id);
    out.extend_from_slice(&standing.applied_revision.to_le_bytes());
    out.extend_from_slice(&standing.staleness_ms.to_le_bytes());
    out.extend_from_slice(&[0, 0, standing.revocation_state, 0]);

    let records_start = start + FIXED_BYTES;
    out.resize(records_start + verdicts.len() * RECORD_BYTES, 0);
    let mut signers = Signers::default();
    let mut texts = false;
    let (records, _) = out[records_start..].as_chunks_mut::<RECORD_BYTES>();
    for (record, verdict) in records.iter_mut().zip(verdicts) {
        texts |= encode_record(record, verdict, &mut signers);
    }
    out[start + 28..start + 30].copy_from_slice(&signers.count.to_le_bytes());
    encode_signers(out, records_start, verdicts);
    if texts {
        encode_texts(out, records_start, verdicts);
    }
    end_frame(out, start, frame_bytes_max).ok_or(too_large)?;
    Ok(())
}

/// Writes a record, its text's length excepted, and says whether it has a text.
#[inline]
fn encode_record<'v>(
    record: &mut [u8; RECORD_BYTES],
    verdict: &'v Verdict,
    signers: &mut Signers<'v>,
) -> bool {
    match verdict {
        Verdict::Valid(trusted) => {
            let flag = |set: bool, flag: u8| if set { flag } else { 0 };
            let claims = trusted.claims.as_bytes().is_some();
            let flags = flag(trusted.cached, FLAG_CACHED)
                | flag(trusted.expires_at.is_some(), FLAG_MOMENT)
                | flag(trusted.expires_in.is_some(), FLAG_EXPIRES_IN)
                | flag(claims, FLAG_CLAIMS);
            record[0] = STATUS_VALID;
            record[2] = flags;
            record[4..6].copy_from_slice(&signers.index_of(&trusted.signer).to_le_bytes());
            let expires_at = trusted.expires_at.unwrap_or(0);
            record[16..24].copy_from_slice(&expires_at.to_le_bytes());
            record[24..].copy_from_slice(&trusted.expires_in.unwrap_or(0).to_le_bytes());
            claims
        }
        Verdict::Invalid(refusal) => {
            record[0] = STATUS_INVALID;
            record[1] = refusal.reason().code();
            record[4..6].copy_from_slice(&NONE.to_le_bytes());
            if let Some(moment) = moment_of(refusal) {
                record[2] = FLAG_MOMENT;
                record[16..24].copy_from_slice(&moment.to_le_bytes());
            }
            true
        }
        Verdict::Unavailable(unavailable) => {
            record[0] = STATUS_UNAVAILABLE;
            record[1] = Reason::Unavailable.code();
            record[3] = unavailable.cause.code();
            record[4..6].copy_from_slice(&NONE.to_le_bytes());
            record[12..16].copy_from_slice(&unavailable.retry_after_ms.to_le_bytes());
            false
        }
    }
}

/// The time claim that a refusal is about.
fn moment_of(refusal: &Refusal) -> Option<i64> {
    match refusal {
        Refusal::Expired { expired_at, .. } => Some(*expired_at),
        Refusal::NotYetValid { not_before } => Some(*not_before),
        Refusal::IssuedInFuture { issued_at } => Some(*issued_at),
        _ => None,
    }
}

/// The signers last given an index. Almost every frame has one or two, shared by pointer.
#[derive(Default)]
struct Signers<'v> {
    count: u16,
    recent: [Option<(&'v Arc<Signer>, u16)>; SIGNERS_SOUGHT],
}

impl<'v> Signers<'v> {
    #[inline]
    fn index_of(&mut self, signer: &'v Arc<Signer>) -> u16 {
        let known = self.recent.iter().map_while(Option::as_ref);
        for (other, index) in known {
            if Arc::ptr_eq(other, signer) {
                return *index;
            }
        }
        let index = self.count;
        self.count += 1;
        self.recent[usize::from(index) % SIGNERS_SOUGHT] = Some((signer, index));
        index
    }
}

/// Appends the signer table: a signer's entry is due when its index is first met.
fn encode_signers(out: &mut Vec<u8>, records_start: usize, verdicts: &[Verdict]) {
    let mut due = 0;
    for (nth, verdict) in verdicts.iter().enumerate() {
        let Verdict::Valid(Trusted { signer, .. }) = verdict else {
            continue;
        };
        if u16_at(out, records_start + nth * RECORD_BYTES + 4) != Some(due) {
            continue;
        }
        due += 1;
        let kid = signer.kid.as_deref();
        let parts = [&*signer.issuer, &*signer.tenant, signer.alg];
        for part in parts {
            out.extend_from_slice(&length_of(part).to_le_bytes());
        }
        out.extend_from_slice(&kid.map_or(NONE, length_of).to_le_bytes());
        for part in parts.into_iter().chain(kid) {
            out.extend_from_slice(&part.as_bytes()[..usize::from(length_of(part))]);
        }
    }
}

/// Names come from the configuration and from key sets, whose limits lie far below a u16's. A longer one
/// is cut rather than let its length lie.
fn length_of(name: &str) -> u16 {
    u16::try_from(name.len()).unwrap_or(NONE - 1).min(NONE - 1)
}

/// Appends the claims of valid tokens and the details of refusals, and notes their lengths.
fn encode_texts(out: &mut Vec<u8>, records_start: usize, verdicts: &[Verdict]) {
    for (nth, verdict) in verdicts.iter().enumerate() {
        let start = out.len();
        match verdict {
            Verdict::Valid(trusted) => {
                out.extend_from_slice(trusted.claims.as_bytes().unwrap_or_default());
            }
            Verdict::Invalid(refusal) => {
                write!(out, "{refusal}").expect("writing to a Vec cannot fail");
            }
            Verdict::Unavailable(_) => {}
        }
        let text_bytes = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
        let at = records_start + nth * RECORD_BYTES + RECORD_TEXT_BYTES_AT;
        out[at..at + 4].copy_from_slice(&text_bytes.to_le_bytes());
    }
}

/// A decoded VERDICTS frame, borrowed.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug)]
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
        /// The claims as JSON text, if asked for.
        claims: Option<Box<[u8]>>,
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

/// The first signer of a table as its four parts, and the rest.
fn split_signer(table: &[u8]) -> Option<([Option<&[u8]>; 4], &[u8])> {
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
    fn new(parts: [Option<&[u8]>; 4]) -> Result<Self, BadBytes> {
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
                    claims: flag(FLAG_CLAIMS).then(|| self.text.into()),
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
                claims: trusted.claims.as_bytes().map(Into::into),
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
