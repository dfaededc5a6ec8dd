//! The `parse` target under libFuzzer; what it checks stands in `tipring_fuzz::parse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tipring_fuzz::parse::run(bytes));
