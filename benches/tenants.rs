//! Many tenants beside one: hits of the cache on the asking thread, what one tenant more costs the records, and how long
//! daemons take to start and what they take of memory.
//!
//! `cargo bench --bench tenants`, or one part of it: `-- hits`, `-- records`, `-- start`. The figures for hits are of one
//! process, interleaved, so that their ratio means something.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench is its own reader and its own clock, and panics when it cannot measure"
)]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jotd::clock::Clock;
use jotd::engine::{Call, Engine, Options};
use jotd::issuer::{Claims, SigningKey};
use jotd::jose::{Algorithm, JwkSet};
use jotd::keys::{KeySet, Owner};
use jotd::limits::TOKEN_BYTES_DEFAULT;
use jotd::metrics::Metrics;
use jotd::policy::{Accepted, Policy};
use jotd::verify::{IssTemplate, Issuer, IssuerKeys, IssuerMatch, PolicyId, Records, Want};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    targets = hits, one_more, start
}
criterion_main!(benches);

const TENANTS: usize = 10_000;
const TEMPLATE: &str = "https://login.example/{tenant}/v2.0";
const FRAME: usize = 64;

/// Tokens that are asked about again and again, as many in either case.
const TOKENS: usize = 10_240;

fn hits(criterion: &mut Criterion) {
    let subject = Subject::new();
    let one = subject.warm_engine(1);
    let many = subject.warm_engine(TENANTS);
    let mut group = criterion.benchmark_group("hits");
    group.throughput(Throughput::Elements(FRAME as u64));
    for (name, (engine, tokens)) in [("1 tenant", &one), ("10000 tenants", &many)] {
        let peer = engine.peer("bench", None);
        let mut frames = tokens.chunks(FRAME).cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(ask(engine, &peer, frames.next().unwrap())));
        });
    }
    group.finish();
    // One after the other, many times over: the ratio of the medians is what the page gives.
    let mut rounds: [Vec<f64>; 2] = Default::default();
    for _ in 0..31 {
        for ((engine, tokens), times) in [&one, &many].into_iter().zip(&mut rounds) {
            let peer = engine.peer("bench", None);
            let began = Instant::now();
            for frame in tokens.chunks(FRAME) {
                black_box(ask(engine, &peer, frame));
            }
            times.push(began.elapsed().as_secs_f64());
        }
    }
    let [one, many] = rounds.map(|times| median(times) / TOKENS as f64 * 1e9);
    println!(
        "hits: {one:.0} ns a token with 1 tenant, {many:.0} ns with {TENANTS}, ratio {:.3}",
        many / one
    );
}

fn one_more(criterion: &mut Criterion) {
    let subject = Subject::new();
    let records = subject.records(TENANTS);
    let keys = subject.keys(&name(1));
    let mut group = criterion.benchmark_group("records of 10000 tenants");
    group.bench_function("one tenant more", |bencher| {
        bencher.iter(|| {
            records
                .with_tenant(&iss("another"), Some(Arc::clone(&keys)))
                .unwrap()
        });
    });
    group.bench_function("other keys for one", |bencher| {
        bencher.iter(|| {
            records
                .with_tenant(&iss(&name(1)), Some(Arc::clone(&keys)))
                .unwrap()
        });
    });
    group.bench_function("one fewer", |bencher| {
        bencher.iter(|| records.without_tenant(&iss(&name(1))).unwrap());
    });
    group.finish();
}

