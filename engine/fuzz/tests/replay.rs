//! Every committed input, through its target and without the fuzzing engine. `FUZZ_INPUT=<file>` with
//! the name of a target replays one file instead.
#![allow(missing_docs, reason = "a test")]
#![allow(
    clippy::print_stdout,
    reason = "captured: it is shown only when the test fails"
)]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The inputs of a target by name, or the one that was asked for.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    if let Some(file) = env::var_os("FUZZ_INPUT") {
        return vec![read(file.into())];
    }
    let mut directories = vec![here().join("regressions").join(target)];
    if target == "parse" {
        directories.push(here().join("../wire/tests/torture"));
    }
    let others = directories.iter().flat_map(|directory| files(directory));
    corpus(target).into_iter().chain(others.map(read)).collect()
}

/// The committed corpus: an input a line, in hexadecimal digits.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let text = fs::read_to_string(here().join("corpus").join(format!("{target}.hex")));
    let text = text.unwrap_or_else(|error| panic!("the corpus of {target}: {error}"));
    text.lines()
        .map(|line| (line.to_owned(), bytes(line)))
        .collect()
}

fn bytes(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn read(path: PathBuf) -> (String, Vec<u8>) {
    let bytes = fs::read(&path).expect("an input that can be read");
    (path.display().to_string(), bytes)
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
    for (name, input) in inputs {
        // Printed only when the test fails: the last line names the input.
        println!("{name}");
        run(&input);
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

/// A corpus that only knocks at the door would prove little.
#[test]
fn the_corpus_of_the_shard_goes_deep() {
    let worlds = corpus("shard");
    let played = worlds
        .iter()
        .map(|(_, bytes)| tipring_fuzz::shard::play(bytes));
    let counted: Vec<_> = played.collect();
    let sum = |count: fn(&shard::Counters) -> u64| counted.iter().map(count).sum::<u64>();
    for (what, count) in [
        ("answered", sum(|counters| counters.calls_answered)),
        ("echoed", sum(|counters| counters.calls_echoed)),
        ("cancelled", sum(|counters| counters.calls_cancelled)),
        ("timed out", sum(|counters| counters.calls_timed_out)),
        ("limited", sum(|counters| counters.calls_limited)),
        ("relayed inside calls", sum(|counters| counters.relayed)),
        ("relayed as media", sum(|counters| counters.media.relayed)),
        ("probed", sum(|counters| counters.probes)),
        (
            "asked of the application server",
            sum(|counters| counters.application_server_probes),
        ),
        (
            "answered as malformed",
            sum(|counters| counters.malformed_answered),
        ),
    ] {
        println!("{what}: {count}");
        assert!(count > 0, "nothing was {what}");
    }
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
