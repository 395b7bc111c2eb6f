use super::*;
use crate::limits::{
    JSON_DEPTH_MAX, JSON_ELEMENTS_MAX, JSON_MEMBERS_MAX, JSON_NAME_BYTES_MAX, JSON_NUMBER_BYTES_MAX,
};
use proptest::prelude::*;

/// The rule a text breaks, or `accepted`.
fn rule(text: impl AsRef<[u8]>) -> &'static str {
    match Object::parse(text.as_ref()) {
        Ok(_) => "accepted",
        Err(error) => error.rule,
    }
}

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

/// Checks V-05.
#[test]
fn only_an_object_in_utf_8_is_accepted() {
    for text in ["[]", "[{}]", "\"a\"", "1", "true", "null"] {
        assert_eq!(rule(text), "JSON is not an object", "{text}");
    }
    for text in ["", " ", "\n"] {
        assert_eq!(rule(text), "JSON ends early");
    }
    assert_eq!(rule("\u{feff}{}"), "JSON begins with a byte order mark");
    assert_eq!(rule(b"{\"a\":\"\xff\"}"), "JSON is not UTF-8");
    // An overlong slash, a surrogate in CESU-8, and the point after the last.
    for bytes in [&b"\xc0\xaf"[..], b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        assert_eq!(
            rule([b"{\"a\":\"", bytes, b"\"}"].concat()),
            "JSON is not UTF-8"
        );
    }
    let utf_16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_ne!(rule(&utf_16), "accepted");
    let utf_32: Vec<u8> = "{}"
        .chars()
        .flat_map(|c| u32::from(c).to_be_bytes())
        .collect();
    assert_ne!(rule(&utf_32), "accepted");
}

