//! Remembers parsed headers. All tokens of one key carry the same protected header byte for byte, so that
//! parsing it once a key, and not once a token, is nearly always possible.

use crate::jose::{Header, JoseError};
use std::cell::RefCell;
use std::rc::Rc;

/// Slots of the memo: many more than the keys in use at any time, few enough to stay in the cache.
const SLOTS: usize = 256;

/// Longer headers carry certificates or other freight, and are parsed every time.
const SEGMENT_BYTES_MAX: usize = 256;

thread_local! {
    static MEMO: RefCell<Vec<Option<Slot>>> = RefCell::new((0..SLOTS).map(|_| None).collect());
}

struct Slot {
    segment: Box<[u8]>,
    header: Rc<Header>,
}

/// Parses a header segment, or recalls it. Only headers that parse are kept, each in the one slot its bytes
/// pick, so that a flood of odd headers costs parsing and never memory.
///
/// # Errors
/// As [`Header::parse_segment`].
pub(super) fn parse(segment: &[u8]) -> Result<Rc<Header>, JoseError> {
    if segment.len() > SEGMENT_BYTES_MAX {
        return Header::parse_segment(segment).map(Rc::new);
    }
    MEMO.with_borrow_mut(|memo| {
        let slot = &mut memo[slot_of(segment)];
        if let Some(known) = slot
            && *known.segment == *segment
        {
            return Ok(Rc::clone(&known.header));
        }
        let header = Rc::new(Header::parse_segment(segment)?);
        *slot = Some(Slot {
            segment: segment.into(),
            header: Rc::clone(&header),
        });
        Ok(header)
    })
}

/// FNV-1a over the words of the segment. Collisions only cost a parse, so it need not resist an attacker.
fn slot_of(segment: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ segment.len() as u64;
    let (words, _) = segment.as_chunks();
    // The last word overlaps the one before it; only a header too short to be one has bytes left out.
    for word in words.iter().chain(segment.last_chunk()) {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    }
    usize::try_from(hash % SLOTS as u64).expect("less than SLOTS")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {"alg":"HS256"}
    const HS256: &[u8] = b"eyJhbGciOiJIUzI1NiJ9";

    #[test]
    fn a_recalled_header_is_the_parsed_one() {
        let first = parse(HS256).expect("valid header");
        let again = parse(HS256).expect("valid header");
        assert!(Rc::ptr_eq(&first, &again), "the second came from the memo");
        assert_eq!(*first, Header::parse_segment(HS256).expect("valid header"));
    }

    #[test]
    fn a_header_that_does_not_parse_is_refused_every_time() {
        for _ in 0..2 {
            assert!(parse(b"eyJhbGciOiJub25lIn0").is_err());
        }
    }
}
