//! The Unix socket from outside: a real socket, real tokens, the real engine.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may say what it expects by failing, and its modules are its own"
)]

mod drain;
mod faults;
mod frames;
mod house;
mod limits;
mod peers;
