//! `GET /v1/keys` and `POST /v1/keys/refresh`: how things stand with issuers' keys, and a look at them now.
#![forbid(unsafe_code)]

use super::Connection;
use super::revocations::{fault, json_reply};
use crate::transport::http::Body;
use hyper::{Response, StatusCode};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;

/// Issuers of one page: a few keys each, and an answer stays below a megabyte.
const PAGE_ISSUERS_MAX: usize = 256;

/// What knows about issuers' keys. Fetching is the work of whoever it calls; here it is only waited for.
#[derive(Clone)]
pub struct Keys {
    /// How things stand.
    pub report: Arc<dyn Fn(&KeysQuery) -> Value + Send + Sync>,
    /// Looks at the set of this issuer, or of all of them; or says why not.
    pub refresh: Arc<dyn Fn(Option<Box<str>>) -> Refreshing + Send + Sync>,
}

/// A refresh that has begun: a JSON array with an object for each issuer, which is empty where there is none such.
pub type Refreshing = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// Which issuers are asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysQuery {
    /// This one only.
    pub issuer: Option<Box<str>>,
    /// Those after this one, by name.
    pub after: Option<Box<str>>,
    /// At most so many.
    pub issuers_max: usize,
}

/// How things stand.
pub(super) fn list(connection: &Connection, query: Option<&str>) -> Response<Body> {
    let Some(keys) = &connection.admin.keys else {
        return none();
    };
    match read(query) {
        Ok(query) => json_reply(StatusCode::OK, &(keys.report)(&query)),
        Err(why) => fault(StatusCode::BAD_REQUEST, "invalid", why),
    }
}

/// Looks now.
pub(super) async fn refresh(connection: &Connection, query: Option<&str>) -> Response<Body> {
    let Some(keys) = &connection.admin.keys else {
        return none();
    };
    let query = match read(query) {
        Ok(query) => query,
        Err(why) => return fault(StatusCode::BAD_REQUEST, "invalid", why),
    };
    let named = query.issuer.clone();
    match (keys.refresh)(query.issuer).await {
        Ok(Value::Array(issuers)) if issuers.is_empty() && named.is_some() => {
            let detail = "no issuer has this name";
            fault(StatusCode::NOT_FOUND, "unknown_issuer", detail)
        }
        Ok(issuers) => json_reply(StatusCode::OK, &serde_json::json!({ "issuers": issuers })),
        Err(why) => fault(StatusCode::BAD_REQUEST, "invalid", &why),
    }
}

fn read(query: Option<&str>) -> Result<KeysQuery, &'static str> {
    let mut read = KeysQuery {
        issuers_max: PAGE_ISSUERS_MAX,
        ..KeysQuery::default()
    };
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*name {
            "issuer" => read.issuer = Some((*value).into()),
            "after" => read.after = Some((*value).into()),
            "limit" => {
                let limit = value.parse::<usize>().ok();
                let limit = limit.filter(|limit| (1..=PAGE_ISSUERS_MAX).contains(limit));
                read.issuers_max = limit.ok_or("limit is from 1 to 256")?;
            }
            _ => return Err("the query takes issuer, after and limit"),
        }
    }
    Ok(read)
}

fn none() -> Response<Body> {
    let detail = "nobody looks after keys here";
    fault(StatusCode::NOT_FOUND, "no_keys", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let all = KeysQuery {
            issuers_max: PAGE_ISSUERS_MAX,
            ..KeysQuery::default()
        };
        assert_eq!(read(None), Ok(all.clone()));
        let page = KeysQuery {
            issuer: Some("a b".into()),
            after: Some("c".into()),
            issuers_max: 3,
        };
        assert_eq!(read(Some("issuer=a+b&after=c&limit=3")), Ok(page));
        for bad in ["limit=0", "limit=257", "limit=x", "isuer=a"] {
            assert!(read(Some(bad)).is_err(), "{bad}");
        }
    }
}
