//! The room's tests: key rules, public vectors, and batches of every size.

mod batches;
