//! Everything that runs for a device: a homeserver, the device, the relay on it, and the page of phones.

use super::handset::{Handset, Kind};
use super::page;
use crate::house::{PASSWORD, USER, tell};
use crate::ports::Ports;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};
use swingbridge_lab::process::{End, Process, Start};
use swingbridge_lab::synapse::{Options, Synapse};

/// The device's own number: one that Ofcom keeps for fiction, as those of the contacts.
pub const OWN: &str = "+447700900001";
pub const CONTACTS: &[(&str, &str)] = &[("+447700900456", "Ada"), ("+447700900457", "Bob")];

/// The device's own account.
const ACCOUNT: &str = "phone-alice";

/// What `swingbridge register` ends with where the account is there from an earlier run.
const EXISTS: i32 = 19;

/// Everything that runs. Dropping it ends it all, in good order.
pub struct DeviceHouse {
    // The relay goes first, so that it can say goodbye to the homeserver.
    relay: Process,
    pub synapse: Synapse,
    pub kind: Kind,
    pub ports: Ports,
    folder: PathBuf,
}

impl DeviceHouse {
    pub async fn open(kind: Kind, folder: &Path, programs: &Path, python: &Path) -> Result<Self> {
        let relay_folder = folder.join("relay");
        fs::create_dir_all(&relay_folder)?;
        let ports = Ports::choose(folder)?;
        ports.keep(folder, &[relay_folder.join("device.yaml")])?;
        let handset = Arc::new(Handset::open(kind, &folder.join("handset"), CONTACTS)?);
        let options = Options {
            folder: Some(folder.join("synapse")),
            port: Some(ports.homeserver),
            ..Options::default()
        };
        let synapse = Synapse::start(python, options).await?;
        tell(&format!("Synapse answers on port {}", ports.homeserver));

        let relay = Relay {
            program: programs.join("swingbridge"),
            folder: relay_folder,
            kind,
        };
        relay.prepare(&synapse)?;
        let process = relay.start(&handset).await?;
        tell(&format!("the relay runs on {}", kind.name()));
        page::serve(kind, handset, ports.phones).await?;
        Ok(Self {
            relay: process,
            synapse,
            kind,
            ports,
            folder: relay.folder,
        })
    }

    /// What died, if something did.
    pub fn broken(&mut self) -> Option<anyhow::Error> {
        if self.relay.ended().is_some() {
            return Some(self.relay.failure("").into());
        }
        self.synapse.ended().map(|status| {
            anyhow!(
                "Synapse ended with {status}; the end of its log:\n{}",
                self.synapse.log_tail(30)
            )
        })
    }

    /// Ends relay and homeserver, so that all that they keep is in their files.
    pub async fn stop(&mut self) -> Result<()> {
        let ended = self.relay.stop().await;
        ensure!(
            ended.is_some_and(|status| status.success()),
            "the relay did not end well: {ended:?}"
        );
        self.synapse.stop().await;
        Ok(())
    }

    /// The end of the relay's log, for a check that failed.
    pub fn log(&self) -> String {
        self.relay.log_tail(40)
    }

    /// Where the relay keeps its things.
    pub fn relay_folder(&self) -> &Path {
        &self.folder
    }
}

/// The relay, set up as its person would.
struct Relay {
    program: PathBuf,
    folder: PathBuf,
    kind: Kind,
}

impl Relay {
    /// Accounts, configuration and session: each once.
    fn prepare(&self, synapse: &Synapse) -> Result<()> {
        let done = self.folder.join("logged-in");
        if done.exists() {
            return Ok(());
        }
        private(&self.folder.join("shared-secret"), synapse.shared_secret())?;
        private(&self.folder.join(format!("{USER}.password")), PASSWORD)?;
        for name in [USER, ACCOUNT] {
            let mut register = self.command(&["register", "--username", name]);
            register
                .args(["--homeserver", synapse.url()])
                .args(["--shared-secret-file", "shared-secret", "--password-file"])
                .arg(format!("{name}.password"));
            let output = run(&mut register)?;
            if output.status.code() != Some(EXISTS) {
                well(&register, &output)?;
            }
        }
        tell(&format!(
            "`swingbridge register` made the accounts {USER} and {ACCOUNT}"
        ));

        let owner = format!("@{USER}:{}", synapse.server_name());
        let mut init = self.command(&["device", "init", "--force", "--region", "GB", "--number", OWN]);
        init.args(["--connector", self.kind.connector(), "--owner", &owner])
            .args(["--homeserver", synapse.url()]);
        let output = run(&mut init)?;
        well(&init, &output)?;
        let mut login = self.command(&["device", "login", "--user", ACCOUNT, "--password-file"]);
        login.arg(format!("{ACCOUNT}.password"));
        let output = run(&mut login)?;
        well(&login, &output)?;
        tell("`swingbridge device login` gave the relay a session and keys of its own");
        fs::write(done, "")?;
        Ok(())
    }

    /// Starts it and waits until it looks at the device: what is there already it does not bring over.
    async fn start(&self, handset: &Handset) -> Result<Process> {
        let mut command = self.command(&["device"]);
        handset.lead(&mut command);
        let log = self.folder.join("relay.log");
        // Of this run alone, or an earlier one would seem to be this one.
        if log.exists() {
            fs::rename(&log, self.folder.join("relay.log.before"))?;
        }
        let mut process = Process::start(&Start {
            name: "the relay",
            command: &command,
            log: &log,
            end: End::Terminate,
            user: None,
        })?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while !process.log_tail(200).contains(self.kind.looks()) {
            if process.ended().is_some() || Instant::now() > deadline {
                bail!(process.failure("does not look at the device within a minute"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(process)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(arguments);
        // Settings that are meant for another one.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("SWINGBRIDGE_")) {
                command.env_remove(name);
            }
        }
        command
    }
}

/// A file that only we can read, as the program demands of secrets.
fn private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

fn run(command: &mut Command) -> Result<Output> {
    command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))
}

fn well(command: &Command, output: &Output) -> Result<()> {
    let words: Vec<_> = command
        .get_args()
        .take(2)
        .map(|word| word.to_string_lossy())
        .collect();
    ensure!(
        output.status.success(),
        "`swingbridge {}` ended with {}:\n{}{}",
        words.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
