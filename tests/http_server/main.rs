//! The doors that speak HTTP and gRPC, from outside: real sockets, real tokens, the real engine.
#![allow(
    clippy::unwrap_used,
    reason = "a test may say what it expects by failing"
)]

mod admin;
mod drain;
mod grpc;
mod house;
mod limits;
mod routes;
mod tls;
mod tokens;
