//! The program under demonstration, used as its operator would: `init`, then `gateway`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use swingbridge_lab::process::{End, Process, Start};

use crate::ports::Ports;

/// The carrier's account.
pub const SYSTEM_ID: &str = "swingbridge";
pub const PASSWORD: &str = "secret";

/// Our number, and whose phone we text: numbers that Ofcom keeps for fiction.
pub const LINE: &str = "+447700900001";
pub const CONTACT: &str = "+447700900456";

/// Where the gateway keeps its things and whom it talks to.
pub struct Gateway {
    program: PathBuf,
    folder: PathBuf,
    ports: Ports,
    /// The URI of a PostgreSQL database, if that is the engine.
    database: Option<String>,
    /// Settings of this run alone.
    settings: Vec<(String, String)>,
}

impl Gateway {
    pub fn new(programs: &Path, folder: &Path, ports: Ports) -> Self {
        Self {
            program: programs.join("swingbridge"),
            folder: folder.join("gateway"),
            ports,
            database: None,
            settings: Vec::new(),
        }
    }

    /// A file beside its own, such as an authority's certificate.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("config.yaml")
    }

    pub fn registration(&self) -> PathBuf {
        self.folder.join("registration.yaml")
    }

    /// Writes configuration and registration with the program's own `init`, once.
    pub fn init(&self, user: &str) -> Result<()> {
        if self.config().exists() && self.registration().exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        let listen = format!("127.0.0.1:{}", self.ports.gateway);
        let operations = format!("127.0.0.1:{}", self.ports.operations);
        let mut init = self.command("init");
        init.args(["--homeserver", &self.homeserver(), "--domain", "localhost"])
            .args(["--listen", &listen, "--operations", &operations])
            .args([
                "--line",
                LINE,
                "--line-name",
                "Lab",
                "--region",
                "GB",
                "--admin",
                user,
            ]);
        told_by(&mut init).map(drop)
    }

    /// What the program's own `check` says of the house that it is in.
    ///
    /// # Errors
    /// When it finds something wrong.
    pub fn check(&self) -> Result<String> {
        told_by(&mut self.command("check"))
    }

    /// Sets what stands at a path of the configuration, such as `LINES__AGENT__NAME`.
    pub fn set(&mut self, path: &str, value: impl Into<String>) {
        self.settings.push((format!("SWINGBRIDGE_{path}"), value.into()));
    }

    /// Where the provider of a connector is to call.
    ///
    /// # Errors
    /// The program does not say.
    pub fn webhook_of(&self, connector: &str) -> Result<String> {
        let told = told_by(&mut self.command("webhooks"))?;
        let lines = told.lines().filter_map(|line| line.split_once('\t'));
        let found = lines.into_iter().find(|(name, _)| *name == connector);
        found
            .map(|(_, url)| url.to_owned())
            .with_context(|| format!("`swingbridge webhooks` does not name {connector}:\n{told}"))
    }

    pub fn keep_data_in(&mut self, database: String) {
        self.database = Some(database);
    }

    /// Starts it and waits until it says that it is ready.
    pub async fn start(&self) -> Result<Process> {
        let mut process = Process::start(&Start {
            name: "the gateway",
            command: &self.command("gateway"),
            log: &self.folder.join("gateway.log"),
            end: End::Terminate,
            user: None,
        })?;
        let url = format!("http://127.0.0.1:{}/health/ready", self.ports.operations);
        let http = reqwest::Client::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let told = match http.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(process),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_) => "it does not answer".to_owned(),
            };
            if process.ended().is_some() || Instant::now() > deadline {
                bail!(process.failure(&format!("is not ready after a minute ({told})")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What stands in the file may be of an earlier run with other ports, so the environment goes over it.
    fn command(&self, name: &str) -> Command {
        let Ports {
            gateway,
            operations,
            smpp,
            ..
        } = self.ports;
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.folder)
            .args([name, "-c"])
            .arg(self.config())
            .arg("-r")
            .arg(self.registration());
        command
            .env("SWINGBRIDGE_HOMESERVER__ADDRESS", self.homeserver())
            // The demo's own web client does not encrypt; people's do in rooms that they encrypt.
            .env("SWINGBRIDGE_ENCRYPTION__MODE", "allow")
            .env("SWINGBRIDGE_APPSERVICE__PORT", gateway.to_string())
            .env(
                "SWINGBRIDGE_OPERATIONS__ADDRESS",
                format!("127.0.0.1:{operations}"),
            )
            .env("BRIDGE_SMPP_HOST", "127.0.0.1")
            .env("BRIDGE_SMPP_PORT", smpp.to_string())
            .env("BRIDGE_SMPP_SYSTEM_ID", SYSTEM_ID)
            .env("BRIDGE_SMPP_PASSWORD", PASSWORD);
        command.envs(self.settings.iter().cloned());
        if let Some(uri) = &self.database {
            command
                .env("SWINGBRIDGE_DATABASE__TYPE", "postgres")
                .env("SWINGBRIDGE_DATABASE__URI", uri);
        }
        command
    }

    fn homeserver(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.homeserver)
    }
}

/// Runs the program to its end and gives what it said.
fn told_by(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let arguments = command.get_args().next().unwrap_or_default().display();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`swingbridge {arguments}` ended with {}:\n{said}{complained}",
        output.status
    );
    Ok(said)
}
