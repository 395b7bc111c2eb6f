//! `jotd revoke`, and the lines that orders leave in the log.

use crate::daemon_support::eventually;
use crate::support::{Process, jotd_revoke, said, world};
use serde_json::{Value, json};
use std::os::unix::net::UnixStream;
use std::process::Command;

#[test]
fn the_command_line_revokes_lists_and_says_what_is_wrong() {
    let world = world();
    let daemon = world.start();
    let done = jotd_revoke(
        &world,
        &["--sub", "alice", "--client", "shop", "--wait", "applied"],
        "",
    );
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(
        text.starts_with("applied: sub+client of tenant default, record "),
        "{text}"
    );
    assert!(
        text.contains("synced to this host's disk; revision 1"),
        "{text}"
    );
    let key = jotd_revoke(
        &world,
        &["--sub", "alice", "--client", "shop", "--print-id"],
        "",
    );
    let key = String::from_utf8_lossy(&key.stdout).trim().to_owned();
    assert!(key.len() == 42 && text.contains(&key), "{key}");

    let json = jotd_revoke(&world, &["--kid", "k9", "--json"], "");
    let receipt: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(
        (&receipt["progress"], &receipt["revision"]),
        (&json!("applied"), &json!(2))
    );
    let list = jotd_revoke(&world, &["list", "--json"], "");
    let lines: Vec<Value> = list
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    let table = jotd_revoke(&world, &["list", "--kind", "several"], "");
    assert!(said(&table).contains(&key), "{}", said(&table));

    for (arguments, code, words) in [
        (&[][..], 2, "nothing is named"),
        (&["--everything", "--sub", "x"], 2, "cannot stand beside"),
        (&["--digest", "xyz"], 2, "64 digits"),
        (
            &["--sub", "x", "--tenant", "nobody"],
            2,
            "no issuer has this tenant; there are default",
        ),
        (
            &["--sub", "x", "--issued-before", "99999999999"],
            2,
            "wants seconds",
        ),
        (
            &["--sub", "x", "--issued-before", "4000000000"],
            2,
            "lies in the future",
        ),
        (&["--token", "-"], 2, "holds no token"),
        (
            &["--sub", "x", "--socket", "/nonexistent"],
            1,
            "/nonexistent",
        ),
    ] {
        let refused = jotd_revoke(&world, arguments, "not a token");
        assert_eq!(
            refused.status.code(),
            Some(code),
            "{arguments:?} {}",
            said(&refused)
        );
        assert!(
            said(&refused).contains(words),
            "{arguments:?} {}",
            said(&refused)
        );
    }
    // Over TCP it takes the secret.
    let admin = daemon
        .addresses()
        .admin
        .expect("an admin listener")
        .to_string();
    let tcp = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jotd"));
        command
            .args(["revoke", "--jti", "t", "--admin", &admin])
            .args(more);
        command.output().expect("it ends")
    };
    assert_eq!(tcp(&[]).status.code(), Some(2));
    let secret = world.path("admin.secret");
    let with = tcp(&["--secret-file", &secret.display().to_string()]);
    assert_eq!(with.status.code(), Some(0), "{}", said(&with));
    let _ = daemon.stop();
}

/// Whoever turns the log down still learns who revoked; and nothing of a token is in it.
#[test]
fn every_order_leaves_an_audit_line_and_no_token_does() {
    let world = world();
    let config = std::fs::read_to_string(world.config_path()).expect("readable");
    world.write_config(&format!("{config}\n[log]\nlevel = \"error\"\n"));
    let (process, log) = Process::serve(&world);
    eventually("it listens", || {
        UnixStream::connect(world.path("run/admin.sock")).is_ok()
    });
    let token = world.token();
    for arguments in [&["--sub", "alice-the-user"][..], &["--token", "-"]] {
        let done = jotd_revoke(&world, arguments, &token);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    }
    let refused = jotd_revoke(&world, &["--sub", "x", "--tenant", "nobody"], "");
    assert_eq!(refused.status.code(), Some(2));
    process.kill();
    let lines: Vec<String> = log.iter().collect();
    let uid = format!("uid:{}", rustix::process::getuid().as_raw());
    let audit: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("jotd::audit"))
        .collect();
    assert_eq!(audit.len(), 3, "{lines:?}");
    assert!(
        audit[0].contains(&uid) && audit[0].contains("sub") && audit[0].contains("applied"),
        "{audit:?}"
    );
    assert!(
        audit[1].contains("iss+jti") && audit[1].contains("revision=2"),
        "{audit:?}"
    );
    assert!(audit[2].contains("invalid"), "{audit:?}");
    let all = lines.join("\n");
    let parts = token.split('.').chain(["alice-the-user"]);
    for part in parts {
        assert!(
            !all.contains(part),
            "part of a token or a name is in the log"
        );
    }
}
