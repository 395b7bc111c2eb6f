//! The labels of metrics: closed sets, and names out of the configuration.
#![forbid(unsafe_code)]

use prometheus_client::encoding::EncodeLabelSet;
use std::sync::Arc;

/// Labels of a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VerificationLabels {
    /// The issuer's configured name; empty where none was found.
    pub issuer: Arc<str>,
    /// The algorithm; empty where none was settled.
    pub alg: &'static str,
    /// `valid`, `invalid` or `unavailable`.
    pub result: &'static str,
    /// The closed-set reason; empty for valid tokens.
    pub reason: &'static str,
    /// `uds`, `h1`, `h2`, `grpc`.
    pub transport: &'static str,
}

/// Label of the way a verdict was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PathLabels {
    /// `hit` or `miss`.
    pub path: &'static str,
}

/// Label of what was full.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ShedLabels {
    /// `queue`, `peer`, `deadline`, `draining`.
    pub cause: &'static str,
}

/// Labels of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KernelLabels {
    /// The algorithm.
    pub alg: &'static str,
    /// `portable` or `ifma`.
    pub kernel: &'static str,
}

/// Labels of a review of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReviewLabels {
    /// The algorithm.
    pub alg: &'static str,
    /// `portable` or `ifma`.
    pub kernel: &'static str,
    /// `canary`: known answers among its checks; `refused`: what it refused; `accepted`: a sample of what it
    /// accepted.
    pub why: &'static str,
}

/// Label of a transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TransportLabels {
    /// `uds`, `tcp`, `admin`.
    pub transport: &'static str,
}

/// Labels of a connection's fault.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FaultLabels {
    /// `uds`, `tcp`, `admin`.
    pub transport: &'static str,
    /// A short fixed word: `peer_refused`, `limit`, `frame`, `slow`, `tls`, …
    pub fault: &'static str,
}

/// Label of an issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct IssuerLabels {
    /// The issuer's configured name.
    pub issuer: Arc<str>,
}

/// Label of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RevocationLabels {
    /// `jti`, `sub`, `sid`, `client`, `kid`, `digest`, `iss`, `tenant`, or `several`.
    pub kind: &'static str,
}

/// Label of an order that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusedLabels {
    /// `invalid`, `unauthorized`, `disk_full`, `unwritable`, `unsynced`, `busy`, `stopping`.
    pub why: &'static str,
}

/// Labels of what a feed brought.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FeedLabels {
    /// The feed's configured name.
    pub feed: Arc<str>,
    /// `taken`, `invalid`, `later`, and of one that is fetched, `unreachable`.
    pub outcome: &'static str,
}

/// Label of a state of revocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabels {
    /// `off`, `live`, `stale`.
    pub state: &'static str,
}

/// Label of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TenantLabels {
    /// The tenant, or `(other)`.
    pub tenant: Arc<str>,
}

/// Labels of what became of a template's tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TenantChangeLabels {
    /// The template's configured name.
    pub issuer: Arc<str>,
    /// `loaded`; `absent`: its issuer does not know it; `idle`, `evicted` or `untrusted`: let go; `full`: no room for it.
    pub outcome: &'static str,
}

/// Labels of what threatens an issuer's tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AlarmLabels {
    /// The issuer's configured name.
    pub issuer: Arc<str>,
    /// `kid_reused`, `withdrawn_in_use`, `unusable_keys`, `unknown_kid_surge`, `clock_skew`, `trust_ran_out`.
    pub alarm: &'static str,
}

/// Labels of what became of a key set that hosts share.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SharedLabels {
    /// `taken` from another host, `offered` to others, `refused` for its seal, `unreachable`.
    pub outcome: &'static str,
}

/// Labels of a fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FetchLabels {
    /// The issuer's configured name.
    pub issuer: Arc<str>,
    /// `ok`, `not_modified`, `shared`, `kept`, `unreachable`, `status`, `too_large`, `invalid`, `empty`.
    pub outcome: &'static str,
}
