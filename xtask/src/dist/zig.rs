//! The C compiler and linker for other systems: zig, which brings the headers and the libraries of musl with it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{peers, process::root};

/// What zig calls the one target that is built by it.
const TARGET: &str = "aarch64-linux-musl";

pub struct Zig {
    compiler: PathBuf,
    archiver: PathBuf,
}

/// Fetches it, and writes the programs that others know it by.
pub fn set_up(tools: &Path) -> Result<Zig> {
    let program = peers::set_up_zig(&tools.join("zig"))?;
    let zig = Zig {
        compiler: tools.join("bin/cc"),
        archiver: tools.join("bin/ar"),
    };
    let start = format!(
        "export ZIG_GLOBAL_CACHE_DIR={}\nexec {}",
        quoted(&tools.join("cache")),
        quoted(&program)
    );
    // Others name the target by words that zig does not know.
    let text = format!(
        "for argument do
  shift
  case $argument in --target=*) ;; *) set -- \"$@\" \"$argument\" ;; esac
done
{start} cc -target {TARGET} \"$@\"\n"
    );
    script(&zig.compiler, &text)?;
    script(&zig.archiver, &format!("{start} ar \"$@\"\n"))?;
    Ok(zig)
}

impl Zig {
    /// Lets cargo, and the build scripts that compile C, use it for `triple`.
    pub fn use_for(&self, command: &mut Command, triple: &str) {
        let small = triple.replace('-', "_");
        command
            .env(format!("CC_{small}"), &self.compiler)
            .env(format!("AR_{small}"), &self.archiver)
            .env(
                format!("CARGO_TARGET_{}_LINKER", small.to_uppercase()),
                &self.compiler,
            )
            .env("CARGO_ENCODED_RUSTFLAGS", flags().join("\u{1f}"));
    }
}

/// The start files and the libc are zig's, not those that come with Rust. And what was built says nothing of where.
fn flags() -> Vec<String> {
    let mut flags = vec!["-Clink-self-contained=no".to_owned()];
    if let Some(home) = cargo_home() {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    flags.push(format!("--remap-path-prefix={}=/swingbridge", root().display()));
    flags
}

fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
}

/// Writes a script of the shell, if it does not stand there as it is: what is newer would be built anew.
pub fn script(path: &Path, text: &str) -> Result<()> {
    let text = format!("#!/bin/sh\n{text}");
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(path, text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A path as one word of the shell.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word() {
        assert_eq!(quoted(Path::new("/it's here")), r"'/it'\''s here'");
    }
}
