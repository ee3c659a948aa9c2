//! `cargo xtask bench`: what the gateway carries, beside others; and by itself, how the device does.

use anyhow::{Result, bail};

use crate::{
    peers,
    process::{cargo, run as run_shown, target, told},
};

/// What is measured of a program that is built with its device; `device` is all of it.
const DEVICE: [&str; 4] = ["device", "mirror", "conversations", "chatdb"];

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
    let of_device = |name: &&str| DEVICE.contains(name);
    let device = names.iter().any(of_device);
    if device && !names.iter().all(of_device) {
        bail!(
            "the device is measured alone, with a program that is built for it: name nothing else beside it"
        );
    }
    let profile = match (quick, device) {
        (true, _) => "quick",
        (false, true) => "device",
        (false, false) => "release",
    };
    let folder = match device {
        true => peers::set_up_device()?,
        false => peers::set_up_bench(long)?,
    };
    let mut build = cargo();
    build.args(["build", "--profile", profile]);
    build.args(["--package", "swingbridge", "--package", "swingbridge-bench"]);
    if device {
        build.args(["--features", "swingbridge/device", "--package", "swingbridge-lab"]);
    }
    told(&format!("building with the profile {profile}"), || {
        run_shown(&mut build)
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
