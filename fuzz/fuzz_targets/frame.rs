//! Everything the Unix socket decodes. The bodies live in `jotd::transport::wire::fuzz`.
#![no_main]

use jotd::transport::wire::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    fuzz::any_bytes(data);
    fuzz::any_verdicts(data);
});
