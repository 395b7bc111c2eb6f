//! Status lists (draft-ietf-oauth-status-list, "Token Status List"): one long row of small numbers that an issuer
//! publishes, and each token's place in it.
//!
//! A list is fetched and its signature checked elsewhere; here it is read, kept, and looked at. What is not known, or
//! not fresh enough, is said to be unknown: a token is never good for want of a list.

use crate::clock::Now;
use crate::encoding::base64url;
use crate::jose::Claims;
use crate::limits::{LEEWAY_SECONDS_MAX, STATUS_LIST_BYTES_MAX, STATUS_LISTS_MAX};
use hashbrown::HashMap;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// How long a list counts that does not say.
const TTL_DEFAULT: Duration = Duration::from_secs(300);

/// Longest and shortest time that a list may count, whatever it says.
const TTL_MAX: Duration = Duration::from_secs(86_400);
const TTL_MIN: Duration = Duration::from_secs(1);

/// A list that no token has asked for in so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * 86_400);

/// Where a token's status stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReference {
    /// The list, which names itself so too.
    pub uri: Box<str>,
    /// The place in it.
    pub index: usize,
}

/// A token's `status` names no place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("status names no place in a list")]
pub struct NoReference;

/// A list that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    bits: u8,
    bytes: Box<[u8]>,
    issued_at: i64,
    /// How long it counts.
    pub fresh_for: Duration,
}

/// What a list says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing against it.
    Valid,
    /// Invalid, suspended, or anything else that is not valid.
    Revoked,
    /// The list has no such place.
    OutOfRange,
    /// There is no list, or none that is fresh enough.
    Unknown,
}

/// A list by the issuer, in its configured name, that vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusKey {
    /// The issuer.
    pub issuer: Arc<str>,
    /// The list.
    pub uri: Box<str>,
}

/// All lists that tokens have asked for.
#[derive(Default)]
pub struct StatusLists {
    places: RwLock<HashMap<StatusKey, Place>>,
    wanted: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Clone, Default)]
struct Place {
    list: Option<Arc<StatusList>>,
    /// When the question was sent that brought it, since boot.
    fetched_at: Duration,
    /// When it is to be fetched next.
    due_at: Duration,
    failures: u32,
    /// When a token asked last, or close to it.
    asked_at: Duration,
}

impl StatusReference {
    /// What a token's `status` refers to; `None` where it has none.
    ///
    /// # Errors
    /// [`NoReference`].
    pub fn of(claims: &Claims<'_>) -> Result<Option<Self>, NoReference> {
        let Some(status) = claims.get("status") else {
            return Ok(None);
        };
        let read = || {
            let status = status.as_object()?;
            let list = status.get("status_list")?.as_object()?;
            let index = list.get("idx")?.as_number()?.as_i64()?;
            Some(Self {
                uri: list.get("uri")?.as_str()?.into(),
                index: usize::try_from(index).ok()?,
            })
        };
        read().map(Some).ok_or(NoReference)
    }
}

impl StatusList {
    /// Reads the claims of a list that its issuer, whose `iss` this is, has signed.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn read(
        claims: &Claims<'_>,
        uri: &str,
        iss: Option<&str>,
        now: Now,
    ) -> Result<Self, &'static str> {
        if claims.invalid.is_some() {
            return Err("a registered claim has the wrong type");
        }
        // §8.3: sub must be the URI that the token names, or a list of one kind passes for another's.
        if claims.sub.as_deref() != Some(uri) {
            return Err("sub is not the address it was fetched from");
        }
        if claims.iss.is_some() && iss.is_some() && claims.iss.as_deref() != iss {
            return Err("iss is another issuer's");
        }
        let iat = claims.iat.ok_or("iat is missing")?;
        if iat.ceil > now.latest.saturating_add(LEEWAY_SECONDS_MAX) {
            return Err("iat lies in the future");
        }
        let ttl = match claims.get("ttl") {
            None => TTL_DEFAULT,
            Some(ttl) => {
                let seconds = ttl.as_number().and_then(|ttl| ttl.as_i64());
                let seconds = seconds.and_then(|ttl| u64::try_from(ttl).ok());
                let seconds = seconds.filter(|ttl| *ttl > 0);
                Duration::from_secs(seconds.ok_or("ttl is no positive number of seconds")?)
            }
        };
        let left = claims.exp.map_or(i64::MAX, |exp| exp.floor - now.latest);
        let left = u64::try_from(left).ok().filter(|left| *left > 0);
        let left = Duration::from_secs(left.ok_or("exp has passed")?);
        let list = claims.get("status_list").and_then(|list| list.as_object());
        let list = list.ok_or("status_list is missing, or no object")?;
        let bits = list.get("bits").and_then(|bits| bits.as_number()?.as_i64());
        let bits = match bits {
            Some(1) => 1,
            Some(2) => 2,
            Some(4) => 4,
            Some(8) => 8,
            _ => return Err("bits is none of 1, 2, 4, 8"),
        };
        let text = list.get("lst").and_then(|lst| lst.as_str());
        let text = text.ok_or("lst is missing, or no string")?;
        let packed = base64url::decode_vec(text.as_bytes()).map_err(|_| "lst is not base64url")?;
        // What it becomes is bounded before it is anything.
        let bytes = decompress_to_vec_zlib_with_limit(&packed, STATUS_LIST_BYTES_MAX)
            .map_err(|_| "lst is not zlib's, or becomes too large")?;
        Ok(Self {
            bits,
            bytes: bytes.into(),
            issued_at: iat.floor,
            fresh_for: ttl.clamp(TTL_MIN, TTL_MAX).min(left),
        })
    }

    /// The number at a place: bits of a byte count from the lowest (§4.1).
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u8> {
        let a_byte = usize::from(8 / self.bits);
        let byte = self.bytes.get(index / a_byte)?;
        let shift = u32::try_from(index % a_byte).ok()? * u32::from(self.bits);
        let mask = u8::MAX >> (8 - self.bits);
        Some((byte >> shift) & mask)
    }
}

