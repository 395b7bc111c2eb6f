//! All tokens of a run in one arena: bounded memory, no allocation while driving, and a class with
//! every token, so that each answer can be checked.
//!
//! On the Unix socket a frame's tokens are sent straight from here by a gathering write: none is copied.
#![forbid(unsafe_code)]

use crate::mix::{Class, Layout};

/// The tokens of a run.
#[derive(Default)]
pub(crate) struct Corpus {
    arena: Vec<u8>,
    entries: Vec<Entry>,
    /// Where each kind lies.
    pub(crate) layout: Layout,
}

#[derive(Clone, Copy)]
struct Entry {
    start: usize,
    length: u32,
    class: Class,
}

impl Corpus {
    /// Adds a token and says its number.
    pub(crate) fn push(&mut self, class: Class, token: &[u8]) -> u32 {
        let number = self.len();
        let length = u32::try_from(token.len()).expect("tokens are far below 4 GiB");
        self.entries.push(Entry {
            start: self.arena.len(),
            length,
            class,
        });
        self.arena.extend_from_slice(token);
        number
    }

    /// Makes room for tokens to come, so that the arena is not copied while it grows.
    pub(crate) fn reserve(&mut self, tokens: usize, bytes: usize) {
        self.entries.reserve(tokens);
        self.arena.reserve(bytes);
    }

    /// How many tokens there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).expect("a corpus is bounded far below 2^32 tokens")
    }

    /// Bytes of all tokens.
    pub(crate) fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// The class of a token.
    pub(crate) fn class(&self, token: u32) -> Class {
        self.entries[token as usize].class
    }

    /// The token.
    pub(crate) fn token(&self, token: u32) -> &[u8] {
        let entry = self.entries[token as usize];
        &self.arena[entry.start..entry.start + entry.length as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were_with_their_class() {
        let mut corpus = Corpus::default();
        corpus.reserve(2, 4);
        let first = corpus.push(Class::Good, b"abc");
        let second = corpus.push(Class::Garbage, b"");
        assert_eq!((first, second, corpus.len(), corpus.bytes()), (0, 1, 2, 3));
        assert_eq!(corpus.token(first), b"abc");
        assert_eq!(corpus.token(second), b"");
        assert_eq!(corpus.class(second), Class::Garbage);
    }
}
