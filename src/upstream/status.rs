//! Fetches the status lists that tokens name: over HTTPS, from where the issuer's rules allow, signed by the issuer, and
//! again before they are over. Nothing here decides about a token, and a broken list never replaces a good one.
#![forbid(unsafe_code)]

use super::client::{HttpClient, Trust, client};
use super::fetch::{FetchError, body, chain};
use super::uri::check_uri;
use crate::clock;
use crate::engine::{Engine, aside};
use crate::limits::STATUS_TOKEN_BYTES_MAX;
use crate::metrics::{FetchLabels, Metrics};
use crate::revocation::status::{StatusKey, StatusLists};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Full;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

/// Whom to trust when an issuer's lists are fetched, by its configured name.
pub type StatusSources = HashMap<Arc<str>, StatusSource>;

/// How one issuer's lists are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSource {
    /// Whom to trust there.
    pub trust: Trust,
    /// Time for one whole fetch.
    pub timeout: Duration,
}

/// Longest sleep: a list that nobody asks for any more is to be forgotten some day.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// Most lists fetched at a time: each may be megabytes.
const FETCHES_MAX: usize = 4;

/// Keeps status lists current, until it is dropped.
pub struct Statuses {
    sources: Arc<ArcSwap<StatusSources>>,
    task: AbortHandle,
}

impl Statuses {
    /// Starts to fetch what tokens ask for.
    #[must_use]
    pub fn start(
        lists: Arc<StatusLists>,
        sources: StatusSources,
        engine: Engine,
        metrics: Arc<Metrics>,
        runtime: &Handle,
    ) -> Self {
        let sources = Arc::new(ArcSwap::from_pointee(sources));
        let wake = Arc::new(Notify::new());
        let woken = Arc::clone(&wake);
        lists.on_wanted(move || woken.notify_one());
        let fetching = Arc::new(Fetching {
            lists,
            sources: Arc::clone(&sources),
            engine,
            metrics,
            room: Arc::new(Semaphore::new(FETCHES_MAX)),
        });
        let task = runtime.spawn(run(fetching, wake)).abort_handle();
        Self { sources, task }
    }

    /// From now on, lists are fetched so.
    pub fn set_sources(&self, sources: StatusSources) {
        self.sources.store(Arc::new(sources));
    }
}

impl Drop for Statuses {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Fetching {
    lists: Arc<StatusLists>,
    sources: Arc<ArcSwap<StatusSources>>,
    engine: Engine,
    metrics: Arc<Metrics>,
    room: Arc<Semaphore>,
}

async fn run(fetching: Arc<Fetching>, wake: Arc<Notify>) {
    let mut fetches = tokio::task::JoinSet::new();
    loop {
        let now = clock::since_boot();
        let (due, next) = fetching.lists.due(now);
        for key in due {
            // Until it has been fetched or has failed, it is not due again.
            fetching.lists.missed(&key, now);
            let fetching = Arc::clone(&fetching);
            fetches.spawn(async move { fetching.one(&key).await });
        }
        let now = clock::since_boot();
        let next = next.map_or(LOOK_EVERY, |next| next.saturating_sub(now));
        tokio::select! {
            () = wake.notified() => {}
            Some(_) = fetches.join_next() => {}
            () = tokio::time::sleep(next.min(LOOK_EVERY)) => {}
        }
    }
}

impl Fetching {
    async fn one(&self, key: &StatusKey) {
        let Ok(_room) = self.room.acquire().await else {
            return;
        };
        let outcome = match self.fetch(key).await {
            Ok(()) => "ok",
            Err(error) => {
                tracing::warn!(
                    issuer = &*key.issuer,
                    "a status list could not be fetched, and stays as it was: {error}"
                );
                error.outcome()
            }
        };
        let labels = FetchLabels {
            issuer: Arc::clone(&key.issuer),
            outcome,
        };
        self.metrics.status_fetches.get_or_create(&labels).inc();
    }

    async fn fetch(&self, key: &StatusKey) -> Result<(), FetchError> {
        let source = self.sources.load().get(&key.issuer).cloned();
        let source = source.ok_or_else(|| FetchError::Invalid("not configured".to_owned()))?;
        let trust = &source.trust;
        let uri = check_uri(
            &key.uri,
            trust.allow_insecure_loopback,
            trust.allow_private_address,
        );
        let uri = uri.map_err(|fault| FetchError::Invalid(format!("its address {fault}")))?;
        let sent_at = clock::since_boot();
        let fetched = tokio::time::timeout(source.timeout, get(&uri, &source.trust)).await;
        let text = fetched.unwrap_or(Err(FetchError::TimedOut(source.timeout)))?;
        let (records, now) = (self.engine.records(), self.engine.clock().now());
        let reading = key.clone();
        let list = aside(move || records.read_status_list(&reading, &text, now)).await;
        let list = list.ok_or_else(|| FetchError::Unreachable("no thread".to_owned()))?;
        let list = list.map_err(FetchError::Invalid)?;
        let kept = self.lists.keep(key, list, sent_at);
        kept.map_err(|why| FetchError::Invalid(why.to_owned()))
    }
}

async fn get(uri: &Uri, trust: &Trust) -> Result<Bytes, FetchError> {
    let (host, trust) = (uri.clone(), trust.clone());
    // Reading the system's authorities takes milliseconds that belong to others.
    let client = aside(move || client(host.host(), &trust)).await;
    let client: HttpClient =
        client.ok_or_else(|| FetchError::Unreachable("no thread".to_owned()))??;
    let request = Request::get(uri)
        .header(ACCEPT, "application/statuslist+jwt")
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, concat!("jotd/", env!("CARGO_PKG_VERSION")))
        .body(Full::default())
        .map_err(|error| FetchError::Unreachable(error.to_string()))?;
    let response = client.request(request).await;
    let response = response.map_err(|error| FetchError::Unreachable(chain(&error)))?;
    body(response, STATUS_TOKEN_BYTES_MAX).await
}