impl StatusLists {
    /// No lists.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `hook` whenever a token asks for a list that is not there. It must not block; only the first counts.
    pub fn on_wanted(&self, hook: impl Fn() + Send + Sync + 'static) -> bool {
        self.wanted.set(Box::new(hook)).is_ok()
    }

    /// What is known of a token, from a list that may be so much older than it says of itself.
    #[must_use]
    pub fn status(
        &self,
        issuer: &Arc<str>,
        reference: &StatusReference,
        grace: Duration,
        now: Now,
    ) -> Status {
        let key = StatusKey {
            issuer: Arc::clone(issuer),
            uri: reference.uri.clone(),
        };
        let place = self.read().get(&key).map(|place| {
            let list = place.list.as_ref().filter(|list| {
                let age = now.since_boot.saturating_sub(place.fetched_at);
                age < list.fresh_for.saturating_add(grace)
            });
            (list.cloned(), now.since_boot.saturating_sub(place.asked_at))
        });
        let list = match place {
            Some((list, asked_ago)) => {
                if asked_ago > FORGOTTEN_AFTER / 4 {
                    self.ask(key, now);
                }
                list
            }
            None => {
                self.ask(key, now);
                None
            }
        };
        let Some(list) = list else {
            return Status::Unknown;
        };
        match list.get(reference.index) {
            // §7.1: 0x00 is VALID. 0x01 INVALID, 0x02 SUSPENDED and what applications make up are not.
            Some(0) => Status::Valid,
            Some(_) => Status::Revoked,
            None => Status::OutOfRange,
        }
    }

    /// Remembers that a token has asked. There is room for so many lists of an issuer, whatever its tokens name.
    fn ask(&self, key: StatusKey, now: Now) {
        let mut places = self.write();
        if let Some(place) = places.get_mut(&key) {
            place.asked_at = now.since_boot;
            return;
        }
        let of_issuer = places.keys().filter(|known| known.issuer == key.issuer);
        if of_issuer.count() >= STATUS_LISTS_MAX {
            return;
        }
        let place = Place {
            due_at: now.since_boot,
            asked_at: now.since_boot,
            ..Place::default()
        };
        places.insert(key, place);
        drop(places);
        if let Some(hook) = self.wanted.get() {
            hook();
        }
    }

    /// The lists that are to be fetched by now, and when the next is; forgets those that nobody asks for.
    #[must_use]
    pub fn due(&self, since_boot: Duration) -> (Vec<StatusKey>, Option<Duration>) {
        let mut places = self.write();
        places.retain(|_, place| since_boot.saturating_sub(place.asked_at) < FORGOTTEN_AFTER);
        let is_due = |place: &Place| place.due_at <= since_boot;
        let due = places.iter().filter(|(_, place)| is_due(place));
        let due = due.map(|(key, _)| key.clone()).collect();
        let rest = places.values().filter(|place| !is_due(place));
        (due, rest.map(|place| place.due_at).min())
    }

