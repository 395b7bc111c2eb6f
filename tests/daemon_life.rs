//! The daemon's life, in this process: start, answer, follow its key files, reload, stop.

mod daemon_support;

use daemon_support::{World, eventually, http, issuer, signing_key, token, verdict};
use jotd::daemon::Ended;
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

#[test]
fn a_key_file_is_followed_through_replacement_breakage_and_emptiness() {
    let world = World::new();
    let daemon = world.start();
    let address = daemon.addresses().http.expect("configured");
    let next = signing_key("k2");
    let accepts = |key| verdict(address, &token(key))["valid"] == true;
    assert!(accepts(&world.key));
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
