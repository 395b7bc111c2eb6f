//! What a key is made of (RFC 7518 §6, RFC 8037 §2): strict octets of the exact lengths.

use crate::crypto::Scheme;
use crate::encoding::base64url;
use crate::encoding::json::Object;
use zeroize::Zeroizing;

/// An elliptic curve for ECDSA (RFC 7518 §6.2.1.1, RFC 8812 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the registered names are the documentation")]
pub enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
}

/// Octets that are erased when dropped.
pub(super) type Secret = Zeroizing<Vec<u8>>;

pub(super) enum Material {
    Rsa(Rsa),
    Ec(Ec),
    Ed25519 {
        x: [u8; 32],
        d: Option<Secret>,
    },
    /// For agreement only (RFC 8037 §3.2).
    X25519 {
        x: [u8; 32],
        d: Option<Secret>,
    },
    Oct {
        k: Secret,
    },
}

pub(super) struct Rsa {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
    pub(super) private: Option<RsaPrivate>,
}

pub(super) struct RsaPrivate {
    pub(super) d: Secret,
    /// `p`, `q`, `dp`, `dq`, `qi`: all or none (RFC 7518 §6.3.2).
    pub(super) crt: Option<[Secret; 5]>,
}

pub(super) struct Ec {
    pub(super) curve: Curve,
    pub(super) x: Vec<u8>,
    pub(super) y: Vec<u8>,
    pub(super) d: Option<Secret>,
}

impl Curve {
    /// Every curve.
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::P521, Self::Secp256k1];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Secp256k1 => "secp256k1",
        }
    }

    /// Octets of a coordinate, and of a private key.
    #[must_use]
    pub const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 | Self::Secp256k1 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    const fn bits(self) -> usize {
        match self {
            Self::P256 | Self::Secp256k1 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }
}

