//! Deployments as there are: TLS, Sentinel, a server that loads its file, one whose disk is full, one that is none, and
//! hosts whose clocks are a day off.

use super::super::{Durability, Known, LogState, Options};
use super::faults::{all_have, with_one_log};
use super::host::{Host, Memory, record};
use super::server::{RedisServer, free_port};
use crate::clock::Clock;
use crate::revocation::Record;
use crate::upstream::dial::Address;
use crate::upstream::revocation::small_disk::SmallDisk;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Checks F-28.
#[tokio::test]
async fn loading_its_file() {
    let slowly = [
        "--dbfilename",
        "dump.rdb",
        "--rdbcompression",
        "no",
        "--enable-debug-command",
        "yes",
        "--key-load-delay",
        "10000",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    with_one_log(&slowly, async |server, other| {
        server.cli(&["DEBUG", "POPULATE", "200", "ballast", "2048"]);
        assert_eq!(server.cli(&["SAVE"]).trim(), "OK");
        server.kill();
        server.begin();
        other
            .until("told that it loads", |view| {
                view.logs[0].fault == Some("busy")
            })
            .await;
        server.wait_until_ready();
    })
    .await;
}

/// Checks F-27.
#[tokio::test]
async fn its_disk_is_full() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let folder = disk.path().to_str().expect("a plain path");
    let arguments = [
        "--dir",
        folder,
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
    ];
    with_one_log(&arguments, async |_, other| {
        disk.fill();
        other
            .until("suspect", |view| view.standing.state == LogState::Suspect)
            .await;
        let (_, outcome) = other.order(3).await;
        assert!(!outcome.is_accepted);
        disk.empty();
    })
    .await;
}

/// A certificate and its key, in files.
fn certificate(folder: &Path, name: &str) -> [String; 2] {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    let files = ["crt", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
    std::fs::write(&files[0], made.cert.pem()).expect("a file");
    std::fs::write(&files[1], made.signing_key.serialize_pem()).expect("a file");
    files.map(|file| file.to_str().expect("a plain path").to_owned())
}

#[tokio::test]
async fn by_tls_and_only_with_the_right_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let [cert, key] = certificate(folder.path(), "server");
    let [stranger, _] = certificate(folder.path(), "stranger");
    let port = free_port().to_string();
    let server = RedisServer::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &cert,
        "--tls-auth-clients",
        "no",
    ]);
    let options = |authority: &str| {
        let mut address =
            Address::parse(&format!("rediss://localhost:{port}")).expect("an address");
        address.authorities = Some(std::fs::read(authority).expect("a file"));
        Options::one(address)
    };
    let host = Host::start(&options(&cert));
    host.until_live().await;
    let first = host.order_until_accepted(1).await;
    all_have(&options(&cert), &[&host], &[first]).await;
    let duped = Host::start(&options(&stranger));
    let view = duped
        .until("refused", |view| {
            view.logs.iter().any(|log| log.fault.is_some())
        })
        .await;
    assert_eq!(view.standing.state, LogState::Cold);
    assert!(!duped.order(2).await.1.is_accepted);
    assert!(server.cli(&["PING"]).contains("PONG"));
}

/// A Sentinel that is ended with the test.
struct Sentinel(Child);

