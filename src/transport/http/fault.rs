//! What is wrong with a request, for the client to read: a fixed word and a sentence with the way out.
//!
//! Nothing that the client sent is ever repeated: it might be a token (V-40).
#![forbid(unsafe_code)]

use hyper::StatusCode;
use std::borrow::Cow;

/// A request that is no question. Not a verdict: nothing was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::transport) struct Fault {
    /// How HTTP says it.
    pub(in crate::transport) status: StatusCode,
    /// One word of a closed set (`docs/http.md`).
    pub(in crate::transport) error: &'static str,
    /// What is wrong, and the way out.
    pub(in crate::transport) detail: Cow<'static, str>,
}

impl Fault {
    pub(super) const fn new(status: StatusCode, error: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            error,
            detail: Cow::Borrowed(detail),
        }
    }

    pub(in crate::transport) const fn bad(error: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, detail)
    }

    pub(super) fn too_large(bytes_max: usize) -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            error: "too_large",
            detail: format!("the body is longer than {bytes_max} bytes").into(),
        }
    }

    pub(in crate::transport) fn too_many_tokens() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            error: "too_many_tokens",
            detail: format!(
                "a batch holds at most {} tokens; send several batches",
                crate::limits::FRAME_TOKENS_MAX
            )
            .into(),
        }
    }

    /// The JSON error object.
    pub(super) fn to_json(&self) -> Vec<u8> {
        // Neither part needs escaping by itself, but a detail may quote a member's name.
        serde_json::to_vec(&serde_json::json!({"error": self.error, "detail": self.detail}))
            .expect("two strings are always JSON")
    }
}

/// No policy of the configuration has the name.
pub(in crate::transport) const UNKNOWN_POLICY: Fault = Fault::bad(
    "unknown_policy",
    "no request policy of this name is configured; leave policy out for none",
);

/// A `want` that is neither of the two forms.
pub(in crate::transport) const UNKNOWN_WANT: Fault = Fault::bad(
    "unknown_want",
    "want takes \"claims\" for the whole claims set and \"claims.NAME\" for one member of it",
);

/// More `want` than a claims set can have members.
pub(in crate::transport) const TOO_MANY_WANTS: Fault = Fault::bad(
    "too_many_wants",
    "want names more members than a claims set may have",
);