/// A material member's name and its value in base64url.
type Members = Vec<(&'static str, Zeroizing<String>)>;

/// Names of the CRT parameters, in the order of [`RsaPrivate::crt`].
const CRT_NAMES: [&str; 5] = ["p", "q", "dp", "dq", "qi"];

impl Material {
    pub(super) fn from_object(object: &Object<'_>) -> Result<Self, &'static str> {
        let kty = object.get("kty").ok_or("kty is missing")?;
        match &*kty.as_str().ok_or("kty is not a string")? {
            "RSA" => Rsa::from_object(object).map(Self::Rsa),
            "EC" => Ec::from_object(object).map(Self::Ec),
            "OKP" => okp(object),
            "oct" => oct(object),
            _ => Err("the key type is unknown"),
        }
    }

    pub(super) fn kty(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RSA",
            Self::Ec(_) => "EC",
            Self::Ed25519 { .. } | Self::X25519 { .. } => "OKP",
            Self::Oct { .. } => "oct",
        }
    }

    pub(super) fn crv(&self) -> Option<&'static str> {
        match self {
            Self::Ec(ec) => Some(ec.curve.name()),
            Self::Ed25519 { .. } => Some("Ed25519"),
            Self::X25519 { .. } => Some("X25519"),
            Self::Rsa(_) | Self::Oct { .. } => None,
        }
    }

    pub(super) fn bits(&self) -> usize {
        match self {
            Self::Rsa(rsa) => {
                let leading = rsa
                    .n
                    .first()
                    .map_or(0, |octet| octet.leading_zeros() as usize);
                rsa.n.len() * 8 - leading
            }
            Self::Ec(ec) => ec.curve.bits(),
            Self::Ed25519 { .. } | Self::X25519 { .. } => 255,
            Self::Oct { k } => k.len() * 8,
        }
    }

    pub(super) fn is_private(&self) -> bool {
        match self {
            Self::Rsa(rsa) => rsa.private.is_some(),
            Self::Ec(ec) => ec.d.is_some(),
            Self::Ed25519 { d, .. } | Self::X25519 { d, .. } => d.is_some(),
            Self::Oct { .. } => true,
        }
    }

    pub(super) fn schemes(&self) -> &'static [Scheme] {
        match self {
            Self::Rsa(_) => &[
                Scheme::RsaPkcs1Sha256,
                Scheme::RsaPkcs1Sha384,
                Scheme::RsaPkcs1Sha512,
                Scheme::RsaPssSha256,
                Scheme::RsaPssSha384,
                Scheme::RsaPssSha512,
            ],
            Self::Ec(ec) => match ec.curve {
                Curve::P256 => &[Scheme::EcdsaP256Sha256],
                Curve::P384 => &[Scheme::EcdsaP384Sha384],
                Curve::P521 => &[Scheme::EcdsaP521Sha512],
                Curve::Secp256k1 => &[Scheme::EcdsaSecp256k1Sha256],
            },
            Self::Ed25519 { .. } => &[Scheme::Ed25519],
            Self::X25519 { .. } => &[],
            Self::Oct { .. } => &[Scheme::HmacSha256, Scheme::HmacSha384, Scheme::HmacSha512],
        }
    }

    /// The members of RFC 7638 §3.2 in lexicographic order.
    pub(super) fn canonical_json(&self) -> Zeroizing<String> {
        let mut members = match self {
            Self::Oct { k } => vec![("k", encoded(k))],
            _ => self.public_members().unwrap_or_default(),
        };
        members.push(("kty", Zeroizing::new(self.kty().to_owned())));
        members.sort_unstable_by_key(|(name, _)| *name);
        let mut json = Zeroizing::new(String::with_capacity(2048));
        let mut before = "{\"";
        for (name, value) in &members {
            for part in [before, name, "\":\"", value] {
                json.push_str(part);
            }
            before = "\",\"";
        }
        json.push_str("\"}");
        json
    }

    /// The public members besides `kty`; `None` for a secret, which has none.
    pub(super) fn public_members(&self) -> Option<Members> {
        let crv = |name: &str| ("crv", Zeroizing::new(name.to_owned()));
        Some(match self {
            Self::Rsa(rsa) => vec![("n", encoded(&rsa.n)), ("e", encoded(&rsa.e))],
            Self::Ec(ec) => vec![
                crv(ec.curve.name()),
                ("x", encoded(&ec.x)),
                ("y", encoded(&ec.y)),
            ],
            Self::Ed25519 { x, .. } => vec![crv("Ed25519"), ("x", encoded(x))],
            Self::X25519 { x, .. } => vec![crv("X25519"), ("x", encoded(x))],
            Self::Oct { .. } => return None,
        })
    }

    /// The private members alone; `None` for a public key.
    pub(super) fn private_members(&self) -> Option<Members> {
        let mut members = Members::new();
        match self {
            Self::Rsa(rsa) => {
                let private = rsa.private.as_ref()?;
                members.push(("d", encoded(&private.d)));
                let crt = private.crt.iter().flatten();
                members.extend(CRT_NAMES.into_iter().zip(crt.map(|value| encoded(value))));
            }
            Self::Ec(Ec { d, .. }) | Self::Ed25519 { d, .. } | Self::X25519 { d, .. } => {
                members.push(("d", encoded(d.as_ref()?)));
            }
            Self::Oct { k } => members.push(("k", encoded(k))),
        }
        Some(members)
    }
}

