//! Carries a question to the engine and waits for its verdicts: the one way there, for HTTP and gRPC.
#![forbid(unsafe_code)]

use super::fault::UNKNOWN_POLICY;
use super::{Connection, Fault, Protocol};
use crate::engine::Call;
use crate::transport::peers::PolicyRefused;
use crate::verdict::{Refusal, Unavailable, Verdict};
use crate::verify::Want;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

pub(in crate::transport) use super::json::want;

/// Longest time a caller may say it waits.
pub(in crate::transport) const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// A question as any of the calls asks it.
pub(in crate::transport) struct Asking<'a> {
    /// The tokens.
    pub(in crate::transport) tokens: Vec<Bytes>,
    /// The request policy's name.
    pub(in crate::transport) policy: Option<&'a str>,
    /// The claims wanted.
    pub(in crate::transport) want: Want,
    /// How long the caller waits; `None` for the daemon's default.
    pub(in crate::transport) timeout: Option<Duration>,
    /// The revocation revision that the answer must know; 0 for none.
    pub(in crate::transport) min_revision: u64,
    /// What it is asked in.
    pub(in crate::transport) protocol: Protocol,
}

/// Asks, and waits for one verdict a token. Hits are answered without waiting.
pub(in crate::transport) async fn ask(
    connection: &Connection,
    asking: Asking<'_>,
) -> Result<Vec<Verdict>, Fault> {
    let protocol = asking.protocol;
    let verdicts = answer(connection, asking).await?;
    connection.count(protocol, &verdicts);
    Ok(verdicts)
}

async fn answer(connection: &Connection, asking: Asking<'_>) -> Result<Vec<Verdict>, Fault> {
    let Connection {
        context, admission, ..
    } = connection;
    let count = asking.tokens.len();
    let policy = match admission.policy(asking.policy) {
        Ok(policy) => policy,
        Err(PolicyRefused::Unknown) => return Err(UNKNOWN_POLICY),
        Err(PolicyRefused::Forbidden) => {
            let refusal = Refusal::Forbidden("this peer may not use this request policy");
            return Ok(vec![Verdict::from(refusal); count]);
        }
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    let timeout = asking.timeout.unwrap_or(context.limits.deadline_default);
    let timeout = timeout.min(TIMEOUT_MAX);
    let now = context.engine.clock().now();
    let call = Call {
        peer: Arc::clone(admission.peer()),
        tokens: asking.tokens,
        policy,
        want: asking.want,
        deadline: Some(now.since_boot + timeout),
        min_revision: asking.min_revision,
    };
    let (reply, answer) = oneshot::channel();
    let at_once = context.engine.ask(call, now, move |verdicts| {
        // An error means that the caller has gone, and nobody wants to know any more.
        let _ = reply.send(verdicts);
    });
    if let Some(verdicts) = at_once {
        return Ok(verdicts);
    }
    // The engine keeps the deadline too; this is for a caller's sake when a worker is stuck.
    let undecided = match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(verdicts)) => return Ok(verdicts),
        Ok(Err(_stopped)) => Unavailable::OVERLOADED,
        Err(_elapsed) => Unavailable::DEADLINE,
    };
    Ok(vec![Verdict::from(undecided); count])
}
