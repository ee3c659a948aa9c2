//! What `cargo metadata` says, reduced to what the checks ask.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;

/// Every package of the lock file that the workspace can reach, by cargo's package id.
pub struct Metadata {
    pub packages: BTreeMap<String, Package>,
}

pub struct Package {
    pub name: String,
    pub version: String,
    /// The SPDX expression of its manifest.
    pub license: Option<String>,
    /// Whether it is one of our own crates.
    pub ours: bool,
    /// Ids of its direct dependencies, those of tests left out.
    pub uses: Vec<String>,
}

impl Metadata {
    pub fn load() -> Result<Self> {
        let output = process::cargo()
            .args(["metadata", "--format-version", "1"])
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(output.status.success(), "cargo metadata failed");
        Self::parse(&serde_json::from_slice(&output.stdout)?)
    }

    pub fn parse(metadata: &Value) -> Result<Self> {
        let ours: Vec<&str> = array(metadata, "workspace_members")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut packages = BTreeMap::new();
        for package in array(metadata, "packages")? {
            let id = text(package, "id")?;
            packages.insert(
                id.to_owned(),
                Package {
                    name: text(package, "name")?.to_owned(),
                    version: text(package, "version")?.to_owned(),
                    license: package["license"].as_str().map(str::to_owned),
                    ours: ours.contains(&id),
                    uses: Vec::new(),
                },
            );
        }
        for node in array(&metadata["resolve"], "nodes")? {
            let uses = array(node, "deps")?
                .iter()
                .filter(|dependency| counts(dependency))
                .map(|dependency| text(dependency, "pkg").map(str::to_owned))
                .collect::<Result<_>>()?;
            let id = text(node, "id")?;
            packages
                .get_mut(id)
                .with_context(|| format!("{id} is resolved but not listed"))?
                .uses = uses;
        }
        Ok(Self { packages })
    }

    pub fn ours(&self) -> impl Iterator<Item = (&str, &Package)> {
        self.packages
            .iter()
            .filter(|(_, package)| package.ours)
            .map(|(id, package)| (id.as_str(), package))
    }
}

/// Whether a dependency is more than one of tests. Cargo writes `null` for an ordinary one.
fn counts(dependency: &Value) -> bool {
    dependency["dep_kinds"]
        .as_array()
        .is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key]
        .as_array()
        .with_context(|| format!("cargo metadata has no list `{key}`"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("cargo metadata has no text `{key}`"))
}
