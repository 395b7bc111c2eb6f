//! One fetch of a JWK Set over HTTPS, with every bound that keeps a broken or hostile server from costing
//! more than a timer tick: total time, size, redirects, encodings and where the name resolves to.
#![forbid(unsafe_code)]

use super::client::{HttpClient, Trust, client};
use super::source::{Endpoint, Remote};
use super::uri::check_uri;
use crate::jose::JwkSet;
use crate::limits::JWKS_BYTES_MAX;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH, LOCATION, USER_AGENT,
};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::error::Error;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Fetches one issuer's JWK Set, and remembers the entity tag of the last.
pub(super) struct Fetcher {
    remote: Remote,
    client: Option<HttpClient>,
    tag: Option<Tag>,
}

/// Fetches at a time, of all issuers: ten thousand that start together must not all hold a connection.
static ROOM: Semaphore = Semaphore::const_new(256);

/// An entity tag, and of what.
pub(super) type Tag = (Uri, HeaderValue);

/// What a fetch brought.
pub(super) enum Fetched {
    /// A set, and how long the server says it stays good.
    Set(JwkSet, Option<Duration>),
    /// The set we have is still the current one.
    NotModified(Option<Duration>),
}

/// Why a fetch brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer: {0}")]
    Unreachable(String),
    #[error("no whole answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("the answer has status {0}")]
    Status(StatusCode),
    #[error("redirected to another place, which is not followed{0}")]
    Redirected(&'static str),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the answer is compressed though it was asked not to be")]
    Encoded,
    #[error("{0}")]
    Invalid(String),
}

impl FetchError {
    /// The outcome as metrics call it.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) => "unreachable",
            Self::Status(_) | Self::Redirected(_) => "status",
            Self::TooLarge(_) => "too_large",
            Self::Encoded | Self::Invalid(_) => "invalid",
        }
    }
}

impl Fetcher {
    pub(super) fn new(remote: Remote) -> Self {
        Self {
            remote,
            client: None,
            tag: None,
        }
    }

    /// One that goes on with another's client, and from the entity tag of an earlier one.
    pub(super) fn resumed(remote: Remote, client: Option<HttpClient>, tag: Option<Tag>) -> Self {
        Self {
            remote,
            client,
            tag,
        }
    }

    /// The client, unless it is better made anew, and the entity tag.
    pub(super) fn into_parts(self) -> (Option<HttpClient>, Option<Tag>) {
        (self.client, self.tag)
    }

    /// Forgets the entity tag, so that the next fetch brings the whole set.
    pub(super) fn forget(&mut self) {
        self.tag = None;
    }

    /// Fetches once. Never takes longer than the configured timeout, however the server behaves.
    pub(super) async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        // Never closed.
        let _room = ROOM.acquire().await;
        let timeout = self.remote.timeout;
        let fetched = tokio::time::timeout(timeout, self.fetch_untimed()).await;
        let fetched = fetched.unwrap_or(Err(FetchError::TimedOut(timeout)));
        if fetched.is_err() {
            // A new client reads the authorities again, which may be what was wrong.
            self.client = None;
        }
        fetched
    }

    async fn fetch_untimed(&mut self) -> Result<Fetched, FetchError> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let trust = Trust {
                    ca_file: self.remote.ca_file.clone(),
                    allow_private_address: self.remote.allow_private_address,
                    allow_insecure_loopback: self.remote.allow_insecure_loopback,
                };
                let uri = match &self.remote.endpoint {
                    Endpoint::Jwks(uri) | Endpoint::Discovery { document: uri, .. } => uri.clone(),
                };
                // Reading the system's authorities takes milliseconds that belong to the connections.
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this runtime carries no connections, and a client is made seldom"
                )]
                let client = tokio::task::spawn_blocking(move || client(uri.host(), &trust)).await;
                let client =
                    client.map_err(|error| FetchError::Unreachable(error.to_string()))??;
                self.client.insert(client).clone()
            }
        };
        let uri = match &self.remote.endpoint {
            Endpoint::Jwks(uri) => uri.clone(),
            Endpoint::Discovery { issuer, document } => {
                self.discover(&client, issuer, document).await?
            }
        };
        let tag = self.tag.as_ref().filter(|(of, _)| *of == uri);
        let tag = tag.map(|(_, tag)| tag.clone());
        let response = self.get(&client, &uri, tag.as_ref()).await?;
        let fresh_for = max_age(response.headers());
        if response.status() == StatusCode::NOT_MODIFIED && tag.is_some() {
            return Ok(Fetched::NotModified(fresh_for));
        }
        let tag = response.headers().get(ETAG).cloned();
        let body = body(response, JWKS_BYTES_MAX).await?;
        let jwks = JwkSet::parse(&body).map_err(|error| FetchError::Invalid(error.to_string()))?;
        // An entity tag longer than any server needs is not worth sending back.
        self.tag = tag.filter(|tag| tag.len() <= 256).map(|tag| (uri, tag));
        Ok(Fetched::Set(jwks, fresh_for))
    }

    /// Asks the issuer where its keys are.
    //= https://openid.net/specs/openid-connect-discovery-1_0.html#section-4.3
    //# The issuer value returned MUST be identical to the Issuer URL that was used as the prefix to
    //# /.well-known/openid-configuration to retrieve the configuration information.
    async fn discover(
        &self,
        client: &HttpClient,
        issuer: &str,
        document: &Uri,
    ) -> Result<Uri, FetchError> {
        #[derive(serde::Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        let invalid = |why: String| FetchError::Invalid(format!("the discovery document {why}"));
        let body = body(self.get(client, document, None).await?, JWKS_BYTES_MAX).await?;
        let found: Document = serde_json::from_slice(&body)
            .map_err(|error| invalid(format!("cannot be read: {error}")))?;
        if found.issuer != issuer {
            return Err(invalid("is another issuer's".to_owned()));
        }
        let Remote {
            allow_insecure_loopback,
            allow_private_address,
            ..
        } = self.remote;
        check_uri(
            &found.jwks_uri,
            allow_insecure_loopback,
            allow_private_address,
        )
        .map_err(|fault| invalid(format!("names a jwks_uri that {fault}")))
    }

    /// One GET, and one redirect if that was allowed and leads to the same origin.
    async fn get(
        &self,
        client: &HttpClient,
        uri: &Uri,
        tag: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, FetchError> {
        let response = get_once(client, uri, tag).await?;
        if !is_redirect(response.status()) {
            return Ok(response);
        }
        if !self.remote.allow_redirect {
            return Err(FetchError::Redirected(" unless allow_redirect is set"));
        }
        let target = response.headers().get(LOCATION);
        let target = target
            .and_then(|location| same_origin(uri, location.to_str().ok()?))
            .ok_or(FetchError::Redirected(": it is not of the same origin"))?;
        let response = get_once(client, &target, tag).await?;
        if is_redirect(response.status()) {
            return Err(FetchError::Redirected(" twice"));
        }
        Ok(response)
    }
}

