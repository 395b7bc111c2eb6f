//! What can happen to an issuer, while tokens of it are asked about all the time: real HTTPS, and for the last of it a
//! process that is killed while it answers.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod jwks_server;

use jotd::issuer::SigningKey;
use jotd::metrics::FetchLabels;
use jotd::upstream::{Endpoint, Remote};
use jotd::verdict::{Cause, Reason, Verdict};
use jwks_server::issuer::Issuer;
use jwks_server::world::{PATIENCE, World, eventually, mint, remote};
use jwks_server::{Answer, jwks, signing_key};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Two who ask about tokens of a key without pause. Every answer must be that the token is valid.
struct Load {
    is_over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    fn begin(world: &Arc<World>, key: &Arc<SigningKey>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let asked: Arc<AtomicUsize> = Arc::default();
        let callers = (0..2).map(|caller| {
            let (world, key) = (Arc::clone(world), Arc::clone(key));
            let (is_over, asked) = (Arc::clone(&is_over), Arc::clone(&asked));
            std::thread::spawn(move || {
                // One that the cache knows, and one that it does not.
                let known = mint(&key, caller);
                while !is_over.load(Ordering::Relaxed) {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    let fresh = mint(&key, 10 + number);
                    let answer = world.ask(vec![known.clone(), fresh]);
                    let verdicts = answer.recv_timeout(PATIENCE).expect("an answer in time");
                    let bad = verdicts.iter().find(|verdict| !verdict.is_valid());
                    assert_eq!(bad, None, "a good token");
                }
            })
        });
        Self {
            callers: callers.collect(),
            is_over,
            asked,
        }
    }

    /// Waits until more has been asked: whatever has changed before is what it was asked under.
    fn goes_on(&self) {
        let before = self.asked.load(Ordering::Relaxed);
        eventually("tokens are answered", || {
            self.callers.iter().any(JoinHandle::is_finished)
                || self.asked.load(Ordering::Relaxed) > before + 20
        });
    }

    fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.join().expect("every token was good");
        }
    }
}

fn fetches(world: &World, outcome: &'static str) -> u64 {
    let labels = FetchLabels {
        issuer: "acme".into(),
        outcome,
    };
    world.metrics.jwks_fetches.get_or_create(&labels).get()
}

type Said = fn() -> Answer;

/// Checks F-30, F-31, F-32, F-33, F-34, F-35: each while tokens are asked about, and after each a rotation is seen.
#[test]
fn whatever_an_issuer_answers_good_tokens_pass_and_the_next_rotation_is_seen() {
    let key = Arc::new(signing_key("k0"));
    let issuer = Issuer::of(&[&key]);
    let world = Arc::new(World::new(Remote {
        timeout: Duration::from_secs(2),
        key_wait: Duration::from_millis(100),
        ..remote(&issuer.server)
    }));
    world.until_kids(&["k0"]);
    let load = Load::begin(&world, &key);
    let faults: [(&str, Said); 12] = [
        ("unreachable", || Answer::Hangup),
        ("status", || Answer::new("503 Service Unavailable", "busy")),
        ("status", || Answer::new("404 Not Found", "")),
        ("unreachable", || Answer::Drip),
        ("too_large", || Answer::Endless),
        ("too_large", || {
            Answer::ok("x".repeat(jotd::limits::JWKS_BYTES_MAX + 1))
        }),
        ("invalid", || {
            Answer::ok("\u{1f}").with("content-encoding: gzip")
        }),
        ("invalid", || Answer::ok("<html>Please log in</html>")),
        ("invalid", || Answer::ok("{\"keys\":[{\"kty\"")),
        ("empty", || Answer::ok("{\"keys\":[]}")),
        ("status", || {
            Answer::new("302 Found", "").with("location: https://127.0.0.1/latest/meta-data")
        }),
        ("status", || {
            Answer::new("301 Moved Permanently", "").with("location: http://localhost/keys")
        }),
    ];
    for (number, (outcome, answer)) in faults.into_iter().enumerate() {
        let before = fetches(&world, outcome);
        issuer.answer(answer);
        eventually(outcome, || fetches(&world, outcome) >= before + 2);
        load.goes_on();
        // It comes to its senses with another key beside the first.
        let next = signing_key(&format!("k{}", number + 1));
        issuer.publish(&[&key, &next]);
        eventually("the rotation is seen", || {
            world.verdict(&mint(&next, number)).is_valid()
        });
        load.goes_on();
    }
    load.end();
    assert_eq!(world.engine.parked(), 0);
}

