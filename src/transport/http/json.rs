//! Reads the JSON of a request: strict about what it knows, and without a copy on the common way.
//!
//! serde's own messages quote what they refuse. Ours must not (V-40), so each value says beforehand what
//! is wrong if it does not fit, and serde's message is used for syntax errors only, which quote nothing.
#![forbid(unsafe_code)]

use super::Fault;
use super::fault::{TOO_MANY_WANTS, UNKNOWN_WANT};
use crate::limits::{FRAME_TOKENS_MAX, JSON_MEMBERS_MAX};
use crate::verify::Want;
use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

/// What a call asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked<'b> {
    /// The tokens: exactly one for [`Shape::One`].
    pub(super) tokens: Vec<Bytes>,
    /// The request policy.
    pub(super) policy: Option<Cow<'b, str>>,
    /// The claims wanted.
    pub(super) want: Want,
    /// The revocation revision that the answer must know; 0 for none.
    pub(super) min_revision: u64,
}

/// Which of the two calls is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"token":"…"}`
    One,
    /// `{"tokens":["…"]}`
    Many,
}

impl Shape {
    fn members(self) -> [&'static str; 4] {
        match self {
            Self::One => ["token", "policy", "want", "min_revision"],
            Self::Many => ["tokens", "policy", "want", "min_revision"],
        }
    }
}

/// Reads a request. Tokens without escapes, which is all of them, stay where they are in `body`.
pub(super) fn parse(body: &Bytes, shape: Shape) -> Result<Asked<'_>, Fault> {
    let wrong = Wrong(Cell::new(NOT_AN_OBJECT));
    let mut json = serde_json::Deserializer::from_slice(body);
    let reader = Reader {
        body,
        shape,
        wrong: &wrong,
    };
    json.deserialize_map(reader)
        .and_then(|asked| json.end().map(|()| asked))
        .map_err(|error| match error.classify() {
            Category::Data => wrong.0.into_inner(),
            Category::Syntax | Category::Eof | Category::Io => Fault {
                detail: format!("the body is not JSON: {error}").into(),
                ..NOT_JSON
            },
        })
}

/// Reads `want` items: `claims`, or any number of `claims.NAME`.
pub(in crate::transport) fn want<'i>(
    items: impl IntoIterator<Item = &'i str>,
) -> Result<Want, Fault> {
    let mut all = false;
    let mut members = Vec::new();
    for item in items {
        match item.strip_prefix("claims.") {
            None if item == "claims" => all = true,
            None | Some("") => return Err(UNKNOWN_WANT),
            Some(member) => members.push(Box::from(member)),
        }
        if members.len() > JSON_MEMBERS_MAX {
            return Err(TOO_MANY_WANTS);
        }
    }
    Ok(match (all, members.is_empty()) {
        (true, _) => Want::Claims,
        (false, true) => Want::Verdict,
        (false, false) => Want::Members(members.into()),
    })
}

const NOT_JSON: Fault = Fault::bad("not_json", "the body is not JSON");
const NOT_AN_OBJECT: Fault = Fault::bad("wrong_type", "the body must be a JSON object");
const TOKEN_TYPE: Fault = Fault::bad("wrong_type", "token must be a string");
const TOKENS_TYPE: Fault = Fault::bad("wrong_type", "tokens must be an array of strings");
const POLICY_TYPE: Fault = Fault::bad(
    "wrong_type",
    "policy must be a string; leave it out for none",
);
const WANT_TYPE: Fault = Fault::bad("wrong_type", "want must be an array of strings");
const REVISION_TYPE: Fault = Fault::bad(
    "wrong_type",
    "min_revision must be a whole number; leave it out for none",
);
const TWICE: Fault = Fault::bad("duplicate_member", "a member appears twice");
const NO_TOKEN: Fault = Fault::bad(
    "missing_member",
    "the member token is missing: send {\"token\":\"…\"}",
);
const NO_TOKENS: Fault = Fault::bad(
    "missing_member",
    "the member tokens is missing: send {\"tokens\":[\"…\"]}",
);

