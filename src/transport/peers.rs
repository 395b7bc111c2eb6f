//! Who is at the door: the table of peers, their quotas and the policies they may ask for.
//!
//! A peer is a Unix uid, as the kernel vouches for it (`SO_PEERCRED`), or a client address, IPv6 by its
//! /64. Nothing that a peer *says* about itself is read here, so nothing it says can change who it is.
#![forbid(unsafe_code)]

use crate::engine::{Engine, Peer};
use crate::metrics::{FaultLabels, Metrics, TransportLabels};
use crate::transport::Limits;
use crate::transport::budget::Budget;
use crate::verify::{PolicyId, Tenants};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most peers remembered. Idle ones are forgotten first, and there are never more busy ones than
/// connections.
const PEERS_MAX: usize = 65_536;

/// What a local user may do, and as whom it is counted. The first rule that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixRule {
    /// Fits this user; `None` fits every user.
    pub uid: Option<u32>,
    /// Fits this effective group of the connecting process; `None` fits every group. The kernel vouches
    /// for no supplementary groups.
    pub gid: Option<u32>,
    /// What the peer may do.
    pub terms: Terms,
}

/// What a peer may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Most work queued for this peer, in nanoseconds of estimated cost; `None` for the engine's default.
    pub queue_cost_ns_max: Option<u64>,
    /// Most open connections; `None` for [`Limits::connections_per_peer_max`], 0 to refuse the peer.
    pub connections_max: Option<usize>,
    /// The request policy of a question that names none; `None` for no narrowing.
    pub policy_default: Option<Box<str>>,
    /// The request policies the peer may name; `None` for all that are configured.
    pub policies: Option<Vec<Box<str>>>,
    /// The only tenants about whose tokens the peer may ask, in order; `None` for all.
    pub tenants: Option<Box<Tenants>>,
}

/// The table. One serves every transport, so that its limits hold over all of them.
pub struct Peers {
    engine: Engine,
    metrics: Arc<Metrics>,
    limits: Arc<Limits>,
    table: Mutex<Table>,
}

struct Table {
    rules: Rules,
    known: HashMap<Identity, Known>,
    connections: usize,
}

#[derive(Default)]
struct Rules {
    unix: Vec<(UnixRule, Arc<Terms>)>,
    address: Arc<Terms>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Identity {
    User(u32),
    Address(IpAddr),
}

struct Known {
    /// `None` after the rules changed: the next connection gets a fresh one.
    peer: Option<Arc<Peer>>,
    budget: Arc<Budget>,
    connections: usize,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No rule fits this user.
    #[error("this user may not connect")]
    PeerRefused,
    /// The peer, or the daemon, has as many connections as it may.
    #[error("too many connections")]
    TooManyConnections,
}

/// Why a question may not be asked under a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefused {
    /// No request policy has this name.
    #[error("no request policy has this name")]
    Unknown,
    /// The peer may not use it.
    #[error("this peer may not use this request policy")]
    Forbidden,
}

/// One connection that was let in. Dropping it gives its place back.
pub struct Admission {
    peers: Arc<Peers>,
    identity: Identity,
    peer: Arc<Peer>,
    budget: Arc<Budget>,
    terms: Arc<Terms>,
    transport: &'static str,
}

