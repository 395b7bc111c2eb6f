//! Tells the service manager that the daemon still does its work: not that a timer fires, but that every
//! thread for connections turns and a question comes back from the workers.
#![forbid(unsafe_code)]

use super::notify;
use crate::clock;
use crate::engine::{Call, Engine};
use crate::verdict::{Cause, Verdict};
use crate::verify::{PolicyId, Want};
use bytes::Bytes;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Pings the service manager while the daemon makes progress. Ends at once where nobody waits for it.
pub(super) async fn run(engine: Engine, io: Vec<Handle>) {
    let Some(deadline) = notify::watchdog() else {
        return;
    };
    // Half the time is what sd_watchdog_enabled(3) asks for; a third leaves room for one slow probe.
    let interval = deadline / 3;
    let mut ticks = tokio::time::interval(interval);
    loop {
        ticks.tick().await;
        match tokio::time::timeout(interval, probe(&engine, &io)).await {
            Ok(()) => notify::alive(),
            Err(_elapsed) => {
                tracing::error!("no progress: the watchdog is not told that all is well")
            }
        }
    }
}

/// Returns when every part has shown that it is alive.
pub(super) async fn probe(engine: &Engine, io: &[Handle]) {
    for runtime in io {
        // A thread that is gone never answers.
        if runtime.spawn(async {}).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
    while !answers(engine).await {
        // Refused for load. A worker that lives makes room again and again.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks a question that nobody can answer from memory: the token of an issuer that does not exist.
async fn answers(engine: &Engine) -> bool {
    let (sender, receiver) = oneshot::channel();
    let now = engine.clock().now();
    // Which worker a token goes to is chance, so several go.
    let tokens = 8 * engine.workers();
    let call = Call {
        peer: engine.peer("watchdog", None),
        tokens: (0..tokens).map(probe_token).collect(),
        policy: PolicyId::DEFAULT,
        want: Want::Verdict,
        deadline: Some(clock::since_boot() + Duration::from_secs(60)),
        min_revision: 0,
    };
    let at_once = engine.ask(call, now, move |verdicts| {
        let _ = sender.send(verdicts);
    });
    let verdicts = match at_once {
        Some(verdicts) => Some(verdicts),
        None => receiver.await.ok(),
    };
    verdicts.is_some_and(|verdicts| !verdicts.iter().any(is_overloaded))
}

fn is_overloaded(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Unavailable(unavailable) if unavailable.cause == Cause::Overloaded)
}

/// `{"alg":"ES256"}`, a number, and 64 bytes that are no signature.
fn probe_token(number: usize) -> Bytes {
    let mut token = b"eyJhbGciOiJFUzI1NiJ9.".to_vec();
    let payload = format!("{{\"iss\":\"\",\"n\":{number}}}");
    crate::encoding::base64url::encode(payload.as_bytes(), &mut token);
    token.push(b'.');
    token.extend_from_slice(&[b'A'; 86]);
    token.into()
}
