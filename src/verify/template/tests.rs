use super::*;

fn template(text: &str) -> IssTemplate {
    IssTemplate::parse(text).expect(text)
}

#[test]
fn the_hole_is_one_whole_segment_or_the_first_label() {
    for good in [
        "https://login.example/{tenant}/v2.0",
        "https://login.example/{tenant}",
        "https://login.example/{tenant}/",
        "https://kc.example/realms/{tenant}",
        "https://{tenant}.login.example",
        "https://{tenant}.login.example/oauth2/default",
        "http://127.0.0.1:8080/{tenant}",
    ] {
        assert_eq!(template(good).to_string(), good);
    }
    let fault = |text| IssTemplate::parse(text).expect_err(text);
    for text in [
        "https://a.example",
        "https://{tenant}.a.b/{tenant}",
        "{tenant}{",
        "https://x/{other}",
    ] {
        assert_eq!(fault(text), TemplateFault::Holes, "{text}");
    }
    for text in [
        "https://login.example/x{tenant}",
        "https://login.example/{tenant}x",
        "https://login.example{tenant}",
        "https://x.{tenant}.example",
        "https://{tenant}",
        "https://{tenant}:443/x",
        "https://{tenant}-x.login.example",
    ] {
        assert_eq!(fault(text), TemplateFault::Partial, "{text}");
    }
    for text in [
        "https://{tenant}.com",
        "https://{tenant}.com/x.y",
        "https://{tenant}.com.",
    ] {
        assert_eq!(fault(text), TemplateFault::HostTooOpen, "{text}");
    }
    for text in ["{tenant}", "urn:x:{tenant}", "https://u@a.example/{tenant}"] {
        assert_eq!(fault(text), TemplateFault::NoUrl, "{text}");
    }
    assert_eq!(fault("https://a.example/{tenant}?x"), TemplateFault::Query);
}

#[test]
fn what_fills_the_hole_is_of_a_strict_character_set() {
    let path = template("https://login.example/{tenant}/v2.0");
    let whole = |tenant: &str| format!("https://login.example/{tenant}/v2.0");
    for good in [
        "a",
        "9122040d-6c67-4c5b-b112-36a304b66dad",
        "eu-west-1_Ab3",
        "Acme.eu",
    ] {
        assert_eq!(path.tenant_in(&whole(good)), Some(good));
        assert_eq!(path.iss_of(good), whole(good));
    }
    let long = "a".repeat(TENANT_BYTES_MAX + 1);
    for bad in [
        "", ".", "..", "a..b", "-a", "a-", "_a", "a/b", "a%2fb", "a b", "ä", "a\0", "a?x", "a#x",
        "a:b", "a@b", "{tenant}", &long,
    ] {
        assert_eq!(path.tenant_in(&whole(bad)), None, "{bad}");
    }
    for other in [
        "https://login.example/a/v2.0/",
        "https://login.example/a/v2.00",
        "xhttps://login.example/a/v2.0",
        "https://LOGIN.example/a/v2.0",
        "http://login.example/a/v2.0",
        "https://login.example//v2.0",
        // Prefix and suffix may not overlap.
        "https://login.example/v2.0",
    ] {
        assert_eq!(path.tenant_in(other), None, "{other}");
    }
    let host = template("https://{tenant}.login.example");
    assert_eq!(
        host.tenant_in("https://acme-1.login.example"),
        Some("acme-1")
    );
    for bad in [
        "https://Acme.login.example",
        "https://a.b.login.example",
        "https://evil.example/.login.example",
        "https://evil.example#.login.example",
        "https://a_b.login.example",
        "https://-a.login.example",
        "https://.login.example",
    ] {
        assert_eq!(host.tenant_in(bad), None, "{bad}");
    }
}

#[test]
fn only_named_tenants_are_trusted_where_any_are_named() {
    let all = template("https://login.example/{tenant}");
    assert!(all.trusts("a") && all.trusts("b"));
    let some = all.only(["a".into()]);
    assert!(some.trusts("a") && !some.trusts("b"));
    assert_eq!(some.tenant_in("https://login.example/b"), Some("b"));
}

/// Two templates overlap exactly when a string fits both: searched for among all small ones.
#[test]
fn overlaps_are_what_a_search_finds() {
    let texts = [
        "https://a.b.c/{tenant}",
        "https://a.b.c/{tenant}/",
        "https://a.b.c/{tenant}/x",
        "https://a.b.c/x/{tenant}",
        "https://a.b.c/x/{tenant}/x",
        "https://a.b.c/{tenant}/x/x",
        "https://{tenant}.b.c/x",
        "https://{tenant}.b.c/x/x",
        "https://{tenant}.b.c/x/y",
        "https://{tenant}.b.c",
        "https://x.b.c/{tenant}",
        "https://x.b.c/{tenant}/y",
        "https://x.y.b.c/{tenant}",
    ];
    let templates = texts.map(template);
    let fillings = ["a", "b", "c", "x", "y", "x.y", "a.b"];
    for one in &templates {
        for other in &templates {
            let mut fillings = fillings.iter().filter(|filling| one.fits(filling));
            let found = fillings.any(|filling| other.tenant_in(&one.iss_of(filling)).is_some());
            assert_eq!(one.overlaps(other), found, "{one} and {other}");
            assert_eq!(
                one.overlaps(other),
                other.overlaps(one),
                "{one} and {other}"
            );
        }
    }
}

#[test]
fn names_meet_where_one_name_could_be_two_tenants() {
    for (one, other) in [
        ("{tenant}", "{tenant}"),
        ("a/{tenant}", "a/{tenant}"),
        ("a{tenant}", "ab{tenant}"),
        ("{tenant}", "x{tenant}y"),
        ("a{tenant}", "{tenant}b"),
    ] {
        assert!(
            names_meet(one, other) && names_meet(other, one),
            "{one} and {other}"
        );
    }
    for (one, other) in [
        ("a/{tenant}", "b/{tenant}"),
        ("a/{tenant}", "a/b/{tenant}"),
        ("{tenant}", "x/{tenant}"),
        ("{tenant}@a", "{tenant}@b"),
    ] {
        assert!(
            !names_meet(one, other) && !names_meet(other, one),
            "{one} and {other}"
        );
    }
}

#[test]
fn a_pattern_is_filled_and_read_back() {
    assert_eq!(fill("https://x/{tenant}/keys", "a"), "https://x/a/keys");
    assert_eq!(filled_by("entra/{tenant}", "entra/a"), Some("a"));
    assert_eq!(filled_by("entra/{tenant}", "other/a"), None);
    assert_eq!(filled_by("default", "default"), None);
}
