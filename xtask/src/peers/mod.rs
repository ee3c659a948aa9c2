//! The foreign programs that tests and demo run against, set up below target/peers once.
//!
//! Each comes pinned from its own registry, or from Debian. A stamp makes the second time cost nothing.

mod debian;
mod npm;
mod python;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::process::{target, told};

/// What stands after the set-up.
pub struct Peers {
    pub folder: PathBuf,
    /// What could not be had, in words.
    pub missing: Vec<String>,
}

impl Peers {
    /// How the tests find the peers (see the `peers` module of the lab). The names do not begin with `SWINGBRIDGE_`: the
    /// program reads such ones as settings.
    pub fn environment(&self, required: bool) -> Vec<(&'static str, PathBuf)> {
        let mut environment = vec![
            ("LAB_PEERS", self.folder.clone()),
            ("LAB_SYNAPSE", synapse_python(&self.folder)),
        ];
        if required {
            environment.push(("LAB_REQUIRE_PEERS", "1".into()));
        }
        environment
    }
}

/// Sets up everything that the tests can use, the long ones when asked. When `required`, something missing is an error.
pub fn set_up(long: bool, required: bool) -> Result<Peers> {
    let (folder, _lock) = folder()?;
    let needs = [debian::ALWAYS, if long { debian::LONG } else { &[] }].concat();
    let mut missing = debian::set_up(&needs)?;
    let have = |need: &debian::Need, missing: &[String]| !missing.contains(&need.to_string());
    if have(&debian::VENV, &missing) {
        python::synapse(&folder)?;
        python::nio(&folder)?;
        python::typedstream(&folder)?;
        python::sms_gateway(&folder)?;
        python::rcs_chatbot(&folder)?;
        python::twilio(&folder)?;
        python::telnyx(&folder)?;
        if long {
            python::jasmin(&folder)?;
        }
    } else {
        missing.push("what comes from PyPI, for want of Python with venv".into());
    }
    if have(&debian::NODE, &missing) {
        npm::smpp(&folder)?;
        npm::socket_io(&folder)?;
        npm::matrix_js(&folder)?;
        npm::typedstream(&folder)?;
    } else {
        missing.push("what comes from npm, for want of it".into());
    }
    if !missing.is_empty() {
        let line = format!("peers missing: {}; {}", missing.join(", "), debian::ADVICE);
        if required {
            bail!("{line}");
        }
        println!("{line}; the tests against them are skipped");
    }
    println!("peers: ready in {}", folder.display());
    Ok(Peers { folder, missing })
}

/// Sets up Synapse, and PostgreSQL when asked, and gives back the Python that runs Synapse.
pub fn set_up_homeserver(postgres: bool) -> Result<PathBuf> {
    let (folder, _lock) = folder()?;
    let needs: &[debian::Need] = if postgres {
        &[debian::VENV, debian::POSTGRESQL]
    } else {
        &[debian::VENV]
    };
    let missing = debian::set_up(needs)?;
    if !missing.is_empty() {
        bail!("missing: {}; {}", missing.join(", "), debian::ADVICE);
    }
    python::synapse(&folder)?;
    Ok(synapse_python(&folder))
}

/// Sets up the Matrix client that checks of encryption drive.
pub fn set_up_client() -> Result<()> {
    let (folder, _lock) = folder()?;
    python::nio(&folder)
}

/// Sets up what a device is measured before: a homeserver, and a client that encrypts. Gives back the folder.
pub fn set_up_device() -> Result<PathBuf> {
    set_up_homeserver(false)?;
    set_up_client()?;
    Ok(folder()?.0)
}

/// Sets up what the bench measures beside, and gives back the folder. What cannot be had is left out there, by name.
pub fn set_up_bench(long: bool) -> Result<PathBuf> {
    let (folder, _lock) = folder()?;
    let mut needs = vec![debian::VENV, debian::NODE, debian::KANNEL];
    if long {
        needs.extend([debian::RABBITMQ, debian::REDIS]);
    }
    for missing in debian::set_up(&needs)? {
        println!("  missing: {missing}; {}", debian::ADVICE);
    }
    type Install = fn(&Path) -> Result<()>;
    let mut installs: Vec<(&str, Install)> = vec![
        ("Synapse", python::synapse),
        ("mautrix-python", python::mautrix),
        ("matrix-appservice-bridge", npm::appservice_bridge),
    ];
    if long {
        installs.push(("Jasmin", python::jasmin));
    }
    for (what, install) in installs {
        if let Err(error) = install(&folder) {
            println!("  without {what}: {error:#}");
        }
    }
    Ok(folder)
}

/// Sets up zig in `folder`, and gives back the program.
pub fn set_up_zig(folder: &Path) -> Result<PathBuf> {
    let missing = debian::set_up(&[debian::VENV])?;
    if !missing.is_empty() {
        bail!("missing: {}; {}", missing.join(", "), debian::ADVICE);
    }
    python::zig(folder)
}

/// Unpacks Debian's newer Rust, compiler and sources, in `folder`.
pub fn set_up_debian_rust(folder: &Path) -> Result<()> {
    const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
    once(
        folder,
        "Debian's Rust",
        &format!("{} {}", PACKAGES.join(" "), std::env::consts::ARCH),
        |folder| debian::unpack(&PACKAGES, folder),
    )
}

/// Whether what is built for phones can run here.
pub fn can_run_phone() -> bool {
    debian::QEMU.is_there()
}

fn synapse_python(folder: &Path) -> PathBuf {
    folder.join("synapse/bin/python")
}

/// The folder, and a lock so that two set-ups do not meet.
fn folder() -> Result<(PathBuf, File)> {
    let folder = target().join("peers");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = File::create(folder.join(".lock"))?;
    if lock.try_lock().is_err() {
        println!("  waiting for another set-up of peers ...");
        lock.lock()?;
    }
    Ok((folder, lock))
}

/// Fills a fresh folder once for each text of pins.
fn once(folder: &Path, what: &str, pins: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let stamp = folder.join(".stamp");
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == pins) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    told(&format!("installing {what}"), || fill(folder))?;
    Ok(fs::write(stamp, pins)?)
}
