//! ERROR frames: what the daemon will not do, and whether the connection survives it.
#![forbid(unsafe_code)]

use super::bytes::u32_at;
use super::frame::{begin_frame, end_frame};
use super::{BadBytes, FrameKind, HEAD_BYTES, Head};

/// Bytes of an ERROR frame before its text.
const FIXED_BYTES: usize = HEAD_BYTES + 4;

/// Codes from here on concern one request; those below end the connection.
const REQUEST_CODES_FROM: u16 = 32;

/// Bit of the head's flags: the daemon closes the connection after this frame.
const FLAG_CLOSES: u8 = 1;

/// What went wrong: a closed set. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
#[allow(
    missing_docs,
    reason = "name and text say it; docs/protocol.md has the table"
)]
pub enum FaultCode {
    BadHello = 1,
    UnsupportedVersion = 2,
    FrameTooLarge = 3,
    UnknownFrameType = 4,
    BadFrame = 5,
    PeerRefused = 6,
    TooManyConnections = 7,
    TooSlow = 8,
    TooManyInFlight = 32,
    TooManyTokens = 33,
    UnknownPolicy = 34,
    PolicyForbidden = 35,
    UnsupportedFeature = 36,
    UnknownExtension = 37,
    AnswerTooLarge = 38,
    GoingAway = 39,
}

/// A fault of the peer's, as the daemon reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .code.text())]
pub struct Fault {
    /// What went wrong.
    pub code: FaultCode,
    /// The request concerned; 0 for the connection.
    pub request_id: u64,
}

/// An ERROR frame as a client reads it. A later daemon may know codes that this code does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FaultReport {
    /// The number of the [`FaultCode`].
    pub code: u16,
    /// The request concerned; 0 for the connection.
    pub request_id: u64,
    /// Whether the daemon closes the connection.
    pub closes: bool,
    /// When trying again may help, in milliseconds; 0 for not without a change.
    pub retry_after_ms: u32,
    /// One line for a log.
    pub text: String,
}

impl FaultCode {
    /// Every code, in wire order.
    pub const ALL: [Self; 16] = [
        Self::BadHello,
        Self::UnsupportedVersion,
        Self::FrameTooLarge,
        Self::UnknownFrameType,
        Self::BadFrame,
        Self::PeerRefused,
        Self::TooManyConnections,
        Self::TooSlow,
        Self::TooManyInFlight,
        Self::TooManyTokens,
        Self::UnknownPolicy,
        Self::PolicyForbidden,
        Self::UnsupportedFeature,
        Self::UnknownExtension,
        Self::AnswerTooLarge,
        Self::GoingAway,
    ];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadHello => "bad_hello",
            Self::UnsupportedVersion => "unsupported_version",
            Self::FrameTooLarge => "frame_too_large",
            Self::UnknownFrameType => "unknown_frame_type",
            Self::BadFrame => "bad_frame",
            Self::PeerRefused => "peer_refused",
            Self::TooManyConnections => "too_many_connections",
            Self::TooSlow => "too_slow",
            Self::TooManyInFlight => "too_many_in_flight",
            Self::TooManyTokens => "too_many_tokens",
            Self::UnknownPolicy => "unknown_policy",
            Self::PolicyForbidden => "policy_forbidden",
            Self::UnsupportedFeature => "unsupported_feature",
            Self::UnknownExtension => "unknown_extension",
            Self::AnswerTooLarge => "answer_too_large",
            Self::GoingAway => "going_away",
        }
    }

    /// One line for a client's log.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::BadHello => "the connection does not open with a hello",
            Self::UnsupportedVersion => "the hello's version is not spoken here",
            Self::FrameTooLarge => "the frame is longer than the hello allows",
            Self::UnknownFrameType => "the frame's type is not one a client may send",
            Self::BadFrame => "the frame's lengths or reserved bits contradict docs/protocol.md",
            Self::PeerRefused => "this user may not connect",
            Self::TooManyConnections => "too many connections",
            Self::TooSlow => "the peer took too long to send a frame or to take an answer",
            Self::TooManyInFlight => "more requests in flight than the hello gave credits for",
            Self::TooManyTokens => "more tokens in the frame than the hello allows",
            Self::UnknownPolicy => "no request policy has this name",
            Self::PolicyForbidden => "this peer may not use this request policy",
            Self::UnsupportedFeature => "the request needs a feature the hello did not grant",
            Self::UnknownExtension => "a critical extension is not understood",
            Self::AnswerTooLarge => "the answer is longer than the client's hello allows",
            Self::GoingAway => "the daemon is going down and did not take this request",
        }
    }

    /// Whether the daemon closes the connection after reporting this.
    #[must_use]
    pub const fn closes(self) -> bool {
        (self as u16) < REQUEST_CODES_FROM
    }

    /// When trying again may help, in milliseconds; 0 for not without a change.
    #[must_use]
    pub const fn retry_after_ms(self) -> u32 {
        match self {
            Self::TooManyConnections | Self::GoingAway => 100,
            Self::TooManyInFlight => 1,
            _ => 0,
        }
    }

    /// The code with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u16 == number)
    }
}

