//! Against real servers: what the scripts do, and what becomes of orders when servers fail. `make faults` sets
//! `JOTD_FAULTS` and runs the long ones too.

mod faults;
mod figures;
mod host;
mod scripts;
mod server;
