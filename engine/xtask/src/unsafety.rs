//! Where `unsafe` may be: in the reactor, and in one file of the load generator. Every other package forbids it
//! at the root of each of its libraries and programs, where no module below can allow it again. Part of
//! `cargo xtask arrows`; which blocks are right is for their SAFETY comments.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The package whose work it is.
const FREE: &str = "tipring-reactor";
/// Its programs are made by `fuzz_target!`, whose entry point libFuzzer calls; what they do is in the library.
const FUZZ: &str = "tipring-fuzz";
/// A package, and the one file of it that may.
const ONE_FILE: (&str, &str) = ("tipring-bench", "io.rs");

/// One line for each root that does not say so, by the output of `cargo metadata`.
pub(crate) fn offences(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let roots = packages.flat_map(|package| {
        let name = package["name"].as_str().unwrap_or_default();
        let targets = package["targets"].as_array().into_iter().flatten();
        let built = targets.filter(move |target| is_built(target, name != FUZZ));
        built.filter_map(move |target| Some((name, target["src_path"].as_str()?)))
    });
    roots
        .filter_map(|(name, root)| offence(name, Path::new(root)))
        .collect()
}

/// Libraries, and programs where they count; tests, benches and examples come with none of them.
fn is_built(target: &Value, programs: bool) -> bool {
    let kinds = target["kind"].as_array().into_iter().flatten();
    kinds
        .filter_map(Value::as_str)
        .any(|kind| matches!(kind, "lib" | "rlib" | "proc-macro") || programs && kind == "bin")
}

fn offence(package: &str, root: &Path) -> Option<String> {
    let source = fs::read_to_string(root).unwrap_or_default();
    let wanted = match package {
        FREE => return None,
        name if name == ONE_FILE.0 => return one_file(root, &source),
        _ => "#![forbid(unsafe_code)]",
    };
    (!says(&source, wanted)).then(|| format!("{package}: {} has no {wanted}", root.display()))
}

/// The root denies it, and no file beside it allows it but the one.
fn one_file(root: &Path, source: &str) -> Option<String> {
    let (package, file) = ONE_FILE;
    let wanted = "#![deny(unsafe_code)]";
    if !says(source, wanted) {
        return Some(format!("{package}: {} has no {wanted}", root.display()));
    }
    let other = allowing(root.parent()?)
        .into_iter()
        .find(|found| found != file)?;
    Some(format!("{package}: {other} allows unsafe_code; {file} may"))
}

/// The files below a directory that allow it, by their names.
fn allowing(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(allowing(&path));
        } else if fs::read_to_string(&path).is_ok_and(|text| allows(&text)) {
            let name = path.file_name().unwrap_or_default();
            found.push(name.to_string_lossy().into_owned());
        }
    }
    found
}

fn says(source: &str, attribute: &str) -> bool {
    source.lines().any(|line| line.trim() == attribute)
}

/// In an attribute of one line or of several.
fn allows(source: &str) -> bool {
    let lint = ["unsafe", "_code"].concat();
    let attributes = source.split("#[").chain(source.split("#!["));
    attributes
        .filter_map(|rest| rest.split(']').next())
        .any(|attribute| {
            let word = attribute.trim_start();
            (word.starts_with("allow(") || word.starts_with("expect(")) && attribute.contains(&lint)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is said of a package whose root, and another file of which, hold this.
    fn said(package: &str, root: &str, other: &str) -> Vec<String> {
        let name = format!("tipring-unsafety-{}-{package}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("main.rs");
        fs::write(&path, root).expect("a root");
        fs::write(directory.join("other.rs"), other).expect("a file");
        let target = json!({"kind": ["bin"], "src_path": path});
        let test = json!({"kind": ["test"], "src_path": "nowhere.rs"});
        let found = offences(&json!({
            "packages": [{"name": package, "targets": [target, test]}]
        }));
        fs::remove_dir_all(&directory).expect("removed");
        found
    }

    #[test]
    fn every_root_forbids_it_but_the_reactors() {
        assert_eq!(
            said("tipring-wire", "#![forbid(unsafe_code)]\n", ""),
            [""; 0]
        );
        assert_eq!(said("tipring-sim", "fn main() {}\n", "").len(), 1);
        assert_eq!(
            said("tipring-shard", "#![deny(unsafe_code)]\n", "").len(),
            1
        );
        for free in ["tipring-reactor", "tipring-fuzz"] {
            assert_eq!(said(free, "", ""), [""; 0], "{free}");
        }
    }

    #[test]
    fn the_load_generator_has_one_file_with_it() {
        let deny = "#![deny(unsafe_code)]\n";
        assert_eq!(said("tipring-bench", deny, "fn other() {}"), [""; 0]);
        let attribute = "#![allow(\n    unsafe_code,\n    reason = \"x\"\n)]";
        assert_eq!(said("tipring-bench", deny, attribute).len(), 1);
        assert_eq!(said("tipring-bench", "", "").len(), 1);
    }
}
