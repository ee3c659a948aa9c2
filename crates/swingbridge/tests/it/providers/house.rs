//! A gateway with accounts at providers, at a real Synapse, and Alice at her client.

use crate::people::PASSWORD;
use crate::program::{self, LINE, code, said};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;
use swingbridge_lab::client::{Client, Seen};
use swingbridge_lab::peers;
use swingbridge_lab::process::{End, Process, Start, free_port};
use swingbridge_lab::smsc;
use swingbridge_lab::synapse::{Options, Synapse};
use tempfile::TempDir;

pub const ALICE: &str = "@alice:localhost";
pub const BOT: &str = "@smsbot:localhost";
/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// What the operator sets beside what `init` writes.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    connectors: Vec<(&'static str, Value)>,
    lines: Vec<(&'static str, Value)>,
    settings: Vec<(String, String)>,
}

impl Plan {
    /// An account, as it stands below `connectors`.
    pub fn connector(mut self, name: &'static str, settings: Value) -> Self {
        self.connectors.push((name, settings));
        self
    }

    /// A line of Alice's.
    pub fn line(mut self, name: &'static str, connector: &str, address: &str, more: Value) -> Self {
        let mut line = json!({ "connector": connector, "address": address, "name": name, "users": [ALICE] });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        self.lines.push((name, line));
        self
    }

    /// A setting that goes over those of the file: `SECTION__KEY`.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts it into the file that `init` wrote.
    pub fn write(&self, config: &std::path::Path) {
        let text = std::fs::read_to_string(config).unwrap();
        // JSON is YAML, too.
        let section = |entries: &[(&str, Value)]| -> String {
            let entry = |(name, value): &(&str, Value)| format!("  {name}: {value}\n");
            entries.iter().map(entry).collect()
        };
        let (accounts, lines) = ("connectors:\n", "lines:\n  main:\n");
        assert!(text.contains(accounts) && text.contains(lines), "{text}");
        let text = text.replace(accounts, &format!("{accounts}{}", section(&self.connectors)));
        let text = text.replace(lines, &format!("lines:\n{}  main:\n", section(&self.lines)));
        std::fs::write(config, text).unwrap();
    }
}

pub struct House {
    // Ended in this order.
    pub gateway: Process,
    pub alice: Client,
    _synapse: Synapse,
    /// The line `main` is this one's.
    pub carrier: smsc::Handle,
    pub folder: TempDir,
    pub hooks: SocketAddr,
    operations: SocketAddr,
    settings: Vec<(String, String)>,
}

impl House {
    /// `None` where Synapse is absent and may be.
    pub async fn open(plan: Plan) -> Option<Self> {
        peers::synapse_python()?;
        let folder = TempDir::with_prefix("swingbridge-providers-").unwrap();
        let carrier = smsc::start(smsc::Config::default()).await.unwrap();
        let here = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let port = || free_port().unwrap();
        let (synapse, listen, operations, hooks) = (port(), here(port()), here(port()), here(port()));
        let init = program::command(
            folder.path(),
            &["init", "--domain", "localhost", "--region", "GB"],
        )
        .args(["--homeserver", &format!("http://127.0.0.1:{synapse}")])
        .args([
            "--listen",
            &listen.to_string(),
            "--operations",
            &operations.to_string(),
        ])
        .args([
            "--smpp-host",
            "127.0.0.1",
            "--smpp-port",
            &carrier.address().port().to_string(),
        ])
        .args(["--smpp-system-id", "swingbridge", "--smpp-password", "secret"])
        .args(["--line", LINE, "--admin", ALICE])
        .output()
        .unwrap();
        assert_eq!(code(&init), 0, "{}", said(&init));
        plan.write(&folder.path().join("config.yaml"));
        let mut settings = vec![
            ("WEBHOOKS__ADDRESS".to_owned(), hooks.to_string()),
            ("WEBHOOKS__PUBLIC_URL".to_owned(), format!("http://{hooks}")),
            // Providers fetch what goes to phones there.
            ("MESSAGES__MEDIA".to_owned(), "link".to_owned()),
            ("MESSAGES__PUBLIC_URL".to_owned(), format!("http://{listen}")),
        ];
        settings.extend(plan.settings);
        let options = Options {
            port: Some(synapse),
            registrations: vec![folder.path().join("registration.yaml")],
            ..Options::default()
        };
        let synapse = Synapse::for_test(options).await?;
        let alice = synapse.user("alice", PASSWORD).await.unwrap();
        let gateway = start(&folder, &settings);
        let mut house = Self {
            gateway,
            alice,
            _synapse: synapse,
            carrier,
            folder,
            hooks,
            operations,
            settings,
        };
        house.is_ready().await;
        Some(house)
    }

