//! A launchd agent: of the person's graphical session, since Messages and what macOS guards belong to that.

use super::{Place, State, Unit, tool};
use std::path::PathBuf;

const LABEL: &str = "dev.swingbridge.device";

pub fn path(place: &Place) -> PathBuf {
    place
        .home
        .join("Library/LaunchAgents")
        .join(format!("{LABEL}.plist"))
}

/// The agent's property list (launchd.plist(5)).
pub fn text(place: &Place) -> String {
    let program = escaped(&place.program.to_string_lossy());
    let config = escaped(&place.config.to_string_lossy());
    let data = escaped(&place.data.to_string_lossy());
    // 63 is 0077. The log is in the program's own folder: launchd only ever writes on at its end, so the program begins it anew at each start,
    // and keeps the one before. `Interactive`: macOS slows down what it thinks nobody waits for.
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by `swingbridge service install`, which writes it anew. -->
<plist version="1.0">
<dict>
    <key>Label</key>
    <string>{LABEL}</string>
    <key>ProgramArguments</key>
    <array>
        <string>{program}</string>
        <string>device</string>
        <string>--config</string>
        <string>{config}</string>
        <string>run</string>
        <string>--log</string>
        <string>{data}/device.log</string>
    </array>
    <key>RunAtLoad</key>
    <true/>
    <key>KeepAlive</key>
    <true/>
    <key>ThrottleInterval</key>
    <integer>30</integer>
    <key>LimitLoadToSessionType</key>
    <string>Aqua</string>
    <key>ProcessType</key>
    <string>Interactive</string>
    <key>ExitTimeOut</key>
    <integer>15</integer>
    <key>Umask</key>
    <integer>63</integer>
    <key>WorkingDirectory</key>
    <string>{data}</string>
    <key>StandardOutPath</key>
    <string>/dev/null</string>
    <key>StandardErrorPath</key>
    <string>{data}/device.log</string>
</dict>
</plist>
"#
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

pub fn by_hand(place: &Place) -> String {
    format!(
        "To be granted by you, in System Settings > Privacy & Security. No program can do it for you:
  - Full Disk Access    for {program} itself (not for Terminal): it reads the Messages database
  - Automation          Messages, for the same program: macOS asks when it sends the first message; until then nothing leaves
After an update both are lost without a word unless the program is signed with a lasting identity: switch Full Disk Access off and
on again then.
  - The Mac must stay awake and logged in: System Settings > Energy, prevent automatic sleeping.
Its log: {data}/device.log, and device.log.1 from the start before. They stay on this machine. What only you can mend (a wrong configuration, a
session that ended) it waits for, and goes on when you have changed device.yaml or logged in.",
        program = place.program.display(),
        data = place.data.display(),
    )
}

pub fn start(unit: &Unit, changed: bool) -> Result<String, String> {
    let path = unit.path.to_string_lossy();
    let help = |why: String| {
        format!(
            "the file is written, but it could not be started: {why}. In Terminal on the Mac's own screen (not over ssh), run \
             `launchctl bootstrap {} '{path}'`",
            domain()
        )
    };
    let loaded = tool("launchctl", &["print", &target()]).is_ok();
    if loaded && !changed {
        tool("launchctl", &["kickstart", &target()]).map_err(help)?;
        return Ok("It runs already.".into());
    }
    if loaded {
        tool("launchctl", &["bootout", &target()]).map_err(help)?;
    }
    // It may have been switched off by hand before; that would outlive the file.
    tool("launchctl", &["enable", &target()]).map_err(help)?;
    tool("launchctl", &["bootstrap", &domain(), &path]).map_err(help)?;
    Ok("It is started, and will be at every login.".into())
}

pub fn stop() -> Result<(), String> {
    if tool("launchctl", &["print", &target()]).is_err() {
        return Ok(());
    }
    tool("launchctl", &["bootout", &target()]).map(drop)
}

pub fn state() -> State {
    match tool("launchctl", &["print", &target()]) {
        Ok(printed) => read(&printed),
        Err(why) if why.contains("cannot be run") => State {
            runs: false,
            told: format!("whether it runs is not known: {why}"),
        },
        Err(_) => State {
            runs: false,
            told: "does not run: it is not loaded in your graphical session".into(),
        },
    }
}

/// Reads what `launchctl print` prints: lines `key = value`, of which the first of each key is the agent's own.
fn read(printed: &str) -> State {
    let of = |key: &str| {
        printed
            .lines()
            .filter_map(|line| line.trim().split_once(" = "))
            .find_map(|(name, value)| (name == key).then_some(value.trim()))
    };
    let last = of("last exit code").unwrap_or("not told");
    match (of("state"), of("pid")) {
        (Some("running"), Some(pid)) => State {
            runs: true,
            told: format!(
                "runs (process {pid}), started {} times, last exit code: {last}",
                of("runs").unwrap_or("?")
            ),
        },
        (state, _) => State {
            runs: false,
            told: format!(
                "does not run: {}, last exit code: {last}",
                state.unwrap_or("state not told")
            ),
        },
    }
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn target() -> String {
    format!("{}/{LABEL}", domain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_process_counts_as_running() {
        let printed = "gui/501/dev.swingbridge.device = {\n\tactive count = 1\n\tstate = running\n\truns = 2\n\tpid = 512\n\tlast exit code = 1\n\tspawn type = daemon (3)\n\tendpoints = {\n\t\tstate = active\n\t}\n}\n";
        let state = read(printed);
        assert!(state.runs && state.told.contains("512"), "{}", state.told);
        let waits = printed
            .replace("running", "spawn scheduled")
            .replace("\tpid = 512\n", "");
        let state = read(&waits);
        assert!(
            !state.runs && state.told.contains("spawn scheduled"),
            "{}",
            state.told
        );
        assert!(!read("").runs);
    }
}
