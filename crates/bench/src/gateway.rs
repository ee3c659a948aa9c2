//! The real program, as its operator would run it.

use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use swingbridge_domain::secret::Keys;
use swingbridge_lab::process::{End, Process, Start, free_port};
use tempfile::TempDir;

use crate::site::{self, ALICE, DOMAIN, LINE};

/// A gateway's folder, made by its own `init`.
pub struct Gateway {
    program: PathBuf,
    folder: TempDir,
    /// Where it takes transactions.
    pub port: u16,
    operations: u16,
    /// Whether its rooms are encrypted; most clients here do not encrypt.
    pub encrypts: bool,
    /// Further settings, by their variables without `SWINGBRIDGE_`.
    pub settings: Vec<(String, String)>,
}

impl Gateway {
    /// Writes configuration, registration and key. `reached_at` is where the homeserver shall send transactions, when that is
    /// not the gateway itself.
    ///
    /// # Errors
    /// When the program is not there or refuses.
    pub fn init(
        programs: &Path,
        homeserver: &str,
        smsc: SocketAddr,
        reached_at: Option<SocketAddr>,
    ) -> Result<Self> {
        let gateway = Self {
            program: programs.join("swingbridge"),
            folder: tempfile::tempdir()?,
            port: free_port()?,
            operations: free_port()?,
            encrypts: false,
            settings: Vec::new(),
        };
        let mut init = gateway.command("init");
        init.args(["--homeserver", homeserver, "--domain", DOMAIN]);
        init.args(["--listen", &format!("127.0.0.1:{}", gateway.port)]);
        init.args(["--operations", &format!("127.0.0.1:{}", gateway.operations)]);
        init.args([
            "--smpp-host",
            &smsc.ip().to_string(),
            "--smpp-port",
            &smsc.port().to_string(),
        ]);
        init.args(["--smpp-system-id", "bench", "--smpp-password", "bench"]);
        init.args(["--line", LINE, "--region", "GB", "--admin", ALICE]);
        if let Some(address) = reached_at {
            init.args(["--appservice-address", &format!("http://{address}")]);
        }
        let output = init
            .output()
            .with_context(|| format!("cannot run {}", gateway.program.display()))?;
        ensure!(
            output.status.success(),
            "init: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(gateway)
    }

    pub fn registration(&self) -> PathBuf {
        self.folder.path().join("registration.yaml")
    }

    /// Where a connector is called by its provider.
    ///
    /// # Errors
    /// When the program does not say.
    pub fn webhook_of(&self, connector: &str) -> Result<String> {
        let output = self.command("webhooks").output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = told.lines().filter_map(|line| line.split_once('\t'));
        let url = lines.find(|(name, _)| *name == connector);
        let url = url.map(|(_, url)| url.to_owned());
        url.with_context(|| format!("webhooks: {told}{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What the homeserver shows with its transactions.
    ///
    /// # Errors
    /// When the registration does not say.
    pub fn hs_token(&self) -> Result<String> {
        let text = std::fs::read_to_string(self.registration())?;
        let mut lines = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("hs_token:"));
        let token = lines.next().context("the registration has no hs_token")?;
        Ok(token.trim().trim_matches(['"', '\'']).to_owned())
    }

    /// Writes conversations into its database, as an earlier life would have left them. It must not run.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn fill(&self, conversations: u32) -> Result<()> {
        let path = self.folder.path().join("swingbridge.db");
        let store = site::open(&path, swingbridge_store::Synchronous::Normal)?;
        site::fill(store.as_ref(), &self.keys()?, site::LINE_ID, conversations).await?;
        tokio::task::spawn_blocking(move || drop(store)).await?;
        Ok(())
    }

    fn keys(&self) -> Result<Keys> {
        let text = std::fs::read_to_string(self.folder.path().join("site.key"))?;
        let text = text.trim();
        let mut key = [0; 32];
        for (at, octet) in key.iter_mut().enumerate() {
            let digits = text
                .get(at * 2..at * 2 + 2)
                .context("the site key is too short")?;
            *octet = u8::from_str_radix(digits, 16)?;
        }
        Ok(site::keys(&key))
    }

    /// Starts it and waits until it says that it is ready; answers how long that took.
    ///
    /// # Errors
    /// When it ends or is not ready within a minute.
    pub async fn start(&self) -> Result<(Process, Duration)> {
        let begun = Instant::now();
        let mut process = Process::start(&Start {
            name: "the gateway",
            command: &self.command("gateway"),
            log: &self.folder.path().join("gateway.log"),
            end: End::Terminate,
            user: None,
        })?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = format!("http://127.0.0.1:{}/health/ready", self.operations);
        loop {
            if let Ok(answer) = http.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok((process, begun.elapsed()));
            }
            if process.ended().is_some() || begun.elapsed() > Duration::from_secs(60) {
                bail!("the gateway is not ready:\n{}", process.log_tail(20));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.folder.path()).arg(name);
        // What stands in our own environment is not for it.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("SWINGBRIDGE_") || name.starts_with("BRIDGE_") || name == "NOTIFY_SOCKET" {
                command.env_remove(&*name);
            }
        }
        command.env("SWINGBRIDGE_LOGGING__LEVEL", "warn");
        let mode = if self.encrypts { "default" } else { "off" };
        command.env("SWINGBRIDGE_ENCRYPTION__MODE", mode);
        for (name, value) in &self.settings {
            command.env(format!("SWINGBRIDGE_{name}"), value);
        }
        // Nobody sits there to be asked.
        command.env("SWINGBRIDGE_PRIVACY__CONSENT", "policy");
        command
    }
}
