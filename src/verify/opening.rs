//! Opens encrypted tokens (RFC 7516): from five segments to the signed token inside, which is then verified like any
//! other. Encryption vouches for nobody: whoever has a public key can encrypt to it.
//!
//! A JWE names no issuer that could be believed before it is open, so the key is found among those of all issuers, and
//! afterwards the issuer inside must be one that holds this key, on terms that allow what was done. It refuses a second
//! layer, and contents that are no token.

use super::{Records, refusal};
use crate::crypto::encryption::{
    ContentEncryption, DecryptionKey, KeyManagement, NotDecrypted, Sealed,
};
use crate::jose::{CompactJwe, JoseError, JweHeader};
use crate::keys::{Decryption, DecryptionSlot};
use crate::limits::KEY_CANDIDATES_MAX;
use crate::verdict::Refusal;
use hashbrown::{HashMap, HashSet};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the token inside may cost to verify, in nanoseconds: which algorithm it has cannot be seen from outside.
const INNER_COST_NS: u64 = 100_000;

/// The decryption keys of a snapshot's issuers.
pub(super) struct Openings {
    /// Whose they are, in their order.
    terms: Vec<(Arc<str>, Arc<Decryption>)>,
    keys: Vec<Holding>,
    by_kid: HashMap<Arc<str>, Vec<usize>>,
    without_kid: Vec<usize>,
}

/// A key, and the issuers that hold it.
struct Holding {
    slot: Arc<DecryptionSlot>,
    holders: HashMap<Arc<str>, Arc<Decryption>>,
}

/// An encrypted token, opened.
pub(super) struct Opened<'r> {
    /// The signed token that was inside, not verified yet.
    pub(super) token: Zeroizing<Vec<u8>>,
    holding: &'r Holding,
    enc: ContentEncryption,
    zip: bool,
}

/// More decryption keys of one name than are tried for a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {KEY_CANDIDATES_MAX} decryption keys have {}, and a token picks one by that", named(.0))]
pub struct SameName(pub Arc<str>);

fn named(kid: &str) -> String {
    match kid {
        "" => "no name at all".to_owned(),
        kid => format!("the name \"{}\"", kid.escape_debug()),
    }
}

impl Records {
    /// The same snapshot, with tokens of these issuers, by their configured names, accepted encrypted too. It belongs to
    /// the making of a snapshot, before anything is verified by it.
    #[must_use]
    pub fn decrypting(
        mut self,
        issuers: impl IntoIterator<Item = (Arc<str>, Arc<Decryption>)>,
    ) -> Self {
        let openings = Openings::of(issuers.into_iter().collect());
        self.openings = (!openings.keys.is_empty()).then(|| Arc::new(openings));
        self
    }

    /// The keys that an issuer's tokens may be encrypted to, by its configured name.
    #[must_use]
    pub fn decryption_of(&self, issuer: &str) -> Option<&Arc<Decryption>> {
        let mut terms = self.openings.as_deref()?.terms.iter();
        let (_, decryption) = terms.find(|(name, _)| **name == *issuer)?;
        Some(decryption)
    }

    /// The same snapshot with other keys for an issuer's encrypted tokens. What was verified of it has to be verified
    /// again, for a key may be gone; other issuers, and their cached verdicts, stay as they are.
    ///
    /// # Errors
    /// [`SameName`] where tokens could not tell by `kid` which of too many keys they are encrypted to.
    pub fn with_decryption(
        &self,
        issuer: &str,
        decryption: Arc<Decryption>,
    ) -> Result<Self, SameName> {
        let openings = self.openings.as_deref();
        let mut terms = openings.map_or_else(Vec::new, |openings| openings.terms.clone());
        match terms.iter_mut().find(|(name, _)| **name == *issuer) {
            Some((_, known)) => *known = decryption,
            None => terms.push((issuer.into(), decryption)),
        }
        let openings = Openings::of(terms);
        openings.names_suffice()?;
        let mut records = self.clone();
        records.openings = (!openings.keys.is_empty()).then(|| Arc::new(openings));
        records.renew(|entry| *entry.issuer.name == *issuer);
        Ok(records)
    }

    /// Whether this token is encrypted, and any issuer accepts that.
    #[inline]
    pub(super) fn opens(&self, token: &[u8]) -> bool {
        self.openings.is_some() && CompactJwe::is_one(token)
    }