    /// Keeps a list that was asked for at this time. An older one than what is known changes nothing: it may be a
    /// cache's, or somebody's who would rather have it so.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn keep(
        &self,
        key: &StatusKey,
        list: StatusList,
        sent_at: Duration,
    ) -> Result<(), &'static str> {
        let mut places = self.write();
        let Some(place) = places.get_mut(key) else {
            return Ok(());
        };
        if place
            .list
            .as_ref()
            .is_some_and(|known| known.issued_at > list.issued_at)
        {
            return Err("iat is earlier than that of the list before");
        }
        // Before it is over, so that there is time to try again.
        place.due_at = sent_at + list.fresh_for.mul_f64(0.75).max(TTL_MIN / 2);
        place.fetched_at = sent_at;
        place.failures = 0;
        place.list = Some(Arc::new(list));
        Ok(())
    }

    /// It could not be fetched: the next attempt comes later and later, and what is known stays.
    pub fn missed(&self, key: &StatusKey, since_boot: Duration) {
        const LATEST: Duration = Duration::from_secs(30);
        if let Some(place) = self.write().get_mut(key) {
            let wait = Duration::from_millis(500) * (1 << place.failures.min(6));
            place.due_at = since_boot + wait.min(LATEST);
            place.failures = place.failures.saturating_add(1);
        }
    }

    /// Number of lists that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        let places = self.read();
        places.values().filter(|place| place.list.is_some()).count()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<StatusKey, Place>> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<StatusKey, Place>> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for StatusList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "StatusList({} bytes, {} bits each)",
            self.bytes.len(),
            self.bits
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec_zlib;
    use serde_json::{Value, json};

    const NOW: i64 = 1_700_000_000;
    const URI: &str = "https://idp.example/statuslists/1";
    const ISS: &str = "https://idp.example";

    fn base64(bytes: &[u8]) -> String {
        use ::base64::Engine;
        ::base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }

    fn packed(bytes: &[u8]) -> String {
        base64(&compress_to_vec_zlib(bytes, 9))
    }

    fn claims(bits: u8, lst: &str) -> Value {
        json!({
            "iss": ISS, "sub": URI, "iat": NOW - 5, "exp": NOW + 3_600, "ttl": 60,
            "status_list": {"bits": bits, "lst": lst}
        })
    }

    fn read(claims: &Value) -> Result<StatusList, &'static str> {
        let text = claims.to_string();
        let claims = Claims::parse(text.as_bytes()).expect("a claims set");
        StatusList::read(&claims, URI, Some(ISS), Now::at(NOW))
    }

    fn at(seconds: u64) -> Now {
        Now {
            since_boot: Duration::from_secs(seconds),
            ..Now::at(NOW)
        }
    }

    fn place(index: usize) -> StatusReference {
        StatusReference {
            uri: URI.into(),
            index,
        }
    }

    /// The examples of §4.1. Checks V-39.
    #[test]
    fn places_are_where_the_draft_says() {
        let one = read(&claims(1, "eNrbuRgAAhcBXQ")).expect("the draft's own");
        let bits: Vec<u8> = (0..16).map_while(|index| one.get(index)).collect();
        assert_eq!(bits, [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]);
        assert_eq!(one.get(16), None);
        let two = read(&claims(2, "eNo76fITAAPfAgc")).expect("the draft's own");
        let twos: Vec<u8> = (0..12).map_while(|index| two.get(index)).collect();
        assert_eq!(twos, [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
        let eight = read(&claims(8, &packed(&[7, 0, 255]))).expect("fine");
        assert_eq!(
            [0, 1, 2].map(|index| eight.get(index)),
            [Some(7), Some(0), Some(255)]
        );
        let four = read(&claims(4, &packed(&[0x2f]))).expect("fine");
        assert_eq!([0, 1].map(|index| four.get(index)), [Some(15), Some(2)]);
    }

    /// Checks V-39.
    #[test]
    fn every_rule_of_lists_is_held() {
        let good = claims(1, &packed(&[1]));
        assert_eq!(
            read(&good).expect("fine").fresh_for,
            Duration::from_secs(60)
        );
        let bomb = packed(&vec![0; STATUS_LIST_BYTES_MAX + 1]);
        assert!(bomb.len() < 100_000, "it is small before it is not");
        let list = |bits: Value, lst: &str| json!({"bits": bits, "lst": lst});
        for (name, value) in [
            ("sub", json!("https://idp.example/statuslists/2")),
            ("sub", Value::Null),
            ("iss", json!("https://evil.example")),
            ("iat", json!(NOW + 3_600)),
            ("iat", Value::Null),
            ("exp", json!(NOW)),
            ("ttl", json!(0)),
            ("ttl", json!("60")),
            ("ttl", json!(-1)),
            ("status_list", Value::Null),
            ("status_list", list(json!(3), &packed(&[1]))),
            ("status_list", list(json!("1"), &packed(&[1]))),
            ("status_list", list(json!(1), "eNrbuRgAAhcBXQ==")),
            ("status_list", list(json!(1), &base64(&[1, 2, 3]))),
            ("status_list", list(json!(1), &bomb)),
            ("status_list", json!({"bits": 1})),
        ] {
            let mut changed = good.clone();
            match value {
                Value::Null => drop(changed.as_object_mut().map(|object| object.remove(name))),
                value => changed[name] = value,
            }
            assert!(read(&changed).is_err(), "{name}");
        }
    }

    /// Checks V-39.
    #[test]
    fn a_list_counts_as_long_as_it_says_and_the_policy_has_patience() {
        let lists = StatusLists::new();
        let issuer: Arc<str> = "acme".into();
        let grace = Duration::from_secs(30);
        let status =
            |index, grace, seconds| lists.status(&issuer, &place(index), grace, at(seconds));
        assert_eq!(status(0, grace, 100), Status::Unknown);
        let (due, _) = lists.due(at(100).since_boot);
        let [key] = &due[..] else { panic!("{due:?}") };
        lists.missed(key, at(100).since_boot);
        assert_eq!(lists.due(at(100).since_boot).0, []);
        assert_eq!(status(0, grace, 101), Status::Unknown);
        let list = read(&claims(1, &packed(&[0b10]))).expect("fine");
        lists
            .keep(key, list.clone(), at(102).since_boot)
            .expect("newer than none");
        for (index, grace, seconds, expected) in [
            (0, Duration::ZERO, 161, Status::Valid),
            (1, Duration::ZERO, 161, Status::Revoked),
            (8, Duration::ZERO, 161, Status::OutOfRange),
            (0, Duration::ZERO, 162, Status::Unknown),
            (1, Duration::ZERO, 162, Status::Unknown),
            (0, grace, 191, Status::Valid),
            (0, grace, 192, Status::Unknown),
        ] {
            assert_eq!(
                status(index, grace, seconds),
                expected,
                "{index} at {seconds}"
            );
        }
        assert_eq!(lists.due(at(146).since_boot).0.len(), 0);
        assert_eq!(
            lists.due(at(147).since_boot).0.len(),
            1,
            "before it is over"
        );
        let older = StatusList {
            issued_at: list.issued_at - 1,
            ..list
        };
        assert!(lists.keep(key, older, at(150).since_boot).is_err());
        let other: Arc<str> = "other".into();
        assert_eq!(
            lists.status(&other, &place(0), grace, at(103)),
            Status::Unknown
        );
    }

    #[test]
    fn tokens_make_us_keep_so_many_lists_and_no_more() {
        let lists = StatusLists::new();
        let issuer: Arc<str> = "acme".into();
        for number in 0..2 * STATUS_LISTS_MAX {
            let reference = StatusReference {
                uri: format!("{URI}/{number}").into(),
                index: 0,
            };
            let status = lists.status(&issuer, &reference, Duration::ZERO, at(1));
            assert_eq!(status, Status::Unknown);
        }
        assert_eq!(lists.due(at(1).since_boot).0.len(), STATUS_LISTS_MAX);
        assert_eq!(lists.due(at(3 * 86_400).since_boot).0, []);
    }

    #[test]
    fn a_reference_is_read_whole_or_not_at_all() {
        let of = |json: &str| {
            StatusReference::of(&Claims::parse(json.as_bytes()).expect("a claims set"))
        };
        assert_eq!(of("{}"), Ok(None));
        let good =
            r#"{"status":{"status_list":{"idx":7,"uri":"https://idp.example/statuslists/1"}}}"#;
        assert_eq!(of(good), Ok(Some(place(7))));
        for wrong in [
            r#"{"status":1}"#,
            r#"{"status":{}}"#,
            r#"{"status":{"status_list":{"idx":-1,"uri":"u"}}}"#,
            r#"{"status":{"status_list":{"idx":"7","uri":"u"}}}"#,
            r#"{"status":{"status_list":{"idx":1.5,"uri":"u"}}}"#,
            r#"{"status":{"status_list":{"idx":7}}}"#,
            r#"{"status":{"status_list":[]}}"#,
        ] {
            assert_eq!(of(wrong), Err(NoReference), "{wrong}");
        }
    }
}
