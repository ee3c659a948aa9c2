//! `cargo xtask dist`: the program as it is handed out, in target/dist.
//!
//! For phones it is built with musl and linked statically, so that one file runs under Termux on any of them. What that takes
//! is fetched below target/dist/tools once.

mod product;
mod rust;
mod zig;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::process::{cargo, run as run_shown, target, told};
use rust::Way;

/// What phones run.
pub const PHONE: &str = "aarch64-unknown-linux-musl";

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whom it is for: this machine, if nothing is given.
    target: Option<String>,
    /// How to come by Rust's library for that target: the first way that works, if nothing is given.
    way: Option<Way>,
}

impl Options {
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (*argument, None),
            };
            let mut value = || value.or_else(|| arguments.next().copied());
            match name {
                "--target" => options.target = Some(value().context("--target needs a triple")?.to_owned()),
                "--std" => options.way = Some(Way::named(value().unwrap_or_default())?),
                _ => bail!("`cargo xtask dist` has no option {name}"),
            }
        }
        Ok(options)
    }

    pub fn phone() -> Self {
        Self {
            target: Some(PHONE.to_owned()),
            way: None,
        }
    }
}

/// Builds, and gives back where the program lies.
pub fn run(options: &Options) -> Result<PathBuf> {
    let host = rust::host()?;
    let triple = options.target.as_deref().unwrap_or(&host);
    let (folder, _lock) = folder()?;
    if options.way.is_some() && triple != PHONE {
        bail!("--std is for {PHONE}: this machine's Rust has its own library");
    }
    let built = if triple == host {
        told(&format!("building for this machine ({host})"), || {
            run_shown(&mut build())
        })?;
        target().join("device/swingbridge")
    } else if triple == PHONE {
        for_phones(&folder, options.way)?
    } else {
        bail!("dist knows {host}, which is this machine, and {PHONE}; {triple} was never tried");
    };
    product::hand_out(&built, &folder, triple, triple == PHONE)
}

/// A script that runs the program for phones on this machine, under qemu where the processor is another. Each start leaves a
/// line in `witness`, so that a test which ran something else does not pass for one.
pub fn launcher(program: &Path, witness: &Path) -> Result<PathBuf> {
    let emulator = match std::env::consts::ARCH {
        "aarch64" => "",
        _ => "qemu-aarch64-static",
    };
    let script = target().join("dist/tools/bin/swingbridge-as-on-a-phone");
    zig::script(
        &script,
        &format!(
            "echo started >>{}\nexec {emulator} {} \"$@\"\n",
            zig::quoted(witness),
            zig::quoted(program)
        ),
    )?;
    Ok(script)
}

fn for_phones(folder: &Path, way: Option<Way>) -> Result<PathBuf> {
    let tools = folder.join("tools");
    let zig = zig::set_up(&tools)?;
    let rust = rust::set_up(&tools, PHONE, way)?;
    let mut command = build();
    command.args(["--target", PHONE]);
    zig.use_for(&mut command, PHONE);
    rust.use_for(&mut command);
    told(
        &format!(
            "building for {PHONE} with {} (a first time takes many minutes)",
            rust.said
        ),
        || run_shown(&mut command),
    )?;
    Ok(target().join(PHONE).join("device/swingbridge"))
}

fn build() -> std::process::Command {
    let mut command = cargo();
    command.args([
        "build",
        "--profile",
        "device",
        "--locked",
        "--package",
        "swingbridge",
    ]);
    command.args(["--features", "device"]);
    command
}

/// The folder, and a lock so that two builds do not meet.
fn folder() -> Result<(PathBuf, File)> {
    let folder = target().join("dist");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = File::create(folder.join(".lock"))?;
    if lock.try_lock().is_err() {
        println!("  waiting for another dist ...");
        lock.lock()?;
    }
    Ok((folder, lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_strict() {
        let parsed = Options::parse(&["--target", PHONE]).unwrap();
        assert_eq!(parsed, Options::phone());
        let parsed = Options::parse(&["--std=debian", "--target=here"]).unwrap();
        assert_eq!(parsed.target.as_deref(), Some("here"));
        assert_eq!(parsed.way, Some(Way::Debian));
        for wrong in [&["--target"][..], &["--std", "luck"], &["--fast"], &[PHONE]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