    /// Opens an encrypted token.
    pub(super) fn open(&self, token: &[u8]) -> Result<Opened<'_>, Refusal> {
        let not_asked_for = || Refusal::Malformed("encrypted tokens are not accepted here");
        let openings = self.openings.as_deref().ok_or_else(not_asked_for)?;
        let jwe = CompactJwe::parse(token, self.token_bytes_max()).map_err(refusal)?;
        let header = JweHeader::parse_segment(jwe.header_segment()).map_err(refusal)?;
        let parts = jwe.decode().map_err(refusal)?;
        //= https://www.rfc-editor.org/rfc/rfc7516#section-5.2
        //# verify that the JWE Encrypted Key value is an empty octet sequence
        if header.alg.sends_no_key() != parts.encrypted_key.is_empty() {
            return Err(Refusal::Malformed(
                "the encrypted key is there where alg sends none, or is missing",
            ));
        }
        if !header.content_is_jwt() {
            return Err(Refusal::Malformed(
                "the header's cty is not JWT: only a signed token may be encrypted",
            ));
        }
        let candidates = openings.candidates(&header)?;
        let sealed = Sealed {
            aad: jwe.header_segment(),
            encrypted_key: &parts.encrypted_key,
            iv: &parts.iv,
            ciphertext: &parts.ciphertext,
            tag: &parts.tag,
            ephemeral: header.epk.as_ref(),
            party_u: &header.apu,
            party_v: &header.apv,
        };
        let mut opened = Err(NotDecrypted);
        for holding in candidates {
            opened = holding
                .slot
                .key
                .open(header.enc, &sealed)
                .map(|token| (holding, token));
            if opened.is_ok() {
                break;
            }
        }
        let (holding, mut token) = opened.map_err(|NotDecrypted| Refusal::DecryptFailed)?;
        if header.zip {
            token = inflate(&token, holding.zip_bytes_max())?;
        }
        Ok(Opened {
            token,
            holding,
            enc: header.enc,
            zip: header.zip,
        })
    }

    /// The signed token of an encrypted one, or a signed token as it is.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn signed_token(&self, token: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        if self.opens(token) {
            return self.open(token).map(|opened| opened.token);
        }
        Ok(Zeroizing::new(token.to_vec()))
    }

    /// The public halves of decryption keys, of one tenant's issuers or of all.
    pub(super) fn public_encryption_keys(&self, tenant: Option<&str>) -> Vec<&str> {
        let Some(openings) = &self.openings else {
            return Vec::new();
        };
        let of_tenant: HashSet<&str> = self
            .verifying()
            .filter(|issuer| tenant.is_none_or(|tenant| *issuer.tenant == *tenant))
            .map(|issuer| &*issuer.name)
            .collect();
        let is_held = |holding: &&Holding| {
            let mut holders = holding.holders.keys();
            holders.any(|issuer| of_tenant.contains(&**issuer))
        };
        let held = openings.keys.iter().filter(is_held);
        held.filter_map(|holding| holding.slot.public_jwk.as_deref())
            .collect()
    }
}

impl Openings {
    fn of(terms: Vec<(Arc<str>, Arc<Decryption>)>) -> Self {
        let mut openings = Self {
            terms: Vec::new(),
            keys: Vec::new(),
            by_kid: HashMap::new(),
            without_kid: Vec::new(),
        };
        let mut known = HashMap::new();
        for (issuer, decryption) in &terms {
            for slot in &decryption.keys {
                let number = *known.entry(slot.id()).or_insert_with(|| openings.add(slot));
                if let Some(holding) = openings.keys.get_mut(number) {
                    // A key may be held under several names.
                    openings
                        .by_kid
                        .entry(Arc::clone(&slot.kid))
                        .or_default()
                        .push(number);
                    holding
                        .holders
                        .insert(Arc::clone(issuer), Arc::clone(decryption));
                }
            }
        }
        for numbers in openings.by_kid.values_mut() {
            numbers.sort_unstable();
            numbers.dedup();
        }
        openings.terms = terms;
        openings
    }

    /// A token says by `kid` alone which key it is encrypted to: its issuer is only seen once it is open.
    fn names_suffice(&self) -> Result<(), SameName> {
        let mut names = self.by_kid.iter();
        match names.find(|(_, numbers)| numbers.len() > KEY_CANDIDATES_MAX) {
            Some((kid, _)) => Err(SameName(Arc::clone(kid))),
            None => Ok(()),
        }
    }

    fn add(&mut self, slot: &Arc<DecryptionSlot>) -> usize {
        let number = self.keys.len();
        self.keys.push(Holding {
            slot: Arc::clone(slot),
            holders: HashMap::new(),
        });
        if !slot.is_named {
            self.without_kid.push(number);
        }
        number
    }