impl Fault {
    /// A fault that ends the connection.
    #[must_use]
    pub const fn of_connection(code: FaultCode) -> Self {
        Self {
            code,
            request_id: 0,
        }
    }

    /// A fault of one request; where the code says so, it ends the connection too.
    #[must_use]
    pub const fn of_request(code: FaultCode, request_id: u64) -> Self {
        Self { code, request_id }
    }

    /// Appends the ERROR frame. The client's frame limit does not apply: the texts are short and fixed.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin_frame(out, FrameKind::Error, self.code as u16, self.request_id);
        if self.code.closes() {
            out[start + 5] = FLAG_CLOSES;
        }
        out.extend_from_slice(&self.code.retry_after_ms().to_le_bytes());
        out.extend_from_slice(self.code.text().as_bytes());
        let _ = end_frame(out, start, usize::MAX);
    }
}

impl FaultReport {
    /// Reads an ERROR frame.
    ///
    /// # Errors
    /// [`BadBytes`] for anything else.
    pub fn decode(frame: &[u8]) -> Result<Self, BadBytes> {
        let too_short = BadBytes("an ERROR frame has a head, a delay and a text");
        let head = Head::decode(frame).ok_or(too_short)?;
        if head.kind != FrameKind::Error as u8 || head.flags & !FLAG_CLOSES != 0 {
            return Err(BadBytes("not an ERROR frame"));
        }
        let text = frame.get(FIXED_BYTES..).ok_or(too_short)?;
        Ok(Self {
            code: head.count,
            request_id: head.request_id,
            closes: head.flags & FLAG_CLOSES != 0,
            retry_after_ms: u32_at(frame, HEAD_BYTES).ok_or(too_short)?,
            text: String::from_utf8_lossy(text).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_crosses_the_wire() {
        for code in FaultCode::ALL {
            let mut frame = Vec::new();
            Fault::of_request(code, 9).encode(&mut frame);
            let report = FaultReport::decode(&frame).expect("our own frame");
            assert_eq!(FaultCode::from_number(report.code), Some(code));
            assert_eq!((report.request_id, report.closes), (9, code.closes()));
            assert_eq!(report.text, code.text());
            assert!(frame.len() <= 128, "small enough for any client: {code:?}");
        }
        assert_eq!(FaultCode::from_number(0), None);
    }

    #[test]
    fn the_list_is_in_wire_order_and_complete() {
        assert!(FaultCode::ALL.is_sorted_by_key(|code| *code as u16));
        let named = (0..=u16::MAX).filter_map(FaultCode::from_number).count();
        assert_eq!(named, FaultCode::ALL.len());
    }
}
