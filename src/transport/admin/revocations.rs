//! `POST /v1/revocations` takes orders, `GET` lists records, and `…/watch` tells them as they come.
//!
//! A request is taken whole or not at all, and all its faults are named together. Who was revoked is never shown:
//! a record holds a keyed hash of it.
#![forbid(unsafe_code)]

use super::Connection;
use super::orders::{self, Asked, Given};
use crate::metrics::RefusedLabels;
use crate::revocation::{Arrival, NotTaken, Progress, Receipt, Record, RecordKey, audit, kind_of};
use crate::transport::http::Body;
use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Display;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

/// Records a page, unless asked otherwise, and at most.
const PAGE_RECORDS_DEFAULT: usize = 100;
const PAGE_RECORDS_MAX: usize = 1_000;

/// How often a watcher is shown that the stream lives.
const WATCH_BEAT: Duration = Duration::from_secs(15);

/// Lines that may wait for a watcher before it is behind.
const WATCH_LINES_MAX: usize = 64;

/// Takes the orders of a request's body.
pub(super) async fn take(
    connection: &Connection,
    query: Option<&str>,
    body: &[u8],
) -> Response<Body> {
    let given = orders::read(connection, query, body);
    let Given { orders, wait } = match given {
        Ok(given) => given,
        Err(faults) => {
            refused(connection, "invalid", 1);
            audit::faulty(&connection.caller, faults.len());
            return faulty(&faults);
        }
    };
    match submit(connection, &connection.caller, &orders, wait).await {
        Ok(receipt) => taken(&orders, &receipt),
        Err(why) => not_taken(why),
    }
}

/// Hands orders in, counts them and writes them into the audit.
pub(super) async fn submit(
    connection: &Connection,
    by: &(dyn Display + Sync),
    orders: &[Asked],
    wait: crate::revocation::Wait,
) -> Result<Receipt, NotTaken> {
    let Some(served) = &connection.admin.revocation else {
        return Err(NotTaken::Stopping);
    };
    let records = orders.iter().map(|asked| asked.record).collect();
    let outcome = (served.submit)(records, wait).await;
    for asked in orders {
        audit::order(by, &asked.order, &asked.record, outcome.as_ref());
    }
    if let Err(why) = &outcome {
        refused(connection, why.name(), orders.len());
    }
    outcome
}

/// Counts orders that were not taken.
pub(super) fn refused(connection: &Connection, why: &'static str, orders: usize) {
    let counter = &connection.context.metrics.revocations_refused;
    counter
        .get_or_create(&RefusedLabels { why })
        .inc_by(orders as u64);
}

/// Lists records in the order of their keys, a page at a time.
pub(super) fn list(connection: &Connection, query: Option<&str>) -> Response<Body> {
    let Some(revocation) = &connection.admin.revocation else {
        return off();
    };
    let mut page = Page::default();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let read = match &*name {
            "limit" => page.set_limit(&value),
            "after" => RecordKey::from_hex(&value)
                .ok()
                .map(|after| page.after = Some(after)),
            "tenant" => {
                page.tenant = Some(revocation.ids.tenant_tag(&value));
                Some(())
            }
            "kind" => {
                page.kind = Some(value.into_owned());
                Some(())
            }
            _ => None,
        };
        if read.is_none() {
            let detail = "the query takes limit=1..1000, after=KEY, tenant=NAME, kind=KIND";
            return fault(StatusCode::BAD_REQUEST, "invalid_query", detail);
        }
    }
    let register = &revocation.register;
    let tenants = orders::Tenants::of(connection);
    let (records, is_last) = page.cut(register.records());
    let shown: Vec<Value> = records
        .iter()
        .map(|record| shown(record, tenants.name_of(record.key.tenant)))
        .collect();
    let next = records
        .last()
        .filter(|_| !is_last)
        .map(|record| record.key.to_hex());
    json_reply(
        StatusCode::OK,
        &json!({
            "revocations": shown,
            "next": next,
            "total": register.len(),
            "revision": register.applied(),
        }),
    )
}

