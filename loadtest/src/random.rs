//! The random numbers of a run: determined by a seed, so that a run can be repeated. Keys, nonces and
//! secrets come from the cryptographic library instead.
#![forbid(unsafe_code)]

/// SplitMix64 (Steele, Lea, Flood 2014): small, quick, and the same on every machine. Not for keys.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A sequence that the seed determines.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 for a bound of 0. Multiply and shift (Lemire 2019): its bias of
    /// 2^-32 is nothing to a mix.
    pub(crate) fn index(&mut self, bound: u32) -> u32 {
        let high = (self.bits() >> 32) * u64::from(bound);
        u32::try_from(high >> 32).expect("the product of two u32 shifted by 32 is one")
    }

    /// A number in (0, 1], so that its logarithm exists.
    pub(crate) fn unit(&mut self) -> f64 {
        let mantissa = ((self.bits() >> 11) + 1) as f64;
        mantissa / (1_u64 << 53) as f64
    }

    /// True with the probability that `threshold` is a share of the range of `u64`; its end is certainty.
    pub(crate) fn below(&mut self, threshold: u64) -> bool {
        threshold == u64::MAX || self.bits() < threshold
    }
}

/// A share of the range of `u64`. One is above every number, so that "all" means all.
pub(crate) fn threshold(share: f64) -> u64 {
    if share >= 1.0 {
        return u64::MAX;
    }
    (share.max(0.0) * u64::MAX as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // The first outputs of Vigna's splitmix64.c for the seed 1234567.
        let mut random = Random::new(1_234_567);
        let first = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973];
        assert_eq!([random.bits(), random.bits()], first);
    }

    #[test]
    fn numbers_keep_to_their_ranges() {
        let mut random = Random::new(0);
        assert_eq!(random.index(0), 0);
        for _ in 0..1_000 {
            assert!(random.index(3) < 3);
            let unit = random.unit();
            assert!(unit > 0.0 && unit <= 1.0);
            assert!(random.below(u64::MAX) && !random.below(0));
        }
    }
}
