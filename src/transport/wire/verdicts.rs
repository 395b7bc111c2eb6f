//! Writing VERDICTS frames: one fixed record a token, then the signers they name, then texts.
//!
//! ```text
//!  0 head, 16 bytes: count is the number of records
//! 16 u64 applied_revision
//! 24 u32 staleness_ms   28 u16 signer count   30 u8 revocation state   31 u8 zero
//! 32 records, 32 bytes each; then the signer table; then the texts, in the records' order
//! ```
#![forbid(unsafe_code)]

use super::bytes::u16_at;
use super::frame::{begin_frame, end_frame};
use super::{Fault, FaultCode, FrameKind, HEAD_BYTES};
use crate::verdict::{Reason, Refusal, Signer, Trusted, Verdict};
use std::io::Write;
use std::sync::Arc;

/// Bytes of a VERDICTS frame before its records.
pub(super) const FIXED_BYTES: usize = HEAD_BYTES + 16;

/// Bytes of one record.
pub(super) const RECORD_BYTES: usize = 32;

/// Where a record keeps the length of its text.
pub(super) const RECORD_TEXT_BYTES_AT: usize = 8;

pub(super) const STATUS_VALID: u8 = 1;
pub(super) const STATUS_INVALID: u8 = 2;
pub(super) const STATUS_UNAVAILABLE: u8 = 3;

pub(super) const FLAG_CACHED: u8 = 1;
pub(super) const FLAG_MOMENT: u8 = 2;
pub(super) const FLAG_EXPIRES_IN: u8 = 4;
pub(super) const FLAG_CLAIMS: u8 = 8;

/// In place of a signer's index: the verdict has none. In place of a length: the key has no `kid`.
pub(super) const NONE: u16 = u16::MAX;

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
pub(super) fn moment_of(refusal: &Refusal) -> Option<i64> {
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
