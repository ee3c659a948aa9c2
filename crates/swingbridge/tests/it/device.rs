//! The program on a device: a real Synapse, a phone of the lab's, and the owner at a client that encrypts (matrix-nio).

use crate::program::{code, command, said};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::process::{End, Process, Start};
use swingbridge_lab::synapse::{Options, Synapse};
use swingbridge_lab::{peers, termux};
use tempfile::TempDir;

const OWN: &str = "+447700900001";
const FRIEND: &str = "+447700900456";
pub const PASSWORD: &str = "a password";
/// The password of the device's account.
pub const PHONES: &str = "the phone's own";
/// A word that stands in every text here and nowhere else.
const WORD: &[u8] = b"heron";

/// The program of the lab that is each `termux-*` command.
pub fn termux_api() -> PathBuf {
    swingbridge_lab::termux::program().unwrap()
}

/// A device that is logged in, with its owner at their client.
struct Device {
    // Ended in this order.
    relay: Process,
    alice: Foreign,
    synapse: Synapse,
    phone: termux::Phone,
    folder: TempDir,
}

pub fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn device(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, &["device"]);
    command.args(arguments);
    // Asking is part of what is looked at here.
    command.env_remove("SWINGBRIDGE_PRIVACY__CONSENT");
    command.env_remove("SWINGBRIDGE_ENCRYPTION__MODE");
    command
}

impl Device {
    /// `None` where a peer is absent and may be.
    async fn open() -> Option<Self> {
        peers::nio_python()?;
        let folder = TempDir::new().unwrap();
        let synapse = Synapse::for_test(Options::default()).await?;
        synapse.user("alice", PASSWORD).await.unwrap();
        synapse.user("phone-alice", PHONES).await.unwrap();
        let phone = termux::Phone::new(&folder.path().join("phone"), &termux_api()).unwrap();
        phone.contacts(&[("Ada", FRIEND)]).unwrap();
        let at = folder.path();
        init(at, synapse.url());
        let login = log_in(at, &phone, &[]);
        assert_eq!(code(&login), 0, "{}", said(&login));
        assert!(said(&login).contains("recovery key"), "{}", said(&login));
        let alice = Foreign::client(Script::Nio, synapse.url(), "@alice:localhost", PASSWORD).await?;
        let relay = start(at, &phone);
        let device = Self {
            relay,
            alice: alice.unwrap(),
            synapse,
            phone,
            folder,
        };
        // What was on the phone before is none of ours, unless it is asked for.
        logs(&device.relay, "the phone answers").await;
        Some(device)
    }

    /// Waits for the invitation to a conversation, and joins it.
    async fn enters(&mut self) -> String {
        loop {
            let invited = self.event("invited").await;
            let room = invited["room"].as_str().unwrap().to_owned();
            self.alice
                .tell(json!({ "do": "join", "room": room }))
                .await
                .unwrap();
            let joined = self.event("joined").await;
            // Spaces and the like hold nothing to be encrypted.
            if joined["encrypted"] == true {
                return room;
            }
        }
    }

    async fn event(&mut self, name: &str) -> Value {
        match self.alice.event(name).await {
            Ok(event) => event,
            Err(error) => panic!("{name}: {error}\n{}", self.relay.log_tail(60)),
        }
    }

    /// What the owner's client opened.
    async fn says(&mut self, part: &str) -> Value {
        let found = self.alice.event_with("message", |event| {
            let body = event["content"]["body"].as_str();
            body.is_some_and(|body| body.contains(part))
        });
        match found.await {
            Ok(said) => {
                assert_eq!(said["encrypted"], true, "{said}");
                said
            }
            Err(error) => panic!("{part}: {error}\n{}", self.relay.log_tail(60)),
        }
    }

    async fn on_the_phone(&self, many: usize) -> Vec<(String, String)> {
        match tokio::time::timeout(Duration::from_secs(30), self.phone.sends(many)).await {
            Ok(Ok(sent)) => sent,
            missed => panic!("{missed:?}\n{}", self.relay.log_tail(60)),
        }
    }
}

