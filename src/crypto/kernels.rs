//! Every kernel behind one door: which schemes have them, and which of a scheme's checks they know.
#![forbid(unsafe_code)]

use super::batch::Check;
use super::guard::Finding;
use super::tier::Tier;
use super::{Material, Scheme, ed25519, rsa, weierstrass};

/// From how many checks on a tier's kernel is usually faster than what is below it; `None` where it has none for
/// the scheme. Calibration corrects it.
pub(super) const fn checks_min(scheme: Scheme, tier: Tier) -> Option<u8> {
    match (scheme, tier) {
        (_, Tier::AwsLc) => None,
        (
            Scheme::EcdsaP256Sha256
            | Scheme::EcdsaP384Sha384
            | Scheme::EcdsaSecp256k1Sha256
            | Scheme::Ed25519,
            tier,
        ) => match tier {
            // One alone does not fill eight lanes.
            Tier::Ifma => Some(2),
            _ => Some(1),
        },
        (scheme, Tier::Ifma) if scheme.is_rsa() => Some(2),
        _ => None,
    }
}

/// Whether the scheme's kernels can say something about a check: its key is of a kind that they take, and has its
/// table if it needs one.
pub(super) fn knows(check: &Check<'_>) -> bool {
    match &check.key.material {
        Material::Rsa(_, constants) => constants.is_some(),
        Material::Weierstrass(_, key) => key.table().is_some(),
        Material::Ed25519(_, key) => key.table().is_some(),
        Material::Hmac(_) | Material::Public(_) => false,
    }
}

/// Finds out about each check, all of one scheme, by the kernel of a tier. A finding stands for its check alone;
/// what the kernel does not know stays undecided.
pub(super) fn find(scheme: Scheme, tier: Tier, checks: &[&Check<'_>], findings: &mut [Finding]) {
    findings.fill(Finding::Undecided);
    if scheme.is_rsa() {
        rsa::find(tier, scheme, checks, findings);
    } else if scheme == Scheme::Ed25519 {
        ed25519::find(tier, checks, findings);
    } else {
        weierstrass::find(tier, scheme, checks, findings);
    }
}
