//! One connection: frames in flight, a gathering write, and answers matched to what was asked.
#![forbid(unsafe_code)]

use super::super::{DriveError, Job};
use super::protocol::{answer, unexpected, write_head};
use crate::answer::Answer;
use crate::corpus::Corpus;
use crate::record::Record;
use jotd::transport::wire::{FrameKind, Framing, Head, Verdicts, next_frame};
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A connection with its frames in flight.
pub(super) struct Lane<'a> {
    pub(super) stream: &'a UnixStream,
    corpus: &'a Corpus,
    /// A VERIFY frame of no tokens: what every frame's head is made from.
    template: &'a [u8],
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Slots to be written, the first of which has `written` bytes out already.
    queue: VecDeque<usize>,
    written: usize,
    /// The socket's buffer is full.
    pub(super) blocked: bool,
    input: Vec<u8>,
    input_end: usize,
    echoes_frames: bool,
}

/// A frame in flight.
#[derive(Default)]
struct Slot {
    /// Its number on the wire: the slot's index below, how often the slot was used above. An answer to
    /// anything else is a fault.
    request_id: u64,
    tokens: Vec<u32>,
    head: Vec<u8>,
    frame_bytes: usize,
    intended: Duration,
}

impl<'a> Lane<'a> {
    /// A lane over a connected, non-blocking stream.
    pub(super) fn new(stream: &'a UnixStream, job: &Job<'a>, template: &'a [u8]) -> Self {
        Self {
            stream,
            corpus: job.corpus,
            template,
            slots: (0..job.in_flight)
                .map(|index| Slot {
                    request_id: index as u64,
                    ..Slot::default()
                })
                .collect(),
            free: (0..job.in_flight).rev().collect(),
            queue: VecDeque::with_capacity(job.in_flight),
            written: 0,
            blocked: false,
            input: vec![0; READ_BYTES],
            input_end: 0,
            echoes_frames: job.echoes_frames,
        }
    }

    /// Whether another frame may be in flight.
    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether no frame is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Lets `fill` put tokens into a free slot and sends them with the next flush. False, and nothing
    /// is sent, when there are no more tokens. Call only where there is room.
    pub(super) fn enqueue(
        &mut self,
        intended: Duration,
        fill: impl FnOnce(&mut Vec<u32>) -> bool,
    ) -> bool {
        let index = *self.free.last().expect("the caller asked for room");
        let slot = &mut self.slots[index];
        if !fill(&mut slot.tokens) {
            return false;
        }
        self.free.pop();
        slot.request_id += 1 << SLOT_BITS;
        slot.intended = intended;
        let tokens = slot.tokens.iter().map(|&token| self.corpus.token(token));
        slot.frame_bytes = write_head(&mut slot.head, self.template, slot.request_id, tokens);
        self.queue.push_back(index);
        true
    }

    /// Writes what is queued until all is out or the socket takes no more.
    pub(super) fn flush(&mut self) -> Result<(), DriveError> {
        while !self.blocked && !self.queue.is_empty() {
            let mut stream = self.stream;
            match stream.write_vectored(&self.slices()) {
                Ok(0) => {
                    return Err(DriveError::new(
                        "sending",
                        "the server closed the connection",
                    ));
                }
                Ok(bytes) => self.account(bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(DriveError::of("sending")(error)),
            }
        }
        Ok(())
    }

    /// What is to be written, from where the last write ended.
    fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut skip = self.written;
        let mut slices = Vec::with_capacity(SLICES_MAX);
        for &index in &self.queue {
            let slot = &self.slots[index];
            let tokens = slot.tokens.iter().map(|&token| self.corpus.token(token));
            for piece in std::iter::once(slot.head.as_slice()).chain(tokens) {
                if skip >= piece.len() {
                    skip -= piece.len();
                    continue;
                }
                slices.push(IoSlice::new(&piece[skip..]));
                skip = 0;
                if slices.len() == SLICES_MAX {
                    return slices;
                }
            }
        }
        slices
    }

    fn account(&mut self, bytes: usize) {
        self.written += bytes;
        while let Some(&index) = self.queue.front() {
            let frame_bytes = self.slots[index].frame_bytes;
            if self.written < frame_bytes {
                return;
            }
            self.written -= frame_bytes;
            self.queue.pop_front();
        }
    }

    /// Reads what has arrived.
    pub(super) fn receive(&mut self) -> Result<(), DriveError> {
        let mut stream = self.stream;
        match stream.read(&mut self.input[self.input_end..]) {
            Ok(0) => Err(DriveError::new(
                "reading",
                "the server closed the connection",
            )),
            Ok(bytes) => {
                self.input_end += bytes;
                Ok(())
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(())
            }
            Err(error) => Err(DriveError::of("reading")(error)),
        }
    }

    /// Checks every whole answer that was read. True if there was one.
    pub(super) fn take_answers(
        &mut self,
        record: &mut Record,
        at: Duration,
        measured: bool,
    ) -> Result<bool, DriveError> {
        let mut from = 0;
        loop {
            let framing = next_frame(&self.input[from..self.input_end], ANSWER_BYTES_MAX)
                .map_err(DriveError::of("reading an answer"))?;
            match framing {
                Framing::Complete(head, bytes) => {
                    self.take_answer(head, from..from + bytes, record, at, measured)?;
                    from += bytes;
                }
                Framing::Incomplete(bytes) => {
                    self.input.copy_within(from..self.input_end, 0);
                    self.input_end -= from;
                    if self.input.len() < bytes {
                        self.input.resize(bytes, 0);
                    }
                    return Ok(from > 0);
                }
            }
        }
    }

    fn take_answer(
        &mut self,
        head: Head,
        at_bytes: Range<usize>,
        record: &mut Record,
        at: Duration,
        measured: bool,
    ) -> Result<(), DriveError> {
        let frame = &self.input[at_bytes];
        let echoed = self.echoes_frames && head.kind == FrameKind::Verify as u8;
        if head.kind != FrameKind::Verdicts as u8 && !echoed {
            return Err(unexpected(head.kind, frame));
        }
        let index = claim(&self.slots, head)?;
        let slot = &self.slots[index];
        let latency = at.saturating_sub(slot.intended);
        let (corpus, tokens) = (self.corpus, &slot.tokens);
        if echoed {
            let trusted = std::iter::repeat(Answer::Valid { cached: false });
            record.frame(corpus, tokens, trusted, at, latency, measured);
        } else {
            let verdicts = Verdicts::decode(frame).map_err(DriveError::of("reading an answer"))?;
            let answers = verdicts.iter().map(answer);
            record.frame(corpus, tokens, answers, at, latency, measured);
        }
        self.slots[index].tokens.clear();
        self.free.push(index);
        Ok(())
    }
}

/// The slot that a frame answers, all of its tokens. Tokens are cleared when a slot is freed, so a second
/// answer to the same request does not fit either.
fn claim(slots: &[Slot], head: Head) -> Result<usize, DriveError> {
    let mask = (1 << SLOT_BITS) - 1;
    let index = usize::try_from(head.request_id & mask).unwrap_or(usize::MAX);
    match slots.get(index) {
        Some(slot)
            if slot.request_id == head.request_id
                && slot.tokens.len() == usize::from(head.count) =>
        {
            Ok(index)
        }
        _ => Err(DriveError::new(
            "reading an answer",
            "it answers no frame in flight, or not all of its tokens",
        )),
    }
}

/// Bits of a request id that hold the slot's index.
const SLOT_BITS: u32 = 16;

/// Most slices in one write; Linux takes 1024.
const SLICES_MAX: usize = 1024;

/// Largest answer taken: claims may be as large as tokens.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;
