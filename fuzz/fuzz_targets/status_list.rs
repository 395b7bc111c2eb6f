#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jotd::revocation::fuzz::status_list(data));
