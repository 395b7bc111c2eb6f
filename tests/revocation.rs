//! Revocation as its operators and callers see it: a daemon with its own log, from the order to the refused token.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod daemon_support;

use daemon_support::{PATIENCE, World, eventually, http, signing_key, token};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

const SECRET: &str = "c2f1b0a6e9d84f7ab3c5d6e7f8091a2b";

/// A world whose daemon can revoke, over TCP with the secret and on the admin socket.
fn world() -> World {
    let world = World::new();
    write_private(&world.path("admin.secret"), &format!("{SECRET}\n"));
    world.write_config(&world.default_config().replace(
        "[listen]\n",
        "[revocation]\nstate_dir = \"state\"\ntoken_file = \"admin.secret\"\n\n\
         [listen]\nadmin_socket = \"run/admin.sock\"\n",
    ));
    world
}

fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("writable");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).expect("ours");
}

/// One request over any stream, with these further headers: status and body.
fn request(mut stream: impl Read + Write, head: &str, headers: &str, body: &str) -> (u16, String) {
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a whole reply");
    let status = reply.get(9..12).and_then(|status| status.parse().ok());
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.expect("a status line"), body.to_owned())
}

/// A request to the admin listener, with the secret.
fn admin(address: SocketAddr, head: &str, body: &str) -> (u16, Value) {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let headers = format!("authorization: Bearer {SECRET}\r\n");
    let (status, body) = request(stream, head, &headers, body);
    (
        status,
        serde_json::from_str(&body).unwrap_or(Value::String(body)),
    )
}

fn revoke(address: SocketAddr, order: &Value) -> Value {
    let (status, receipt) = admin(
        address,
        "POST /v1/revocations?wait=applied",
        &order.to_string(),
    );
    assert_eq!(status, 200, "{receipt}");
    receipt
}

