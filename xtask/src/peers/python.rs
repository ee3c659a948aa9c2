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

/// A C compiler and linker for other systems. Pinned by content (Linux and macOS, x86-64 and ARM), since it has its hand in what is handed out.
const ZIG: &str = "ziglang==0.17.1 \
    --hash=sha256:ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54 \
    --hash=sha256:b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e \
    --hash=sha256:09953b6af7f64168b915180a42774f520f92d86ef6331b28e33915c7e1f0bb23 \
    --hash=sha256:4e0b4b9c02b8d0d220e9948010f860b62ff11d96abb39762eca5fa2ef3f7bc97\n";

/// What is mended in it: Android has no /etc/resolv.conf, and its musl, which becomes part of what is built, would then find no
/// server by its name. Termux has one elsewhere.
const RESOLVED: (&str, &str, &str) = (
    "ziglang/lib/libc/musl/src/network/resolvconf.c",
    "\tif (!f) switch (errno) {\n",
    "\tif (!f) f = __fopen_rb_ca(\"/data/data/com.termux/files/usr/etc/resolv.conf\", &_f, _buf, sizeof _buf);\n\
     \tif (!f) switch (errno) {\n",
);

/// Gives back the program.
pub fn zig(folder: &Path) -> Result<PathBuf> {
    once(folder, "zig", &format!("{ZIG}{RESOLVED:?}"), |folder| {
        run_quietly(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let pins = folder.join("requirements.txt");
        fs::write(&pins, ZIG)?;
        run_quietly(
            pip(folder)
                .args(["--only-binary", ":all:", "--require-hashes", "-r"])
                .arg(pins),
        )?;
        let (file, wrong, right) = RESOLVED;
        mend(&packages(folder)?.join(file), wrong, right)
    })?;
    Ok(packages(folder)?.join("ziglang/zig"))
}

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
        run_quietly(pip(folder).arg("--prefer-binary").args(requirements))?;
        let packages = packages(folder)?;
        mended
            .iter()
            .try_for_each(|(file, wrong, right)| mend(&packages.join(file), wrong, right))
    })
}

/// The pip of an environment, told to install.
fn pip(folder: &Path) -> Command {
    let mut command = Command::new(folder.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command
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
