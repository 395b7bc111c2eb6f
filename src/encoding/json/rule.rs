//! The rules a text can break, as small as the scanner's fast path wants an error to be.

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Rule {
    NotUtf8,
    ByteOrderMark,
    TooLong,
    NotAnObject,
    EndsEarly,
    Trailing,
    NotAValue,
    NameExpected,
    ColonExpected,
    MemberEndExpected,
    ElementEndExpected,
    ControlInString,
    BadEscape,
    LoneSurrogate,
    BadNumber,
    DuplicateName,
    TooDeep,
    TooManyMembers,
    TooManyElements,
    NameTooLong,
    NumberTooLong,
}

impl Rule {
    /// The rule in words.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NotUtf8 => "JSON is not UTF-8",
            Self::ByteOrderMark => "JSON begins with a byte order mark",
            Self::TooLong => "JSON is longer than 4 GiB",
            Self::NotAnObject => "JSON is not an object",
            Self::EndsEarly => "JSON ends early",
            Self::Trailing => "JSON is followed by more",
            Self::NotAValue => "JSON has something that is no value",
            Self::NameExpected => "JSON lacks a member name in quotes",
            Self::ColonExpected => "JSON lacks a colon after a member name",
            Self::MemberEndExpected => "JSON lacks a comma or closing brace after a member",
            Self::ElementEndExpected => "JSON lacks a comma or closing bracket after an element",
            Self::ControlInString => "JSON has a control character in a string",
            Self::BadEscape => "JSON has an unknown escape in a string",
            Self::LoneSurrogate => "JSON has a lone surrogate in a string",
            Self::BadNumber => "JSON has a malformed number",
            Self::DuplicateName => "JSON has two members of one name",
            Self::TooDeep => "JSON is nested too deeply",
            Self::TooManyMembers => "JSON has an object of too many members",
            Self::TooManyElements => "JSON has an array of too many elements",
            Self::NameTooLong => "JSON has a member name that is too long",
            Self::NumberTooLong => "JSON has a number that is too long",
        }
    }
}
