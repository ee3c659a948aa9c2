//! `cargo xtask demo`: prepares what the demo needs, then becomes it.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};

use crate::{
    peers,
    process::{cargo, look_at_disk, run as run_shown, target, told},
};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The device whose relay is shown, instead of the gateway.
    device: Option<String>,
    /// The line reaches phones by RCS first.
    rcs: bool,
    /// A second line has group MMS.
    mms: bool,
    check: bool,
    postgres: bool,
    fresh: bool,
}

impl Options {
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--rcs" => options.rcs = true,
                "--mms" => options.mms = true,
                "--check" => options.check = true,
                "--postgres" => options.postgres = true,
                "--fresh" => options.fresh = true,
                "--device" => {
                    let device = arguments.next().context("--device needs `android` or `mac`")?;
                    options.device = Some(known(device)?);
                }
                other => match other.strip_prefix("--device=") {
                    Some(device) => options.device = Some(known(device)?),
                    None => bail!("`cargo xtask demo` has no option {other}"),
                },
            }
        }
        if options.device.is_some() && options.postgres {
            bail!("--postgres is for the gateway: a device keeps its data in files");
        }
        if options.rcs && (options.postgres || options.device.is_some()) {
            bail!("--rcs is a demo of its own: give it without --postgres and --device");
        }
        if options.mms && (options.rcs || options.postgres || options.device.is_some()) {
            bail!("--mms is a demo of its own: give it without --rcs, --postgres and --device");
        }
        Ok(options)
    }

    fn given(&self) -> Vec<&str> {
        let mut given = Vec::new();
        if let Some(device) = &self.device {
            given.extend(["--device", device]);
        }
        let flags = [
            (self.rcs, "--rcs"),
            (self.mms, "--mms"),
            (self.check, "--check"),
            (self.postgres, "--postgres"),
            (self.fresh, "--fresh"),
        ];
        given.extend(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag));
        given
    }
}

fn known(device: &str) -> Result<String> {
    match device {
        "android" | "mac" => Ok(device.to_owned()),
        other => bail!("there is no demo of the device `{other}`: give `android` or `mac`"),
    }
}

pub fn run(options: &Options) -> Result<()> {
    look_at_disk();
    println!("demo: preparing (a first run takes some minutes, the next ones seconds)");
    let python = peers::set_up_homeserver(options.postgres)?;
    if options.device.is_some() && options.check {
        peers::set_up_client()?;
    }
    let (what, features): (_, &[&str]) = match options.device {
        None => ("building the gateway and the lab carrier", &[]),
        Some(_) => (
            "building the relay and the lab's devices",
            &["--features", "swingbridge/device"],
        ),
    };
    told(what, || {
        run_shown(
            cargo()
                .args([
                    "build",
                    "--package",
                    "swingbridge",
                    "--package",
                    "swingbridge-lab",
                    "--bins",
                ])
                .args(features),
        )
    })?;
    // In our place, so that Ctrl-C goes to the demo alone and it can end what it started.
    let error = std::process::Command::new(target().join("debug/swingbridge-demo"))
        .args(options.given())
        .arg("--folder")
        .arg(target().join("demo"))
        .arg("--programs")
        .arg(target().join("debug"))
        .arg("--python")
        .arg(python)
        .env("LAB_PEERS", target().join("peers"))
        .exec();
    bail!("cannot start the demo: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_handed_on_as_they_were_given() {
        for given in [
            &[][..],
            &["--check", "--postgres", "--fresh"],
            &["--device", "android", "--check"],
            &["--device", "mac", "--fresh"],
            &["--rcs", "--check"],
            &["--mms", "--check", "--fresh"],
        ] {
            assert_eq!(Options::parse(given).unwrap().given(), given);
        }
        let joined = Options::parse(&["--device=mac"]).unwrap();
        assert_eq!(joined.given(), ["--device", "mac"]);
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        for wrong in [
            &["--device"][..],
            &["--device", "pager"],
            &["--device", "mac", "--postgres"],
            &["--rcs", "--postgres"],
            &["--mms", "--rcs"],
            &["--device", "mac", "--mms"],
            &["--fast"],
        ] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
