//! Key sets over real HTTPS: a server that behaves, and one that misbehaves in every way we know.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod jwks_server;

use jotd::clock;
use jotd::engine::MissingKey;
use jotd::issuer::SigningKey;
use jotd::upstream::{Endpoint, Remote};
use jwks_server::world::{World, mint, quiet_remote, remote, set_of};
use jwks_server::{Answer, Asked, Server, jwks, signing_key};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Checks V-43. Whatever comes after a good set, its keys stay.
fn bad_answer_keeps_good_keys(outcome: &str, answer: impl Fn(&Asked) -> Answer + Send + 'static) {
    let key = signing_key("k1");
    // A good set that a loaded machine lets time out has to come again.
    let is_seen = Arc::new(AtomicBool::new(false));
    let goes_bad = is_seen.clone();
    let server = Server::start(move |asked| {
        if goes_bad.load(Ordering::Relaxed) {
            answer(asked)
        } else {
            set_of(&key)
        }
    });
    let mut remote = remote(&server);
    remote.timeout = Duration::from_millis(500);
    let world = World::new(remote);
    world.until_kids(&["k1"]);
    is_seen.store(true, Ordering::Relaxed);
    world.until_outcome(outcome);
    assert_eq!(world.kids(), Some(vec!["k1".to_owned()]));
}

#[test]
fn keys_are_fetched_and_a_rotation_is_seen() {
    let (first, second) = (signing_key("k1"), signing_key("k2"));
    let rotated = Arc::new(AtomicUsize::new(0));
    let phase = rotated.clone();
    let server = Server::start(move |asked| {
        assert_eq!(asked.path, "/jwks.json");
        assert_eq!(asked.header("accept-encoding"), Some("identity"));
        assert_eq!(asked.header("cookie"), None);
        let both = [&first, &second];
        match phase.load(Ordering::Relaxed) {
            0 => Answer::ok(jwks(&both[..1])).with("set-cookie: a=b"),
            1 => Answer::ok(jwks(&both)),
            _ => Answer::ok(jwks(&both[1..])),
        }
    });
    let world = World::new(remote(&server));
    world.until_kids(&["k1"]);
    rotated.store(1, Ordering::Relaxed);
    world.until_kids(&["k1", "k2"]);
    rotated.store(2, Ordering::Relaxed);
    world.until_kids(&["k2"]);
    let text = world.metrics.render();
    assert!(text.contains("jotd_jwks_keys{issuer=\"acme\"} 1"), "{text}");
    assert!(
        text.contains("jotd_jwks_last_success_timestamp_seconds{issuer=\"acme\"} 1"),
        "{text}"
    );
}

#[test]
fn an_unchanged_set_is_not_sent_again() {
    let key = signing_key("k1");
    let server = Server::start(move |asked| match asked.header("if-none-match") {
        None => set_of(&key).with("etag: \"v1\""),
        Some(tag) => {
            assert_eq!(tag, "\"v1\"");
            Answer::new("304 Not Modified", "")
        }
    });
    let world = World::new(remote(&server));
    world.until_kids(&["k1"]);
    let before = world.engine.records();
    world.until_outcome("not_modified");
    assert!(
        Arc::ptr_eq(&before, &world.engine.records()),
        "nothing was swapped, so no cached verdict was lost"
    );
}

#[test]
fn an_unknown_kid_has_the_set_fetched_early() {
    let (first, second) = (signing_key("k1"), signing_key("k2"));
    let asked_before = Arc::new(AtomicUsize::new(0));
    let count = asked_before.clone();
    let server = Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => set_of(&first),
        _ => set_of(&second),
    });
    let mut remote = remote(&server);
    // By itself it would not come back while this test lasts.
    remote.refresh = Duration::from_secs(3600);
    let world = World::new(remote);
    world.until_kids(&["k1"]);
    let began = Instant::now();
    let seeker = world.upstream.seeker();
    let issuers: [Arc<str>; 2] = ["acme".into(), "nobody".into()];
    for number in 0..10_000 {
        for issuer in &issuers {
            let _ = seeker.seek(&MissingKey {
                issuer,
                kid: Some(&format!("k{number}")),
                asked_at: clock::since_boot(),
                is_awaited: false,
            });
        }
    }
    world.until_kids(&["k2"]);
    // One each 10 ms at most, besides the first, three that were saved, and the one under way.
    let allowed = began.elapsed().as_millis() / 10 + 5;
    let fetches = asked_before.load(Ordering::Relaxed);
    assert!(
        fetches as u128 <= allowed,
        "ten thousand questions made {fetches} fetches"
    );
}