    /// The keys that the token may be encrypted to: as with signatures, a `kid` picks, and keys that have none of their
    /// own fit any.
    fn candidates(&self, header: &JweHeader) -> Result<Vec<&Holding>, Refusal> {
        let every: Vec<usize>;
        let numbers = match &header.kid {
            None => {
                every = (0..self.keys.len()).collect();
                &every
            }
            Some(kid) => self.by_kid.get(kid).unwrap_or(&self.without_kid),
        };
        if numbers.is_empty() {
            return Err(Refusal::UnknownKid);
        }
        let of = |numbers: &[usize]| -> Vec<&Holding> {
            numbers
                .iter()
                .filter_map(|&number| self.keys.get(number))
                .collect()
        };
        let mut fitting = of(numbers);
        fitting.retain(|holding| holding.slot.key.management() == header.alg);
        if fitting.is_empty() {
            return Err(Refusal::AlgNotAllowed {
                alg: header.alg.name(),
            });
        }
        fitting.retain(|holding| holding.allows(header.enc));
        if fitting.is_empty() {
            return Err(Refusal::AlgNotAllowed {
                alg: header.enc.name(),
            });
        }
        if header.zip {
            fitting.retain(|holding| holding.zip_bytes_max() > 0);
            if fitting.is_empty() {
                return Err(Refusal::Malformed(ZIP_REFUSED));
            }
        }
        if fitting.len() > KEY_CANDIDATES_MAX {
            return Err(Refusal::UnknownKid);
        }
        Ok(fitting)
    }
}

const ZIP_REFUSED: &str = "the header has zip, which is not accepted";

impl Holding {
    fn allows(&self, enc: ContentEncryption) -> bool {
        let key: &DecryptionKey = &self.slot.key;
        key.content().is_none_or(|content| content == enc)
            && self
                .holders
                .values()
                .any(|terms| terms.encodings.contains(&enc))
    }

    fn zip_bytes_max(&self) -> usize {
        let bounds = self.holders.values().map(|terms| terms.zip_bytes_max);
        bounds.max().unwrap_or(0)
    }
}

impl Opened<'_> {
    /// Whether the issuer that the token inside names accepts it in this wrapping.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn admit(&self, issuer: &str) -> Result<(), Refusal> {
        let alg: KeyManagement = self.holding.slot.key.management();
        //= https://www.rfc-editor.org/rfc/rfc8725#section-3.8
        //# the application MUST validate that the cryptographic keys used for the cryptographic
        //# operations in the JWT belong to the issuer
        let terms = self.holding.holders.get(issuer);
        let terms = terms.ok_or(Refusal::AlgNotAllowed { alg: alg.name() })?;
        if !terms.encodings.contains(&self.enc) {
            return Err(Refusal::AlgNotAllowed {
                alg: self.enc.name(),
            });
        }
        match (self.zip, terms.zip_bytes_max) {
            (true, 0) => Err(Refusal::Malformed(ZIP_REFUSED)),
            (true, max) if self.token.len() > max => Err(too_large(max)),
            _ => Ok(()),
        }
    }
}

/// What opening an encrypted token will cost, and verifying what is inside, in nanoseconds of one core. Whatever is
/// wrong with it will be said where it is opened.
pub(super) fn estimate_cost_ns(token: &[u8], token_bytes_max: usize) -> u64 {
    let read = || -> Result<u64, JoseError> {
        let jwe = CompactJwe::parse(token, token_bytes_max)?;
        let header = JweHeader::parse_segment(jwe.header_segment())?;
        let curve = header.epk.as_ref().map(|epk| epk.curve());
        Ok(header
            .alg
            .estimated_cost_ns(curve, jwe.encrypted_key_bytes())
            + INNER_COST_NS)
    };
    500 + token.len() as u64 + read().unwrap_or(0)
}

fn too_large(limit_bytes: usize) -> Refusal {
    Refusal::TooLarge {
        what: "decompressed token",
        limit_bytes,
    }
}

/// DEFLATE (RFC 1951) into room that is set aside beforehand, so that what was packed cannot make us take more. The
/// whole of it must be one stream that ends.
fn inflate(packed: &[u8], bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let mut room = Zeroizing::new(vec![0; bytes_max]);
    let mut inflator = Box::new(DecompressorOxide::new());
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, read, written) = decompress(&mut inflator, packed, &mut room, 0, flags);
    match status {
        TINFLStatus::Done if read == packed.len() => {
            room.truncate(written);
            Ok(room)
        }
        TINFLStatus::HasMoreOutput => Err(too_large(bytes_max)),
        _ => Err(Refusal::Malformed(
            "the content is not compressed by DEFLATE",
        )),
    }
}
