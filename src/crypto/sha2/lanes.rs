//! Which code digests a window of messages: one after the other, or side by side in vector lanes.
#![forbid(unsafe_code)]

use super::padded::Padded;
use super::{State, WINDOW};
use crate::crypto::tier::{self, Tier};
use crate::simd;

/// A way to digest many messages. Holding a value means that this CPU can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// One message after the other, with the CPU's SHA instructions where it has them.
    Single,
    /// Sixteen messages side by side in SHA-256, eight in SHA-512.
    Avx512(simd::Avx512),
}

/// A message on its way through the compression function.
pub(in crate::crypto) struct Lane<'a, S, const BLOCK_BYTES: usize> {
    pub(super) state: S,
    pub(super) message: Padded<'a, BLOCK_BYTES>,
}

impl Kernel {
    /// Every kernel this CPU can run, the plain one first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kernels = vec![Self::Single];
        kernels.extend(simd::Avx512::detect().map(Self::Avx512));
        kernels
    }

    /// The fastest kernel this CPU can run, below the ceiling.
    #[must_use]
    pub fn best() -> Self {
        match simd::Avx512::detect() {
            Some(cpu) if tier::ceiling() == Tier::Ifma => Self::Avx512(cpu),
            _ => Self::Single,
        }
    }

    /// Its name in figures and tests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Avx512(_) => "avx512",
        }
    }

    /// Whether so many messages are worth taking side by side.
    #[must_use]
    pub(in crate::crypto) fn fills_lanes<S, const BLOCK_BYTES: usize, const LANES: usize>(
        self,
        messages: usize,
    ) -> bool
    where
        S: State<BLOCK_BYTES, LANES>,
    {
        match self {
            Self::Single => false,
            Self::Avx512(_) => messages >= S::LANES_MIN,
        }
    }

    /// Digests each message of a window into its place. `lane` makes the message at an index, which may
    /// happen more than once.
    pub(super) fn digest_window<'a, S, const BLOCK_BYTES: usize, const LANES: usize>(
        self,
        lane: impl Fn(usize) -> Lane<'a, S, BLOCK_BYTES>,
        block_count: impl Fn(usize) -> usize,
        digests: &mut [S::Digest],
    ) where
        S: State<BLOCK_BYTES, LANES>,
    {
        match self {
            Self::Avx512(cpu) if self.fills_lanes::<S, BLOCK_BYTES, LANES>(digests.len()) => {
                digest_side_by_side(cpu, lane, block_count, digests);
            }
            _ => {
                for (index, digest) in digests.iter_mut().enumerate() {
                    *digest = lane(index).digest_from(0);
                }
            }
        }
    }
}

impl<S, const BLOCK_BYTES: usize> Lane<'_, S, BLOCK_BYTES> {
    /// The digest, when the blocks before an index are in the state already.
    pub(super) fn digest_from<const LANES: usize>(&mut self, block: usize) -> S::Digest
    where
        S: State<BLOCK_BYTES, LANES>,
    {
        if block == 0 {
            for blocks in self.message.runs() {
                self.state.compress(blocks);
            }
        } else {
            for block in (block..).map_while(|index| self.message.block(index)) {
                self.state.compress(std::slice::from_ref(block));
            }
        }
        self.state.to_digest()
    }
}

/// Groups messages of like length, so that lanes end together, and takes each group side by side as long as
/// enough of its lanes are at work. What is left of the longest ends alone.
fn digest_side_by_side<'a, S, const BLOCK_BYTES: usize, const LANES: usize>(
    cpu: simd::Avx512,
    lane: impl Fn(usize) -> Lane<'a, S, BLOCK_BYTES>,
    block_count: impl Fn(usize) -> usize,
    digests: &mut [S::Digest],
) where
    S: State<BLOCK_BYTES, LANES>,
{
    // Longest first. An index takes the low byte, so that a plain sort of words keeps them together.
    let mut order = [0usize; WINDOW];
    let order = &mut order[..digests.len()];
    for (index, slot) in order.iter_mut().enumerate() {
        *slot = usize::MAX - (block_count(index) << 8 | index);
    }
    order.sort_unstable();
    for slot in &mut *order {
        *slot = (usize::MAX - *slot) & 0xff;
    }
    for group in order.chunks(LANES) {
        let together = group.get(S::LANES_MIN - 1);
        let blocks = together.map_or(0, |&shortest| block_count(shortest));
        if blocks == 0 {
            for &index in group {
                digests[index] = lane(index).digest_from(0);
            }
            continue;
        }
        // Lanes that the group does not fill repeat its last message, and their digest is dropped.
        let mut lanes: [Lane<'_, S, BLOCK_BYTES>; LANES] =
            std::array::from_fn(|at| lane(group[at.min(group.len() - 1)]));
        S::compress_side_by_side(cpu, &mut lanes, blocks);
        for (&index, lane) in group.iter().zip(&mut lanes) {
            digests[index] = lane.digest_from(blocks);
        }
    }
}