/// What is wrong if the value read next does not fit.
struct Wrong(Cell<Fault>);

impl Wrong {
    /// Ends the reading with this fault.
    fn fail<T, E: Error>(&self, fault: Fault) -> Result<T, E> {
        self.0.set(fault);
        Err(E::custom(""))
    }
}

struct Reader<'b, 'w> {
    body: &'b Bytes,
    shape: Shape,
    wrong: &'w Wrong,
}

impl<'b> Visitor<'b> for Reader<'b, '_> {
    type Value = Asked<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Asked<'b>, A::Error> {
        let wrong = self.wrong;
        let mut tokens: Option<Vec<Bytes>> = None;
        let mut policy: Option<Cow<'b, str>> = None;
        let mut wanted: Option<Want> = None;
        let mut min_revision: Option<u64> = None;
        while let Some(name) = map.next_key_seed(Text)? {
            let twice = match (&*name, self.shape) {
                ("token", Shape::One) => {
                    wrong.0.set(TOKEN_TYPE);
                    let token = self.bytes(map.next_value_seed(Text)?);
                    tokens.replace(vec![token]).is_some()
                }
                ("tokens", Shape::Many) => {
                    wrong.0.set(TOKENS_TYPE);
                    let list = Texts {
                        length_max: FRAME_TOKENS_MAX,
                        too_long: Fault::too_many_tokens,
                        wrong,
                    };
                    let texts = map.next_value_seed(list)?;
                    let all = texts.into_iter().map(|text| self.bytes(text)).collect();
                    tokens.replace(all).is_some()
                }
                ("policy", _) => {
                    wrong.0.set(POLICY_TYPE);
                    policy.replace(map.next_value_seed(Text)?).is_some()
                }
                ("want", _) => {
                    wrong.0.set(WANT_TYPE);
                    let list = Texts {
                        length_max: JSON_MEMBERS_MAX,
                        too_long: || TOO_MANY_WANTS,
                        wrong,
                    };
                    let texts = map.next_value_seed(list)?;
                    match want(texts.iter().map(|text| &**text)) {
                        Ok(want) => wanted.replace(want).is_some(),
                        Err(fault) => return wrong.fail(fault),
                    }
                }
                ("min_revision", _) => {
                    wrong.0.set(REVISION_TYPE);
                    min_revision.replace(map.next_value()?).is_some()
                }
                (unknown, shape) => return wrong.fail(unknown_member(unknown, shape)),
            };
            if twice {
                return wrong.fail(TWICE);
            }
        }
        match (tokens, self.shape) {
            (Some(tokens), _) => Ok(Asked {
                tokens,
                policy,
                want: wanted.unwrap_or_default(),
                min_revision: min_revision.unwrap_or(0),
            }),
            (None, Shape::One) => wrong.fail(NO_TOKEN),
            (None, Shape::Many) => wrong.fail(NO_TOKENS),
        }
    }
}

impl<'b> Reader<'b, '_> {
    fn bytes(&self, text: Cow<'b, str>) -> Bytes {
        match text {
            Cow::Borrowed(text) => self.body.slice_ref(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        }
    }
}

/// Names the known member that was probably meant, never the unknown one.
fn unknown_member(unknown: &str, shape: Shape) -> Fault {
    const ALIKE_ENOUGH: f64 = 0.7;
    let members = shape.members();
    let alike = |known: &&str| strsim::jaro_winkler(unknown, known);
    let meant = members
        .into_iter()
        // No name worth correcting is long, and comparing costs time.
        .filter(|known| unknown.len() <= 4 * known.len() && alike(known) >= ALIKE_ENOUGH)
        .max_by(|one, other| alike(one).total_cmp(&alike(other)));
    let [first, second, third, last] = members;
    let detail = match meant {
        Some(meant) => format!("the body has an unknown member; did you mean {meant}?"),
        None => {
            format!(
                "the body has an unknown member; known are {first}, {second}, {third} and {last}"
            )
        }
    };
    Fault {
        detail: detail.into(),
        ..Fault::bad("unknown_member", "")
    }
}

