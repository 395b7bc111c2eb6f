//! Templates of `iss`: one pattern with one hole, which stands for many tenants of one kind.
//!
//! The hole is a whole segment of the path or a whole label of the host, and what fills it is of a strict character
//! set, so that an `iss` fits a template in one way or in none. Nothing is decoded, folded or normalised: issuers are
//! compared byte for byte (RFC 9068 §4), and so are their templates.

use std::collections::BTreeSet;

/// What the hole is written as, in the template and in whatever follows from it.
pub const HOLE: &str = "{tenant}";

/// Longest name that fills a hole, in bytes: a label of the host has 63, a UUID 36.
const TENANT_BYTES_MAX: usize = 64;

/// A pattern of `iss`, and which tenants of it are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssTemplate {
    prefix: Box<str>,
    suffix: Box<str>,
    kind: Kind,
    /// The only tenants that are trusted, where not all are.
    only: Option<BTreeSet<Box<str>>>,
    /// Whether all its tenants have the same keys.
    shares_keys: bool,
}

/// What the hole is a whole one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A segment of the path.
    Segment,
    /// The first label of the host.
    Label,
}

/// Why a text is no template. Reads as the end of a sentence that begins with the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// Not one hole.
    #[error("must have {HOLE} in it exactly once, and no other braces")]
    Holes,
    /// It does not begin as a URL does.
    #[error("is no template of an https URL, and only such can be found by their `iss`")]
    NoUrl,
    /// The hole is a part of something.
    #[error(
        "may have {HOLE} only as a whole segment of the path or as the first label of the host"
    )]
    Partial,
    /// Whoever registers a domain would be a tenant.
    #[error("leaves too much of the host open: what follows {HOLE} needs two labels at least")]
    HostTooOpen,
    /// A query or a fragment.
    #[error("has a query or a fragment, which no issuer has")]
    Query,
}

