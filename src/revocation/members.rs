//! What an order may name of a token, and sets of it.

/// Something that tokens have and an order may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Member {
    /// `iss` (RFC 7519 §4.1.1).
    Issuer = 0,
    /// `jti` (RFC 7519 §4.1.7).
    TokenId = 1,
    /// `sub` (RFC 7519 §4.1.2).
    Subject = 2,
    /// `sid`, the session (OpenID Connect Front-Channel Logout §3).
    Session = 3,
    /// `client_id` (RFC 8693 §4.3), or `azp` (OpenID Connect Core §2).
    Client = 4,
    /// `kid` of the key that signed (RFC 7515 §4.1.4).
    KeyId = 5,
    /// SHA-256 of the JWS signing input (RFC 7515 §5.1), for tokens without a `jti`. The signature is not part of
    /// it: ECDSA signatures and base64url can be rewritten and still verify.
    Digest = 6,
}

impl Member {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 7] = [
        Self::Issuer,
        Self::TokenId,
        Self::Subject,
        Self::Session,
        Self::Client,
        Self::KeyId,
        Self::Digest,
    ];

    /// Its name, in orders and in what an id is made of.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "iss",
            Self::TokenId => "jti",
            Self::Subject => "sub",
            Self::Session => "sid",
            Self::Client => "client",
            Self::KeyId => "kid",
            Self::Digest => "digest",
        }
    }

    /// The member of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.name() == name)
    }

    /// Whether it stands for one token, or for one key: then an order revokes whatever has it, whenever issued.
    #[must_use]
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::TokenId | Self::KeyId | Self::Digest)
    }
}

/// A set of members: what an order names, all of which must match. The empty set is the whole tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Members(u8);

impl Members {
    /// The empty set: every token of the tenant.
    pub const NONE: Self = Self(0);

    /// Number of different sets.
    pub const SETS: usize = 128;

    /// The set of these bits, by [`Member`]'s numbers; `None` if there is a bit that stands for nothing.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits < 128 { Some(Self(bits)) } else { None }
    }

    /// Its bits; below [`Self::SETS`].
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set with one more member.
    #[must_use]
    pub const fn with(self, member: Member) -> Self {
        Self(self.0 | 1 << member as u8)
    }

    /// Whether the member is in it.
    #[must_use]
    pub const fn contains(self, member: Member) -> bool {
        self.0 & 1 << member as u8 != 0
    }

    /// Whether every member of it is in the other.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Member> {
        Member::ALL
            .into_iter()
            .filter(move |member| self.contains(*member))
    }
}

impl FromIterator<Member> for Members {
    fn from_iter<T: IntoIterator<Item = Member>>(members: T) -> Self {
        members.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The names, joined by `+`; `tenant` for the empty set.
impl std::fmt::Display for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("tenant");
        }
        for (place, member) in self.iter().enumerate() {
            if place > 0 {
                f.write_str("+")?;
            }
            f.write_str(member.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_bits_and_a_name_of_its_own() {
        let sets: Vec<Members> = (0..=u8::MAX).filter_map(Members::from_bits).collect();
        assert_eq!(sets.len(), Members::SETS);
        let names: std::collections::HashSet<String> =
            sets.iter().map(Members::to_string).collect();
        assert_eq!(names.len(), Members::SETS);
        for set in sets {
            assert_eq!(set.iter().collect::<Members>(), set);
            assert_eq!(Members::from_bits(set.bits()), Some(set));
        }
    }

    #[test]
    fn a_set_is_written_as_its_names() {
        let set = Members::NONE.with(Member::Client).with(Member::Subject);
        assert_eq!(set.to_string(), "sub+client");
        assert_eq!(Members::NONE.to_string(), "tenant");
        assert!(set.is_within(set.with(Member::Issuer)) && !set.is_within(Members::NONE));
        for member in Member::ALL {
            assert_eq!(Member::of_name(member.name()), Some(member));
        }
    }
}
