//! The kernels in the daemon: a key in use gets its table, and a kernel that fails its known answers never works.
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod daemon_support;

use daemon_support::{World, eventually, http, token};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The kernel's labels in its metrics.
const LABELS: &str = r#"{alg="ES256",kernel="portable"}"#;

/// `jotd serve` as a child, killed when dropped.
struct Served {
    child: Child,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Served {
    fn start(world: &World, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jotd"))
            .arg("serve")
            .arg("--config")
            .arg(world.config_path())
            // Every CPU has these kernels; which is the fastest depends on the build.
            .env("JOTD_KERNELS", "portable")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
        let ready = log
            .by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains("ready"))
            .expect("it becomes ready");
        // A pipe that nobody reads would hold the daemon up.
        std::thread::spawn(move || log.for_each(drop));
        let address = |name: &str| {
            let (_, rest) = ready.split_once(&format!("{name}="))?;
            rest.split_whitespace().next()?.parse().ok()
        };
        Self {
            child,
            http: address("http").expect("an address in the log"),
            admin: address("admin").expect("an address in the log"),
        }
    }

    /// Asks for many distinct tokens at once, every third of them forged, and checks each verdict.
    fn ask_for_many(&self, world: &World) {
        let tokens: Vec<String> = (0..96)
            .map(|number| {
                let good = token(&world.key);
                match number % 3 {
                    0 => forged(&good),
                    _ => good,
                }
            })
            .collect();
        let body = serde_json::json!({ "tokens": tokens }).to_string();
        let (status, reply) = http(self.http, "POST", "/v1/verify/batch", &body);
        assert_eq!(status, 200, "{reply}");
        let reply: serde_json::Value = serde_json::from_str(&reply).expect("JSON");
        let results = reply["results"].as_array().expect("an array");
        assert_eq!(results.len(), tokens.len());
        for (number, verdict) in results.iter().enumerate() {
            assert_eq!(verdict["valid"], number % 3 != 0, "{verdict}");
        }
    }

    /// The value of a metric, given how its line begins.
    fn metric(&self, beginning: &str) -> Option<f64> {
        let (_, text) = http(self.admin, "GET", "/metrics", "");
        let line = text.lines().find(|line| line.starts_with(beginning))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has usually not ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The token with one bit of its signature changed.
fn forged(token: &str) -> String {
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{input}.{other}{}", &signature[1..])
}

/// Checks K-06, K-09.
#[test]
fn a_key_in_use_gets_a_table_and_its_kernel_agrees_with_the_reference() {
    let world = World::new();
    let served = Served::start(&world, &[]);
    eventually("the key has a table, and its kernel works with it", || {
        served.ask_for_many(&world);
        served.metric("jotd_key_tables ") == Some(1.0)
            && served.metric(&format!("jotd_kernel_checks_total{LABELS}")) > Some(0.0)
    });
    served.ask_for_many(&world);
    let enabled = served.metric(&format!("jotd_kernel_enabled{LABELS}"));
    assert_eq!(enabled, Some(1.0));
    let disagreements = served.metric(&format!("jotd_kernel_disagreements_total{LABELS}"));
    assert_eq!(disagreements, Some(0.0));
}

/// Checks K-06, K-10.
#[test]
fn a_kernel_that_fails_its_known_answers_is_off_and_verdicts_stay_right() {
    let world = World::new();
    let broken = [("JOTD_BREAK_SELF_TEST", "EcdsaP256Sha256/portable")];
    let served = Served::start(&world, &broken);
    eventually("the kernel is off", || {
        served.ask_for_many(&world);
        served.metric(&format!("jotd_kernel_enabled{LABELS}")) == Some(0.0)
    });
    served.ask_for_many(&world);
}