/// Waits until the relay has said it.
pub async fn logs(relay: &Process, words: &str) {
    let said = async {
        while !relay.log_tail(60).contains(words) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), said).await;
    assert!(waited.is_ok(), "{words}: {}", relay.log_tail(60));
}

/// Writes the configuration, and the password beside it.
pub fn init(folder: &Path, homeserver: &str) {
    let init = device(folder, &["init", "--owner", "@alice:localhost", "--region", "GB"])
        .args(["--homeserver", homeserver, "--number", OWN])
        .output()
        .unwrap();
    assert_eq!(code(&init), 0, "{}", said(&init));
    private(&folder.join("password"), PHONES);
}

pub fn log_in(folder: &Path, phone: &termux::Phone, more: &[&str]) -> Output {
    let login = device(
        folder,
        &["login", "--user", "phone-alice", "--password-file", "password"],
    );
    with_phone(login, phone).args(more).output().unwrap()
}

pub fn with_phone(mut command: Command, phone: &termux::Phone) -> Command {
    command.env("SWINGBRIDGE_CONNECTORS__SMS__PROGRAMS", phone.programs());
    command.env("SWINGBRIDGE_CONNECTORS__SMS__POLL", "0.2");
    command.env("SWINGBRIDGE_LOGGING__LEVEL", "debug");
    command
}

