use super::*;
use crate::limits::{JSON_DEPTH_MAX, JSON_ELEMENTS_MAX, JSON_MEMBERS_MAX, JSON_NUMBER_BYTES_MAX};
use proptest::prelude::*;

fn rule(text: &[u8]) -> &'static str {
    Object::parse(text)
        .err()
        .map_or("accepted", |error| error.rule)
}

#[test]
fn members_stand_in_order_with_their_kinds() {
    let object = Object::parse(
        br#" { "a" : "x" , "b":-1.5e3,"c":[1,{"d":null}] ,"d":{"a":{}},"e":true,"f":null} "#,
    )
    .expect("it is strict JSON");
    let members: Vec<_> = object
        .members()
        .map(|(name, value)| (name.into_owned(), value.kind(), value.text()))
        .collect();
    let expected = [
        ("a", Kind::String, r#""x""#),
        ("b", Kind::Number, "-1.5e3"),
        ("c", Kind::Array, r#"[1,{"d":null}]"#),
        ("d", Kind::Object, r#"{"a":{}}"#),
        ("e", Kind::Bool, "true"),
        ("f", Kind::Null, "null"),
    ];
    let expected = expected.map(|(name, kind, text)| (name.to_owned(), kind, text));
    assert_eq!(members, expected);
    assert_eq!(
        object.get("e").and_then(|value| value.as_bool()),
        Some(true)
    );
    let elements: Vec<_> = object
        .get("c")
        .and_then(|value| value.as_array())
        .expect("c is an array")
        .map(|element| element.text())
        .collect();
    assert_eq!(elements, ["1", r#"{"d":null}"#]);
    assert!(object.get("g").is_none());
}
