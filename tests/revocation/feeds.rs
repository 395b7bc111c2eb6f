//! What others say is revoked: delivered to a daemon, or fetched by it.

use crate::daemon_support::{PATIENCE, World, eventually, http, issuer, signing_key, verdict};
use crate::support::{SECRET, request, world, write_private};
use jotd::issuer::{ProtectedHeader, SigningKey};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

const ISS: &str = "https://idp.example";
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time")
}

/// A world in which these feeds may speak for its issuer.
fn world_with(feeds: &str) -> World {
    let world = world();
    let config = std::fs::read_to_string(world.config_path()).expect("readable");
    world.write_config(&format!("{config}\n{feeds}"));
    world
}

fn sign(key: &SigningKey, typ: &str, claims: &Value) -> String {
    let header = ProtectedHeader::typ(typ);
    key.sign(&header, claims.to_string().as_bytes())
        .expect("signed")
}

fn token(world: &World, sub: &str, sid: &str, from_now: i64) -> String {
    let claims = json!({
        "iss": ISS, "aud": "payments", "sub": sub, "sid": sid, "iat": now() + from_now, "exp": now() + 300
    });
    sign(&world.key, "JWT", &claims)
}

fn logout(members: &Value) -> Value {
    let mut claims = json!({
        "iss": ISS, "aud": "shop", "iat": now(), "exp": now() + 120, "jti": "l1", "events": {LOGOUT: {}}
    });
    for (name, value) in members.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

fn event(jti: &str, sub: &str) -> Value {
    json!({
        "iss": ISS, "aud": "jotd", "iat": now(), "jti": jti,
        "sub_id": {"format": "iss_sub", "iss": ISS, "sub": sub}, "events": {REVOKED: {}}
    })
}

fn deliver(address: SocketAddr, name: &str, headers: &str, body: &str) -> (u16, Value) {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let (status, body) = request(stream, &format!("POST /v1/feeds/{name}"), headers, body);
    (
        status,
        serde_json::from_str(&body).unwrap_or(Value::String(body)),
    )
}

fn word(http: SocketAddr, token: &str) -> String {
    let said = verdict(http, token);
    if said["valid"] == true {
        return "valid".to_owned();
    }
    said["reason"].as_str().unwrap_or("nothing").to_owned()
}

const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
const SET: &str = "content-type: application/secevent+jwt\r\n";

/// Checks I-22.
#[test]
fn a_logout_token_ends_a_session_whoever_delivers_it() {
    let world = world_with(
        "[[revocation.feed]]\nname = \"logout\"\nkind = \"logout\"\nissuer = \"acme\"\naudiences = [\"shop\"]\n",
    );
    let daemon = world.start();
    let (http, admin) = (
        daemon.addresses().http.expect("http"),
        daemon.addresses().admin.expect("admin"),
    );
    let [mine, sibling] = ["s1", "s2"].map(|sid| token(&world, "alice", sid, -5));
    assert_eq!(
        (word(http, &mine), word(http, &sibling)),
        ("valid".into(), "valid".into())
    );
    let stranger = signing_key("k1");
    let good = logout(&json!({"sid": "s1", "sub": "alice"}));
    let of = |token: &str| format!("logout_token={token}");
    for (headers, body) in [
        (FORM, of(&sign(&stranger, "logout+jwt", &good))),
        (FORM, of(&sign(&world.key, "JWT", &good))),
        (
            FORM,
            of(&sign(
                &world.key,
                "logout+jwt",
                &logout(&json!({"sid": "s1", "aud": "other"})),
            )),
        ),
        (
            FORM,
            of(&sign(
                &world.key,
                "logout+jwt",
                &logout(&json!({"sid": "s1", "nonce": "n"})),
            )),
        ),
        (FORM, of(&mine)),
        (FORM, of("garbage")),
        (FORM, String::new()),
        (SET, sign(&world.key, "logout+jwt", &good)),
    ] {
        let (status, said) = deliver(admin, "logout", headers, &body);
        assert_eq!(
            (status, &said["error"]),
            (400, &json!("invalid_request")),
            "{body}"
        );
    }
    assert_eq!(word(http, &mine), "valid");
    let browser = format!("{FORM}origin: https://evil.example\r\n");
    let good = of(&sign(&world.key, "logout+jwt", &good));
    assert_eq!(deliver(admin, "logout", &browser, &good).0, 403);
    assert_eq!(deliver(admin, "other", FORM, &good).0, 404);

    assert_eq!(deliver(admin, "logout", FORM, &good), (200, json!({})));
    assert_eq!(
        (word(http, &mine), word(http, &sibling)),
        ("revoked".into(), "valid".into())
    );
    // Without a session, all of the user's so far.
    let everywhere = of(&sign(
        &world.key,
        "logout+jwt",
        &logout(&json!({"sub": "alice"})),
    ));
    assert_eq!(deliver(admin, "logout", FORM, &everywhere).0, 200);
    assert_eq!(word(http, &sibling), "revoked");
    assert_eq!(word(http, &token(&world, "alice", "s3", 5)), "valid");
    let (_, metrics) = crate::daemon_support::http(admin, "GET", "/metrics", "");
    for line in [
        "jotd_feed_statements_total{feed=\"logout\",outcome=\"taken\"} 2",
        "jotd_feed_statements_total{feed=\"logout\",outcome=\"invalid\"} 8",
        "jotd_revoked_total{kind=\"sid\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let _ = daemon.stop();

    let daemon = world.start();
    assert_eq!(
        word(daemon.addresses().http.expect("http"), &mine),
        "revoked"
    );
    let _ = daemon.stop();
}

/// Checks I-22.
#[test]
fn events_are_pushed_with_a_secret_and_answered_as_the_rfc_says() {
    let world = world_with(
        "[[revocation.feed]]\nname = \"caep\"\nkind = \"events\"\nissuer = \"acme\"\naudiences = [\"jotd\"]\n\
         token_file = \"caep.secret\"\n",
    );
    write_private(&world.path("caep.secret"), SECRET);
    let daemon = world.start();
    let (http, admin) = (
        daemon.addresses().http.expect("http"),
        daemon.addresses().admin.expect("admin"),
    );
    let meant = token(&world, "alice", "s1", -5);
    assert_eq!(word(http, &meant), "valid");
    let good = sign(&world.key, "secevent+jwt", &event("e1", "alice"));
    let (status, said) = deliver(admin, "caep", SET, &good);
    assert_eq!(
        (status, &said["err"]),
        (401, &json!("authentication_failed"))
    );
    let headers = format!("{SET}authorization: Bearer {SECRET}\r\n");
    let bearing = |body: &str| deliver(admin, "caep", &headers, body);
    let changed = |name: &str, value: Value| {
        let mut claims = event("e2", "alice");
        claims[name] = value;
        sign(&world.key, "secevent+jwt", &claims)
    };
    let foreign = json!({"format": "iss_sub", "iss": "https://bank.example", "sub": "alice"});
    for (body, err) in [
        (
            sign(&signing_key("k1"), "secevent+jwt", &event("e2", "alice")),
            "authentication_failed",
        ),
        (
            sign(&signing_key("k9"), "secevent+jwt", &event("e2", "alice")),
            "invalid_key",
        ),
        (
            sign(&world.key, "logout+jwt", &event("e2", "alice")),
            "invalid_request",
        ),
        (
            changed("iss", json!("https://evil.example")),
            "invalid_issuer",
        ),
        (changed("aud", json!("other")), "invalid_audience"),
        (changed("sub_id", foreign), "access_denied"),
        (changed("exp", json!(now() + 60)), "invalid_request"),
    ] {
        let (status, said) = bearing(&body);
        assert_eq!((status, &said["err"]), (400, &json!(err)), "{said}");
    }
    assert_eq!(word(http, &meant), "valid");
    assert_eq!(bearing(&good), (202, json!("")));
    assert_eq!(word(http, &meant), "revoked");
    assert_eq!(bearing(&good).0, 202, "a second time, as transmitters do");
    let _ = daemon.stop();
}

/// A transmitter on loopback (RFC 8936): keeps events until they are acknowledged.
struct Transmitter {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    events: Vec<(String, String)>,
    refused: Vec<(String, Value)>,
    asked: usize,
    fails: usize,
}

impl Transmitter {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, &shared);
            }
        });
        Self { address, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panics")
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let (mut length, mut bearer) = (0, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a length");
        }
        bearer |= line == format!("authorization: bearer {SECRET}");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a whole body");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(bearer && body["returnImmediately"] == true, "{body}");
    let mut state = state.lock().expect("no panics");
    state.asked += 1;
    let (status, reply) = if state.fails > 0 {
        state.fails -= 1;
        ("503 Service Unavailable", String::new())
    } else {
        let acknowledged = body["ack"].as_array().cloned().unwrap_or_default();
        state
            .events
            .retain(|(jti, _)| !acknowledged.contains(&json!(jti)));
        for (jti, why) in body["setErrs"].as_object().into_iter().flatten() {
            state.events.retain(|(known, _)| known != jti);
            state.refused.push((jti.clone(), why["err"].clone()));
        }
        let sets: serde_json::Map<String, Value> = state
            .events
            .iter()
            .map(|(jti, set)| (jti.clone(), json!(set)))
            .collect();
        (
            "200 OK",
            json!({"sets": sets, "moreAvailable": false}).to_string(),
        )
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{reply}",
        reply.len()
    );
    // Whoever asked may have gone.
    let _ = stream.write_all(head.as_bytes());
}

