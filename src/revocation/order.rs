//! An order as people and services give it: who is meant, in words, and from when to when.

use super::{IdKey, Member, Members, Record};
use crate::clock::Now;
use crate::encoding::json::{Kind, Object, Value};
use crate::limits::LEEWAY_SECONDS_MAX;
use std::fmt;

/// Longest value that an order may name, in bytes. A token's claims are not longer in practice, and what is longer
/// in one cannot be named.
pub const ORDER_VALUE_BYTES_MAX: usize = 1_024;

/// Largest order, in bytes of JSON.
pub const ORDER_BYTES_MAX: usize = 16 * 1_024;

/// The tenant of an order that names none.
const TENANT_DEFAULT: &str = "default";

/// Revoke what has all these members, if it was issued early enough.
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    tenant: Box<str>,
    values: [Option<Box<str>>; Member::ALL.len()],
    issued_before: Issued,
    until: Option<u32>,
}

/// Up to when a token must have been issued to be meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Issued {
    /// Whenever, where the order names one token or one key; otherwise up to the moment the order is taken.
    #[default]
    Fitting,
    /// Up to the moment the order is taken.
    Now,
    /// Whenever, and tokens still to be issued as well.
    Ever,
    /// Up to this second.
    UpTo(u32),
}

/// What is wrong with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum OrderFault {
    /// Not one JSON object; the text names the rule.
    #[error("not a JSON object: {0}")]
    NotJson(&'static str),
    /// Longer than any order.
    #[error("longer than {ORDER_BYTES_MAX} bytes")]
    TooLarge,
    /// A member that orders do not have.
    #[error(
        "member {place} is not known; an order has tenant, iss, jti, sub, sid, client, kid, digest, issued_before, \
         until, everything"
    )]
    UnknownMember {
        /// Which of the members, counted from 1: its name is whatever the sender likes.
        place: usize,
    },
    /// A member that is not what it must be.
    #[error("{name} must be {wanted}")]
    Invalid {
        /// The member's name.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// No member of a token is named, and the whole tenant is not meant in so many words.
    #[error(
        "nothing is named: say jti, sub, sid, client, kid, digest or iss, or \"everything\":true for every token of the tenant"
    )]
    NothingNamed,
    /// Everything is meant, and something is named.
    #[error("\"everything\":true cannot stand beside a named member")]
    EverythingAndMore,
    /// The moment lies ahead: perhaps milliseconds were meant.
    #[error("issued_before lies in the future: say \"ever\" to revoke tokens still to be issued")]
    InFuture,
    /// The order would be over before it began.
    #[error("until has passed")]
    Over,
}

impl Order {
    /// An order that means every token of the tenant issued so far, until [`Self::naming`] narrows it.
    #[must_use]
    pub fn everything(tenant: &str) -> Self {
        Self {
            tenant: tenant.into(),
            values: Default::default(),
            issued_before: Issued::Fitting,
            until: None,
        }
    }

    /// The same order, only for tokens with this member. All members named must match.
    ///
    /// # Errors
    /// [`OrderFault::Invalid`] for a value that no token can have.
    pub fn naming(mut self, member: Member, value: &str) -> Result<Self, OrderFault> {
        let wanted = check(member, value);
        if let Err(wanted) = wanted {
            return Err(OrderFault::Invalid {
                name: member.name(),
                wanted,
            });
        }
        self.values[member as usize] = Some(value.into());
        Ok(self)
    }

    /// The same order for tokens issued by then.
    #[must_use]
    pub fn issued(mut self, issued_before: Issued) -> Self {
        self.issued_before = issued_before;
        self
    }

    /// The same order, to be forgotten after this second because no token it means has a later `exp`.
    #[must_use]
    pub fn until(mut self, until: u32) -> Self {
        self.until = Some(until);
        self
    }

