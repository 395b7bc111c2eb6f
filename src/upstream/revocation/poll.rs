//! Security events by polling (RFC 8936): asks a transmitter again and again, and acknowledges an event only once its
//! orders are accepted. What is not acknowledged comes again, and orders may be given twice: at least once, never
//! perhaps.
#![forbid(unsafe_code)]

use super::desk::Desk;
use crate::encoding::json::Object;
use crate::engine::{Engine, aside};
use crate::metrics::{FeedLabels, Metrics};
use crate::revocation::{IdKey, Progress, Wait, audit};
use crate::upstream::client::{HttpClient, Trust, client};
use crate::upstream::fetch::{FetchError, body, chain};
use crate::verify::{Feed, NotHeard};
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Full;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Most events of one answer.
const EVENTS_MAX: usize = 64;

/// Largest answer, in bytes: as many of the longest events.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Time for one whole exchange.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between questions while there is something to tell: a transmitter may send the same events for ever.
const PACE: Duration = Duration::from_millis(20);

/// Longest time between attempts while they fail.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Where a feed is fetched.
#[derive(Clone, Debug)]
pub struct Poll {
    /// Whose it is, and what it may say.
    pub feed: Arc<Feed>,
    /// Where.
    pub uri: Uri,
    /// What we bear there: a header that is never printed.
    pub authorization: Option<HeaderValue>,
    /// Time between questions while there is nothing new.
    pub every: Duration,
    /// Whom to trust there.
    pub trust: Trust,
}

