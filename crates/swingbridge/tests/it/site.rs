//! A whole site for tests: the stub homeserver and the lab's carrier in this process, the gateway as a child that can be
//! killed as a crash would.

use crate::program::command;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use swingbridge_lab::homeserver::{Config, Event, LocalUser, Registration, Stub};
use swingbridge_lab::process::{End, Process, Start, free_port};
use swingbridge_lab::smsc;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The line's number.
pub const LINE: &str = "+447700900000";
/// How long a site may take to come to rest.
pub const PATIENCE: Duration = Duration::from_secs(90);

pub struct Site {
    pub stub: Stub,
    pub carrier: smsc::Handle,
    pub alice: LocalUser,
    gateway: Option<Process>,
    settings: Vec<(String, String)>,
    operations: u16,
    folder: TempDir,
}

impl Site {
    /// Lets the program write its own configuration, and starts everything but the gateway.
    pub async fn new(homeserver: impl FnOnce(&mut Config), carrier: smsc::Config) -> Self {
        Self::with(homeserver, carrier, &[]).await
    }

    /// The same with more to say to `init`.
    pub async fn with(homeserver: impl FnOnce(&mut Config), carrier: smsc::Config, init: &[&str]) -> Self {
        let folder = TempDir::with_prefix("swingbridge-site-").unwrap();
        let carrier = smsc::start(carrier).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (port, operations) = (free_port().unwrap(), free_port().unwrap());
        let init = command(folder.path(), &["init"])
            .args(init)
            .args(["--domain", "localhost", "--homeserver", &address])
            .args([
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--operations",
                &format!("127.0.0.1:{operations}"),
            ])
            .args([
                "--smpp-host",
                "127.0.0.1",
                "--smpp-port",
                &carrier.address().port().to_string(),
            ])
            .args(["--smpp-system-id", "swingbridge", "--smpp-password", "secret"])
            .args(["--line", LINE, "--region", "GB", "--admin", "@alice:localhost"])
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let registration = std::fs::read_to_string(folder.path().join("registration.yaml")).unwrap();
        let mut config = Config::new(Registration::from_yaml(&registration).unwrap());
        homeserver(&mut config);
        let stub = Stub::start_on(listener, config).unwrap();
        // What a person would wait for on a real network is made short.
        let settings = [
            ("CONNECTORS__SMPP__TIMING__FIRST_WAIT", "0.05"),
            ("CONNECTORS__SMPP__TIMING__LONGEST_WAIT", "0.4"),
            ("CONNECTORS__SMPP__TIMING__RESPONSE", "5"),
        ];
        let settings = settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        Self {
            alice: stub.user("alice"),
            stub,
            carrier,
            gateway: None,
            settings,
            operations,
            folder,
        }
    }

    /// Changes a setting for the next start: `SECTION__KEY`.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program with its configuration, for subcommands.
    pub fn command(&self) -> Command {
        let mut command = command(self.folder.path(), &[]);
        command.envs(
            self.settings
                .iter()
                .map(|(name, value)| (format!("SWINGBRIDGE_{name}"), value)),
        );
        command
    }

    /// Starts the gateway and does not wait.
    pub fn start(&mut self) {
        let mut command = self.command();
        command.arg("gateway");
        self.start_by(&command);
    }

    /// Starts the gateway by another command line.
    pub fn start_by(&mut self, command: &Command) {
        assert!(self.gateway.is_none(), "the gateway runs already");
        let log = self.folder.path().join("gateway.log");
        let start = Start {
            name: "the gateway",
            command,
            log: &log,
            end: End::Terminate,
            user: None,
        };
        self.gateway = Some(Process::start(&start).unwrap());
    }

    /// The gateway's process id.
    pub fn id(&self) -> u32 {
        self.gateway.as_ref().map_or(0, Process::id)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut gateway) = self.gateway.take() {
            gateway.kill();
        }
    }

    /// SIGTERM; answers the exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.gateway.take()?.stop().await?.code()
    }

    /// Waits for the gateway to end by itself; answers the exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let gateway = self.gateway.as_mut().unwrap();
        let end = async {
            loop {
                if let Some(status) = gateway.ended() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let code = tokio::time::timeout(Duration::from_secs(30), end)
            .await
            .expect("the gateway goes on");
        self.gateway = None;
        code
    }

    /// Fails when the gateway has ended by itself.
    pub fn assert_runs(&mut self) {
        if let Some(gateway) = &mut self.gateway
            && gateway.ended().is_some()
        {
            panic!("{}", gateway.failure("stopped"));
        }
    }

    /// All that the gateway has logged since the site began.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("gateway.log")).unwrap_or_default()
    }

    /// Reads a page of the operations port; `None` while it is not served.
    pub async fn operations(&self, path: &str) -> Option<(u16, String)> {
        let answer = reqwest::get(format!("http://127.0.0.1:{}{path}", self.operations))
            .await
            .ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    /// Waits until the gateway is ready for traffic.
    pub async fn ready(&mut self) {
        let begin = std::time::Instant::now();
        loop {
            self.assert_runs();
            if self
                .operations("/health/ready")
                .await
                .is_some_and(|(status, _)| status == 200)
            {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "not ready in time\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the gateway logs something.
    pub async fn log_says(&mut self, what: &str) {
        let begin = std::time::Instant::now();
        while !self.log().contains(what) {
            self.assert_runs();
            assert!(
                begin.elapsed() < PATIENCE,
                "the log never said {what:?}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets a phone write and Alice join the room that comes of it.
    pub async fn meet(&mut self, phone: &str) -> String {
        let text = format!("hello from a phone, number {}", phone.len());
        self.carrier.write(phone, LINE, &text).unwrap();
        self.room_with(&text).await
    }

    /// Waits for a message with this text in a room that Alice is in or invited to, and joins.
    pub async fn room_with(&mut self, text: &str) -> String {
        let alice = self.alice.id().to_owned();
        let found = self.stub.wait(PATIENCE, text, |world| {
            let event = world.events.iter().find(|event| event.body() == text)?;
            let there = matches!(world.membership(&event.room_id, &alice), Some("invite" | "join"));
            there.then(|| event.room_id.clone())
        });
        let room = found
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        self.alice.join(&room).unwrap();
        room
    }

    /// The messages of a room from ghosts.
    pub fn texts_of_phones(&self, room: &str) -> Vec<Event> {
        let messages = self.stub.messages(room).into_iter();
        messages
            .filter(|event| event.sender.starts_with("@sms_"))
            .collect()
    }
}
