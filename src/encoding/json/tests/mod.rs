use super::*;

mod oracle;
mod refusals;

fn object(text: &str) -> Object<'_> {
    Object::parse_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn value<'j>(object: &Object<'j>, name: &str) -> Value<'j> {
    object
        .get(name)
        .unwrap_or_else(|| panic!("no member {name}"))
}

#[test]
fn members_stand_in_order_with_their_kinds() {
    let object =
        object(r#" { "a" : "x" , "b":-1.5e3,"c":[1,{"d":null}] ,"d":{"a":{}},"e":true,"f":null} "#);
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
    assert_eq!(value(&object, "e").as_bool(), Some(true));
    assert_eq!(object.len(), 6);
    assert!(object.get("g").is_none());
    let nested = value(&object, "d").as_object().expect("d is an object");
    assert!(value(&nested, "a").as_object().expect("so is a").is_empty());
}

#[test]
fn several_members_are_found_in_one_walk() {
    let object = object(r#"{"other":0,"prefix-a":1,"prefix-ab":2,"\u0061":3,"":4}"#);
    let found = object.get_all(["prefix-ab", "prefix-a", "a", "absent", ""]);
    let texts = found.map(|value| value.map(|value| value.text()));
    assert_eq!(texts, [Some("2"), Some("1"), Some("3"), None, Some("4")]);
}

#[test]
fn arrays_are_walked_element_by_element() {
    for (text, expected) in [
        ("[]", vec![]),
        ("[ ]", vec![]),
        ("[1]", vec!["1"]),
        (
            r#"[ "a,]" , [1,[2]] ,{"b":[]},null ]"#,
            vec![r#""a,]""#, "[1,[2]]", r#"{"b":[]}"#, "null"],
        ),
    ] {
        let whole = format!("{{\"a\":{text}}}");
        let object = object(&whole);
        let elements = value(&object, "a").as_array().expect("an array");
        let texts: Vec<_> = elements.map(|element| element.text()).collect();
        assert_eq!(texts, expected, "{text}");
    }
    let object = object(r#"{"a":["x","\u0079"],"b":["x",1],"c":"x"}"#);
    assert_eq!(
        value(&object, "a").as_strings().expect("strings"),
        ["x", "y"]
    );
    assert!(value(&object, "b").as_strings().is_none());
    assert!(value(&object, "c").as_strings().is_none());
}

#[test]
fn a_value_is_only_what_it_is() {
    let object = object(r#"{"s":"1","n":1,"t":true,"z":null,"a":[],"o":{}}"#);
    for name in ["s", "n", "t", "z", "a", "o"] {
        let value = value(&object, name);
        assert_eq!(value.as_str().is_some(), name == "s");
        assert_eq!(value.as_number().is_some(), name == "n");
        assert_eq!(value.as_bool().is_some(), name == "t");
        assert_eq!(value.as_array().is_some(), name == "a");
        assert_eq!(value.as_object().is_some(), name == "o");
    }
}

#[test]
fn strings_are_unescaped() {
    for (written, text) in [
        (r"plain", "plain"),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u0041\u00e9\u20AC", "Aé€"),
        (r"\ud83d\uDE00!", "😀!"),
        (r"a\u0000b", "a\0b"),
        (r"\\u0041", r"\u0041"),
        (r"é\né", "é\né"),
        // A pair after a unit of its own, and a unit after a pair.
        (r"\u0041\ud83d\ude00\u0042", "A😀B"),
    ] {
        let whole = format!("{{\"a\":\"{written}\",\"{written}\":1}}");
        let object = object(&whole);
        assert_eq!(
            value(&object, "a").as_str().as_deref(),
            Some(text),
            "{written}"
        );
        assert!(object.get(text).is_some(), "{written}");
    }
}

/// Checks V-27.
#[test]
fn numbers_are_exact_decimals() {
    let exact = |whole: i64| Some((whole, whole));
    for (text, expected) in [
        ("0", exact(0)),
        ("-0", exact(0)),
        ("-0.0e9", exact(0)),
        ("1700000000", exact(1_700_000_000)),
        ("-1700000000", exact(-1_700_000_000)),
        ("1.7e9", exact(1_700_000_000)),
        ("17E8", exact(1_700_000_000)),
        ("1700000000.000", exact(1_700_000_000)),
        ("17000000000e-1", exact(1_700_000_000)),
        ("1700000000.5", Some((1_700_000_000, 1_700_000_001))),
        ("-1700000000.5", Some((-1_700_000_001, -1_700_000_000))),
        // A double would round these to whole numbers.
        (
            "1700000000.00000000000001",
            Some((1_700_000_000, 1_700_000_001)),
        ),
        (
            "1699999999.99999999999999",
            Some((1_699_999_999, 1_700_000_000)),
        ),
        ("0.1", Some((0, 1))),
        ("-0.1", Some((-1, 0))),
        ("1e-99999999999999999999", Some((0, 1))),
        ("-1e-400", Some((-1, 0))),
        ("0e99999999999999999999", exact(0)),
        ("9007199254740991", exact(9_007_199_254_740_991)),
        ("9007199254740991.0", exact(9_007_199_254_740_991)),
        (
            "9007199254740990.5",
            Some((9_007_199_254_740_990, 9_007_199_254_740_991)),
        ),
        ("-9007199254740991", exact(-9_007_199_254_740_991)),
        ("9007199254740991.1", None),
        ("9007199254740992", None),
        ("-9007199254740992", None),
        ("1e16", None),
        ("1e400", None),
        ("-1e99999999999999999999", None),
        ("99999999999999999999999999999999", None),
        ("1.8446744073709551616e19", None),
    ] {
        let number = Number(text);
        assert_eq!(number.floor_and_ceil((1 << 53) - 1), expected, "{text}");
        assert_eq!(number.as_written(), text);
    }
    assert_eq!(Number("9223372036854775807").as_i64(), Some(i64::MAX));
    assert_eq!(Number("9223372036854775808").as_i64(), None);
    assert_eq!(Number("1.5").as_i64(), None);
    assert_eq!(Number("1.50e1").as_i64(), Some(15));
}

#[test]
fn minified_text_is_one_line_and_keeps_strings() {
    for (text, line) in [
        ("{}", "{}"),
        (" { } ", "{}"),
        (
            "{\r\n\t\"a b\" : [ 1 , \" \\\" \" ] ,\n\"c\":\"\\\\\" }\n",
            r#"{"a b":[1," \" "],"c":"\\"}"#,
        ),
    ] {
        let mut minified = Vec::new();
        object(text).write_minified(&mut minified);
        assert_eq!(String::from_utf8_lossy(&minified), line);
    }
}

#[test]
fn pretty_text_is_safe_to_print() {
    let mut pretty = String::new();
    write_pretty(
        "{\"a\":[1,{\"b\":{}}],\"c\":[ ],\"d\":\"x\u{9b}\u{202e}\u{7f}é\"}",
        &mut pretty,
    );
    assert_eq!(
        pretty,
        "{\n  \"a\": [\n    1,\n    {\n      \"b\": {}\n    }\n  ],\n  \"c\": [],\n  \
         \"d\": \"x\\u009b\\u202e\\u007fé\"\n}"
    );
}
