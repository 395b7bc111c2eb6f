use super::*;
use crate::limits::{
    JSON_DEPTH_MAX, JSON_ELEMENTS_MAX, JSON_MEMBERS_MAX, JSON_NAME_BYTES_MAX, JSON_NUMBER_BYTES_MAX,
};

/// The rule a text breaks, or `accepted`.
fn rule(text: impl AsRef<[u8]>) -> &'static str {
    match Object::parse(text.as_ref()) {
        Ok(_) => "accepted",
        Err(error) => error.rule,
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