/// Tells what arrives, one JSON object a line, until the caller goes.
pub(super) fn watch(connection: &Connection) -> Response<Body> {
    let Some(revocation) = &connection.admin.revocation else {
        return off();
    };
    let mut arrivals = (revocation.watch)();
    let tenants = orders::Tenants::of(connection);
    let revision = revocation.register.applied();
    let mut shutdown = connection.context.shutdown.clone();
    let (lines, body) = mpsc::channel(WATCH_LINES_MAX);
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(WATCH_BEAT);
        beat.reset();
        let mut text = line(&json!({"watching": true, "revision": revision}));
        // An error means that the watcher has gone.
        while lines.send(text).await.is_ok() {
            text = tokio::select! {
                biased;
                () = shutdown.begun() => return,
                () = lines.closed() => return,
                arrival = arrivals.recv() => match arrival {
                    Ok(arrival) => told(&arrival, &tenants),
                    Err(RecvError::Lagged(missed)) => line(&json!({"missed": missed})),
                    Err(RecvError::Closed) => return,
                },
                // An empty line is no object, and readers of JSON lines skip it.
                _ = beat.tick() => Bytes::from_static(b"\n"),
            };
        }
    });
    let mut reply = Response::new(Body::chunks(body));
    let headers = reply.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

fn told(arrival: &Arrival, tenants: &orders::Tenants) -> Bytes {
    let mut text = Vec::new();
    for record in &*arrival.records {
        let mut object = shown(record, tenants.name_of(record.key.tenant));
        if let Value::Object(object) = &mut object {
            object.insert("at".to_owned(), arrival.at.into());
            object.insert("revision".to_owned(), arrival.revision.into());
        }
        text.extend_from_slice(&line(&object));
    }
    text.into()
}

fn line(object: &Value) -> Bytes {
    format!("{object}\n").into()
}

/// A record as callers see it.
fn shown(record: &Record, tenant: Option<&str>) -> Value {
    let before = (record.before != Record::EVERY).then_some(record.before);
    let until = (record.until != Record::FOREVER).then_some(record.until);
    json!({
        "record": record.key.to_hex(),
        "kind": kind_of(record.key.members),
        "members": record.key.members.to_string(),
        "tenant": tenant,
        "issued_before": before,
        "until": until,
    })
}

fn taken(orders: &[Asked], receipt: &Receipt) -> Response<Body> {
    let status = match receipt.progress {
        // RFC 9110 §15.3.3: taken, and not done yet.
        Progress::Pending => StatusCode::ACCEPTED,
        Progress::Accepted | Progress::Applied => StatusCode::OK,
    };
    let positions = receipt.positions.iter().map(|position| {
        json!({"log": &*position.log, "epoch": position.epoch, "sequence": position.sequence})
    });
    let revocations = orders
        .iter()
        .map(|asked| shown(&asked.record, Some(asked.order.tenant())));
    let mut reply = json!({
        "progress": receipt.progress.name(),
        "guarantee": receipt.guarantee.words(),
        "revision": receipt.revision,
        "positions": positions.collect::<Vec<_>>(),
        "revocations": revocations.collect::<Vec<_>>(),
    });
    if !receipt.unconfirmed.is_empty() {
        let daemons = receipt
            .unconfirmed
            .iter()
            .map(|daemon| Value::from(&**daemon));
        reply["unconfirmed"] = daemons.collect();
    }
    json_reply(status, &reply)
}

/// How HTTP says that an order was not taken.
pub(super) fn not_taken(why: NotTaken) -> Response<Body> {
    let status = match why {
        NotTaken::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        NotTaken::Unwritable | NotTaken::Unsynced => StatusCode::INTERNAL_SERVER_ERROR,
        NotTaken::Busy | NotTaken::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut reply = fault(status, why.name(), &why.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        reply
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(1));
    }
    reply
}

