//! Every committed input, through its target and without the fuzzing engine. `FUZZ_INPUT=<file>` with
//! the name of a target replays one file instead.
#![allow(missing_docs, reason = "a test")]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The inputs of a target, or the one that was asked for.
fn inputs(target: &str) -> Vec<PathBuf> {
    if let Some(file) = env::var_os("FUZZ_INPUT") {
        return vec![file.into()];
    }
    let mut directories = vec![
        here().join("corpus").join(target),
        here().join("regressions").join(target),
    ];
    if target == "parse" {
        directories.push(here().join("../wire/tests/torture"));
    }
    directories
        .iter()
        .flat_map(|directory| files(directory))
        .collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn replay(target: &str) {
    let known = tipring_fuzz::TARGETS
        .iter()
        .find(|(name, _)| *name == target);
    let (_, run) = known.expect("a target");
    let inputs = inputs(target);
    assert!(!inputs.is_empty(), "{target} has no corpus");
    for input in inputs {
        // Printed only when the test fails: the last line names the input.
        println!("{}", input.display());
        run(&fs::read(&input).expect("a committed input"));
    }
}

#[test]
fn parse() {
    replay("parse");
}

#[test]
fn sdp() {
    replay("sdp");
}

#[test]
fn rtp() {
    replay("rtp");
}

#[test]
fn stack() {
    replay("stack");
}

#[test]
fn shard() {
    replay("shard");
}

#[test]
fn every_target_has_a_test_and_a_program() {
    let own = include_str!("replay.rs");
    let manifest = include_str!("../Cargo.toml");
    for (name, _) in tipring_fuzz::TARGETS {
        assert!(own.contains(&format!("replay({name:?})")), "{name}");
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "{name}"
        );
    }
}
