//! The echo of the binary protocol: jotd's own loop with the daemon left out. It reads what has arrived,
//! cuts frames, appends an answer for each, and writes them together.
#![forbid(unsafe_code)]

use bytes::BytesMut;
use jotd::limits::{FRAME_BYTES_MAX, FRAME_TOKENS_MAX};
use jotd::transport::wire::{
    FrameKind, Framing, Hello, Standing, VERSION, encode_verdicts, next_frame,
};
use jotd::verdict::{ClaimsJson, Signer, Trusted, Verdict};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// Most that is read at once, as in jotd.
const READ_BYTES: usize = 256 * 1024;

/// Frames that a connection may have in flight, as jotd grants by default.
const CREDITS: u32 = 128;

/// Where the request id stands in every frame (`docs/protocol.md`).
const REQUEST_ID: std::ops::Range<usize> = 8..16;

/// What each frame is answered with.
#[derive(Clone)]
pub(super) enum Answer {
    /// This frame, under the request's id.
    Fixed(Vec<u8>),
    /// As many verdicts as the frame has tokens.
    Valid(Verdict),
    /// The frame itself.
    Full,
}

impl Answer {
    /// Verdicts of a token that was trusted.
    pub(super) fn valid() -> Self {
        Self::Valid(valid_verdict())
    }

    /// Answers every whole frame of the input, and makes room for what is missing of the next.
    fn write_all(&self, input: &mut BytesMut, out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            match next_frame(input, FRAME_BYTES_MAX).map_err(io::Error::other)? {
                Framing::Incomplete(bytes) => {
                    input.reserve(bytes.saturating_sub(input.len()).max(READ_BYTES));
                    return Ok(());
                }
                Framing::Complete(head, bytes) => {
                    let frame = input.split_to(bytes);
                    if head.kind == FrameKind::Verify as u8 {
                        self.write(&frame, head.count, head.request_id, out);
                    }
                }
            }
        }
    }

    fn write(&self, frame: &[u8], tokens: u16, request_id: u64, out: &mut Vec<u8>) {
        let start = out.len();
        match self {
            Self::Fixed(reply) => out.extend_from_slice(reply),
            Self::Full => out.extend_from_slice(frame),
            Self::Valid(verdict) => {
                let verdicts = vec![verdict.clone(); usize::from(tokens)];
                let standing = Standing::default();
                let written =
                    encode_verdicts(out, request_id, &verdicts, standing, FRAME_BYTES_MAX);
                debug_assert!(written.is_ok(), "verdicts without claims always fit");
            }
        }
        if let Some(id) = out
            .get_mut(start..)
            .and_then(|reply| reply.get_mut(REQUEST_ID))
        {
            id.copy_from_slice(&request_id.to_le_bytes());
        }
    }
}

/// The verdict that an echo gives when it was not told which.
pub(super) fn valid_verdict() -> Verdict {
    Verdict::Valid(Trusted {
        signer: Arc::new(Signer {
            issuer: "echo".into(),
            tenant: "default".into(),
            alg: "ES256",
            kid: Some("echo".into()),
        }),
        claims: ClaimsJson::default(),
        expires_at: Some(4_102_444_800),
        expires_in: Some(3_600),
        cached: true,
        revocation: jotd::verdict::Freshness::default(),
    })
}

/// Serves a socket until it is killed.
pub(super) async fn serve(path: &Path, answer: Answer) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = answer.clone();
        // A client that goes away ends its connection; the echo has nobody to tell.
        tokio::spawn(async move { answer_frames(stream, answer).await });
    }
}

async fn answer_frames(mut stream: UnixStream, answer: Answer) -> io::Result<()> {
    let mut input = BytesMut::with_capacity(READ_BYTES);
    let mut output = Vec::new();
    let wished = loop {
        match Hello::decode(&input).map_err(io::Error::other)? {
            Some((wished, bytes)) => {
                let _ = input.split_to(bytes);
                break wished;
            }
            None if stream.read_buf(&mut input).await? == 0 => return Ok(()),
            None => {}
        }
    };
    own_hello().agree(wished).encode(&mut output);
    loop {
        answer.write_all(&mut input, &mut output)?;
        if !output.is_empty() {
            stream.write_all(&output).await?;
            output.clear();
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

fn own_hello() -> Hello {
    Hello {
        version: VERSION,
        frame_bytes_max: u32::try_from(FRAME_BYTES_MAX).unwrap_or(u32::MAX),
        frame_tokens_max: u32::try_from(FRAME_TOKENS_MAX).unwrap_or(u32::MAX),
        credits: CREDITS,
        features: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jotd::transport::wire::Verdicts;

    #[test]
    fn answers_carry_the_request_s_id() {
        let mut answers = Vec::new();
        Answer::valid().write(b"", 3, 7, &mut answers);
        let verdicts = Verdicts::decode(&answers).expect("a frame of the library's");
        assert_eq!((verdicts.request_id, verdicts.len()), (7, 3));
        assert!(verdicts.iter().all(|verdict| verdict.is_valid()));

        let mut fixed = b"before".to_vec();
        Answer::Fixed(answers.clone()).write(b"", 9, 8, &mut fixed);
        let verdicts = Verdicts::decode(&fixed[6..]).expect("a frame of the library's");
        assert_eq!((verdicts.request_id, verdicts.len()), (8, 3));

        let mut full = Vec::new();
        Answer::Full.write(&answers, 3, 9, &mut full);
        assert_eq!(full.len(), answers.len());
        assert_eq!(full[REQUEST_ID], 9_u64.to_le_bytes());
    }
}
