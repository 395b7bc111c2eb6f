#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jotd::jose::fuzz::jwe(data));
