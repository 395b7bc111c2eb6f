//! The JWT Claims Set (RFC 7519 §4), parsed strictly once and read in place.
//!
//! A registered claim that has not its RFC's type is noted, not refused here: what a token's claims say
//! is nobody's business until its signature has been verified. All other claims stay text until somebody
//! asks. A StringOrURI with a `:` is not held against the URI grammar (§2 says it must be a URI): `sub`
//! values such as `user:42` are common, comparison is by exact string anyway, and a URI parser would add
//! ways to fail without adding a check that matters.

use super::JoseError;
use crate::encoding::json::{Kind, Object, Value};
use std::borrow::Cow;

/// Seconds since the epoch (RFC 7519 §2). Fractions are accepted as the RFC allows and rounded towards
/// the safe side by whoever compares; here they are kept as floor and ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumericDate {
    /// The greatest whole second not after the date.
    pub floor: i64,
    /// The least whole second not before the date.
    pub ceil: i64,
}

/// Largest NumericDate accepted, either side of the epoch: the integers that every JSON implementation
/// reads exactly (RFC 7493 §2.2). It is the year 285,428,751.
const NUMERIC_DATE_MAX: i64 = (1 << 53) - 1;

/// A claims set over the payload bytes it was parsed from.
pub struct Claims<'b> {
    /// `iss` (RFC 7519 §4.1.1).
    pub iss: Option<Cow<'b, str>>,
    /// `sub` (§4.1.2).
    pub sub: Option<Cow<'b, str>>,
    /// `exp` (§4.1.4).
    pub exp: Option<NumericDate>,
    /// `nbf` (§4.1.5).
    pub nbf: Option<NumericDate>,
    /// `iat` (§4.1.6).
    pub iat: Option<NumericDate>,
    /// `jti` (§4.1.7).
    pub jti: Option<Cow<'b, str>>,
    /// A registered claim that has a wrong type or an impossible value; it counts as absent.
    pub invalid: Option<&'static str>,
    /// `aud` (§4.1.3): a string or an array of strings.
    aud: Option<Value<'b>>,
    object: Object<'b>,
}

impl<'b> Claims<'b> {
    /// Parses a decoded payload: one JSON object, strictly.
    ///
    /// # Errors
    /// [`JoseError::Malformed`] for JSON that is not a strict object.
    pub fn parse(payload: &'b [u8]) -> Result<Self, JoseError> {
        let object = Object::parse(payload).map_err(|error| JoseError::Malformed(error.rule))?;
        let [iss, sub, aud, exp, nbf, iat, jti] =
            object.get_all(["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]);
        let mut invalid = None;
        Ok(Self {
            iss: typed("iss", iss, string, &mut invalid),
            sub: typed("sub", sub, string, &mut invalid),
            exp: typed("exp", exp, numeric_date, &mut invalid),
            nbf: typed("nbf", nbf, numeric_date, &mut invalid),
            iat: typed("iat", iat, numeric_date, &mut invalid),
            jti: typed("jti", jti, string, &mut invalid),
            aud: typed("aud", aud, one_or_many_strings, &mut invalid),
            invalid,
            object,
        })
    }

    /// The audiences of `aud`, string or array alike (§4.1.3); empty when absent.
    pub fn audiences(&self) -> impl Iterator<Item = Cow<'b, str>> {
        let one = self.aud.and_then(|aud| aud.as_str());
        let many = self.aud.and_then(|aud| aud.as_array());
        let many = many
            .into_iter()
            .flatten()
            .filter_map(|element| element.as_str());
        one.into_iter().chain(many)
    }

    /// Whether `aud` is present.
    #[must_use]
    pub fn has_audience(&self) -> bool {
        self.aud.is_some()
    }

    /// The raw JSON text of a top-level member.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&'b [u8]> {
        self.get(name).map(|value| value.text().as_bytes())
    }

    /// A top-level member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value<'b>> {
        self.object.get(name)
    }

    /// All members in the order of the token.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'b, str>, Value<'b>)> {
        self.object.members()
    }

    /// The whole claims set as one line of JSON text, as the issuer wrote it but for whitespace between
    /// tokens.
    #[must_use]
    pub fn to_json(&self) -> Box<[u8]> {
        let mut json = Vec::with_capacity(self.object.text().len());
        self.object.write_minified(&mut json);
        json.into_boxed_slice()
    }

    /// Only the named members, in the order they stand in the token, as one JSON object.
    #[must_use]
    pub fn project(&self, names: &[&str]) -> Box<[u8]> {
        let mut json = Vec::with_capacity(64 * names.len() + 2);
        let wanted = self
            .object
            .members()
            .map(|(name, _)| names.contains(&&*name));
        let members = self.object.members_as_written().zip(wanted);
        json.push(b'{');
        for ((name, value), _) in members.filter(|(_, wanted)| *wanted) {
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(name.as_bytes());
            json.push(b':');
            crate::encoding::json::minify(value.text(), &mut json);
        }
        json.push(b'}');
        json.into_boxed_slice()
    }
}

/// The claim in its type; where it is present and has another, it counts as absent and is named.
fn typed<'b, T>(
    name: &'static str,
    value: Option<Value<'b>>,
    read: impl FnOnce(Value<'b>) -> Option<T>,
    invalid: &mut Option<&'static str>,
) -> Option<T> {
    let read = read(value?);
    if read.is_none() {
        *invalid = invalid.or(Some(name));
    }
    read
}

