//! `GET /.well-known/jwks.json`: the public keys that the daemon trusts.
#![forbid(unsafe_code)]

use super::{Body, Fault, reply};
use crate::encoding::hex;
use crate::limits::JWKS_MAX_AGE_SECONDS;
use crate::verify::Records;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Request, Response, StatusCode};
use sha2::{Digest, Sha256};

const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");
const _: () = assert!(
    JWKS_MAX_AGE_SECONDS == 60,
    "the header says what the limit is"
);

/// Answers with all keys, or those of the tenant that `?tenant=` names. Shared secrets have no public
/// part and never appear.
pub(super) fn answer<B>(records: &Records, request: &Request<B>) -> Result<Response<Body>, Fault> {
    let tenant = tenant(request.uri().query())?;
    if tenant.is_some_and(|tenant| !records.verifying().any(|issuer| *issuer.tenant == *tenant)) {
        return Err(UNKNOWN_TENANT);
    }
    let set = records.public_jwks(tenant);
    let tag = entity_tag(set.as_bytes());
    let mut response = if matches_tag(request.headers(), &tag) {
        let mut response = Response::new(Body::whole(Vec::new()));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        reply::json(set.into_bytes())
    };
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/jwk-set+json"),
    );
    headers.insert(CACHE_CONTROL, CACHE);
    headers.insert(ETAG, tag);
    Ok(response)
}

const UNKNOWN_TENANT: Fault = Fault::new(
    StatusCode::NOT_FOUND,
    "unknown_tenant",
    "no issuer of this tenant is configured",
);

const BAD_QUERY: Fault = Fault::bad(
    "bad_query",
    "the only parameter is tenant, once: /.well-known/jwks.json?tenant=NAME",
);

fn tenant(query: Option<&str>) -> Result<Option<&str>, Fault> {
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return Ok(None);
    };
    match query.strip_prefix("tenant=") {
        Some(name) if !name.is_empty() && !name.contains(['&', '=', '%', '+']) => Ok(Some(name)),
        _ => Err(BAD_QUERY),
    }
}

/// A strong validator (RFC 9110 §8.8.3): equal exactly when the bytes are.
fn entity_tag(bytes: &[u8]) -> HeaderValue {
    let tag = hex(&Sha256::digest(bytes)[..16]);
    HeaderValue::try_from(format!("\"{tag}\""))
        .expect("hexadecimal digits in quotes are visible ASCII")
}

/// `If-None-Match` (RFC 9110 §13.1.2), compared weakly as the RFC asks.
fn matches_tag(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let tag = tag.as_bytes();
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|one| one == b"*" || one.strip_prefix(b"W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_one_tenant_or_nothing() {
        assert_eq!(tenant(None), Ok(None));
        assert_eq!(tenant(Some("")), Ok(None));
        assert_eq!(tenant(Some("tenant=acme-eu")), Ok(Some("acme-eu")));
        for bad in [
            "tenant=",
            "tenant",
            "x=1",
            "tenant=a&tenant=b",
            "tenant=%2e",
        ] {
            assert_eq!(tenant(Some(bad)), Err(BAD_QUERY), "{bad}");
        }
    }

    #[test]
    fn a_tag_is_matched_as_the_rfc_says() {
        let tag = entity_tag(b"some keys");
        assert_ne!(tag, entity_tag(b"other keys"));
        let matches = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                IF_NONE_MATCH,
                HeaderValue::try_from(value).expect("visible ASCII"),
            );
            matches_tag(&headers, &tag)
        };
        let text = tag.to_str().expect("visible ASCII");
        assert!(matches(text) && matches("*") && matches(&format!("W/{text}")));
        assert!(matches(&format!("\"other\", {text}")));
        assert!(!matches("\"other\"") && !matches(""));
        assert!(!matches_tag(&HeaderMap::new(), &tag));
    }
}
