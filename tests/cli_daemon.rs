//! `jotd dev` and `jotd serve`, from their start to the exit code they leave.

mod cli_support;

use cli_support::{AUDIENCE, Bench, ISSUER, forged};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

/// A daemon that is ended when the test is, however the test ends.
struct Daemon(Child);

impl Daemon {
    fn start(bench: &Bench, arguments: &[&str]) -> Self {
        let mut command = bench.command(arguments);
        // Where the usual place is not ours, or taken, its socket goes into the test's folder.
        command.env("XDG_RUNTIME_DIR", bench.path(""));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(bench.path("stderr")).expect("a file"));
        Self(command.spawn().expect("the binary starts"))
    }

    fn stdout(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("piped"))
    }

    /// Asks it to stop, and gives its exit code.
    fn stop(mut self) -> Option<i32> {
        signal(&self.0, rustix::process::Signal::TERM);
        self.0.wait().expect("it ends").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id()).expect("a process number");
    let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
    rustix::process::kill_process(pid, signal).expect("it runs");
}

/// The answer to a question, headers and all.
fn ask(mut stream: impl Read + Write, token: &str) -> String {
    let body = format!("{{\"token\":\"{token}\",\"want\":[\"claims\"]}}");
    let length = body.len();
    write!(
        stream,
        "POST /v1/verify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The part of a line between two others.
fn between<'t>(line: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = line.split_once(before).expect("what comes before");
    rest.split_once(after).expect("what comes after").0
}

#[test]
fn the_lines_that_dev_prints_do_what_they_say() {
    let bench = Bench::new();
    let mut daemon = Daemon::start(&bench, &["dev"]);
    let mut lines = daemon.stdout().lines().map(|line| line.expect("text"));
    let token = lines.next().expect("a token");
    let over_http = lines.next().expect("a line to paste");
    let over_socket = lines.next().expect("another");
    assert_eq!(token.split('.').count(), 3);
    for line in [&over_http, &over_socket] {
        assert!(line.starts_with("curl ") && line.contains(&token), "{line}");
    }
    let address = between(&over_http, "http://", "/v1/verify");
    let answer = ask(TcpStream::connect(address).expect("it listens"), &token);
    assert!(answer.contains("\"valid\":true"), "{answer}");
    assert!(answer.contains("\"sub\":\"developer\""), "{answer}");
    let answer = ask(
        TcpStream::connect(address).expect("it listens"),
        &forged(&token),
    );
    assert!(answer.contains("\"reason\":\"bad_signature\""), "{answer}");
    let socket = between(&over_socket, "--unix-socket ", " ").trim_matches('\'');
    let answer = ask(UnixStream::connect(socket).expect("it listens"), &token);
    assert!(answer.contains("\"valid\":true"), "{answer}");
    assert_eq!(bench.run(&["health", "--socket", socket]).code, 0);
    assert_eq!(daemon.stop(), Some(0));
    let said = bench.read("stderr");
    assert!(said.contains("NEVER FOR PRODUCTION"), "{said}");
    assert!(
        !said.contains(&token),
        "the token is data, and goes to stdout alone"
    );
    assert_eq!(bench.run(&["health", "--socket", socket]).code, 1);
}

fn configuration(more: &str) -> String {
    format!(
        "[listen]\nsocket = \"jotd.sock\"\nhttp = \"off\"\nadmin = \"off\"\n{more}\n\
         [limits]\ndeadline_ms = 10_000\n\
         [[issuer]]\nname = \"acme\"\nissuer = \"{ISSUER}\"\njwks_file = \"keys.json\"\n\
         audiences = [\"{AUDIENCE}\"]\nalgorithms = [\"ES256\"]\n"
    )
}

/// Looks again and again, for two minutes at most: only what never comes takes that long.
fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    for _ in 0..2400 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("waited in vain for {what}");
}

fn wait_for_socket(path: &Path) -> UnixStream {
    wait_for("the daemon to come up", || UnixStream::connect(path).ok())
}

#[test]
fn serve_answers_keeps_its_configuration_over_a_bad_reload_and_stops_with_0() {
    let bench = Bench::new();
    let key = bench.key("keys", jotd::jose::Algorithm::Es256);
    bench.write("jotd.toml", configuration(""));
    let config = bench.path("jotd.toml");
    let daemon = Daemon::start(&bench, &["serve", "--config", &config.to_string_lossy()]);
    let socket = bench.path("jotd.sock");
    let now = jotd::clock::Clock::system().now().latest;
    let token = key
        .mint(&cli_support::claims("alice"), now)
        .expect("it can be minted");
    let answer = ask(wait_for_socket(&socket), &token);
    assert!(
        answer.contains("\"valid\":true,\"issuer\":\"acme\""),
        "{answer}"
    );

    bench.write("jotd.toml", "nonsense = 1\n");
    signal(&daemon.0, rustix::process::Signal::HUP);
    wait_for("the reload to be refused", || {
        bench.read("stderr").contains("nonsense").then_some(())
    });
    let answer = ask(wait_for_socket(&socket), &token);
    assert!(answer.contains("\"valid\":true"), "{answer}");
    assert_eq!(daemon.stop(), Some(0));
    let log = bench.read("stderr");
    assert!(log.contains("ready"), "{log}");
    assert!(!log.contains(&token), "no log holds a token");
    for part in token.split('.').skip(1) {
        assert!(!log.contains(part), "no log holds a part of a token");
    }
}

#[test]
fn serve_with_a_faulty_configuration_names_the_faults_and_exits_with_2() {
    let bench = Bench::new();
    bench.write("jotd.toml", configuration("[cache]\ncapcity = 1"));
    let said = bench.run(&["serve", "--config", "jotd.toml"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    // The key file is missing too: all faults at once.
    assert!(said.stderr.contains("jotd.toml:6:1"), "{}", said.stderr);
    assert!(said.stderr.contains("keys.json"), "{}", said.stderr);
    assert_eq!(bench.run(&["serve", "--config", "absent.toml"]).code, 2);
}

#[test]
fn serve_that_cannot_listen_says_where_and_exits_with_1() {
    let bench = Bench::new();
    bench.key("keys", jotd::jose::Algorithm::Es256);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let text = configuration("").replacen("http = \"off\"", &format!("http = \"{address}\""), 1);
    bench.write("jotd.toml", text);
    let config = bench.path("jotd.toml");
    let said = bench.run(&["serve", "--config", &config.to_string_lossy()]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains(&address), "{}", said.stderr);
}
