//! Revocation as its operators and callers see it: a daemon with its own log, from the order to the refused token.
#![allow(
    clippy::disallowed_methods,
    reason = "a test waits in real time, and mints for now"
)]

mod command_line;
mod crashes;
#[path = "../daemon_support/mod.rs"]
mod daemon_support;
mod documented;
mod feeds;
mod figures;
mod many;
#[path = "../redis_server/mod.rs"]
mod redis;
mod shared;
mod status_lists;
mod support;
mod surfaces;
mod tokens;
