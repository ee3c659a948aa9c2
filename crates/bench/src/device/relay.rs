//! The real program on a device, as its person would run it, before a real Synapse.

use crate::Places;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use swingbridge_lab::client::Client;
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::process::{End, Process, Start};
use swingbridge_lab::synapse::{Options, Synapse};
use tempfile::TempDir;

pub const OWN: &str = "+447700900001";
const ACCOUNT: &str = "phone-alice";
const PASSWORD: &str = "alice-in-the-bench";
/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A homeserver with the owner, who has a client that encrypts and one that only looks at what the homeserver has.
pub struct Home {
    pub synapse: Synapse,
    pub outside: Client,
    /// On matrix-nio: the device shares its keys with it.
    _alice: Foreign,
}

impl Home {
    /// # Errors
    /// When Synapse or the client does not start.
    pub async fn open(python: &Path) -> Result<Self> {
        let synapse = Synapse::start(python, Options::default()).await?;
        let outside = synapse.user("alice", PASSWORD).await?;
        synapse.user(ACCOUNT, PASSWORD).await?;
        let alice = Foreign::client(Script::Nio, synapse.url(), "@alice:localhost", PASSWORD)
            .await
            .context("matrix-nio is not installed")??;
        Ok(Self {
            synapse,
            outside,
            _alice: alice,
        })
    }
}

/// The program, with its folder.
pub struct Relay {
    program: PathBuf,
    folder: TempDir,
    settings: Vec<(String, String)>,
    /// What its log says once it reads its phone or Mac.
    reads: &'static str,
}

impl Relay {
    /// Set up and logged in. `settings`: what leads it to its phone or Mac, as variables without their first word.
    ///
    /// # Errors
    /// When the program is not there, was built without its device, or refuses.
    pub fn new(
        places: &Places,
        home: &Home,
        connector: &str,
        reads: &'static str,
        settings: &[(&str, String)],
    ) -> Result<Self> {
        let relay = Self {
            program: places.programs.join("swingbridge"),
            folder: tempfile::tempdir()?,
            settings: settings
                .iter()
                .map(|(name, value)| (format!("SWINGBRIDGE_{name}"), value.clone()))
                .collect(),
            reads,
        };
        let password = relay.folder.path().join("password");
        std::fs::write(&password, PASSWORD)?;
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600))?;
        let url = home.synapse.url();
        let init = [
            "init",
            "--owner",
            "@alice:localhost",
            "--region",
            "GB",
            "--number",
            OWN,
        ];
        well(
            relay
                .command()
                .args(init)
                .args(["--homeserver", url, "--connector", connector]),
        )?;
        well(
            relay
                .command()
                .args(["login", "--user", ACCOUNT, "--password-file", "password"]),
        )?;
        Ok(relay)
    }

    /// Starts it; answers how long it took until it read its phone or Mac.
    ///
    /// # Errors
    /// When it ends, or does not in two minutes.
    pub async fn start(&self) -> Result<(Process, Duration)> {
        let log = self.folder.path().join("device.log");
        // Of this run alone.
        let _ = std::fs::remove_file(&log);
        let begun = Instant::now();
        let mut process = Process::start(&Start {
            name: "the device",
            command: &self.command(),
            log: &log,
            end: End::Terminate,
            user: None,
        })?;
        loop {
            if process.log_tail(100).contains(self.reads) {
                return Ok((process, begun.elapsed()));
            }
            if process.ended().is_some() || begun.elapsed() > PATIENCE {
                bail!("the device does not read:\n{}", process.log_tail(20));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until nothing waits to be sent, as the program itself writes it down after `since`.
    ///
    /// # Errors
    /// When it does not come to an end within `patience`.
    pub async fn drained(&self, since: i64, patience: Duration) -> Result<()> {
        let path = self.folder.path().join("swingbridge-device/status.json");
        let begun = Instant::now();
        loop {
            let found = std::fs::read(&path).ok();
            let found = found.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            if let Some(status) = &found
                && status["looked_at"].as_i64().is_some_and(|at| at > since)
                && let Some(queues) = status["queues"].as_object()
                && queues.values().all(|queue| queue["rows"] == 0)
            {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < patience,
                "the queue does not become empty: {found:?}"
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.folder.path()).arg("device");
        // What stands in our own environment is not for it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SWINGBRIDGE_") || name == "NOTIFY_SOCKET" {
                command.env_remove(&name);
            }
        }
        // As its service has it.
        command.env("MALLOC_ARENA_MAX", "1");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn well(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
