//! What the stories about key rings share: a ring, and the commands run on it.
#![allow(dead_code, reason = "each story uses a part")]
#![allow(clippy::disallowed_methods, reason = "a ring is made for the present")]

use jotd::issuer::ring::Terms;
use jotd::jose::Algorithm;
use jotd::vault::{KeySpec, LockedRing, Opener};
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time")
}

pub(crate) fn opener() -> Opener<'static> {
    Opener {
        sealing: None,
        environment: &|_| None,
    }
}

/// The ring's first key is made by the library; the rest is up to the commands.
pub(crate) fn ring_in(folder: &Path, publish_seconds: i64) {
    let terms = Terms {
        publish_seconds,
        lifetime_seconds_max: 3600,
    };
    let spec = KeySpec {
        algorithm: Some(Algorithm::Es256),
        ..KeySpec::default()
    };
    LockedRing::create(folder, terms, &spec, &opener(), now()).expect("a ring");
}

pub(crate) fn jotd(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jotd"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the binary runs")
}

pub(crate) fn done(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout.clone()).expect("text")
}
