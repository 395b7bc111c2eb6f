//! The asking thread's part: answer what the cache knows, send the rest on its way.
//!
//! A call of hits costs its digests and look-ups, one allocation for the verdicts, and little more: this is
//! the path that nearly every token takes.
#![forbid(unsafe_code)]

use super::Call;
use super::call::{Began, Pending, Ticket};
use super::settling::Decided;
use super::shared::Shared;
use super::worker::Mail;
use crate::cache::{Digest, Entry};
use crate::clock::{self, Now};
use crate::verdict::{Unavailable, Verdict};
use crate::verify::{self, Question, Records};
use bytes::Bytes;
use crossbeam_channel::Sender;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Tokens whose digests are computed together: enough to fill the widest lanes several times over.
const WINDOW: usize = 64;

/// Of the calls of hits that a thread answers, one in so many is timed. All threads share one histogram
/// behind one lock; timing every call would cost a good part of what it measures.
const CALLS_PER_TIMING: u32 = 16;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Buffers that an asking thread keeps.
#[derive(Default)]
struct Scratch {
    digests: Vec<Digest>,
    /// What the cache says of each digest.
    found: Vec<Option<Entry>>,
    misses: Vec<Miss>,
    calls: u32,
}

/// A token the cache does not know.
struct Miss {
    index: usize,
    digest: Digest,
}

/// See [`super::Engine::ask`].
pub(super) fn ask(
    shared: &Arc<Shared>,
    mailboxes: &[Sender<Mail>],
    call: Call,
    now: Now,
    reply: impl FnOnce(Vec<Verdict>) + Send + 'static,
) -> Option<Vec<Verdict>> {
    let records = shared.records.load();
    // Before anything is looked up: whatever is found from here on knows that revision.
    if !records.knows(call.min_revision) {
        return Some(vec![
            Unavailable::REVOCATION_STALE.into();
            call.tokens.len()
        ]);
    }
    let began = Began {
        now,
        generation: records.revocation_generation(),
    };
    let mut verdicts = Vec::with_capacity(call.tokens.len());
    let missed = SCRATCH.with_borrow_mut(|scratch| {
        look_up(shared, &records, &call, now, scratch, &mut verdicts);
        // Taken out, and given back below: the scratch must be free while others' code runs.
        (!scratch.misses.is_empty()).then(|| std::mem::take(&mut scratch.misses))
    });
    let Some(mut misses) = missed else {
        time_some(shared, now);
        if !records.may_spend(call.policy) {
            return Some(verdicts);
        }
        let decided = Decided {
            records: &records,
            tokens: &call.tokens,
            policy: call.policy,
            verdicts,
            generation: began.generation,
        };
        let settled = decided.settle(Box::new(reply), now);
        return settled.map(|(verdicts, _reply)| verdicts);
    };
    let records = Arc::clone(&records);
    let duration = shared.miss_duration.clone();
    let pending = Pending::open(
        call,
        began,
        records,
        verdicts,
        misses.len(),
        Box::new(reply),
        duration,
    );
    dispatch(shared, mailboxes, &pending, now, misses.drain(..));
    SCRATCH.with_borrow_mut(|scratch| scratch.misses = misses);
    pending.close()
}

fn time_some(shared: &Shared, now: Now) {
    let calls = SCRATCH.with_borrow_mut(|scratch| {
        scratch.calls = scratch.calls.wrapping_add(1);
        scratch.calls
    });
    // The first is timed, so that a quiet daemon shows something too.
    if calls % CALLS_PER_TIMING == 1 {
        let took = clock::since_boot().saturating_sub(now.since_boot);
        shared.hit_duration.observe(took.as_secs_f64());
    }
}

