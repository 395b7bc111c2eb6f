//! One fetch of a JWK Set over HTTPS, with every bound that keeps a broken or hostile server from costing
//! more than a timer tick: total time, size, redirects, encodings and where the name resolves to.
#![forbid(unsafe_code)]

use super::client::{HttpClient, Trust, client};
use super::freshness::{fresh_for, server_time};
use super::source::{Endpoint, Remote};
use super::uri::check_uri;
use crate::jose::JwkSet;
use crate::limits::JWKS_BYTES_MAX;
use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderValue, IF_NONE_MATCH,
    LOCATION, USER_AGENT,
};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::error::Error;
use std::time::Duration;

/// Fetches one issuer's JWK Set, and remembers the entity tag of the last.
pub(super) struct Fetcher {
    remote: Remote,
    client: Option<HttpClient>,
    tag: Option<Tag>,
    /// Whether the issuer answers to RFC 8414, and not to OpenID Connect.
    is_oauth: bool,
}

/// An entity tag, and of what.
pub(super) type Tag = (Uri, HeaderValue);

/// What fetches of one template's tenants share: the client, and how their issuer is asked.
#[derive(Clone, Default)]
pub(super) struct Way {
    client: Option<HttpClient>,
    is_oauth: bool,
}

/// What a fetch brought.
pub(super) struct Fetched {
    /// The set, and its text; `None` where the one we have is still the current one.
    pub(super) set: Option<(JwkSet, Bytes)>,
    /// How long the server says it stays good.
    pub(super) fresh_for: Option<Duration>,
    /// What time it is there, in seconds since the epoch.
    pub(super) server_time: Option<i64>,
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
    /// Whether the issuer has answered, and knows of no such thing.
    pub(super) fn says_no(&self) -> bool {
        matches!(self, Self::Status(status)
            if status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429))
    }

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
            is_oauth: false,
        }
    }

    /// One that goes the way of another, and from the entity tag of an earlier one.
    pub(super) fn resumed(remote: Remote, way: Way, tag: Option<Tag>) -> Self {
        Self {
            remote,
            client: way.client,
            tag,
            is_oauth: way.is_oauth,
        }
    }

    /// How it went, without the client where that is better made anew, and the entity tag.
    pub(super) fn into_parts(self) -> (Way, Option<Tag>) {
        let way = Way {
            client: self.client,
            is_oauth: self.is_oauth,
        };
        (way, self.tag)
    }

    /// The entity tag of the last set, and whose it is.
    pub(super) fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Goes on from another's last fetch.
    pub(super) fn set_tag(&mut self, tag: Option<Tag>) {
        self.tag = tag;
    }

    /// Forgets the entity tag, so that the next fetch brings the whole set.
    pub(super) fn forget(&mut self) {
        self.tag = None;
    }

    /// Fetches once; past every cache on the way, if what these know was not enough. Never takes longer than the
    /// configured timeout, however the server behaves.
    pub(super) async fn fetch(&mut self, past_caches: bool) -> Result<Fetched, FetchError> {
        let timeout = self.remote.timeout;
        let fetched = tokio::time::timeout(timeout, self.fetch_untimed(past_caches)).await;
        let fetched = fetched.unwrap_or(Err(FetchError::TimedOut(timeout)));
        if fetched.is_err() {
            // A new client reads the authorities again, which may be what was wrong.
            self.client = None;
        }
        fetched
    }

    async fn fetch_untimed(&mut self, past_caches: bool) -> Result<Fetched, FetchError> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let trust = Trust {
                    ca_file: self.remote.ca_file.clone(),
                    allow_private_address: self.remote.allow_private_address,
                    allow_insecure_loopback: self.remote.allow_insecure_loopback,
                    proxy: self.remote.proxy.clone(),
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
            Endpoint::Discovery { .. } => self.discover(&client, past_caches).await?,
        };
        let tag = self.tag.as_ref().filter(|(of, _)| *of == uri);
        let tag = tag.map(|(_, tag)| tag.clone());
        let asking = Asking {
            tag: tag.as_ref(),
            past_caches,
        };
        let response = self.get(&client, &uri, asking).await?;
        let mut fetched = Fetched {
            set: None,
            fresh_for: fresh_for(response.headers()),
            server_time: server_time(response.headers()),
        };
        if response.status() == StatusCode::NOT_MODIFIED && tag.is_some() {
            return Ok(fetched);
        }
        let tag = response.headers().get(ETAG).cloned();
        let body = body(response, JWKS_BYTES_MAX).await?;
        let jwks = JwkSet::parse(&body).map_err(|error| FetchError::Invalid(error.to_string()))?;
        // An entity tag longer than any server needs is not worth sending back.
        self.tag = tag.filter(|tag| tag.len() <= 256).map(|tag| (uri, tag));
        fetched.set = Some((jwks, body));
        Ok(fetched)
    }

    /// Asks the issuer where its keys are: by OpenID Connect, and where it has nothing there, by RFC 8414; or the other
    /// way round, if that was how it went last time.
    async fn discover(
        &mut self,
        client: &HttpClient,
        past_caches: bool,
    ) -> Result<Uri, FetchError> {
        let Endpoint::Discovery { issuer, document } = self.remote.endpoint.clone() else {
            return Err(FetchError::Invalid(
                "there is nothing to discover".to_owned(),
            ));
        };
        let oauth = oauth_document(&document);
        let mut refused = StatusCode::NOT_FOUND;
        for is_oauth in [self.is_oauth, !self.is_oauth] {
            let document = if is_oauth {
                oauth.as_ref()
            } else {
                Some(&document)
            };
            let Some(document) = document else {
                continue;
            };
            match self
                .read_document(client, &issuer, document, past_caches)
                .await
            {
                Err(FetchError::Status(status)) if status.is_client_error() => refused = status,
                found => {
                    self.is_oauth = is_oauth;
                    return found;
                }
            }
        }
        Err(FetchError::Status(refused))
    }

    /// Reads one discovery document. RFC 8414 §3.3 demands the same of the issuer that it names.
    //= https://openid.net/specs/openid-connect-discovery-1_0.html#section-4.3
    //# The issuer value returned MUST be identical to the Issuer URL that was used as the prefix to
    //# /.well-known/openid-configuration to retrieve the configuration information.
    async fn read_document(
        &self,
        client: &HttpClient,
        issuer: &str,
        document: &Uri,
        past_caches: bool,
    ) -> Result<Uri, FetchError> {
        #[derive(serde::Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        let invalid = |why: String| FetchError::Invalid(format!("the discovery document {why}"));
        let asking = Asking {
            tag: None,
            past_caches,
        };
        let body = body(self.get(client, document, asking).await?, JWKS_BYTES_MAX).await?;
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
        asking: Asking<'_>,
    ) -> Result<Response<Incoming>, FetchError> {
        let response = get_once(client, uri, asking).await?;
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
        let response = get_once(client, &target, asking).await?;
        if is_redirect(response.status()) {
            return Err(FetchError::Redirected(" twice"));
        }
        Ok(response)
    }
}

