//! Reads orders from a request: one, or a list of them, each with all its faults.
#![forbid(unsafe_code)]

use super::Connection;
use crate::encoding::json::Object;
use crate::revocation::{Order, Record, TenantTag, Wait};
use std::collections::BTreeMap;

/// Most orders of one request.
const ORDERS_MAX: usize = 1_000;

/// Most faults that are listed.
const FAULTS_LISTED_MAX: usize = 100;

/// Most tenants that are listed to whoever names none of them.
const TENANTS_LISTED_MAX: usize = 100;

/// An order, and the record that it becomes.
pub(super) struct Asked {
    pub(super) order: Order,
    pub(super) record: Record,
}

/// What a request asks for.
pub(super) struct Given {
    pub(super) orders: Vec<Asked>,
    pub(super) wait: Wait,
}

/// One fault of one order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which, counted from 0; `None` for the request as a whole.
    pub(super) order: Option<usize>,
    pub(super) what: String,
}

/// The tenants there are.
pub(super) struct Tenants {
    /// The longest life that a token of it can have left, leeway included, by name; `None` where nothing bounds it.
    lifetimes: BTreeMap<Box<str>, Option<u32>>,
    names: BTreeMap<TenantTag, Box<str>>,
}

/// Reads `{"orders":[…]}`, or a single order; `?wait=accepted` or `?wait=applied`.
pub(super) fn read(
    connection: &Connection,
    query: Option<&str>,
    body: &[u8],
) -> Result<Given, Vec<Fault>> {
    let of_request = |what: &str| Fault {
        order: None,
        what: what.to_owned(),
    };
    let wait = wait(query)
        .ok_or_else(|| vec![of_request("the query takes wait=accepted or wait=applied")])?;
    let object = Object::parse(body).map_err(|error| vec![of_request(error.rule)])?;
    let texts: Vec<&str> = match object.get("orders") {
        None => vec![object.text()],
        Some(orders) => {
            let elements = orders
                .as_array()
                .ok_or_else(|| vec![of_request("orders must be an array")])?;
            if object.len() > 1 {
                return Err(vec![of_request("beside orders, nothing else may stand")]);
            }
            elements.map(|element| element.text()).collect()
        }
    };
    if texts.is_empty() || texts.len() > ORDERS_MAX {
        return Err(vec![of_request("a request has 1 to 1000 orders")]);
    }
    let tenants = Tenants::of(connection);
    let mut orders = Vec::with_capacity(texts.len());
    let mut faults = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        match one(connection, &tenants, text.as_bytes()) {
            Ok(asked) => orders.push(asked),
            Err(whats) => faults.extend(whats.into_iter().map(|what| Fault {
                order: Some(index),
                what,
            })),
        }
        if faults.len() >= FAULTS_LISTED_MAX {
            break;
        }
    }
    if faults.is_empty() {
        Ok(Given { orders, wait })
    } else {
        Err(faults)
    }
}

fn one(connection: &Connection, tenants: &Tenants, text: &[u8]) -> Result<Asked, Vec<String>> {
    let order = Order::parse(text);
    let order =
        order.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    record(connection, tenants, order).map_err(|what| vec![what])
}

/// The record of an order, taken now.
pub(super) fn record(
    connection: &Connection,
    tenants: &Tenants,
    order: Order,
) -> Result<Asked, String> {
    let Some(revocation) = &connection.admin.revocation else {
        return Err("nothing can be revoked".to_owned());
    };
    let known = tenants.lifetimes.get(order.tenant()).copied();
    let records = connection.context.engine.records();
    let Some(lifetime) = known.or_else(|| records.lifetime_brought(order.tenant())) else {
        // A typing error must not look like a revocation. The names that there are, an operator may see.
        let names = tenants.lifetimes.keys().map(|name| &**name);
        let known: Vec<&str> = names.take(TENANTS_LISTED_MAX).collect();
        let more = tenants.lifetimes.len().saturating_sub(known.len());
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        return Err(format!(
            "no issuer has this tenant; there are {}{more}",
            known.join(", ")
        ));
    };
    let now = connection.context.engine.clock().now();
    let record = order.record(&revocation.ids, lifetime, now);
    let record = record.map_err(|fault| fault.to_string())?;
    Ok(Asked { order, record })
}

impl Tenants {
    /// Of the issuers configured now.
    pub(super) fn of(connection: &Connection) -> Self {
        let lifetimes = connection.context.engine.records().lifetimes();
        let names = match &connection.admin.revocation {
            None => BTreeMap::new(),
            Some(revocation) => {
                let tagged = lifetimes
                    .keys()
                    .map(|name| (revocation.ids.tenant_tag(name), name.clone()));
                tagged.collect()
            }
        };
        Self { lifetimes, names }
    }

    /// The name behind a tag, if an issuer has it.
    pub(super) fn name_of(&self, tag: TenantTag) -> Option<&str> {
        self.names.get(&tag).map(|name| &**name)
    }
}

fn wait(query: Option<&str>) -> Option<Wait> {
    match query {
        None | Some("" | "wait=accepted") => Some(Wait::Accepted),
        Some("wait=applied") => Some(Wait::Applied),
        Some(_) => None,
    }
}
