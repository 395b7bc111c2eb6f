//! The cache room beside `quick_cache` and `moka`: hits, hits under contention, insertion into a full cache,
//! bytes an entry, and what a scan leaves of a hot set.
//!
//! `cargo bench --bench cache`. The figures behind `docs/decisions/0001-cache.md` come from here.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench is its own reader, and panics when it cannot measure"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jotd::cache::{Cache, Digest, Entry, Options};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(1000));
    targets = bytes_per_entry, after_a_scan, hits, contended_hits, insertions
}
criterion_main!(benches);

const CAPACITY: usize = 262_144;

/// What every cache here is asked to do.
trait Subject: Send + Sync {
    const NAME: &'static str;
    fn new(capacity: usize) -> Self;
    fn get(&self, digest: &Digest) -> Option<Entry>;
    fn insert(&self, digest: &Digest, entry: Entry);
}

impl Subject for Cache {
    const NAME: &'static str = "jotd";
    fn new(capacity: usize) -> Self {
        Self::new(&Options {
            capacity,
            ..Options::default()
        })
    }
    fn get(&self, digest: &Digest) -> Option<Entry> {
        self.get(digest)
    }
    fn insert(&self, digest: &Digest, entry: Entry) {
        self.insert(digest, entry, 0);
    }
}

type Quick = quick_cache::sync::Cache<Digest, Entry, quick_cache::UnitWeighter, ByDigest>;

impl Subject for Quick {
    const NAME: &'static str = "quick_cache";
    fn new(capacity: usize) -> Self {
        Self::with(
            capacity,
            capacity as u64,
            quick_cache::UnitWeighter,
            ByDigest::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        )
    }
    fn get(&self, digest: &Digest) -> Option<Entry> {
        self.get(digest)
    }
    fn insert(&self, digest: &Digest, entry: Entry) {
        self.insert(*digest, entry);
    }
}

type Moka = moka::sync::Cache<Digest, Entry, ByDigest>;

impl Subject for Moka {
    const NAME: &'static str = "moka";
    fn new(capacity: usize) -> Self {
        moka::sync::CacheBuilder::new(capacity as u64).build_with_hasher(ByDigest::default())
    }
    fn get(&self, digest: &Digest) -> Option<Entry> {
        self.get(digest)
    }
    fn insert(&self, digest: &Digest, entry: Entry) {
        self.insert(*digest, entry);
    }
}

/// Lets the others, too, use that a digest is its own hash.
type ByDigest = BuildHasherDefault<Identity>;

#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // A digest arrives as its length and then its bytes; the last write wins.
        if let Some(word) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*word);
        }
    }
    fn write_usize(&mut self, _length: usize) {}
}

fn digests(from: u64, count: usize) -> Vec<Digest> {
    let random = std::collections::hash_map::RandomState::new();
    (from..from + count as u64)
        .map(|number| {
            let mut digest = [0; 32];
            for (place, word) in digest.chunks_exact_mut(8).enumerate() {
                word.copy_from_slice(&random.hash_one((number, place)).to_le_bytes());
            }
            digest
        })
        .collect()
}

fn entry() -> Entry {
    Entry {
        generation: 1,
        valid_from: 2,
        valid_until: 3,
        expires_at: 4,
        issuer: 5,
        key: 6,
        revocation: [7, 8],
    }
}

fn bytes_per_entry(_criterion: &mut Criterion) {
    let digests = digests(0, CAPACITY * 2);
    let jotd = measure_bytes::<Cache>(&digests);
    let quick = measure_bytes::<Quick>(&digests);
    let moka = measure_bytes::<Moka>(&digests);
    println!("bytes an entry when full: jotd {jotd:.1}, quick_cache {quick:.1}, moka {moka:.1}");
}

