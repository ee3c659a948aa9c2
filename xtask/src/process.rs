//! Running other programs, where everything stands, and how long things take.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// The top of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// The build folder, wherever cargo was told to put it.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The cargo that runs us, in the checkout.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What `cargo run` sets for us would make cargo build others anew.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end with its output shown.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end in silence, and shows the output only if it failed.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !output.status.success() {
        eprint!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        bail!("{} ended with {}", shown(command), output.status);
    }
    Ok(())
}

/// Runs to the end with its output shown, and ends it when that takes longer than `limit`.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            bail!("{} did not end within {}", shown(command), seconds(limit));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// Whether a program can be started and then succeeds, its output thrown away.
pub fn succeeds(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", line.join(" "))
}

/// What a first build with all tests takes of the disk, without and with what the compiler keeps for the next one.
const BUILD: (u64, u64) = (5, 15);

/// Warns while nothing is spent yet: a build finds out after many minutes, and says it in other words.
pub fn look_at_disk() {
    // Where the build goes, which need not be there yet.
    let target = target();
    let place = target.ancestors().find(|place| place.exists()).unwrap_or(&target);
    let asked = Command::new("df").arg("-Pk").arg(place).output();
    let free = asked.ok().and_then(|table| {
        let table = String::from_utf8_lossy(&table.stdout).into_owned();
        let kib: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
        Some(kib >> 20)
    });
    if let Some(free) = free.filter(|free| *free < BUILD.1) {
        let (least, most) = BUILD;
        eprintln!(
            "warning: {free} GB are free where the build goes; a first build takes up to {most}, with CARGO_INCREMENTAL=0 {least}"
        );
    }
}

/// Says what is going on, does it, and says how long it took.
pub fn told<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("  {what} ...");
    let start = Instant::now();
    let done = work()?;
    println!("  {what}: done in {}", seconds(start.elapsed()));
    Ok(done)
}

pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}
