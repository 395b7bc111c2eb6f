//! The admin listener: who may, what is said, what can be seen.

use crate::daemon_support::{PATIENCE, http, signing_key, token};
use crate::support::{SECRET, admin, request, revoke, revoke_token, world};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

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
