//! The `sdp` target under libFuzzer; what it checks stands in `tipring_fuzz::sdp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tipring_fuzz::sdp::run(bytes));
