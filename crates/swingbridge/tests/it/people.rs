//! What people see: a real Synapse, the program as its operator runs it, the lab's carrier, and people at two Matrix clients,
//! one of which (matrix-nio) others wrote.

use crate::program::{CONTACT, LINE, code, command, said};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use swingbridge_lab::client::{Client, Seen};
use swingbridge_lab::peers;
use swingbridge_lab::process::{End, Process, Start, free_port};
use swingbridge_lab::smsc::{self, key};
use swingbridge_lab::synapse::{Options, Synapse};
use tempfile::TempDir;

pub const PATIENCE: Duration = Duration::from_secs(30);
pub const BOT: &str = "@smsbot:localhost";
/// A line that a team shares.
const DESK: &str = "+447700900002";
const CALLER: &str = "+447700900457";
pub const PASSWORD: &str = "a password";

pub struct World {
    // Ended in this order.
    pub gateway: Process,
    pub synapse: Synapse,
    pub carrier: smsc::Handle,
    pub alice: Client,
    team: String,
    pub folder: TempDir,
}

impl World {
    /// `None` where Synapse is absent and may be. `settings` go over those of the file: `SECTION__KEY`.
    pub async fn open(settings: &[(&str, &str)]) -> Option<Self> {
        peers::synapse_python()?;
        let folder = TempDir::new().unwrap();
        let carrier = smsc::start(smsc::Config::default()).await.unwrap();
        let (port, listen, operations) = (free_port().unwrap(), free_port().unwrap(), free_port().unwrap());
        let init = command(
            folder.path(),
            &["init", "--domain", "localhost", "--region", "GB"],
        )
        .args([
            "--homeserver",
            &format!("http://127.0.0.1:{port}"),
            "--line",
            LINE,
        ])
        .args(["--listen", &format!("127.0.0.1:{listen}")])
        .args(["--operations", &format!("127.0.0.1:{operations}")])
        .args([
            "--smpp-host",
            "127.0.0.1",
            "--smpp-port",
            &carrier.address().port().to_string(),
        ])
        .args(["--smpp-system-id", "swingbridge", "--smpp-password", "secret"])
        .args(["--admin", "@alice:localhost"])
        .output()
        .unwrap();
        assert_eq!(code(&init), 0, "{}", said(&init));
        let options = Options {
            port: Some(port),
            registrations: vec![folder.path().join("registration.yaml")],
            ..Options::default()
        };
        let synapse = Synapse::for_test(options).await?;
        let alice = synapse.user("alice", PASSWORD).await.unwrap();
        let bob = synapse.user("bob", PASSWORD).await.unwrap();
        // The team was there before the bridge.
        let room = json!({ "preset": "private_chat", "name": "Desk", "invite": ["@bob:localhost"] });
        let team = alice.create_room(room).await.unwrap();
        bob.join(&team).await.unwrap();

        let config = folder.path().join("config.yaml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text.replace("permissions:\n", "permissions:\n  \"@bob:localhost\": user\n");
        std::fs::write(config, text).unwrap();
        let mut command = command(folder.path(), &["gateway"]);
        for (name, value) in [
            ("CONNECTOR", "smpp"),
            ("ADDRESS", DESK),
            ("NAME", "Desk"),
            ("REGION", "GB"),
            ("INBOX_ROOM", &team),
            ("SIGNATURE", "— {name}"),
        ] {
            command.env(format!("SWINGBRIDGE_LINES__DESK__{name}"), value);
        }
        for (name, value) in settings {
            command.env(format!("SWINGBRIDGE_{name}"), value);
        }
        let gateway = start("the gateway", &command, folder.path().join("gateway.log"));
        carrier
            .wait_for("the bind", PATIENCE, |view| {
                (!view.sessions.is_empty()).then_some(())
            })
            .await
            .unwrap();
        Some(Self {
            gateway,
            synapse,
            carrier,
            alice,
            team,
            folder,
        })
    }

    /// Waits for something that Alice sees.
    pub async fn sees<T>(&self, what: &str, look: impl FnMut(&Seen) -> Option<T>) -> T {
        match tokio::time::timeout(PATIENCE, self.alice.wait_for(what, look)).await {
            Ok(Ok(found)) => found,
            missed => panic!("{what}: {:?}\n{}", missed.map(|_| ()), self.gateway.log_tail(40)),
        }
    }

