//! What only the operating system knows: which CPUs are ours, who users and groups are, and whose a file is. Thin and
//! safe; it refuses to guess.

mod accounts;
mod activation;
mod cpus;
mod harden;
mod host;
mod lock;
mod random;

pub use accounts::{group_id, user_id};
pub use activation::{Activated, take_activated};
pub use cpus::{allowed_cpus, pin_to};
pub use harden::{harden, raise_open_files};
pub use host::host_name;
pub use lock::FileLock;
pub use random::fill_random;