    /// Reads an order: `{"tenant":"…","sub":"…","issued_before":1710000000,"until":1710003600}` with any of the
    /// members' names.
    ///
    /// # Errors
    /// All faults together, in the order they stand.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<OrderFault>> {
        if json.len() > ORDER_BYTES_MAX {
            return Err(vec![OrderFault::TooLarge]);
        }
        let object = Object::parse(json).map_err(|error| vec![OrderFault::NotJson(error.rule)])?;
        let mut faults = Vec::new();
        let mut order = Self::everything(TENANT_DEFAULT);
        let mut everything = false;
        for (index, (name, value)) in object.members().enumerate() {
            let read = match (Member::of_name(&name), &*name) {
                (Some(member), _) => order.read_member(member, value),
                (None, "tenant") => order.read_tenant(value),
                (None, "issued_before") => order.read_issued_before(value),
                (None, "until") => order.read_until(value),
                (None, "everything") => read_truth(value).map(|()| everything = true),
                _ => Err(OrderFault::UnknownMember { place: index + 1 }),
            };
            faults.extend(read.err());
        }
        let names_some = object
            .members()
            .any(|(name, _)| Member::of_name(&name).is_some());
        let says_everything = object.get("everything").is_some();
        match (names_some, everything) {
            (true, true) => faults.push(OrderFault::EverythingAndMore),
            (false, false) if !says_everything => faults.push(OrderFault::NothingNamed),
            _ => {}
        }
        if faults.is_empty() {
            Ok(order)
        } else {
            Err(faults)
        }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// What it names.
    #[must_use]
    pub fn members(&self) -> Members {
        Member::ALL
            .into_iter()
            .filter(|member| self.value(*member).is_some())
            .collect()
    }

    /// The value it names for a member.
    #[must_use]
    pub fn value(&self, member: Member) -> Option<&str> {
        self.values[member as usize].as_deref()
    }

    /// The record of it, if taken now. `lifetime_seconds_max` is the longest that a token of the tenant can still
    /// live, leeway not included; `None` where no policy bounds it.
    ///
    /// # Errors
    /// [`OrderFault::InFuture`], [`OrderFault::Over`].
    pub fn record(
        &self,
        ids: &IdKey,
        lifetime_seconds_max: Option<u32>,
        now: Now,
    ) -> Result<Record, OrderFault> {
        let members = self.members();
        let issued_before = match self.issued_before {
            Issued::Fitting if members.iter().any(Member::is_exact) => Issued::Ever,
            Issued::Fitting => Issued::Now,
            said => said,
        };
        let before = match issued_before {
            Issued::Ever => Record::EVERY,
            Issued::UpTo(second) => {
                if i64::from(second) > now.latest.saturating_add(LEEWAY_SECONDS_MAX) {
                    return Err(OrderFault::InFuture);
                }
                second
            }
            // The later end: a token issued this very second is meant.
            Issued::Now | Issued::Fitting => seconds(now.latest),
        };
        let until = match (self.until, lifetime_seconds_max) {
            (Some(until), _) => {
                if until < Record::FOREVER && i64::from(until) < now.earliest {
                    return Err(OrderFault::Over);
                }
                until
            }
            // An order about tokens still to be issued outlives each of them.
            (None, _) if before == Record::EVERY && !names_a_token(members) => Record::FOREVER,
            (None, Some(lifetime)) => seconds(now.latest.saturating_add(i64::from(lifetime))),
            (None, None) => Record::FOREVER,
        };
        let key = ids
            .tenant(&self.tenant)
            .key(members, |member| self.value(member).map(str::as_bytes))
            .expect("only members that have a value are asked for");
        Ok(Record { key, before, until })
    }

    fn read_member(&mut self, member: Member, value: Value<'_>) -> Result<(), OrderFault> {
        let name = member.name();
        let text = string(value).ok_or(OrderFault::Invalid {
            name,
            wanted: "a string",
        })?;
        check(member, &text).map_err(|wanted| OrderFault::Invalid { name, wanted })?;
        self.values[member as usize] = Some(text.into());
        Ok(())
    }

