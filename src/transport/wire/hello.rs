//! The hello: who speaks, in which version, and within which limits.
#![forbid(unsafe_code)]

use super::bytes::{array_at, u16_at, u32_at, u64_at};
use super::{Fault, FaultCode};

/// The first eight bytes in each direction. The first is no ASCII, so no HTTP begins like this; the rest
/// shows up a channel that changes line ends.
pub const MAGIC: [u8; 8] = *b"\x89JOTD\r\n\x1a";

/// The version this code speaks.
pub const VERSION: u8 = 1;

/// Bytes of this version's hello.
pub const HELLO_BYTES: usize = 32;

/// Longest hello of any version: a later one may add fields at its end.
pub const HELLO_BYTES_MAX: usize = 256;

/// Read-your-revocation: a VERIFY frame may carry a `min_revision`.
pub const FEATURE_MIN_REVISION: u64 = 1;

/// The features this daemon has.
pub const FEATURES: u64 = FEATURE_MIN_REVISION;

/// A hello. A client's says what it wishes, with 0 for "as the daemon likes"; the daemon's answer says
/// what holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol's version: a client's highest, the daemon's answer the one that both speak.
    pub version: u8,
    /// Largest frame that the sender of this hello takes, in bytes after the prefix.
    pub frame_bytes_max: u32,
    /// Most tokens in a VERIFY frame.
    pub frame_tokens_max: u32,
    /// Most requests in flight.
    pub credits: u32,
    /// Feature bits: wished, or granted.
    pub features: u64,
}

impl Hello {
    /// A client without wishes.
    pub const CLIENT: Self = Self {
        version: VERSION,
        frame_bytes_max: 0,
        frame_tokens_max: 0,
        credits: 0,
        features: 0,
    };

    /// The daemon's answer, given its own limits (`self`) and a client's wishes.
    #[must_use]
    pub fn agree(self, wished: Self) -> Self {
        let least = |own: u32, wish: u32| if wish == 0 { own } else { own.min(wish) };
        Self {
            version: self.version.min(wished.version),
            frame_bytes_max: self.frame_bytes_max,
            frame_tokens_max: least(self.frame_tokens_max, wished.frame_tokens_max),
            credits: least(self.credits, wished.credits),
            features: self.features & wished.features,
        }
    }

    /// Appends the hello.
    pub fn encode(&self, out: &mut Vec<u8>) {
        const LENGTH: u16 = HELLO_BYTES as u16;
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[self.version, 0]);
        out.extend_from_slice(&LENGTH.to_le_bytes());
        out.extend_from_slice(&self.frame_bytes_max.to_le_bytes());
        out.extend_from_slice(&self.frame_tokens_max.to_le_bytes());
        out.extend_from_slice(&self.credits.to_le_bytes());
        out.extend_from_slice(&self.features.to_le_bytes());
    }

    /// Reads the hello at the front of `stream` and says how many bytes it took; `None` while more are
    /// needed.
    ///
    /// # Errors
    /// [`FaultCode::BadHello`] at the first byte that is wrong, [`FaultCode::UnsupportedVersion`] for
    /// version 0.
    pub fn decode(stream: &[u8]) -> Result<Option<(Self, usize)>, Fault> {
        let bad = Fault::of_connection(FaultCode::BadHello);
        if stream.iter().zip(&MAGIC).any(|(byte, magic)| byte != magic) {
            return Err(bad);
        }
        let (Some([version, reserved]), Some(length)) = (array_at(stream, 8), u16_at(stream, 10))
        else {
            return Ok(None);
        };
        if version == 0 {
            return Err(Fault::of_connection(FaultCode::UnsupportedVersion));
        }
        let length = usize::from(length);
        // A later version may know better what the reserved byte and the longer hello mean.
        let known = version > VERSION || (reserved == 0 && length == HELLO_BYTES);
        if !known || !(HELLO_BYTES..=HELLO_BYTES_MAX).contains(&length) {
            return Err(bad);
        }
        if stream.len() < length {
            return Ok(None);
        }
        let field = |at| u32_at(stream, at).ok_or(bad);
        let hello = Self {
            version,
            frame_bytes_max: field(12)?,
            frame_tokens_max: field(16)?,
            credits: field(20)?,
            features: u64_at(stream, 24).ok_or(bad)?,
        };
        Ok(Some((hello, length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Hello = Hello {
        version: 1,
        frame_bytes_max: 4096,
        frame_tokens_max: 64,
        credits: 8,
        features: 0b01,
    };

    #[test]
    fn the_lesser_limit_holds_and_zero_is_no_wish() {
        assert_eq!(
            OWN.agree(Hello::CLIENT),
            Hello { features: 0, ..OWN },
            "features are granted only where wished"
        );
        let modest = Hello {
            version: 9,
            frame_bytes_max: 100,
            frame_tokens_max: 1,
            credits: 100,
            features: 0b11,
        };
        let agreed = OWN.agree(modest);
        assert_eq!((agreed.version, agreed.frame_tokens_max), (1, 1));
        assert_eq!((agreed.credits, agreed.features), (8, 0b01));
        assert_eq!(
            agreed.frame_bytes_max, 4096,
            "what the daemon takes does not depend on what the client takes"
        );
    }

    #[test]
    fn a_hello_is_refused_at_its_first_wrong_byte() {
        let mut bytes = Vec::new();
        OWN.encode(&mut bytes);
        for at in 0..12 {
            let mut wrong = bytes[..=at].to_vec();
            wrong[at] ^= 0x80;
            // Byte 8 is the version, of which a higher one is welcome; half a length says nothing yet.
            let code = Hello::decode(&wrong).map_err(|fault| fault.code);
            match at {
                8..=10 => assert_eq!(code, Ok(None), "{at}"),
                _ => assert_eq!(code, Err(FaultCode::BadHello), "{at}"),
            }
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let mut bytes = Vec::new();
        OWN.encode(&mut bytes);
        bytes[8] = 2;
        bytes[10] = 40;
        assert_eq!(Hello::decode(&bytes), Ok(None), "eight bytes are missing");
        bytes.extend_from_slice(&[0xaa; 9]);
        let later = Hello { version: 2, ..OWN };
        assert_eq!(Hello::decode(&bytes), Ok(Some((later, 40))));
        bytes[8] = 0;
        assert_eq!(
            Hello::decode(&bytes)
                .expect_err("there is no version 0")
                .code,
            FaultCode::UnsupportedVersion
        );
    }
}
