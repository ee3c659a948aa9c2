//! A script for Termux:Boot. Android has no service manager for what runs in Termux, so the script is that: it holds the wake lock,
//! starts the relay again with growing pauses, and says in a file how it stands.

use super::{Place, State, Unit};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where Termux keeps its programs, on every device.
pub const PREFIX: &str = "/data/data/com.termux/files/usr";
const NAME: &str = "swingbridge-device";
const SCRIPT: &str = include_str!("boot.sh");

pub fn path(place: &Place) -> PathBuf {
    place.home.join(".termux/boot").join(NAME)
}

/// The script with the paths of this device. A `#!` line can hold no quotes; Termux's folder needs none.
pub fn text(place: &Place) -> String {
    SCRIPT
        .replacen("@PREFIX@", &place.prefix.to_string_lossy(), 1)
        .replacen("@PATH@", &quoted(&place.prefix.join("bin").to_string_lossy()), 1)
        .replacen("@RUN@", &quoted(&folder(place).to_string_lossy()), 1)
        .replacen("@PROGRAM@", &quoted(&place.program.to_string_lossy()), 1)
        .replacen("@CONFIG@", &quoted(&place.config.to_string_lossy()), 1)
        .replacen("@DATA@", &quoted(&place.data.to_string_lossy()), 1)
}

/// Where the script keeps its pid, state and log. Below the home and not the data, so that `status` finds it by itself.
fn folder(place: &Place) -> PathBuf {
    place.home.join(".local/state").join(NAME)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub fn by_hand(place: &Place) -> String {
    format!(
        "To be done by you, on the phone. No program can do it for you:
  - Install Termux, Termux:API and Termux:Boot from the same source (F-Droid or GitHub; those of Google Play may not read SMS).
  - Open the app Termux:Boot once: before that, Android starts nothing of it.
  - Settings > Apps > Termux, and the same for Termux:API and Termux:Boot > Battery: unrestricted. Else Android puts it to sleep.
  - Settings > Apps > Termux:API > Permissions: SMS, Contacts, Phone. For notifications: Notification access, Termux:API.
  - pkg install termux-api
  - Android 12 and later kill programs that apps start (phantom processes). On Android 14 and later: Developer options, \"Disable child
    process restrictions\". Before, from a computer: adb shell settings put global settings_enable_monitor_phantom_procs false
Its log: {}   It stays on this device.",
        folder(place).join("device.log").display()
    )
}

pub fn start(unit: &Unit, place: &Place, changed: bool) -> Result<String, String> {
    if running(place).is_some() {
        if !changed {
            return Ok("It runs already.".into());
        }
        stop(place)?;
    }
    Command::new(place.prefix.join("bin/sh"))
        .arg(&unit.path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of this terminal's group, so that it outlives it.
        .process_group(0)
        .spawn()
        .map_err(|error| {
            format!(
                "the script is written, but could not be started: {error}. Run it by hand: sh {} &",
                unit.path.display()
            )
        })?;
    Ok("It is started, and will be at every boot.".into())
}

/// Ends the script, which ends the relay, and waits until it has.
pub fn stop(place: &Place) -> Result<(), String> {
    let Some(pid) = running(place) else {
        return Ok(());
    };
    let process = Pid::from_raw(pid).ok_or("its pid is none")?;
    kill_process(process, Signal::TERM).map_err(|error| format!("process {pid}: {error}"))?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while running(place).is_some() {
        if Instant::now() > deadline {
            return Err(format!("process {pid} does not end; end it with `kill -9 {pid}`"));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

pub fn state(place: &Place) -> State {
    let said = fs::read_to_string(folder(place).join("state")).unwrap_or_default();
    let said = match said.trim() {
        "" => "it has not run yet",
        said => said,
    };
    match running(place) {
        Some(pid) => State {
            // The script runs; the relay below it may be in a pause after a failure, which the state says.
            runs: said.starts_with("runs"),
            told: format!("the boot script runs (process {pid}); the relay: {said}"),
        },
        None => State {
            runs: false,
            told: format!("does not run; the last that is known: {said}"),
        },
    }
}

/// The script's process, if there is one: a pid from before a reboot may be another program's by now.
fn running(place: &Place) -> Option<i32> {
    let pid: i32 = fs::read_to_string(folder(place).join("pid"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // By its end only: Android has several names for the same folder.
    let script = format!("/.termux/boot/{NAME}");
    let own = line
        .split(|byte| *byte == 0)
        .any(|word| word.ends_with(script.as_bytes()));
    own.then_some(pid)
}
