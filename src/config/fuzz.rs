//! The fuzz body of this room, with the seeds it starts from. `cargo test` runs it over deterministic
//! mutations, cargo-fuzz over its own.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::Path;

/// Configurations to begin with: between them they use every setting.
pub const SEEDS: &[&str] = &[
    include_str!("../../deploy/jotd.toml"),
    "[threads]\nio = \"0\"\nverify = \"1-3,8\"\n[cache]\nshards = 3\n[[peer]]\nuid = 1\ngid = 2\n",
    "[[issuer]]\nname = \"a\"\nissuer = \"any\"\naudiences = \"any\"\nalgorithms = [\"none\", 1]\n",
    "issuer = 1\nlisten.tls = []\n[batch]\nmax_tokens = 9999999999999999999999\n",
];

/// Reads any bytes as a configuration; must neither panic nor take long. What is after a NUL is given as
/// the value of an environment variable whose name stands before a `=`.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (text, variable) = text.split_once('\0').unwrap_or((&text, ""));
    let environment = variable.split_once('=').map(|(name, value)| {
        (
            OsString::from(format!("JOTD_{name}")),
            OsString::from(value),
        )
    });
    match super::parse(text, Path::new("/nonexistent/jotd.toml"), environment) {
        Ok(config) => assert!(!config.issuers.is_empty()),
        Err(faults) => {
            assert!(!faults.list().is_empty());
            assert!(!faults.to_string().contains('\0'));
        }
    }
}