/// Growth of the process' resident memory while a cache is filled to the brim and over.
fn measure_bytes<S: Subject>(digests: &[Digest]) -> f64 {
    let before = resident_bytes();
    let cache = S::new(CAPACITY);
    let idle = resident_bytes() - before;
    for digest in digests {
        cache.insert(digest, entry());
    }
    let grown = resident_bytes() - before;
    println!("{}: {:.2} MB when empty", S::NAME, idle as f64 / 1e6);
    // Left alone: memory that is given back would be lent to the next and spoil its figure.
    std::mem::forget(cache);
    grown as f64 / CAPACITY as f64
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn after_a_scan(_criterion: &mut Criterion) {
    println!(
        "hot set of 10 %, one look-up for each token seen once: jotd {:.2} %, quick_cache {:.2} %, \
         moka {:.2} % hits",
        hits_in_scan::<Cache>(),
        hits_in_scan::<Quick>(),
        hits_in_scan::<Moka>()
    );
}

fn hits_in_scan<S: Subject>() -> f64 {
    let capacity = 20_000;
    let hot = digests(0, capacity / 10);
    let scan = digests(1 << 32, capacity * 10);
    let cache = S::new(capacity);
    for digest in &hot {
        cache.insert(digest, entry());
    }
    let mut hits = 0;
    for (step, once) in scan.iter().enumerate() {
        let digest = &hot[step % hot.len()];
        if cache.get(digest).is_some() {
            hits += 1;
        } else {
            cache.insert(digest, entry());
        }
        cache.insert(once, entry());
    }
    100.0 * f64::from(hits) / scan.len() as f64
}

fn hits(criterion: &mut Criterion) {
    fn bench<S: Subject>(criterion: &mut Criterion, present: usize) {
        let (cache, digests) = filled::<S>(present);
        let mut group = criterion.benchmark_group(format!("hit/{present}"));
        group.throughput(Throughput::Elements(1));
        let mut next = digests.iter().cycle();
        group.bench_function(S::NAME, |bencher| {
            bencher.iter(|| black_box(cache.get(next.next().unwrap())));
        });
    }
    // In the processor's caches, and far beyond them.
    for present in [1_000, 200_000] {
        bench::<Quick>(criterion, present);
        bench::<Moka>(criterion, present);
        bench::<Cache>(criterion, present);
    }
}

fn contended_hits(criterion: &mut Criterion) {
    fn bench<S: Subject>(criterion: &mut Criterion) {
        let (cache, digests) = filled::<S>(1_000);
        let stop = AtomicBool::new(false);
        let mut group = criterion.benchmark_group("hit beside another thread/1000");
        group.throughput(Throughput::Elements(1));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for digest in &digests {
                        black_box(cache.get(digest));
                    }
                }
            });
            let mut next = digests.iter().cycle();
            group.bench_function(S::NAME, |bencher| {
                bencher.iter(|| black_box(cache.get(next.next().unwrap())));
            });
            stop.store(true, Ordering::Relaxed);
        });
    }
    bench::<Quick>(criterion);
    bench::<Moka>(criterion);
    bench::<Cache>(criterion);
}

fn insertions(criterion: &mut Criterion) {
    fn bench<S: Subject>(criterion: &mut Criterion) {
        // More than fit, so that every insertion evicts.
        let (cache, _) = filled::<S>(CAPACITY);
        let digests = digests(1 << 32, CAPACITY * 4);
        let mut group = criterion.benchmark_group("insert into a full cache");
        group.throughput(Throughput::Elements(1));
        let mut next = digests.iter().cycle();
        group.bench_function(S::NAME, |bencher| {
            bencher.iter(|| cache.insert(next.next().unwrap(), entry()));
        });
    }
    bench::<Quick>(criterion);
    bench::<Moka>(criterion);
    bench::<Cache>(criterion);
}

fn filled<S: Subject>(present: usize) -> (S, Vec<Digest>) {
    let cache = S::new(CAPACITY);
    let digests = digests(0, present);
    for digest in &digests {
        cache.insert(digest, entry());
    }
    (cache, digests)
}