/// RFC 7009.
fn revoke_token(address: SocketAddr, form: &str) -> (u16, Value) {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let headers = format!(
        "authorization: Bearer {SECRET}\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    );
    let (status, body) = request(stream, "POST /revoke", &headers, form);
    (status, serde_json::from_str(&body).expect("JSON"))
}

#[test]
fn only_who_may_revokes_and_every_fault_is_named() {
    let world = world();
    let daemon = world.start();
    let address = daemon.addresses().admin.expect("an admin listener");
    let order = r#"{"jti":"a"}"#;
    let ask = |headers: &str| {
        let stream = TcpStream::connect(address).expect("it listens");
        request(stream, "POST /v1/revocations", headers, order)
    };
    assert_eq!(ask("").0, 401);
    assert_eq!(ask("authorization: Bearer wrong\r\n").0, 401);
    let browser = format!("authorization: Bearer {SECRET}\r\norigin: https://evil.example\r\n");
    assert_eq!(ask(&browser).0, 403);
    for path in [
        "GET /v1/revocations",
        "GET /v1/revocations/watch",
        "POST /revoke",
    ] {
        let stream = TcpStream::connect(address).expect("it listens");
        assert_eq!(request(stream, path, "", "").0, 401, "{path}");
    }
    // On the socket, its permissions have said who may.
    let socket = world.path("run/admin.sock");
    let mode = std::fs::metadata(&socket)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let stream = UnixStream::connect(&socket).expect("it listens");
    let (status, body) = request(stream, "POST /v1/revocations", "", order);
    assert_eq!(status, 200, "{body}");

    let faulty = r#"{"orders":[{"jti":"b"},{"jti":"","Sub":"x"},{"tenant":"acne","sub":"x"},{}]}"#;
    let (status, faults) = admin(address, "POST /v1/revocations", faulty);
    assert_eq!((status, &faults["error"]), (400, &json!("invalid_orders")));
    let named: Vec<u64> = faults["faults"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|fault| fault["order"].as_u64().expect("a place"))
        .collect();
    assert_eq!(named, [1, 1, 2, 3], "{faults}");
    for wrong in [
        "",
        "[]",
        r#"{"orders":[]}"#,
        r#"{"orders":7}"#,
        r#"{"orders":[{"jti":"b"}],"wait":1}"#,
    ] {
        assert_eq!(
            admin(address, "POST /v1/revocations", wrong).0,
            400,
            "{wrong}"
        );
    }
    let (status, _) = admin(address, "POST /v1/revocations?wait=never", order);
    assert_eq!(status, 400);

    let (_, list) = admin(address, "GET /v1/revocations", "");
    assert_eq!(
        list["total"], 1,
        "nothing of a faulty request was taken: {list}"
    );
    let (_, text) = http(address, "GET", "/metrics", "");
    for line in [
        "jotd_revoked_total{kind=\"jti\"} 1",
        "jotd_revocations_refused_total{why=\"unauthorized\"} 5",
        "jotd_revocations_refused_total{why=\"invalid\"} 7",
        "jotd_revocation_entries 1",
        "jotd_revocation_state{state=\"live\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let (_, ready) = http(address, "GET", "/readyz", "");
    let ready: Value = serde_json::from_str(&ready).expect("JSON");
    assert_eq!(
        ready["revocation"],
        json!({"state":"live","age_ms":0,"entries":1,"revision":1})
    );
    let _ = daemon.stop();
}

#[test]
fn what_is_revoked_can_be_listed_in_pages_and_watched() {
    let world = world();
    let daemon = world.start();
    let address = daemon.addresses().admin.expect("an admin listener");
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut watching = stream.try_clone().expect("a second handle");
    write!(
        watching,
        "GET /v1/revocations/watch HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer {SECRET}\r\n\r\n"
    )
    .expect("sent");
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines
        .find(|line| line.starts_with('{'))
        .expect("a first line");
    assert_eq!(first, r#"{"revision":0,"watching":true}"#);
    let orders: Vec<Value> = (0..5)
        .map(|number| json!({"sub": format!("user-{number}")}))
        .collect();
    let receipt = revoke(address, &json!({"orders": orders}));
    assert_eq!(
        (&receipt["progress"], &receipt["revision"]),
        (&json!("applied"), &json!(5))
    );
    assert_eq!(
        receipt["positions"],
        json!([{"log": "local", "epoch": 0, "sequence": 5}])
    );
    let told: Vec<Value> = lines
        .by_ref()
        .take(5)
        .map(|line| serde_json::from_str(&line).expect("JSON"))
        .collect();
    for (told, given) in told
        .iter()
        .zip(receipt["revocations"].as_array().expect("a list"))
    {
        assert_eq!(
            (&told["record"], &told["kind"]),
            (&given["record"], &json!("sub"))
        );
        assert_eq!(
            (&told["tenant"], &told["revision"]),
            (&json!("default"), &json!(5))
        );
    }

    let mut seen = Vec::new();
    let mut path = "GET /v1/revocations?limit=2&kind=sub&tenant=default".to_owned();
    loop {
        let (status, page) = admin(address, &path, "");
        assert_eq!(status, 200, "{page}");
        seen.extend(
            page["revocations"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|one| one["record"].to_string()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("GET /v1/revocations?limit=2&kind=sub&tenant=default&after={next}");
    }
    let sorted = seen.is_sorted();
    assert!(sorted && seen.len() == 5, "{seen:?}");
    assert_eq!(
        admin(address, "GET /v1/revocations?kind=jti", "").1["revocations"],
        json!([])
    );
    assert_eq!(admin(address, "GET /v1/revocations?limit=0", "").0, 400);
    let _ = daemon.stop();
    assert!(lines.next().is_none(), "the stream ends with the daemon");
}

/// A child that is killed when the test ends, if it still runs.
struct Process(Child);

impl Process {
    fn serve(world: &World) -> (Self, std::sync::mpsc::Receiver<String>) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jotd"))
            .arg("serve")
            .arg("--config")
            .arg(world.config_path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (lines, log) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody may be listening any more.
                let _ = lines.send(line);
            }
        });
        (Self(child), log)
    }

    fn kill(mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), Signal::KILL).expect("it runs");
        self.0.wait().expect("a child of ours");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has usually ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `jotd revoke` with these arguments, at the admin socket, with this on its standard input.
fn jotd_revoke(world: &World, arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_jotd"))
        .arg("revoke")
        .args(arguments)
        .env("JOTD_LISTEN__ADMIN_SOCKET", world.path("run/admin.sock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that reads nothing may have ended already.
    let _ = child
        .stdin
        .take()
        .expect("piped")
        .write_all(stdin.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{:?}\n{out}\n{err}", output.status.code())
}

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

/// RFC 7009 §2.2: what is no good token is answered as what was revoked. Forgeries revoke nothing.
#[test]
fn a_client_hands_in_its_token() {
    let world = world();
    let daemon = world.start();
    let address = daemon.addresses().admin.expect("an admin listener");
    let stranger = token(&signing_key("k1"));
    for unknown in [
        "token=nonsense",
        &format!("token={stranger}&token_type_hint=refresh_token"),
    ] {
        assert_eq!(
            revoke_token(address, unknown),
            (200, json!({})),
            "{unknown}"
        );
    }
    assert_eq!(admin(address, "GET /v1/revocations", "").1["total"], 0);
    for (form, error) in [
        ("", "invalid_request"),
        ("token=", "invalid_request"),
        ("token=a&token=b", "invalid_request"),
    ] {
        let (status, reply) = revoke_token(address, form);
        assert_eq!((status, &reply["error"]), (400, &json!(error)), "{form}");
    }
    let good = world.token();
    assert_eq!(
        revoke_token(
            address,
            &format!("token={good}&token_type_hint=access_token")
        )
        .0,
        200
    );
    let (_, list) = admin(address, "GET /v1/revocations", "");
    assert_eq!(
        (&list["total"], &list["revocations"][0]["kind"]),
        (&json!(1), &json!("jti"))
    );
    let _ = daemon.stop();
}

/// `kill -9` amid a stream of orders, again and again: every order that was acknowledged is known to the next daemon.
#[test]
fn a_killed_daemon_forgets_no_acknowledged_order() {
    let world = world();
    let mut acknowledged = Vec::new();
    for round in 0..3_u64 {
        let (process, _log) = Process::serve(&world);
        let socket = world.path("run/admin.sock");
        eventually("it listens", || UnixStream::connect(&socket).is_ok());
        let mut askers = Vec::new();
        let count = std::sync::Arc::new(AtomicUsize::new(0));
        for asker in 0..4_u64 {
            let (socket, count) = (socket.clone(), count.clone());
            askers.push(std::thread::spawn(move || {
                let mut keys = Vec::new();
                for number in 0.. {
                    let order = json!({"jti": format!("{round}-{asker}-{number}")}).to_string();
                    let Some(key) = order_once(&socket, &order) else {
                        break;
                    };
                    keys.push(key);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                keys
            }));
        }
        eventually("some are acknowledged", || {
            count.load(Ordering::Relaxed) > 20
        });
        // Amid whatever comes next.
        std::thread::sleep(std::time::Duration::from_micros(1_700 * round));
        process.kill();
        for asker in askers {
            acknowledged.extend(asker.join().expect("no panic"));
        }
    }
    let (_process, _log) = Process::serve(&world);
    eventually("it listens", || {
        UnixStream::connect(world.path("run/admin.sock")).is_ok()
    });
    let list = jotd_revoke(&world, &["list", "--limit", "10000000"], "");
    let known = String::from_utf8_lossy(&list.stdout);
    let known: std::collections::HashSet<&str> = known
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    let lost: Vec<&String> = acknowledged
        .iter()
        .filter(|key| !known.contains(key.as_str()))
        .collect();
    assert!(
        lost.is_empty(),
        "{} of {} were lost",
        lost.len(),
        acknowledged.len()
    );
}

/// The key of the record, if the order was acknowledged.
fn order_once(socket: &Path, order: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    write!(
        stream,
        "POST /v1/revocations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{order}",
        order.len()
    )
    .ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let receipt: Value = serde_json::from_str(body).ok()?;
    assert!(head.contains(" 200 "), "{head}");
    receipt["revocations"][0]["record"]
        .as_str()
        .map(str::to_owned)
}

/// A log that cannot be trusted stops the start: without it, revoked tokens would pass.
#[test]
fn a_damaged_log_stops_the_start_and_what_is_left_can_be_saved() {
    let world = world();
    let daemon = world.start();
    for sub in ["a", "b", "c"] {
        revoke(
            daemon.addresses().admin.expect("an admin listener"),
            &json!({"sub": sub}),
        );
    }
    let _ = daemon.stop();
    let journal = world.path("state/revocations");
    let mut bytes = std::fs::read(&journal).expect("readable");
    // A bit of the first record: two commits stand behind it.
    bytes[50] ^= 1;
    std::fs::write(&journal, &bytes).expect("writable");
    let (mut process, log) = Process::serve(&world);
    let code = process.0.wait().expect("it ends").code();
    let text = log.iter().collect::<Vec<_>>().join("\n");
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("damaged at byte 48: 1 of its records cannot be read, 2 can"),
        "{text}"
    );
    assert_eq!(
        std::fs::read(&journal).expect("readable"),
        bytes,
        "left as it was"
    );

    let saved = world.path("saved");
    let [from, to] = [&journal, &saved].map(|path| path.display().to_string());
    let salvaged = jotd_revoke(&world, &["salvage", &from, "--out", &to], "");
    assert!(
        said(&salvaged).contains("2 records saved"),
        "{}",
        said(&salvaged)
    );
    let config = std::fs::read_to_string(world.config_path()).expect("readable");
    world.write_config(&config.replace("state_dir = \"state\"", "state_dir = \"saved\""));
    let daemon = world.start();
    let address = daemon.addresses().admin.expect("an admin listener");
    assert_eq!(admin(address, "GET /v1/revocations", "").1["total"], 2);
    let _ = daemon.stop();
}
