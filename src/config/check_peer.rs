//! Checks peers: which processes on this host may ask, under which terms.
#![forbid(unsafe_code)]

use super::check::{Checker, in_order, names};
use super::fault::{did_you_mean, shown};
use super::section::At;
use super::setting::{Count, List, Name};
use super::{check_template, raw};
use crate::os;
use crate::transport::peers::{Terms, UnixRule};
use crate::verify::HOLE;
use std::collections::HashSet;

/// Checks every peer, alone and beside those before it.
pub(super) fn peers(raw: &raw::Document, checker: &mut Checker<'_>) -> Vec<UnixRule> {
    checker.peers(raw)
}

impl Checker<'_> {
    fn peers(&mut self, raw: &raw::Document) -> Vec<UnixRule> {
        let mut seen: Vec<(Option<u32>, Option<u32>)> = Vec::new();
        let mut rules = Vec::new();
        for At { value: peer, place } in &raw.peer {
            let known = || {
                let named = raw
                    .policy
                    .iter()
                    .filter_map(|known| known.value.name.as_ref());
                named.map(|name| &*name.value.0).collect()
            };
            let listed = peer.policies.iter().flat_map(|list| &list.value.0);
            for policy in peer.policy.iter().chain(listed) {
                self.refuse_unknown("policy", policy, known());
            }
            self.known_tenants(peer.tenants.as_ref(), raw);
            let uid = self.account(peer.uid.as_ref(), peer.user.as_ref(), "uid", "user");
            let gid = self.account(peer.gid.as_ref(), peer.group.as_ref(), "gid", "group");
            let (Ok(uid), Ok(gid)) = (uid, gid) else {
                continue;
            };
            if (uid, gid) == (None, None) {
                let message = "a peer is named by uid or user, by gid or group, or by one of each";
                self.found.push(place, message);
            }
            if seen.contains(&(uid, gid)) {
                self.found
                    .push(place, "an earlier [[peer]] fits the same processes already");
            }
            seen.push((uid, gid));
            rules.push(UnixRule {
                uid,
                gid,
                terms: terms(peer),
            });
        }
        rules
    }

    /// Faults tenants that no issuer has and no template would bring.
    pub(super) fn known_tenants(&mut self, tenants: Option<&At<List<Name>>>, raw: &raw::Document) {
        let bound: Vec<&At<Name>> = tenants.into_iter().flat_map(|list| &list.value.0).collect();
        if bound.is_empty() {
            return;
        }
        let issuers = raw.issuer.iter().map(|issuer| &issuer.value);
        let known: HashSet<String> = issuers.map(check_template::tenant_of).collect();
        let patterns: Vec<&str> = known
            .iter()
            .filter(|name| name.contains(HOLE))
            .map(String::as_str)
            .collect();
        for name in bound {
            let Name(text) = &name.value;
            let is_brought = |pattern: &&str| {
                let (before, after) = pattern.split_once(HOLE).unwrap_or_default();
                let tenant = text
                    .strip_prefix(before)
                    .and_then(|rest| rest.strip_suffix(after));
                tenant.is_some_and(|tenant| !tenant.is_empty())
            };
            if !known.contains(&**text) && !patterns.iter().any(is_brought) {
                let guess = did_you_mean(text, known.iter().map(String::as_str));
                let message = format!("no issuer has the tenant {}{guess}", shown(text));
                self.found.push(&name.place, message);
            }
        }
    }

    /// An account by number or by name; an error where a fault was found.
    fn account<const MIN: i64, const MAX: i64>(
        &mut self,
        number: Option<&At<Count<MIN, MAX>>>,
        name: Option<&At<Name>>,
        number_setting: &str,
        name_setting: &str,
    ) -> Result<Option<u32>, ()> {
        match (number, name) {
            (None, None) => Ok(None),
            (Some(number), None) => u32::try_from(number.value.0).map(Some).map_err(|_| ()),
            (
                None,
                Some(At {
                    value: Name(name),
                    place,
                }),
            ) => {
                let (id, file) = if name_setting == "user" {
                    (os::user_id(name), "/etc/passwd")
                } else {
                    (os::group_id(name), "/etc/group")
                };
                if id.is_none() {
                    let name = shown(name);
                    let message =
                        format!("no {name_setting} {name} in {file}; give its {number_setting}");
                    self.found.push(place, message);
                }
                id.map(Some).ok_or(())
            }
            (Some(_), Some(name)) => {
                let message = format!(
                    "`{number_setting}` and `{name_setting}` are both given; one is enough"
                );
                self.found.push(&name.place, message);
                Err(())
            }
        }
    }
}

fn terms(peer: &raw::Peer) -> Terms {
    let own = peer.policy.as_ref().map(|policy| policy.value.0.clone());
    let listed = peer.policies.as_ref().map(|list| names(&list.value));
    Terms {
        queue_cost_ns_max: peer
            .queue_ms
            .as_ref()
            .map(|queue| queue.value.u64() * 1_000_000),
        connections_max: if peer.allow.value {
            peer.connections_max.as_ref().map(|max| max.value.usize())
        } else {
            Some(0)
        },
        // A peer with a policy of its own is held to it, unless others are named.
        policies: listed.or_else(|| own.as_ref().map(|_| Vec::new())),
        policy_default: own,
        tenants: peer.tenants.as_ref().map(|list| in_order(&list.value)),
    }
}
