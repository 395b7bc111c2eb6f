//! The cache against a plain map, under scans, under greedy tenants and under races.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

/// A digest as uniform as the real ones, from a small number.
fn digest(seed: u64) -> Digest {
    let mut state = seed;
    let mut digest = [0; 32];
    for word in digest.chunks_exact_mut(8) {
        // SplitMix64: every seed gives another, well-spread sequence.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    digest
}

/// An entry whose every field tells which seed it belongs to.
fn entry(seed: u64) -> Entry {
    Entry {
        generation: seed,
        valid_from: seed.cast_signed() + 1,
        valid_until: seed.cast_signed() + 2,
        expires_at: seed.cast_signed() + 3,
        issuer: low(seed) + 4,
        key: low(seed) + 5,
        revocation: [seed + 6, seed + 7],
    }
}

fn cache(capacity: usize, shards: usize, share_percent_max: u8) -> Cache {
    Cache::new(&Options {
        capacity,
        shards,
        share_percent_max,
    })
}

#[test]
fn what_was_inserted_is_found_and_nothing_else() {
    let cache = cache(1024, 4, 100);
    cache.insert(&digest(1), entry(1), 0);
    assert_eq!(cache.get(&digest(1)), Some(entry(1)));
    assert_eq!(cache.get(&digest(2)), None);
    // All 32 bytes count: a digest that differs in one bit only is another token's.
    for bit in 0..256 {
        let mut other = digest(1);
        other[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(cache.get(&other), None, "bit {bit}");
    }
    cache.remove(&digest(1));
    assert_eq!(cache.get(&digest(1)), None);
    assert!(cache.is_empty());
}

#[test]
fn a_cache_without_room_keeps_nothing() {
    let cache = cache(0, 64, 100);
    assert!(!cache.insert(&digest(1), entry(1), 0));
    cache.remove(&digest(1));
    assert_eq!(cache.get(&digest(1)), None);
    assert_eq!(cache.len(), 0);
}

#[test]
fn a_scan_leaves_the_hot_set_alone() {
    let capacity = 10_000;
    let hot = capacity as u64 / 10;
    let cache = cache(capacity, 8, 100);
    for seed in 0..hot {
        cache.insert(&digest(seed), entry(seed), 0);
    }
    let mut hits = 0;
    let scans = capacity as u64 * 10;
    for step in 0..scans {
        let seed = step % hot;
        if cache.get(&digest(seed)).is_some() {
            hits += 1;
        } else {
            cache.insert(&digest(seed), entry(seed), 0);
        }
        let once = 1_000_000 + step;
        cache.insert(&digest(once), entry(once), 0);
    }
    assert!(hits * 100 >= scans * 99, "{hits} hits of {scans}");
    assert!(cache.len() <= capacity);
}

#[test]
fn a_name_that_comes_back_soon_after_it_went_is_kept_from_then_on() {
    let cache = cache(64, 1, 100);
    let flood =
        |from: u64| (from..from + 64).for_each(|s| _ = cache.insert(&digest(s), entry(s), 0));
    cache.insert(&digest(1), entry(1), 0);
    flood(1_000);
    assert_eq!(cache.get(&digest(1)), None, "unused, so the flood took it");
    cache.insert(&digest(1), entry(1), 0);
    flood(2_000);
    assert_eq!(
        cache.get(&digest(1)),
        Some(entry(1)),
        "its ghost spoke for it"
    );
}

#[test]
fn a_tenant_at_its_share_evicts_only_its_own() {
    let cache = cache(6_400, 64, 50);
    let quiet: Vec<u64> = (0..1_000).collect();
    for &seed in &quiet {
        cache.insert(&digest(seed), entry(seed), 1);
    }
    for seed in 10_000..110_000 {
        cache.insert(&digest(seed), entry(seed), 2);
    }
    assert!(cache.share_len(2) <= 3_200, "{}", cache.share_len(2));
    assert!(cache.share_len(2) > 3_000, "the share can be used up");
    let kept = quiet.iter().filter(|&&s| cache.get(&digest(s)).is_some());
    assert_eq!(kept.count(), quiet.len(), "though never used even once");
}

#[test]
fn a_tenant_at_its_share_keeps_its_own_hot_set_too() {
    let cache = cache(10_000, 8, 50);
    let hot = 500;
    let mut hits = 0;
    for step in 0..50_000 {
        let seed = step % hot;
        if cache.get(&digest(seed)).is_some() {
            hits += 1;
        } else {
            cache.insert(&digest(seed), entry(seed), 1);
        }
        cache.insert(&digest(1_000_000 + step), entry(step), 1);
    }
    assert!(hits >= 49_000, "{hits}");
}

#[test]
fn no_entry_takes_more_than_128_bytes() {
    let slot = size_of::<slot::Slot>();
    // Chunk pointers are shared by 64 slots; the other parts are named in `shard`, `index`, `ledger`.
    let per_entry = slot + 16_usize.div_ceil(64) + ledger::BYTES_PER_SLOT + index::BYTES_PER_SLOT;
    assert!(per_entry <= 128, "{per_entry}");
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u32),
    Get(u64),
    Remove(u64),
}

fn step() -> impl Strategy<Value = Step> {
    // 200 names in 96 places: names come back, and room runs out.
    prop_oneof![
        (0..200_u64, 0..4_u32).prop_map(|(seed, share)| Step::Insert(seed, share)),
        (0..200_u64).prop_map(Step::Get),
        (0..200_u64).prop_map(Step::Remove),
    ]
}

proptest! {
    // 64 runs of up to 1,000 steps turn the whole cache over some five hundred times.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_a_map_that_forgets(steps in prop::collection::vec(step(), 0..1_000), shards in 1..3_usize) {
        let (capacity, percent) = (96, 40);
        let cache = cache(capacity, shards, percent);
        let mut model: HashMap<u64, Entry> = HashMap::new();
        for (version, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(seed, share) => {
                    // Every insertion writes something new, so an older version would be noticed.
                    let entry = entry(1_000 * version as u64 + seed);
                    let before = cache.len();
                    let evicted = cache.insert(&digest(seed), entry, share);
                    model.insert(seed, entry);
                    prop_assert_eq!(cache.get(&digest(seed)), Some(entry));
                    prop_assert!(!evicted || cache.len() <= before);
                }
                Step::Get(seed) => {
                    let found = cache.get(&digest(seed));
                    prop_assert!(found.is_none() || found == model.get(&seed).copied());
                }
                Step::Remove(seed) => {
                    cache.remove(&digest(seed));
                    model.remove(&seed);
                    prop_assert_eq!(cache.get(&digest(seed)), None);
                }
            }
            prop_assert!(cache.len() <= capacity);
            let shares: Vec<usize> = (0..4).map(|share| cache.share_len(share)).collect();
            prop_assert_eq!(shares.iter().sum::<usize>(), cache.len());
            prop_assert!(shares.iter().all(|&len| len <= capacity * usize::from(percent) / 100));
        }
        // What the index finds is what the ledger counts: no slot is lost or entered twice.
        let found = (0..200).filter(|&seed| cache.get(&digest(seed)).is_some()).count();
        prop_assert_eq!(found, cache.len());
    }
}