pub fn start(folder: &Path, phone: &termux::Phone) -> Process {
    let command = with_phone(device(folder, &[]), phone);
    Process::start(&Start {
        name: "the device",
        command: &command,
        log: &folder.join("device.log"),
        end: End::Terminate,
        user: None,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_mirrored_encrypted_and_the_homeserver_reads_nothing() {
    let Some(mut device) = Device::open().await else {
        return;
    };
    device.phone.receives(FRIEND, "a heron comes in").unwrap();
    let room = device.enters().await;
    let came = device.says("a heron comes in").await;
    let label = &came["content"]["dev.swingbridge.path"];
    assert_eq!(label["summary"], "ends_at_device", "{came}");
    assert_eq!(label["legs"][0]["from"], "phone", "{came}");
    assert_eq!(
        came["content"]["com.beeper.per_message_profile"]["displayname"], "Ada",
        "{came}"
    );

    // What leaves by SMS others can read: it waits for a word.
    let send = json!({ "do": "send", "room": room, "body": "a heron flies out" });
    device.alice.tell(send).await.unwrap();
    let question = device.says("Do you agree").await;
    let asked = question["content"]["body"].as_str().unwrap();
    assert!(asked.contains("the phone carriers and your device"), "{asked}");
    assert!(device.phone.sent().unwrap().is_empty());
    let react = json!({ "do": "react", "room": room, "id": question["id"], "key": "✅" });
    device.alice.tell(react).await.unwrap();
    let sent = device.on_the_phone(1).await;
    assert_eq!(sent, [(FRIEND.to_owned(), "a heron flies out".to_owned())]);

    // What was said on the phone itself is there too.
    device.phone.writes(FRIEND, "a heron by hand").unwrap();
    device.says("a heron by hand").await;

    let looked = async {
        loop {
            let status = self::device(device.folder.path(), &["status"]).output().unwrap();
            if code(&status) == 0 {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(30), looked)
        .await
        .unwrap();
    assert!(
        said(&status).contains("@phone-alice:localhost runs since"),
        "{}",
        said(&status)
    );

    let stopped = device.relay.stop().await.unwrap();
    assert_eq!(stopped.code(), Some(0), "{}", device.relay.log_tail(60));
    device.synapse.stop().await;
    assert!(read_through(device.synapse.folder()) > 100_000);
    assert!(read_through(&device.folder.path().join("swingbridge-device")) > 10_000);
    let log = std::fs::read_to_string(device.folder.path().join("device.log")).unwrap();
    assert!(!log.contains("7700900456") && !log.contains("heron"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_the_device_is_away_is_mirrored_once_and_in_order() {
    let Some(mut device) = Device::open().await else {
        return;
    };
    device.phone.receives(FRIEND, "before").unwrap();
    let room = device.enters().await;
    device.says("before").await;
    // Killed without a word, and things go on on both sides.
    device.relay.kill();
    for number in 0..5 {
        device.phone.receives(FRIEND, &format!("away {number}")).unwrap();
        let send = json!({ "do": "send", "room": room, "body": format!("written {number}") });
        device.alice.tell(send).await.unwrap();
        device.event("sent").await;
    }
    device.relay = start(device.folder.path(), &device.phone);
    for number in 0..5 {
        device.says(&format!("away {number}")).await;
    }
    let question = device.says("Do you agree").await;
    let react = json!({ "do": "react", "room": room, "id": question["id"], "key": "✅" });
    device.alice.tell(react).await.unwrap();
    let sent = device.on_the_phone(5).await;
    let texts: Vec<&str> = sent.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        ["written 0", "written 1", "written 2", "written 3", "written 4"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_under_load_it_loses_nothing_and_doubles_nothing() {
    let Some(mut device) = Device::open().await else {
        return;
    };
    device.phone.receives(FRIEND, "the first").unwrap();
    let room = device.enters().await;
    device.says("the first").await;
    let give = json!({ "do": "send", "room": room, "body": "!sb consent give" });
    device.alice.tell(give).await.unwrap();
    device.says("agree").await;
    // Moments that differ from round to round, and are the same in each run.
    for (round, wait) in [130, 700, 20, 1300, 420].into_iter().enumerate() {
        for number in 0..4 {
            device
                .phone
                .receives(FRIEND, &format!("in {round}.{number}"))
                .unwrap();
            let send = json!({ "do": "send", "room": room, "body": format!("out {round}.{number}") });
            device.alice.tell(send).await.unwrap();
            device.event("sent").await;
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        device.relay.kill();
        device.relay = start(device.folder.path(), &device.phone);
    }
    device.phone.receives(FRIEND, "the last").unwrap();
    let send = json!({ "do": "send", "room": room, "body": "the end" });
    device.alice.tell(send).await.unwrap();
    // What came in one conversation is shown in its order: after the last nothing of it follows.
    let mut shown: Vec<String> = Vec::new();
    while shown.last().is_none_or(|text| !text.ends_with("the last")) {
        let event = device.event("message").await;
        let body = event["content"]["body"].as_str().unwrap_or_default();
        shown.push(body.to_owned());
    }
    let ended = async {
        loop {
            let sent = device.phone.sent().unwrap();
            if sent.iter().any(|(_, text)| text == "the end") {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let sent = match tokio::time::timeout(Duration::from_secs(60), ended).await {
        Ok(sent) => sent,
        Err(_) => panic!("{:?}\n{}", device.phone.sent(), device.relay.log_tail(60)),
    };
    let mut unsure = 0;
    for round in 0..5 {
        for number in 0..4 {
            let (came, left) = (format!("in {round}.{number}"), format!("out {round}.{number}"));
            let times = shown.iter().filter(|text| text.ends_with(&came)).count();
            assert_eq!(times, 1, "{came}: {shown:#?}");
            // A send that was under way when the program was killed may have left or not: it is said, and not repeated.
            let times = sent.iter().filter(|(_, text)| *text == left).count();
            assert!(times <= 1, "{left}: {sent:#?}");
            unsure += 1 - times;
        }
    }
    // One send is under way at a time.
    assert!(unsure <= 5, "{unsure} of 20 did not leave: {sent:#?}");
}

/// Looks for the word in every file below `folder`; answers how much was read.
fn read_through(folder: &Path) -> usize {
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read += read_through(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let there = bytes.windows(WORD.len()).any(|window| window == WORD);
        assert!(!there, "{} holds what was written", path.display());
        read += bytes.len();
    }
    read
}
