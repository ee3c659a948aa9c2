//! What comes from npm.

use std::{fs, path::Path, process::Command};

use anyhow::Result;

use super::once;
use crate::process::run_quietly;

/// An SMSC and an ESME that others wrote, to be scripted.
const SMPP: &str = "smpp@0.5.1";

/// Both ends of the events of BlueBubbles.
const SOCKET_IO: [&str; 2] = ["socket.io@4.8.4", "socket.io-client@4.8.4"];

pub fn socket_io(peers: &Path) -> Result<()> {
    once(
        &peers.join("socket-io"),
        &format!("npm {}", SOCKET_IO[0]),
        &SOCKET_IO.join(" "),
        |folder| install(folder, &["--ignore-scripts", SOCKET_IO[0], SOCKET_IO[1]]),
    )
}

/// What many bridges are built on.
const APPSERVICE_BRIDGE: &str = "matrix-appservice-bridge@11.2.0";

/// Its encryption is a native module that is fetched from elsewhere at install. Nothing that we measure uses it.
const NO_CRYPTO: &str = "module.exports = new Proxy({}, { get: () => class {} });\n";

pub fn appservice_bridge(peers: &Path) -> Result<()> {
    once(
        &peers.join("appservice-bridge"),
        &format!("npm {APPSERVICE_BRIDGE}"),
        APPSERVICE_BRIDGE,
        |folder| {
            install(folder, &["--ignore-scripts", APPSERVICE_BRIDGE])?;
            let crypto = folder.join("node_modules/@matrix-org/matrix-sdk-crypto-nodejs/index.js");
            if crypto.exists() {
                fs::write(crypto, NO_CRYPTO)?;
            }
            Ok(())
        },
    )
}

/// A Matrix client of the newest kind.
const MATRIX_JS: &str = "matrix-js-sdk@43.0.0";

/// The Node that it needs; Debian's is older.
const NODE: &str = "22.23.3";

pub fn matrix_js(peers: &Path) -> Result<()> {
    let kind = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    let node = format!("node-linux-{kind}@{NODE}");
    once(
        &peers.join("matrix-js"),
        &format!("npm {MATRIX_JS}"),
        &format!("{MATRIX_JS} {node}"),
        // Neither needs a script at install.
        |folder| install(folder, &["--ignore-scripts", MATRIX_JS, &node]),
    )
}

/// A decoder of typedstreams that others wrote.
const TYPEDSTREAM: &str = "node-typedstream@1.4.1";

pub fn typedstream(peers: &Path) -> Result<()> {
    once(
        &peers.join("npm-typedstream"),
        &format!("npm {TYPEDSTREAM}"),
        TYPEDSTREAM,
        |folder| install(folder, &["--ignore-scripts", TYPEDSTREAM]),
    )
}

pub fn smpp(peers: &Path) -> Result<()> {
    once(&peers.join("npm"), &format!("npm {SMPP}"), SMPP, |folder| {
        install(folder, &[SMPP])
    })
}

/// Installs packages into a folder of their own.
fn install(folder: &Path, packages: &[&str]) -> Result<()> {
    fs::write(folder.join("package.json"), "{ \"private\": true }\n")?;
    run_quietly(
        Command::new("npm")
            .args(["install", "--no-audit", "--no-fund"])
            .args(packages)
            .current_dir(folder),
    )
}
