//! Inverses modulo an odd number, one at a time and in variable time: everything a verifier inverts
//! is public.
//!
//! Bernstein and Yang's division steps (eprint 2019/266), 62 at once on the low words alone, as a 2 × 2 matrix
//! that is then applied to the whole numbers; the arrangement is that of libsecp256k1's `modinv64`.
#![forbid(unsafe_code)]

use super::modulus::{Modulus, WORDS_MAX};

/// `1 / a` modulo the modulus, and 0 for 0. `a` is below the modulus.
pub(super) fn invert<M: Modulus<W>, const W: usize>(a: [u64; W]) -> [u64; W] {
    let modulus = const { Signed62::<W>::new(M::WORDS) };
    let inverse = const { M::NEGATED_INVERSE.wrapping_neg() };
    // At each step, d a = f and e a = g modulo the modulus, up to the same power of two.
    let (mut d, mut e) = (Signed62::<W>::new([0; W]), Signed62::<W>::new([0; W]));
    e.0[0] = 1;
    let (mut f, mut g) = (modulus, Signed62::new(a));
    let mut limbs = Signed62::<W>::LIMBS;
    let mut eta = -1;
    loop {
        let matrix = divide_62_steps(&mut eta, f.0[0] as u64, g.0[0] as u64);
        matrix.apply_modulo(&mut d, &mut e, &modulus, inverse);
        matrix.apply(&mut f.0[..limbs], &mut g.0[..limbs]);
        if g.0[..limbs].iter().all(|&limb| limb == 0) {
            break;
        }
        // Where the top limbs are only signs, they move into the limbs below, and the numbers get shorter.
        let (top_f, top_g) = (f.0[limbs - 1], g.0[limbs - 1]);
        if limbs > 1 && (top_f == 0 || top_f == -1) && (top_g == 0 || top_g == -1) {
            f.0[limbs - 2] |= top_f << 62;
            g.0[limbs - 2] |= top_g << 62;
            limbs -= 1;
        }
    }
    // f is now the greatest common divisor, 1 or -1.
    d.normalized(f.0[limbs - 1] < 0, &modulus).to_words()
}

const LIMB_MASK: i64 = (1 << 62) - 1;

/// A number of `W` words in signed limbs of 62 bits; all but the top one are in [0, 2^62) between steps.
#[derive(Clone, Copy)]
struct Signed62<const W: usize>([i64; LIMBS_MAX]);

const fn limbs(words: usize) -> usize {
    // Two bits more than the number's, for the sign and for what is above the modulus.
    (64 * words + 2).div_ceil(62)
}

const LIMBS_MAX: usize = limbs(WORDS_MAX);

impl<const W: usize> Signed62<W> {
    const LIMBS: usize = limbs(W);

    const fn new(words: [u64; W]) -> Self {
        let mut limbs = [0; LIMBS_MAX];
        let mut at = 0;
        while at < Self::LIMBS {
            let (word, shift) = (62 * at / 64, 62 * at % 64);
            if word < W {
                let mut limb = words[word] >> shift;
                if shift > 2 && word + 1 < W {
                    limb |= words[word + 1] << (64 - shift);
                }
                limbs[at] = limb as i64 & LIMB_MASK;
            }
            at += 1;
        }
        Self(limbs)
    }

    /// Of a number that is not negative and fits.
    fn to_words(self) -> [u64; W] {
        let mut words = [0; W];
        for (at, limb) in self.0.into_iter().enumerate().take(Self::LIMBS) {
            let (word, shift) = (62 * at / 64, 62 * at % 64);
            if word < W {
                words[word] |= (limb as u64) << shift;
            }
            if shift > 2 && word + 1 < W {
                words[word + 1] |= limb as u64 >> (64 - shift);
            }
        }
        words
    }

    fn is_negative(&self) -> bool {
        self.0[Self::LIMBS - 1] < 0
    }

    /// From (-2m, m) to [0, m), negated first if asked.
    fn normalized(mut self, negate: bool, modulus: &Self) -> Self {
        self.add_if_negative(modulus);
        if negate {
            self.0 = self.0.map(|limb| -limb);
            self.carry();
        }
        self.add_if_negative(modulus);
        self
    }

    fn add_if_negative(&mut self, modulus: &Self) {
        if self.is_negative() {
            for (limb, modulus) in self.0.iter_mut().zip(modulus.0) {
                *limb += modulus;
            }
            self.carry();
        }
    }

    fn carry(&mut self) {
        for at in 0..Self::LIMBS - 1 {
            self.0[at + 1] += self.0[at] >> 62;
            self.0[at] &= LIMB_MASK;
        }
    }
}

