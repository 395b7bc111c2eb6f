//! What somebody can write who knows how the sums are made.

use super::signatures::{Case, Key, assert_findings, hash, table};
use super::{Dice, add_modulo, base, bytes, multiply_modulo, reduce, subtract_modulo};
use crate::crypto::ed25519::field::words;
use crate::crypto::ed25519::kernel::Signed;
use crate::crypto::ed25519::lanes::Words;
use crate::crypto::ed25519::recode::Digits;
use crate::crypto::ed25519::scalar::{ORDER, odd_from_hash};
use crate::crypto::ed25519::verify::Finding;
use aws_lc_rs::digest::{SHA512, digest};
use aws_lc_rs::signature::Ed25519KeyPair;

const WIDTH: u32 = 8;

/// A key pair, and its secret scalar (RFC 8032 §5.1.5).
fn key_with_secret(seed: &[u8; 32]) -> (Key, Words) {
    let hash = digest(&SHA512, seed);
    let mut secret: [u8; 32] = *hash.as_ref().first_chunk().unwrap();
    secret[0] &= 0xf8;
    secret[31] = secret[31] & 0x3f | 0x40;
    let key = Key::of(Ed25519KeyPair::from_seed_unchecked(seed).unwrap(), WIDTH);
    let secret = reduce(ORDER, &words(&secret));
    assert_eq!(base().times(secret).encode(), key.encoding);
    (key, secret)
}

/// The neutral element as R, which takes the private key, is found as the reference finds it: genuine.
#[test]
fn a_neutral_r_is_judged_as_the_reference_does() {
    let (key, secret) = key_with_secret(&[7; 32]);
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut not_canonical = [0xff; 32];
    not_canonical[0] = 0xee;
    not_canonical[31] = 0x7f;
    let mut negative_zero = neutral;
    negative_zero[31] = 0x80;
    let cases = [neutral, not_canonical, negative_zero].map(|r| {
        let k = reduce(ORDER, &odd_from_hash(&hash(&r, &key.encoding, b"neutral")));
        let s = multiply_modulo(ORDER, k, secret);
        Case::new(&key, b"neutral".to_vec(), [r, bytes(s)].concat())
    });
    let expected = cases.each_ref().map(Case::expected);
    use Finding::{Forged, Genuine};
    assert_eq!(expected, [Genuine, Forged, Forged]);
    assert_findings(&cases.each_ref().map(Case::signed), &expected);
}

/// Sums that meet their own next point, or its opposite, on the way: equal points, and the neutral element in the
/// middle of a sum. The curve's addition law has no exception there, so findings are as right as ever, for these
/// and for their neighbours. The hashes are made up, for no real one leaves the choice.
#[test]
fn sums_may_meet_themselves() {
    let (key, secret) = key_with_secret(&[9; 32]);
    let table = table(&key.encoding, WIDTH);
    let windows = table.windows();
    let mut dice = Dice::new(40);
    let (mut hashes, mut signatures, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for window in 0..windows {
        let mut hash = [0; 64];
        for bytes in hash.as_chunks_mut().0 {
            *bytes = dice.word().to_le_bytes();
        }
        let k = odd_from_hash(&hash);
        let digits = Digits::new(k, WIDTH, windows);
        // What the windows before this one add of A, and this one.
        let (mut before, mut this) = ([0; 4], [0; 4]);
        for at in 0..=window {
            let (index, negative) = digits.digit(at);
            let mut power = [0; 4];
            power[at * 8 / 64] = 1 << (at * 8 % 64);
            let digit = multiply_modulo(ORDER, reduce(ORDER, &power), [2 * index + 1, 0, 0, 0]);
            this = match negative & 1 {
                1 => subtract_modulo(ORDER, [0; 4], digit),
                _ => digit,
            };
            if at < window {
                before = add_modulo(ORDER, before, this);
            }
        }
        // [S]B less what was added so far is the point that comes next, or its opposite, or nothing.
        let minus_this = subtract_modulo(ORDER, [0; 4], this);
        for meeting in [minus_this, this, [0; 4]] {
            let s = multiply_modulo(ORDER, add_modulo(ORDER, before, meeting), secret);
            let left = subtract_modulo(ORDER, s, multiply_modulo(ORDER, reduce(ORDER, &k), secret));
            let r = base().times(left).encode();
            for (r, finding) in [(r, Finding::Genuine), (key.encoding, Finding::Forged)] {
                hashes.push(hash);
                signatures.push([r, bytes(s)].concat());
                expected.push(finding);
            }
        }
    }
    let signed: Vec<_> = hashes
        .iter()
        .zip(&signatures)
        .map(|(hash, signature)| Signed {
            table: &table,
            hash,
            signature,
        })
        .collect();
    assert_eq!(signed.len(), 6 * windows);
    assert_findings(&signed, &expected);
}