/// Real daemons, from the spawning of the process to the first valid verdict, and what they take of memory. With other
/// words on the command line than `start`, nothing is started.
fn start(_: &mut Criterion) {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    if words.next().is_some_and(|word| word != "start") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<SigningKey> = (0..TENANTS).map(|_| Subject::new().key).collect();
    let sets: Arc<[String]> = keys.iter().map(set_of).collect();
    let port = serve_sets(Arc::clone(&sets));
    let remote = |number: usize| {
        format!("jwks_uri = \"http://127.0.0.1:{port}/{number}\"\nallow_insecure_loopback = true")
    };
    let inline = |number: usize| format!("jwks = '{}'", sets[number]);
    let file = |number: usize| {
        let path = folder.path().join(format!("{number}.json"));
        std::fs::write(&path, &sets[number]).unwrap();
        format!("jwks_file = \"{}\"", path.display())
    };
    let case = |name, issuers: usize, keys_of: &dyn Fn(usize) -> String| {
        let issuers = (0..issuers).map(|number| issuer(number, &keys_of(number)));
        Case::new(folder.path(), name, &issuers.collect::<String>())
    };
    let template = format!(
        "[[issuer]]\nname = \"login\"\nissuer = \"https://idp.example/{{tenant}}\"\n\
         jwks_uri = \"http://127.0.0.1:{port}/{{tenant}}\"\nallow_insecure_loopback = true\n\
         tenants_max = 20_000\ntenant_fetches_per_second = 1000\nkey_wait_ms = 5000\n\
         audiences = [\"payments\"]\nalgorithms = [\"ES256\"]\n"
    );
    let cases = [
        case("1 issuer", 1, &inline),
        case("10000 issuers, keys inline", TENANTS, &inline),
        case("10000 issuers, keys in files", TENANTS, &file),
        case("10000 issuers, keys fetched and kept", TENANTS, &remote),
        Case::new(folder.path(), "a template", &template),
    ];
    let first = token(&keys[0], 0);
    cases[3].fill_kept(TENANTS);
    let mut times = vec![Vec::new(); cases.len()];
    let mut resident = vec![Vec::new(); cases.len()];
    for _ in 0..STARTS {
        for ((case, times), resident) in cases.iter().zip(&mut times).zip(&mut resident) {
            let began = Instant::now();
            let daemon = case.spawn();
            daemon.until_valid(&first);
            times.push(began.elapsed().as_secs_f64() * 1e3);
            resident.push(daemon.resident_bytes());
        }
    }
    println!("process spawned to first valid verdict, median of {STARTS}, and memory then");
    let one = median(resident[0].clone());
    for ((case, times), resident) in cases.iter().zip(times).zip(resident) {
        let resident = median(resident);
        println!(
            "  {:38} {:8.1} ms {:7.1} MB, {:7.0} bytes a tenant over one",
            case.name,
            median(times),
            resident / 1e6,
            (resident - one) / TENANTS as f64,
        );
    }
    let daemon = cases[4].spawn();
    let tokens: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| token(key, n))
        .collect();
    daemon.until_valid(&tokens[0]);
    let (before, began) = (daemon.resident_bytes(), Instant::now());
    std::thread::scope(|scope| {
        // One after the other each would wait for its fetch alone.
        for lane in tokens.chunks(TENANTS.div_ceil(32)) {
            let daemon = &daemon;
            scope.spawn(move || lane.iter().for_each(|token| daemon.until_valid(token)));
        }
    });
    println!(
        "  a template that has loaded {TENANTS} tenants, {:.1} s later: {:.0} bytes each",
        began.elapsed().as_secs_f64(),
        (daemon.resident_bytes() - before) / TENANTS as f64,
    );
}

const STARTS: usize = 7;

/// A configuration, and where its daemon listens.
struct Case {
    name: &'static str,
    config: PathBuf,
    socket: PathBuf,
    kept: PathBuf,
}

impl Case {
    fn new(folder: &Path, name: &'static str, issuers: &str) -> Self {
        let stem = folder.join(name.replace([' ', ','], "-"));
        let case = Self {
            name,
            config: stem.with_extension("toml"),
            socket: stem.with_extension("sock"),
            kept: stem.with_extension("kept"),
        };
        let text = format!(
            "[listen]\nsocket = \"{}\"\n\n[keys]\nstate_dir = \"{}\"\n\n{issuers}",
            case.socket.display(),
            case.kept.display()
        );
        std::fs::write(&case.config, text).unwrap();
        case
    }

    fn spawn(&self) -> Daemon<'_> {
        let child = Command::new(env!("CARGO_BIN_EXE_jotd"))
            .args(["serve", "--config"])
            .arg(&self.config)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Daemon { child, case: self }
    }

    /// Runs once, until the keys of so many issuers lie on disk.
    fn fill_kept(&self, issuers: usize) {
        let _daemon = self.spawn();
        let is_kept =
            |file: &std::fs::DirEntry| file.path().extension().is_some_and(|end| end == "jwks");
        while std::fs::read_dir(&self.kept)
            .is_ok_and(|files| files.flatten().filter(is_kept).count() < issuers)
            || !self.kept.exists()
        {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// A running daemon. Killed when dropped.
struct Daemon<'c> {
    child: Child,
    case: &'c Case,
}

impl Daemon<'_> {
    fn until_valid(&self, token: &str) {
        let body = format!("{{\"token\":\"{token}\"}}");
        let ask = || -> std::io::Result<String> {
            let mut stream = UnixStream::connect(&self.case.socket)?;
            write!(
                stream,
                "POST /v1/verify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply)?;
            Ok(reply)
        };
        let began = Instant::now();
        // Refused connections are those of a daemon that is not there yet.
        while !ask().is_ok_and(|reply| reply.contains("\"valid\":true")) {
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}", ask());
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn resident_bytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024.0
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn issuer(number: usize, keys: &str) -> String {
    format!(
        "[[issuer]]\nname = \"i{number}\"\nissuer = \"https://idp.example/{number}\"\ntenant = \"t{number}\"\n{keys}\n\
         audiences = [\"payments\"]\nalgorithms = [\"ES256\"]\n\n"
    )
}

fn set_of(key: &SigningKey) -> String {
    format!("{{\"keys\":[{}]}}", key.public_jwk().unwrap())
}

fn token(key: &SigningKey, number: usize) -> String {
    let claims = Claims {
        issuer: Some(format!("https://idp.example/{number}")),
        subject: Some("somebody".to_owned()),
        audiences: vec!["payments".to_owned()],
        lifetime_seconds: Some(86_400),
        ..Claims::default()
    };
    key.mint(&claims, Clock::system().now().latest).unwrap()
}

/// Answers `/NUMBER` with the set of that number, for as long as the process lives.
fn serve_sets(sets: Arc<[String]>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let sets = Arc::clone(&sets);
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let asked = lines.next().and_then(Result::ok).unwrap_or_default();
                while lines
                    .next()
                    .and_then(Result::ok)
                    .is_some_and(|line| !line.is_empty())
                {}
                let path = asked.split(' ').nth(1).unwrap_or_default();
                let number = path.trim_start_matches('/').parse::<usize>().ok();
                let body = number
                    .and_then(|number| sets.get(number))
                    .map_or("", String::as_str);
                // A daemon that was killed is its own business.
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
            });
        }
    });
    port
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Subject {
    key: SigningKey,
}