/// Checks I-22.
#[test]
fn events_are_fetched_and_acknowledged_once_their_orders_are_accepted() {
    let transmitter = Transmitter::start();
    let world = world_with(&format!(
        "[[revocation.feed]]\nname = \"polled\"\nkind = \"events\"\nissuer = \"acme\"\naudiences = [\"jotd\"]\n\
         token_file = \"poll.secret\"\npoll_uri = \"http://{}/poll\"\npoll_seconds = 1\n\
         allow_insecure_loopback = true\n",
        transmitter.address
    ));
    write_private(&world.path("poll.secret"), SECRET);
    let meant = token(&world, "alice", "s1", -5);
    {
        let mut state = transmitter.state();
        state.fails = 1;
        let event_of = |jti: &str, sub| sign(&world.key, "secevent+jwt", &event(jti, sub));
        state
            .events
            .push(("e1".to_owned(), event_of("e1", "alice")));
        state
            .events
            .push(("e2".to_owned(), event_of("not-e2", "bob")));
        let forged = sign(&signing_key("k1"), "secevent+jwt", &event("e3", "bob"));
        state.events.push(("e3".to_owned(), forged));
    }
    let daemon = world.start();
    let http_address = daemon.addresses().http.expect("http");
    let admin = daemon.addresses().admin.expect("admin");
    eventually("the events are settled", || {
        transmitter.state().events.is_empty()
    });
    // It was acknowledged, so it is in force.
    assert_eq!(word(http_address, &meant), "revoked");
    assert_eq!(word(http_address, &token(&world, "bob", "s2", -5)), "valid");
    let refused = transmitter.state().refused.clone();
    let expected = [("e2", "invalid_request"), ("e3", "authentication_failed")];
    assert_eq!(
        refused,
        expected.map(|(jti, err)| (jti.to_owned(), json!(err)))
    );
    // What is fetched is not delivered.
    assert_eq!(deliver(admin, "polled", SET, "x").0, 404);
    let (_, metrics) = http(admin, "GET", "/metrics", "");
    for line in [
        "jotd_feed_statements_total{feed=\"polled\",outcome=\"taken\"} 1",
        "jotd_feed_statements_total{feed=\"polled\",outcome=\"invalid\"} 2",
        "jotd_feed_statements_total{feed=\"polled\",outcome=\"unreachable\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let _ = daemon.stop();
}

/// A transmitter of its own may speak for the issuer that names it, and for nobody else.
#[test]
fn a_sender_speaks_for_those_who_were_given_to_it() {
    let sender = signing_key("t1");
    let other = issuer("jwks_file = \"sender.json\"")
        .replace("\"acme\"", "\"sender\"")
        .replace(ISS, "https://events.example");
    let world = world_with(&format!(
        "{other}\n[[revocation.feed]]\nname = \"caep\"\nkind = \"events\"\nissuer = \"sender\"\n\
         audiences = [\"jotd\"]\nconcerns = [\"acme\"]\n"
    ));
    world.write_jwks("sender.json", &[&sender]);
    let daemon = world.start();
    let (http, admin) = (
        daemon.addresses().http.expect("http"),
        daemon.addresses().admin.expect("admin"),
    );
    let meant = token(&world, "alice", "s1", -5);
    let mut claims = event("e1", "alice");
    let own = sign(&world.key, "secevent+jwt", &claims);
    assert_eq!(
        deliver(admin, "caep", SET, &own).0,
        400,
        "not with the keys of whom it is about"
    );
    claims["iss"] = json!("https://events.example");
    assert_eq!(
        deliver(admin, "caep", SET, &sign(&sender, "secevent+jwt", &claims)).0,
        202
    );
    assert_eq!(word(http, &meant), "revoked");
    let _ = daemon.stop();
}
