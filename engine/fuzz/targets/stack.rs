//! The `stack` target under libFuzzer; what it checks stands in `tipring_fuzz::stack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tipring_fuzz::stack::run(bytes));
