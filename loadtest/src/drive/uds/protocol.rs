//! What this driver says and reads of the binary protocol, and no more.
#![forbid(unsafe_code)]

use super::super::{DriveError, Job, PATIENCE};
use crate::answer::Answer;
use crate::corpus::Corpus;
use crate::options::{Endpoint, Wanted};
use jotd::transport::wire::{Ask, FaultReport, FrameKind, HEAD_BYTES, Head, Hello, VerdictRecord};
use jotd::verify::Want;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Connects and agrees on the protocol.
pub(super) fn connect(job: &Job<'_>) -> Result<UnixStream, DriveError> {
    let Endpoint::Unix(path) = job.endpoint else {
        return Err(DriveError::new(
            "connecting",
            "the binary protocol needs a Unix socket",
        ));
    };
    let mut stream = UnixStream::connect(path).map_err(DriveError::of("connecting"))?;
    let greet = |error: std::io::Error| DriveError::of("the hello")(error);
    stream.set_read_timeout(Some(PATIENCE)).map_err(greet)?;
    let mut hello = Vec::new();
    Hello::CLIENT.encode(&mut hello);
    stream.write_all(&hello).map_err(greet)?;
    let mut answer = vec![0; hello.len()];
    stream.read_exact(&mut answer).map_err(greet)?;
    let agreed = match Hello::decode(&answer) {
        Ok(Some((agreed, _))) => agreed,
        _ => return Err(DriveError::new("the hello", "the server refused it")),
    };
    if (agreed.credits as usize) < job.in_flight {
        let credits = agreed.credits;
        let cause = format!("the server grants {credits} frames in flight on a connection");
        return Err(DriveError::new("the hello", cause));
    }
    if (agreed.frame_tokens_max as usize) < job.frame_tokens {
        let tokens = agreed.frame_tokens_max;
        let cause = format!("the server takes {tokens} tokens in a frame");
        return Err(DriveError::new("the hello", cause));
    }
    stream.set_nonblocking(true).map_err(greet)?;
    Ok(stream)
}

/// Asks about one frame and waits for its answer, which comes back as it was sent.
pub(super) fn exchange(
    mut stream: &UnixStream,
    corpus: &Corpus,
    template: &[u8],
    frame: &[u32],
) -> Result<Vec<u8>, DriveError> {
    let tokens = || frame.iter().map(|&token| corpus.token(token));
    let mut question = Vec::new();
    write_head(&mut question, template, 1, tokens());
    tokens().for_each(|token| question.extend_from_slice(token));
    stream
        .write_all(&question)
        .map_err(DriveError::of("sending"))?;
    let reading = DriveError::of::<std::io::Error>;
    let mut answer = vec![0; HEAD_BYTES];
    stream.read_exact(&mut answer).map_err(reading("reading"))?;
    let head = Head::decode(&answer).expect("a whole head was read");
    let rest = (head.length as usize + 4).saturating_sub(HEAD_BYTES);
    // Whoever sends a gibibyte is not the server we asked.
    if rest > 1 << 30 {
        return Err(unexpected(head.kind, &answer));
    }
    answer.resize(HEAD_BYTES + rest, 0);
    stream
        .read_exact(&mut answer[HEAD_BYTES..])
        .map_err(reading("reading"))?;
    if head.kind == FrameKind::Verdicts as u8 {
        Ok(answer)
    } else {
        Err(unexpected(head.kind, &answer))
    }
}

/// What a verdict says, in as little as checking it needs.
pub(super) fn answer(record: VerdictRecord<'_>) -> Answer {
    if record.is_valid() {
        return Answer::Valid {
            cached: record.is_cached(),
        };
    }
    if record.is_unavailable() {
        return Answer::Unavailable;
    }
    record.reason().map_or(Answer::Unknown, Answer::Invalid)
}

/// A frame that is no answer.
pub(super) fn unexpected(kind: u8, frame: &[u8]) -> DriveError {
    match FaultReport::decode(frame) {
        Ok(report) => DriveError::new("asking", format!("the server says: {}", report.text)),
        Err(_) => DriveError::new(
            "asking",
            format!("the server sent a frame of type {kind:#x}"),
        ),
    }
}

/// A VERIFY frame of no tokens with this run's terms. The deadline is the longest there is: a load test
/// wants to see how late an answer is, not that it was given up.
pub(super) fn template(want: Wanted) -> Vec<u8> {
    let ask = Ask {
        deadline_ms: 60_000,
        want: match want {
            Wanted::Verdict => Want::Verdict,
            Wanted::Claims => Want::Claims,
        },
        ..Ask::default()
    };
    let mut frame = Vec::new();
    ask.encode::<&[u8]>(&[], usize::MAX, &mut frame)
        .expect("a frame of no tokens fits");
    frame
}

/// Writes everything of a VERIFY frame but its tokens, and says how long the frame is with them. The
/// places of length, count and request id, and the token lengths at the end, are those of
/// `docs/protocol.md`.
pub(super) fn write_head<'t>(
    head: &mut Vec<u8>,
    template: &[u8],
    request_id: u64,
    tokens: impl ExactSizeIterator<Item = &'t [u8]>,
) -> usize {
    head.clear();
    head.extend_from_slice(template);
    let count = u16::try_from(tokens.len()).expect("the command line bounds a frame's tokens");
    let mut token_bytes = 0;
    for token in tokens {
        token_bytes += token.len();
        let length = u32::try_from(token.len()).expect("tokens are far below 4 GiB");
        head.extend_from_slice(&length.to_le_bytes());
    }
    let frame_bytes = head.len() + token_bytes;
    let length = u32::try_from(frame_bytes - 4).expect("a frame is far below 4 GiB");
    head[0..4].copy_from_slice(&length.to_le_bytes());
    head[6..8].copy_from_slice(&count.to_le_bytes());
    head[8..HEAD_BYTES].copy_from_slice(&request_id.to_le_bytes());
    frame_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_and_the_corpus_make_the_frame_that_the_library_makes() {
        let tokens: [&[u8]; 3] = [b"a.b.c", b"", b"longer.than.that"];
        for (wanted, want) in [
            (Wanted::Verdict, Want::Verdict),
            (Wanted::Claims, Want::Claims),
        ] {
            let ask = Ask {
                request_id: 0x0102_0304_0506_0708,
                deadline_ms: 60_000,
                want,
                ..Ask::default()
            };
            let mut expected = Vec::new();
            ask.encode(&tokens, usize::MAX, &mut expected)
                .expect("three short tokens fit");
            let mut head = b"left from the last frame".to_vec();
            let id = ask.request_id;
            let bytes = write_head(&mut head, &template(wanted), id, tokens.into_iter());
            let frame = [head, tokens.concat()].concat();
            assert_eq!((bytes, &frame), (expected.len(), &expected));
        }
    }
}
