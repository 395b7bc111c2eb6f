//! The admin listener.

use crate::house::{Client, House, bare};
use crate::tokens;
use jotd::transport::admin::{self, Admin, Readiness};
use jotd::transport::{Context, Shutdown};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// The admin listener of a daemon, which outlives the daemon's other doors.
struct Office {
    address: SocketAddr,
    readiness: Readiness,
    broken: Arc<AtomicBool>,
    _trigger: jotd::transport::ShutdownTrigger,
}

impl Office {
    async fn open(house: &House) -> Self {
        let readiness = Readiness::new(
            house.context.engine.clone(),
            house.context.shutdown.clone(),
            false,
            None,
            None,
        );
        let broken = Arc::new(AtomicBool::new(false));
        let reload_is_broken = Arc::clone(&broken);
        let admin = Admin {
            readiness: readiness.clone(),
            reload: Arc::new(move || {
                let broken = reload_is_broken.load(Ordering::Relaxed);
                let faults = "jotd.toml:3:1: no such key\njotd.toml:9:5: not a URL\n";
                Box::pin(async move {
                    tokio::task::yield_now().await;
                    let done = "reloaded: 2 issuers\n".to_owned();
                    if broken { Err(faults.into()) } else { Ok(done) }
                })
            }),
            keys: None,
            revocation: None,
            hosts: Arc::from([Box::from("admin.example")]),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let context = Context {
            shutdown,
            ..house.context.clone()
        };
        tokio::spawn(admin::serve(listener, admin, context));
        Self {
            address,
            readiness,
            broken,
            _trigger: trigger,
        }
    }

    async fn clients(&self) -> [Client; 2] {
        let connect = || async { TcpStream::connect(self.address).await.unwrap() };
        [
            Client::h1(connect().await).await,
            Client::h2(connect().await).await,
        ]
    }
}

#[tokio::test]
async fn what_an_operator_may_look_at() {
    let house = House::open().await;
    let office = Office::open(&house).await;
    Client::h2(house.tcp().await)
        .await
        .verify(&tokens::good())
        .await;
    for mut client in office.clients().await {
        let reply = client.send(bare("GET", "/livez")).await.unwrap();
        assert_eq!((reply.status.as_u16(), &*reply.body), (200, "ok\n"));

        let reply = client.send(bare("GET", "/metrics")).await.unwrap();
        assert_eq!(reply.status, 200);
        let kind = reply.headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        assert!(
            reply.body.contains("jotd_verifications_total{"),
            "{}",
            reply.body
        );
        assert!(reply.body.ends_with("# EOF\n"));
        assert!(
            reply
                .body
                .contains(r#"jotd_connections{transport="admin"}"#)
        );

        let reply = client.send(bare("GET", "/buildinfo")).await.unwrap();
        let info: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));

        let reply = client.send(bare("HEAD", "/metrics")).await.unwrap();
        assert_eq!((reply.status.as_u16(), &*reply.body), (200, ""));
        for (method, path, status) in [
            ("GET", "/", 404),
            ("POST", "/v1/verify", 404),
            ("POST", "/v1/revocations", 404),
            ("POST", "/metrics", 405),
            ("GET", "/reload", 405),
            ("HEAD", "/reload", 405),
            ("DELETE", "/livez", 405),
        ] {
            let reply = client.send(bare(method, path)).await.unwrap();
            assert_eq!(reply.status, status, "{method} {path}");
            assert_eq!(reply.headers.contains_key("allow"), status == 405);
        }
    }
}

#[tokio::test]
async fn ready_when_started_and_until_draining() {
    let house = House::open().await;
    let office = Office::open(&house).await;
    let [mut client, _] = office.clients().await;
    let mut ready = async || {
        let reply = client.send(bare("GET", "/readyz")).await.unwrap();
        let report: Value = serde_json::from_str(&reply.body).unwrap();
        (reply.status.as_u16(), report)
    };
    let (status, report) = ready().await;
    assert_eq!(
        (status, &report["status"]),
        (503, &Value::from("not_ready"))
    );
    assert_eq!(report["reasons"][0], "starting");

    office.readiness.set_started();
    let (status, report) = ready().await;
    // One of the issuers has no keys yet, and the other's tokens can be judged all the same.
    assert_eq!((status, &report["status"]), (200, &Value::from("degraded")));
    assert_eq!(report["reasons"][0], "keys_awaited");
    assert_eq!(report["issuers"][0], "late");

    house.begin_shutdown();
    let (status, report) = ready().await;
    assert_eq!(
        (status, &report["reasons"][0]),
        (503, &Value::from("draining"))
    );
}

#[tokio::test]
async fn reload_says_what_is_wrong_and_obeys_no_browser() {
    let house = House::open().await;
    let office = Office::open(&house).await;
    for mut client in office.clients().await {
        let reply = client.send(bare("POST", "/reload")).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), &*reply.body),
            (200, "reloaded: 2 issuers\n")
        );

        office.broken.store(true, Ordering::Relaxed);
        let reply = client.send(bare("POST", "/reload")).await.unwrap();
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains("jotd.toml:9:5"), "{}", reply.body);
        office.broken.store(false, Ordering::Relaxed);

        let mut request = bare("POST", "/reload");
        let origin = "http://localhost:8485".parse().unwrap();
        request.headers_mut().insert("origin", origin);
        assert_eq!(client.send(request).await.unwrap().status, 403);
    }
    // The name by which a rebound page would call.
    let [mut client, _] = office.clients().await;
    for (host, status) in [("evil.example", 403), ("admin.example:8485", 200)] {
        let mut request = bare("POST", "/reload");
        *request.uri_mut() = "/reload".parse().unwrap();
        request.headers_mut().insert("host", host.parse().unwrap());
        assert_eq!(client.send(request).await.unwrap().status, status, "{host}");
    }
}
