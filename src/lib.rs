//! jotd answers one question for every service on its host: *may this token be trusted, right now,
//! for this?* It is a batch verification engine for JSON Web Tokens (RFC 7519).
//!
//! The modules below are the rooms of one house, listed by floor. A room imports only from floors
//! below its own, and rooms on one floor do not know each other; `tests::floor_plan` reads this file
//! and fails on an import that climbs. `docs/ARCHITECTURE.md` is the guided tour.

// Floor 8: the roof. Wires the rooms together, starts, reloads, drains, stops.
pub mod daemon;

// Floor 7: the office. File and environment in, one checked `Config` out.
pub mod config;

// Floor 6: the doors. Everything that opens a socket or a file.
pub mod transport;
pub mod upstream;
pub mod vault;

// Floor 5: the engine. Pinned workers, mailboxes, batches.
pub mod engine;

// Floor 4: the decisions. Functions of tokens, snapshots and a given `now`.
pub mod issuer;
pub mod verify;

// Floor 3: the records. Snapshots of what we know; no I/O.
pub mod cache;
pub mod keys;
pub mod policy;
pub mod replay;
pub mod revocation;

// Floor 2: the standards. What RFC 7515, 7517, 7518 and 7519 say, and the outcomes we can give.
pub mod jose;
pub mod verdict;

// Floor 1: the workshop. Bytes, keys and bits; it does not know what a token is.
pub mod crypto;
pub mod encoding;

// Floor 0: the ground.
pub mod clock;
pub mod limits;
pub mod metrics;
pub mod os;
pub mod simd;
pub mod sync;

#[cfg(test)]
mod tests;
