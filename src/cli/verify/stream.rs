//! The way of a million tokens: a reader, a pool of pinned threads and a writer work at once, and the
//! verdicts leave in the order in which the tokens came.
//!
//! A fixed number of parcels circulates between the three. That bounds the memory, whichever of them is
//! the slowest.

use super::lines::{Chunk, Line, LineReader};
use super::tally::Tally;
use crate::cli::exit::Failure;
use crossbeam_channel::{Receiver, Sender, bounded};
use jotd::clock::{Clock, Now};
use jotd::engine::{self, KERNEL_STACK_BYTES, TABLE_MIB_DEFAULT};
use jotd::limits::TOKEN_BYTES_MAX;
use jotd::os;
use jotd::verdict::{Refusal, Verdict};
use jotd::verify::{Answer, PolicyId, Question, Records, Scratch, Want, verify_batch};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Parcels for each thread: one being verified, one waiting for it, one being read or written.
const PARCELS_PER_THREAD: usize = 3;

/// What every token of a run is held against.
pub(super) struct Judge {
    pub(super) records: Arc<Records>,
    pub(super) policy: PolicyId,
    pub(super) clock: Clock,
}

/// Verifies every line of `input` and writes one verdict a line to `output`. `watch` hears of every
/// stretch of input that is done: its bytes and the tally so far.
pub(super) fn run(
    judge: &Judge,
    input: impl Read,
    output: impl Write + Send,
    watch: impl FnMut(u64, &Tally) + Send,
) -> Result<Tally, Failure> {
    let pool = pinned_pool()?;
    let _running = keep_tables(judge)?;
    let parcels = pool.current_num_threads() * PARCELS_PER_THREAD;
    let (idle_sender, idle) = bounded(parcels);
    let (done_sender, done) = bounded(parcels);
    for _ in 0..parcels {
        let _ = idle_sender.send(Parcel::default());
    }
    std::thread::scope(|threads| {
        let writer = threads.spawn(move || write_in_order(&done, &idle_sender, output, watch));
        let read = pool.in_place_scope(|pool| {
            let mut lines = LineReader::new(input);
            // An idle queue that is closed means that the writer has given up, and says why below.
            for (mut parcel, number) in idle.iter().zip(0_u64..) {
                parcel.number = number;
                if !lines.read(&mut parcel.chunk)? {
                    break;
                }
                let done = done_sender.clone();
                pool.spawn(move |_| {
                    parcel.judge(judge);
                    // The writer is gone only when it has failed, and then nobody waits for verdicts.
                    let _ = done.send(parcel);
                });
            }
            Ok(())
        });
        drop(done_sender);
        let written = writer
            .join()
            .unwrap_or_else(|_| Err(Failure::fault("the writing thread failed")));
        read.map_err(|error: std::io::Error| {
            Failure::fault(format!("the tokens could not be read: {error}"))
        })?;
        written
    })
}

/// Verifies a single token, whatever bytes it has.
pub(super) fn run_one(judge: &Judge, token: &[u8], output: impl Write) -> Result<Tally, Failure> {
    let (idle, _) = bounded(1);
    let (done, parcels) = bounded(1);
    let mut parcel = Parcel {
        chunk: Chunk::of_one(token),
        ..Parcel::default()
    };
    parcel.judge(judge);
    let _ = done.send(parcel);
    drop(done);
    write_in_order(&parcels, &idle, output, |_, _| {})
}

/// Has the tables of the keys in use looked after until what is returned is dropped.
fn keep_tables(judge: &Judge) -> Result<Sender<()>, Failure> {
    let (running, stop) = bounded(0);
    let records = Arc::clone(&judge.records);
    engine::keep_tables(
        move || Arc::clone(&records),
        TABLE_MIB_DEFAULT << 20,
        stop,
        |_| {},
    )
    .map_err(|error| Failure::fault(format!("no thread for the keys' tables: {error}")))?;
    Ok(running)
}

/// A pool with one thread pinned to each CPU this process may use.
fn pinned_pool() -> Result<ThreadPool, Failure> {
    let cpus = os::allowed_cpus();
    ThreadPoolBuilder::new()
        .num_threads(cpus.len())
        .stack_size(KERNEL_STACK_BYTES)
        .thread_name(|index| format!("jotd-verify-{index}"))
        .start_handler(move |index| {
            if let Some(cpu) = cpus.get(index) {
                // An unpinned thread is slower and just as right.
                let _ = os::pin_to(*cpu);
            }
        })
        .build()
        .map_err(|error| Failure::fault(format!("no threads to verify with: {error}")))
}

/// A chunk of tokens on its way, with room for its verdicts.
#[derive(Default)]
struct Parcel {
    number: u64,
    chunk: Chunk,
    verdicts: Vec<u8>,
    tally: Tally,
    scratch: Scratch,
    answers: Vec<Answer>,
    failed: bool,
}

impl Parcel {
    /// Turns the chunk into verdicts. A panic is kept inside the parcel: it must not be lost on the way,
    /// for the writer waits for every number.
    fn judge(&mut self, judge: &Judge) {
        let now = judge.clock.now();
        self.failed = catch_unwind(AssertUnwindSafe(|| self.verify(judge, now))).is_err();
    }

    fn verify(&mut self, judge: &Judge, now: Now) {
        self.verdicts.clear();
        self.answers.clear();
        self.tally = Tally::default();
        let questions: Vec<Question<'_>> = self
            .chunk
            .lines()
            .iter()
            .filter_map(|line| match line {
                Line::Text(range) => Some(Question {
                    token: self.chunk.text(range),
                    policy: judge.policy,
                    want: &Want::Claims,
                }),
                Line::Overlong => None,
            })
            .collect();
        verify_batch(
            &judge.records,
            &questions,
            now,
            &mut self.scratch,
            &mut self.answers,
        );
        assert_eq!(
            self.answers.len(),
            questions.len(),
            "one answer a question, or verdicts would slip to other tokens"
        );
        let mut answers = self.answers.drain(..);
        for line in self.chunk.lines() {
            let verdict = match line {
                Line::Text(_) => answers.next().map(|answer| answer.verdict),
                Line::Overlong => None,
            };
            let verdict = verdict.unwrap_or_else(overlong);
            self.tally.count(&verdict);
            verdict.write_json(&mut self.verdicts);
            self.verdicts.push(b'\n');
        }
    }
}

fn overlong() -> Verdict {
    Verdict::from(Refusal::TooLarge {
        what: "token",
        limit_bytes: TOKEN_BYTES_MAX,
    })
}

fn write_in_order(
    done: &Receiver<Parcel>,
    idle: &Sender<Parcel>,
    mut output: impl Write,
    mut watch: impl FnMut(u64, &Tally),
) -> Result<Tally, Failure> {
    let mut early = BTreeMap::new();
    let mut tally = Tally::default();
    let mut next = 0_u64;
    for parcel in done {
        early.insert(parcel.number, parcel);
        while let Some(parcel) = early.remove(&next) {
            if parcel.failed {
                return Err(Failure::fault(format!(
                    "an internal fault; no verdict was given from token {} on",
                    tally.total() + 1
                )));
            }
            output
                .write_all(&parcel.verdicts)
                .map_err(|error| Failure::output(&error))?;
            tally.add(&parcel.tally);
            watch(parcel.chunk.bytes_read, &tally);
            next += 1;
            // The reader stops taking parcels at the end of its input.
            let _ = idle.send(parcel);
        }
    }
    output.flush().map_err(|error| Failure::output(&error))?;
    Ok(tally)
}