/// Answers every token that the cache knows. The place of one that it does not is held by `overloaded`.
fn look_up(
    shared: &Shared,
    records: &Records,
    call: &Call,
    now: Now,
    scratch: &mut Scratch,
    verdicts: &mut Vec<Verdict>,
) {
    let Scratch {
        digests,
        found,
        misses,
        ..
    } = scratch;
    let mut hits = 0;
    let mut recall = |question: Question<'_>, digest: &Digest, found: Option<&Entry>| {
        let verdict =
            found.and_then(|found| shared.recall_found(records, question, digest, found, now));
        if verdict.is_some() {
            hits += 1;
        } else {
            misses.push(Miss {
                index: verdicts.len(),
                digest: *digest,
            });
        }
        verdicts.push(verdict.unwrap_or(Unavailable::OVERLOADED.into()));
    };
    if let [token] = call.tokens.as_slice() {
        let question = question(call, records, token);
        let digest = shared.digest_key.digest(question);
        recall(question, &digest, shared.cache.get(&digest).as_ref());
    } else {
        for tokens in call.tokens.chunks(WINDOW) {
            let mut texts: [&[u8]; WINDOW] = [&[]; WINDOW];
            let texts = &mut texts[..tokens.len()];
            for (text, token) in texts.iter_mut().zip(tokens) {
                *text = question(call, records, token).token;
            }
            shared.digest_key.digest_many(call.policy, texts, digests);
            shared.cache.approach(digests);
            found.clear();
            found.extend(digests.iter().map(|digest| shared.cache.get(digest)));
            if records.are_many() {
                records.approach(found.iter().flatten());
            }
            for ((token, digest), found) in texts.iter().zip(digests.iter()).zip(&*found) {
                let question = Question {
                    token,
                    policy: call.policy,
                    want: &call.want,
                };
                recall(question, digest, found.as_ref());
            }
        }
    }
    let missed = call.tokens.len() as u64 - hits;
    if hits > 0 {
        shared.metrics.cache_hits.inc_by(hits);
    }
    if missed > 0 {
        shared.metrics.cache_misses.inc_by(missed);
    }
}

/// A token that no issuer would accept for its length is not worth its digest: the empty token stands in,
/// which is never in the cache.
fn question<'c>(call: &'c Call, records: &Records, token: &'c Bytes) -> Question<'c> {
    Question {
        token: if token.len() <= records.token_bytes_max() {
            token
        } else {
            &[]
        },
        policy: call.policy,
        want: &call.want,
    }
}

/// Sends each token that is worth it, and for which there is room, to the worker that its digest picks.
#[cold]
fn dispatch(
    shared: &Shared,
    mailboxes: &[Sender<Mail>],
    pending: &Arc<Pending>,
    now: Now,
    misses: impl Iterator<Item = Miss>,
) {
    let mut parcels: Vec<Vec<(Digest, Ticket)>> = Vec::new();
    parcels.resize_with(mailboxes.len(), Vec::new);
    for Miss { index, digest } in misses {
        let token = &pending.tokens()[index];
        match verify::estimate_cost_ns(token, pending.records().token_bytes_max()) {
            Err(refusal) => pending.settle(index, refusal.into()),
            Ok(cost_ns) => {
                let worker = pick_worker(&digest, mailboxes.len());
                match admit(shared, pending, worker, cost_ns, now) {
                    Err(unavailable) => pending.settle(index, unavailable.into()),
                    Ok(()) => {
                        let queue = Arc::clone(&shared.queues[worker]);
                        parcels[worker].push((digest, pending.ticket(index, cost_ns, queue)));
                    }
                }
            }
        }
    }
    for (mailbox, parcel) in mailboxes.iter().zip(parcels) {
        if parcel.is_empty() {
            continue;
        }
        let tokens = parcel.len() as u64;
        // A parcel that is not taken is dropped here, and its tickets with it: they say `overloaded`.
        if mailbox.try_send(Mail::Parcel(parcel)).is_err() {
            shared.shed.queue.inc_by(tokens);
        }
    }
}

/// Sets room aside for a token, or says why there is none.
fn admit(
    shared: &Shared,
    pending: &Pending,
    worker: usize,
    cost_ns: u64,
    now: Now,
) -> Result<(), Unavailable> {
    if shared.draining.load(Ordering::Acquire) {
        shared.shed.draining.inc();
        return Err(Unavailable::OVERLOADED);
    }
    if pending.is_overdue(now.since_boot) {
        shared.shed.deadline.inc();
        return Err(Unavailable::DEADLINE);
    }
    if !pending.peer().budget.reserve(cost_ns) {
        shared.shed.peer.inc();
        return Err(Unavailable::OVERLOADED);
    }
    if !shared.queues[worker].reserve(cost_ns) {
        pending.peer().budget.release(cost_ns);
        shared.shed.queue.inc();
        return Err(Unavailable::OVERLOADED);
    }
    Ok(())
}

/// Identical tokens go to the same worker. The digest is uniform, and the cache uses other bits of it.
pub(super) fn pick_worker(digest: &Digest, workers: usize) -> usize {
    let [.., a, b, c, d] = *digest;
    let bits = u64::from(u32::from_le_bytes([a, b, c, d]));
    usize::try_from((bits * workers as u64) >> 32).unwrap_or(0)
}
