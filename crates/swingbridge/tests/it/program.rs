//! The program under test, in a folder of its own and with an environment that holds nothing of ours.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use swingbridge_lab::homeserver::{self, Registration, Stub};
use swingbridge_lab::process::{End, Process, Start, free_port};
use swingbridge_lab::smsc;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub const LINE: &str = "+447700900001";
pub const CONTACT: &str = "+447700900456";

/// The program: our own build, or the one that `LAB_PROGRAM` names, such as one for phones under qemu.
fn program() -> PathBuf {
    std::env::var_os("LAB_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_swingbridge").into(), PathBuf::from)
}

/// A command in `folder`.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder).args(arguments);
    for (name, _) in std::env::vars_os() {
        let ours = |name: &str| {
            name.starts_with("SWINGBRIDGE_") || name.starts_with("BRIDGE_") || name == "NOTIFY_SOCKET"
        };
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    // Most people here are on a client that does not encrypt, and what they are asked is the subject of tests of its own.
    command.env("SWINGBRIDGE_ENCRYPTION__MODE", "allow");
    command.env("SWINGBRIDGE_PRIVACY__CONSENT", "policy");
    command
}

pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// What was printed, on both ways out.
pub fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A gateway's folder with everything that it needs, and the world outside.
pub struct Site {
    pub folder: TempDir,
    pub homeserver: Stub,
    pub carrier: smsc::Handle,
    pub port: u16,
    pub operations: SocketAddr,
}

impl Site {
    /// Runs `init`, then starts the homeserver with the registration that it wrote, and a carrier.
    pub async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let carrier = smsc::start(smsc::Config::default()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let homeserver = format!("http://{}", listener.local_addr().unwrap());
        let (port, operations) = (free_port().unwrap(), free_port().unwrap());
        let output = run(
            folder.path(),
            &[
                "init",
                "--homeserver",
                &homeserver,
                "--domain",
                "localhost",
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--operations",
                &format!("127.0.0.1:{operations}"),
                "--smpp-host",
                "127.0.0.1",
                "--smpp-port",
                &carrier.address().port().to_string(),
                "--smpp-system-id",
                "swingbridge",
                "--smpp-password",
                "secret",
                "--line",
                LINE,
                "--region",
                "GB",
                "--admin",
                "@alice:localhost",
            ],
        );
        assert_eq!(code(&output), 0, "{}", said(&output));
        let text = fs::read_to_string(folder.path().join("registration.yaml")).unwrap();
        let registration = Registration::from_yaml(&text).unwrap();
        let homeserver = Stub::start_on(listener, homeserver::Config::new(registration)).unwrap();
        Self {
            folder,
            homeserver,
            carrier,
            port,
            operations: ([127, 0, 0, 1], operations).into(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn start(&self) -> Process {
        self.start_by(&command(self.folder.path(), &["gateway"]))
    }

    pub fn start_by(&self, command: &Command) -> Process {
        Process::start(&Start {
            name: "the gateway",
            command,
            log: &self.path("gateway.log"),
            end: End::Terminate,
            user: None,
        })
        .unwrap()
    }

    /// Asks the operator's page until it answers with `status`; gives what it says.
    pub async fn wait_for(&self, gateway: &mut Process, page: &str, status: u16) -> String {
        let url = format!("http://{}{page}", self.operations);
        let client = client();
        let mut last = String::new();
        let asking = async {
            loop {
                if let Ok(answer) = client.get(&url).send().await {
                    let now = answer.status().as_u16();
                    last = answer.text().await.unwrap_or_default();
                    if now == status {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), asking)
            .await
            .is_err()
        {
            panic!("{page} never said {status}, but {last}\n{}", gateway.log_tail(40));
        }
        last
    }
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
