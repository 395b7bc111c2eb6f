//! `POST /v1/verify` and `POST /v1/verify/batch`.
#![forbid(unsafe_code)]

use super::ask::{Asking, ask};
use super::body::{self, Unread};
use super::json::{self, Shape};
use super::{Body, Connection, Fault, Protocol, reply};
use crate::verdict::Unavailable;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Request, Response, StatusCode, Version};
use std::time::Duration;

/// How long the caller waits, in milliseconds.
const TIMEOUT_HEADER: &str = "request-timeout-ms";

/// Answers either call.
pub(super) async fn answer(
    connection: &Connection,
    request: Request<Incoming>,
    shape: Shape,
) -> Result<Response<Body>, Fault> {
    let (head, incoming) = request.into_parts();
    content_type(&head.headers)?;
    let timeout = timeout(&head.headers)?;
    let limits = &connection.context.limits;
    let read = body::read(incoming, limits, connection.admission.budget()).await;
    // What the body takes of the peer's budget is given back when the call has been answered.
    let (body, _held) = match read {
        Ok(read) => read,
        Err(Unread::Fault(fault)) => return Err(fault),
        Err(Unread::Overloaded) => return Ok(reply::verdict(&Unavailable::OVERLOADED.into())),
    };
    let asked = json::parse(&body, shape)?;
    let asking = Asking {
        tokens: asked.tokens,
        policy: asked.policy.as_deref(),
        want: asked.want,
        timeout,
        min_revision: asked.min_revision,
        protocol: match head.version {
            Version::HTTP_2 => Protocol::H2,
            _ => Protocol::H1,
        },
    };
    let verdicts = ask(connection, asking).await?;
    Ok(match (shape, &*verdicts) {
        (Shape::One, [verdict]) => reply::verdict(verdict),
        (Shape::One | Shape::Many, verdicts) => reply::verdicts(verdicts),
    })
}

/// The body is JSON unless the client says that it is something else.
fn content_type(headers: &HeaderMap) -> Result<(), Fault> {
    const NOT_JSON_TYPE: Fault = Fault::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the body must be application/json",
    );
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let value = value.as_bytes();
    // Parameters such as charset change nothing: JSON is UTF-8 (RFC 8259 §8.1).
    let essence = value.split(|byte| *byte == b';').next().unwrap_or(value);
    if essence
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/json")
    {
        Ok(())
    } else {
        Err(NOT_JSON_TYPE)
    }
}

fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Fault> {
    const BAD_TIMEOUT: Fault = Fault::bad(
        "bad_timeout",
        "Request-Timeout-Ms must be a whole number of milliseconds from 1",
    );
    let Some(value) = headers.get(TIMEOUT_HEADER) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_not_text| BAD_TIMEOUT)?;
    let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(milliseconds @ 1..) if digits_only => {
            Ok(Some(Duration::from_millis(u64::from(milliseconds))))
        }
        _ => Err(BAD_TIMEOUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn json_or_nothing_said() {
        assert!(content_type(&HeaderMap::new()).is_ok());
        for fine in ["application/json", "Application/JSON; charset=utf-8"] {
            assert!(
                content_type(&headers("content-type", fine)).is_ok(),
                "{fine}"
            );
        }
        for other in [
            "",
            "text/plain",
            "application/jsonx",
            "application/x-www-form-urlencoded",
        ] {
            let fault = content_type(&headers("content-type", other)).expect_err(other);
            assert_eq!(fault.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{other}");
        }
    }

    #[test]
    fn timeouts_are_whole_milliseconds() {
        assert_eq!(timeout(&HeaderMap::new()), Ok(None));
        assert_eq!(
            timeout(&headers(TIMEOUT_HEADER, "250")),
            Ok(Some(Duration::from_millis(250)))
        );
        for bad in ["", "0", "-1", "+1", "1.5", "1s", "99999999999"] {
            let fault = timeout(&headers(TIMEOUT_HEADER, bad)).expect_err(bad);
            assert_eq!(fault.error, "bad_timeout", "{bad}");
        }
    }
}
