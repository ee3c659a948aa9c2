//! A systemd user unit.

use super::{Place, State, tool};
use std::path::PathBuf;

const NAME: &str = "swingbridge-device.service";
/// The unit as it is checked in, for the usual paths.
const UNIT: &str = include_str!("../../../../../deploy/systemd/user/swingbridge-device.service");

pub fn path(place: &Place) -> PathBuf {
    place.home.join(".config/systemd/user").join(NAME)
}

/// The unit with the paths of this machine.
pub fn text(place: &Place) -> String {
    let line = |line: &str| match line.split_once('=').map(|(key, _)| key) {
        Some("ExecStart") => format!(
            "ExecStart={} device --config {}",
            quoted(&place.program.to_string_lossy(), false),
            quoted(&place.config.to_string_lossy(), true)
        ),
        // The one setting whose path is taken as it stands.
        Some("WorkingDirectory") => {
            format!(
                "WorkingDirectory={}",
                place.data.to_string_lossy().replace('%', "%%")
            )
        }
        Some("ReadWritePaths") => {
            format!("ReadWritePaths={}", quoted(&place.data.to_string_lossy(), false))
        }
        _ => line.to_owned(),
    };
    let mut text = String::from("# Written by `swingbridge service install`, which writes it anew.\n");
    for of_unit in UNIT.lines().skip_while(|line| line.starts_with('#')) {
        text.push_str(&line(of_unit));
        text.push('\n');
    }
    text
}

/// A word for systemd (systemd.syntax(7), "Quoting"; `%` and, in arguments, `$` stand for themselves when doubled).
fn quoted(text: &str, argument: bool) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '%' => out.push_str("%%"),
            '$' if argument => out.push_str("$$"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

pub fn by_hand() -> String {
    "To be done by you:
  - loginctl enable-linger      lets it run also while you are not logged in, and from boot on
Its log: journalctl --user -u swingbridge-device   It stays on this machine."
        .into()
}

pub fn start(changed: bool) -> Result<String, String> {
    let help = |why: String| {
        format!(
            "the file is written, but it could not be started: {why}. From a session of your own (not through sudo or su), run \
             `systemctl --user daemon-reload` and `systemctl --user enable --now {NAME}`"
        )
    };
    systemctl(&["daemon-reload"]).map_err(help)?;
    systemctl(&["enable", NAME]).map_err(help)?;
    systemctl(&[if changed { "restart" } else { "start" }, NAME]).map_err(help)?;
    Ok("It is started, and will be at every login.".into())
}

pub fn stop() -> Result<(), String> {
    systemctl(&["disable", "--now", NAME]).map(drop)
}

/// After the file is gone.
pub fn forget() {
    let _ = systemctl(&["daemon-reload"]);
}

pub fn state() -> State {
    let shown = systemctl(&[
        "show",
        NAME,
        "--property=LoadState,ActiveState,SubState,MainPID,NRestarts,ExecMainStatus,UnitFileState,NeedDaemonReload,ActiveEnterTimestamp",
    ]);
    let shown = match shown {
        Ok(shown) => shown,
        Err(why) => {
            return State {
                runs: false,
                told: format!("whether it runs is not known: your service manager does not answer ({why})"),
            };
        }
    };
    let mut state = read(&shown);
    let linger = tool("loginctl", &["show-user", "--property=Linger"]);
    if linger.is_ok_and(|text| text.trim() == "Linger=no") {
        state
            .told
            .push_str("\nit stops when you log out: `loginctl enable-linger` lets it run on");
    }
    state
}

/// Reads what `systemctl show` prints.
fn read(shown: &str) -> State {
    let of = |key: &str| {
        let line = shown
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or("").trim()
    };
    let runs = of("ActiveState") == "active" && of("SubState") == "running";
    let mut told = match (of("ActiveState"), of("SubState")) {
        _ if of("LoadState") == "not-found" => {
            "your service manager has not read the file: `systemctl --user daemon-reload`".into()
        }
        ("active", "running") => format!(
            "runs since {} (process {})",
            of("ActiveEnterTimestamp"),
            of("MainPID")
        ),
        ("activating", "auto-restart") => format!(
            "ended with code {}, and is about to be started again",
            of("ExecMainStatus")
        ),
        ("failed", _) => format!(
            "does not run: it ended with code {}. `journalctl --user -u swingbridge-device` says why",
            of("ExecMainStatus")
        ),
        ("inactive", _) => "does not run".into(),
        (active, sub) => format!("is {active} ({sub})"),
    };
    if !matches!(of("NRestarts"), "" | "0") {
        told.push_str(&format!(
            "\nrestarted {} times since it was started",
            of("NRestarts")
        ));
    }
    if of("UnitFileState") == "disabled" {
        told.push_str("\nnot started at login: `systemctl --user enable swingbridge-device`");
    }
    if of("NeedDaemonReload") == "yes" {
        told.push_str("\nthe file was changed since: `systemctl --user daemon-reload`");
    }
    State { runs, told }
}

fn systemctl(arguments: &[&str]) -> Result<String, String> {
    tool("systemctl", &[&["--user", "--no-pager"], arguments].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_as_it_is() {
        let state = read(
            "LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=42\nNRestarts=3\nUnitFileState=enabled\n",
        );
        assert!(
            state.runs && state.told.contains("42") && state.told.contains("restarted 3"),
            "{}",
            state.told
        );
        for (shown, word) in [
            ("LoadState=not-found\nActiveState=inactive", "daemon-reload"),
            (
                "LoadState=loaded\nActiveState=failed\nSubState=failed\nExecMainStatus=11",
                "code 11",
            ),
            (
                "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nExecMainStatus=1",
                "started again",
            ),
            (
                "LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled",
                "not started at login",
            ),
            ("", "is  ()"),
        ] {
            let state = read(shown);
            assert!(
                !state.runs && state.told.contains(word),
                "{shown}: {}",
                state.told
            );
        }
    }
}
