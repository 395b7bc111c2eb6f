//! What is stored and sent of an order: fixed bytes from which nobody can read who was meant.

use super::Members;
use crate::encoding::hex;
use std::fmt;

/// The first bytes of a keyed hash of the tenant's name: whose record it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantTag(pub u32);

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// Whose tokens.
    pub tenant: TenantTag,
    /// Which members the id was made of.
    pub members: Members,
    /// The first bytes of a keyed hash of tenant, names and values.
    pub id: [u8; 16],
}

/// One revocation. Records of one key merge by the greater of each time, and are never taken back: union and
/// maximum forgive repetition, any order of arrival, and loss that is repaired later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Who is meant.
    pub key: RecordKey,
    /// Tokens issued up to this second are revoked, and those that do not say when; [`Record::EVERY`] for all.
    pub before: u32,
    /// No token it concerns has an `exp` after this second; [`Record::FOREVER`] where that is not known.
    pub until: u32,
}

/// Why bytes or text are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Too long or too short.
    #[error("a record has {} bytes and a key {}", Record::BYTES, RecordKey::BYTES)]
    Length,
    /// Not hexadecimal in lower case.
    #[error("a record is written in lower-case hexadecimal")]
    Digit,
    /// A member set with a bit that stands for nothing.
    #[error("a record has a member that is not known")]
    Members,
}

impl RecordKey {
    /// Length: tag, members, id.
    pub const BYTES: usize = 21;

    /// Tag (big endian), members, id.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.tenant.0.to_be_bytes());
        bytes[4] = self.members.bits();
        bytes[5..].copy_from_slice(&self.id);
        bytes
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`RecordError::Members`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, RecordError> {
        let [a, b, c, d, members, id @ ..] = *bytes;
        Ok(Self {
            tenant: TenantTag(u32::from_be_bytes([a, b, c, d])),
            members: Members::from_bits(members).ok_or(RecordError::Members)?,
            id,
        })
    }

    /// [`Self::to_bytes`] in lower-case hexadecimal: 42 digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.to_bytes())
    }

    /// Reads [`Self::to_hex`].
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn from_hex(text: &str) -> Result<Self, RecordError> {
        Self::from_bytes(&from_hex(text)?)
    }
}

impl Record {
    /// Length: key, before, until.
    pub const BYTES: usize = RecordKey::BYTES + 8;

    /// As [`Record::before`]: whenever issued.
    pub const EVERY: u32 = u32::MAX;

    /// As [`Record::until`]: never to be pruned.
    pub const FOREVER: u32 = u32::MAX;

    /// Key, before, until; numbers big endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..RecordKey::BYTES].copy_from_slice(&self.key.to_bytes());
        bytes[RecordKey::BYTES..][..4].copy_from_slice(&self.before.to_be_bytes());
        bytes[RecordKey::BYTES + 4..].copy_from_slice(&self.until.to_be_bytes());
        bytes
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`RecordError::Members`].
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, RecordError> {
        let (key, times) = bytes.split_at(RecordKey::BYTES);
        let (key, times) = (key.try_into(), times.try_into());
        let key: &[u8; RecordKey::BYTES] = key.map_err(|_| RecordError::Length)?;
        let [a, b, c, d, e, f, g, h]: [u8; 8] = times.map_err(|_| RecordError::Length)?;
        Ok(Self {
            key: RecordKey::from_bytes(key)?,
            before: u32::from_be_bytes([a, b, c, d]),
            until: u32::from_be_bytes([e, f, g, h]),
        })
    }

    /// [`Self::to_bytes`] in lower-case hexadecimal: 58 digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.to_bytes())
    }

    /// Reads [`Self::to_hex`].
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn from_hex(text: &str) -> Result<Self, RecordError> {
        Self::from_bytes(&from_hex(text)?)
    }

    /// Both together: the greater of each time.
    #[must_use]
    pub fn merged(&self, before: u32, until: u32) -> Self {
        Self {
            key: self.key,
            before: self.before.max(before),
            until: self.until.max(until),
        }
    }

    /// Whether a token it concerns is revoked by it.
    #[must_use]
    pub fn revokes(&self, issued_at: Option<i64>) -> bool {
        revokes(self.before, issued_at)
    }
}

/// Whether this watermark revokes a token issued then. One that does not say when it was issued is.
pub(super) fn revokes(before: u32, issued_at: Option<i64>) -> bool {
    before == Record::EVERY || issued_at.is_none_or(|issued_at| issued_at <= i64::from(before))
}

/// Key and times as they are stored.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// Lower case only: one record, one spelling.
pub(super) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], RecordError> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return Err(RecordError::Length);
    };
    if pairs.len() != N {
        return Err(RecordError::Length);
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(bytes)
}

fn digit(digit: u8) -> Result<u8, RecordError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(RecordError::Digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::Member;

    fn record() -> Record {
        Record {
            key: RecordKey {
                tenant: TenantTag(0x0102_0304),
                members: Members::NONE.with(Member::TokenId),
                id: *b"0123456789abcdef",
            },
            before: Record::EVERY,
            until: 0x6000_0001,
        }
    }

    #[test]
    fn a_record_is_written_as_the_page_says() {
        let text = "010203040230313233343536373839616263646566ffffffff60000001";
        assert_eq!(record().to_hex(), text);
        assert_eq!(Record::from_hex(text), Ok(record()));
        assert_eq!(record().key.to_hex(), text[..42]);
        assert_eq!(RecordKey::from_hex(&text[..42]), Ok(record().key));
    }

    #[test]
    fn what_is_no_record_is_told_apart() {
        let text = record().to_hex();
        let cases = [
            (&text[..56], RecordError::Length),
            (&text[..57], RecordError::Length),
            (&text.to_uppercase(), RecordError::Digit),
            (&text.replacen("02303", "82303", 1), RecordError::Members),
        ];
        for (text, error) in cases {
            assert_eq!(Record::from_hex(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_watermark_takes_the_second_it_names_and_tokens_that_name_none() {
        let cases = [
            (1_000, Some(1_000), true),
            (1_000, Some(1_001), false),
            (1_000, None, true),
            (0, None, true),
            (0, Some(-5), true),
            (Record::EVERY, Some(i64::MAX), true),
            (Record::EVERY - 1, Some(i64::from(u32::MAX)), false),
        ];
        for (before, issued_at, revoked) in cases {
            let record = Record { before, ..record() };
            assert_eq!(record.revokes(issued_at), revoked, "{before} {issued_at:?}");
        }
    }
}
