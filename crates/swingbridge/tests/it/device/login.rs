//! A device that somebody sets up by hand, step by step: the phone is one under Termux.

use crate::program::{code, command, said};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use swingbridge_lab::process::{End, Process, Start};
use swingbridge_lab::termux;

const OWN: &str = "+447700900001";
/// The owner's password.
pub const PASSWORD: &str = "a password";
/// The password of the device's account.
pub const PHONES: &str = "the phone's own";

/// The program of the lab that is each `termux-*` command.
pub fn termux_api() -> PathBuf {
    swingbridge_lab::termux::program().unwrap()
}

pub fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn device(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, &["device"]);
    command.args(arguments);
    // Asking is part of what is looked at here.
    command.env_remove("SWINGBRIDGE_PRIVACY__CONSENT");
    command.env_remove("SWINGBRIDGE_ENCRYPTION__MODE");
    command
}

/// Waits until the relay has said it.
pub async fn logs(relay: &Process, words: &str) {
    let said = async {
        while !relay.log_tail(60).contains(words) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), said).await;
    assert!(waited.is_ok(), "{words}: {}", relay.log_tail(60));
}

/// Writes the configuration, and the password beside it.
pub fn init(folder: &Path, homeserver: &str) {
    let init = device(folder, &["init", "--owner", "@alice:localhost", "--region", "GB"])
        .args(["--homeserver", homeserver, "--number", OWN])
        .output()
        .unwrap();
    assert_eq!(code(&init), 0, "{}", said(&init));
    private(&folder.join("password"), PHONES);
}

pub fn log_in(folder: &Path, phone: &termux::Phone, more: &[&str]) -> Output {
    let login = device(
        folder,
        &["login", "--user", "phone-alice", "--password-file", "password"],
    );
    with_phone(login, phone).args(more).output().unwrap()
}

pub fn with_phone(mut command: Command, phone: &termux::Phone) -> Command {
    command.env("SWINGBRIDGE_CONNECTORS__SMS__PROGRAMS", phone.programs());
    command.env("SWINGBRIDGE_CONNECTORS__SMS__POLL", "0.2");
    command.env("SWINGBRIDGE_LOGGING__LEVEL", "debug");
    command
}

pub fn start(folder: &Path, phone: &termux::Phone) -> Process {
    let command = with_phone(device(folder, &[]), phone);
    Process::start(&Start {
        name: "the device",
        command: &command,
        log: &folder.join("device.log"),
        end: End::Terminate,
        user: None,
    })
    .unwrap()
}
