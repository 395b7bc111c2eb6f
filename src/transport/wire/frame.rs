//! The head that every frame begins with, and cutting a stream into frames.
#![forbid(unsafe_code)]

use super::bytes::{u16_at, u32_at, u64_at};
use super::{Fault, FaultCode};

/// Bytes of a frame's head, the length prefix included.
pub const HEAD_BYTES: usize = 16;

/// Bytes of the length prefix, which does not count itself.
const PREFIX_BYTES: usize = 4;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A client asks about tokens.
    Verify = 0x01,
    /// A client asks whether the daemon is there.
    Ping = 0x02,
    /// The daemon's verdicts.
    Verdicts = 0x81,
    /// The daemon is there.
    Pong = 0x82,
    /// The daemon will not answer a request, or this connection.
    Error = 0x83,
    /// The daemon is going down: it answers what it took, and takes nothing more.
    Goaway = 0x84,
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes that follow the length prefix.
    pub length: u32,
    /// What the frame is: a [`FrameKind`], or a number that this version does not know.
    pub kind: u8,
    /// Zero in this version.
    pub flags: u8,
    /// Tokens, verdicts, or an error's code.
    pub count: u16,
    /// The client's own number for the request; the daemon only echoes it.
    pub request_id: u64,
}

/// What stands at the front of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The beginning of a frame that needs this many bytes in all before it can be read on.
    Incomplete(usize),
    /// A whole frame of this many bytes, its prefix included.
    Complete(Head, usize),
}

/// Looks for a whole frame at the front of `stream`.
///
/// # Errors
/// [`FaultCode::FrameTooLarge`] as soon as the prefix is read, [`FaultCode::BadFrame`] for one too short
/// for a head. The stream cannot be read any further after either.
pub fn next_frame(stream: &[u8], frame_bytes_max: usize) -> Result<Framing, Fault> {
    let Some(length) = u32_at(stream, 0) else {
        return Ok(Framing::Incomplete(HEAD_BYTES));
    };
    let length = length as usize;
    if length > frame_bytes_max {
        return Err(Fault::of_connection(FaultCode::FrameTooLarge));
    }
    if length < HEAD_BYTES - PREFIX_BYTES {
        return Err(Fault::of_connection(FaultCode::BadFrame));
    }
    let frame_bytes = PREFIX_BYTES + length;
    if stream.len() < frame_bytes {
        return Ok(Framing::Incomplete(frame_bytes));
    }
    let head = Head::decode(stream).ok_or(Fault::of_connection(FaultCode::BadFrame))?;
    Ok(Framing::Complete(head, frame_bytes))
}

impl FrameKind {
    /// The kind with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        use FrameKind::{Error, Goaway, Ping, Pong, Verdicts, Verify};
        let all = [Verify, Ping, Verdicts, Pong, Error, Goaway];
        all.into_iter().find(|kind| *kind as u8 == code)
    }
}

impl Head {
    /// Reads the head at the front of a frame.
    #[must_use]
    pub fn decode(frame: &[u8]) -> Option<Self> {
        let head: &[u8; HEAD_BYTES] = frame.first_chunk()?;
        Some(Self {
            length: u32_at(head, 0)?,
            kind: head[4],
            flags: head[5],
            count: u16_at(head, 6)?,
            request_id: u64_at(head, 8)?,
        })
    }
}

/// Appends a head whose length [`end_frame`] fills in, and returns where the frame begins.
pub(super) fn begin_frame(
    out: &mut Vec<u8>,
    kind: FrameKind,
    count: u16,
    request_id: u64,
) -> usize {
    let start = out.len();
    let mut head = [0; HEAD_BYTES];
    head[4] = kind as u8;
    head[6..8].copy_from_slice(&count.to_le_bytes());
    head[8..].copy_from_slice(&request_id.to_le_bytes());
    out.extend_from_slice(&head);
    start
}

/// Writes the length of the frame that began at `start` and ends at the end of `out`, and returns it;
/// `None`, with `out` as it was before the frame, when it is longer than `frame_bytes_max`.
pub(super) fn end_frame(out: &mut Vec<u8>, start: usize, frame_bytes_max: usize) -> Option<usize> {
    let frame_bytes = out.len() - start;
    let length = frame_bytes - PREFIX_BYTES;
    match u32::try_from(length) {
        Ok(prefix) if length <= frame_bytes_max => {
            out[start..start + PREFIX_BYTES].copy_from_slice(&prefix.to_le_bytes());
            Some(frame_bytes)
        }
        _ => {
            out.truncate(start);
            None
        }
    }
}

/// Appends a frame that is a head and nothing more: PING, PONG, GOAWAY.
pub fn encode_bare(out: &mut Vec<u8>, kind: FrameKind, request_id: u64) {
    let start = begin_frame(out, kind, 0, request_id);
    let _ = end_frame(out, start, HEAD_BYTES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_seen_whole_or_not_at_all() {
        let mut ping = Vec::new();
        encode_bare(&mut ping, FrameKind::Ping, 7);
        for end in 0..ping.len() {
            let framing = next_frame(&ping[..end], 1024).expect("nothing is wrong yet");
            assert!(matches!(framing, Framing::Incomplete(16)), "{end}");
        }
        ping.push(0xff);
        let Ok(Framing::Complete(head, 16)) = next_frame(&ping, 1024) else {
            panic!("a whole frame");
        };
        assert_eq!((head.kind, head.request_id), (FrameKind::Ping as u8, 7));
    }

    #[test]
    fn a_prefix_out_of_bounds_is_refused_before_anything_follows() {
        let code = |prefix: u32| {
            next_frame(&prefix.to_le_bytes(), 1024)
                .expect_err("out of bounds")
                .code
        };
        assert_eq!(code(1025), FaultCode::FrameTooLarge);
        assert_eq!(code(u32::MAX), FaultCode::FrameTooLarge);
        assert_eq!(code(11), FaultCode::BadFrame);
        assert_eq!(code(0), FaultCode::BadFrame);
    }
}