/// Checks F-36: tokens of a removed key are refused from the moment on at which it is gone, and of the other never.
#[test]
fn a_key_that_is_removed_under_load_ends_its_tokens_and_no_others() {
    let (removed, kept) = (Arc::new(signing_key("k1")), Arc::new(signing_key("k2")));
    let issuer = Issuer::of(&[&removed, &kept]);
    let world = Arc::new(World::new(remote(&issuer.server)));
    world.until_kids(&["k1", "k2"]);
    let load = Load::begin(&world, &kept);
    let (is_gone, is_over) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let caller = {
        let (world, removed) = (Arc::clone(&world), Arc::clone(&removed));
        let (is_gone, is_over) = (Arc::clone(&is_gone), Arc::clone(&is_over));
        std::thread::spawn(move || {
            let known = mint(&removed, 1);
            let (mut accepted, mut refused) = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                // Looked at before the question is asked.
                let was_gone = is_gone.load(Ordering::SeqCst);
                let verdict = world.verdict(&known);
                match verdict.reason() {
                    None if verdict.is_valid() => {
                        assert!(!was_gone, "accepted after its key was gone");
                        accepted += 1;
                    }
                    reason => {
                        assert_eq!(reason, Some(Reason::UnknownKid), "{verdict:?}");
                        refused += 1;
                    }
                }
            }
            (accepted, refused)
        })
    };
    load.goes_on();
    issuer.publish(&[&kept]);
    world.until_kids(&["k2"]);
    is_gone.store(true, Ordering::SeqCst);
    load.goes_on();
    is_over.store(true, Ordering::Relaxed);
    let (accepted, refused) = caller.join().expect("it was always said rightly");
    assert!(accepted > 0 && refused > 0, "{accepted} and {refused}");
    load.end();
}

/// An issuer that is a process: `jotd serve`, which publishes over HTTPS the keys in a file.
struct IssuerProcess {
    child: Child,
    address: SocketAddr,
    /// How often it has read its keys anew.
    rotations: Arc<AtomicUsize>,
}

impl IssuerProcess {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jotd"))
            .args(["serve", "--config", "issuer.toml"])
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, address) = mpsc::channel();
        let rotations = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&rotations);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if line.contains("keys read anew") {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                let said = line.split("http=").nth(1);
                let said = said.and_then(|rest| rest.split_whitespace().next());
                if let Some(address) = said.and_then(|address| address.parse().ok()) {
                    // It says so once.
                    let _ = sender.send(address);
                }
            }
        });
        let address = address.recv_timeout(PATIENCE);
        Self {
            child,
            address: address.expect("it says where it listens"),
            rotations,
        }
    }
}

impl Drop for IssuerProcess {
    fn drop(&mut self) {
        // It has usually been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The issuer's address for the world: it passes bytes on to the process, and kills that once it has said so many.
#[derive(Default)]
struct Relay {
    process: Mutex<Option<IssuerProcess>>,
    /// Of what the process says on one connection.
    bytes_left: Mutex<Option<usize>>,
}

impl Relay {
    fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address");
        let relay = Arc::new(Self::default());
        // Threads outlive a test, and the process must not.
        let serving = Arc::downgrade(&relay);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let relay = Weak::clone(&serving);
                std::thread::spawn(move || Self::pass(&relay, near));
            }
        });
        (relay, address)
    }

    /// However a connection ends is the two ends' business.
    fn pass(relay: &Weak<Self>, near: TcpStream) -> Option<()> {
        let address = {
            let relay = relay.upgrade()?;
            relay.process.lock().expect("no panic").as_ref()?.address
        };
        let mut far = TcpStream::connect(address).ok()?;
        let (mut asks, mut to_far) = (near.try_clone().ok()?, far.try_clone().ok()?);
        std::thread::spawn(move || std::io::copy(&mut asks, &mut to_far));
        let mut near = near;
        let mut buffer = [0; 4096];
        loop {
            let read = far.read(&mut buffer).ok().filter(|read| *read > 0)?;
            let mut said = &buffer[..read];
            let relay = relay.upgrade()?;
            let mut left = relay.bytes_left.lock().expect("no panic");
            let is_enough = match &mut *left {
                Some(left) if *left <= said.len() => {
                    said = &said[..*left];
                    true
                }
                Some(left) => {
                    *left -= said.len();
                    false
                }
                None => false,
            };
            if is_enough {
                *left = None;
                // SIGKILL: nothing is finished, nothing is said.
                relay.process.lock().expect("no panic").take();
            }
            drop(left);
            near.write_all(said).ok()?;
            if is_enough {
                near.shutdown(std::net::Shutdown::Both).ok()?;
                return None;
            }
        }
    }

    fn serve(&self, folder: &Path) {
        *self.process.lock().expect("no panic") = Some(IssuerProcess::start(folder));
    }

    fn has_rotated(&self) -> bool {
        let process = self.process.lock().expect("no panic");
        let rotations = process.as_ref().map(|process| &process.rotations);
        rotations.is_some_and(|rotations| rotations.load(Ordering::Relaxed) > 0)
    }

    fn is_dead(&self) -> bool {
        self.process.lock().expect("no panic").is_none()
    }

    fn kill_after(&self, bytes: usize) {
        *self.bytes_left.lock().expect("no panic") = Some(bytes);
    }
}