/// What a poll needs of the daemon.
#[derive(Clone)]
pub struct Polling {
    /// Knows issuers and their keys.
    pub engine: Engine,
    /// Takes the orders.
    pub desk: Desk,
    /// Makes ids of what they name.
    pub ids: Arc<IdKey>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Feeds that are fetched, until this is dropped.
pub struct Polls(Vec<AbortHandle>);

impl Polls {
    /// Starts to fetch these feeds.
    #[must_use]
    pub fn start(polls: Vec<Poll>, polling: &Polling, runtime: &Handle) -> Self {
        let start = |poll| {
            let poller = Poller {
                poll,
                polling: polling.clone(),
                client: None,
                answers: Answers::default(),
            };
            runtime.spawn(poller.run()).abort_handle()
        };
        Self(polls.into_iter().map(start).collect())
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

struct Poller {
    poll: Poll,
    polling: Polling,
    client: Option<HttpClient>,
    answers: Answers,
}

/// What the next question says of the last events, by their `jti`.
#[derive(Default)]
struct Answers {
    acknowledged: BTreeSet<String>,
    faulty: BTreeMap<String, NotHeard>,
}

/// What an exchange brought. Whether there is more need not be known: as long as something comes, more is asked for.
#[derive(Debug)]
struct Brought {
    sets: Vec<(String, String)>,
}

/// What has become of one event.
enum Fate {
    /// Its orders cannot be lost any more, or there are none.
    Settled,
    /// It will never be followed.
    Refused(NotHeard),
    /// It must come again.
    Later(NotHeard),
}

impl Poller {
    async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let exchange = tokio::time::timeout(TIMEOUT, self.exchange()).await;
            let wait = match exchange.unwrap_or(Err(FetchError::TimedOut(TIMEOUT))) {
                Ok(brought) => {
                    failures = 0;
                    // Only what the transmitter has heard of is settled there.
                    self.answers = Answers::default();
                    self.take(brought).await;
                    // What is settled is told at once; what does not move waits its time.
                    if self.answers.is_empty() {
                        self.poll.every
                    } else {
                        PACE
                    }
                }
                Err(error) => {
                    // A new client reads the authorities again, which may be what was wrong.
                    self.client = None;
                    failures = failures.saturating_add(1);
                    let doubled = self.poll.every * (1 << failures.min(6));
                    let wait = doubled.min(BACKOFF_MAX).max(self.poll.every);
                    self.count("unreachable");
                    tracing::warn!(
                        feed = &*self.poll.feed.name,
                        failures,
                        "revocations could not be fetched: {error}"
                    );
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn exchange(&mut self) -> Result<Brought, FetchError> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let (trust, host) = (self.poll.trust.clone(), self.poll.uri.clone());
                // Reading the system's authorities takes milliseconds that belong to others.
                let made = aside(move || client(host.host(), &trust)).await;
                let made =
                    made.ok_or_else(|| FetchError::Unreachable("no thread".to_owned()))??;
                self.client.insert(made).clone()
            }
        };
        let mut request = Request::post(&self.poll.uri)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header(ACCEPT_ENCODING, "identity")
            .header(USER_AGENT, concat!("jotd/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.poll.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Full::new(self.answers.question()))
            .map_err(|error| FetchError::Unreachable(error.to_string()))?;
        let response = client.request(request).await;
        let response = response.map_err(|error| FetchError::Unreachable(chain(&error)))?;
        Brought::read(&body(response, ANSWER_BYTES_MAX).await?)
    }

    async fn take(&mut self, brought: Brought) {
        for (id, set) in brought.sets {
            match self.follow(&id, set).await {
                Fate::Settled => {
                    self.count("taken");
                    self.answers.acknowledged.insert(id);
                }
                Fate::Refused(why) => {
                    self.count("invalid");
                    audit::faulty(&self.by(), 1);
                    self.answers.faulty.insert(id, why);
                }
                Fate::Later(why) => {
                    self.count("later");
                    tracing::warn!(
                        feed = &*self.poll.feed.name,
                        "an event waits to be sent again: {}",
                        why.detail
                    );
                }
            }
        }
    }

    async fn follow(&self, id: &str, set: String) -> Fate {
        let Polling {
            engine, desk, ids, ..
        } = &self.polling;
        let (records, now) = (engine.records(), engine.clock().now());
        let (feed, ids) = (Arc::clone(&self.poll.feed), Arc::clone(ids));
        let heard = aside(move || records.hear(&feed, set.as_bytes(), &ids, now)).await;
        let heard = match heard {
            Some(Ok(heard)) => heard,
            Some(Err(why)) if why.names_missing_key => {
                // The key may be a new one: it is fetched, and the event sent again.
                engine.look_for_key(&self.poll.feed.issuer);
                return Fate::Later(why);
            }
            Some(Err(why)) if why.code.is_some() => return Fate::Refused(why),
            Some(Err(why)) => return Fate::Later(why),
            None => return Fate::Later(NotHeard::later("there is no thread to verify it on")),
        };
        if *heard.id != *id {
            return Fate::Refused(NotHeard::invalid("jti is not the name it was sent under"));
        }
        if heard.orders.is_empty() {
            return Fate::Settled;
        }
        let records = heard.orders.iter().map(|(_, record)| *record).collect();
        let outcome = desk.submit(records, Wait::Accepted).await;
        for (order, record) in &heard.orders {
            audit::order(&self.by(), order, record, outcome.as_ref());
        }
        match outcome {
            Ok(receipt) if receipt.progress >= Progress::Accepted => Fate::Settled,
            Ok(_) => Fate::Later(NotHeard::later("too few logs hold its orders yet")),
            Err(why) => Fate::Later(NotHeard::later(&why.to_string())),
        }
    }

    /// As audit lines name whoever gave the order.
    fn by(&self) -> String {
        format!("feed:{}", self.poll.feed.name)
    }

    fn count(&self, outcome: &'static str) {
        let labels = FeedLabels {
            feed: Arc::clone(&self.poll.feed.name),
            outcome,
        };
        self.polling
            .metrics
            .feed_statements
            .get_or_create(&labels)
            .inc();
    }
}

impl Answers {
    fn is_empty(&self) -> bool {
        self.acknowledged.is_empty() && self.faulty.is_empty()
    }

    /// RFC 8936 §2.2.
    fn question(&self) -> Bytes {
        let faulty = self.faulty.iter().map(|(id, why)| {
            let said =
                json!({"err": why.code.unwrap_or("invalid_request"), "description": why.detail});
            (id.clone(), said)
        });
        let faulty: serde_json::Map<_, _> = faulty.collect();
        let mut question = json!({"maxEvents": EVENTS_MAX, "returnImmediately": true});
        if !self.acknowledged.is_empty() {
            question["ack"] = self.acknowledged.iter().cloned().collect();
        }
        if !faulty.is_empty() {
            question["setErrs"] = faulty.into();
        }
        question.to_string().into()
    }
}

impl Brought {
    /// RFC 8936 §2.3.
    fn read(answer: &[u8]) -> Result<Self, FetchError> {
        let invalid = |why: &str| FetchError::Invalid(format!("the answer {why}"));
        let answer = Object::parse(answer).map_err(|error| invalid(&error.to_string()))?;
        let sets = answer.get("sets").and_then(|sets| sets.as_object());
        let sets = sets.ok_or_else(|| invalid("has no object `sets`"))?;
        if sets.len() > EVENTS_MAX {
            return Err(invalid("has more events than were asked for"));
        }
        let sets = sets.members().map(|(id, set)| {
            let set = set
                .as_str()
                .ok_or_else(|| invalid("has an event that is no string"))?;
            Ok((id.into_owned(), set.into_owned()))
        });
        Ok(Self {
            sets: sets.collect::<Result<_, FetchError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_settled_is_told_and_nothing_else() {
        let mut answers = Answers::default();
        assert_eq!(
            &answers.question()[..],
            br#"{"maxEvents":64,"returnImmediately":true}"#
        );
        answers.acknowledged.insert("a".to_owned());
        answers
            .faulty
            .insert("b".to_owned(), NotHeard::invalid("no"));
        let said: serde_json::Value = serde_json::from_slice(&answers.question()).expect("JSON");
        assert_eq!(said["ack"], json!(["a"]));
        let expected = json!({"b": {"err": "invalid_request", "description": "no"}});
        assert_eq!(said["setErrs"], expected);
    }

    #[test]
    fn an_answer_is_what_the_rfc_says_or_nothing() {
        let read = |text: &str| Brought::read(text.as_bytes());
        let brought = read(r#"{"sets":{"a":"x.y.z"},"moreAvailable":true}"#).expect("fine");
        assert_eq!(brought.sets, [("a".to_owned(), "x.y.z".to_owned())]);
        assert!(read(r#"{"sets":{}}"#).expect("fine").sets.is_empty());
        let many: Vec<String> = (0..65).map(|number| format!("\"{number}\":\"\"")).collect();
        let many = format!("{{\"sets\":{{{}}}}}", many.join(","));
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"sets":[]}"#,
            r#"{"sets":{"a":1}}"#,
            r#"{"sets":{"a":"x","a":"y"}}"#,
            &many,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
