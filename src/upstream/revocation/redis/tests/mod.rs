//! Against real servers: what the scripts do, and what becomes of orders when servers fail. `make faults` sets
//! `JOTD_FAULTS` and does the long ones at length.

mod applied;
mod deployments;
mod faults;
mod figures;
mod host;
mod network;
mod notes;
mod scripts;
pub(in crate::upstream::revocation) mod server;
mod uses;

#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn is_thorough() -> bool {
    std::env::var("JOTD_FAULTS").is_ok()
}
