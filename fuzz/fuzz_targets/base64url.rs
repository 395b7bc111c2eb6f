#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| jotd::encoding::fuzz::base64url(data));
