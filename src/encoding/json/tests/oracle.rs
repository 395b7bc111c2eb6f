use super::*;
use proptest::prelude::*;

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
