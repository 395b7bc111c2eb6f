//! A daemon with a template in its configuration and a real server behind it: tenants come, a local user is bound to one of
//! them, and a reload changes neither.
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits in real time, and mints for now"
)]

mod daemon_support;

use daemon_support::{World, eventually, jwks, signing_key, verdict};
use jotd::issuer::{Claims, SigningKey};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::SystemTime;

/// Answers `/TENANT/keys` with that tenant's key, for as long as the process lives.
fn serve(keys: Vec<(&'static str, String)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut lines = BufReader::new(stream.try_clone().expect("cloned")).lines();
            let asked = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines
                .next()
                .and_then(Result::ok)
                .is_some_and(|line| !line.is_empty())
            {}
            let tenant = asked.split('/').nth(1).unwrap_or_default();
            let known = keys.iter().find(|(name, _)| *name == tenant);
            let (status, body) = known.map_or(("404 Not Found", ""), |(_, set)| ("200 OK", set));
            let length = body.len();
            // A client that has gone away is its own business.
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
        }
    });
    port
}

fn token(tenant: &str, key: &SigningKey) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time");
    let claims = Claims {
        issuer: Some(format!("https://login.example/{tenant}/v2.0")),
        subject: Some("somebody".to_owned()),
        audiences: vec!["payments".to_owned()],
        ..Claims::default()
    };
    key.mint(&claims, now).expect("signed")
}

/// The same question over the Unix socket, where the kernel says who asks.
fn verdict_of_user(socket: &Path, token: &str) -> serde_json::Value {
    let body = format!("{{\"token\":\"{token}\"}}");
    let mut stream = UnixStream::connect(socket).expect("it listens");
    write!(
        stream,
        "POST /v1/verify HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a whole reply");
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {reply}"))
}

#[test]
fn tenants_come_with_their_tokens_and_a_user_is_bound_to_one() {
    let (a, b) = (signing_key("k1"), signing_key("k1"));
    let port = serve(vec![("a", jwks(&[&a])), ("b", jwks(&[&b]))]);
    let world = World::new();
    let config = format!(
        "{}\n[[issuer]]\nname = \"login\"\nissuer = \"https://login.example/{{tenant}}/v2.0\"\n\
             jwks_uri = \"http://127.0.0.1:{port}/{{tenant}}/keys\"\nallow_insecure_loopback = true\n\
             audiences = [\"payments\"]\nalgorithms = [\"ES256\"]\n\n\
             [[peer]]\nuid = {}\ntenants = [\"login/a\"]\n",
        world.listen(),
        rustix::process::getuid().as_raw()
    );
    world.write_config(&config);
    let daemon = world.start();
    let http = daemon.addresses().http.expect("on");
    let (of_a, of_b, ghost) = (token("a", &a), token("b", &b), token("ghost", &a));
    for (token, tenant) in [(&of_a, "login/a"), (&of_b, "login/b")] {
        eventually("its keys", || verdict(http, token)["valid"] == true);
        let said = verdict(http, token);
        assert_eq!(
            (&said["issuer"], &said["tenant"]),
            (&"login".into(), &tenant.into())
        );
    }
    eventually("the ghost is unknown", || {
        verdict(http, &ghost)["reason"] == "unknown_issuer"
    });
    assert_eq!(verdict(http, &token("a", &b))["reason"], "bad_signature");
    let socket = world.socket();
    let bound = || {
        assert_eq!(verdict_of_user(&socket, &of_a)["valid"], true);
        assert_eq!(verdict_of_user(&socket, &of_b)["reason"], "forbidden");
        assert_eq!(
            verdict(http, &of_b)["valid"],
            true,
            "over TCP nobody is bound"
        );
    };
    bound();
    bound();
    world.write_config(&config.replace("deadline_ms = 10_000", "deadline_ms = 9_000"));
    daemon.reload().expect("no faults");
    assert_eq!(verdict(http, &of_a)["valid"], true, "loaded tenants stay");
    bound();
    let _ = daemon.stop();
}