impl Subject {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256, None).unwrap();
        Self {
            key: key.with_kid(Some("k1")).unwrap(),
        }
    }

    fn keys(&self, tenant: &str) -> Arc<KeySet> {
        let owner = Owner {
            issuer: "login".into(),
            tenant: format!("login/{tenant}").into(),
        };
        let set = JwkSet::parse(set_of(&self.key).as_bytes()).unwrap();
        let (keys, skipped) = KeySet::pin(&owner, &set, &[self.key.algorithm().scheme()]);
        assert_eq!(skipped, []);
        Arc::new(keys)
    }

    fn records(&self, tenants: usize) -> Records {
        let model = Issuer {
            name: "login".into(),
            tenant: "login/{tenant}".into(),
            iss: IssuerMatch::Template(Arc::new(IssTemplate::parse(TEMPLATE).unwrap())),
            policy: Policy {
                schemes: vec![self.key.algorithm().scheme()],
                audiences: Accepted::OneOf(vec!["payments".into()]),
                ..Policy::default()
            },
            keys: IssuerKeys::Awaited,
            token_bytes_max: TOKEN_BYTES_DEFAULT,
        };
        let mut records = Records::new(vec![model], Vec::new()).unwrap();
        for number in 0..tenants {
            let tenant = name(number);
            records = records
                .with_tenant(&iss(&tenant), Some(self.keys(&tenant)))
                .unwrap();
        }
        records
    }

    /// An engine whose cache knows all tokens, which are of so many tenants in turn.
    fn warm_engine(&self, tenants: usize) -> (Engine, Vec<Bytes>) {
        let records = Arc::new(self.records(tenants));
        let engine = Engine::start(
            &Options::default(),
            records,
            Clock::system(),
            Arc::new(Metrics::new()),
        )
        .unwrap();
        let now = Clock::system().now().latest;
        let mint = |number: usize| {
            let claims = Claims {
                issuer: Some(iss(&name(number % tenants))),
                subject: Some(format!("user-{number:05}")),
                audiences: vec!["payments".to_owned()],
                lifetime_seconds: Some(86_400),
                ..Claims::default()
            };
            Bytes::from(self.key.mint(&claims, now).unwrap())
        };
        let tokens: Vec<Bytes> = (0..TOKENS).map(mint).collect();
        let peer = engine.peer("bench", None);
        for frame in tokens.chunks(FRAME) {
            let verdicts = ask(&engine, &peer, frame);
            assert!(verdicts.iter().all(|verdict| verdict.reason().is_none()));
        }
        (engine, tokens)
    }
}

/// All of one length, so that tokens are too.
fn name(tenant: usize) -> String {
    format!("t-{tenant:04}")
}

fn iss(tenant: &str) -> String {
    TEMPLATE.replace("{tenant}", tenant)
}

fn ask(
    engine: &Engine,
    peer: &Arc<jotd::engine::Peer>,
    tokens: &[Bytes],
) -> Vec<jotd::verdict::Verdict> {
    let (told, verdicts) = mpsc::channel();
    let call = Call {
        peer: Arc::clone(peer),
        tokens: tokens.to_vec(),
        policy: PolicyId::DEFAULT,
        want: Want::Verdict,
        deadline: None,
        min_revision: 0,
    };
    let now = engine.clock().now();
    let at_once = engine.ask(call, now, move |verdicts| told.send(verdicts).unwrap());
    at_once.unwrap_or_else(|| verdicts.recv().unwrap())
}
