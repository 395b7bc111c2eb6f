//! The lines of `docs/revocation.md` by which anybody revokes, run as they stand there.

use crate::daemon_support::{eventually, verdict};
use crate::redis::Redis;
use crate::shared::sharing;
use crate::tokens::mint;
use serde_json::json;
use std::path::Path;
use std::process::Command;

#[test]
fn a_service_revokes_with_the_documented_lines() {
    let redis = Redis::start();
    let world = sharing(&redis, None);
    let daemon = world.start();
    let address = daemon.addresses().http.expect("a listener");
    let token = mint(&world, &json!({"sub": "s", "jti": "4f1c"}), 0);
    eventually("valid", || verdict(address, &token)["valid"] == true);

    let page = include_str!("../../docs/revocation.md");
    let from = page.find("keys='rev:").expect("the lines");
    let lines = &page[from..from + page[from..].find("```").expect("their end")];
    let socket = redis.socket().display().to_string();
    let lines = lines.replace("/run/redis/redis.sock", &socket);
    let jotd = env!("CARGO_BIN_EXE_jotd");
    let scripts =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/upstream/revocation/redis/scripts");
    let output = Command::new("sh")
        .args(["-c", &format!("jotd() {{ {jotd} \"$@\"; }}\n{lines}")])
        .current_dir(scripts)
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{output:?}");
    eventually("refused", || {
        verdict(address, &token)["reason"] == "revoked"
    });
    let _ = daemon.stop();
}
