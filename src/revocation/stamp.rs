//! What a cached token remembers of the register: as of when it was not revoked, and where a change would show.

use super::coherence::BUCKETS;

/// How a token stood in the register, in the two words that a cache entry has for it.
///
/// Up to four marks name the buckets of what the token was looked up by: one each for as many member sets. A token
/// with more looks again after every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub(super) generation: u64,
    marks: u128,
}

/// Marks that fit.
pub(super) const MARKS_MAX: usize = 4;

const MARK_BITS: u32 = 20;
const MARKS_BITS: u32 = MARK_BITS * MARKS_MAX as u32;
const MARKS: u128 = (1 << MARKS_BITS) - 1;
const MARK: u128 = (1 << MARK_BITS) - 1;

/// No mark: no bucket has this number.
const NONE: u128 = MARK;
/// As first mark: there are too many to remember.
const TOO_MANY: u128 = MARK - 1;

/// Generations that fit; at a million merges a second, nine years of them.
pub(super) const GENERATION_MAX: u64 = (1 << (128 - MARKS_BITS)) - 1;

const _: () = assert!(
    (BUCKETS as u128) < TOO_MANY,
    "every bucket's number is a mark"
);
const _: () = assert!(MARKS_BITS < 128);

impl Stamp {
    /// A stamp that is always unsure: no register has this generation, and there are too many marks.
    pub const UNSURE: Self = Self {
        generation: 0,
        marks: TOO_MANY,
    };

    /// A stamp without marks: nothing but a change to the whole tenant concerns the token.
    pub(super) fn unmarked(generation: u64) -> Self {
        Self {
            generation: generation.min(GENERATION_MAX),
            marks: MARKS,
        }
    }

    /// The same with one more mark. All must be given before the stamp is kept.
    pub(super) fn with_mark(self, nth: usize, bucket: usize) -> Self {
        if nth >= MARKS_MAX {
            let others = self.marks & !MARK;
            return Self {
                marks: others | TOO_MANY,
                ..self
            };
        }
        let place = MARK_BITS * nth as u32;
        let others = self.marks & !(MARK << place);
        Self {
            marks: others | (bucket as u128) << place,
            ..self
        }
    }

    /// The same as of another generation.
    pub(super) fn at(self, generation: u64) -> Self {
        Self {
            generation: generation.min(GENERATION_MAX),
            ..self
        }
    }

    /// The buckets to look at; `None` where there were too many to remember.
    #[inline]
    pub(super) fn buckets(self) -> Option<impl Iterator<Item = usize>> {
        (self.marks & MARK != TOO_MANY).then(|| {
            (0..MARKS_MAX as u32)
                .map(move |nth| self.marks >> (MARK_BITS * nth) & MARK)
                .take_while(|mark| *mark != NONE)
                .map(|mark| usize::try_from(mark).unwrap_or(BUCKETS))
        })
    }

    /// As two words, for a cache entry.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are what is wanted"
    )]
    pub fn to_words(self) -> [u64; 2] {
        let word = u128::from(self.generation) << MARKS_BITS | self.marks;
        [(word >> 64) as u64, word as u64]
    }

    /// From [`Self::to_words`].
    #[must_use]
    #[inline]
    pub fn from_words([high, low]: [u64; 2]) -> Self {
        let word = u128::from(high) << 64 | u128::from(low);
        Self {
            generation: u64::try_from(word >> MARKS_BITS).unwrap_or(0),
            marks: word & MARKS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(stamp: Stamp) -> Option<Vec<usize>> {
        stamp.buckets().map(Iterator::collect)
    }

    #[test]
    fn two_words_hold_it_all() {
        let mut stamp = Stamp::unmarked(77);
        let marks = [0, BUCKETS - 1, 5, 1];
        for (nth, mark) in marks.into_iter().enumerate() {
            assert_eq!(buckets(stamp), Some(marks[..nth].to_vec()));
            stamp = stamp.with_mark(nth, mark);
        }
        assert_eq!(buckets(stamp), Some(marks.to_vec()));
        assert_eq!(Stamp::from_words(stamp.to_words()), stamp);
        assert_eq!(buckets(stamp.with_mark(4, 9)), None, "one too many");
        let later = stamp.at(u64::MAX);
        assert_eq!(
            (later.generation, buckets(later)),
            (GENERATION_MAX, buckets(stamp))
        );
        assert_eq!(Stamp::from_words(later.to_words()), later);
    }

    #[test]
    fn words_that_no_stamp_made_name_an_old_generation() {
        assert_eq!(Stamp::from_words([0, 0]).generation, 0);
    }
}
