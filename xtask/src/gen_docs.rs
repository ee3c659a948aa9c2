//! `cargo xtask gen`: documentation that the program writes about itself.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// What `swingbridge docs NAME` prints, and the file below docs/generated/ that holds it.
const GENERATED: &[(&str, &str)] = &[
    ("config", "config.md"),
    ("device-config", "device.md"),
    ("cli", "cli.md"),
    ("metrics", "metrics.md"),
    ("example", "config.example.yaml"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Write,
    Check,
}

/// Writes or compares, by a program built for it.
pub fn run(mode: Mode) -> Result<()> {
    run_by(mode, || {
        let mut command = process::cargo();
        command.args([
            "run",
            "--quiet",
            "--package",
            "swingbridge",
            "--features",
            "device",
            "--",
        ]);
        command
    })
}

/// Compares, by the program that the tests were built with: another build of it would take as long again.
pub fn check_by_tests() -> Result<()> {
    run_by(Mode::Check, || {
        Command::new(process::target().join("debug/swingbridge"))
    })
}

fn run_by(mode: Mode, program: impl Fn() -> Command) -> Result<()> {
    let folder = process::root().join("docs/generated");
    let mut stale = Vec::new();
    for (name, file) in GENERATED {
        let fresh = program_says(program(), name)?;
        let path = folder.join(file);
        // A file that is missing is as stale as one that differs.
        if fs::read(&path).is_ok_and(|stored| stored == fresh) {
            continue;
        }
        stale.push(format!("docs/generated/{file}"));
        if mode == Mode::Write {
            fs::create_dir_all(&folder)?;
            fs::write(&path, &fresh).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    match (mode, stale.is_empty()) {
        (_, true) => println!("generated: {} files, all fresh", GENERATED.len()),
        (Mode::Write, false) => println!("generated: wrote {}", stale.join(", ")),
        (Mode::Check, false) => bail!(
            "stale: {}; run `cargo xtask gen` and commit them",
            stale.join(", ")
        ),
    }
    Ok(())
}

fn program_says(mut program: Command, name: &str) -> Result<Vec<u8>> {
    let output = program
        .args(["docs", name])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run it")?;
    ensure!(
        output.status.success(),
        "`swingbridge docs {name}` ended with {}",
        output.status
    );
    ensure!(
        !output.stdout.is_empty(),
        "`swingbridge docs {name}` printed nothing"
    );
    Ok(output.stdout)
}