impl IssTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateFault`].
    pub fn parse(text: &str) -> Result<Self, TemplateFault> {
        let (prefix, suffix) = text.split_once(HOLE).ok_or(TemplateFault::Holes)?;
        if [prefix, suffix]
            .iter()
            .any(|part| part.contains(['{', '}']))
        {
            return Err(TemplateFault::Holes);
        }
        if text.contains(['?', '#']) {
            return Err(TemplateFault::Query);
        }
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| prefix.strip_prefix(scheme))
            .ok_or(TemplateFault::NoUrl)?;
        let kind = if rest.is_empty() {
            let host = suffix.split('/').next().unwrap_or_default();
            let labels = host.strip_prefix('.').ok_or(TemplateFault::Partial)?;
            // "com" and "co.uk" are for registries to give out; so, to be safe, is any single label.
            if labels.split('.').filter(|label| !label.is_empty()).count() < 2 {
                return Err(TemplateFault::HostTooOpen);
            }
            Kind::Label
        } else if rest.contains('/') && prefix.ends_with('/') {
            if !(suffix.is_empty() || suffix.starts_with('/')) {
                return Err(TemplateFault::Partial);
            }
            Kind::Segment
        } else {
            return Err(TemplateFault::Partial);
        };
        if prefix.contains('@') || (kind == Kind::Label && suffix.contains('@')) {
            return Err(TemplateFault::NoUrl);
        }
        Ok(Self {
            prefix: prefix.into(),
            suffix: suffix.into(),
            kind,
            only: None,
            shares_keys: false,
        })
    }

    /// The same, of tenants who all have the template's keys, even while those are awaited.
    #[must_use]
    pub fn sharing_keys(mut self) -> Self {
        self.shares_keys = true;
        self
    }

    /// Whether it was said that all its tenants have the template's keys.
    #[must_use]
    pub fn shares_keys(&self) -> bool {
        self.shares_keys
    }

    /// The same, for these tenants only.
    #[must_use]
    pub fn only(mut self, tenants: impl IntoIterator<Item = Box<str>>) -> Self {
        self.only = Some(tenants.into_iter().collect());
        self
    }

    /// What fills the hole, if this `iss` fits. Whether that tenant is trusted is another question.
    #[must_use]
    pub fn tenant_in<'i>(&self, iss: &'i str) -> Option<&'i str> {
        let tenant = iss.strip_prefix(&*self.prefix)?;
        let tenant = tenant.strip_suffix(&*self.suffix)?;
        self.fits(tenant).then_some(tenant)
    }

    /// Whether a tenant is among those that are trusted.
    #[must_use]
    pub fn trusts(&self, tenant: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| only.contains(tenant))
    }

    /// Whether a text may fill the hole.
    #[must_use]
    pub fn fits(&self, tenant: &str) -> bool {
        let bytes = tenant.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return false;
        };
        if bytes.len() > TENANT_BYTES_MAX {
            return false;
        }
        match self.kind {
            // Hosts are the same in any case, and an issuer that spells its own in two ways would be two tenants.
            Kind::Label => {
                let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                plain(first) && plain(last) && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
            }
            // No percent signs, so nothing can be spelled in two ways; no dots at the ends or in a row, so nothing
            // climbs out of its place when a URL is made of it.
            Kind::Segment => {
                first.is_ascii_alphanumeric()
                    && last.is_ascii_alphanumeric()
                    && bytes
                        .iter()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
                    && !tenant.contains("..")
            }
        }
    }

    /// Whether the hole is a part of the host.
    #[must_use]
    pub fn fills_host(&self) -> bool {
        self.kind == Kind::Label
    }

    /// The `iss` of a tenant.
    #[must_use]
    pub fn iss_of(&self, tenant: &str) -> String {
        format!("{}{tenant}{}", self.prefix, self.suffix)
    }

    /// Whether some `iss` would fit both: then neither could say whose it is.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = if self.prefix.len() <= other.prefix.len() {
            (self, other)
        } else {
            (other, self)
        };
        let Some(between) = other.prefix.strip_prefix(&*one.prefix) else {
            return false;
        };
        let end = match one.kind {
            Kind::Segment => '/',
            Kind::Label => '.',
        };
        let Some(hole) = between.find(end) else {
            // Both holes begin at the same place, and each ends at what may not be in it.
            return between.is_empty() && one.suffix == other.suffix;
        };
        // What fills the first hole is known; the rest of the other must then fit the first's end.
        let (filled, rest) = between.split_at(hole);
        let tail = one
            .suffix
            .strip_prefix(rest)
            .and_then(|tail| tail.strip_suffix(&*other.suffix));
        one.fits(filled) && tail.is_some_and(|tail| other.fits(tail))
    }
}

impl std::fmt::Display for IssTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{HOLE}{}", self.prefix, self.suffix)
    }
}

/// Fills the hole of anything that follows from a template: its tenant's name, the address of its keys.
#[must_use]
pub fn fill(pattern: &str, tenant: &str) -> String {
    pattern.replace(HOLE, tenant)
}

/// Whether two patterns of tenants' names could give one name to two tenants. Whether what fills the hole is a segment or
/// a label does not matter: labels are segments.
#[must_use]
pub fn names_meet(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (one.split_once(HOLE), other.split_once(HOLE)) else {
        return one == other;
    };
    // What one has more of must be what the other's hole can be filled with.
    let fills = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let before = one
        .0
        .strip_prefix(other.0)
        .or_else(|| other.0.strip_prefix(one.0));
    let after = one
        .1
        .strip_suffix(other.1)
        .or_else(|| other.1.strip_suffix(one.1));
    before.is_some_and(fills) && after.is_some_and(fills)
}

/// What fills the hole of a pattern, the other way round.
pub(super) fn filled_by<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (prefix, suffix) = pattern.split_once(HOLE)?;
    name.strip_prefix(prefix)?.strip_suffix(suffix)
}

#[cfg(test)]
mod tests {
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
            "", ".", "..", "a..b", "-a", "a-", "_a", "a/b", "a%2fb", "a b", "ä", "a\0", "a?x",
            "a#x", "a:b", "a@b", "{tenant}", &long,
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
}