impl Peers {
    /// A table with these rules for local users; no rules let in whoever the socket's file mode does.
    #[must_use]
    pub fn new(
        engine: Engine,
        metrics: Arc<Metrics>,
        limits: Arc<Limits>,
        rules: Vec<UnixRule>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            metrics,
            limits,
            table: Mutex::new(Table {
                rules: Rules::new(rules),
                known: HashMap::new(),
                connections: 0,
            }),
        })
    }

    /// Replaces the rules. Open connections keep the terms they were let in under.
    pub fn set_rules(&self, rules: Vec<UnixRule>) {
        let mut table = self.lock();
        table.rules = Rules::new(rules);
        for known in table.known.values_mut() {
            known.peer = None;
        }
    }

    /// Lets a local process in, by the credentials the kernel vouches for.
    ///
    /// # Errors
    /// [`Refused`], already counted.
    pub fn admit_user(self: &Arc<Self>, uid: u32, gid: u32) -> Result<Admission, Refused> {
        let terms = self.lock().rules.for_user(uid, gid);
        let admitted = terms
            .ok_or(Refused::PeerRefused)
            .and_then(|terms| self.admit(Identity::User(uid), terms, "uds"));
        self.counted(admitted, "uds")
    }

    /// Lets a client in, by its address.
    ///
    /// # Errors
    /// [`Refused`], already counted.
    pub fn admit_address(self: &Arc<Self>, address: IpAddr) -> Result<Admission, Refused> {
        let terms = Arc::clone(&self.lock().rules.address);
        let admitted = self.admit(Identity::of(address), terms, "tcp");
        self.counted(admitted, "tcp")
    }

    /// Connections open now, over all transports.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    fn admit(
        self: &Arc<Self>,
        identity: Identity,
        terms: Arc<Terms>,
        transport: &'static str,
    ) -> Result<Admission, Refused> {
        if terms.connections_max == Some(0) {
            return Err(Refused::PeerRefused);
        }
        let own_max = terms.connections_max.unwrap_or(usize::MAX);
        let own_max = own_max.min(self.limits.connections_per_peer_max);
        let mut table = self.lock();
        if table.connections >= self.limits.connections_max {
            return Err(Refused::TooManyConnections);
        }
        if table.known.len() >= PEERS_MAX && !table.known.contains_key(&identity) {
            table.known.retain(|_, known| known.connections > 0);
            if table.known.len() >= PEERS_MAX {
                return Err(Refused::TooManyConnections);
            }
        }
        let known = table.known.entry(identity).or_insert(Known {
            peer: None,
            budget: Arc::new(Budget::new(&self.limits)),
            connections: 0,
        });
        if known.connections >= own_max {
            return Err(Refused::TooManyConnections);
        }
        known.connections += 1;
        let peer = Arc::clone(known.peer.get_or_insert_with(|| {
            self.engine
                .peer(&identity.to_string(), terms.queue_cost_ns_max)
        }));
        let budget = Arc::clone(&known.budget);
        table.connections += 1;
        drop(table);
        self.gauge(transport, 1);
        Ok(Admission {
            peers: Arc::clone(self),
            identity,
            peer,
            budget,
            terms,
            transport,
        })
    }

    fn counted(
        &self,
        admitted: Result<Admission, Refused>,
        transport: &'static str,
    ) -> Result<Admission, Refused> {
        if let Err(refused) = &admitted {
            let fault = match refused {
                Refused::PeerRefused => "peer_refused",
                Refused::TooManyConnections => "limit",
            };
            let labels = FaultLabels { transport, fault };
            self.metrics.connection_faults.get_or_create(&labels).inc();
        }
        admitted
    }

    fn leave(&self, identity: Identity, transport: &'static str) {
        let mut table = self.lock();
        table.connections = table.connections.saturating_sub(1);
        if let Some(known) = table.known.get_mut(&identity) {
            known.connections = known.connections.saturating_sub(1);
        }
        drop(table);
        self.gauge(transport, -1);
    }

    fn gauge(&self, transport: &'static str, by: i64) {
        let labels = TransportLabels { transport };
        self.metrics.connections.get_or_create(&labels).inc_by(by);
    }

    /// A panic while the lock was held leaves at worst a count off by one: better than no service.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peers")
    }
}

