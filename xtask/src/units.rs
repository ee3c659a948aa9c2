//! `cargo xtask units`: the systemd units in deploy/ stay as hardened as they are.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};

use crate::process::{root, run_quietly, succeeds};

/// The highest exposure that a unit may have, in tenths of the points of `systemd-analyze security`.
const EXPOSURE: &str = "--threshold=20";

pub fn run(required: bool) -> Result<()> {
    if !succeeds("systemd-analyze", &["--version"]) {
        if required {
            bail!("systemd-analyze (Debian: systemd) is missing");
        }
        println!("units: skipped, for want of systemd-analyze (Debian: systemd)");
        return Ok(());
    }
    let folder = root().join("deploy/systemd");
    let mut checked = 0;
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "service") {
            run_quietly(
                Command::new("systemd-analyze")
                    .args(["security", "--offline=true", "--no-pager", EXPOSURE])
                    .arg(&path),
            )?;
            checked += 1;
        }
    }
    println!("units: {checked} checked, each below an exposure of 2.0");
    Ok(())
}
