//! Programs of the lab's own, which tests of other crates start.

use anyhow::{Context, Result, ensure};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// A program of this crate: beside the program that runs. A test has it built first when it is not there or older than what it is made
/// of; `sources` is that folder below `src`.
///
/// # Errors
/// When it cannot be built.
pub fn built(name: &str, sources: &str) -> Result<PathBuf> {
    static FOUND: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let found = found.get_or_insert_default();
    if let Some(program) = found.get(name) {
        return Ok(program.clone());
    }
    let program = find(name, sources)?;
    found.insert(name.to_owned(), program.clone());
    Ok(program)
}

fn find(name: &str, sources: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // Tests run in a folder below the one that has the programs.
    let folder = own
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps") && !folder.ends_with("examples"))
        .context("no folder of programs")?;
    let program = folder.join(name);
    // `cargo test -p` of another crate does not build it, and may leave an old one.
    if own.ancestors().any(|folder| folder.ends_with("deps")) && is_old(&program, sources) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "-q", "-p", "swingbridge-lab", "--bin", name])
            .args(folder.ends_with("release").then_some("--release"))
            .arg("--target-dir")
            .arg(folder.parent().context("no target folder")?)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .context("cannot run cargo")?;
        ensure!(status.success(), "{name} does not build");
    }
    ensure!(program.exists(), "there is no {}", program.display());
    Ok(program)
}

/// Whether the program is absent, or older than what it is made of.
fn is_old(program: &Path, sources: &str) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
    let Some(built) = changed(program) else {
        return true;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(sources);
    let sources = std::fs::read_dir(folder).into_iter().flatten().flatten();
    sources
        .filter_map(|source| changed(&source.path()))
        .any(|source| source > built)
}