/// What a request says besides where it goes.
#[derive(Clone, Copy)]
struct Asking<'a> {
    /// Of the answer we have.
    tag: Option<&'a HeaderValue>,
    /// Whether what caches know was not enough.
    past_caches: bool,
}

async fn get_once(
    client: &HttpClient,
    uri: &Uri,
    asking: Asking<'_>,
) -> Result<Response<Incoming>, FetchError> {
    let mut request = Request::get(uri)
        .header(ACCEPT, "application/jwk-set+json, application/json")
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, concat!("jotd/", env!("CARGO_PKG_VERSION")));
    if let Some(tag) = asking.tag {
        request = request.header(IF_NONE_MATCH, tag);
    }
    if asking.past_caches {
        // RFC 9111 §5.2.1.4: a cache on the way must ask the issuer itself.
        request = request.header(CACHE_CONTROL, "no-cache");
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

/// Where RFC 8414 has the metadata of the issuer whose OpenID Connect document this is.
//= https://www.rfc-editor.org/rfc/rfc8414#section-3.1
//# inserting "/.well-known/oauth-authorization-server" between the host component and the path component, if any.
fn oauth_document(openid: &Uri) -> Option<Uri> {
    let path = openid
        .path()
        .strip_suffix("/.well-known/openid-configuration")?;
    let path = format!("/.well-known/oauth-authorization-server{path}");
    let mut parts = openid.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
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
    fn the_oauth_document_stands_between_host_and_path() {
        let of = |openid: &str| oauth_document(&openid.parse().expect("a URL"));
        assert_eq!(
            of("https://idp.example:8443/realms/a/.well-known/openid-configuration"),
            "https://idp.example:8443/.well-known/oauth-authorization-server/realms/a"
                .parse()
                .ok()
        );
        assert_eq!(
            of("https://idp.example/.well-known/openid-configuration"),
            "https://idp.example/.well-known/oauth-authorization-server"
                .parse()
                .ok()
        );
        assert_eq!(of("https://idp.example/elsewhere"), None);
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
