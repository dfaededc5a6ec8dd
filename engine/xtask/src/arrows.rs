//! `cargo xtask arrows`: the rooms' dependency arrows only point down, the pure rooms know neither sockets nor
//! the system, and `unsafe` is where it may be (`unsafety`). It reads `cargo metadata`; dev-dependencies are excepted, since tests may look
//! up from below.

use crate::failure::Failure;
use crate::house;
use crate::unsafety;
use serde_json::Value;
use std::process::Command;

/// The rooms each room may depend on. A member without a row fails the check: it needs a decision.
const MAY_USE: &[(&str, &[&str])] = &[
    ("tipring-wire", &[]),
    ("tipring-stack", &["tipring-wire"]),
    ("tipring-media", &["tipring-wire", "tipring-stack"]),
    (
        "tipring-router",
        &["tipring-wire", "tipring-stack", "tipring-media"],
    ),
    (
        "tipring-shard",
        &[
            "tipring-wire",
            "tipring-stack",
            "tipring-media",
            "tipring-router",
        ],
    ),
    ("tipring-latency", &[]),
    (
        "tipring-journal",
        &[
            "tipring-wire",
            "tipring-stack",
            "tipring-media",
            "tipring-router",
        ],
    ),
    ("tipring-reactor", &[]),
    (
        "tipring-control",
        &[
            "tipring-wire",
            "tipring-stack",
            "tipring-media",
            "tipring-router",
        ],
    ),
    (
        "tipring-server",
        &[
            "tipring-wire",
            "tipring-stack",
            "tipring-media",
            "tipring-router",
            "tipring-shard",
            "tipring-latency",
            "tipring-journal",
            "tipring-reactor",
            "tipring-control",
        ],
    ),
    (
        "tipring-sim",
        &[
            "tipring-wire",
            "tipring-stack",
            "tipring-media",
            "tipring-router",
            "tipring-shard",
        ],
    ),
    (
        "tipring-fuzz",
        &[
            "tipring-wire",
            "tipring-stack",
            "tipring-media",
            "tipring-router",
            "tipring-shard",
        ],
    ),
    (
        "tipring-bench",
        &[
            "tipring-wire",
            "tipring-stack",
            "tipring-media",
            "tipring-router",
            "tipring-shard",
            "tipring-latency",
            "tipring-reactor",
        ],
    ),
    ("xtask", &[]),
];

/// Rooms without clock, socket or system call: sans-IO, so that the simulator can replay them.
const PURE: &[&str] = &[
    "tipring-wire",
    "tipring-stack",
    "tipring-media",
    "tipring-router",
    "tipring-shard",
    "tipring-sim",
    "tipring-journal",
];

/// Packages that open sockets, wait or call the system.
const IMPURE: &[&str] = &[
    "tokio",
    "socket2",
    "io-uring",
    "libc",
    "mio",
    "glommio",
    "nix",
    "rustix",
    "async-std",
];

/// One dependency of a workspace member.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
}

/// Checks this workspace; true when every arrow points down.
pub(crate) fn run() -> Result<bool, Failure> {
    let metadata = metadata()?;
    let mut wrong = offences(&members(&metadata), &edges(&metadata));
    wrong.extend(unsafety::offences(&metadata));
    for line in &wrong {
        println!("{line}");
    }
    match wrong.len() {
        0 => println!("arrows: all point down, and unsafe is where it may be"),
        count => println!("arrows: {count} wrong"),
    }
    Ok(wrong.is_empty())
}

fn metadata() -> Result<Value, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(house::root())
        .output()
        .map_err(Failure::machine("cannot run cargo metadata"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::Check(format!("cargo metadata: {words}")));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::Check(format!("cargo metadata is not JSON: {error}")))
}

fn members(metadata: &Value) -> Vec<String> {
    packages(metadata)
        .map(|package| text(package, "name"))
        .collect()
}

/// Every normal and build dependency of every member.
fn edges(metadata: &Value) -> Vec<Edge> {
    let of = |package: &Value| {
        let from = text(package, "name");
        let dependencies = package["dependencies"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let real = dependencies.into_iter().filter(|one| one["kind"] != "dev");
        real.map(move |one| Edge {
            from: from.clone(),
            to: text(&one, "name"),
        })
        .collect::<Vec<_>>()
    };
    packages(metadata).flat_map(of).collect()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// One line for each edge that must not be, and for each member the table does not know.
fn offences(members: &[String], edges: &[Edge]) -> Vec<String> {
    let unknown = members.iter().filter(|name| allowed(name).is_none());
    let mut found: Vec<String> = unknown
        .map(|name| format!("{name} has no row in the table of rooms"))
        .collect();
    for Edge { from, to } in edges {
        let upward = members.contains(to)
            && allowed(from).is_some_and(|below| !below.contains(&to.as_str()));
        if upward {
            found.push(format!("{from} -> {to} does not point down"));
        }
        if PURE.contains(&from.as_str()) && IMPURE.contains(&to.as_str()) {
            found.push(format!(
                "{from} -> {to}: a pure room may not know sockets or the system"
            ));
        }
    }
    found
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    MAY_USE
        .iter()
        .find(|(room, _)| *room == name)
        .map(|(_, below)| *below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn house(dependencies: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        let packages: Vec<Value> = MAY_USE
            .iter()
            .map(|(name, _)| {
                let own = dependencies.iter().filter(|(from, ..)| from == name);
                let own: Vec<Value> = own
                    .map(|(_, to, kind)| json!({"name": to, "kind": kind}))
                    .collect();
                json!({"name": name, "dependencies": own})
            })
            .collect();
        let metadata = json!({ "packages": packages });
        offences(&members(&metadata), &edges(&metadata))
    }

    #[test]
    fn downward_arrows_pass() {
        let good = [
            ("tipring-stack", "tipring-wire", None),
            ("tipring-server", "tokio", None),
            ("tipring-reactor", "libc", None),
        ];
        assert_eq!(house(&good), [""; 0]);
    }

    #[test]
    fn an_upward_arrow_is_named() {
        let found = house(&[("tipring-wire", "tipring-stack", None)]);
        assert_eq!(found, ["tipring-wire -> tipring-stack does not point down"]);
        assert_eq!(house(&[("tipring-reactor", "tipring-wire", None)]).len(), 1);
        assert_eq!(
            house(&[("tipring-shard", "tipring-sim", Some("build"))]).len(),
            1
        );
    }

    #[test]
    fn a_pure_room_with_a_socket_is_named() {
        for room in PURE {
            for package in ["tokio", "socket2", "io-uring", "libc"] {
                let found = house(&[(room, package, None)]);
                assert!(found.len() == 1 && found[0].starts_with(&format!("{room} -> {package}")));
            }
        }
    }

    #[test]
    fn dev_dependencies_are_excepted() {
        let tests = [
            ("tipring-reactor", "tipring-shard", Some("dev")),
            ("tipring-wire", "libc", Some("dev")),
        ];
        assert_eq!(house(&tests), [""; 0]);
    }

    #[test]
    fn a_new_member_needs_a_row() {
        let found = offences(&["tipring-newcomer".to_owned()], &[]);
        assert_eq!(found, ["tipring-newcomer has no row in the table of rooms"]);
    }

    #[test]
    fn the_table_itself_has_no_circle() {
        for (at, (room, below)) in MAY_USE.iter().enumerate() {
            let earlier: Vec<&str> = MAY_USE[..at].iter().map(|(name, _)| *name).collect();
            assert!(
                below.iter().all(|name| earlier.contains(name)),
                "{room} looks up"
            );
        }
    }
}
