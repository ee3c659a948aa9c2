//! What comes from PyPI, each in a virtual environment of its own.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::once;
use crate::process::run_quietly;

/// The real homeserver; psycopg2 lets it run on PostgreSQL.
const SYNAPSE: &[&str] = &["matrix-synapse==1.163.2", "psycopg2-binary==2.9.11"];

/// A Matrix client that others wrote, with encryption.
const NIO: &[&str] = &["matrix-nio[e2e]==0.26.0"];

pub fn synapse(peers: &Path) -> Result<()> {
    environment(&peers.join("synapse"), SYNAPSE)
}

pub fn nio(peers: &Path) -> Result<()> {
    environment(&peers.join("nio"), NIO)
}

fn environment(folder: &Path, requirements: &[&str]) -> Result<()> {
    once(
        folder,
        &requirements.join(" "),
        &requirements.join("\n"),
        |folder| {
            run_quietly(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            run_quietly(
                Command::new(folder.join("bin/python"))
                    .args([
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "--disable-pip-version-check",
                        "--prefer-binary",
                    ])
                    .args(requirements),
            )
        },
    )
}