fn string(value: Value<'_>) -> Option<Cow<'_, str>> {
    value.as_str()
}

/// RFC 7519 §4.1.3: an array of strings, or in the special case of one audience, a single string. An
/// empty array names nobody, which is not malformed, only useless.
fn one_or_many_strings(value: Value<'_>) -> Option<Value<'_>> {
    (value.kind() == Kind::String || value.is_strings()).then_some(value)
}

/// RFC 7519 §2: a JSON numeric value. A string of digits is not one.
fn numeric_date(value: Value<'_>) -> Option<NumericDate> {
    let (floor, ceil) = value.as_number()?.floor_and_ceil(NUMERIC_DATE_MAX)?;
    Some(NumericDate { floor, ceil })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Claims<'_> {
        Claims::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"))
    }

    fn text(json: &[u8]) -> &str {
        std::str::from_utf8(json).expect("JSON is UTF-8")
    }

    #[test]
    fn registered_claims_are_read() {
        let claims = parse(
            r#"{"iss":"https://a.example","sub":"user:42","aud":"x","exp":1.7e9,"nbf":-1,"iat":0.5,"\u006ati":"j"}"#,
        );
        assert_eq!(claims.iss.as_deref(), Some("https://a.example"));
        assert_eq!(claims.sub.as_deref(), Some("user:42"));
        assert_eq!(claims.jti.as_deref(), Some("j"));
        let date = |floor, ceil| Some(NumericDate { floor, ceil });
        assert_eq!(claims.exp, date(1_700_000_000, 1_700_000_000));
        assert_eq!(claims.nbf, date(-1, -1));
        assert_eq!(claims.iat, date(0, 1));
        assert_eq!(claims.invalid, None);
    }

    /// Checks V-05, V-06.
    #[test]
    fn a_claims_set_is_one_strict_object() {
        for json in [
            "[]",
            "\"a\"",
            "1",
            "null",
            "",
            "{}x",
            r#"{"iss":"a","iss":"a"}"#,
            r#"{"exp":1,"\u0065xp":9}"#,
            r#"{"a":{"b":1,"b":1}}"#,
        ] {
            assert!(
                matches!(Claims::parse(json.as_bytes()), Err(JoseError::Malformed(_))),
                "{json}"
            );
        }
        assert_eq!(parse("{}").members().count(), 0);
    }

    /// Checks V-27.
    #[test]
    fn a_date_is_a_finite_number_within_range() {
        for value in [
            "\"1700000000\"",
            "null",
            "true",
            "[]",
            "{}",
            "9007199254740992",
            "1e300",
            "-1e17",
        ] {
            for name in ["exp", "nbf", "iat"] {
                let json = format!("{{\"a\":1,\"{name}\":{value}}}");
                let claims = parse(&json);
                assert_eq!(claims.invalid, Some(name), "{json}");
                assert_eq!((claims.exp, claims.nbf, claims.iat), (None, None, None));
            }
        }
        for value in ["NaN", "Infinity", "1e", "0x1", "00"] {
            let json = format!("{{\"exp\":{value}}}");
            assert!(Claims::parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn a_registered_claim_of_the_wrong_type_is_noted() {
        for (name, value) in [
            ("iss", "1"),
            ("sub", "null"),
            ("jti", "[]"),
            ("aud", "1"),
            ("aud", "{}"),
            ("aud", "[1]"),
            ("aud", "[\"a\",null]"),
            ("aud", "[[\"a\"]]"),
            ("aud", "null"),
        ] {
            let json = format!("{{\"{name}\":{value}}}");
            let claims = parse(&json);
            assert_eq!(claims.invalid, Some(name), "{json}");
            assert!(!claims.has_audience());
            assert_eq!(claims.member(name), Some(value.as_bytes()));
        }
    }

    /// Checks V-30.
    #[test]
    fn audiences_are_read_from_string_and_array_alike() {
        for (json, present, audiences) in [
            ("{}", false, vec![]),
            (r#"{"aud":"a"}"#, true, vec!["a"]),
            (r#"{"aud":""}"#, true, vec![""]),
            (r#"{"aud":[]}"#, true, vec![]),
            (r#"{"aud":["a","\u0062"]}"#, true, vec!["a", "b"]),
            // A list in a string is one strange audience, not two.
            (r#"{"aud":"a b,c"}"#, true, vec!["a b,c"]),
        ] {
            let claims = parse(json);
            assert_eq!(claims.has_audience(), present, "{json}");
            assert_eq!(claims.audiences().collect::<Vec<_>>(), audiences, "{json}");
        }
    }

    #[test]
    fn claims_leave_as_one_line_in_the_issuer_s_words() {
        // RFC 7519 §3.1 writes its example with line breaks.
        let json =
            "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let claims = parse(json);
        assert_eq!(
            text(&claims.to_json()),
            r#"{"iss":"joe","exp":1300819380,"http://example.com/is_root":true}"#
        );
        let compact = r#"{"a":1.0e2,"b":"\u0061\/ ","c":[1,{"d":null}]}"#;
        assert_eq!(text(&parse(compact).to_json()), compact);
    }

    #[test]
    fn a_projection_keeps_the_named_members_in_the_token_s_order() {
        let claims =
            parse("{ \"a\" : 1 , \"b\\u0062\":[ 1, 2 ],\n\"c\":{\"a\":0},\"\\\"\":\"x y\" }");
        for (names, expected) in [
            (&[][..], "{}"),
            (&["absent"], "{}"),
            (&["c", "a"], r#"{"a":1,"c":{"a":0}}"#),
            (&["bb"], r#"{"b\u0062":[1,2]}"#),
            (&["\"", "a", "a"], r#"{"a":1,"\"":"x y"}"#),
        ] {
            let projection = claims.project(names);
            assert_eq!(text(&projection), expected);
            Claims::parse(&projection).expect("a projection is strict JSON");
        }
    }
}
