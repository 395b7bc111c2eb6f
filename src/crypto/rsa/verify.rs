//! RSA verification (RFC 8017 §8.1.2, §8.2.2) of many signatures, each in a lane of its own and with its own
//! finding.
#![forbid(unsafe_code)]

use super::block::NO_LIMBS;
use super::constants::{Constants, SQUARES};
use super::encoding::{Digest, Encoding, Hash, Padding};
use super::kernel::Kernel;
use super::lanes::LANES_MAX;
use super::number::{read_lane, write_lane};
use super::pss::Encodings;
use super::room::Room;
use std::cell::RefCell;

pub(super) use crate::crypto::guard::Finding;

/// A signature to verify.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    /// Of its key, for the scheme at hand.
    pub(super) key: &'a Constants,
    /// The message's digest.
    pub(super) digest: &'a Digest,
    pub(super) signature: &'a [u8],
}

/// A signature of the right length and below its modulus.
#[derive(Clone, Copy)]
struct Claim<'a> {
    /// Where its finding belongs.
    place: usize,
    signed: Signed<'a>,
}

/// Recovered encodings are looked at so many at a time, to fill the lanes that hash.
const ENCODINGS: usize = 2 * LANES_MAX;

thread_local! {
    static ROOM: RefCell<Box<Room>> = RefCell::new(Room::new());
}

impl Kernel {
    /// Finds out about each signature, in order; fewer than `fewest` of one size are left undecided.
    pub(super) fn verify(
        self,
        encoding: Encoding,
        signed: &[Signed<'_>],
        fewest: usize,
        findings: &mut [Finding],
    ) {
        // What is no claim is forged.
        findings.fill(Finding::Forged);
        let mut claims: Vec<_> = (0..).zip(signed).filter_map(claim).collect();
        claims.sort_by_key(Claim::blocks);
        ROOM.with_borrow_mut(|room| {
            for claims in claims.chunk_by(|a, b| a.blocks() == b.blocks()) {
                let lone = claims.len() % self.lanes();
                let lone = if lone < fewest { lone } else { 0 };
                let (claims, lone) = claims.split_at(claims.len() - lone);
                for claim in lone {
                    findings[claim.place] = Finding::Undecided;
                }
                for claims in claims.chunks(ENCODINGS) {
                    match encoding.padding {
                        Padding::Pkcs1 => self.verify_pkcs1(room, encoding.hash, claims, findings),
                        Padding::Pss => self.verify_pss(room, encoding.hash, claims, findings),
                    }
                }
            }
        });
    }

    /// The power of a signature is held against the expected encoding, which is brought into the same form.
    fn verify_pkcs1(
        self,
        room: &mut Room,
        hash: Hash,
        claims: &[Claim<'_>],
        findings: &mut [Finding],
    ) {
        for claims in claims.chunks(self.lanes()) {
            let keys = self.raise(room, claims);
            let keys = &keys[..claims.len()];
            let mut digests = NO_LIMBS;
            for (lane, claim) in claims.iter().enumerate() {
                let digest = &claim.signed.digest[..hash.bytes()];
                read_lane(std::slice::from_mut(&mut digests), lane, digest);
            }
            room.expect(self, keys, &digests);
            let genuine = room.as_expected(self);
            for (lane, claim) in claims.iter().enumerate() {
                if genuine >> lane & 1 == 1 {
                    findings[claim.place] = Finding::Genuine;
                }
            }
        }
    }

    /// The power of a signature is brought back from Montgomery's form, and looked at as an encoding.
    fn verify_pss(
        self,
        room: &mut Room,
        hash: Hash,
        claims: &[Claim<'_>],
        findings: &mut [Finding],
    ) {
        // All are of one size.
        let each_bytes = claims.first().map_or(0, |it| it.signed.signature.len());
        let mut encodings = Encodings {
            hash,
            bytes: vec![0; each_bytes * claims.len()],
            each_bytes,
            digests: claims.iter().map(|it| it.signed.digest).collect(),
        };
        let mut encoded = encodings.bytes.chunks_exact_mut(each_bytes);
        for claims in claims.chunks(self.lanes()) {
            let keys = self.raise(room, claims);
            room.load_factor_from_keys(&keys[..claims.len()], |key| &key.scale);
            room.multiply(self);
            let numbers = room.reduced(self);
            for (lane, encoded) in (0..claims.len()).zip(&mut encoded) {
                write_lane(numbers, lane, encoded);
            }
        }
        let genuine = encodings.verify();
        for (claim, genuine) in claims.iter().zip(genuine) {
            if genuine {
                findings[claim.place] = Finding::Genuine;
            }
        }
    }

    /// Leaves `s^65537 R^-65536` of each claim in its lane, and gives back the lanes' keys.
    fn raise<'a>(self, room: &mut Room, claims: &[Claim<'a>]) -> [&'a Constants; LANES_MAX] {
        let keys = std::array::from_fn(|lane| claims[lane.min(claims.len() - 1)].signed.key);
        room.load_moduli(&keys[..claims.len()]);
        for (lane, claim) in claims.iter().enumerate() {
            room.read(lane, claim.signed.signature);
        }
        for lane in claims.len()..LANES_MAX {
            room.read(lane, &[]);
        }
        room.remember();
        room.square_times(self, SQUARES);
        room.multiply(self);
        keys
    }
}

impl Claim<'_> {
    fn blocks(&self) -> usize {
        self.signed.key.blocks()
    }
}

/// RFC 8017 §8.1.2 and §8.2.2: a signature is as long as the modulus, and §5.2.2: "between 0 and n - 1".
fn claim<'a>((place, &signed): (usize, &Signed<'a>)) -> Option<Claim<'a>> {
    let modulus = signed.key.modulus.as_slice();
    let in_range = signed.signature.len() == modulus.len() && signed.signature < modulus;
    in_range.then_some(Claim { place, signed })
}
