//! The daemon's life, in this process: start, answer, follow its key files, reload, stop.

mod daemon_support;

use daemon_support::{World, eventually, http, issuer, signing_key, token, verdict};
use jotd::daemon::Ended;
use jotd::issuer::{Recipient, generate_encryption_key};
use jotd::jose::{Jwk, JwkSet, KeyManagement, danger};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

#[test]
fn it_starts_answers_and_stops_with_nothing_lost() {
    let world = World::new();
    let daemon = world.start();
    let http_address = daemon.addresses().http.expect("configured");
    let said = verdict(http_address, &world.token());
    assert_eq!(said["valid"], true, "{said}");
    assert_eq!(said["issuer"], "acme", "{said}");
    let said = verdict(http_address, &token(&signing_key("k1")));
    assert_eq!(said["reason"], "bad_signature", "{said}");

    let admin = daemon.addresses().admin.expect("configured");
    let (status, body) = http(admin, "GET", "/readyz", "");
    assert_eq!(status, 200, "{body}");
    let (_, metrics) = http(admin, "GET", "/metrics", "");
    assert!(
        metrics.contains("jotd_jwks_keys{issuer=\"acme\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("jotd_config_last_reload_successful 1"),
        "{metrics}"
    );

    let mode = std::fs::metadata(world.socket())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(daemon.stop(), Ended::Drained);
    assert!(!world.socket().exists(), "the socket is taken away");
    assert!(std::net::TcpStream::connect(http_address).is_err());
}

#[test]
fn a_socket_left_behind_is_replaced_and_a_living_one_is_not() {
    let world = World::new();
    std::fs::create_dir(world.path("run")).expect("made");
    drop(UnixListener::bind(world.socket()).expect("bound"));
    assert!(world.socket().exists(), "left behind, as by a crash");
    let daemon = world.start();
    UnixStream::connect(world.socket()).expect("ours now");

    let path = world.config_path();
    let load = Box::new(move || jotd::config::load_with(&path, []));
    let second = jotd::daemon::Daemon::start(world.load().expect("good"), load);
    let fault = second.err().expect("refused").to_string();
    assert!(fault.contains("another jotd serves this socket"), "{fault}");
    UnixStream::connect(world.socket()).expect("the first still serves");
    assert_eq!(daemon.stop(), Ended::Drained);
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let world = World::new();
    std::fs::create_dir(world.path("run")).expect("made");
    std::fs::write(world.socket(), "precious").expect("written");
    let path = world.config_path();
    let load = Box::new(move || jotd::config::load_with(&path, []));
    let fault = jotd::daemon::Daemon::start(world.load().expect("good"), load).err();
    let fault = fault.expect("refused").to_string();
    assert!(fault.contains("no socket lies there"), "{fault}");
    let kept = std::fs::read_to_string(world.socket()).expect("kept");
    assert_eq!(kept, "precious");
}

/// Checks V-44.
#[test]
fn a_key_file_is_followed_through_replacement_breakage_and_emptiness() {
    let world = World::new();
    let daemon = world.start();
    let address = daemon.addresses().http.expect("configured");
    let next = signing_key("k2");
    let accepts = |key| verdict(address, &token(key))["valid"] == true;
    let remembered = world.token();
    assert_eq!(verdict(address, &remembered)["valid"], true);
    assert_eq!(verdict(address, &remembered)["cached"], true);
    assert_eq!(verdict(address, &token(&next))["reason"], "unknown_kid");

    // Rotation: both keys, by an atomic rename.
    world.write_jwks("jwks.json", &[&world.key, &next]);
    eventually("the new key is taken", || accepts(&next));
    assert!(accepts(&world.key));

    // A broken file and an empty set leave the keys as they were.
    let admin = daemon.addresses().admin.expect("configured");
    let counted = |outcome: &str| {
        let line = format!("jotd_jwks_fetch_total{{issuer=\"acme\",outcome=\"{outcome}\"}}");
        http(admin, "GET", "/metrics", "").1.contains(&line)
    };
    std::fs::write(world.path("jwks.json"), "{\"keys\":[{\"kty\":").expect("written");
    eventually("the broken file is seen", || counted("invalid"));
    assert!(accepts(&next) && accepts(&world.key));
    world.write_jwks("jwks.json", &[]);
    eventually("the empty set is seen", || counted("empty"));
    assert!(accepts(&next) && accepts(&world.key));

    // The old key is retired.
    world.write_jwks("jwks.json", &[&next]);
    eventually("the old key is gone", || !accepts(&world.key));
    assert!(accepts(&next));
    let said = verdict(address, &remembered);
    assert_eq!(said["reason"], "unknown_kid", "remembered or not: {said}");
    assert_eq!(daemon.stop(), Ended::Drained);
}

#[test]
fn an_encrypted_token_is_opened_with_a_key_that_follows_a_reload() {
    let world = World::new();
    let key =
        || generate_encryption_key(KeyManagement::EcdhEsA256Kw, None, None, None).expect("a key");
    let [old, new] = [key(), key()];
    let write = |key: &Jwk| {
        let path = world.path("decrypt.jwk");
        let json = danger::to_private_json(key).expect("private");
        std::fs::write(&path, json.as_bytes()).expect("writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
    };
    write(&old);
    let encrypted = "decrypt_key_files = \"decrypt.jwk\"\njwe_algorithms = [\"ECDH-ES+A256KW\"]\n\
                     jwe_encodings = [\"A256GCM\"]\n";
    world.write_config(&format!("{}{encrypted}", world.default_config()));
    let daemon = world.start();
    let address = daemon.addresses().http.expect("configured");

    // Whoever encrypts finds the key where it is published.
    let (_, published) = http(address, "GET", "/.well-known/jwks.json", "");
    let set = JwkSet::parse(published.as_bytes()).expect("a JWK Set");
    let mut found = set
        .keys
        .iter()
        .filter(|key| key.may_encrypt && key.kid == old.kid);
    let recipient = Recipient::new(found.next().expect("published"), None, None).expect("fit");
    assert!(!published.contains("\"d\""), "its private half is not");
    let token = recipient.encrypt(&world.token()).expect("encrypted");
    for _ in 0..2 {
        let said = verdict(address, &token);
        assert_eq!(
            (said["valid"].as_bool(), said["alg"].as_str()),
            (Some(true), Some("ES256"))
        );
        assert_eq!(
            said["claims"]["sub"],
            serde_json::Value::Null,
            "claims were not asked for"
        );
    }
    let body = format!("{{\"token\":\"{token}\",\"want\":[\"claims\"]}}");
    let (_, said) = http(address, "POST", "/v1/verify", &body);
    assert!(said.contains("\"sub\":\"somebody\""), "{said}");

    // A key that is gone opens nothing, though the cache knew the token.
    write(&new);
    daemon.reload().expect("good");
    assert_eq!(verdict(address, &token)["reason"], "unknown_kid");
    // A file that others read is a fault, and the keys stay.
    let permissions = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(world.path("decrypt.jwk"), permissions).expect("ours");
    let faults = daemon.reload().expect_err("refused");
    assert!(faults.contains("lets others read it"), "{faults}");
    let to_new = Recipient::new(&new, None, None).expect("fit");
    let token = to_new.encrypt(&world.token()).expect("encrypted");
    assert_eq!(verdict(address, &token)["valid"], true);
    assert_eq!(daemon.stop(), Ended::Drained);
}

/// As Kubernetes does with ConfigMaps: `jwks.json -> ..data/jwks.json`, `..data -> a folder`, and the
/// second link is swapped.
#[test]
fn a_key_file_behind_swapped_symbolic_links_is_followed() {
    let world = World::new();
    let next = signing_key("k2");
    for (folder, key) in [("one", &world.key), ("two", &next)] {
        std::fs::create_dir_all(world.path(&format!("keys/{folder}"))).expect("made");
        world.write_jwks(&format!("keys/{folder}/jwks.json"), &[key]);
    }
    let link = |target: &str, at: &str| {
        std::os::unix::fs::symlink(target, world.path(at)).expect("linked");
    };
    link("one", "keys/..data");
    link("..data/jwks.json", "keys/jwks.json");
    let source = issuer("jwks_file = \"keys/jwks.json\"");
    world.write_config(&format!("{}{source}", world.listen()));
    let daemon = world.start();
    let address = daemon.addresses().http.expect("configured");
    assert_eq!(verdict(address, &world.token())["valid"], true);
    link("two", "keys/..data_tmp");
    std::fs::rename(world.path("keys/..data_tmp"), world.path("keys/..data")).expect("swapped");
    eventually("the swap is seen", || {
        verdict(address, &token(&next))["valid"] == true
    });
    assert_eq!(verdict(address, &world.token())["reason"], "unknown_kid");
    assert_eq!(daemon.stop(), Ended::Drained);
}

#[test]
fn a_reload_is_whole_or_not_at_all() {
    let world = World::new();
    let daemon = world.start();
    let address = daemon.addresses().http.expect("configured");
    let admin = daemon.addresses().admin.expect("configured");
    assert_eq!(verdict(address, &world.token())["valid"], true);

    // Bad: refused with its faults, and the old one goes on.
    world.write_config("[cashe]\n");
    let faults = daemon.reload().expect_err("refused");
    assert!(
        faults.contains("jotd.toml:1:2: unknown setting `cashe`"),
        "{faults}"
    );
    assert_eq!(verdict(address, &world.token())["valid"], true);
    let (_, metrics) = http(admin, "GET", "/metrics", "");
    assert!(
        metrics.contains("jotd_config_last_reload_successful 0"),
        "{metrics}"
    );

    // Good: another audience, so the same token is refused, cached or not; by the admin listener.
    let other = world.default_config().replace("payments", "ledger");
    world.write_config(&format!("[cache]\ncapacity = 1000\n{other}"));
    let (status, done) = http(admin, "POST", "/reload", "");
    assert_eq!(status, 200, "{done}");
    assert!(done.contains("1 issuers"), "{done}");
    assert!(
        done.contains("[cache] has changed, which needs a restart"),
        "{done}"
    );
    assert_eq!(verdict(address, &world.token())["reason"], "wrong_audience");
    let (_, metrics) = http(admin, "GET", "/metrics", "");
    assert!(
        metrics.contains("jotd_config_last_reload_successful 1"),
        "{metrics}"
    );

    // A new issuer's files are followed from the reload on.
    let next = signing_key("k2");
    world.write_jwks("other.json", &[&world.key]);
    world.write_config(&world.default_config().replace("jwks.json", "other.json"));
    daemon.reload().expect("good");
    assert_eq!(verdict(address, &world.token())["valid"], true);
    world.write_jwks("other.json", &[&next]);
    eventually("the new file is followed", || {
        verdict(address, &token(&next))["valid"] == true
    });
    assert_eq!(daemon.stop(), Ended::Drained);
}
