//! The binary as a whole: against its own echo, which trusts everything and must be caught, and against a
//! real daemon, which must never be.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    reason = "tests say what they test by their names, and wait for processes by the clock"
)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const LOADTEST: &str = env!("CARGO_BIN_EXE_loadtest");

/// Short runs: what is tested is that verdicts are asked for and checked, not how fast.
const SHORT: [&str; 6] = ["--duration", "0.3", "--warmup", "0", "--rounds", "1"];

fn loadtest(arguments: &[&str]) -> Output {
    let output = Command::new(LOADTEST).args(arguments).output();
    output.expect("the binary was built for this test")
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is one JSON object"))
        .collect()
}

/// An echo that ends with its test.
struct Echo(Child);

impl Echo {
    fn start(transport: &str, listen: &str, is_up: impl Fn() -> bool) -> Self {
        let child = Command::new(LOADTEST)
            .args(["echo", "--transport", transport, "--listen", listen])
            .stdin(Stdio::null())
            .spawn();
        let echo = Self(child.expect("the binary was built for this test"));
        let start = Instant::now();
        while !is_up() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the echo never listened"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        echo
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn prepared(directory: &Path) -> String {
    let keys = directory.join("keys").display().to_string();
    let output = loadtest(&["prepare", &keys, "--algs", "ES256"]);
    assert!(output.status.success(), "{output:?}");
    keys
}

#[test]
fn an_echo_that_trusts_everything_is_right_about_good_tokens_only() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys = prepared(directory.path());
    let socket = directory.path().join("echo.sock");
    let socket_text = socket.display().to_string();
    let _echo = Echo::start("uds", &socket_text, || socket.exists());
    let target = [
        "--keys",
        &keys,
        "--target",
        &socket_text,
        "--ceiling=false",
        "--json",
    ];
    let hits = ["--hit-ratio", "1", "--working-set", "50"];

    let good = loadtest(&[&["run"][..], &target, &hits, &SHORT].concat());
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let line = &lines(&good)[0];
    assert_eq!(
        (&line["transport"], &line["wrong_verdicts"]),
        (&"uds".into(), &0.into())
    );
    assert!(line["verdicts_per_second"].as_f64() > Some(0.0), "{line}");
    assert!(line["ceiling_per_second"].is_null(), "{line}");

    let forged = ["--invalid-share", "0.5", "--invalid-classes", "forged"];
    let caught = loadtest(&[&["run"][..], &target, &hits, &SHORT, &forged].concat());
    assert_eq!(caught.status.code(), Some(1), "{caught:?}");
    assert!(lines(&caught)[0]["wrong_verdicts"].as_u64() > Some(0));
    let said = String::from_utf8_lossy(&caught.stderr);
    assert!(
        said.contains("of class forged: expected invalid/bad_signature, got valid"),
        "{said}"
    );
}

#[test]
fn an_open_loop_over_http_counts_every_token_of_its_timetable() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys = prepared(directory.path());
    for transport in ["h1", "h2"] {
        let socket = directory.path().join(transport);
        let listen = format!("unix:{}", socket.display());
        let _echo = Echo::start(transport, &listen, || socket.exists());
        let page = directory.path().join("page.html").display().to_string();
        let output = loadtest(&[
            "run",
            "--transport",
            transport,
            "--target",
            &listen,
            "--keys",
            &keys,
            "--json",
            "--html",
            &page,
            "--ceiling=false",
            "--frame-tokens",
            "1",
            "--connections",
            "2",
            "--hit-ratio",
            "1",
            "--working-set",
            "20",
            "--warmup",
            "0",
            "--duration",
            "0.5",
            "--rounds",
            "1",
            "--rate",
            "100",
        ]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("50 decided"),
            "{transport}: 100 a second for half a second: {said}"
        );
        let page = std::fs::read_to_string(&page).expect("the page was written");
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg"));
    }
}

#[test]
fn nonsense_is_exit_code_2_and_a_missing_server_is_1() {
    assert_eq!(
        loadtest(&["run", "--hit-ratio", "2"]).status.code(),
        Some(2)
    );
    let good = ["run", "--invalid-classes", "good"];
    assert_eq!(loadtest(&good).status.code(), Some(2));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let keys = prepared(directory.path());
    let nobody = directory.path().join("nobody.sock").display().to_string();
    let target = [
        "run",
        "--target",
        &nobody,
        "--keys",
        &keys,
        "--pool-tokens",
        "10",
    ];
    assert_eq!(loadtest(&target).status.code(), Some(1));
}

#[test]
fn a_real_daemon_is_never_wrong_over_any_transport() {
    let jotd = jotd().display().to_string();
    let output = loadtest(&["smoke", "--duration", "0.5", "--json", "--jotd", &jotd]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output);
    let transports: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["transport"].as_str())
        .collect();
    assert_eq!(transports, ["uds", "h1", "h2", "grpc"]);
    for line in &lines {
        assert_eq!(line["wrong_verdicts"], 0, "{line}");
        assert!(line["verdicts_per_second"].as_f64() > Some(0.0), "{line}");
        assert!(
            line["verdicts_per_server_cpu_second"].as_f64() > Some(0.0),
            "{line}"
        );
        assert!(line["ratio_to_ceiling"].as_f64() > Some(0.0), "{line}");
    }
}

#[test]
fn the_echo_may_send_frames_back_whole() {
    let jotd = jotd().display().to_string();
    let full = [
        "run",
        "--echo",
        "full",
        "--hit-ratio",
        "1",
        "--json",
        "--jotd",
        &jotd,
    ];
    let output = loadtest(&[&full[..], &SHORT].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(lines(&output)[0]["ratio_to_ceiling"].as_f64() > Some(0.0));
}

/// The daemon beside this binary. A test run of the whole workspace has built it; alone, this does.
fn jotd() -> PathBuf {
    let path = Path::new(LOADTEST).with_file_name("jotd");
    if !path.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "jotd", "--bin", "jotd"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "jotd does not build"
        );
    }
    path
}