    fn read_tenant(&mut self, value: Value<'_>) -> Result<(), OrderFault> {
        let name = string(value).filter(|name| is_value(name));
        self.tenant = name.map(Into::into).ok_or(OrderFault::Invalid {
            name: "tenant",
            wanted: "a tenant's name",
        })?;
        Ok(())
    }

    fn read_issued_before(&mut self, value: Value<'_>) -> Result<(), OrderFault> {
        let word = string(value);
        self.issued_before = match (word.as_deref(), second(value)) {
            (Some("now"), _) => Issued::Now,
            (Some("ever"), _) => Issued::Ever,
            (None, Some(second)) => Issued::UpTo(second),
            _ => {
                return Err(OrderFault::Invalid {
                    name: "issued_before",
                    wanted: "seconds since the epoch, \"now\" or \"ever\"",
                });
            }
        };
        Ok(())
    }

    fn read_until(&mut self, value: Value<'_>) -> Result<(), OrderFault> {
        let second = second(value).ok_or(OrderFault::Invalid {
            name: "until",
            wanted: "seconds since the epoch",
        })?;
        self.until = Some(second);
        Ok(())
    }

    /// The order as JSON, as [`Self::parse`] reads it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        object.insert("tenant".into(), (&*self.tenant).into());
        for member in self.members().iter() {
            object.insert(member.name().into(), self.value(member).into());
        }
        if self.members().is_empty() {
            object.insert("everything".into(), true.into());
        }
        match self.issued_before {
            Issued::Fitting => {}
            Issued::Now => drop(object.insert("issued_before".into(), "now".into())),
            Issued::Ever => drop(object.insert("issued_before".into(), "ever".into())),
            Issued::UpTo(second) => drop(object.insert("issued_before".into(), second.into())),
        }
        if let Some(until) = self.until {
            object.insert("until".into(), until.into());
        }
        serde_json::Value::Object(object).to_string()
    }
}

/// Who is meant is personal: only what kind of order it is.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Order({} of {})", self.members(), self.tenant)
    }
}

fn names_a_token(members: Members) -> bool {
    members.contains(Member::TokenId) || members.contains(Member::Digest)
}

fn check(member: Member, value: &str) -> Result<(), &'static str> {
    match member {
        Member::Digest => super::record::from_hex::<32>(value)
            .map(|_| ())
            .map_err(|_| "the SHA-256 of a signing input, 64 digits of lower-case hexadecimal"),
        _ if is_value(value) => Ok(()),
        _ => Err("a string of 1 to 1024 bytes"),
    }
}

fn is_value(text: &str) -> bool {
    (1..=ORDER_VALUE_BYTES_MAX).contains(&text.len())
}

fn string(value: Value<'_>) -> Option<String> {
    value.as_str().map(std::borrow::Cow::into_owned)
}

/// A whole second that a record can hold; its largest number means something else.
fn second(value: Value<'_>) -> Option<u32> {
    let second = value.as_number()?.as_i64()?;
    u32::try_from(second)
        .ok()
        .filter(|second| *second < Record::EVERY)
}

fn read_truth(value: Value<'_>) -> Result<(), OrderFault> {
    match (value.kind(), value.as_bool()) {
        (Kind::Bool, Some(true)) => Ok(()),
        _ => Err(OrderFault::Invalid {
            name: "everything",
            wanted: "true, or absent",
        }),
    }
}

