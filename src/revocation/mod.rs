//! What was revoked: orders, the records they become, and the register that holds every record.
//!
//! Records only ever grow and merge, so that repetition, reordering, loss and repair do no harm; there is no way to
//! take one back. The room never fetches, stores or sends one: logs are upstream's work. It names nobody: a record
//! holds a keyed hash of who is meant.
#![forbid(unsafe_code)]

pub mod audit;
mod coherence;
#[doc(hidden)]
pub mod fuzz;
mod id_key;
mod log_report;
mod members;
mod order;
mod probe;
mod quota;
mod receipt;
mod record;
mod register;
mod sieve;
pub mod signal;
mod stamp;
mod standing;
pub mod status;
mod table;
mod tenant;
#[cfg(test)]
mod tests;

pub use crate::verdict::{Freshness, RevocationState as State};
pub use id_key::{IdKey, TenantIds};
pub use log_report::LogReport;
pub use members::{Member, Members};
pub use order::{Issued, ORDER_BYTES_MAX, ORDER_VALUE_BYTES_MAX, Order, OrderFault};
pub use probe::{Facts, Probed, Recheck};
pub use receipt::{Arrival, Guarantee, NotTaken, Position, Progress, Receipt, Wait, kind_of};
pub use record::{Record, RecordError, RecordKey, TenantTag};
pub use register::{
    Count, Merged, Options, PRUNE_MARGIN_SECONDS, Register, TENANT_RECORDS_DEFAULT,
};
pub use stamp::Stamp;
pub use standing::{Staleness, Standing};
pub use tenant::Tenancy;
