//! One token a line, in bounded memory: the input is cut into chunks of whole lines, and a line that is
//! longer than any token may be is stepped over without being kept.

use jotd::limits::TOKEN_BYTES_MAX;
use std::io::{self, Read};
use std::ops::Range;

/// Most lines in one chunk: enough to fill batches, few enough that cores share the work evenly.
pub(super) const CHUNK_LINES_MAX: usize = 1024;

/// Read at once. The longest token with its line end fits several times.
const BUFFER_BYTES: usize = 256 * 1024;

/// The longest line that can hold a token, with its carriage return and without its line feed.
const LINE_BYTES_MAX: usize = TOKEN_BYTES_MAX + 1;

const _: () = assert!(
    BUFFER_BYTES > LINE_BYTES_MAX + 1,
    "a line that fits no buffer must be overlong"
);

/// A line of a [`Chunk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Where its text lies in the chunk, without its line end.
    Text(Range<usize>),
    /// It was longer than any token may be, and was not kept.
    Overlong,
}

/// Whole lines in the order of the input.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    text: Vec<u8>,
    lines: Vec<Line>,
    /// Bytes of input that this chunk stands for.
    pub(super) bytes_read: u64,
}

impl Chunk {
    /// A chunk of one token that was given whole: line breaks in it are part of it.
    pub(super) fn of_one(token: &[u8]) -> Self {
        let mut chunk = Self::default();
        chunk.push(token);
        chunk
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The text of a line that was kept.
    pub(super) fn text(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.bytes_read = 0;
    }

    fn push(&mut self, line: &[u8]) {
        if line.len() > TOKEN_BYTES_MAX {
            self.lines.push(Line::Overlong);
        } else {
            let start = self.text.len();
            self.text.extend_from_slice(line);
            self.lines.push(Line::Text(start..self.text.len()));
        }
    }
}

/// Cuts an input into chunks.
pub(super) struct LineReader<R> {
    input: R,
    buffer: Box<[u8]>,
    /// What has been read and not yet given out.
    unread: Range<usize>,
    /// How much of `unread` is known to hold no line feed.
    scanned: usize,
    /// Inside a line that is already longer than any token.
    skipping: bool,
    ended: bool,
}

impl<R: Read> LineReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            unread: 0..0,
            scanned: 0,
            skipping: false,
            ended: false,
        }
    }

    /// Fills the chunk with the lines that have arrived, and waits only when none has: whoever feeds us
    /// slowly is answered at once. Returns false at the end of the input.
    pub(super) fn read(&mut self, chunk: &mut Chunk) -> io::Result<bool> {
        chunk.clear();
        loop {
            self.take_lines(chunk);
            if self.ended && chunk.lines.len() < CHUNK_LINES_MAX {
                self.take_unfinished_line(chunk);
            }
            if self.ended || !chunk.lines.is_empty() {
                return Ok(!chunk.lines.is_empty());
            }
            chunk.bytes_read += self.read_more()?;
        }
    }

    fn take_lines(&mut self, chunk: &mut Chunk) {
        while chunk.lines.len() < CHUNK_LINES_MAX {
            let unread = &self.buffer[self.unread.clone()];
            let Some(offset) = unread[self.scanned..].iter().position(|&b| b == b'\n') else {
                self.scanned = unread.len();
                return;
            };
            let length = self.scanned + offset;
            if std::mem::take(&mut self.skipping) {
                chunk.lines.push(Line::Overlong);
            } else {
                chunk.push(without_return(&unread[..length]));
            }
            self.unread.start += length + 1;
            self.scanned = 0;
        }
    }

    /// The last line may lack its line feed. An empty one is no line: the feed before it ended the last.
    fn take_unfinished_line(&mut self, chunk: &mut Chunk) {
        if std::mem::take(&mut self.skipping) {
            chunk.lines.push(Line::Overlong);
        } else if !self.unread.is_empty() {
            chunk.push(without_return(&self.buffer[self.unread.clone()]));
        }
        self.forget_unread();
    }

    fn read_more(&mut self) -> io::Result<u64> {
        if self.unread.len() > LINE_BYTES_MAX {
            self.skipping = true;
        }
        if self.skipping {
            self.forget_unread();
        } else {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        loop {
            match self.input.read(&mut self.buffer[self.unread.end..]) {
                Ok(bytes) => {
                    self.ended = bytes == 0;
                    self.unread.end += bytes;
                    return Ok(bytes as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn forget_unread(&mut self) {
        self.unread = 0..0;
        self.scanned = 0;
    }
}

/// Tolerates files from systems that end lines with a carriage return and a line feed.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most `step` bytes a read, as a pipe may.
    struct Trickle<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(buffer.len()).min(self.bytes.len());
            let (now, later) = self.bytes.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.bytes = later;
            Ok(count)
        }
    }

    /// Every line as its text, or `None` where it was overlong.
    fn lines(input: &[u8], step: usize) -> Vec<Option<Vec<u8>>> {
        let mut reader = LineReader::new(Trickle { bytes: input, step });
        let mut chunk = Chunk::default();
        let mut all = Vec::new();
        let mut bytes_read = 0;
        while reader.read(&mut chunk).expect("reading memory") {
            assert!(chunk.lines().len() <= CHUNK_LINES_MAX);
            bytes_read += chunk.bytes_read;
            all.extend(chunk.lines().iter().map(|line| match line {
                Line::Text(range) => Some(chunk.text(range).to_vec()),
                Line::Overlong => None,
            }));
        }
        assert_eq!(bytes_read, input.len() as u64);
        all
    }

    fn text(line: &str) -> Option<Vec<u8>> {
        Some(line.as_bytes().to_vec())
    }

    #[test]
    fn every_line_counts_even_an_empty_one() {
        for step in [1, 2, 3, 1000] {
            assert_eq!(lines(b"", step), []);
            assert_eq!(lines(b"\n", step), [text("")]);
            assert_eq!(lines(b"a", step), [text("a")]);
            assert_eq!(lines(b"a\n", step), [text("a")]);
            assert_eq!(
                lines(b"a\r\n\nb\r\r\n\xff", step),
                [text("a"), text(""), text("b\r"), Some(vec![0xff])]
            );
        }
    }

    #[test]
    fn the_longest_token_is_kept_and_one_byte_more_is_not() {
        let longest = vec![b'a'; TOKEN_BYTES_MAX];
        let mut input = longest.clone();
        input.extend_from_slice(b"\r\n");
        input.extend_from_slice(&longest);
        input.extend_from_slice(b"a\nb\n");
        for step in [4096, BUFFER_BYTES] {
            assert_eq!(
                lines(&input, step),
                [Some(longest.clone()), None, text("b")]
            );
        }
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_one_overlong_line() {
        let mut input = vec![b'x'; BUFFER_BYTES * 3 + 7];
        input.extend_from_slice(b"\nnext\n");
        assert_eq!(lines(&input, usize::MAX), [None, text("next")]);
        assert_eq!(lines(&input, 1000), [None, text("next")]);
        // Without a line feed at its end it still is a line.
        assert_eq!(lines(&vec![b'x'; BUFFER_BYTES * 2], usize::MAX), [None]);
    }

    #[test]
    fn a_flood_of_empty_lines_comes_in_small_chunks() {
        let count = CHUNK_LINES_MAX * 3 + 1;
        assert_eq!(lines(&vec![b'\n'; count], usize::MAX).len(), count);
    }
}
