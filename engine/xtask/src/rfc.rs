//! docs/rfc.md: which clause of which RFC is obeyed where, and what shows it. Written from the registry
//! docs/rfc.toml, whose every place must exist: a path, and what stands after its `#` (an item of a Rust
//! file, or a scenario's name) must be found there.

use crate::failure::Failure;
use crate::house;
use crate::scenarios::manifest;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const REGISTRY: &str = "docs/rfc.toml";
const TABLE: &str = "docs/rfc.md";
/// Stands for sipp-scenarios/manifest.toml in a place.
const SCENARIO: &str = "scenario";

const HEAD: &str = "# RFCs, clause by clause

Generated from [rfc.toml](rfc.toml) by `cargo run -p xtask -- rfc`; a test fails when it is stale, or when a place it
names is gone. **implemented**: as the text says. **partial**: what is missing stands beside it. **passed**: the two ends'
own business, it crosses the router unchanged. **refused**: answered with the error the RFC has for it. A test is a scenario
of [sipp-scenarios](../sipp-scenarios/README.md) (by its name alone), or a function of a test file.
";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    rfc: Vec<Rfc>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rfc {
    number: u16,
    title: String,
    rows: Vec<Row>,
}

/// Section, feature, state, code, tests. A place is `path`, `path#item` or `scenario#name`.
#[derive(Debug, Deserialize)]
struct Row(String, String, State, String, Vec<String>);

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    Implemented,
    Partial,
    Passed,
    Refused,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            State::Implemented => "implemented",
            State::Partial => "partial",
            State::Passed => "passed",
            State::Refused => "refused",
        }
    }
}

/// Writes docs/rfc.md. False when a place of the registry is dead.
pub(crate) fn run() -> Result<bool, Failure> {
    let registry = read(&house::root())?;
    let dead = dead_places(&house::root(), &registry)?;
    for place in &dead {
        println!("{REGISTRY}: {place}");
    }
    let path = house::root().join(TABLE);
    fs::write(path, print(&registry)).map_err(Failure::machine(TABLE))?;
    Ok(dead.is_empty())
}

fn read(root: &Path) -> Result<Registry, Failure> {
    let path = root.join(REGISTRY);
    let text = fs::read_to_string(path).map_err(Failure::machine(REGISTRY))?;
    toml::from_str(&text).map_err(|error| Failure::Check(format!("{REGISTRY}: {error}")))
}

fn print(registry: &Registry) -> String {
    let mut text = String::from(HEAD);
    for rfc in &registry.rfc {
        let number = rfc.number;
        let _ = write!(
            text,
            "\n## [RFC {number}](https://www.rfc-editor.org/rfc/rfc{number}): {}\n\n\
             | section | what | state | code | shown by |\n|---|---|---|---|---|\n",
            rfc.title
        );
        for Row(section, feature, state, code, tests) in &rfc.rows {
            let tests: Vec<String> = tests.iter().map(|test| link(test)).collect();
            let _ = writeln!(
                text,
                "| {section} | {feature} | {} | {} | {} |",
                state.text(),
                link(code),
                tests.join(", ")
            );
        }
    }
    text
}

/// A place as a reader of docs/ follows it.
fn link(place: &str) -> String {
    match place.split_once('#') {
        Some((SCENARIO, name)) => format!("`{name}`"),
        Some((path, item)) => format!("[`{item}`](../{path})"),
        None if place.is_empty() => String::new(),
        None => format!(
            "[{}](../{place})",
            place.rsplit('/').next().unwrap_or(place)
        ),
    }
}

fn dead_places(root: &Path, registry: &Registry) -> Result<Vec<String>, Failure> {
    let manifest = manifest::read(&house::scenarios().join("manifest.toml"))?;
    let scenarios: BTreeSet<&str> = manifest.scenario.iter().map(|s| s.name.as_str()).collect();
    let mut dead = Vec::new();
    for rfc in &registry.rfc {
        for Row(section, feature, state, code, tests) in &rfc.rows {
            let at = format!("RFC {} {section}, {feature}", rfc.number);
            if tests.is_empty() && *state != State::Partial {
                dead.push(format!("{at}: nothing shows it"));
            }
            if code.is_empty() && *state != State::Passed {
                dead.push(format!("{at}: no code"));
            }
            let places = tests.iter().chain((!code.is_empty()).then_some(code));
            for place in places.filter(|place| !is_alive(root, &scenarios, place)) {
                dead.push(format!("{at}: {place} is not there"));
            }
        }
    }
    Ok(dead)
}

fn is_alive(root: &Path, scenarios: &BTreeSet<&str>, place: &str) -> bool {
    let (path, item) = place.split_once('#').unwrap_or((place, ""));
    if path == SCENARIO {
        return scenarios.contains(item);
    }
    if item.is_empty() {
        return root.join(path).exists();
    }
    fs::read_to_string(root.join(path)).is_ok_and(|text| defines(&text, item))
}

/// Whether a Rust file defines this item.
fn defines(text: &str, item: &str) -> bool {
    const KINDS: [&str; 7] = ["fn", "struct", "enum", "const", "static", "mod", "type"];
    let starts = |line: &str, kind: &str| {
        let rest = line
            .split_once(&format!("{kind} {item}"))
            .map(|(_, rest)| rest);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    text.lines()
        .any(|line| KINDS.iter().any(|kind| starts(line, kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_the_registry_says_and_every_place_in_it_exists() {
        let root = house::root();
        let registry = read(&root).expect("a readable registry");
        assert_eq!(dead_places(&root, &registry).expect("a manifest"), [""; 0]);
        let table = fs::read_to_string(root.join(TABLE)).expect("docs/rfc.md");
        assert!(
            table == print(&registry),
            "stale: cargo run -p xtask -- rfc"
        );
    }

    #[test]
    fn what_is_not_there_is_dead() {
        let registry: Registry = toml::from_str(
            r#"
            [[rfc]]
            number = 3261
            title = "SIP"
            rows = [
                ["1", "a", "implemented", "engine/xtask/src/rfc.rs#is_alive", ["scenario#basic_call"]],
                ["2", "b", "implemented", "engine/xtask/src/rfc.rs#is_aliv", ["scenario#basic_call"]],
                ["3", "c", "partial", "engine/xtask/src/gone.rs", ["scenario#no_such"]],
                ["4", "d", "refused", "", ["engine/xtask/src/rfc.rs"]],
                ["5", "e", "passed", "", []],
                ["6", "f", "partial", "engine/xtask/src/rfc.rs", []],
            ]
            "#,
        )
        .expect("a registry");
        let dead = dead_places(&house::root(), &registry).expect("a manifest");
        let sections: Vec<&str> = dead.iter().filter_map(|line| line.get(9..10)).collect();
        assert_eq!(sections, ["2", "3", "3", "4", "5"], "{dead:#?}");
    }

    #[test]
    fn a_place_becomes_a_link() {
        assert_eq!(link("scenario#basic_call"), "`basic_call`");
        assert_eq!(link("engine/a.rs#f"), "[`f`](../engine/a.rs)");
        assert_eq!(link("engine/a.rs"), "[a.rs](../engine/a.rs)");
    }
}
