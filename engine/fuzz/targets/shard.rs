//! The `shard` target under libFuzzer; what it checks stands in `tipring_fuzz::shard`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tipring_fuzz::shard::run(bytes));