impl Rsa {
    fn from_object(object: &Object<'_>) -> Result<Self, &'static str> {
        let n = unsigned(object, "n")?.ok_or("n is missing")?;
        let e = unsigned(object, "e")?.ok_or("e is missing")?;
        if object.get("oth").is_some() {
            return Err("RSA keys of more than two primes are not supported");
        }
        let mut crt = Vec::with_capacity(CRT_NAMES.len());
        for name in CRT_NAMES {
            crt.extend(unsigned(object, name)?);
        }
        let crt = match crt.len() {
            0 => None,
            // RFC 7518 §6.3.2: if the producer includes any of the other private key parameters, then all
            // of the others MUST be present.
            _ => Some(
                <[Secret; 5]>::try_from(crt).map_err(|_| "some of p, q, dp, dq, qi are missing")?,
            ),
        };
        let private = match (unsigned(object, "d")?, crt) {
            (Some(d), crt) => Some(RsaPrivate { d, crt }),
            (None, None) => None,
            (None, Some(_)) => return Err("d is missing beside the other private members"),
        };
        Ok(Self {
            n: n.to_vec(),
            e: e.to_vec(),
            private,
        })
    }
}

impl Ec {
    fn from_object(object: &Object<'_>) -> Result<Self, &'static str> {
        let crv = object.get("crv").ok_or("crv is missing")?;
        let crv = crv.as_str().ok_or("crv is not a string")?;
        let curve = Curve::ALL.into_iter().find(|curve| curve.name() == crv);
        let curve = curve.ok_or("the curve is not one for signatures that jotd verifies")?;
        // RFC 7518 §6.2.1.2: the length of this octet string MUST be the full size of a coordinate.
        let full_size = |name| match octets(object, name)? {
            Some(value) if value.len() != curve.coordinate_bytes() => {
                Err("a member's length is not the curve's")
            }
            value => Ok(value),
        };
        Ok(Self {
            curve,
            x: full_size("x")?.ok_or("x is missing")?.to_vec(),
            y: full_size("y")?.ok_or("y is missing")?.to_vec(),
            d: full_size("d")?,
        })
    }
}

fn okp(object: &Object<'_>) -> Result<Material, &'static str> {
    let crv = object.get("crv").ok_or("crv is missing")?;
    let for_agreement = match &*crv.as_str().ok_or("crv is not a string")? {
        "Ed25519" => false,
        "X25519" => true,
        _ => return Err("the curve is not one for signatures that jotd verifies"),
    };
    let x = octets(object, "x")?.ok_or("x is missing")?;
    let d = octets(object, "d")?;
    if d.as_ref().is_some_and(|d| d.len() != 32) {
        return Err("a member's length is not the curve's");
    }
    let x = <[u8; 32]>::try_from(&**x).map_err(|_| "a member's length is not the curve's")?;
    Ok(match for_agreement {
        true => Material::X25519 { x, d },
        false => Material::Ed25519 { x, d },
    })
}

fn oct(object: &Object<'_>) -> Result<Material, &'static str> {
    let k = octets(object, "k")?.ok_or("k is missing")?;
    if k.is_empty() {
        return Err("the secret is empty");
    }
    Ok(Material::Oct { k })
}

/// A member in strict base64url.
fn octets(object: &Object<'_>, name: &str) -> Result<Option<Secret>, &'static str> {
    let Some(value) = object.get(name) else {
        return Ok(None);
    };
    let text = value.as_str().ok_or("a key member is not a string")?;
    let octets = base64url::decode_vec(text.as_bytes()).map_err(|error| error.rule)?;
    Ok(Some(Zeroizing::new(octets)))
}

/// RFC 7518 §2, Base64urlUInt: big endian in the minimum number of octets.
fn unsigned(object: &Object<'_>, name: &str) -> Result<Option<Secret>, &'static str> {
    let octets = octets(object, name)?;
    match octets.as_deref().map(Vec::as_slice) {
        Some([]) => Err("an RSA member is empty"),
        Some([0, ..]) => Err("an RSA member begins with a zero octet"),
        _ => Ok(octets),
    }
}

fn encoded(octets: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(base64url::encode_string(octets))
}

/// Whether a secret is a key's text or DER. Everyone knows a public key, so as an HMAC secret it would let
/// everyone forge (RFC 8725 §2.1, CVE-2015-9235).
pub(super) fn is_text_of_a_key(secret: &[u8]) -> bool {
    let text = secret.trim_ascii_start();
    let holds = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    holds(b"-----BEGIN ")
        || text.starts_with(b"ssh-")
        || text.starts_with(b"ecdsa-sha2-")
        || (text.starts_with(b"{") && holds(b"\"kty\""))
        || spki::SubjectPublicKeyInfoRef::try_from(secret).is_ok()
}