    /// Another of the program's commands, with the same settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        command(&self.folder, &self.settings, arguments)
    }

    /// Runs one to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::block_in_place(|| command.output().unwrap())
    }

    /// Where the provider of a connector is to call, as the program says it.
    pub fn webhook(&self, connector: &str) -> String {
        let told = self.run(&["webhooks"]);
        assert_eq!(code(&told), 0, "{}", said(&told));
        let told = said(&told);
        let mut lines = told.lines().filter_map(|line| line.split_once('\t'));
        let found = lines.find(|(name, _)| *name == connector);
        found
            .unwrap_or_else(|| panic!("{connector}: {told}"))
            .1
            .to_owned()
    }

    /// Killed without a word, and started again.
    pub fn restart(&mut self) {
        self.gateway.kill();
        self.start();
    }

    pub fn start(&mut self) {
        self.gateway = start(&self.folder, &self.settings);
    }

    /// Ended in good order.
    pub async fn stop(&mut self) {
        let status = self.gateway.stop().await.unwrap();
        assert!(status.success(), "{status}: {}", self.gateway.log_tail(60));
    }

    /// Waits until messages move.
    pub async fn is_ready(&mut self) {
        let (url, client) = (
            format!("http://{}/health/ready", self.operations),
            program::client(),
        );
        let ready = async {
            loop {
                match client.get(&url).send().await {
                    Ok(answer) if answer.status().is_success() => return,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            panic!("it is never ready\n{}", self.gateway.log_tail(60));
        }
    }

    /// Waits for something that Alice sees.
    pub async fn sees<T>(&self, what: &str, look: impl FnMut(&Seen) -> Option<T>) -> T {
        match self.alice.wait_at_most(PATIENCE, what, look).await {
            Ok(found) => found,
            Err(error) => {
                let seen = self.alice.seen().await;
                let said: Vec<&str> = seen
                    .iter()
                    .filter(|seen| seen.is_message())
                    .map(Seen::body)
                    .collect();
                panic!("{error}; what was said: {said:#?}\n{}", self.gateway.log_tail(30))
            }
        }
    }

    /// Waits for a message of somebody else's with this text, in whichever room she is in or invited to.
    pub async fn reads(&self, body: &str) -> Seen {
        let mut joined: Vec<String> = Vec::new();
        let what = format!("{body:?}");
        loop {
            let found = self.sees(&what, |seen| {
                let invites = seen.kind() == "m.room.member"
                    && seen.event["state_key"] == ALICE
                    && seen.event["content"]["membership"] == "invite"
                    && !joined.contains(&seen.room);
                let said = seen.is_message() && seen.sender() != ALICE && seen.body() == body;
                (invites || said).then(|| seen.clone())
            });
            let found = found.await;
            if found.is_message() {
                return found;
            }
            self.alice.join(&found.room).await.unwrap();
            joined.push(found.room);
        }
    }

    /// The same for words of the bot's that have `part` in them.
    pub async fn told(&self, room: &str, part: &str) -> Seen {
        self.sees(&format!("the bot's {part:?}"), |seen| {
            let fits = seen.room == room && seen.sender() == BOT && seen.body().contains(part);
            fits.then(|| seen.clone())
        })
        .await
    }

    pub async fn writes(&self, room: &str, body: &str) -> String {
        self.alice.send_text(room, body).await.unwrap()
    }

    /// Waits for a status of a message of Alice's that fits.
    pub async fn status(&self, what: &str, event: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.sees(&format!("{what} of {event}"), |seen| {
            let content = &seen.event["content"];
            let about = seen.kind() == "com.beeper.message_send_status"
                && content["m.relates_to"]["event_id"] == event
                && fits(content);
            about.then(|| content.clone())
        })
        .await
    }

    /// Waits until Alice sees that it reached the phone.
    pub async fn is_delivered(&self, event: &str) {
        self.status("the delivery", event, |content| {
            content["status"] == "SUCCESS"
                && content["delivered_to_users"]
                    .as_array()
                    .is_some_and(|users| !users.is_empty())
        })
        .await;
    }

    /// The label of a message of Alice's.
    pub async fn label(&self, event: &str) -> Value {
        let label = |content: &Value| !content["dev.swingbridge.path"].is_null();
        self.status("the label", event, label).await["dev.swingbridge.path"].clone()
    }

    /// Says yes to the bot's question with these words.
    pub async fn agrees(&self, room: &str, part: &str) -> String {
        let question = self.told(room, part).await;
        let content = json!({
            "m.relates_to": { "rel_type": "m.annotation", "event_id": question.id(), "key": "✅" }
        });
        self.alice.send(room, "m.reaction", content).await.unwrap();
        question.body().to_owned()
    }

    /// Begins a conversation by the bot, as a person does.
    pub async fn starts_chat(&self, line: &str, number: &str) -> String {
        let management = self.alice.create_direct(BOT).await.unwrap();
        self.sees("the bot in the room", |seen| {
            let joins = seen.room == management
                && seen.event["state_key"] == BOT
                && seen.event["content"]["membership"] == "join";
            joins.then_some(())
        })
        .await;
        self.writes(&management, &format!("start-chat {line} {number}"))
            .await;
        let mut tried: Vec<String> = vec![management];
        loop {
            let room = self
                .sees("an invitation", |seen| {
                    let invites = seen.kind() == "m.room.member"
                        && seen.event["state_key"] == ALICE
                        && seen.event["content"]["membership"] == "invite";
                    (invites && !tried.contains(&seen.room)).then(|| seen.room.clone())
                })
                .await;
            self.alice.join(&room).await.unwrap();
            let create = self.alice.state(&room, "m.room.create", "").await.unwrap();
            if create.is_some_and(|create| create["type"] != "m.space") {
                return room;
            }
            tried.push(room);
        }
    }

    /// All texts of phones in a room, in order.
    pub async fn texts_of_phones(&self, room: &str) -> Vec<String> {
        from_phones(&self.alice.history(room).await.unwrap())
    }

    /// The log of the gateway, with all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("gateway.log")).unwrap()
    }

    /// Nothing of what was written, and no number, is in the log.
    pub fn is_discreet(&self, secrets: &[&str]) {
        let log = self.log();
        assert!(log.contains("the gateway runs"), "{log}");
        for secret in secrets {
            assert!(!log.contains(secret), "the log holds {secret}:\n{log}");
        }
    }
}

/// The texts of phones among these events.
pub fn from_phones(history: &[Value]) -> Vec<String> {
    let theirs = history
        .iter()
        .filter(|event| is_ghost(event["sender"].as_str().unwrap_or_default()));
    theirs
        .filter_map(|event| event["content"]["body"].as_str().map(str::to_owned))
        .collect()
}

pub fn is_ghost(user: &str) -> bool {
    user.starts_with("@sms_")
}

fn command(folder: &TempDir, settings: &[(String, String)], arguments: &[&str]) -> Command {
    let mut command = program::command(folder.path(), arguments);
    for (name, value) in settings {
        command.env(format!("SWINGBRIDGE_{name}"), value);
    }
    command
}

fn start(folder: &TempDir, settings: &[(String, String)]) -> Process {
    let mut command = command(folder, settings, &["gateway"]);
    command.env("SWINGBRIDGE_LOGGING__LEVEL", "debug");
    Process::start(&Start {
        name: "the gateway",
        command: &command,
        log: &folder.path().join("gateway.log"),
        end: End::Terminate,
        user: None,
    })
    .unwrap()
}