/// A folder with an issuer's certificate, configuration and keys.
fn issuer_folder(keys: &[&SigningKey]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let certified = certified.expect("a certificate");
    let write = |name: &str, text: String| {
        std::fs::write(folder.path().join(name), text).expect("writable");
    };
    write("cert.pem", certified.cert.pem());
    write("key.pem", certified.signing_key.serialize_pem());
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("key.pem"), private).expect("ours");
    write("jwks.json", jwks(keys));
    write(
        "issuer.toml",
        "[limits]\ndeadline_ms = 10_000\n\n[listen]\nsocket = \"run/jotd.sock\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n\
         [listen.tls]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n\n\
         [[issuer]]\nname = \"acme\"\nissuer = \"https://idp.example\"\njwks_file = \"jwks.json\"\n\
         audiences = [\"payments\"]\nalgorithms = [\"ES256\"]\n"
            .to_owned(),
    );
    let ca_file = folder.path().join("cert.pem");
    (folder, ca_file)
}

/// Checks F-37: killed at one point of its answer after another, just when it has rotated. Until it is back nobody can
/// say what a token of the new key is worth, and nobody says it; then it is good.
#[test]
fn an_issuer_that_is_killed_while_it_answers_costs_no_good_token() {
    let key = Arc::new(signing_key("k0"));
    let (folder, ca_file) = issuer_folder(&[&key]);
    let (relay, address) = Relay::start();
    relay.serve(folder.path());
    let uri = format!("https://localhost:{}/.well-known/jwks.json", address.port());
    let endpoint = Endpoint::Jwks(uri.parse().expect("a URL"));
    let background = Remote::new(endpoint.clone());
    let world = Arc::new(World::new(Remote {
        refresh: Duration::from_secs(3_600),
        refetch_min: Duration::from_millis(10),
        key_wait: Duration::from_millis(300),
        ca_file: Some(ca_file),
        allow_private_address: true,
        ..background
    }));
    world.until_kids(&["k0"]);
    let load = Load::begin(&world, &key);
    let mut newest = "k0".to_owned();
    // From the first byte of the handshake to the middle of the answer; it says more than a thousand in all.
    for (number, bytes) in [0, 1, 100, 300, 500, 700, 900].into_iter().enumerate() {
        newest = format!("k{}", number + 1);
        let next = signing_key(&newest);
        let fresh = folder.path().join("jwks.new");
        std::fs::write(&fresh, jwks(&[&key, &next])).expect("writable");
        std::fs::rename(fresh, folder.path().join("jwks.json")).expect("renamed");
        eventually("it rotates", || relay.has_rotated());
        relay.kill_after(bytes);
        let token = mint(&next, number);
        eventually("it is killed while it answers", || {
            let verdict = world.verdict(&token);
            let is_open = matches!(&verdict, Verdict::Unavailable(unavailable)
                if unavailable.cause == Cause::KeysRefreshing);
            assert!(is_open, "killed after {bytes} bytes: {verdict:?}");
            relay.is_dead()
        });
        load.goes_on();
        relay.serve(folder.path());
        eventually("the new key counts", || world.verdict(&token).is_valid());
        load.goes_on();
    }
    assert_eq!(world.kids(), Some(vec!["k0".to_owned(), newest]));
    load.end();
    assert_eq!(world.engine.parked(), 0);
}
