//! What comes from PyPI, each in a virtual environment of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::once;
use crate::process::run_quietly;

/// The real homeserver; psycopg2 lets it run on PostgreSQL.
const SYNAPSE: &[&str] = &["matrix-synapse==1.163.2", "psycopg2-binary==2.9.11"];

/// A Matrix client that others wrote, with encryption.
const NIO: &[&str] = &["matrix-nio[e2e]==0.26.0"];

/// A decoder of typedstreams that others wrote.
const TYPEDSTREAM: &[&str] = &["pytypedstream==0.1.0"];

/// An SMS gateway that others wrote.
const JASMIN: &[&str] = &["jasmin==0.11.1"];

/// What is mended in it: in this version a wrong name loses every receipt (jookies/jasmin#1236), and its lock would let
/// one run on each machine only.
const MENDED: &[(&str, &str, &str)] = &[
    ("jasmin/managers/listeners.py", "_pdu.response", "r.response"),
    (
        "../../../bin/jasmind.py",
        "FileLock(\"/tmp/jasmind\")",
        "FileLock(ROOT_PATH + \"/jasmind\")",
    ),
];

/// A client of the Android app "SMS Gateway" by its own makers.
const SMS_GATEWAY: &[&str] = &["android-sms-gateway[requests]==4.3.3"];

/// A bot for GSMA's chatbot API that others wrote. It does not name what it needs itself.
const RCS_CHATBOT: &[&str] = &["rcs-chatbot==0.0.6", "requests==2.32.5"];
/// Twilio's own SDK: a client of its API, and the check of its signatures.
const TWILIO: &[&str] = &["twilio==9.13.0"];

/// Telnyx's own SDK, likewise.
const TELNYX: &[&str] = &["telnyx==4.189.0", "PyNaCl==1.6.2"];

/// What most bridges of its time were built on.
const MAUTRIX: &[&str] = &["mautrix==0.21.1"];

pub fn synapse(peers: &Path) -> Result<()> {
    environment(&peers.join("synapse"), SYNAPSE, &[])
}

pub fn nio(peers: &Path) -> Result<()> {
    environment(&peers.join("nio"), NIO, &[])
}

pub fn typedstream(peers: &Path) -> Result<()> {
    environment(&peers.join("typedstream"), TYPEDSTREAM, &[])
}

pub fn sms_gateway(peers: &Path) -> Result<()> {
    environment(&peers.join("sms-gateway"), SMS_GATEWAY, &[])
}

pub fn rcs_chatbot(peers: &Path) -> Result<()> {
    environment(&peers.join("rcs-chatbot"), RCS_CHATBOT, &[])
}

pub fn twilio(peers: &Path) -> Result<()> {
    environment(&peers.join("twilio"), TWILIO, &[])
}

pub fn telnyx(peers: &Path) -> Result<()> {
    environment(&peers.join("telnyx"), TELNYX, &[])
}

pub fn jasmin(peers: &Path) -> Result<()> {
    environment(&peers.join("jasmin"), JASMIN, MENDED)
}

pub fn mautrix(peers: &Path) -> Result<()> {
    environment(&peers.join("mautrix"), MAUTRIX, &[])
}

fn environment(folder: &Path, requirements: &[&str], mended: &[(&str, &str, &str)]) -> Result<()> {
    let pins = format!("{requirements:?} {mended:?}");
    once(folder, &requirements.join(" "), &pins, |folder| {
        run_quietly(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run_quietly(
            Command::new(folder.join("bin/python"))
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--prefer-binary",
                ])
                .args(requirements),
        )?;
        let packages = packages(folder)?;
        mended
            .iter()
            .try_for_each(|(file, wrong, right)| mend(&packages.join(file), wrong, right))
    })
}

/// Where pip put the packages.
fn packages(folder: &Path) -> Result<PathBuf> {
    let mut versions = fs::read_dir(folder.join("lib"))?.flatten();
    let version = versions.next().context("the environment has no packages")?;
    Ok(version.path().join("site-packages"))
}

fn mend(file: &Path, wrong: &str, right: &str) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    ensure!(
        text.contains(wrong),
        "{} is not as it was: it lacks {wrong}",
        file.display()
    );
    Ok(fs::write(file, text.replace(wrong, right))?)
}