    /// What the bot answers to an event of Alice's.
    async fn answer(&self, event: &str) -> String {
        self.sees(&format!("an answer to {event}"), |seen| {
            let to = &seen.event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"];
            (to == event && seen.event["sender"] == BOT).then(|| seen.body().to_owned())
        })
        .await
    }

    /// Joins whatever Alice is invited to until a room of this name is among it.
    pub async fn enters(&self, name: &str) -> String {
        let mut tried: Vec<String> = Vec::new();
        loop {
            let room = self
                .sees(&format!("an invitation to {name}"), |seen| {
                    let invites = seen.kind() == "m.room.member"
                        && seen.event["state_key"] == self.alice.user()
                        && seen.event["content"]["membership"] == "invite";
                    (invites && !tried.contains(&seen.room)).then(|| seen.room.clone())
                })
                .await;
            self.alice.join(&room).await.unwrap();
            let named = self.alice.state(&room, "m.room.name", "").await.unwrap();
            if named.is_some_and(|named| named["name"] == name) {
                return room;
            }
            tried.push(room);
        }
    }

    pub async fn on_the_phone(&self, text: &str) {
        self.carrier
            .wait_for(text, PATIENCE, |view| {
                let mut messages = view.messages.iter();
                messages
                    .find(|message| !message.from_phone && message.text == text)
                    .map(|_| ())
            })
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.gateway.log_tail(40)));
    }
}

fn start(name: &'static str, command: &Command, log: PathBuf) -> Process {
    let start = Start {
        name,
        command,
        log: &log,
        end: End::Terminate,
        user: None,
    };
    Process::start(&start).unwrap()
}

/// One Synapse for all of it.
#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_they_are_promised() {
    let Some(mut world) = World::open(&[]).await else {
        return;
    };
    let room = a_chat_is_started_by_number_and_tells_no_number(&world).await;
    what_sms_cannot_carry_is_answered(&world, &room).await;
    a_ghost_that_was_looked_up_can_be_invited(&world).await;
    a_team_at_another_client_shares_a_line(&world).await;
    what_phones_write_while_the_homeserver_is_down_comes_in_order(&mut world, &room).await;
    let status = world.gateway.stop().await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", world.gateway.log_tail(40));
}

async fn a_chat_is_started_by_number_and_tells_no_number(world: &World) -> String {
    let alice = &world.alice;
    let management = alice.create_direct(BOT).await.unwrap();
    world
        .sees("the welcome", |seen| {
            (seen.room == management && seen.body().starts_with("Hello.")).then_some(())
        })
        .await;
    let slip = alice.send_text(&management, "hlep").await.unwrap();
    assert!(world.answer(&slip).await.contains("Did you mean `help`?"));
    let emergency = alice.send_text(&management, "start-chat 999").await.unwrap();
    assert!(world.answer(&emergency).await.contains("Call it from a phone"));
    alice
        .send_text(&management, "start-chat 07700 900456")
        .await
        .unwrap();
    let room = world.enters("+44 ••• 56").await;

    let state = alice.all_state(&room).await.unwrap();
    let of = |kind: &str| state.iter().find(|event| event["type"] == kind);
    let bridge = of("m.bridge").unwrap();
    assert_eq!(bridge["content"]["protocol"]["id"], "sms");
    assert_eq!(bridge["content"], of("uk.half-shot.bridge").unwrap()["content"]);
    assert!(of("m.space.parent").is_some());
    let asked = state
        .iter()
        .find(|event| event["state_key"] == alice.user())
        .unwrap();
    let invitation = &asked["unsigned"]["prev_content"];
    assert_eq!(invitation["is_direct"], json!(true), "{asked}");
    let whole = serde_json::to_string(&state).unwrap();
    let digits = key(CONTACT);
    assert!(!whole.contains(&digits[2..]), "the homeserver is told a number");

    let event = alice.send_text(&room, "Hello 👋").await.unwrap();
    world.on_the_phone("Hello 👋").await;
    world
        .sees("that it is delivered", |seen| {
            let content = &seen.event["content"];
            let told = seen.kind() == "com.beeper.message_send_status"
                && content["m.relates_to"]["event_id"] == event.as_str()
                && content["status"] == "SUCCESS";
            (told && !content["delivered_to_users"].as_array()?.is_empty()).then_some(())
        })
        .await;
    room
}