#[test]
fn racing_readers_see_whole_entries_of_the_right_token_or_none() {
    // One shard of 64 for 1,000 names: every slot is reused all the time under the readers' eyes.
    let cache = cache(64, 1, 100);
    let hits = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|reader| {
                let cache = &cache;
                scope.spawn(move || {
                    let mut hits = 0_u64;
                    for step in 0..200_000_u64 {
                        let seed = (step * 7 + reader) % 1_000;
                        if let Some(found) = cache.get(&digest(seed)) {
                            assert_eq!(found, entry(seed));
                            hits += 1;
                        }
                    }
                    hits
                })
            })
            .collect();
        for writer in 0..2 {
            let cache = &cache;
            scope.spawn(move || {
                for step in 0..100_000_u64 {
                    let seed = (step * 13 + writer) % 1_000;
                    cache.insert(&digest(seed), entry(seed), 0);
                    if step % 5 == 0 {
                        cache.remove(&digest(seed));
                    }
                }
            });
        }
        readers
            .into_iter()
            .map(|r| r.join().expect("no reader panics"))
            .sum::<u64>()
    });
    assert!(cache.len() <= 64);
    // Whether a reader met an entry is up to the machine; that one can be met afterwards is not.
    cache.insert(&digest(1), entry(1), 0);
    assert_eq!(
        cache.get(&digest(1)),
        Some(entry(1)),
        "{hits} hits while racing"
    );
}
