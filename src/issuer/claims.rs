//! The claims of a token about to be issued (RFC 7519 §4.1), and their JSON.
#![forbid(unsafe_code)]

use super::{ProtectedHeader, SigningError, random_id};
use serde::Serialize;
use serde_json::{Map, Value};

/// What a token shall say. Times are given by the moment of issue.
#[derive(Clone, Debug)]
pub struct Claims {
    /// `typ` and further header members.
    pub header: ProtectedHeader,
    /// `iss`: who issues it.
    pub issuer: Option<String>,
    /// `sub`: whom it is about.
    pub subject: Option<String>,
    /// `aud`: for whom it is; written as a string where there is one, as an array where there are several.
    pub audiences: Vec<String>,
    /// Seconds from issue to `exp`; `None` makes a token without end.
    pub lifetime_seconds: Option<i64>,
    /// Seconds from issue to `nbf`; `None` leaves it out.
    pub valid_after_seconds: Option<i64>,
    /// `jti`; `None` draws 128 random bits.
    pub id: Option<String>,
    /// Further claims. `iat`, and what the members above write, cannot be among them.
    pub extra: Map<String, Value>,
}

impl Default for Claims {
    /// Five minutes from now, of type `JWT`, with no names in it.
    fn default() -> Self {
        Self {
            header: ProtectedHeader::default(),
            issuer: None,
            subject: None,
            audiences: Vec::new(),
            lifetime_seconds: Some(300),
            valid_after_seconds: Some(0),
            id: None,
            extra: Map::new(),
        }
    }
}

impl Claims {
    /// The claims set of a token issued at `now`.
    pub(super) fn to_json(&self, now: i64) -> Result<String, SigningError> {
        let mut json = ObjectWriter::new();
        if let Some(issuer) = &self.issuer {
            json.member("iss", issuer);
        }
        if let Some(subject) = &self.subject {
            json.member("sub", subject);
        }
        match self.audiences.as_slice() {
            [] => {}
            [audience] => json.member("aud", audience),
            audiences => json.member("aud", audiences),
        }
        if let Some(lifetime) = self.lifetime_seconds {
            json.member("exp", &now.saturating_add(lifetime));
        }
        if let Some(wait) = self.valid_after_seconds {
            json.member("nbf", &now.saturating_add(wait));
        }
        json.member("iat", &now);
        match &self.id {
            Some(id) => json.member("jti", id),
            None => json.member("jti", &random_id()?),
        }
        for (name, value) in &self.extra {
            if self.writes(name) {
                return Err(SigningError::Reserved(name.clone()));
            }
            json.member(name, value);
        }
        Ok(json.finish())
    }

    /// Whether a claim is written already. A second member of one name would make the token unreadable.
    fn writes(&self, name: &str) -> bool {
        match name {
            "iss" => self.issuer.is_some(),
            "sub" => self.subject.is_some(),
            "aud" => !self.audiences.is_empty(),
            "exp" => self.lifetime_seconds.is_some(),
            "nbf" => self.valid_after_seconds.is_some(),
            "iat" | "jti" => true,
            _ => false,
        }
    }
}

/// Writes a JSON object with its members in the order given.
pub(super) struct ObjectWriter(String);

impl ObjectWriter {
    pub(super) fn new() -> Self {
        Self(String::from("{"))
    }

    /// Appends a member. The caller sees to it that names do not repeat.
    pub(super) fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        for part in [json_of(name), ":".to_owned(), json_of(value)] {
            self.0.push_str(&part);
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn json_of<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("strings, integers and JSON values have a JSON form")
}
