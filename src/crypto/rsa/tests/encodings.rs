//! Encodings that are wrong in one place each, signed with the private key: what remains when the arithmetic is
//! right.

use super::{Case, Finding, Key, assert_agreement, pairs};
use crate::crypto::Scheme;
use crate::crypto::rsa::encoding::{DIGEST_BYTES_MAX, Encoding, Hash};
use crate::crypto::rsa::kernel::Kernel;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::RsaKeyPair;
use num_bigint::BigUint;

/// The private operation, for any encoding.
struct Signer {
    n: BigUint,
    d: BigUint,
}

impl Signer {
    fn new(pair: &RsaKeyPair) -> Self {
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let outer = pkcs8::PrivateKeyInfoRef::try_from(der.as_ref()).unwrap();
        let inner = pkcs1::RsaPrivateKeyRef::try_from(outer.private_key.as_bytes()).unwrap();
        Self {
            n: BigUint::from_bytes_be(inner.modulus.as_bytes()),
            d: BigUint::from_bytes_be(inner.private_exponent.as_bytes()),
        }
    }

    fn sign(&self, encoded: &[u8]) -> Vec<u8> {
        let encoded = BigUint::from_bytes_be(encoded);
        assert!(encoded < self.n);
        let number = encoded.modpow(&self.d, &self.n).to_bytes_be();
        let mut signature = vec![0; self.n.to_bytes_be().len()];
        let zeros = signature.len() - number.len();
        signature[zeros..].copy_from_slice(&number);
        signature
    }
}

const MESSAGE: &[u8] = b"header.payload";

fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    let mut digest = [[0; DIGEST_BYTES_MAX]];
    hash.digest_many(|_| message, &mut digest);
    digest[0][..hash.bytes()].to_vec()
}

/// Signs each encoding and holds what kernels find against the reference, which accepts the first alone.
fn assert_first_alone(scheme: Scheme, pair: &RsaKeyPair, encodings: &[(String, Vec<u8>)]) {
    let signer = Signer::new(pair);
    for kernel in Kernel::available() {
        let key = Key::of_pair(kernel, scheme, pair);
        let cases: Vec<_> = encodings
            .iter()
            .map(|(name, encoded)| Case::new(name.clone(), &key, MESSAGE, signer.sign(encoded)))
            .collect();
        for (at, case) in cases.iter().enumerate() {
            let expected = if at == 0 {
                Finding::Genuine
            } else {
                Finding::Forged
            };
            assert_eq!(case.expected, expected, "{}", case.name);
        }
        assert_agreement(kernel, &cases);
    }
}

/// Checks V-24. Every byte of the encoding counts: those of the padding, of the identifier and of the digest.
#[test]
fn pkcs1_encodings() {
    for (scheme, pair) in [
        (Scheme::RsaPkcs1Sha256, &pairs()[0]),
        (Scheme::RsaPkcs1Sha512, &pairs()[1]),
    ] {
        let hash = Encoding::of(scheme).unwrap().hash;
        let digest = digest(hash, MESSAGE);
        let length = pair.public_modulus_len();
        let mut good = hash.pkcs1_around_digest(length);
        good[length - digest.len()..].copy_from_slice(&digest);
        let mut encodings = vec![("good".to_owned(), good.clone())];
        let mut vary = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let mut encoded = good.clone();
            change(&mut encoded);
            assert_eq!(encoded.len(), length);
            encodings.push((name.to_owned(), encoded));
        };
        let end_of_padding = length - digest.len() - 20;
        for at in [1, 2, 3, 10, 100, end_of_padding - 1, end_of_padding] {
            vary(&format!("byte {at}"), &|it| it[at] ^= 1);
        }
        for at in end_of_padding + 1..end_of_padding + 20 {
            vary(&format!("identifier, byte {at}"), &|it| it[at] ^= 1);
        }
        for at in [length - digest.len(), length - 1] {
            vary(&format!("digest, byte {at}"), &|it| it[at] ^= 0x80);
        }
        vary("of block type 2", &|it| it[1] = 2);
        vary("of block type 0", &|it| it[1] = 0);
        // Bleichenbacher 2006: short padding, and whatever is wanted behind the digest.
        vary("garbage behind the digest", &|it| {
            it.drain(2..102);
            it.extend([0x5a; 100]);
        });
        vary("a zero in the padding", &|it| it[20] = 0);
        // The identifier without its NULL, as some write it.
        vary("no NULL", &|it| {
            let at = end_of_padding + 1;
            it.drain(at + 15..at + 17);
            it[at + 1] -= 2;
            it[at + 3] -= 2;
            it.splice(2..2, [0xff, 0xff]);
        });
        vary("the digest alone", &|it| {
            it[end_of_padding..end_of_padding + 20].fill(0xff);
            it[end_of_padding + 19] = 0;
        });
        assert_first_alone(scheme, pair, &encodings);
    }
}