/// Checks F-30.
#[test]
fn a_server_that_is_not_there_is_asked_again_until_it_is() {
    let key = signing_key("k1");
    let asked_before = AtomicUsize::new(0);
    let server = Server::start(
        move |_| match asked_before.fetch_add(1, Ordering::Relaxed) {
            0..3 => Answer::Hangup,
            _ => set_of(&key),
        },
    );
    let world = World::new(remote(&server));
    assert_eq!(world.kids(), None, "awaited, and not empty");
    world.until_outcome("unreachable");
    world.until_kids(&["k1"]);
}

#[test]
fn an_error_page_keeps_the_keys() {
    bad_answer_keeps_good_keys("status", |_| Answer::new("503 Service Unavailable", "busy"));
}

/// Checks F-33.
#[test]
fn garbage_keeps_the_keys() {
    bad_answer_keeps_good_keys("invalid", |_| Answer::ok("<html>Please log in</html>"));
}

/// Checks F-33.
#[test]
fn an_empty_set_keeps_the_keys() {
    bad_answer_keeps_good_keys("empty", |_| Answer::ok("{\"keys\":[]}").with("etag: \"e\""));
}

#[test]
fn a_set_of_unusable_keys_keeps_the_keys() {
    let other = SigningKey::generate(jotd::jose::Algorithm::EdDsa, None).expect("a key");
    bad_answer_keeps_good_keys("empty", move |_| set_of(&other));
}

/// Checks F-34.
#[test]
fn a_redirect_keeps_the_keys() {
    bad_answer_keeps_good_keys("status", |_| {
        Answer::new("302 Found", "").with("location: https://169.254.169.254/latest/meta-data")
    });
}

/// Checks F-32.
#[test]
fn an_announced_flood_keeps_the_keys() {
    bad_answer_keeps_good_keys("too_large", |_| {
        let large = "x".repeat(jotd::limits::JWKS_BYTES_MAX + 1);
        Answer::ok(large)
    });
}

/// Checks F-32.
#[test]
fn an_endless_body_keeps_the_keys() {
    bad_answer_keeps_good_keys("too_large", |_| Answer::Endless);
}

/// Checks F-31.
#[test]
fn a_slow_drip_keeps_the_keys() {
    bad_answer_keeps_good_keys("unreachable", |_| Answer::Drip);
}

/// Checks F-32.
#[test]
fn a_compressed_body_keeps_the_keys() {
    bad_answer_keeps_good_keys("invalid", |_| {
        Answer::ok("\u{1f}").with("content-encoding: gzip")
    });
}

#[test]
fn a_redirect_within_the_origin_is_followed_once_where_allowed() {
    let key = signing_key("k1");
    let server = Server::start(move |asked| match &*asked.path {
        "/jwks.json" => Answer::new("301 Moved Permanently", "").with("location: /keys"),
        "/keys" => set_of(&key),
        other => unreachable!("{other}"),
    });
    let world = World::new(Remote {
        allow_redirect: true,
        ..remote(&server)
    });
    world.until_kids(&["k1"]);

    let server = Server::start(|_| Answer::new("302 Found", "").with("location: /jwks.json"));
    let world = World::new(Remote {
        allow_redirect: true,
        ..remote(&server)
    });
    world.until_outcome("status");
    assert_eq!(world.kids(), None, "a loop is not followed");
}

