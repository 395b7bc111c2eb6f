//! The names of keys in modules (RFC 7512): `pkcs11:token=…;object=…?module-path=…&pin-source=…`.
//!
//! A part of the RFC that is not offered is refused by name, not passed over: an attribute that was ignored would let
//! another key answer. A PIN in the URI is refused, for it would be seen wherever the URI is.

use crate::vault::{SecretSource, VaultError};
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Longest URI, in bytes.
const URI_BYTES_MAX: usize = 2048;

/// Which module, token and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pkcs11Uri {
    pub(super) token: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) slot_id: Option<u64>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    module_path: PathBuf,
    pin_source: Option<SecretSource>,
}

impl Pkcs11Uri {
    /// The key's label (`CKA_LABEL`).
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The key's id (`CKA_ID`).
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// The module's library.
    #[must_use]
    pub fn module_path(&self) -> &Path {
        &self.module_path
    }

    /// Where the PIN is to be had.
    #[must_use]
    pub fn pin_source(&self) -> Option<&SecretSource> {
        self.pin_source.as_ref()
    }

    /// The name of one key of the same token.
    #[must_use]
    pub(super) fn of_key(mut self, label: &str, id: &[u8]) -> Self {
        self.object = Some(label.to_owned());
        self.id = Some(id.to_vec());
        self
    }
}

impl FromStr for Pkcs11Uri {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(VaultError::Uri)
    }
}

fn parse(text: &str) -> Result<Pkcs11Uri, String> {
    if text.len() > URI_BYTES_MAX {
        return Err(format!("is longer than {URI_BYTES_MAX} bytes"));
    }
    let rest = text
        .strip_prefix("pkcs11:")
        .ok_or("does not begin with pkcs11:")?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut uri = Pkcs11Uri::default();
    let mut seen = Vec::new();
    for (attribute, separator) in path
        .split(';')
        .map(|attribute| (attribute, ';'))
        .chain(query.split('&').map(|attribute| (attribute, '&')))
    {
        if attribute.is_empty() {
            continue;
        }
        let (name, value) = attribute
            .split_once('=')
            .ok_or("has an attribute without a value")?;
        // RFC 7512 §2.3: "there MUST NOT be more than one occurrence" of each of these.
        if seen.contains(&name) {
            return Err(format!("says {} twice", name.escape_debug()));
        }
        seen.push(name);
        let octets = decode(value).ok_or_else(|| format!("has a bad %-sequence in {name}"))?;
        let text = || {
            String::from_utf8(octets.clone()).map_err(|_| format!("has a {name} that is not UTF-8"))
        };
        match (separator, name) {
            (';', "token") => uri.token = Some(text()?),
            (';', "manufacturer") => uri.manufacturer = Some(text()?),
            (';', "model") => uri.model = Some(text()?),
            (';', "serial") => uri.serial = Some(text()?),
            (';', "object") => uri.object = Some(text()?),
            (';', "id") => uri.id = Some(octets),
            (';', "slot-id") => {
                let number = text()?.parse();
                uri.slot_id = Some(number.map_err(|_| "has a slot-id that is no number")?);
            }
            (';', "type") if octets == b"private" => {}
            (';', "type") => return Err("names another type of object than private".to_owned()),
            ('&', "module-path") => uri.module_path = text()?.into(),
            ('&', "pin-source") => uri.pin_source = Some(pin_source(&text()?)?),
            ('&', "pin-value") => {
                return Err(
                    "holds the PIN itself, which whoever sees the URI would know; give pin-source, as in \
                     pin-source=file:/etc/jotd/pin, env:NAME or credential:NAME"
                        .to_owned(),
                );
            }
            _ => return Err(format!("has {}, which is not offered", name.escape_debug())),
        }
    }
    if !uri.module_path.is_absolute() {
        return Err(
            "does not say where the module's library is; add ?module-path=/…/lib….so".to_owned(),
        );
    }
    Ok(uri)
}

/// RFC 7512 §2.4 has a `file:` URI there, or a command to be run, which we do not.
fn pin_source(text: &str) -> Result<SecretSource, String> {
    if text.starts_with('|') {
        return Err("would run a command for the PIN, which is not offered".to_owned());
    }
    let text = text.strip_prefix("file://").unwrap_or(text);
    text.parse()
        .map_err(|why| format!("has a pin-source that cannot be: it {why}"))
}

/// RFC 3986 §2.1.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            octets.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let octet = digit(rest.next())? * 16 + digit(rest.next())?;
        octets.push(u8::try_from(octet).ok()?);
    }
    Some(octets)
}

impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pkcs11:")?;
        let slot_id = self.slot_id.map(|id| id.to_string());
        let attributes = [
            ("token", self.token.as_deref().map(str::as_bytes)),
            (
                "manufacturer",
                self.manufacturer.as_deref().map(str::as_bytes),
            ),
            ("model", self.model.as_deref().map(str::as_bytes)),
            ("serial", self.serial.as_deref().map(str::as_bytes)),
            ("slot-id", slot_id.as_deref().map(str::as_bytes)),
            ("object", self.object.as_deref().map(str::as_bytes)),
            ("id", self.id.as_deref()),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                write!(f, "{name}={};", Encoded(value, name == "id"))?;
            }
        }
        f.write_str("type=private?module-path=")?;
        let path = self.module_path.display().to_string();
        write!(f, "{}", Encoded(path.as_bytes(), false))?;
        if let Some(source) = &self.pin_source {
            let source = source.to_string();
            write!(f, "&pin-source={}", Encoded(source.as_bytes(), false))?;
        }
        Ok(())
    }
}

/// %-encoded: all of it, or what is not plain.
struct Encoded<'o>(&'o [u8], bool);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(octets, all) = self;
        for octet in *octets {
            let is_plain = octet.is_ascii_alphanumeric() || b"-._~/:".contains(octet);
            if is_plain && !all {
                f.write_char(char::from(*octet))?;
            } else {
                write!(f, "%{octet:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_read_and_written() {
        let text = "pkcs11:token=The%20Software;slot-id=7;serial=12ab;object=k%3B1;id=%00%FF;type=private\
                    ?pin-source=file:/etc/pin&module-path=/usr/lib/softhsm/libsofthsm2.so";
        let uri: Pkcs11Uri = text.parse().expect("good");
        assert_eq!(uri.token.as_deref(), Some("The Software"));
        assert_eq!(uri.slot_id, Some(7));
        assert_eq!(uri.object(), Some("k;1"));
        assert_eq!(uri.id(), Some(&[0, 255][..]));
        assert_eq!(
            uri.module_path(),
            Path::new("/usr/lib/softhsm/libsofthsm2.so")
        );
        let source = uri.pin_source().expect("given");
        assert_eq!(*source, SecretSource::File("/etc/pin".into()));
        assert_eq!(uri.to_string().parse::<Pkcs11Uri>().expect("its own"), uri);
        let credential = "pkcs11:token=t?module-path=/m.so&pin-source=credential:pin";
        let uri: Pkcs11Uri = credential.parse().expect("good");
        assert_eq!(uri.to_string().parse::<Pkcs11Uri>().expect("its own"), uri);
        for file in ["file:///etc/pin", "file:/etc/pin", "/etc/pin"] {
            let uri = format!("pkcs11:token=t?module-path=/m.so&pin-source={file}");
            let uri: Pkcs11Uri = uri.parse().expect("good");
            assert_eq!(
                uri.pin_source(),
                Some(&SecretSource::File("/etc/pin".into()))
            );
        }
    }

    #[test]
    fn what_is_not_offered_is_refused_and_a_pin_not_repeated() {
        for (text, what) in [
            ("http://x", "pkcs11:"),
            ("pkcs11:token=t", "module-path"),
            ("pkcs11:token=t?module-path=m.so", "module-path"),
            ("pkcs11:token=a;token=b?module-path=/m.so", "twice"),
            ("pkcs11:token?module-path=/m.so", "without a value"),
            ("pkcs11:token=%zz?module-path=/m.so", "%-sequence"),
            ("pkcs11:token=%4?module-path=/m.so", "%-sequence"),
            ("pkcs11:token=%ff?module-path=/m.so", "not UTF-8"),
            ("pkcs11:slot-id=x?module-path=/m.so", "no number"),
            ("pkcs11:type=cert?module-path=/m.so", "another type"),
            ("pkcs11:x-vendor=1?module-path=/m.so", "not offered"),
            ("pkcs11:library-version=3?module-path=/m.so", "not offered"),
            (
                "pkcs11:token=t?module-path=/m.so&pin-source=|cat",
                "command",
            ),
            (
                "pkcs11:token=t?module-path=/m.so&pin-value=4711",
                "pin-source",
            ),
            (
                "pkcs11:token=t;pin-value=4711?module-path=/m.so",
                "not offered",
            ),
        ] {
            let said = text.parse::<Pkcs11Uri>().expect_err(text).to_string();
            assert!(
                said.contains(what) && !said.contains("4711"),
                "{text}: {said}"
            );
        }
    }
}
