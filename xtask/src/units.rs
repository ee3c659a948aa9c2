//! `cargo xtask units`: the systemd units in deploy/ stay as hardened as they are.

use std::{fs, process::Command};

use anyhow::{Context, Result, bail};

use crate::process::{root, run_quietly, succeeds};

/// The folders of units, and the highest exposure that one may have, in tenths of the points of `systemd-analyze security`.
///
/// That reckons privileges which a user's service never has, and which its unit cannot give away: hence the higher figure.
const UNITS: &[(&str, &[&str], &str)] = &[
    ("deploy/systemd", &[], "--threshold=20"),
    ("deploy/systemd/user", &["--user"], "--threshold=52"),
];

pub fn run(required: bool) -> Result<()> {
    if !succeeds("systemd-analyze", &["--version"]) {
        if required {
            bail!("systemd-analyze (Debian: systemd) is missing");
        }
        println!("units: skipped, for want of systemd-analyze (Debian: systemd)");
        return Ok(());
    }
    let mut checked = 0;
    for (folder, manager, threshold) in UNITS {
        let folder = root().join(folder);
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "service") {
                run_quietly(
                    Command::new("systemd-analyze")
                        .args(["security", "--offline=true", "--no-pager", threshold])
                        .args(*manager)
                        // A user's manager wants one, and is not asked anything.
                        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
                        .arg(&path),
                )?;
                checked += 1;
            }
        }
    }
    println!("units: {checked} checked, each as little exposed as it was");
    Ok(())
}
