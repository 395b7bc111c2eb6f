//! Single-use tokens through the engine: coalesced, cached, in one call or on many threads, one use passes.

use super::*;
use crate::replay::{Claim, Done, SharedUse, SharedUses, UsedTokens};
use crate::verify::Replay;
use std::sync::Barrier;

/// An engine whose issuer's tokens pass once.
fn single_use(options: &Options, shared: Option<Arc<dyn SharedUses>>) -> Engine {
    let (engine, _metrics) = engine_with(options, None);
    let replay = Replay {
        used: Arc::new(UsedTokens::new(100_000)),
        ids: IdKey::new(b""),
        shared,
    };
    let mut issuers: Vec<Issuer> = engine.records().issuers().cloned().collect();
    for issuer in &mut issuers {
        issuer.policy.single_use = true;
    }
    let records = Records::new(issuers, Vec::new()).expect("one issuer contradicts nobody");
    engine.set_records(Arc::new(records.spending(&replay)));
    engine
}

fn good(verdicts: &[Verdict]) -> usize {
    let is_told = |verdict: &&Verdict| verdict.reason() != Some(Reason::Replayed);
    let told: Vec<&Verdict> = verdicts.iter().filter(is_told).collect();
    assert!(told.iter().all(|verdict| verdict.is_valid()), "{told:?}");
    told.len()
}

/// Checks I-23.
#[test]
fn of_equal_tokens_in_a_call_one_passes_and_none_later() {
    let engine = single_use(&options(2), None);
    let tokens: Vec<Bytes> = (0..60).map(|number| mint(&hs256(), number % 20)).collect();
    let verdicts = answer(&engine, call(&engine, tokens.clone()));
    assert_eq!(good(&verdicts), 20);
    assert!(
        verdicts[..20].iter().all(Verdict::is_valid),
        "the first of each"
    );
    for _ in 0..2 {
        assert_eq!(good(&answer(&engine, call(&engine, tokens.clone()))), 0);
    }
    assert_eq!(
        engine.cache().len(),
        20,
        "what is refused costs no signature"
    );
}

/// Checks I-23.
#[test]
fn of_callers_on_many_threads_one_is_let_in() {
    const THREADS: usize = 6;
    const TOKENS: usize = 200;
    let engine = single_use(&options(3), None);
    let tokens: Vec<Bytes> = (0..TOKENS).map(|number| mint(&hs256(), number)).collect();
    let start = Barrier::new(THREADS);
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (engine, tokens, start) = (&engine, &tokens, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut passed = 0;
                    for chunk in tokens.chunks(1 + thread * 3) {
                        passed += good(&answer(engine, call(engine, chunk.to_vec())));
                    }
                    passed
                })
            })
            .collect();
        let passed = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        passed.sum()
    });
    assert_eq!(passed, TOKENS);
}

/// Answers on another thread, or not at all.
struct Elsewhere {
    known: Mutex<HashSet<[u8; 20]>>,
    is_away: std::sync::atomic::AtomicBool,
}

impl SharedUses for Elsewhere {
    fn claim(&self, uses: Vec<SharedUse>, done: Done) {
        if self.is_away.load(Ordering::Acquire) {
            return;
        }
        let mut known = self.known.lock().expect("no panics");
        let claims = uses.iter().map(|asked| match known.insert(asked.id.0) {
            true => Claim::First,
            false => Claim::Again,
        });
        let claims = claims.collect();
        std::thread::spawn(move || done(claims));
    }
}

#[test]
fn two_daemons_that_share_uses_let_one_in_and_silence_lets_nobody_in() {
    let elsewhere = Arc::new(Elsewhere {
        known: Mutex::default(),
        is_away: false.into(),
    });
    let engines = [(); 2].map(|()| single_use(&options(1), Some(elsewhere.clone())));
    let tokens: Vec<Bytes> = (0..50).map(|number| mint(&hs256(), number)).collect();
    let start = Barrier::new(2);
    let passed: usize = std::thread::scope(|scope| {
        let threads = engines.each_ref().map(|engine| {
            let (tokens, start) = (&tokens, &start);
            scope.spawn(move || {
                start.wait();
                let passed = tokens
                    .chunks(7)
                    .map(|some| good(&answer(engine, call(engine, some.to_vec()))));
                passed.sum::<usize>()
            })
        });
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    });
    assert_eq!(passed, 50);

    elsewhere.is_away.store(true, Ordering::Release);
    let new = mint(&hs256(), 1_000);
    // Verified and looked up in the cache alike.
    for _ in 0..2 {
        let verdicts = answer(
            &engines[0],
            call(&engines[0], vec![new.clone(), tokens[0].clone()]),
        );
        assert_eq!(cause(&verdicts[0]), Some(Cause::ReplayUnknown));
        assert_eq!(verdicts[1].reason(), Some(Reason::Replayed), "known here");
    }
    elsewhere.is_away.store(false, Ordering::Release);
    let verdicts = answer(&engines[0], call(&engines[0], vec![new]));
    assert!(verdicts[0].is_valid(), "it was never used");
}