fn faulty(faults: &[orders::Fault]) -> Response<Body> {
    let listed: Vec<Value> = faults
        .iter()
        .map(|fault| json!({"order": fault.order, "fault": fault.what}))
        .collect();
    json_reply(
        StatusCode::BAD_REQUEST,
        &json!({
            "error": "invalid_orders",
            "detail": "nothing was revoked; every fault is listed",
            "faults": listed,
        }),
    )
}

/// Revocation is not configured.
pub(super) fn off() -> Response<Body> {
    let detail = "nothing can be revoked: no state_dir is configured in [revocation]";
    fault(StatusCode::NOT_FOUND, "revocation_off", detail)
}

/// What is wrong, in a word and a sentence.
pub(super) fn fault(status: StatusCode, error: &str, detail: &str) -> Response<Body> {
    json_reply(status, &json!({"error": error, "detail": detail}))
}

/// JSON that no one keeps.
pub(super) fn json_reply(status: StatusCode, body: &Value) -> Response<Body> {
    super::routes::reply(status, super::routes::JSON, body.to_string())
}

/// What of all records is shown.
#[derive(Default)]
struct Page {
    limit: Option<usize>,
    after: Option<RecordKey>,
    tenant: Option<crate::revocation::TenantTag>,
    kind: Option<String>,
}

impl Page {
    fn set_limit(&mut self, text: &str) -> Option<()> {
        let limit = text.parse().ok();
        self.limit = Some(limit.filter(|limit| (1..=PAGE_RECORDS_MAX).contains(limit))?);
        Some(())
    }

    fn holds(&self, key: &RecordKey) -> bool {
        self.after.is_none_or(|after| *key > after)
            && self.tenant.is_none_or(|tenant| key.tenant == tenant)
            && self
                .kind
                .as_deref()
                .is_none_or(|kind| kind == kind_of(key.members))
    }

    /// The first of the records that it holds, and whether there are no more: in memory for one page, however many
    /// records there are.
    fn cut(&self, records: impl Iterator<Item = Record>) -> (Vec<Record>, bool) {
        let limit = self.limit.unwrap_or(PAGE_RECORDS_DEFAULT);
        let mut first = BinaryHeap::with_capacity(limit + 2);
        for record in records.filter(|record| self.holds(&record.key)) {
            first.push((record.key, Reverse((record.before, record.until))));
            if first.len() > limit + 1 {
                first.pop();
            }
        }
        let is_last = first.len() <= limit;
        let sorted = first.into_sorted_vec().into_iter().take(limit);
        let records = sorted.map(|(key, Reverse((before, until)))| Record { key, before, until });
        (records.collect(), is_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::{Members, TenantTag};

    fn record(number: u8) -> Record {
        Record {
            key: RecordKey {
                tenant: TenantTag(u32::from(number % 2)),
                members: Members::NONE,
                id: [number; 16],
            },
            before: 1,
            until: 2,
        }
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        // Any order that is not sorted.
        let all: Vec<Record> = (0..25).map(|number| record(number * 7 % 25)).collect();
        let mut page = Page {
            limit: Some(10),
            ..Page::default()
        };
        let mut seen = Vec::new();
        loop {
            let (records, is_last) = page.cut(all.iter().copied());
            seen.extend(records.iter().map(|record| record.key));
            page.after = records.last().map(|record| record.key);
            if is_last {
                break;
            }
        }
        let mut expected: Vec<RecordKey> = all.iter().map(|record| record.key).collect();
        expected.sort_unstable();
        assert_eq!(seen, expected);
        let of_one = Page {
            tenant: Some(TenantTag(1)),
            ..Page::default()
        };
        let (records, is_last) = of_one.cut(all.into_iter());
        assert!(is_last && records.len() == 12);
        let none = Page {
            kind: Some("jti".to_owned()),
            ..Page::default()
        };
        assert_eq!(none.cut([record(1)].into_iter()), (vec![], true));
    }

    #[test]
    fn a_page_has_bounds() {
        let mut page = Page::default();
        for wrong in ["0", "1001", "-1", "x", ""] {
            assert_eq!(page.set_limit(wrong), None, "{wrong}");
        }
        assert_eq!(page.set_limit("1000"), Some(()));
    }
}