impl Sentinel {
    fn watch(folder: &Path, port: u16, primary: &str) -> Self {
        let config = folder.join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n",
            folder.display()
        );
        std::fs::write(&config, text).expect("a file");
        let child = Command::new("redis-server")
            .arg(&config)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("redis-server, which scripts/install-tools installs"))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn sentinels_name_another_primary() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = [free_port(), free_port(), free_port()].map(|port| port.to_string());
    let mut servers = ports
        .each_ref()
        .map(|port| RedisServer::start(&["--port", port, "--repl-timeout", "2"]));
    for server in &servers[1..] {
        server.cli(&["REPLICAOF", "127.0.0.1", &ports[0]]);
    }
    let port = free_port();
    let _sentinel = Sentinel::watch(folder.path(), port, &ports[0]);
    let address = Address::parse(&format!("redis+sentinel://127.0.0.1:{port}/main"));
    let mut options = Options::one(address.expect("an address"));
    options.logs[0].durability = Durability::Replicas(1);
    let (busy, other) = (Host::start(&options), Host::start(&options));
    busy.until_live().await;
    other.until_live().await;
    let mut accepted = Vec::new();
    for number in 0..20 {
        accepted.push(busy.order_until_accepted(number).await);
    }
    // It must know the replicas before it can promote one of them.
    let port = port.to_string();
    let known = || {
        let asked = Command::new("redis-cli")
            .args(["-p", &port, "SENTINEL", "REPLICAS", "main"])
            .output();
        let told = String::from_utf8_lossy(&asked.expect("redis-cli").stdout).into_owned();
        told.matches("flags").count() == 2
    };
    while !known() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let epoch = other.view().logs[0].cursor.at.expect("a cursor").0;
    servers[0].kill();
    other
        .until("in a new epoch", |view| {
            view.logs[0].cursor.at.is_some_and(|at| at.0 > epoch)
        })
        .await;
    accepted.push(busy.order_until_accepted(100).await);
    all_have(&options, &[&busy, &other], &accepted).await;
}

/// Checks F-25.
/// Whatever it is that listens there, it says much and never comes to an end.
#[tokio::test]
async fn endless_bytes_are_not_kept() {
    for opening in [&b"+"[..], b"$1000000000000\r\n", b"*1000000000\r\n"] {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("redis.sock");
        let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
        let (told, mut sent) = tokio::sync::mpsc::unbounded_channel();
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let mut bytes = 0;
                    let _ = stream.write_all(opening).await;
                    while stream.write_all(&[b':'; 65_536]).await.is_ok() {
                        bytes += 65_536;
                    }
                    let _ = told.send(bytes);
                });
            }
        });
        let address = format!("redis+unix://{}", socket.display());
        let host = Host::start(&Options::one(Address::parse(&address).expect("an address")));
        // Whoever writes is cut off after what no answer of a log comes near to.
        for _ in 0..3 {
            let bytes = tokio::time::timeout(Duration::from_secs(30), sent.recv()).await;
            let bytes: usize = bytes.expect("cut off").expect("a server");
            assert!(
                bytes < 2 * crate::upstream::dial::ANSWER_BYTES_MAX,
                "{bytes} bytes were taken"
            );
        }
        assert_eq!(host.view().standing.state, LogState::Cold);
        assert!(!host.order(1).await.1.is_accepted);
        server.abort();
    }
}

/// Checks F-41.
/// Each in turn may be wrong, and neither forgets nor drops anything for it.
#[tokio::test]
async fn clocks_a_day_off_lose_nothing() {
    const DAY: i64 = 86_400;
    let server = RedisServer::start(&[]);
    let options = Options::one(server.address());
    let now = Clock::system().now().latest;
    let right = Host::start(&options);
    right.until_live().await;
    for (number, clock) in [(1, now + DAY), (2, now - DAY)] {
        let wrong = Host::start_at(&options, Memory::default(), &Clock::fixed(clock));
        wrong.until_live().await;
        let order = Record {
            until: u32::try_from(now + 3_600).expect("before 2106"),
            ..record(number)
        };
        for (giver, taker) in [(&right, &wrong), (&wrong, &right)] {
            giver.known.clone().learn(&[order]);
            let outcome = giver
                .logs
                .submit(vec![order], crate::revocation::Wait::Accepted)
                .await;
            assert!(outcome.is_some_and(|outcome| outcome.is_accepted));
            taker.until_it_has(&order).await;
        }
        assert_eq!(server.held(), number as usize, "with a clock at {clock}");
    }
    let cold = Host::start(&options);
    cold.until_live().await;
    assert!(cold.known.0.lock().expect("no panics").len() == 2);
}
