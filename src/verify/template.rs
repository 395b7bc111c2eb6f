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
mod tests;
