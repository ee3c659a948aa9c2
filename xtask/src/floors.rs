//! `cargo xtask floors`: which crate may use which, proved from `cargo metadata`.
//!
//! A crate uses crates on lower floors only, never a sibling. Dependencies of tests are free.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Result, bail};

use crate::metadata::Metadata;

/// The house, from the ground up.
const FLOORS: &[&[&str]] = &[
    &["domain", "wire"],
    &["engine", "connectors", "matrix", "store", "link"],
    &["ops", "lab"],
    &["relay", "swingbridge", "bench"],
];

/// Crates whose whole tree must hold none of the packages named, and why.
const FENCED: &[(&str, &[&str], &str)] = &[
    ("domain", IO, "it does no I/O"),
    ("wire", IO, "it does no I/O"),
    (
        "relay",
        &["axum", "matrix-sdk", "ruma", "rusqlite", "tokio-postgres"],
        "a device agent stays thin",
    ),
];

const IO: &[&str] = &[
    "axum",
    "hyper",
    "mio",
    "reqwest",
    "rusqlite",
    "rustls",
    "socket2",
    "tokio",
    "tokio-postgres",
    "ureq",
];

/// Families of packages that one crate alone may name.
const OWNED: &[(&str, &[&str])] = &[("matrix", &["ruma", "matrix-sdk"])];

pub fn run() -> Result<()> {
    let broken = check(&Metadata::load()?);
    if broken.is_empty() {
        println!("floors: every arrow points down");
        return Ok(());
    }
    bail!(
        "the floors of ARCHITECTURE.md do not hold:\n  {}",
        broken.join("\n  ")
    );
}

/// One sentence for each arrow that must not be.
fn check(metadata: &Metadata) -> Vec<String> {
    let mut broken = Vec::new();
    for (id, package) in metadata.ours() {
        let name = short(&package.name);
        let floor = floor(name);
        if floor.is_none() && name != "xtask" {
            broken.push(format!(
                "{name} stands on no floor: give it one in xtask/src/floors.rs"
            ));
        }
        for used in &package.uses {
            let Some(used) = metadata.packages.get(used) else {
                continue;
            };
            let target = short(&used.name);
            if used.ours {
                match (floor, self::floor(target)) {
                    (Some(from), Some(to)) if to > from => {
                        broken.push(format!(
                            "{name} -> {target}: floor {from} uses the higher floor {to}"
                        ));
                    }
                    (Some(from), Some(to)) if to == from => {
                        broken.push(format!(
                            "{name} -> {target}: both stand on floor {from}, siblings do not use each other"
                        ));
                    }
                    (None, _) if name == "xtask" => {
                        broken.push(format!(
                            "xtask -> {target}: xtask must build before everything else"
                        ));
                    }
                    _ => {}
                }
            }
            for (owner, family) in OWNED {
                if name != *owner && family.iter().any(|member| is_of(&used.name, member)) {
                    broken.push(format!("{name} -> {}: only {owner} may use it", used.name));
                }
            }
        }
        for (fenced, forbidden, reason) in FENCED {
            if name == *fenced {
                broken.extend(
                    paths_to(metadata, id, forbidden)
                        .iter()
                        .map(|path| format!("{path}: {reason}")),
                );
            }
        }
    }
    broken
}

