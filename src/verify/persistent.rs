//! Containers that a changed copy shares nearly everything with. One issuer's new keys, or one more tenant, must not
//! cost a copy of ten thousand others, and whoever reads the old snapshot must not notice.
//!
//! Both are two levels deep: a change copies one leaf and the list of leaves, some hundreds of pointers in all.

use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Elements of one leaf of a [`Chunks`], as a power of two.
const LEAF_BITS: u32 = 7;
const LEAF: usize = 1 << LEAF_BITS;

/// A vector of which changed copies are cheap.
pub(super) struct Chunks<T> {
    leaves: Arc<Vec<Arc<[T]>>>,
    len: usize,
}

impl<T: Clone> Chunks<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        self.leaves.get(index >> LEAF_BITS)?.get(index & (LEAF - 1))
    }

    /// The same with another value at `index`, which may be the place just after the last.
    #[must_use]
    pub(super) fn with(&self, index: usize, value: T) -> Self {
        debug_assert!(index <= self.len, "no gaps");
        let (leaf, place) = (index >> LEAF_BITS, index & (LEAF - 1));
        let mut leaves = Vec::clone(&self.leaves);
        match leaves.get_mut(leaf) {
            Some(old) => {
                let (before, after) = (&old[..place.min(old.len())], old.get(place + 1..));
                let after = after.unwrap_or_default();
                let values = before.iter().chain([&value]).chain(after);
                *old = values.cloned().collect();
            }
            None => leaves.push(Arc::new([value])),
        }
        Self {
            leaves: Arc::new(leaves),
            len: self.len.max(index + 1),
        }
    }

    /// The same without its last.
    #[must_use]
    pub(super) fn popped(&self) -> Self {
        let len = self.len.saturating_sub(1);
        Self {
            // What lies beyond the end is written over by the next `with`.
            leaves: Arc::new(self.leaves[..len.div_ceil(LEAF)].to_vec()),
            len,
        }
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.get(self.len.checked_sub(1)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.leaves.iter().flat_map(|leaf| &**leaf).take(self.len)
    }
}

impl<T: Clone> FromIterator<T> for Chunks<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let values: Vec<T> = values.into_iter().collect();
        Self {
            leaves: Arc::new(values.chunks(LEAF).map(Arc::from).collect()),
            len: values.len(),
        }
    }
}

impl<T> Clone for Chunks<T> {
    fn clone(&self) -> Self {
        Self {
            leaves: Arc::clone(&self.leaves),
            len: self.len,
        }
    }
}

/// Parts of a [`Directory`], a power of two.
const PARTS: usize = 256;

type Part<V> = Arc<HashTable<(Arc<str>, V)>>;

/// A map by text of which changed copies are cheap. Its hash is keyed: strangers choose some of the names.
pub(super) struct Directory<V> {
    parts: Arc<Vec<Part<V>>>,
    hasher: RandomState,
    len: usize,
}

impl<V: Clone> Directory<V> {
    pub(super) fn new() -> Self {
        Self {
            parts: Arc::new(vec![Arc::default(); PARTS]),
            hasher: RandomState::new(),
            len: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, name: &str) -> Option<&V> {
        if self.len == 0 {
            return None;
        }
        let hash = self.hasher.hash_one(name);
        let part = &self.parts[part_of(hash)];
        let found = part.find(hash, |(known, _)| **known == *name);
        found.map(|(_, value)| value)
    }

    /// Enters a name, or gives it another value; returns the value that it had.
    pub(super) fn insert(&mut self, name: Arc<str>, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&*name);
        let hasher = &self.hasher;
        let part = Arc::make_mut(&mut Arc::make_mut(&mut self.parts)[part_of(hash)]);
        if let Some((_, held)) = part.find_mut(hash, |(known, _)| *known == name) {
            return Some(std::mem::replace(held, value));
        }
        part.insert_unique(hash, (name, value), |(known, _)| hasher.hash_one(&**known));
        self.len += 1;
        None
    }

    /// Strikes a name; returns the value that it had.
    pub(super) fn remove(&mut self, name: &str) -> Option<V> {
        self.get(name)?;
        let hash = self.hasher.hash_one(name);
        let part = Arc::make_mut(&mut Arc::make_mut(&mut self.parts)[part_of(hash)]);
        let found = part.find_entry(hash, |(known, _)| **known == *name).ok()?;
        let ((_, value), _) = found.remove();
        self.len -= 1;
        Some(value)
    }
}

impl<V: Clone> Clone for Directory<V> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
            hasher: self.hasher.clone(),
            len: self.len,
        }
    }
}

/// The bits that pick a part are not those that the table within it begins with.
fn part_of(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or(0) & (PARTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 700 elements are five whole leaves and a part of one; 512 and 256 are where a leaf begins.
    const SIZES: [usize; 7] = [0, 1, 255, 256, 257, 512, 700];

    #[test]
    fn a_changed_copy_differs_in_one_place_and_the_old_one_in_none() {
        for size in SIZES {
            let old: Chunks<usize> = (0..size).collect();
            for index in (0..=size).step_by(37).chain([size]) {
                let new = old.with(index, 9_999);
                let mut wanted: Vec<usize> = (0..size).collect();
                match wanted.get_mut(index) {
                    Some(place) => *place = 9_999,
                    None => wanted.push(9_999),
                }
                assert_eq!(new.iter().copied().collect::<Vec<_>>(), wanted);
                assert_eq!((new.len(), new.get(index)), (wanted.len(), Some(&9_999)));
                assert!(old.iter().copied().eq(0..size), "{size}, {index}");
            }
            assert_eq!(old.get(size), None);
        }
    }

    #[test]
    fn what_was_pushed_last_is_popped_first() {
        let mut stack: Chunks<usize> = Chunks::from_iter([]);
        for value in 0..600 {
            stack = stack.with(stack.len(), value);
        }
        for value in (300..600).rev() {
            assert_eq!(stack.last(), Some(&value));
            stack = stack.popped();
        }
        let other = stack.with(300, 7);
        assert_eq!((other.last(), other.len()), (Some(&7), 301));
        assert_eq!((stack.last(), stack.len()), (Some(&299), 300));
        assert_eq!(Chunks::<usize>::from_iter([]).popped().last(), None);
    }

    #[test]
    fn a_directory_knows_what_was_entered_and_its_copies_go_their_own_ways() {
        let mut one = Directory::new();
        for number in 0..3_000_u32 {
            assert_eq!(one.insert(number.to_string().into(), number), None);
        }
        let mut other = one.clone();
        for number in 0..1_500 {
            assert_eq!(other.remove(&number.to_string()), Some(number));
        }
        assert_eq!(other.insert("2999".into(), 1), Some(2_999));
        assert_eq!((one.len(), other.len()), (3_000, 1_500));
        assert_eq!((one.get("0"), other.get("0")), (Some(&0), None));
        assert_eq!(
            (one.get("2999"), other.get("2999")),
            (Some(&2_999), Some(&1))
        );
        assert_eq!(other.remove("0"), None);
    }
}