/// EMSA-PSS (RFC 8017 §9.1.1) with everything open to change.
struct Pss {
    hash: Hash,
    length: usize,
    salt: Vec<u8>,
    zeros: u8,
    separator: u8,
    last: u8,
    prefix: [u8; 8],
    counter: u32,
}

impl Pss {
    fn encode(&self) -> Vec<u8> {
        let digest_bytes = self.hash.bytes();
        let message_digest = digest(self.hash, MESSAGE);
        let salted = [&self.prefix[..], &message_digest, &self.salt].concat();
        let stored = digest(self.hash, &salted);
        let block_bytes = self.length - digest_bytes - 1;
        let mut block = vec![self.zeros; block_bytes - self.salt.len() - 1];
        block.push(self.separator);
        block.extend(&self.salt);
        for (counter, chunk) in (self.counter..).zip(block.chunks_mut(digest_bytes)) {
            let seed = [&stored[..], &counter.to_be_bytes()].concat();
            for (byte, mask) in chunk.iter_mut().zip(digest(self.hash, &seed)) {
                *byte ^= mask;
            }
        }
        block[0] &= 0x7f;
        [&block[..], &stored, &[self.last]].concat()
    }
}

/// Checks V-24. A salt of the digest's length and no other, zeros before it, and every part in its place.
#[test]
fn pss_encodings() {
    for (scheme, pair) in [
        (Scheme::RsaPssSha256, &pairs()[0]),
        (Scheme::RsaPssSha384, &pairs()[1]),
        (Scheme::RsaPssSha512, &pairs()[0]),
    ] {
        let hash = Encoding::of(scheme).unwrap().hash;
        let length = pair.public_modulus_len();
        let good = || Pss {
            hash,
            length,
            salt: vec![0x33; hash.bytes()],
            zeros: 0,
            separator: 1,
            last: 0xbc,
            prefix: [0; 8],
            counter: 0,
        };
        let mut encodings = vec![("good".to_owned(), good().encode())];
        let mut vary = |name: &str, encoded: Vec<u8>| {
            assert_eq!(encoded.len(), length);
            encodings.push((name.to_owned(), encoded));
        };
        vary(
            "last",
            Pss {
                last: 0xbd,
                ..good()
            }
            .encode(),
        );
        vary(
            "last of another trailer",
            Pss {
                last: 0xcc,
                ..good()
            }
            .encode(),
        );
        vary(
            "separator 2",
            Pss {
                separator: 2,
                ..good()
            }
            .encode(),
        );
        vary(
            "separator 0",
            Pss {
                separator: 0,
                ..good()
            }
            .encode(),
        );
        vary("padding", Pss { zeros: 1, ..good() }.encode());
        vary(
            "counter",
            Pss {
                counter: 1,
                ..good()
            }
            .encode(),
        );
        vary(
            "prefix",
            Pss {
                prefix: [0, 0, 0, 0, 0, 0, 0, 1],
                ..good()
            }
            .encode(),
        );
        for salt_bytes in [
            0,
            1,
            20,
            hash.bytes() - 1,
            hash.bytes() + 1,
            length - 2 - hash.bytes(),
        ] {
            // A salt one byte too long has its separator where the padding ends; one that is a byte short may
            // begin with a one.
            for byte in [0, 1, 0x33] {
                let salt = vec![byte; salt_bytes.min(length - hash.bytes() - 2)];
                vary(
                    &format!("salt of {salt_bytes}, {byte}"),
                    Pss { salt, ..good() }.encode(),
                );
            }
        }
        for at in [
            1,
            50,
            length - hash.bytes() - 2,
            length - hash.bytes() - 1,
            length - 2,
        ] {
            let mut encoded = good().encode();
            encoded[at] ^= 0x10;
            vary(&format!("byte {at}"), encoded);
        }
        // The highest bit, where the encoding stays below the modulus with it.
        let modulus = super::modulus(pair);
        let with_highest = (0u8..=255)
            .map(|byte| {
                let salt = vec![byte; hash.bytes()];
                let mut encoded = Pss { salt, ..good() }.encode();
                encoded[0] |= 0x80;
                encoded
            })
            .find(|encoded| *encoded < modulus);
        vary("highest bit", with_highest.expect("one of 256 is below"));
        assert_first_alone(scheme, pair, &encodings);
    }
}