/// A string, borrowed from the body unless it has escapes.
struct Text;

impl<'b> DeserializeSeed<'b> for Text {
    type Value = Cow<'b, str>;

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<Cow<'b, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'b> Visitor<'b> for Text {
    type Value = Cow<'b, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'b str) -> Result<Cow<'b, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'b, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// An array of strings with a longest length.
struct Texts<'w> {
    length_max: usize,
    too_long: fn() -> Fault,
    wrong: &'w Wrong,
}

impl<'b> DeserializeSeed<'b> for Texts<'_> {
    type Value = Vec<Cow<'b, str>>;

    fn deserialize<D: Deserializer<'b>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'b> Visitor<'b> for Texts<'_> {
    type Value = Vec<Cow<'b, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = seq.next_element_seed(Text)? {
            if texts.len() == self.length_max {
                return self.wrong.fail((self.too_long)());
            }
            texts.push(text);
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(body: &'static str) -> Result<(String, Option<String>, Want), Fault> {
        let body = Bytes::from_static(body.as_bytes());
        parse(&body, Shape::One).map(|asked| {
            let token = asked.tokens.first().map(|token| token.to_vec());
            (
                String::from_utf8(token.unwrap_or_default()).expect("UTF-8 in, UTF-8 out"),
                asked.policy.map(Cow::into_owned),
                asked.want,
            )
        })
    }

    fn error(body: &'static str, shape: Shape) -> (&'static str, String) {
        let body = Bytes::from_static(body.as_bytes());
        let fault = parse(&body, shape).expect_err("the body is not a request");
        (fault.error, fault.detail.into_owned())
    }

    #[test]
    fn a_plain_token_is_not_copied() {
        let body = Bytes::from_static(br#"{"token":"a.b.c"}"#);
        let asked = parse(&body, Shape::One).expect("a request");
        let [token] = &asked.tokens[..] else {
            panic!("one token was sent")
        };
        assert!(body.as_ptr_range().contains(&token.as_ptr()));
        assert_eq!(token, "a.b.c");
    }

    #[test]
    fn everything_a_request_may_say() {
        assert_eq!(
            one(
                " {\"want\":[\"claims.sub\",\"claims.a.b\"],\n\"policy\":\"p\",\"token\":\"\\u0061.b\"} "
            ),
            Ok((
                "a.b".into(),
                Some("p".into()),
                Want::Members([Box::from("sub"), Box::from("a.b")].into())
            ))
        );
        assert_eq!(
            one(r#"{"token":"","want":["claims.sub","claims"]}"#),
            Ok((String::new(), None, Want::Claims))
        );
        assert_eq!(
            one(r#"{"token":"t","want":[]}"#),
            Ok(("t".into(), None, Want::Verdict))
        );
    }

    #[test]
    fn what_is_no_request_is_named_and_never_repeated() {
        let cases = [
            ("", "not_json", "EOF"),
            ("{", "not_json", "EOF"),
            ("SECRET", "not_json", "line 1 column 1"),
            (r#"{"token":"SECRET"} x"#, "not_json", "trailing"),
            ("\"SECRET\"", "wrong_type", "object"),
            ("[]", "wrong_type", "object"),
            ("{}", "missing_member", "token"),
            (r#"{"token":["SECRET"]}"#, "wrong_type", "token"),
            (r#"{"token":null}"#, "wrong_type", "token"),
            (r#"{"token":7}"#, "wrong_type", "token"),
            (
                r#"{"token":"SECRET","token":"b"}"#,
                "duplicate_member",
                "twice",
            ),
            (r#"{"token":"a","policy":{}}"#, "wrong_type", "policy"),
            (r#"{"token":"a","policy":null}"#, "wrong_type", "policy"),
            (r#"{"token":"a","want":"claims"}"#, "wrong_type", "want"),
            (r#"{"token":"a","want":[1]}"#, "wrong_type", "want"),
            (
                r#"{"token":"a","want":["SECRET"]}"#,
                "unknown_want",
                "claims.NAME",
            ),
            (
                r#"{"token":"a","want":["claims."]}"#,
                "unknown_want",
                "claims.NAME",
            ),
            (
                r#"{"token":"a","want":["claimsub"]}"#,
                "unknown_want",
                "claims.NAME",
            ),
            (
                r#"{"tokn":"SECRET"}"#,
                "unknown_member",
                "did you mean token?",
            ),
            (
                r#"{"token":"a","wants":["SECRET"]}"#,
                "unknown_member",
                "did you mean want?",
            ),
            (
                r#"{"SECRET":1}"#,
                "unknown_member",
                "known are token, policy, want and min_revision",
            ),
            ("{\"token\":\"a\u{1}\"}", "not_json", "control character"),
            (r#"{"token":"\ud800"}"#, "not_json", "line 1"),
        ];
        for (body, word, hint) in cases {
            let (error, detail) = error(body, Shape::One);
            assert_eq!(error, word, "{body}: {detail}");
            assert!(detail.contains(hint), "{body}: {detail}");
            assert!(!detail.contains("SECRET"), "{body}: {detail}");
        }
        let (word, detail) = error(r#"{"token":"a"}"#, Shape::Many);
        assert_eq!(
            (word, detail.contains("did you mean tokens?")),
            ("unknown_member", true)
        );
        assert_eq!(error("{}", Shape::Many).0, "missing_member");
        for revision in ["-1", "1.5", "\"1\"", "null", "18446744073709551616"] {
            let body = format!(r#"{{"token":"a","min_revision":{revision}}}"#);
            let fault = parse(&Bytes::from(body), Shape::One).expect_err(revision);
            assert_eq!(fault.error, "wrong_type", "{revision}");
        }
        let body = Bytes::from_static(br#"{"min_revision":18446744073709551615,"token":"a"}"#);
        let asked = parse(&body, Shape::One).map(|asked| asked.min_revision);
        assert_eq!(asked, Ok(u64::MAX));
        assert_eq!(error(r#"{"tokens":"a"}"#, Shape::Many).0, "wrong_type");
        assert_eq!(error(r#"{"tokens":["a",1]}"#, Shape::Many).0, "wrong_type");
    }

    #[test]
    fn a_batch_may_be_empty_and_has_an_end() {
        let batch = |tokens: usize| {
            let list = vec!["\"t\""; tokens].join(",");
            let body = Bytes::from(format!("{{\"tokens\":[{list}]}}"));
            parse(&body, Shape::Many).map(|asked| asked.tokens.len())
        };
        assert_eq!(batch(0), Ok(0));
        assert_eq!(batch(FRAME_TOKENS_MAX), Ok(FRAME_TOKENS_MAX));
        let fault = batch(FRAME_TOKENS_MAX + 1).expect_err("one too many");
        assert_eq!(fault, Fault::too_many_tokens());
    }

    #[test]
    fn deep_nesting_costs_nothing() {
        let brackets = Box::leak("[".repeat(100_000).into_boxed_str());
        assert_eq!(error(brackets, Shape::One).0, "wrong_type");
        let inside = Box::leak(format!("{{\"token\":{brackets}").into_boxed_str());
        assert_eq!(error(inside, Shape::One).0, "wrong_type");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_not_json() {
        let body = Bytes::from_static(b"{\"token\":\"\xff\"}");
        let fault = parse(&body, Shape::One).expect_err("not UTF-8");
        assert_eq!(fault.error, "not_json");
    }
}
