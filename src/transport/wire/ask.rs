//! VERIFY frames: tokens, and under which terms.
//!
//! ```text
//!  0 head, 16 bytes: count is the number of tokens
//! 16 u32 deadline_ms   20 u8 want   21 u8 zero   22 u16 extension bytes
//! 24 u64 min_revision
//! 32 u32 token length, one a token; then the extensions; then the tokens, back to back
//! ```
#![forbid(unsafe_code)]

use super::bytes::{u16_at, u32_at, u64_at};
use super::frame::{begin_frame, end_frame};
use super::{Fault, FaultCode, FrameKind, HEAD_BYTES, Head};
use crate::limits::{JSON_MEMBERS_MAX, JSON_NAME_BYTES_MAX};
use crate::verify::Want;
use bytes::Bytes;
use std::fmt;

/// Bytes of a VERIFY frame before its token lengths.
const FIXED_BYTES: usize = HEAD_BYTES + 16;

/// An extension's type and length.
const EXTENSION_HEAD_BYTES: usize = 4;

/// Bit of an extension's type: whoever does not understand it must not answer.
const EXTENSION_CRITICAL: u16 = 0x8000;

const EXTENSION_POLICY: u16 = 1 | EXTENSION_CRITICAL;
const EXTENSION_MEMBER: u16 = 2 | EXTENSION_CRITICAL;
const EXTENSION_TRACEPARENT: u16 = 3;

const WANT_VERDICT: u8 = 0;
const WANT_CLAIMS: u8 = 1;
const WANT_MEMBERS: u8 = 2;

/// The terms of a VERIFY frame: everything but its tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The client's own number for the request.
    pub request_id: u64,
    /// How long the client waits, in milliseconds from the frame's arrival; 0 for the daemon's default.
    pub deadline_ms: u32,
    /// The claims wanted.
    pub want: Want,
    /// The request policy; `None` for the peer's own.
    pub policy: Option<&'a str>,
    /// The revocation revision the answer must know; 0 for none.
    pub min_revision: u64,
    /// The `traceparent` of W3C Trace Context.
    pub traceparent: Option<&'a str>,
}

/// The tokens of a decoded VERIFY frame, borrowed from it.
#[derive(Clone, Copy)]
pub struct Tokens<'a> {
    lengths: &'a [u8],
    bytes: &'a [u8],
    /// Where `bytes` begins in the frame.
    start: usize,
}

