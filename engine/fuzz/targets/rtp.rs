//! The `rtp` target under libFuzzer; what it checks stands in `tipring_fuzz::rtp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tipring_fuzz::rtp::run(bytes));
