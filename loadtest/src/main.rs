//! wip
mod corpus;
mod cpu;
mod drive;
mod echo;
mod keys;
mod mill;
mod mint;
mod mix;
mod options;
mod pace;
mod record;
mod server;
fn main() {}
