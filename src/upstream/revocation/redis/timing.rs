//! How long things may take, and how these times relate.
#![forbid(unsafe_code)]

use super::wire::Millis;

/// All of it follows from the lease, which is what an operator chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// How long after a sign of life what has been read still counts as all there is.
    pub(crate) lease_ms: Millis,
    /// Longest wait for news before a reader looks whether it is still where it believes to be.
    pub(crate) block_ms: Millis,
    /// Pause between two signs of life: four reach a reader before its lease is half over.
    pub(crate) beat_ms: Millis,
    /// How long after its lease a log goes from suspect to stale.
    pub(crate) stale_after_ms: Millis,
    /// How long nobody believes a new history to be complete, so that those who know more can say so.
    pub(crate) settle_ms: Millis,
    /// Pause between two comparisons of all that is known with all that a log holds.
    pub(crate) audit_ms: Millis,
    /// How long an order may wait for its logs before the answer is "pending".
    pub(crate) accept_ms: Millis,
    /// Pause before a write is tried again that a log would not take.
    pub(crate) retry_ms: Millis,
    /// Whose note has not changed for so long relies on the log no longer.
    pub(crate) gone_ms: Millis,
    /// How long an order that was accepted may wait for every daemon before the answer is "accepted".
    pub(crate) applied_ms: Millis,
    /// The seeded fault, if any.
    #[cfg(test)]
    pub(crate) mutant: Option<Mutant>,
}

impl Timing {
    /// `lag_ms` is how long a primary may write signs of life after it has been cut off, so how much longer than its
    /// lease somebody may follow it.
    pub(crate) fn new(lease_ms: Millis, settle_ms: Millis, lag_ms: Millis) -> Self {
        let gone_ms = lease_ms + lease_ms / 4 + lag_ms;
        Self {
            lease_ms,
            block_ms: lease_ms / 4,
            beat_ms: lease_ms / 8,
            stale_after_ms: lease_ms * 15,
            settle_ms,
            audit_ms: 3_600_000,
            accept_ms: 1_000,
            retry_ms: 50,
            gone_ms,
            applied_ms: gone_ms + 1_000,
            #[cfg(test)]
            mutant: None,
        }
    }

    /// Whether the machines are to make this mistake. Never, outside the simulator.
    #[cfg(not(test))]
    pub(crate) fn errs(&self, _: Mutant) -> bool {
        false
    }

    #[cfg(test)]
    pub(crate) fn errs(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// Mistakes that a protocol like this one is built with. The simulator must see each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// An order is accepted as soon as any one log has it.
    AcceptsBeforeQuorum,
    /// A log counts although it did not confirm that the write would survive it.
    IgnoresDurability,
    /// After a reconnect, reading goes on at the old position, whatever is there now.
    TrustsItsCursor,
    /// Neither sequence nor chain are looked at.
    IgnoresGaps,
    /// The lease runs from when the sign of life arrived.
    LeaseFromReceipt,
    /// A new server goes on with the ids of the old one.
    KeepsEpoch,
    /// What a log has lost is not written back.
    NeverRepairs,
    /// What was written and then lost with an epoch is forgotten.
    ForgetsUnseen,
    /// The lease runs from when the read was sent that brought the sign of life.
    LeaseFromSend,
    /// A new history is believed to be complete at once.
    NeverSettles,
    /// Whoever says nothing is not waited for.
    ForgetsTheSilent,
    /// Whoever has not been seen is taken not to be there, however short the time.
    BelievesTheRollAtOnce,
}
