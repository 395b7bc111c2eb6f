#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jotd::revocation::fuzz::signal(data));
