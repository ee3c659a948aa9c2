//! `service`: what is written for each system, read by programs of others, and the boot script at work.

use crate::program::{code, command, run, said};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A path that each format has to quote in its own way.
const AWKWARD: &str = r#"it's 100% "odd" & <new> $HOME"#;

const UNIT: &str = ".config/systemd/user/swingbridge-device.service";
const AGENT: &str = "Library/LaunchAgents/dev.swingbridge.device.plist";
const SCRIPT: &str = ".termux/boot/swingbridge-device";

struct Device {
    folder: TempDir,
}

impl Device {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join(AWKWARD)).unwrap();
        fs::write(folder.path().join(AWKWARD).join("device.yaml"), "").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        self.path(AWKWARD).join("device.yaml").display().to_string()
    }

    /// `service` on this device, with the tools in `bin` before those of the system.
    fn service(&self, arguments: &[&str]) -> Output {
        let config = self.config();
        let mut command = command(
            self.folder.path(),
            &[&["service", "-c", &config], arguments].concat(),
        );
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var_os("PATH").unwrap_or_default().display()
        );
        command
            .env("HOME", self.folder.path())
            .env("PATH", path)
            .env_remove("PREFIX")
            .env_remove("TERMUX_VERSION")
            // A gateway's, which a device does not know.
            .env_remove("SWINGBRIDGE_ENCRYPTION__MODE")
            .env_remove("SWINGBRIDGE_PRIVACY__CONSENT");
        command.output().unwrap()
    }

    fn install(&self, kind: &str, more: &[&str]) -> Output {
        let home = self.folder.path().display().to_string();
        self.service(&[&["install", "--kind", kind, "--home", &home], more].concat())
    }

    /// A program that the service calls, as a script.
    fn tool(&self, name: &str, script: &str) {
        fs::create_dir_all(self.path("bin")).unwrap();
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !there() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn each_kind_is_written_once_shown_and_taken_away() {
    for (kind, file, mode, by_hand) in [
        ("systemd", UNIT, 0o600, &["enable-linger"][..]),
        ("launchd", AGENT, 0o600, &["Full Disk Access", "Automation"]),
        (
            "termux",
            SCRIPT,
            0o700,
            &["Battery", "SMS", "Contacts", "phantom", "Termux:Boot once"],
        ),
    ] {
        let device = Device::new();
        let shown = device.install(kind, &["--dry-run"]);
        assert_eq!(code(&shown), 0, "{}", said(&shown));
        assert!(!device.path(file).exists(), "a dry run writes nothing");

        let output = device.install(kind, &[]);
        assert_eq!(code(&output), 0, "{}", said(&output));
        let text = device.read(file);
        assert!(
            said(&output).contains(&text) && said(&shown).contains(&text),
            "{}",
            said(&output)
        );
        for word in by_hand {
            assert!(said(&output).contains(word), "{word}: {}", said(&output));
        }
        let found = fs::metadata(device.path(file)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, mode, "{kind}");
        let folder = device.path(file).parent().unwrap().to_owned();
        assert_eq!(
            fs::read_dir(folder).unwrap().count(),
            1,
            "nothing else is left there"
        );

        let again = device.install(kind, &[]);
        assert_eq!(code(&again), 0, "{}", said(&again));
        assert!(said(&again).contains("as it should be"), "{}", said(&again));
        assert_eq!(
            fs::metadata(device.path(file)).unwrap().modified().unwrap(),
            found.modified().unwrap()
        );

        let home = device.folder.path().display().to_string();
        let place = ["--kind", kind, "--home", home.as_str()];
        let status = device.service(&[&["status"], &place[..]].concat());
        assert_eq!(code(&status), 3, "{}", said(&status));
        assert!(said(&status).contains("installed:"), "{}", said(&status));
        for expected in ["deleted", "not installed"] {
            let output = device.service(&[&["remove"], &place[..]].concat());
            assert_eq!(code(&output), 0, "{}", said(&output));
            assert!(said(&output).contains(expected), "{}", said(&output));
            assert!(!device.path(file).exists());
        }
        let status = device.service(&[&["status"], &place[..]].concat());
        assert!(
            code(&status) == 3 && said(&status).contains("not installed"),
            "{}",
            said(&status)
        );
        assert!(Path::new(&device.config()).exists(), "the configuration stays");
    }
}

#[test]
fn nothing_is_installed_for_a_configuration_that_is_not_there() {
    let folder = TempDir::new().unwrap();
    let home = folder.path().display().to_string();
    let output = run(
        folder.path(),
        &[
            "service", "install", "--kind", "systemd", "--home", &home, "-c", "no.yaml",
        ],
    );
    assert_eq!(code(&output), 10, "{}", said(&output));
    assert!(
        said(&output).contains("no.yaml") && !folder.path().join(UNIT).exists(),
        "{}",
        said(&output)
    );
}

#[test]
fn the_folder_that_the_configuration_names_is_made_and_can_be_written_to() {
    let device = Device::new();
    let data = device.path("elsewhere/data");
    let text = format!(
        "device:
  owner: \"@alice:example.org\"
  folder: {}
homeserver:
  address: https://matrix.example.org
connectors:
  phone: {{ type: termux }}
lines:
  main: {{ connector: phone, address: \"+447700900000\", region: GB }}
",
        data.display()
    );
    fs::write(device.config(), text).unwrap();
    let output = device.install("systemd", &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let unit = device.read(UNIT);
    let written = format!("\nReadWritePaths=\"{}\"\n", data.display());
    assert!(unit.contains(&written), "{unit}");
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    // Told otherwise, it is otherwise.
    let other = device.path("other").display().to_string();
    let output = device.install("systemd", &["--data", &other]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(
        device
            .read(UNIT)
            .contains(&format!("\nWorkingDirectory={other}\n"))
    );
}

#[test]
fn systemd_reads_the_unit_and_finds_nothing_to_complain_about() {
    if !has("systemd-analyze") {
        eprintln!("skipped, for want of systemd-analyze");
        return;
    }
    let device = Device::new();
    let output = device.install("systemd", &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let runtime = TempDir::new().unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--user", "--man=no"])
        .arg(device.path(UNIT))
        .env("XDG_RUNTIME_DIR", runtime.path())
        .env("HOME", device.folder.path())
        .output()
        .unwrap();
    let text = said(&output);
    assert!(
        output.status.success() && !text.contains("swingbridge-device.service"),
        "{text}"
    );
}

#[test]
fn the_agent_is_a_property_list_that_says_what_was_meant() {
    if !has("python3") {
        eprintln!("skipped, for want of python3");
        return;
    }
    let device = Device::new();
    let output = device.install("launchd", &["--program", "/Applications/a & b/swingbridge"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let script = "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(device.path(AGENT))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let agent: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let data = device.path(AWKWARD).display().to_string();
    assert_eq!(
        agent,
        serde_json::json!({
            "Label": "dev.swingbridge.device",
            "ProgramArguments": [
                "/Applications/a & b/swingbridge", "device", "--config", device.config(), "run", "--log", format!("{data}/device.log"),
            ],
            "RunAtLoad": true,
            "KeepAlive": true,
            "ThrottleInterval": 30,
            "LimitLoadToSessionType": "Aqua",
            "ProcessType": "Interactive",
            "ExitTimeOut": 15,
            "Umask": 0o077,
            "WorkingDirectory": data,
            "StandardOutPath": "/dev/null",
            "StandardErrorPath": format!("{data}/device.log"),
        })
    );
}

#[test]
fn the_agent_begins_its_log_anew_and_waits_for_a_person_where_only_one_can_help() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("device.log");
    fs::write(&log, "said by the start before\n").unwrap();
    let start = || {
        let arguments = ["device", "--config", "device.yaml", "run", "--log", "device.log"];
        let mut command = command(folder.path(), &arguments);
        command.env_remove("SWINGBRIDGE_ENCRYPTION__MODE");
        command.env_remove("SWINGBRIDGE_PRIVACY__CONSENT");
        command.spawn().unwrap()
    };
    let said = || fs::read_to_string(&log).unwrap_or_default();
    // There is no configuration.
    let mut agent = start();
    wait_for("the cause", || said().contains("device.yaml cannot be read"));
    assert!(
        said().contains("a person must act") && !said().contains("before"),
        "{}",
        said()
    );
    let before = fs::read_to_string(folder.path().join("device.log.1")).unwrap();
    assert_eq!(before, "said by the start before\n");
    assert!(agent.try_wait().unwrap().is_none(), "it waits");
    // Who mends it need not wait.
    fs::write(folder.path().join("device.yaml"), "device: {}\n").unwrap();
    wait_for("its end", || agent.try_wait().unwrap().is_some());
    assert_eq!(agent.wait().unwrap().code(), Some(10));
    // It is still wrong, and launchd stops it.
    let mut agent = start();
    wait_for("the next cause", || {
        said().contains("device.owner") && said().contains("a person must act")
    });
    Command::new("kill").arg(agent.id().to_string()).status().unwrap();
    wait_for("its end when told", || agent.try_wait().unwrap().is_some());
    assert_eq!(agent.wait().unwrap().code(), Some(11));
}

#[test]
fn systemd_is_told_and_its_answer_is_passed_on() {
    let device = Device::new();
    let calls = device.path("calls").display().to_string();
    device.tool(
        "systemctl",
        &format!(
            "echo \"$*\" >>'{calls}'\ncase \"$*\" in *show*) echo LoadState=loaded; echo ActiveState=active; echo SubState=running; echo MainPID=4711; echo NRestarts=2;; esac"
        ),
    );
    device.tool("loginctl", "echo Linger=no");
    let output = device.service(&["install", "--kind", "systemd"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let told = device.read("calls");
    for call in [
        "daemon-reload",
        "enable swingbridge-device.service",
        "restart swingbridge-device.service",
    ] {
        assert!(told.contains(call), "{told}");
    }
    let status = device.service(&["status", "--kind", "systemd"]);
    assert_eq!(code(&status), 0, "{}", said(&status));
    assert!(
        said(&status).contains("4711") && said(&status).contains("enable-linger"),
        "{}",
        said(&status)
    );
    let output = device.service(&["remove", "--kind", "systemd"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(
        device
            .read("calls")
            .contains("disable --now swingbridge-device.service")
    );

    // A manager that does not answer: the file is there, the rest is told.
    device.tool(
        "systemctl",
        "echo 'Failed to connect to bus: No medium found' >&2; exit 1",
    );
    let output = device.service(&["install", "--kind", "systemd"]);
    assert_eq!(code(&output), 20, "{}", said(&output));
    assert!(
        said(&output).contains("No medium found") && said(&output).contains("enable --now"),
        "{}",
        said(&output)
    );
    assert!(device.path(UNIT).exists());
    let status = device.service(&["status", "--kind", "systemd"]);
    assert_eq!(code(&status), 3, "{}", said(&status));
    assert!(said(&status).contains("not known"), "{}", said(&status));
}

#[test]
fn launchd_is_told_and_its_answer_is_passed_on() {
    let device = Device::new();
    let (calls, loaded) = (
        device.path("calls").display().to_string(),
        device.path("loaded").display().to_string(),
    );
    device.tool(
        "launchctl",
        &format!(
            "echo \"$*\" >>'{calls}'\ncase $1 in\nprint) [ -e '{loaded}' ] || exit 113; printf 'x = {{\\n\\tstate = running\\n\\tpid = 4711\\n}}\\n';;\nbootstrap) touch '{loaded}';;\nbootout) rm '{loaded}';;\nesac"
        ),
    );
    let status = || device.service(&["status", "--kind", "launchd"]);
    let output = device.service(&["install", "--kind", "launchd"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(
        code(&status()) == 0 && said(&status()).contains("4711"),
        "{}",
        said(&status())
    );
    // What has changed is loaded anew; what has not is left alone.
    let other = device.service(&["install", "--kind", "launchd", "--program", "/opt/swingbridge"]);
    assert_eq!(code(&other), 0, "{}", said(&other));
    let count = |word: &str| {
        device
            .read("calls")
            .lines()
            .filter(|line| line.starts_with(word))
            .count()
    };
    assert_eq!((count("bootstrap"), count("bootout")), (2, 1));
    let same = device.service(&["install", "--kind", "launchd", "--program", "/opt/swingbridge"]);
    assert!(code(&same) == 0 && count("bootout") == 1, "{}", said(&same));
    let output = device.service(&["remove", "--kind", "launchd"]);
    assert_eq!((code(&output), count("bootout")), (0, 2), "{}", said(&output));
    assert_eq!(code(&status()), 3);
}

/// A phone: Termux's folder with a shell and a wake lock, and a relay that does as the file `behaviour` says.
fn phone() -> Device {
    let device = Device::new();
    fs::create_dir_all(device.path("usr/bin")).unwrap();
    std::os::unix::fs::symlink("/bin/sh", device.path("usr/bin/sh")).unwrap();
    let held = device.path("wakelock").display().to_string();
    device.tool("termux-wake-lock", &format!("touch '{held}'"));
    device.tool("termux-wake-unlock", &format!("rm -f '{held}'"));
    let starts = device.path("starts").display().to_string();
    let behaviour = device.path("behaviour").display().to_string();
    device.tool(
        "relay",
        &format!("echo \"$*\" >>'{starts}'\necho said by the relay\n. '{behaviour}'"),
    );
    device
}

impl Device {
    fn behave(&self, script: &str) {
        fs::write(self.path("behaviour"), script).unwrap();
    }

    fn boot(&self) -> Output {
        let (prefix, relay) = (
            self.path("usr").display().to_string(),
            self.path("bin/relay").display().to_string(),
        );
        self.service(&[
            "install",
            "--kind",
            "termux",
            "--prefix",
            &prefix,
            "--program",
            &relay,
        ])
    }

    fn starts(&self) -> usize {
        fs::read_to_string(self.path("starts"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    fn status(&self) -> (i32, String) {
        let output = self.service(&["status", "--kind", "termux"]);
        (code(&output), said(&output))
    }

    fn remove(&self) -> Output {
        self.service(&["remove", "--kind", "termux"])
    }
}

#[test]
fn a_shell_reads_the_boot_script() {
    let device = phone();
    let output = device.install("termux", &[]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    for shell in ["sh", "dash", "bash"] {
        if let Ok(output) = Command::new(shell).arg("-n").arg(device.path(SCRIPT)).output() {
            assert!(output.status.success(), "{shell}: {}", said(&output));
        }
    }
    assert!(
        device
            .read(SCRIPT)
            .starts_with("#!/data/data/com.termux/files/usr/bin/sh\n")
    );
}

#[test]
fn the_boot_script_holds_the_wake_lock_starts_the_relay_again_and_ends_with_it() {
    let device = phone();
    device.behave(r#"[ "$(wc -l <"$HOME/starts")" -ge 2 ] || exit 1; exec sleep 600"#);
    let output = device.boot();
    assert_eq!(code(&output), 0, "{}", said(&output));
    wait_for("a second start after the failure", || device.starts() == 2);
    wait_for("a state that says so", || device.status().0 == 0);
    assert_eq!(
        device.read("starts").lines().next().unwrap(),
        format!("device --config {}", device.config())
    );
    assert!(device.path("wakelock").exists());
    let log = device.read(".local/state/swingbridge-device/device.log");
    assert_eq!(log, "said by the relay\n");

    // It is there once, whoever starts it again.
    let again = device.boot();
    assert!(
        code(&again) == 0 && said(&again).contains("runs already"),
        "{}",
        said(&again)
    );
    let twice = Command::new("sh").arg(device.path(SCRIPT)).output().unwrap();
    assert!(twice.status.success(), "{}", said(&twice));
    assert_eq!(device.starts(), 2);

    let pid = device.read(".local/state/swingbridge-device/pid");
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", pid.trim())).unwrap_or_default();
    let output = device.remove();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(!Path::new(&format!("/proc/{}", pid.trim())).exists() || !device.path(SCRIPT).exists());
    for child in children.split_whitespace() {
        wait_for("the relay's end", || {
            let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            line.is_empty()
        });
    }
    assert!(!device.path("wakelock").exists());
    assert_eq!(device.status().0, 3);
}

#[test]
fn the_boot_script_leaves_to_a_person_what_only_a_person_can_mend() {
    let device = phone();
    device.behave("exit 11");
    let output = device.boot();
    assert_eq!(code(&output), 0, "{}", said(&output));
    wait_for("the end of the script", || {
        device.status().1.contains("ended with code 11")
    });
    wait_for("no pid", || {
        !device.path(".local/state/swingbridge-device/pid").exists()
    });
    wait_for("the wake lock to be given back", || {
        !device.path("wakelock").exists()
    });
    let (status, told) = device.status();
    assert!(status == 3 && told.contains("waits for a person"), "{told}");
    assert_eq!(device.starts(), 1);
    assert_eq!(code(&device.remove()), 0);
}

#[test]
fn a_pid_that_is_another_programs_by_now_is_not_taken_for_the_relay() {
    let device = phone();
    device.behave("exec sleep 600");
    let state = device.path(".local/state/swingbridge-device");
    fs::create_dir_all(&state).unwrap();
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    fs::write(state.join("pid"), stranger.id().to_string()).unwrap();
    fs::write(state.join("state"), "runs (process 1) since yesterday").unwrap();
    let output = device.boot();
    assert_eq!(code(&output), 0, "{}", said(&output));
    wait_for("the relay's start", || device.starts() == 1);
    wait_for("its own pid", || device.status().0 == 0);
    assert_eq!(code(&device.remove()), 0);
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