/// What was to be sent does not fit the protocol's fields or the daemon's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too long for a frame: {0}")]
pub struct TooLong(pub &'static str);

impl<'a> Ask<'a> {
    /// Appends a VERIFY frame.
    ///
    /// # Errors
    /// [`TooLong`], with `out` as it was.
    pub fn encode<T: AsRef<[u8]>>(
        &self,
        tokens: &[T],
        frame_bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let count = u16::try_from(tokens.len()).map_err(|_| TooLong("number of tokens"))?;
        let start = begin_frame(out, FrameKind::Verify, count, self.request_id);
        let body = self.encode_body(tokens, start, out);
        if body.is_err() {
            out.truncate(start);
        }
        body?;
        end_frame(out, start, frame_bytes_max).ok_or(TooLong("the frame"))?;
        Ok(())
    }

    fn encode_body<T: AsRef<[u8]>>(
        &self,
        tokens: &[T],
        start: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let want = match &self.want {
            Want::Verdict => WANT_VERDICT,
            Want::Claims => WANT_CLAIMS,
            Want::Members(_) => WANT_MEMBERS,
        };
        out.extend_from_slice(&self.deadline_ms.to_le_bytes());
        out.extend_from_slice(&[want, 0, 0, 0]);
        out.extend_from_slice(&self.min_revision.to_le_bytes());
        for token in tokens {
            let length = token.as_ref().len();
            let length = u32::try_from(length).map_err(|_| TooLong("a token"))?;
            out.extend_from_slice(&length.to_le_bytes());
        }
        let extensions_start = out.len();
        if let Some(policy) = self.policy {
            encode_extension(out, EXTENSION_POLICY, policy)?;
        }
        if let Want::Members(members) = &self.want {
            for member in members {
                encode_extension(out, EXTENSION_MEMBER, member)?;
            }
        }
        if let Some(traceparent) = self.traceparent {
            encode_extension(out, EXTENSION_TRACEPARENT, traceparent)?;
        }
        let extension_bytes = u16::try_from(out.len() - extensions_start)
            .map_err(|_| TooLong("policy, members and traceparent"))?;
        out[start + 22..start + 24].copy_from_slice(&extension_bytes.to_le_bytes());
        for token in tokens {
            out.extend_from_slice(token.as_ref());
        }
        Ok(())
    }

    /// Reads a whole VERIFY frame, as [`super::next_frame`] cuts it.
    ///
    /// # Errors
    /// A [`Fault`] with the request's id; whether it ends the connection is for its code to say.
    #[inline]
    pub fn decode(
        head: Head,
        frame: &'a [u8],
        frame_tokens_max: usize,
    ) -> Result<(Self, Tokens<'a>), Fault> {
        let fault = |code| Fault::of_request(code, head.request_id);
        let bad = || fault(FaultCode::BadFrame);
        let fixed: &[u8; FIXED_BYTES] = frame.first_chunk().ok_or_else(bad)?;
        let token_count = usize::from(head.count);
        let extension_bytes = usize::from(u16_at(fixed, 22).ok_or_else(bad)?);
        if head.flags != 0 || fixed[21] != 0 {
            return Err(bad());
        }
        let (lengths, rest) = frame
            .get(FIXED_BYTES..)
            .and_then(|rest| rest.split_at_checked(token_count * 4))
            .ok_or_else(bad)?;
        let (extensions, bytes) = rest.split_at_checked(extension_bytes).ok_or_else(bad)?;
        let tokens = Tokens {
            lengths,
            bytes,
            start: frame.len() - bytes.len(),
        };
        // The lengths are read once here; afterwards every slice taken by them is inside the frame.
        if tokens.lengths().sum::<u64>() != bytes.len() as u64 {
            return Err(bad());
        }
        let mut ask = Self {
            request_id: head.request_id,
            deadline_ms: u32_at(fixed, 16).ok_or_else(bad)?,
            min_revision: u64_at(fixed, 24).ok_or_else(bad)?,
            ..Self::default()
        };
        ask.decode_want(fixed[20], extensions).map_err(fault)?;
        // Last, so that a frame that contradicts itself is never taken for one that is merely too long.
        if token_count > frame_tokens_max {
            return Err(fault(FaultCode::TooManyTokens));
        }
        Ok((ask, tokens))
    }

    fn decode_want(&mut self, want: u8, extensions: &'a [u8]) -> Result<(), FaultCode> {
        let mut members = Vec::new();
        if !extensions.is_empty() {
            self.decode_extensions(extensions, &mut members)?;
        }
        self.want = match (want, members.is_empty()) {
            (WANT_VERDICT, true) => Want::Verdict,
            (WANT_CLAIMS, true) => Want::Claims,
            (WANT_MEMBERS, _) => Want::Members(members.into_boxed_slice()),
            _ => return Err(FaultCode::BadFrame),
        };
        Ok(())
    }

    fn decode_extensions(
        &mut self,
        mut extensions: &'a [u8],
        members: &mut Vec<Box<str>>,
    ) -> Result<(), FaultCode> {
        while !extensions.is_empty() {
            let kind = u16_at(extensions, 0).ok_or(FaultCode::BadFrame)?;
            let length = usize::from(u16_at(extensions, 2).ok_or(FaultCode::BadFrame)?);
            let (value, rest) = extensions
                .get(EXTENSION_HEAD_BYTES..)
                .and_then(|rest| rest.split_at_checked(length))
                .ok_or(FaultCode::BadFrame)?;
            extensions = rest;
            let text = || std::str::from_utf8(value).map_err(|_| FaultCode::BadFrame);
            match kind {
                EXTENSION_POLICY if self.policy.is_none() => self.policy = Some(text()?),
                EXTENSION_TRACEPARENT if self.traceparent.is_none() => {
                    self.traceparent = Some(text()?);
                }
                EXTENSION_MEMBER
                    if members.len() < JSON_MEMBERS_MAX && length <= JSON_NAME_BYTES_MAX =>
                {
                    members.push(text()?.into());
                }
                EXTENSION_POLICY | EXTENSION_TRACEPARENT | EXTENSION_MEMBER => {
                    return Err(FaultCode::BadFrame);
                }
                unknown if unknown & EXTENSION_CRITICAL != 0 => {
                    return Err(FaultCode::UnknownExtension);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn encode_extension(out: &mut Vec<u8>, kind: u16, value: &str) -> Result<(), TooLong> {
    let length = u16::try_from(value.len()).map_err(|_| TooLong("an extension"))?;
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

impl<'a> Tokens<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lengths.len() / 4
    }

    /// Whether there are none, which is legal: the answer has no verdicts then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Each token's bytes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        self.ranges(0)
            .map(move |range| bytes.get(range).unwrap_or_default())
    }

    /// Each token as a view into `frame`, which must be the frame they were decoded from.
    #[must_use]
    pub fn slices_of(&self, frame: &Bytes) -> Vec<Bytes> {
        self.ranges(self.start)
            .map(|range| frame.slice(range))
            .collect()
    }

    fn ranges(
        &self,
        start: usize,
    ) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + use<'a> {
        let mut at = start;
        self.lengths.as_chunks().0.iter().map(move |length| {
            let start = at;
            at += u32::from_le_bytes(*length) as usize;
            start..at
        })
    }

    fn lengths(&self) -> impl Iterator<Item = u64> + use<'a> {
        let lengths = self.lengths.as_chunks().0.iter();
        lengths.map(|length| u64::from(u32::from_le_bytes(*length)))
    }
}

/// Tokens are secrets: their number is all that is printed.
impl fmt::Debug for Tokens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame_of(ask: &Ask<'_>, tokens: &[&str]) -> Vec<u8> {
        let mut frame = Vec::new();
        ask.encode(tokens, 1 << 20, &mut frame)
            .expect("it is short");
        frame
    }

    fn decode(frame: &[u8]) -> Result<(Ask<'_>, Tokens<'_>), Fault> {
        let head = Head::decode(frame).expect("a head");
        Ask::decode(head, frame, 4)
    }

    fn full() -> Ask<'static> {
        Ask {
            request_id: 77,
            deadline_ms: 250,
            want: Want::Members(["sub".into(), "scope".into()].into()),
            policy: Some("payments"),
            min_revision: 5,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        }
    }

    #[test]
    fn what_was_asked_arrives() {
        let tokens = ["a.b.c", "", "d.e.f"];
        for ask in [Ask::default(), full()] {
            let frame = frame_of(&ask, &tokens);
            let (decoded, views) = decode(&frame).expect("our own frame");
            assert_eq!(decoded, ask);
            let views: Vec<_> = views.iter().collect();
            assert_eq!(views, tokens.map(str::as_bytes));
        }
    }

    #[test]
    fn tokens_are_views_and_not_copies() {
        let frame = Bytes::from(frame_of(&full(), &["a.b.c", "d.e.f"]));
        let (_, tokens) = decode(&frame).expect("our own frame");
        let slices = tokens.slices_of(&frame);
        assert_eq!(slices, [&b"a.b.c"[..], b"d.e.f"]);
        let inside = frame.as_ptr_range();
        assert!(slices.iter().all(|slice| inside.contains(&slice.as_ptr())));
    }

    /// Checks V-40.
    #[test]
    fn a_decoded_frame_prints_no_token() {
        let frame = frame_of(&full(), &["secret.secret.secret"]);
        let printed = format!("{:?}", decode(&frame).expect("our own frame"));
        assert!(printed.contains("Tokens(1)"), "{printed}");
        assert!(!printed.contains("secret"), "{printed}");
        assert!(!printed.contains(&format!("{:?}", b"secret")), "{printed}");
    }

    #[test]
    fn every_length_that_lies_is_refused() {
        let frame = frame_of(&full(), &["a.b.c", "d.e.f"]);
        // Token count, extension bytes, and both token lengths, each one more and one less.
        for at in [6, 22, 32, 36] {
            for change in [1u8, 0xff] {
                let mut wrong = frame.clone();
                wrong[at] = wrong[at].wrapping_add(change);
                let code = decode(&wrong).expect_err("a lie").code;
                let expected = [FaultCode::BadFrame, FaultCode::UnknownExtension];
                assert!(expected.contains(&code), "{at} {change} {code:?}");
            }
        }
        for end in HEAD_BYTES..frame.len() {
            let code = decode(&frame[..end]).expect_err("cut short").code;
            assert_eq!(code, FaultCode::BadFrame, "{end}");
        }
    }

    #[test]
    fn too_many_tokens_end_the_request_and_not_the_connection() {
        let frame = frame_of(&Ask::default(), &["a"; 5]);
        let fault = decode(&frame).expect_err("five where four are allowed");
        assert_eq!(fault.code, FaultCode::TooManyTokens);
        assert!(!fault.code.closes());
    }

    #[test]
    fn an_unknown_extension_is_ignored_unless_it_is_critical() {
        let with = |kind: u16| {
            let mut frame = frame_of(&Ask::default(), &[]);
            encode_extension(&mut frame, kind, "?").expect("short");
            frame[22] = 5;
            frame[0] += 5;
            decode(&frame).map(|_| ()).map_err(|fault| fault.code)
        };
        assert_eq!(with(0x0100), Ok(()));
        assert_eq!(with(0x8100), Err(FaultCode::UnknownExtension));
        assert_eq!(
            with(EXTENSION_MEMBER),
            Err(FaultCode::BadFrame),
            "a member where none was announced"
        );
    }

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let mut out = b"before".to_vec();
        let ask = Ask::default();
        assert!(ask.encode(&["a"; 70_000], 1 << 20, &mut out).is_err());
        assert!(ask.encode(&["a".repeat(100)], 64, &mut out).is_err());
        let long = "p".repeat(70_000);
        let ask = Ask {
            policy: Some(&long),
            ..Ask::default()
        };
        assert!(ask.encode(&["a"], 1 << 20, &mut out).is_err());
        assert_eq!(out, b"before");
    }
}