/// Checks V-43, F-34.
#[test]
fn a_name_that_resolves_inwards_is_not_connected_to() {
    let server = Server::start(|_| unreachable!("nobody connects"));
    let world = World::new(Remote {
        allow_private_address: false,
        ..remote(&server)
    });
    world.until_outcome("unreachable");
    assert_eq!(server.connections(), 0);
    assert_eq!(world.kids(), None);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_not_believed() {
    let (server, stranger) = (
        Server::start(|_| unreachable!("the handshake fails")),
        Server::start(|_| Answer::Hangup),
    );
    let world = World::new(Remote {
        ca_file: Some(stranger.ca_file().to_owned()),
        ..remote(&server)
    });
    world.until_outcome("unreachable");
    assert_eq!(world.kids(), None);
}

#[test]
fn discovery_finds_the_keys_of_the_issuer_it_was_asked_for() {
    let key = signing_key("k1");
    let lies = Arc::new(AtomicUsize::new(0));
    let phase = lies.clone();
    let server = Server::start(move |asked| match &*asked.path {
        "/.well-known/openid-configuration" => {
            let host = asked.header("host").expect("HTTP/1.1 names the host");
            let issuer = match phase.load(Ordering::Relaxed) {
                0 => format!("https://{host}/"),
                _ => format!("https://{host}"),
            };
            let uri = format!("https://{host}/jwks.json");
            Answer::ok(format!(
                "{{\"issuer\":\"{issuer}\",\"jwks_uri\":\"{uri}\",\"x\":[]}}"
            ))
        }
        "/jwks.json" => set_of(&key),
        other => unreachable!("{other}"),
    });
    let issuer = server.uri("/").to_string();
    let world = World::new(Remote {
        endpoint: Endpoint::Discovery {
            issuer: issuer.trim_end_matches('/').into(),
            document: server.uri("/.well-known/openid-configuration"),
        },
        ..remote(&server)
    });
    world.until_outcome("invalid");
    assert_eq!(world.kids(), None, "a slash makes another issuer");
    lies.store(1, Ordering::Relaxed);
    world.until_kids(&["k1"]);
}

#[test]
fn discovery_that_points_to_plain_http_is_not_followed() {
    let server = Server::start(|asked| {
        let host = asked.header("host").expect("HTTP/1.1 names the host");
        Answer::ok(format!(
            "{{\"issuer\":\"https://{host}\",\"jwks_uri\":\"http://idp.example/jwks.json\"}}"
        ))
    });
    let issuer = server.uri("/").to_string();
    let world = World::new(Remote {
        endpoint: Endpoint::Discovery {
            issuer: issuer.trim_end_matches('/').into(),
            document: server.uri("/.well-known/openid-configuration"),
        },
        ..remote(&server)
    });
    world.until_outcome("invalid");
    assert_eq!(world.kids(), None);
}

/// RFC 8414, where there is nothing by OpenID Connect.
#[test]
fn an_oauth_server_is_discovered_too() {
    let key = signing_key("k1");
    let server = Server::start(move |asked| match &*asked.path {
        "/.well-known/oauth-authorization-server/tenant" => {
            let host = asked.header("host").expect("HTTP/1.1 names the host");
            Answer::ok(format!(
                "{{\"issuer\":\"https://{host}/tenant\",\"jwks_uri\":\"https://{host}/jwks.json\"}}"
            ))
        }
        "/jwks.json" => set_of(&key),
        _ => Answer::new("404 Not Found", ""),
    });
    let issuer = server.uri("/tenant").to_string();
    let world = World::new(Remote {
        endpoint: Endpoint::Discovery {
            issuer: issuer.into(),
            document: server.uri("/tenant/.well-known/openid-configuration"),
        },
        ..remote(&server)
    });
    world.until_kids(&["k1"]);
}

#[test]
fn a_look_for_a_missing_key_goes_past_caches_and_others_do_not() {
    let (first, second) = (signing_key("k1"), signing_key("k2"));
    let both = jwks(&[&first, &second]);
    let server = Server::start(move |asked| match asked.header("cache-control") {
        None => set_of(&first),
        Some(asks) => {
            assert_eq!(asks, "no-cache");
            Answer::ok(both.clone())
        }
    });
    let world = World::new(quiet_remote(&server));
    world.until_kids(&["k1"]);
    let _ = world.verdict(&mint(&signing_key("k2"), 1));
    world.until_kids(&["k1", "k2"]);
}

/// A proxy that opens tunnels, and counts them.
fn proxy(tunnels: Arc<AtomicUsize>) -> http::Uri {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut near, tunnels) = (stream.expect("accepted"), tunnels.clone());
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    near.read_exact(&mut byte).expect("a whole head");
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).expect("text");
                let target = head.strip_prefix("CONNECT localhost:").expect("a tunnel");
                let port = target.split(' ').next().expect("a port");
                let port: u16 = port.parse().expect("a number");
                let mut far = TcpStream::connect(("127.0.0.1", port)).expect("the server");
                tunnels.fetch_add(1, Ordering::Relaxed);
                near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    .expect("sent");
                let (mut back_from, mut back_to) = (
                    far.try_clone().expect("one"),
                    near.try_clone().expect("two"),
                );
                std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
                // However it ends is the two ends' business.
                let _ = std::io::copy(&mut near, &mut far);
            });
        }
    });
    format!("http://{address}").parse().expect("a URL")
}

#[test]
fn a_proxy_is_used_for_every_fetch_and_sees_no_plain_text() {
    let key = signing_key("k1");
    let server = Server::start(move |_| set_of(&key));
    let tunnels = Arc::new(AtomicUsize::new(0));
    let world = World::new(Remote {
        proxy: Some(proxy(tunnels.clone())),
        // The proxy's own address is nobody's business; the server's, it resolves.
        allow_private_address: false,
        ..remote(&server)
    });
    world.until_kids(&["k1"]);
    assert!(tunnels.load(Ordering::Relaxed) >= 1);
    assert!(server.connections() <= tunnels.load(Ordering::Relaxed));
}
