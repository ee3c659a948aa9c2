//! What comes from npm.

use std::{fs, path::Path, process::Command};

use anyhow::Result;

use super::once;
use crate::process::run_quietly;

/// An SMSC and an ESME that others wrote, to be scripted.
const SMPP: &str = "smpp@0.5.1";

pub fn smpp(peers: &Path) -> Result<()> {
    once(&peers.join("npm"), &format!("npm {SMPP}"), SMPP, |folder| {
        fs::write(folder.join("package.json"), "{ \"private\": true }\n")?;
        run_quietly(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", SMPP])
                .current_dir(folder),
        )
    })
}
