//! Which RSA public keys are accepted (RFC 7518 §3.3, §3.5, §6.3.1).
//!
//! Refuses moduli outside 2048 to 8192 bits and even ones, and exponents that are even, 1, or longer than
//! 33 bits: with such an exponent a single check could cost hundreds of times the usual.
//!
//! Signatures are checked as PKCS#1 v1.5 by comparing the whole expected encoding, or as PSS with a salt
//! as long as the digest and MGF1 over the same digest; the representative must be below the modulus.
#![forbid(unsafe_code)]

use super::constants::Constants;
use super::encoding::Encoding;
use super::kernel::Kernel;
use crate::crypto::reference::PublicKey;
use crate::crypto::{KeyError, Scheme};
use crate::limits;
use aws_lc_rs::signature::{self, RsaParameters, RsaPublicKeyComponents};

/// A public key for the reference, and for the kernel where that takes it.
pub(in crate::crypto) type Parsed = (PublicKey, Option<Box<Constants>>);

/// Parses a public key for one of the RSA schemes.
pub(in crate::crypto) fn parse(scheme: Scheme, n: &[u8], e: &[u8]) -> Result<Parsed, KeyError> {
    let parameters = parameters(scheme).ok_or(KeyError::WrongKind)?;
    let n = without_leading_zeros(n);
    let e = without_leading_zeros(e);
    check_modulus(n)?;
    let exponent = check_exponent(e)?;
    let parsed = RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(parameters)
        .map_err(|_| KeyError::Malformed("not an RSA public key"))?;
    let constants = Kernel::detect()
        .zip(Encoding::of(scheme))
        .and_then(|(kernel, encoding)| Constants::new(kernel, encoding, n, exponent));
    Ok((PublicKey::new(parsed, n.len()), constants.map(Box::new)))
}

fn parameters(scheme: Scheme) -> Option<&'static RsaParameters> {
    Some(match scheme {
        Scheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Scheme::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Scheme::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Scheme::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        Scheme::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        Scheme::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn check_modulus(n: &[u8]) -> Result<(), KeyError> {
    let leading = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = n.len() * 8 - leading;
    // RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
    if !(limits::RSA_BITS_MIN..=limits::RSA_BITS_MAX).contains(&bits) {
        return Err(KeyError::RsaSize { bits });
    }
    // A product of two odd primes is odd.
    if n.last().is_none_or(|byte| byte % 2 == 0) {
        return Err(KeyError::Malformed("the RSA modulus is even"));
    }
    Ok(())
}

fn check_exponent(e: &[u8]) -> Result<u64, KeyError> {
    const EXPONENT_MAX: u64 = 1 << 33;
    if e.len() > size_of::<u64>() {
        return Err(KeyError::RsaExponent);
    }
    let e = e.iter().fold(0u64, |e, &byte| e << 8 | u64::from(byte));
    if e % 2 == 0 || !(3..=EXPONENT_MAX).contains(&e) {
        return Err(KeyError::RsaExponent);
    }
    Ok(e)
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[zeros..]
}