async fn what_sms_cannot_carry_is_answered(world: &World, room: &str) {
    let event = world.alice.send_text(room, "to be spoken of").await.unwrap();
    world.on_the_phone("to be spoken of").await;
    let unsupported = "com.beeper.unsupported_event";
    let said = |kind: &str, body: &str| json!({ "msgtype": kind, "body": body });
    let kinds: [(&str, Value, &str, &str); 7] = [
        (
            "m.reaction",
            json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": event, "key": "👍" } }),
            "SMS has no reactions",
            unsupported,
        ),
        (
            "m.room.message",
            json!({
                "msgtype": "m.text", "body": "* other", "m.new_content": said("m.text", "other"),
                "m.relates_to": { "rel_type": "m.replace", "event_id": event },
            }),
            "SMS cannot change a text",
            unsupported,
        ),
        (
            "m.room.message",
            json!({ "msgtype": "m.image", "body": "cat.png", "url": "mxc://localhost/cat" }),
            "links to media are turned off",
            unsupported,
        ),
        (
            "org.matrix.msc3381.poll.start",
            json!({ "org.matrix.msc3381.poll.start": {
                "question": { "org.matrix.msc1767.text": "Lunch?" },
                "answers": [{ "id": "a", "org.matrix.msc1767.text": "Yes" }],
            } }),
            "SMS has no polls",
            unsupported,
        ),
        (
            "m.room.message",
            said("m.text", " "),
            "there is no text",
            unsupported,
        ),
        (
            "org.example.unheard_of",
            json!({}),
            "org.example.unheard_of",
            unsupported,
        ),
        (
            "m.room.encrypted",
            json!({ "algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "y" }),
            "this came encrypted",
            "com.beeper.undecryptable_event",
        ),
    ];
    for (kind, content, words, reason) in kinds {
        let event = world.alice.send(room, kind, content).await.unwrap();
        let status = world
            .sees(&format!("the status of {kind}"), |seen| {
                let content = &seen.event["content"];
                let about = seen.kind() == "com.beeper.message_send_status"
                    && content["m.relates_to"]["event_id"] == event.as_str();
                about.then(|| content.clone())
            })
            .await;
        assert_eq!(status["status"], "FAIL_PERMANENT", "{kind}: {status}");
        assert_eq!(status["reason"], reason, "{kind}: {status}");
        let answer = world.answer(&event).await;
        assert!(answer.contains(words), "{kind}: {answer}");
    }
}

async fn a_ghost_that_was_looked_up_can_be_invited(world: &World) {
    let found = world
        .alice
        .third_party_user("sms", &[("phone", "07700 900458")])
        .await
        .unwrap();
    let ghost = found[0]["userid"].as_str().unwrap();
    world.alice.create_direct(ghost).await.unwrap();
    world.enters("+44 ••• 58").await;
}

async fn a_team_at_another_client_shares_a_line(world: &World) {
    // A phone writes before the bot is in the team's room: nobody sees it yet.
    world.carrier.write(CALLER, DESK, "Anybody there").unwrap();
    world.alice.invite(&world.team, BOT).await.unwrap();
    let announced = world.sees("the announcement", |seen| {
        (seen.room == world.team && seen.body().contains("on Desk with +44 ••• 57")).then_some(())
    });
    announced.await;
    let Some(python) = peers::nio_python() else {
        return;
    };
    let mut command = Command::new(python);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/person.py"))
        .args([world.synapse.url(), "@bob:localhost", PASSWORD]);
    let bob = start("matrix-nio", &command, world.folder.path().join("nio.log"));
    world.carrier.write(CALLER, DESK, "Are you open").unwrap();
    // The line's signature says who of the team wrote.
    world.on_the_phone("Are you open? Yes!\n— bob").await;
    let seen = bob.log_tail(1000);
    assert!(
        seen.contains(r#""by": "+44 \u2022\u2022\u2022 57 (SMS)""#),
        "{seen}"
    );
    drop(bob);
}

async fn what_phones_write_while_the_homeserver_is_down_comes_in_order(world: &mut World, room: &str) {
    world.synapse.stop().await;
    for text in ["one", "two", "three"] {
        world.carrier.write(CONTACT, LINE, text).unwrap();
    }
    world.synapse.start_again().await.unwrap();
    world
        .sees("the last of three", |seen| {
            (seen.room == room && seen.body() == "three").then_some(())
        })
        .await;
    let history = world.alice.history(room).await.unwrap();
    let texts: Vec<&str> = history
        .iter()
        .filter(|event| {
            event["sender"]
                .as_str()
                .is_some_and(|sender| sender.starts_with("@sms_"))
        })
        .filter_map(|event| event["content"]["body"].as_str())
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
}
