//! Known answers, good and bad: what a kernel must give before it may work, and again and again while it does.
#![forbid(unsafe_code)]

use super::vectors::{MESSAGE, VECTORS, Vector};
use super::{Find, Finding, WINDOW};
use crate::crypto::batch::Check;
use crate::crypto::tier::Tier;
use crate::crypto::{Scheme, TableWidth, VerifyingKey};
use std::ffi::OsStr;
use std::sync::OnceLock;

/// The known answers of a scheme.
pub(super) struct Canary {
    scheme: Scheme,
    /// For each vector the signature as it is, then as it must be refused.
    answers: Vec<(Check<'static>, Finding)>,
}

/// Names a kernel whose self-test shall fail, as `RsaPkcs1Sha256/ifma`: proof that the self-test can.
const BREAK_VARIABLE: &str = "JOTD_BREAK_SELF_TEST";

static CANARIES: [OnceLock<Canary>; Scheme::COUNT] = [const { OnceLock::new() }; Scheme::COUNT];

/// Makes the known answers of a scheme ready. Until that has been done its kernels have no work: this takes
/// milliseconds, for their key is prepared as any other.
pub(in crate::crypto) fn warm_up(scheme: Scheme) {
    CANARIES[scheme as usize].get_or_init(|| Canary::new(scheme));
}

/// The known answers of a scheme, once they are ready.
pub(super) fn of(scheme: Scheme) -> Option<&'static Canary> {
    CANARIES[scheme as usize].get()
}

impl Canary {
    /// How many go with a window.
    pub(super) const CHECKS: usize = 2;

    fn new(scheme: Scheme) -> Self {
        let vectors = VECTORS.iter().filter(|vector| vector.scheme == scheme);
        Self {
            scheme,
            answers: vectors.flat_map(answers).collect(),
        }
    }

    /// The signature that must be found genuine.
    pub(super) fn genuine(&'static self) -> &'static Check<'static> {
        &self.answers[0].0
    }

    /// The one that must not.
    pub(super) fn forged(&'static self) -> &'static Check<'static> {
        &self.answers[1].0
    }

    /// The signatures of all known answers.
    #[cfg(test)]
    pub(super) fn signatures(&self) -> impl Iterator<Item = &'static [u8]> {
        self.answers.iter().map(|(check, _)| check.signature)
    }

    /// Whether these are the right findings for [`Self::genuine`] and [`Self::forged`].
    pub(super) fn is_answered(findings: [Finding; Self::CHECKS]) -> bool {
        findings == [Finding::Genuine, Finding::Forged]
    }

    /// Whether a tier's kernel gives all known answers, each in every lane.
    pub(super) fn self_test(&self, tier: Tier, find: Find) -> bool {
        let broken = std::env::var_os(BREAK_VARIABLE);
        let name = format!("{:?}/{}", self.scheme, tier.name());
        if broken.as_deref() == Some(OsStr::new(&name)) {
            return false;
        }
        self.gives(|checks, findings| find(self.scheme, tier, checks, findings))
    }

    /// Whether `find` gives all known answers, each of them at every place of a window that lanes can tell apart.
    pub(super) fn gives(&self, mut find: impl FnMut(&[&Check<'_>], &mut [Finding])) -> bool {
        const PLACES: usize = 16;
        let count = self.answers.len();
        (0..count).all(|shift| {
            let at = |place: usize| &self.answers[(place + shift) % count];
            let checks: [&Check<'_>; PLACES] = std::array::from_fn(|place| &at(place).0);
            let mut findings = [Finding::Undecided; PLACES];
            find(&checks, &mut findings);
            (0..PLACES).all(|place| findings[place] == at(place).1)
        })
    }
}

const _: () = assert!(WINDOW > Canary::CHECKS);

/// A vector as it is; with a bit of its message, of its signature's first half and of its last byte turned.
fn answers(vector: &'static Vector) -> Vec<(Check<'static>, Finding)> {
    let Ok(key) = vector.key() else {
        return Vec::new();
    };
    key.build_table(TableWidth::Usual);
    // Known answers live as long as the process, one set a scheme.
    let key: &'static VerifyingKey = Box::leak(Box::new(key));
    let leak = |bytes: Vec<u8>| -> &'static [u8] { Vec::leak(bytes) };
    let turned = |mut bytes: Vec<u8>, place: usize| {
        bytes[place] ^= 1;
        leak(bytes)
    };
    let signature = vector.signature();
    let last = signature.len() - 1;
    let good = leak(signature.clone());
    let cases = [
        (MESSAGE, good, Finding::Genuine),
        (turned(MESSAGE.to_vec(), 7), good, Finding::Forged),
        (
            MESSAGE,
            turned(signature.clone(), last / 3),
            Finding::Forged,
        ),
        (MESSAGE, turned(signature, last), Finding::Forged),
    ];
    cases
        .map(|(message, signature, finding)| {
            let check = Check {
                key,
                message,
                signature,
            };
            (check, finding)
        })
        .into()
}
