//! `cargo xtask demo`: prepares what the demo needs, then becomes it.

use std::os::unix::process::CommandExt;

use anyhow::{Result, bail};

use crate::{
    peers,
    process::{cargo, run as run_shown, target, told},
};

pub fn run(options: &[&str]) -> Result<()> {
    if let Some(unknown) = options
        .iter()
        .find(|option| !matches!(**option, "--check" | "--postgres" | "--fresh"))
    {
        bail!("`cargo xtask demo` has no option {unknown}");
    }
    println!("demo: preparing (a first run takes some minutes, the next ones seconds)");
    let python = peers::set_up_homeserver(options.contains(&"--postgres"))?;
    told("building the gateway and the lab carrier", || {
        run_shown(cargo().args([
            "build",
            "--package",
            "swingbridge",
            "--package",
            "swingbridge-lab",
            "--bins",
        ]))
    })?;
    // In our place, so that Ctrl-C goes to the demo alone and it can end what it started.
    let error = std::process::Command::new(target().join("debug/swingbridge-demo"))
        .args(options)
        .arg("--folder")
        .arg(target().join("demo"))
        .arg("--programs")
        .arg(target().join("debug"))
        .arg("--python")
        .arg(python)
        .exec();
    bail!("cannot start the demo: {error}");
}