#[test]
fn the_grammar_is_that_of_rfc_8259() {
    let good = [
        "{}",
        " {\t}\r\n",
        r#"{"":""}"#,
        r#"{"a":0}"#,
        r#"{"a":-0}"#,
        r#"{"a":0.0}"#,
        r#"{"a":1E+2}"#,
        r#"{"a":1e-2}"#,
        r#"{"a":-10.01e00}"#,
        r#"{"a":"é\u00e9\n\"\\\/"}"#,
        "{\"a\":\"\u{7f}\"}",
        r#"{"a":"\u0000"}"#,
        r#"{"a":[true,false,null]}"#,
    ];
    for text in good {
        assert_eq!(rule(text), "accepted", "{text}");
    }
    for (text, expected) in [
        ("{", "JSON ends early"),
        (r#"{"a""#, "JSON ends early"),
        (r#"{"a":"#, "JSON ends early"),
        (r#"{"a":1"#, "JSON ends early"),
        (r#"{"a":[1"#, "JSON ends early"),
        (r#"{"a":"b"#, "JSON ends early"),
        (r#"{"a":"\"#, "JSON ends early"),
        ("{}{}", "JSON is followed by more"),
        ("{}x", "JSON is followed by more"),
        ("{}\0", "JSON is followed by more"),
        ("{a:1}", "JSON lacks a member name in quotes"),
        ("{'a':1}", "JSON lacks a member name in quotes"),
        (r#"{"a":1,}"#, "JSON lacks a member name in quotes"),
        (r#"{,"a":1}"#, "JSON lacks a member name in quotes"),
        (r#"{/**/"a":1}"#, "JSON lacks a member name in quotes"),
        (r#"{"a" 1}"#, "JSON lacks a colon after a member name"),
        (r#"{"a"=1}"#, "JSON lacks a colon after a member name"),
        (
            r#"{"a":1 "b":2}"#,
            "JSON lacks a comma or closing brace after a member",
        ),
        (
            r#"{"a":1]"#,
            "JSON lacks a comma or closing brace after a member",
        ),
        (
            r#"{"a":[1 2]}"#,
            "JSON lacks a comma or closing bracket after an element",
        ),
        (
            r#"{"a":[1}"#,
            "JSON lacks a comma or closing bracket after an element",
        ),
        (r#"{"a":[1,]}"#, "JSON has something that is no value"),
        (r#"{"a":[,1]}"#, "JSON has something that is no value"),
        (r#"{"a":}"#, "JSON has something that is no value"),
        (r#"{"a":True}"#, "JSON has something that is no value"),
        (r#"{"a":tru}"#, "JSON has something that is no value"),
        (r#"{"a":nul"#, "JSON has something that is no value"),
        (r#"{"a":NaN}"#, "JSON has something that is no value"),
        (r#"{"a":Infinity}"#, "JSON has something that is no value"),
        (r#"{"a":+1}"#, "JSON has something that is no value"),
        (r#"{"a":.5}"#, "JSON has something that is no value"),
        (
            r#"{"a":nullx}"#,
            "JSON lacks a comma or closing brace after a member",
        ),
        (r#"{"a":-}"#, "JSON has a malformed number"),
        (r#"{"a":-a}"#, "JSON has a malformed number"),
        (r#"{"a":01}"#, "JSON has a malformed number"),
        (r#"{"a":-01}"#, "JSON has a malformed number"),
        (r#"{"a":1.}"#, "JSON has a malformed number"),
        (r#"{"a":1.e1}"#, "JSON has a malformed number"),
        (r#"{"a":1e}"#, "JSON has a malformed number"),
        (r#"{"a":1e+}"#, "JSON has a malformed number"),
        (r#"{"a":0x10}"#, "JSON has a malformed number"),
        (r#"{"a":1.2.3}"#, "JSON has a malformed number"),
        (r#"{"a":"\x"}"#, "JSON has an unknown escape in a string"),
        (
            r#"{"a":"\U0041"}"#,
            "JSON has an unknown escape in a string",
        ),
        (r#"{"a":"\u00"}"#, "JSON has an unknown escape in a string"),
        (
            r#"{"a":"\u00g0"}"#,
            "JSON has an unknown escape in a string",
        ),
        (
            r#"{"a":"\u+123"}"#,
            "JSON has an unknown escape in a string",
        ),
        (r#"{"a":"\ud800"}"#, "JSON has a lone surrogate in a string"),
        (r#"{"a":"\udc00"}"#, "JSON has a lone surrogate in a string"),
        (
            r#"{"a":"\ud800\ud800"}"#,
            "JSON has a lone surrogate in a string",
        ),
        (
            r#"{"a":"\ud800\n"}"#,
            "JSON has a lone surrogate in a string",
        ),
        (r#"{"\udc00":1}"#, "JSON has a lone surrogate in a string"),
        ("{\"a\":\"\n\"}", "JSON has a control character in a string"),
        (
            "{\"a\":\"12345678\t\"}",
            "JSON has a control character in a string",
        ),
        ("{\"a\":\"\0\"}", "JSON has a control character in a string"),
        (
            "{\"a\u{1f}\":1}",
            "JSON has a control character in a string",
        ),
        ("{\u{a0}\"a\":1}", "JSON lacks a member name in quotes"),
        ("{\u{b}\"a\":1}", "JSON lacks a member name in quotes"),
    ] {
        assert_eq!(rule(text), expected, "{text}");
    }
}

#[test]
fn an_error_says_where() {
    for (text, offset) in [
        ("{} x", 3),
        (r#"{"a":tru}"#, 5),
        (r#"{"a":1,"a":2}"#, 8),
        ("x", 0),
    ] {
        let error = Object::parse_str(text).err().expect("broken");
        assert_eq!(error.offset, offset, "{text}");
    }
    assert_eq!(
        Object::parse(b"{\"a\":\"\xff\"}")
            .err()
            .expect("broken")
            .offset,
        6
    );
}

/// Checks V-06.
#[test]
fn duplicate_members_are_refused_at_every_level() {
    const DUPLICATE: &str = "JSON has two members of one name";
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"alg":"HS256","typ":"JWT","alg":"none"}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"\u0061":1,"a":2}"#,
        r#"{"\/":1,"/":2}"#,
        r#"{"":1,"":2}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        r#"{"a":[[{"b":{"c":1,"c":2}}]]}"#,
        r#"{"a":[1,{"b":1,"\u0062":2}],"c":3}"#,
        r#"{"12345678a":1,"12345678b":2,"12345678a":3}"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
    ] {
        assert_eq!(rule(text), DUPLICATE, "{text}");
    }
    for text in [
        r#"{"a":1,"A":2}"#,
        r#"{"a":{"a":{"a":1}}}"#,
        r#"{"a":[{"a":1},{"a":2}],"b":{"a":1}}"#,
        r#"{"12345678a":1,"12345678b":2,"12345678":3}"#,
        // NFC and NFD of é are two names: nothing is normalised.
        "{\"\u{e9}\":1,\"e\u{301}\":2}",
        r#"{"a":1,"a\u0000":2}"#,
    ] {
        assert_eq!(rule(text), "accepted", "{text}");
    }
}

/// Checks V-06.
#[test]
fn duplicates_are_found_in_objects_of_every_size() {
    // Sizes on both sides of the change from pairs to a set.
    for members in 2..=40 {
        for (first, second) in [(0, 1), (0, members - 1), (members / 2, members - 1)] {
            if first == second {
                continue;
            }
            let names = |duplicate: bool| {
                let name = |index| {
                    if duplicate && index == second {
                        first
                    } else {
                        index
                    }
                };
                let members: Vec<_> = (0..members)
                    .map(|index| format!("\"name-{}\":{index}", name(index)))
                    .collect();
                format!("{{{}}}", members.join(","))
            };
            assert_eq!(rule(names(false)), "accepted");
            assert_eq!(rule(names(true)), "JSON has two members of one name");
        }
    }
}

/// Checks V-07.
#[test]
fn each_limit_holds_to_the_one() {
    let nested = |depth: usize| {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert_eq!(rule(nested(JSON_DEPTH_MAX)), "accepted");
    assert_eq!(
        rule(nested(JSON_DEPTH_MAX + 1)),
        "JSON is nested too deeply"
    );

    let members = |count: usize| {
        let members: Vec<_> = (0..count).map(|index| format!("\"{index}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(rule(members(JSON_MEMBERS_MAX)), "accepted");
    assert_eq!(
        rule(members(JSON_MEMBERS_MAX + 1)),
        "JSON has an object of too many members"
    );
    assert_eq!(
        rule(format!("{{\"a\":{}}}", members(JSON_MEMBERS_MAX + 1))),
        "JSON has an object of too many members"
    );

    let elements = |count: usize| format!("{{\"a\":[{}]}}", vec!["0"; count].join(","));
    assert_eq!(rule(elements(JSON_ELEMENTS_MAX)), "accepted");
    assert_eq!(
        rule(elements(JSON_ELEMENTS_MAX + 1)),
        "JSON has an array of too many elements"
    );

    let name = |bytes: usize| format!("{{\"{}\":0}}", "n".repeat(bytes));
    assert_eq!(rule(name(JSON_NAME_BYTES_MAX)), "accepted");
    assert_eq!(
        rule(name(JSON_NAME_BYTES_MAX + 1)),
        "JSON has a member name that is too long"
    );

    let number = |bytes: usize| format!("{{\"a\":{}}}", "1".repeat(bytes));
    assert_eq!(rule(number(JSON_NUMBER_BYTES_MAX)), "accepted");
    assert_eq!(
        rule(number(JSON_NUMBER_BYTES_MAX + 1)),
        "JSON has a number that is too long"
    );
}

/// Checks V-07.
#[test]
fn a_hundred_thousand_brackets_cost_no_stack() {
    for open in ["[", "{\"a\":", "[[", "{\"a\":["] {
        let text = format!("{{\"a\":{}", open.repeat(100_000));
        let error = Object::parse(text.as_bytes()).err().expect("too deep");
        assert_eq!(error.rule, "JSON is nested too deeply");
        // It stops at the limit and does not look at the rest.
        assert!(error.offset < 100);
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

/// serde_json as the oracle, over arbitrary documents written with arbitrary whitespace.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        // Eighths are exact in binary; serde_json rounds other fractions in their last digit.
        any::<i32>().prop_map(|number| serde_json::Value::from(f64::from(number) / 8.0)),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    let value = leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map(".{0,12}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    prop::collection::btree_map(".{0,12}", value, 0..24)
        .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_alike(document in document(), pretty: bool) {
        let text = if pretty {
            serde_json::to_string_pretty(&document)
        } else {
            serde_json::to_string(&document)
        }
        .expect("a value can be written");
        let object = Object::parse_str(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(object.len(), document.as_object().map_or(0, serde_json::Map::len));
        for (name, value) in object.members() {
            prop_assert_eq!(
                &serde_json::from_str::<serde_json::Value>(value.text()).expect("a value"),
                &document[&*name]
            );
            if let Some(text) = value.as_str() {
                prop_assert_eq!(Some(&*text), document[&*name].as_str());
            }
        }
        let mut line = Vec::new();
        object.write_minified(&mut line);
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&line).expect("JSON"), document);
    }

    #[test]
    fn strings_survive_writing_and_reading(text: String) {
        let mut whole = b"{\"a\":".to_vec();
        write_string(&text, &mut whole);
        whole.push(b'}');
        let object = Object::parse(&whole).expect("a written string is strict");
        let read = object.get("a").and_then(|value| value.as_str());
        prop_assert_eq!(read.as_deref(), Some(&*text));
    }

    #[test]
    fn floor_and_ceil_agree_with_integers(whole in -(1_i64 << 53) + 1..(1 << 53), zeros in 0_usize..6) {
        let plain = whole.to_string();
        let fraction = format!("{whole}.{}", "0".repeat(zeros + 1));
        let exponent = format!("{whole}{}e-{zeros}", "0".repeat(zeros));
        for text in [&plain, &fraction, &exponent] {
            prop_assert_eq!(Number(text).floor_and_ceil((1 << 53) - 1), Some((whole, whole)), "{}", text);
        }
    }
}
