//! A device that is logged in at a real Synapse, and its owner at a client that encrypts.

use super::handset::{Handset, Kind, OWN};
use crate::program::{code, command, said};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::peers;
use swingbridge_lab::process::{End, Process, Start};
use swingbridge_lab::synapse::{Options, Synapse};
use tempfile::TempDir;

pub const OWNER: &str = "@alice:localhost";
pub const ACCOUNT: &str = "@phone-alice:localhost";
const PASSWORD: &str = "a password";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the owner has set things up.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub kind: Kind,
    /// The owner's own client.
    pub client: Script,
    /// What is written on the device itself appears as the owner's.
    pub as_owner: bool,
}

impl Plan {
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            client: Script::Nio,
            as_owner: false,
        }
    }
}

/// A device that is logged in, with its owner at their client.
pub struct Device {
    // Ended in this order.
    pub relay: Process,
    pub alice: Foreign,
    pub synapse: Synapse,
    pub handset: Handset,
    pub folder: TempDir,
}

impl Device {
    /// `None` where a peer is absent and may be.
    pub async fn open(plan: Plan) -> Option<Self> {
        match plan.client {
            Script::MatrixJs => drop(peers::matrix_js()?),
            _ => drop(peers::nio_python()?),
        }
        let folder = TempDir::new().unwrap();
        let synapse = Synapse::for_test(Options::default()).await?;
        synapse.user("alice", PASSWORD).await.unwrap();
        synapse.user("phone-alice", "the phone's own").await.unwrap();
        let at = folder.path();
        let handset = Handset::new(plan.kind, &at.join("handset")).await;
        init(at, plan.kind, synapse.url());
        private(&at.join("password"), "the phone's own");
        private(&at.join("owner's"), PASSWORD);
        let login = ["login", "--user", "phone-alice", "--password-file", "password"];
        let told = well(&run(at, &handset, &login));
        assert!(told.contains("recovery key"), "{told}");
        if plan.as_owner {
            let login = ["login", "--as-owner", "--password-file", "owner's"];
            let told = well(&run(at, &handset, &login));
            assert!(told.contains(OWNER), "{told}");
        }
        let alice = Foreign::client(plan.client, synapse.url(), OWNER, PASSWORD).await?;
        let mut device = Self {
            relay: start(at, &handset),
            alice: alice.unwrap(),
            synapse,
            handset,
            folder,
        };
        device.is_read().await;
        Some(device)
    }

    /// Waits until the device has looked at its phone or Mac.
    async fn is_read(&mut self) {
        let word = self.handset.kind().is_read();
        let begun = async {
            while !self.relay.log_tail(60).contains(word) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, begun).await.is_err() {
            panic!("{word}: {}", self.relay.log_tail(60));
        }
    }

    /// Killed without a word, and started again.
    pub fn restart(&mut self) {
        self.relay.kill();
        self.relay = start(self.folder.path(), &self.handset);
    }

    /// Waits for the invitation to a conversation, and joins it.
    pub async fn enters(&mut self) -> String {
        loop {
            let invited = self.event("invited").await;
            let room = invited["room"].as_str().unwrap().to_owned();
            self.tell(json!({ "do": "join", "room": room })).await;
            let joined = self.event("joined").await;
            // Spaces and the like hold nothing to be encrypted.
            if joined["encrypted"] == true {
                return room;
            }
        }
    }

    pub async fn tell(&mut self, command: Value) {
        self.alice.tell(command).await.unwrap();
    }

    /// The owner writes in a room; gives the event's id.
    pub async fn writes(&mut self, room: &str, body: &str) -> String {
        self.tell(json!({ "do": "send", "room": room, "body": body }))
            .await;
        self.event("sent").await["id"].as_str().unwrap().to_owned()
    }

    pub async fn event(&mut self, name: &str) -> Value {
        match self.alice.event(name).await {
            Ok(event) => event,
            Err(error) => panic!("{name}: {error}\n{}", self.relay.log_tail(60)),
        }
    }

    /// What the owner's client opened.
    pub async fn says(&mut self, part: &str) -> Value {
        let found = self
            .alice
            .event_with("message", |event| body(event).contains(part));
        match found.await {
            Ok(said) => {
                assert_eq!(said["encrypted"], true, "{said}");
                said
            }
            Err(error) => panic!("{part}: {error}\n{}", self.relay.log_tail(60)),
        }
    }

    /// What the owner's client opened, up to the first that fits.
    pub async fn until(&mut self, fits: impl Fn(&str) -> bool) -> Vec<Value> {
        let mut said: Vec<Value> = Vec::new();
        while said.last().is_none_or(|event| !fits(body(event))) {
            said.push(self.event("message").await);
        }
        said
    }

    /// The owner has been told that nobody knows whether their message left. `told`: what was read already.
    pub async fn is_unsure_of(&mut self, told: &mut Vec<Value>, message: &str) {
        let about = |event: &Value| {
            body(event).contains("not known whether this was sent")
                && event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == message
        };
        while !told.iter().any(about) {
            told.push(self.event("message").await);
        }
    }

    /// Says yes to the question that stands in the room. `said`: what was read already.
    pub async fn agrees(&mut self, room: &str, said: &[Value]) -> String {
        let asks = |event: &&Value| body(event).contains("Do you agree");
        let question = match said.iter().find(asks) {
            Some(question) => question.clone(),
            None => self.says("Do you agree").await,
        };
        let react = json!({ "do": "react", "room": room, "id": question["id"], "key": "✅" });
        self.tell(react).await;
        body(&question).to_owned()
    }

    /// What left, once it is so many.
    pub async fn sends(&self, many: usize) -> Vec<(String, String)> {
        match tokio::time::timeout(PATIENCE, self.handset.sends(many)).await {
            Ok(sent) => sent,
            Err(_) => panic!("{:?}\n{}", self.handset.sent(), self.relay.log_tail(60)),
        }
    }

    /// Runs another of the device's commands beside it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run(self.folder.path(), &self.handset, arguments)
    }
}

/// What is to be read in a message.
pub fn body(event: &Value) -> &str {
    event["content"]["body"].as_str().unwrap_or_default()
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes the configuration as the person would begin with it.
pub fn init(folder: &Path, kind: Kind, homeserver: &str) {
    let init = device(folder, &["init", "--owner", OWNER, "--region", "GB"])
        .args(["--connector", kind.connector()])
        .args(["--homeserver", homeserver, "--number", OWN])
        .output()
        .unwrap();
    assert_eq!(code(&init), 0, "{}", said(&init));
}

fn device(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, &["device"]);
    command.args(arguments);
    // Asking is part of what is looked at here.
    command.env_remove("SWINGBRIDGE_PRIVACY__CONSENT");
    command.env_remove("SWINGBRIDGE_ENCRYPTION__MODE");
    command
}

/// A command of the device's, led to its phone or Mac.
pub fn led(folder: &Path, handset: &Handset, arguments: &[&str]) -> Command {
    let mut command = device(folder, arguments);
    handset.lead(&mut command);
    command.env("SWINGBRIDGE_LOGGING__LEVEL", "debug");
    command
}

fn run(folder: &Path, handset: &Handset, arguments: &[&str]) -> Output {
    led(folder, handset, arguments).output().unwrap()
}

/// What it said, having ended well.
fn well(output: &Output) -> String {
    assert_eq!(code(output), 0, "{}", said(output));
    said(output)
}

fn start(folder: &Path, handset: &Handset) -> Process {
    Process::start(&Start {
        name: "the device",
        command: &led(folder, handset, &[]),
        log: &folder.join("device.log"),
        end: End::Terminate,
        user: None,
    })
    .unwrap()
}
