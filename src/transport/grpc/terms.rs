//! Reads the terms of a call: its deadline, its policy, its wants, and how faults are told.
#![forbid(unsafe_code)]

use super::v1;
use crate::limits::FRAME_TOKENS_MAX;
use crate::transport::http::ask::{Asking, want};
use crate::transport::http::{Fault, Protocol};
use bytes::Bytes;
use hyper::StatusCode;
use std::time::Duration;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The question that a message asks.
pub(super) fn asking<'m>(
    tokens: Vec<String>,
    policy: &'m str,
    wants: &[String],
    timeout: Option<Duration>,
    min_revision: u64,
) -> Result<Asking<'m>, Fault> {
    if tokens.len() > FRAME_TOKENS_MAX {
        return Err(Fault::too_many_tokens());
    }
    Ok(Asking {
        tokens: tokens.into_iter().map(Bytes::from).collect(),
        policy: Some(policy).filter(|name| !name.is_empty()),
        want: want(wants.iter().map(String::as_str))?,
        timeout,
        min_revision,
        protocol: Protocol::Grpc,
    })
}

/// What the client says it waits: `grpc-timeout`, at most eight digits and a unit.
pub(super) fn timeout(metadata: &MetadataMap) -> Result<Option<Duration>, Fault> {
    const BAD_TIMEOUT: Fault = Fault::bad(
        "bad_timeout",
        "grpc-timeout must be at most eight digits and a unit out of H, M, S, m, u and n",
    );
    const DIGITS_MAX: usize = 8;
    let Some(value) = metadata.get("grpc-timeout") else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_not_text| BAD_TIMEOUT)?;
    let Some((at, unit)) = value.char_indices().next_back() else {
        return Err(BAD_TIMEOUT);
    };
    let digits = value.get(..at).unwrap_or_default();
    if digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BAD_TIMEOUT);
    }
    let number: u64 = digits.parse().map_err(|_empty| BAD_TIMEOUT)?;
    Ok(Some(match unit {
        'H' => Duration::from_secs(number * 3600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return Err(BAD_TIMEOUT),
    }))
}

/// A fault as the status of a call.
pub(super) fn status_of(fault: &Fault) -> Status {
    let detail = format!("{}: {}", fault.error, fault.detail);
    match fault.status {
        StatusCode::PAYLOAD_TOO_LARGE => Status::resource_exhausted(detail),
        _ => Status::invalid_argument(detail),
    }
}

/// A fault as part of a stream, which goes on.
pub(super) fn error_of(fault: Fault) -> v1::RequestError {
    v1::RequestError {
        error: fault.error.to_owned(),
        detail: fault.detail.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        let read = |value: &'static str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", value.parse().expect("ASCII"));
            timeout(&metadata)
        };
        assert_eq!(timeout(&MetadataMap::new()), Ok(None));
        for (text, expected) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("4S", Duration::from_secs(4)),
            ("250m", Duration::from_millis(250)),
            ("99999999u", Duration::from_micros(99_999_999)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(read(text), Ok(Some(expected)), "{text}");
        }
        for bad in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "123456789S",
            "1.5S",
            "1 S",
        ] {
            assert_eq!(
                read(bad).map_err(|fault| fault.error),
                Err("bad_timeout"),
                "{bad}"
            );
        }
    }
}