/// As a record holds it: never the numbers that mean something else, and later rather than earlier where a time
/// lies outside.
fn seconds(time: i64) -> u32 {
    u32::try_from(time.max(0)).map_or(Record::EVERY - 1, |time| time.min(Record::EVERY - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_710_000_000;

    fn record(json: &str) -> Result<Record, OrderFault> {
        let order = Order::parse(json.as_bytes()).expect("an order");
        order.record(&IdKey::new(b""), Some(3_600), Now::at(NOW))
    }

    #[test]
    fn what_is_not_said_is_what_fits() {
        let (now, end) = (1_710_000_000, 1_710_003_600);
        let cases = [
            (r#"{"jti":"a"}"#, Record::EVERY, end),
            (r#"{"sub":"a"}"#, now, end),
            (r#"{"sid":"a","tenant":"t"}"#, now, end),
            (r#"{"client":"a","sub":"b"}"#, now, end),
            (r#"{"everything":true}"#, now, end),
            (r#"{"kid":"a"}"#, Record::EVERY, Record::FOREVER),
            (r#"{"kid":"a","issued_before":5}"#, 5, end),
            (
                r#"{"sub":"a","issued_before":"ever"}"#,
                Record::EVERY,
                Record::FOREVER,
            ),
            (
                r#"{"jti":"a","issued_before":"now","until":1710000001}"#,
                now,
                now + 1,
            ),
        ];
        for (json, before, until) in cases {
            let record = record(json).expect("in time");
            assert_eq!((record.before, record.until), (before, until), "{json}");
        }
        assert_eq!(
            record(r#"{"sub":"a","issued_before":1710000601}"#),
            Err(OrderFault::InFuture)
        );
        assert_eq!(
            record(r#"{"jti":"a","until":1709999999}"#),
            Err(OrderFault::Over)
        );
    }

    #[test]
    fn all_faults_are_named_together() {
        let json = r#"{"jti":"","Sub":"x","sub":7,"issued_before":"soon","until":-1,"everything":false,"digest":"AB"}"#;
        let faults = Order::parse(json.as_bytes()).expect_err("full of faults");
        let names: Vec<String> = faults
            .iter()
            .map(|fault| match fault {
                OrderFault::Invalid { name, .. } => (*name).to_owned(),
                OrderFault::UnknownMember { place } => format!("#{place}"),
                other => other.to_string(),
            })
            .collect();
        assert_eq!(
            names,
            [
                "jti",
                "#2",
                "sub",
                "issued_before",
                "until",
                "everything",
                "digest"
            ]
        );
    }

    #[test]
    fn a_whole_tenant_must_be_meant_in_so_many_words() {
        let fault = |json: &str| Order::parse(json.as_bytes()).expect_err(json);
        assert_eq!(fault("{}"), [OrderFault::NothingNamed]);
        assert_eq!(
            fault(r#"{"tenant":"t","until":1}"#),
            [OrderFault::NothingNamed]
        );
        let both = r#"{"everything":true,"jti":"a"}"#;
        assert_eq!(fault(both), [OrderFault::EverythingAndMore]);
        assert!(matches!(fault("[]")[..], [OrderFault::NotJson(_)]));
        assert!(matches!(
            fault(r#"{"jti":"a","jti":"b"}"#)[..],
            [OrderFault::NotJson(_)]
        ));
        let long = format!(r#"{{"jti":"{}"}}"#, "a".repeat(ORDER_BYTES_MAX));
        assert_eq!(fault(&long), [OrderFault::TooLarge]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let order = Order::everything("acme")
            .naming(Member::Subject, "al\"ice")
            .and_then(|order| order.naming(Member::Client, "shop"))
            .expect("values that tokens can have")
            .issued(Issued::UpTo(5))
            .until(9);
        assert_eq!(Order::parse(order.to_json().as_bytes()), Ok(order.clone()));
        assert_eq!(format!("{order:?}"), "Order(sub+client of acme)");
        let all = Order::everything("acme").issued(Issued::Ever);
        assert_eq!(Order::parse(all.to_json().as_bytes()), Ok(all));
    }

    #[test]
    fn an_id_is_what_openssl_says() {
        // printf '4:acme,3:sub,5:alice,' | openssl dgst -sha256 -hmac secret
        let ids = IdKey::new(b"secret");
        let order = Order::everything("acme").naming(Member::Subject, "alice");
        let order = order.expect("a value that tokens can have");
        let record = order.record(&ids, None, Now::at(NOW)).expect("in time");
        assert_eq!(
            record.key.to_hex(),
            "1a41cbb5048258516078135a65070a0d5239f84c41"
        );
        assert_eq!(record.until, Record::FOREVER);
    }
}
