//! Status lists, fetched from an issuer on loopback: a token dies with its bit, and without a list nobody knows.

use crate::daemon_support::{World, eventually, http, verdict};
use jotd::issuer::ProtectedHeader;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

const ISS: &str = "https://idp.example";

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time")
}

/// Serves this text at every path; nothing at all while there is none.
fn serve(list: Arc<Mutex<Option<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            answer(stream, &list.lock().expect("no panics").clone());
        }
    });
    address
}

fn answer(mut stream: TcpStream, list: &Option<String>) {
    let lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    let head = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    let accepts =
        head.filter(|line| line.eq_ignore_ascii_case("accept: application/statuslist+jwt"));
    let (status, body) = match list {
        Some(list) if accepts.count() == 1 => ("200 OK", list.as_str()),
        _ => ("503 Service Unavailable", ""),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may have gone.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

fn sign(world: &World, typ: &str, claims: &Value) -> String {
    let header = ProtectedHeader::typ(typ);
    world
        .key
        .sign(&header, claims.to_string().as_bytes())
        .expect("signed")
}

/// One byte of zlib, stored and not packed: header, last block, length and its complement, the byte, Adler-32.
fn zlib(byte: u8) -> String {
    use base64::Engine;
    let a = u32::from(byte) + 1;
    let adler = (a << 16 | a).to_be_bytes();
    let packed = [&[0x78, 0x01, 0x01, 1, 0, 0xfe, 0xff, byte][..], &adler].concat();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(packed)
}

/// Checks V-39.
#[test]
fn a_token_dies_with_its_bit() {
    let published = Arc::new(Mutex::new(None));
    let address = serve(Arc::clone(&published));
    let world = World::new();
    let base = format!("http://{address}/lists/");
    let config = world.default_config();
    world.write_config(&format!(
        "{config}status_lists = [\"{base}\"]\nallow_insecure_loopback = true\n"
    ));
    let uri = format!("{base}1");
    let token = |index: u8| {
        let status = json!({"status_list": {"idx": index, "uri": uri}});
        let claims = json!({
            "iss": ISS, "aud": "payments", "sub": "alice", "jti": index.to_string(), "exp": now() + 300,
            "status": status
        });
        sign(&world, "JWT", &claims)
    };
    let publish = |bits: u8| {
        let claims = json!({
            "iss": ISS, "sub": uri, "iat": now(), "ttl": 1, "status_list": {"bits": 1, "lst": zlib(bits)}
        });
        let list = sign(&world, "statuslist+jwt", &claims);
        *published.lock().expect("no panics") = Some(list);
    };
    let daemon = world.start();
    let http_address = daemon.addresses().http.expect("http");
    let [zero, one] = [0, 1].map(token);
    assert_eq!(
        verdict(http_address, &zero)["cause"],
        "revocation_stale",
        "no list yet"
    );
    publish(0b10);
    let word = |token: &str| verdict(http_address, token);
    eventually("the list is there", || word(&zero)["valid"] == true);
    eventually("the other is revoked", || word(&one)["reason"] == "revoked");
    publish(0b11);
    eventually("the bit is seen", || word(&zero)["reason"] == "revoked");
    publish(0);
    eventually("a suspended one is good again", || {
        word(&zero)["valid"] == true
    });
    *published.lock().expect("no panics") = None;
    eventually("an old list says nothing", || {
        word(&zero)["cause"] == "revocation_stale"
    });
    let (_, metrics) = http(
        daemon.addresses().admin.expect("admin"),
        "GET",
        "/metrics",
        "",
    );
    let line = "jotd_status_list_fetch_total{issuer=\"acme\",outcome=\"ok\"}";
    assert!(metrics.contains(line), "{metrics}");
    let _ = daemon.stop();
}
