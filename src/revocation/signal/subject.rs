//! Subject identifiers (RFC 9493, and `complex` and `jwt_id` of OpenID SSF 1.0), as far as tokens have what they name.

use super::SignalFault;
use crate::encoding::json::{Object, Value};

/// Who or what an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A user.
    User { iss: String, sub: String },
    /// A session.
    Session(String),
    /// One token.
    Token { iss: String, jti: String },
}

/// What an event is about, when the subject names several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Session,
    User,
}

/// Reads a subject. Aliases name one subject in several ways, each of which tokens may have.
pub(super) fn read(value: Value<'_>, about: About) -> Result<Vec<Subject>, SignalFault> {
    let object = object(value)?;
    if format(&object)? != "aliases" {
        return one(&object, about).map(|subject| vec![subject]);
    }
    let identifiers = object.get("identifiers").and_then(|list| list.as_array());
    let identifiers = identifiers.ok_or(INCOMPLETE)?;
    let subjects: Vec<Subject> = identifiers
        .filter_map(|alias| one(&alias.as_object()?, about).ok())
        .collect();
    if subjects.is_empty() {
        return Err(NOTHING_OURS);
    }
    Ok(subjects)
}

const INCOMPLETE: SignalFault = SignalFault::Invalid("the subject lacks what its format requires");
const NOTHING_OURS: SignalFault = SignalFault::Invalid(
    "the subject names nothing that tokens have; iss_sub, opaque, jwt_id, complex and aliases may",
);

fn one(object: &Object<'_>, about: About) -> Result<Subject, SignalFault> {
    match &*format(object)? {
        "iss_sub" => Ok(Subject::User {
            iss: text(object, "iss")?,
            sub: text(object, "sub")?,
        }),
        "jwt_id" => Ok(Subject::Token {
            iss: text(object, "iss")?,
            jti: text(object, "jti")?,
        }),
        // What is opaque is a session where one is expected. A user's need not be anybody's `sub`.
        "opaque" if about == About::Session => text(object, "id").map(Subject::Session),
        "complex" => complex(object, about),
        _ => Err(NOTHING_OURS),
    }
}

/// Of all that is named together, the one that the event is about. What narrows it further (a device, a group) does
/// not stand in tokens; more is revoked then, never less.
fn complex(object: &Object<'_>, about: About) -> Result<Subject, SignalFault> {
    let order = match about {
        About::Session => [("session", About::Session), ("user", About::User)],
        About::User => [("user", About::User), ("session", About::Session)],
    };
    let member = order
        .into_iter()
        .find_map(|(name, about)| Some((object.get(name)?, about)));
    let (member, about) = member.ok_or(NOTHING_OURS)?;
    let member = self::object(member)?;
    // SSF 1.0 §3.3: members are simple subjects.
    match &*format(&member)? {
        "complex" | "aliases" => Err(INCOMPLETE),
        _ => one(&member, about),
    }
}

fn object(value: Value<'_>) -> Result<Object<'_>, SignalFault> {
    value
        .as_object()
        .ok_or(SignalFault::Invalid("the subject is not an object"))
}

fn format(object: &Object<'_>) -> Result<String, SignalFault> {
    text(object, "format")
}

fn text(object: &Object<'_>, name: &str) -> Result<String, SignalFault> {
    object
        .get(name)
        .and_then(|value| value.as_str())
        .map(std::borrow::Cow::into_owned)
        .ok_or(INCOMPLETE)
}
