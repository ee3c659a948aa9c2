//! `cargo xtask bench`: what the gateway carries, beside others.

use anyhow::{Result, bail};

use crate::{
    peers,
    process::{cargo, run as run_shown, target, told},
};

pub fn run(options: &[&str]) -> Result<()> {
    // What is released is what is measured; `quick` saves minutes of building while one works on it.
    let quick = options.contains(&"--quick");
    let long = options.contains(&"--long");
    if let Some(unknown) = options
        .iter()
        .find(|option| option.starts_with('-') && !matches!(**option, "--quick" | "--long"))
    {
        bail!("`cargo xtask bench` has no option {unknown}");
    }
    let names: Vec<&str> = options
        .iter()
        .filter(|option| !option.starts_with('-'))
        .copied()
        .collect();
    let profile = if quick { "quick" } else { "release" };
    let folder = peers::set_up_bench(long)?;
    told(&format!("building with the profile {profile}"), || {
        run_shown(cargo().args([
            "build",
            "--profile",
            profile,
            "--package",
            "swingbridge",
            "--package",
            "swingbridge-bench",
        ]))
    })?;
    let mut bench = std::process::Command::new(target().join(profile).join("swingbridge-bench"));
    bench
        .args(["--profile", profile, "--peers"])
        .arg(&folder)
        .env("LAB_PEERS", &folder)
        .arg("--results")
        .arg(target().join("bench"));
    if long {
        bench.arg("--long");
    }
    run_shown(bench.args(names))
}
