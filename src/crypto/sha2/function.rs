//! The two compression functions of FIPS 180-4 that tokens need, as one interface, and states that have a
//! secret block behind them.
#![forbid(unsafe_code)]

use super::lanes::{Kernel, Lane};
use super::padded::{Padded, block_count};
use crate::simd::Avx512;
use sha2::block_api::{compress256, compress512};
use zeroize::Zeroize;

/// A SHA-2 state: SHA-256's eight words of 32 bits, or SHA-512's of 64. Which of the two says how long a
/// block is, and how many messages fit side by side in 512 bits.
pub(in crate::crypto) trait State<const BLOCK_BYTES: usize, const LANES: usize>:
    Copy + Zeroize
{
    /// The whole state, big-endian.
    type Digest: Copy + AsRef<[u8]>;

    /// Room for a digest.
    const NO_DIGEST: Self::Digest;

    /// Fewest messages worth the trouble of taking them side by side.
    const LANES_MIN: usize;

    /// Absorbs blocks (FIPS 180-4 §6.2.2, §6.4.2).
    fn compress(&mut self, blocks: &[[u8; BLOCK_BYTES]]);

    /// Absorbs the first `blocks` blocks of each lane's message into its state; a lane with fewer takes all
    /// of its own.
    fn compress_side_by_side(
        cpu: Avx512,
        lanes: &mut [Lane<'_, Self, BLOCK_BYTES>; LANES],
        blocks: usize,
    );

    fn to_digest(self) -> Self::Digest;
}

/// The state of SHA-256 (FIPS 180-4 §6.2).
pub(in crate::crypto) type Sha256State = [u32; 8];

/// The state of SHA-384 and SHA-512 (FIPS 180-4 §6.4, §6.5).
pub(in crate::crypto) type Sha512State = [u64; 8];

impl State<64, 16> for Sha256State {
    type Digest = [u8; 32];

    const NO_DIGEST: Self::Digest = [0; 32];

    // Sixteen lanes take about the time of eleven blocks one after the other by the SHA instructions, however
    // few of the lanes are in use.
    const LANES_MIN: usize = 12;

    fn compress(&mut self, blocks: &[[u8; 64]]) {
        compress256(self, blocks);
    }

    fn compress_side_by_side(cpu: Avx512, lanes: &mut [Lane<'_, Self, 64>; 16], blocks: usize) {
        super::avx512::sha256(cpu, lanes, blocks);
    }

    fn to_digest(self) -> Self::Digest {
        let mut digest = Self::NO_DIGEST;
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

impl State<128, 8> for Sha512State {
    type Digest = [u8; 64];

    const NO_DIGEST: Self::Digest = [0; 64];

    // There are no SHA-512 instructions to beat: three lanes already do.
    const LANES_MIN: usize = 3;

    fn compress(&mut self, blocks: &[[u8; 128]]) {
        compress512(self, blocks);
    }

    fn compress_side_by_side(cpu: Avx512, lanes: &mut [Lane<'_, Self, 128>; 8], blocks: usize) {
        super::avx512::sha512(cpu, lanes, blocks);
    }

    fn to_digest(self) -> Self::Digest {
        let mut digest = Self::NO_DIGEST;
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

/// SHA-256's initial state (FIPS 180-4 §5.3.3).
pub(in crate::crypto) const SHA256_INITIAL: Sha256State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SHA-384's initial state (FIPS 180-4 §5.3.4).
pub(in crate::crypto) const SHA384_INITIAL: Sha512State = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];

/// SHA-512's initial state (FIPS 180-4 §5.3.5).
pub(in crate::crypto) const SHA512_INITIAL: Sha512State = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// A state after one block of secret, erased when dropped.
#[derive(Clone)]
pub(in crate::crypto) struct Midstate<S: Zeroize>(S);

impl<S: Zeroize> Midstate<S> {
    /// Absorbs the secret block into an initial state.
    pub(in crate::crypto) fn new<const BLOCK_BYTES: usize, const LANES: usize>(
        initial: S,
        secret: &[u8; BLOCK_BYTES],
    ) -> Self
    where
        S: State<BLOCK_BYTES, LANES>,
    {
        let mut midstate = Self(initial);
        midstate.0.compress(std::slice::from_ref(secret));
        midstate
    }

    /// The digest of `secret || prefix || message`.
    pub(in crate::crypto) fn digest<
        const BLOCK_BYTES: usize,
        const LANES: usize,
        const PREFIX_BYTES: usize,
    >(
        &self,
        prefix: &[u8; PREFIX_BYTES],
        message: &[u8],
    ) -> S::Digest
    where
        S: State<BLOCK_BYTES, LANES>,
    {
        self.lane(prefix, message).digest_from(0)
    }

    /// A message that follows the secret.
    fn lane<'a, const BLOCK_BYTES: usize, const LANES: usize, const PREFIX_BYTES: usize>(
        &self,
        prefix: &[u8; PREFIX_BYTES],
        message: &'a [u8],
    ) -> Lane<'a, S, BLOCK_BYTES>
    where
        S: State<BLOCK_BYTES, LANES>,
    {
        Lane {
            state: self.0,
            message: Padded::new(BLOCK_BYTES, prefix, message),
        }
    }
}

impl<S: Zeroize> Drop for Midstate<S> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Digests up to [`WINDOW`](super::WINDOW) messages into their places. `each` says what stands at an index: a
/// secret, a prefix, and the message after it; it may be asked more than once.
pub(in crate::crypto) fn digest_window<
    'a,
    S: State<BLOCK_BYTES, LANES> + 'a,
    const BLOCK_BYTES: usize,
    const LANES: usize,
    const PREFIX_BYTES: usize,
>(
    kernel: Kernel,
    each: impl Fn(usize) -> (&'a Midstate<S>, &'a [u8; PREFIX_BYTES], &'a [u8]),
    digests: &mut [S::Digest],
) {
    kernel.digest_window(
        |index| {
            let (midstate, prefix, message) = each(index);
            midstate.lane(prefix, message)
        },
        |index| block_count::<BLOCK_BYTES>(PREFIX_BYTES + each(index).2.len()),
        digests,
    );
}

/// Digests up to [`WINDOW`](super::WINDOW) messages with no secret before them, from an initial state. `each`
/// says what stands at an index: a prefix, and the message after it.
pub(in crate::crypto) fn digest_window_plain<
    'a,
    S: State<BLOCK_BYTES, LANES> + 'a,
    const BLOCK_BYTES: usize,
    const LANES: usize,
    const PREFIX_BYTES: usize,
>(
    kernel: Kernel,
    initial: S,
    each: impl Fn(usize) -> (&'a [u8; PREFIX_BYTES], &'a [u8]),
    digests: &mut [S::Digest],
) {
    kernel.digest_window(
        |index| {
            let (prefix, message) = each(index);
            Lane {
                state: initial,
                message: Padded::new(0, prefix, message),
            }
        },
        |index| block_count::<BLOCK_BYTES>(PREFIX_BYTES + each(index).1.len()),
        digests,
    );
}
