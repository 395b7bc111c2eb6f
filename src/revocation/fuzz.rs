//! What must hold for any bytes that are read as an order, as what a feed says, or as a status list.
#![forbid(unsafe_code)]

use super::signal::{Concern, Listening, logout, security_event};
use super::status::{StatusList, StatusReference};
use super::{IdKey, Order};
use crate::clock::Now;
use crate::jose::Claims;
use crate::limits::STATUS_LIST_BYTES_MAX;

const NOW: i64 = 1_700_000_000;
const SENDER: &str = "https://idp.example";
const TENANT: &str = "acme";

/// An accepted order says the same when it is written and read again, and becomes one record or none.
pub fn order(json: &[u8]) {
    let order = match Order::parse(json) {
        Ok(order) => order,
        Err(faults) => return assert!(!faults.is_empty()),
    };
    let again = Order::parse(order.to_json().as_bytes()).expect("it was read");
    assert_eq!(again, order);
    let record = |order: &Order| order.record(&IdKey::new(b""), Some(60), Now::at(NOW));
    assert_eq!(record(&order), record(&again));
}

/// Whatever a feed says, it speaks of the tenants that it may speak of, and not of everybody in one.
pub fn signal(json: &[u8]) {
    let Ok(claims) = Claims::parse(json) else {
        return;
    };
    let concerns = [Concern {
        tenant: TENANT.into(),
        iss: SENDER.into(),
    }];
    let listening = Listening {
        from: SENDER,
        audiences: &["shop".into()],
        concerns: &concerns,
    };
    for read in [logout, security_event] {
        let Ok(said) = read(&claims, &listening, Now::at(NOW)) else {
            continue;
        };
        assert_eq!(claims.iss.as_deref(), Some(SENDER));
        for order in &said.orders {
            assert_eq!(order.tenant(), TENANT);
            assert!(order.members().iter().count() > 1, "{}", order.to_json());
        }
    }
}

/// A list stays within bounds whatever it is unpacked from, and nothing stands behind its end.
pub fn status_list(json: &[u8]) {
    let Ok(claims) = Claims::parse(json) else {
        return;
    };
    let _ = StatusReference::of(&claims);
    let Ok(list) = StatusList::read(&claims, SENDER, Some(SENDER), Now::at(NOW)) else {
        return;
    };
    // A byte has eight places at most.
    for beyond in [STATUS_LIST_BYTES_MAX * 8, usize::MAX] {
        assert!(list.get(beyond).is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::fuzz::smoke;

    #[test]
    fn order_smoke() {
        smoke::run("order", order);
    }

    #[test]
    fn signal_smoke() {
        smoke::run("signal", signal);
    }

    #[test]
    fn status_list_smoke() {
        smoke::run("status_list", status_list);
    }
}