/// The crate's name without the project's.
fn short(package: &str) -> &str {
    package.strip_prefix("swingbridge-").unwrap_or(package)
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

/// `ruma-events` is of the family `ruma`, `rumabaga` is not.
fn is_of(package: &str, family: &str) -> bool {
    package
        .strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The shortest way from a package to each forbidden one, as `a -> b -> c`.
fn paths_to(metadata: &Metadata, start: &str, forbidden: &[&str]) -> Vec<String> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::from([(start, start)]);
    let mut queue = VecDeque::from([start]);
    let mut found = Vec::new();
    while let Some(id) = queue.pop_front() {
        let Some(package) = metadata.packages.get(id) else {
            continue;
        };
        if forbidden.contains(&package.name.as_str()) {
            found.push(path(metadata, &came_from, id));
            continue;
        }
        for used in &package.uses {
            if !came_from.contains_key(used.as_str()) {
                came_from.insert(used, id);
                queue.push_back(used);
            }
        }
    }
    found
}

fn path(metadata: &Metadata, came_from: &BTreeMap<&str, &str>, end: &str) -> String {
    let mut names = Vec::new();
    let mut id = end;
    loop {
        names.push(
            metadata
                .packages
                .get(id)
                .map_or(id, |package| short(&package.name)),
        );
        match came_from.get(id) {
            Some(&before) if before != id => id = before,
            _ => break,
        }
    }
    names.reverse();
    names.join(" -> ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Metadata of a made-up workspace: our packages, foreign packages, and arrows with their kind.
    fn house(ours: &[&str], foreign: &[&str], arrows: &[(&str, &str, Option<&str>)]) -> Metadata {
        let all: Vec<&str> = ours.iter().chain(foreign).copied().collect();
        let packages: Vec<Value> = all
            .iter()
            .map(|name| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT" }))
            .collect();
        let nodes: Vec<Value> = all
            .iter()
            .map(|name| {
                let deps: Vec<Value> = arrows
                    .iter()
                    .filter(|(from, _, _)| from == name)
                    .map(|(_, to, kind)| json!({ "pkg": to, "dep_kinds": [{ "kind": kind }] }))
                    .collect();
                json!({ "id": name, "deps": deps })
            })
            .collect();
        let metadata =
            json!({ "workspace_members": ours, "packages": packages, "resolve": { "nodes": nodes } });
        Metadata::parse(&metadata).unwrap()
    }

    #[test]
    fn arrows_down_are_free() {
        let house = house(
            &["swingbridge-domain", "swingbridge-engine", "swingbridge"],
            &["serde"],
            &[
                ("swingbridge-engine", "swingbridge-domain", None),
                ("swingbridge", "swingbridge-engine", None),
                ("swingbridge-domain", "serde", None),
            ],
        );
        assert_eq!(check(&house), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_up_is_named() {
        let house = house(
            &["swingbridge-domain", "swingbridge-engine"],
            &[],
            &[("swingbridge-domain", "swingbridge-engine", Some("build"))],
        );
        assert_eq!(
            check(&house),
            ["domain -> engine: floor 0 uses the higher floor 1"]
        );
    }

    #[test]
    fn a_sibling_is_refused() {
        let house = house(
            &["swingbridge-matrix", "swingbridge-store"],
            &[],
            &[("swingbridge-matrix", "swingbridge-store", None)],
        );
        assert_eq!(
            check(&house),
            ["matrix -> store: both stand on floor 1, siblings do not use each other"]
        );
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let house = house(
            &["swingbridge-domain", "swingbridge-lab"],
            &["tokio"],
            &[
                ("swingbridge-domain", "swingbridge-lab", Some("dev")),
                ("swingbridge-domain", "tokio", Some("dev")),
            ],
        );
        assert_eq!(check(&house), Vec::<String>::new());
    }

    #[test]
    fn io_below_the_ground_floor_is_found_with_its_path() {
        let house = house(
            &["swingbridge-wire"],
            &["harmless", "tokio"],
            &[
                ("swingbridge-wire", "harmless", None),
                ("harmless", "tokio", None),
            ],
        );
        assert_eq!(check(&house), ["wire -> harmless -> tokio: it does no I/O"]);
    }

    #[test]
    fn only_matrix_names_matrix() {
        let arrows = [
            ("swingbridge-connectors", "ruma-common", None),
            ("swingbridge-matrix", "ruma-common", None),
        ];
        let house = house(
            &["swingbridge-connectors", "swingbridge-matrix"],
            &["ruma-common"],
            &arrows,
        );
        assert_eq!(
            check(&house),
            ["connectors -> ruma-common: only matrix may use it"]
        );
    }

    #[test]
    fn a_crate_without_a_floor_is_refused() {
        let house = house(&["swingbridge-utils"], &[], &[]);
        assert_eq!(
            check(&house),
            ["utils stands on no floor: give it one in xtask/src/floors.rs"]
        );
    }

    #[test]
    fn xtask_builds_alone() {
        let house = house(
            &["xtask", "swingbridge-domain"],
            &[],
            &[("xtask", "swingbridge-domain", None)],
        );
        assert_eq!(
            check(&house),
            ["xtask -> domain: xtask must build before everything else"]
        );
    }
}