impl Admission {
    /// The peer, for [`crate::engine::Call`].
    #[must_use]
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// What the peer makes us hold, over all its connections.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The transport it came over, as the metrics call it.
    #[must_use]
    pub fn transport(&self) -> &'static str {
        self.transport
    }

    /// The same connection, with its work counted as that of the client whose certificate was verified.
    /// As a connection it still counts for its address.
    #[must_use]
    pub fn certified(mut self, name: &str) -> Self {
        self.peer = self.peers.engine.peer(name, self.terms.queue_cost_ns_max);
        self
    }

    /// The policy of a question: the one it names, if this peer may name it, or else the peer's own.
    ///
    /// # Errors
    /// [`PolicyRefused`].
    pub fn policy(&self, requested: Option<&str>) -> Result<PolicyId, PolicyRefused> {
        let default = self.terms.policy_default.as_deref();
        let name = requested.or(default);
        if let Some(name) = name
            && let Some(allowed) = &self.terms.policies
        {
            let is_own = default == Some(name);
            if !is_own && !allowed.iter().any(|one| &**one == name) {
                return Err(PolicyRefused::Forbidden);
            }
        }
        let records = self.peers.engine.records();
        match (name, &self.terms.tenants) {
            (None, None) => Ok(PolicyId::DEFAULT),
            (Some(name), None) => records.policy(name).ok_or(PolicyRefused::Unknown),
            // Should a reload have forgotten what this connection is bound to, it may not ask at all.
            (name, Some(tenants)) => {
                let policy = records.policy_within(name, tenants);
                policy.ok_or(PolicyRefused::Unknown)
            }
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.peers.leave(self.identity, self.transport);
    }
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admission({})", self.identity)
    }
}

impl Rules {
    fn new(rules: Vec<UnixRule>) -> Self {
        let with_terms = |rule: UnixRule| {
            let terms = Arc::new(rule.terms.clone());
            (rule, terms)
        };
        Self {
            unix: rules.into_iter().map(with_terms).collect(),
            address: Arc::default(),
        }
    }

    fn for_user(&self, uid: u32, gid: u32) -> Option<Arc<Terms>> {
        if self.unix.is_empty() {
            return Some(Arc::default());
        }
        let fits = |rule: &UnixRule| {
            rule.uid.is_none_or(|only| only == uid) && rule.gid.is_none_or(|only| only == gid)
        };
        let (_, terms) = self.unix.iter().find(|(rule, _)| fits(rule))?;
        // Whoever may have no connection at all is not busy but unwelcome.
        (terms.connections_max != Some(0)).then(|| Arc::clone(terms))
    }
}

impl Identity {
    /// An address as it is counted. A host owns a whole IPv6 /64 and could change its address with
    /// every connection (RFC 8981), so the /64 is the peer. IPv4 in IPv6 clothes is IPv4.
    fn of(address: IpAddr) -> Self {
        const HOST_BITS: u32 = 64;
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = v6.to_bits() >> HOST_BITS << HOST_BITS;
                Self::Address(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
            v4 => Self::Address(v4),
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(uid) => write!(f, "uid:{uid}"),
            Self::Address(IpAddr::V6(network)) => write!(f, "{network}/64"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(address: &str) -> String {
        Identity::of(address.parse().expect("an address")).to_string()
    }

    #[test]
    fn an_ipv6_host_is_one_peer_whatever_address_of_its_network_it_takes() {
        assert_eq!(identity("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(identity("2001:db8:1:2::9"), identity("2001:db8:1:2:ffff::"));
        assert_ne!(identity("2001:db8:1:2::9"), identity("2001:db8:1:3::9"));
        assert_eq!(identity("192.0.2.1"), "192.0.2.1");
        assert_eq!(identity("::ffff:192.0.2.1"), identity("192.0.2.1"));
        assert_ne!(identity("192.0.2.1"), identity("192.0.2.2"));
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_no_rules_let_everybody_in() {
        let named = |name: &str| Terms {
            policy_default: Some(name.into()),
            ..Terms::default()
        };
        let rule = |uid, gid, name| UnixRule {
            uid,
            gid,
            terms: named(name),
        };
        let rules = Rules::new(vec![
            rule(Some(1), Some(10), "both"),
            rule(Some(1), None, "user"),
            rule(None, Some(10), "group"),
        ]);
        let fits = |uid, gid| {
            let terms = rules.for_user(uid, gid)?;
            terms.policy_default.clone()
        };
        assert_eq!(fits(1, 10).as_deref(), Some("both"));
        assert_eq!(fits(1, 11).as_deref(), Some("user"));
        assert_eq!(fits(2, 10).as_deref(), Some("group"));
        assert!(rules.for_user(2, 11).is_none());
        // Not even root is let in where rules name others.
        assert!(rules.for_user(0, 0).is_none());
        assert!(Rules::default().for_user(2, 11).is_some());
    }
}
