//! The profile that tests run in has the checks that the tests rely on: a sum that does not fit and a
//! debug assertion that does not hold are panics, and panics unwind.
#![allow(missing_docs, reason = "a test")]

use std::hint::black_box;
use std::panic::catch_unwind;

#[test]
fn overflow_is_checked() {
    let sum = catch_unwind(|| black_box(u8::MAX) + black_box(1));
    assert!(sum.is_err(), "overflow-checks is off in this profile");
}

#[test]
fn debug_assertions_are_on() {
    let held = catch_unwind(|| debug_assert!(black_box(false)));
    assert!(held.is_err(), "debug-assertions is off in this profile");
}