async fn get_once(
    client: &HttpClient,
    uri: &Uri,
    tag: Option<&HeaderValue>,
) -> Result<Response<Incoming>, FetchError> {
    let mut request = Request::get(uri)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, concat!("jotd/", env!("CARGO_PKG_VERSION")));
    if let Some(tag) = tag {
        request = request.header(IF_NONE_MATCH, tag);
    }
    let request = request
        .body(Full::default())
        .map_err(|error| FetchError::Unreachable(error.to_string()))?;
    let response = client.request(request).await;
    response.map_err(|error| FetchError::Unreachable(chain(&error)))
}

/// The whole body of a good answer, within bounds.
pub(super) async fn body(
    response: Response<Incoming>,
    bytes_max: usize,
) -> Result<Bytes, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    // Nothing is inflated here, so nothing can be a bomb.
    let encoding = response.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(FetchError::Encoded);
    }
    let collected = Limited::new(response.into_body(), bytes_max)
        .collect()
        .await;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLarge(bytes_max)),
        Err(error) => Err(FetchError::Unreachable(chain(&*error))),
    }
}

/// Where a redirect leads, if that is another path of the same scheme, host and port.
fn same_origin(from: &Uri, location: &str) -> Option<Uri> {
    if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(location.parse().ok()?);
        return Uri::from_parts(parts).ok();
    }
    let target: Uri = location.parse().ok()?;
    (target.scheme() == from.scheme() && target.authority() == from.authority()).then_some(target)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1).
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|directive| {
            let (name, value) = directive.trim().split_once('=')?;
            let seconds = value.trim_matches('"').parse().ok()?;
            name.eq_ignore_ascii_case("max-age")
                .then(|| Duration::from_secs(seconds))
        })
}

/// An error with its causes, each of which says more than the one before.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_found_among_other_directives() {
        let max_age_of = |value| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
            max_age(&headers).map(|age| age.as_secs())
        };
        assert_eq!(max_age_of("public, Max-Age=60"), Some(60));
        assert_eq!(max_age_of("s-maxage=60"), None);
        assert_eq!(max_age_of("max-age=never"), None);
        assert_eq!(max_age_of("no-store"), None);
    }

    /// Checks V-43.
    #[test]
    fn a_redirect_leads_nowhere_but_to_the_same_origin() {
        let from: Uri = "https://idp.example:8443/a".parse().expect("a URL");
        let leads = |location| same_origin(&from, location).map(|uri| uri.to_string());
        assert_eq!(
            leads("/b?c").as_deref(),
            Some("https://idp.example:8443/b?c")
        );
        assert_eq!(
            leads("https://idp.example:8443/b").as_deref(),
            Some("https://idp.example:8443/b")
        );
        for elsewhere in [
            "http://idp.example:8443/b",
            "https://idp.example/b",
            "https://evil.example:8443/b",
            "//evil.example/b",
            "https://idp.example:8443@evil.example/b",
            "",
            "b",
        ] {
            assert_eq!(leads(elsewhere), None, "{elsewhere}");
        }
    }
}
