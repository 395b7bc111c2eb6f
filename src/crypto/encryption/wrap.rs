//! AES Key Wrap (RFC 3394, with its default initial value): aws-lc-rs' own for keys of 128 and 256 bits. For 192 bits it
//! has none, and the few steps of the RFC stand here, over its block cipher.
#![forbid(unsafe_code)]

use aws_lc_rs::cipher::{
    self, AES_192, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap as _};
use zeroize::Zeroizing;

/// RFC 3394 §2.2.3.1.
const DEFAULT_INITIAL_VALUE: [u8; 8] = [0xa6; 8];

/// Octets of what is wrapped at a time.
const SEMIBLOCK: usize = 8;

/// Wraps a key: eight octets more come out.
pub(super) fn wrap(wrapping: &[u8], key: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let Some(kek) = library_key(wrapping) else {
        return wrap_by(&AES_192, wrapping, key);
    };
    let mut wrapped = vec![0; key.len() + SEMIBLOCK];
    let length = kek?.wrap(key, &mut wrapped)?.len();
    wrapped.truncate(length);
    Ok(wrapped)
}

/// Unwraps a key, if it was wrapped by this one.
pub(super) fn unwrap(wrapping: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let Some(kek) = library_key(wrapping) else {
        return unwrap_by(&AES_192, wrapping, wrapped);
    };
    let mut key = Zeroizing::new(vec![0; wrapped.len()]);
    let length = kek?.unwrap(wrapped, &mut key)?.len();
    key.truncate(length);
    Ok(key)
}

fn library_key(wrapping: &[u8]) -> Option<Result<AesKek, Unspecified>> {
    match wrapping.len() {
        16 => Some(AesKek::new(&AES_128, wrapping)),
        32 => Some(AesKek::new(&AES_256, wrapping)),
        _ => None,
    }
}

/// RFC 3394 §2.2.1, indexed.
pub(super) fn wrap_by(
    aes: &'static cipher::Algorithm,
    wrapping: &[u8],
    key: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    if key.len() < 2 * SEMIBLOCK || !key.len().is_multiple_of(SEMIBLOCK) {
        return Err(Unspecified);
    }
    let aes = EncryptingKey::ecb(UnboundCipherKey::new(aes, wrapping)?)?;
    let mut wrapped = [&DEFAULT_INITIAL_VALUE, key].concat();
    let (a, r) = wrapped.split_at_mut(SEMIBLOCK);
    let mut step = 0_u64;
    let mut block = Zeroizing::new([0; 2 * SEMIBLOCK]);
    for _ in 0..6 {
        for r in r.chunks_exact_mut(SEMIBLOCK) {
            step += 1;
            block[..SEMIBLOCK].copy_from_slice(a);
            block[SEMIBLOCK..].copy_from_slice(r);
            aes.encrypt(&mut block[..])?;
            a.copy_from_slice(&block[..SEMIBLOCK]);
            add_step(a, step);
            r.copy_from_slice(&block[SEMIBLOCK..]);
        }
    }
    Ok(wrapped)
}

/// RFC 3394 §2.2.2, indexed.
pub(super) fn unwrap_by(
    aes: &'static cipher::Algorithm,
    wrapping: &[u8],
    wrapped: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    if wrapped.len() < 3 * SEMIBLOCK || !wrapped.len().is_multiple_of(SEMIBLOCK) {
        return Err(Unspecified);
    }
    let aes = DecryptingKey::ecb(UnboundCipherKey::new(aes, wrapping)?)?;
    let mut room = Zeroizing::new(wrapped.to_vec());
    let (a, r) = room.split_at_mut(SEMIBLOCK);
    let mut step = (6 * r.len() / SEMIBLOCK) as u64;
    let mut block = Zeroizing::new([0; 2 * SEMIBLOCK]);
    for _ in 0..6 {
        for r in r.chunks_exact_mut(SEMIBLOCK).rev() {
            add_step(a, step);
            step -= 1;
            block[..SEMIBLOCK].copy_from_slice(a);
            block[SEMIBLOCK..].copy_from_slice(r);
            aes.decrypt(&mut block[..], DecryptionContext::None)?;
            a.copy_from_slice(&block[..SEMIBLOCK]);
            r.copy_from_slice(&block[SEMIBLOCK..]);
        }
    }
    verify_slices_are_equal(a, &DEFAULT_INITIAL_VALUE)?;
    Ok(Zeroizing::new(r.to_vec()))
}

fn add_step(a: &mut [u8], step: u64) {
    for (octet, step) in a.iter_mut().zip(step.to_be_bytes()) {
        *octet ^= step;
    }
}
