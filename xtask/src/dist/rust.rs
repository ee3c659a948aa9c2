//! Rust's library for another target, by the first way that works on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use super::zig;
use crate::{peers, process::run_within};

/// A way to come by the library, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Built by Rust's makers, as rustup brings it.
    Rustup,
    /// Built here from the sources that the toolchain brings.
    Source,
    /// Built here, with the compiler and the sources that Debian keeps for its browsers.
    Debian,
}

const WAYS: [Way; 3] = [Way::Rustup, Way::Source, Way::Debian];

/// A server that is out of reach may take its time to say nothing.
const PATIENCE: Duration = Duration::from_secs(300);

/// What cargo must know to build for the target.
pub struct Rust {
    pub said: String,
    /// Another compiler than the toolchain's.
    compiler: Option<PathBuf>,
    /// The library is built with the program, which only a nightly compiler, or one that is told so, can do.
    with_library: bool,
}

impl Way {
    pub fn named(name: &str) -> Result<Self> {
        let way = WAYS.into_iter().find(|way| way.name() == name);
        way.context("--std is one of rustup, source, debian")
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Source => "source",
            Self::Debian => "debian",
        }
    }
}

impl Rust {
    pub fn use_for(&self, command: &mut Command) {
        if let Some(compiler) = &self.compiler {
            command.env("RUSTC", compiler);
        }
        if self.with_library {
            command.args(["-Z", "build-std=std,panic_unwind"]);
            command.env("RUSTC_BOOTSTRAP", "1");
        }
    }
}

/// The first way that works, or the one that is asked for.
pub fn set_up(tools: &Path, triple: &str, asked: Option<Way>) -> Result<Rust> {
    let mut failures = Vec::new();
    for way in WAYS {
        if asked.is_some_and(|asked| asked != way) {
            continue;
        }
        let tried = match way {
            Way::Rustup => rustup(triple),
            Way::Source => source(),
            Way::Debian => debian(tools),
        };
        match tried {
            Ok(rust) => return Ok(rust),
            Err(error) => {
                println!("  not by {way:?}: {error:#}");
                failures.push(format!("{way:?}: {error:#}"));
            }
        }
    }
    bail!(
        "Rust's library for {triple} cannot be had. {}",
        failures.join(". ")
    )
}

/// The triple of this machine.
pub fn host() -> Result<String> {
    let told = ask(&["-vV"])?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}

fn rustup(triple: &str) -> Result<Rust> {
    let library = sysroot()?.join("lib/rustlib").join(triple).join("lib");
    if !library.exists() {
        println!("  asking rustup for {triple} ...");
        run_within(Command::new("rustup").args(["target", "add", triple]), PATIENCE)?;
        ensure!(
            library.exists(),
            "rustup has brought it to another toolchain than {}",
            library.display()
        );
    }
    Ok(Rust {
        said: "the library that rustup brings".to_owned(),
        compiler: None,
        with_library: false,
    })
}

fn source() -> Result<Rust> {
    let sources = sysroot()?.join("lib/rustlib/src/rust/library");
    ensure!(
        sources.join("Cargo.lock").exists(),
        "the toolchain has no sources in {}",
        sources.display()
    );
    Ok(Rust {
        said: "a library built from the toolchain's sources".to_owned(),
        compiler: None,
        with_library: true,
    })
}

fn debian(tools: &Path) -> Result<Rust> {
    let system = tools.join("debian");
    peers::set_up_debian_rust(&system)?;
    let compiler = tools.join("bin/rustc");
    zig::script(
        &compiler,
        &format!(
            "export LD_LIBRARY_PATH={}\nexec {} \"$@\"\n",
            zig::quoted(&libraries(&system)?),
            zig::quoted(&system.join("usr/bin/rustc"))
        ),
    )?;
    let version = answer(Command::new(&compiler).arg("--version"))?;
    Ok(Rust {
        said: format!("Debian's {} and a library built from its sources", version.trim()),
        compiler: Some(compiler),
        with_library: true,
    })
}

/// The folder below `system` that the compiler's own library is in; its name is that of the processor.
fn libraries(system: &Path) -> Result<PathBuf> {
    let folders = fs::read_dir(system.join("usr/lib"))?.flatten();
    folders
        .map(|folder| folder.path())
        .find(|folder| {
            fs::read_dir(folder).is_ok_and(|files| {
                files
                    .flatten()
                    .any(|file| file.file_name().to_string_lossy().starts_with("librustc_driver-"))
            })
        })
        .context("Debian's packages hold no librustc_driver")
}

fn sysroot() -> Result<PathBuf> {
    Ok(ask(&["--print", "sysroot"])?.trim().into())
}

fn ask(arguments: &[&str]) -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    answer(Command::new(rustc).args(arguments))
}

fn answer(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8(output.stdout)?)
}