/// 62 division steps: `(f, g)` becomes `(u f + v g, q f + r g) / 2^62`. The entries' absolute values add up to
/// at most 2^62 in each row.
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// The steps look at the low bits of `f` and `g` only, and at `eta`, which stands for how much larger `g` may
/// be than `f`.
fn divide_62_steps(eta: &mut i64, f: u64, g: u64) -> Matrix {
    let (mut f, mut g) = (f, g);
    let (mut u, mut v, mut q, mut r) = (1u64, 0u64, 0u64, 1u64);
    let mut left = 62;
    loop {
        // An even g is halved, all its zero bits at once; the sentinel bit stops at the last step.
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        *eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            break;
        }
        // A multiple of f is added to g that clears as many of g's low bits as eta and the steps left allow:
        // up to six after a swap, up to four otherwise, where the inverse of f is cheaper.
        let w = if *eta < 0 {
            *eta = -*eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
            let mask = low_bits(*eta, left) & 63;
            let square = f.wrapping_mul(f).wrapping_sub(2);
            f.wrapping_mul(g).wrapping_mul(square) & mask
        } else {
            let mask = low_bits(*eta, left) & 15;
            let inverse = f.wrapping_add((f.wrapping_add(1) & 4) << 1);
            inverse.wrapping_neg().wrapping_mul(g) & mask
        };
        g = g.wrapping_add(f.wrapping_mul(w));
        q = q.wrapping_add(u.wrapping_mul(w));
        r = r.wrapping_add(v.wrapping_mul(w));
    }
    Matrix {
        u: u as i64,
        v: v as i64,
        q: q as i64,
        r: r as i64,
    }
}

/// The lowest `min(eta + 1, left)` bits.
#[inline(always)]
fn low_bits(eta: i64, left: u32) -> u64 {
    let bits = (eta + 1).min(i64::from(left));
    u64::MAX >> (64 - bits)
}

impl Matrix {
    /// The product with `(f, g)`, exactly.
    fn apply(&self, f: &mut [i64], g: &mut [i64]) {
        let (mut carry_f, mut carry_g) = (0i128, 0i128);
        for at in 0..f.len() {
            carry_f += wide(self.u, f[at]) + wide(self.v, g[at]);
            carry_g += wide(self.q, f[at]) + wide(self.r, g[at]);
            // The lowest 62 bits are zero by the choice of the steps.
            if at > 0 {
                f[at - 1] = carry_f as i64 & LIMB_MASK;
                g[at - 1] = carry_g as i64 & LIMB_MASK;
            }
            carry_f >>= 62;
            carry_g >>= 62;
        }
        let top = f.len() - 1;
        f[top] = carry_f as i64;
        g[top] = carry_g as i64;
    }

    /// The product with `(d, e)`, modulo the modulus; both stay in (-2m, m).
    fn apply_modulo<const W: usize>(
        &self,
        d: &mut Signed62<W>,
        e: &mut Signed62<W>,
        modulus: &Signed62<W>,
        inverse: u64,
    ) {
        let top = Signed62::<W>::LIMBS - 1;
        let (d_sign, e_sign) = (d.0[top] >> 63, e.0[top] >> 63);
        // Multiples of the modulus that bring negative inputs above zero, and then clear the low 62 bits.
        let mut extra_d = (self.u & d_sign) + (self.v & e_sign);
        let mut extra_e = (self.q & d_sign) + (self.r & e_sign);
        let mut carry_d = wide(self.u, d.0[0]) + wide(self.v, e.0[0]);
        let mut carry_e = wide(self.q, d.0[0]) + wide(self.r, e.0[0]);
        let cleared = |carry: i128, extra: i64| {
            let low = inverse
                .wrapping_mul(carry as u64)
                .wrapping_add(extra as u64);
            extra - (low as i64 & LIMB_MASK)
        };
        extra_d = cleared(carry_d, extra_d);
        extra_e = cleared(carry_e, extra_e);
        carry_d = (carry_d + wide(modulus.0[0], extra_d)) >> 62;
        carry_e = (carry_e + wide(modulus.0[0], extra_e)) >> 62;
        for at in 1..=top {
            carry_d += wide(self.u, d.0[at]) + wide(self.v, e.0[at]);
            carry_e += wide(self.q, d.0[at]) + wide(self.r, e.0[at]);
            carry_d += wide(modulus.0[at], extra_d);
            carry_e += wide(modulus.0[at], extra_e);
            d.0[at - 1] = carry_d as i64 & LIMB_MASK;
            e.0[at - 1] = carry_e as i64 & LIMB_MASK;
            carry_d >>= 62;
            carry_e >>= 62;
        }
        d.0[top] = carry_d as i64;
        e.0[top] = carry_e as i64;
    }
}

#[inline(always)]
fn wide(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}
