//! Reload: validate all, then swap all; on any fault the old configuration stays, whole.
#![forbid(unsafe_code)]

use super::records::{self, HeldAgainst};
use crate::config::{self, Config, Faults};
use crate::metrics::Metrics;
use crate::transport::peers::Peers;
use crate::transport::tls::Acceptor;
use crate::upstream::{Statuses, Upstream};
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the configuration anew.
pub type Load = Box<dyn Fn() -> Result<Config, Faults> + Send + Sync>;

/// What is fetched, by sources that a reload changes.
pub(super) struct Fetched {
    /// Keys.
    pub(super) upstream: Arc<Upstream>,
    /// Status lists.
    pub(super) statuses: Statuses,
}

/// Reloads on demand, one at a time.
pub(super) struct Reloader {
    load: Load,
    current: Mutex<Config>,
    fetched: Fetched,
    peers: Arc<Peers>,
    tls: Option<Acceptor>,
    held_against: HeldAgainst,
    metrics: Arc<Metrics>,
}

impl Reloader {
    pub(super) fn new(
        load: Load,
        current: Config,
        fetched: Fetched,
        peers: Arc<Peers>,
        tls: Option<Acceptor>,
        held_against: HeldAgainst,
        metrics: Arc<Metrics>,
    ) -> Self {
        metrics.config_last_reload_successful.set(1);
        Self {
            load,
            current: Mutex::new(current),
            fetched,
            peers,
            tls,
            held_against,
            metrics,
        }
    }

    /// Reloads: what was done, or the text of all faults. Either way it is logged and counted.
    pub(super) fn reload(&self) -> Result<String, String> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let reloaded = self.try_reload(&mut current);
        let successful = i64::from(reloaded.is_ok());
        self.metrics.config_last_reload_successful.set(successful);
        match &reloaded {
            Ok(done) => tracing::info!("{}", done.trim_end()),
            Err(faults) => {
                tracing::error!(
                    "reload refused, the old configuration stays:\n{}",
                    faults.trim_end()
                );
            }
        }
        reloaded
    }

    fn try_reload(&self, current: &mut Config) -> Result<String, String> {
        let line = |text: String| format!("{text}\n");
        let next = (self.load)().map_err(|faults| line(faults.to_string()))?;
        // All that can fail comes before all that changes something.
        let identity = next.listen.tls.as_ref().map(config::Tls::read);
        let identity = identity.transpose().map_err(line)?;
        if let Some(identity) = &identity {
            Acceptor::new(identity).map_err(|error| line(error.to_string()))?;
        }
        self.fetched
            .upstream
            .replace_all(
                records::feeds(&next),
                records::tenant_feeds(&next),
                records::decryption_feeds(&next),
                |keys| records::records(&next, keys, &self.held_against),
            )
            .map_err(|faults| line(faults.join("\n")))?;
        self.fetched
            .statuses
            .set_sources(records::status_sources(&next));
        self.peers.set_rules(next.peers.clone());
        if let (Some(acceptor), Some(identity)) = (&self.tls, &identity) {
            acceptor
                .set_identity(identity)
                .map_err(|error| line(error.to_string()))?;
        }
        let mut done = format!(
            "reloaded: {} issuers, {} policies, {} peer rules\n",
            next.issuers.len(),
            next.policies.len(),
            next.peers.len()
        );
        for setting in needs_restart(current, &next) {
            done.push_str(&format!(
                "warning: [{setting}] has changed, which needs a restart\n"
            ));
        }
        for warning in &next.warnings {
            done.push_str(&format!("warning: {warning}\n"));
        }
        // What was built at start stays as it was, so that the next reload still knows the difference.
        *current = Config {
            threads: current.threads.clone(),
            engine: current.engine.clone(),
            listen: current.listen.clone(),
            limits: current.limits.clone(),
            log: current.log,
            single_use_tokens_max: current.single_use_tokens_max,
            revocation: current.revocation.clone(),
            keys_state_dir: current.keys_state_dir.clone(),
            keys_shared: current.keys_shared.clone(),
            ..next
        };
        Ok(done)
    }
}

/// The sections whose change takes effect only at the next start.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    // Plain values print alike exactly if they are alike.
    let same = |old: &dyn std::fmt::Debug, new: &dyn std::fmt::Debug| {
        format!("{old:?}") == format!("{new:?}")
    };
    [
        ("threads", same(&old.threads, &new.threads)),
        (
            "batch",
            same(
                &(old.engine.batch_tokens_max, old.engine.batch_wait_us),
                &(new.engine.batch_tokens_max, new.engine.batch_wait_us),
            ),
        ),
        ("cache", same(&old.engine.cache, &new.engine.cache)),
        (
            "kernels",
            same(
                &(old.engine.ceiling, old.engine.table_bytes_max),
                &(new.engine.ceiling, new.engine.table_bytes_max),
            ),
        ),
        ("listen", same(&old.listen, &new.listen)),
        (
            "limits",
            same(
                &(
                    &old.limits,
                    old.engine.queue_cost_ns_max,
                    old.single_use_tokens_max,
                ),
                &(
                    &new.limits,
                    new.engine.queue_cost_ns_max,
                    new.single_use_tokens_max,
                ),
            ),
        ),
        ("log", same(&old.log, &new.log)),
        ("revocation", same(&old.revocation, &new.revocation)),
        (
            "keys",
            same(
                &(&old.keys_state_dir, &old.keys_shared),
                &(&new.keys_state_dir, &new.keys_shared),
            ),
        ),
    ]
    .into_iter()
    .filter_map(|(section, is_same)| (!is_same).then_some(section))
    .collect()
}
