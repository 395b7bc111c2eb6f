//! wip
mod corpus;
mod cpu;
mod drive;
mod keys;
mod mint;
mod mix;
mod options;
mod pace;
mod record;
fn main() {}
