//! `--check`: the demo, driven by a program, with a transcript for people.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use swingbridge_lab::{
    client::{Client, Place, Seen},
    smsc::{self, Message},
};

use crate::{
    gateway::{self, Gateway},
    house::{BOT, House},
};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(30);

const LONG: &str = "A long message, to see it cross in parts and come together again: emoji such as 🌉 and 📱 need two \
                    units of UTF-16 each, families such as 👩‍👩‍👧‍👦 need eleven, and none of them may be cut in two. €uro, naïve, Ελλάδα, \
                    日本語 — all in one. What stands at the seam of two parts must not get lost either: \
                    🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉. The end.";

pub struct Check<'a> {
    gateway: &'a Gateway,
    alice: &'a Client,
    carrier: &'a smsc::Handle,
    start: Instant,
}

impl<'a> Check<'a> {
    pub fn new(house: &'a House) -> Self {
        Self {
            gateway: &house.gateway,
            alice: &house.alice,
            carrier: &house.carrier,
            start: Instant::now(),
        }
    }

    pub async fn run(&self) -> Result<()> {
        println!("\n  seconds   transcript");
        let said = self.gateway.check()?;
        self.say(&format!(
            "`swingbridge check` finds {} things well, and none amiss",
            said.matches("ok  ").count()
        ));
        let room = self.start_chat().await?;
        let hello = "Hello from Matrix 👋";
        let held = self.alice.send_text(&room, hello).await?;
        self.say(&format!("alice writes: {}", shortened(hello)));
        self.agree(&room, &held).await?;
        self.arrives(&held, hello).await?;
        self.explained(&room).await?;
        self.to_matrix(&room, "Hello from a phone, it's me").await?;
        self.to_phone(&room, LONG).await?;
        self.to_matrix(&room, &format!("{LONG} (and back)")).await?;
        self.nothing_doubled(&room).await
    }

    pub fn say(&self, words: &str) {
        println!("  {:7.2}   {words}", self.start.elapsed().as_secs_f64());
    }

    /// As a person would: tells the bot, and accepts the invitation that comes.
    pub async fn start_chat(&self) -> Result<String> {
        let management = self
            .alice
            .create_direct(BOT)
            .await
            .context("cannot invite the bot")?;
        self.alice
            .wait_for("the bot to join", |seen| {
                let joins = seen.room == management
                    && seen.kind() == "m.room.member"
                    && seen.event["state_key"] == BOT
                    && seen.event["content"]["membership"] == "join";
                joins.then_some(())
            })
            .await?;
        self.say("the bot joined alice's management room");
        let command = format!("start-chat {}", gateway::CONTACT);
        self.alice.send_text(&management, &command).await?;
        self.say(&format!("alice to the bot: {command}"));
        let room = self.invitation().await?;
        self.say(&format!(
            "alice is in the room \"{}\"",
            self.name_of(&room).await?
        ));
        Ok(room)
    }

    /// Accepts invitations until one leads to a conversation (a line's space is none).
    pub async fn invitation(&self) -> Result<String> {
        let mut tried: Vec<String> = Vec::new();
        loop {
            let room = self
                .alice
                .wait_for("the invitation to the conversation", |seen| {
                    (seen.place == Place::Invite && !tried.contains(&seen.room)).then(|| seen.room.clone())
                })
                .await?;
            self.alice.join(&room).await?;
            let create = self
                .alice
                .state(&room, "m.room.create", "")
                .await?
                .unwrap_or_default();
            if create["type"] != "m.space" {
                return Ok(room);
            }
            self.say("alice joined the line's space");
            tried.push(room);
        }
    }

    pub async fn name_of(&self, room: &str) -> Result<String> {
        let name = self
            .alice
            .state(room, "m.room.name", "")
            .await?
            .unwrap_or_default();
        Ok(name["name"].as_str().unwrap_or("without a name").to_owned())
    }

    /// Nothing leaves before alice has agreed to who can read it.
    async fn agree(&self, room: &str, held: &str) -> Result<()> {
        let question = self.heard_from_the_bot(room, "Do you agree").await?;
        self.say(&format!("the bot asks: {}", question.body()));
        self.alice
            .wait_for("the status of the text that waits", |seen| {
                let content = &seen.event["content"];
                let waits = seen.kind() == "com.beeper.message_send_status"
                    && content["m.relates_to"]["event_id"] == held
                    && content["dev.swingbridge.state"] == "held";
                waits.then_some(())
            })
            .await?;
        let nothing = self.carrier.wait_for("nothing", Duration::ZERO, |view| {
            view.messages
                .iter()
                .any(|message| !message.from_phone)
                .then_some(())
        });
        ensure!(
            nothing.await.is_err(),
            "a text left before anybody agreed to that"
        );
        self.say("alice's text waits; the phone has nothing");
        let content = serde_json::json!({
            "m.relates_to": { "rel_type": "m.annotation", "event_id": question.id(), "key": "✅" }
        });
        self.alice.send(room, "m.reaction", content).await?;
        self.say("alice reacts with ✅");
        let told = self.heard_from_the_bot(room, "readable by").await?;
        self.say(&format!("the bot says: {}", told.body()));
        Ok(())
    }

    /// The command `path`.
    async fn explained(&self, room: &str) -> Result<()> {
        self.alice.send_text(room, "!sms path").await?;
        let told = self.heard_from_the_bot(room, "As things are now").await?;
        self.say(&format!(
            "alice asks for the `path`; the bot: {}",
            told.body().replace('\n', "\n            ")
        ));
        Ok(())
    }

    pub async fn heard_from_the_bot(&self, room: &str, part: &str) -> Result<Seen> {
        let seen = self
            .alice
            .wait_for(&format!("the bot's words with {part:?}"), |seen| {
                let fits = seen.room == room && seen.sender() == BOT && seen.body().contains(part);
                fits.then(|| seen.clone())
            })
            .await?;
        Ok(seen)
    }

    async fn to_phone(&self, room: &str, text: &str) -> Result<()> {
        let event = self.alice.send_text(room, text).await?;
        self.say(&format!("alice writes: {}", shortened(text)));
        self.arrives(&event, text).await
    }

    /// The phone shows it, and alice sees that it does.
    async fn arrives(&self, event: &str, text: &str) -> Result<()> {
        let message = self
            .carrier
            .wait_for("the text on the phone", PATIENCE, |view| {
                view.messages.iter().find(|message| shows(message, text)).cloned()
            })
            .await?;
        ensure!(
            message.peer == smsc::key(gateway::LINE),
            "the phone shows it as from {}",
            message.peer
        );
        let parts = match message.segments {
            1 => "one part".to_owned(),
            segments => format!("{segments} parts"),
        };
        self.say(&format!("Bob's phone shows it whole, out of {parts}"));
        self.alice
            .wait_for("the status SUCCESS with the delivery to the phone", |seen| {
                delivered(seen, event).then_some(())
            })
            .await?;
        self.say("alice sees: delivered (com.beeper.message_send_status SUCCESS)");
        self.alice
            .wait_for("the bot's read receipt", |seen| {
                let receipt = &seen.event["content"][event]["m.read"][BOT];
                (seen.place == Place::Ephemeral && !receipt.is_null()).then_some(())
            })
            .await?;
        self.say("alice sees: the bot read it");
        Ok(())
    }

    async fn to_matrix(&self, room: &str, text: &str) -> Result<()> {
        self.carrier
            .write(gateway::CONTACT, gateway::LINE, text)
            .context("the text is too long for a phone")?;
        self.say(&format!("Bob writes on the phone: {}", shortened(text)));
        let seen = self
            .alice
            .wait_for_text(room, text)
            .await
            .context("the text of the phone in Matrix")?;
        if !seen.sender().starts_with("@sms_") {
            bail!(
                "the text of the phone came from {} instead of a ghost",
                seen.sender()
            );
        }
        ensure!(
            !seen.event.to_string().contains(&smsc::key(gateway::CONTACT)),
            "the event names the phone's number"
        );
        self.say("alice sees it in the room, from Bob's ghost");
        Ok(())
    }

    async fn nothing_doubled(&self, room: &str) -> Result<()> {
        let doubled = self.carrier.accounts().doubled().count();
        ensure!(doubled == 0, "{doubled} texts came to phones more than once");
        let history = self.alice.history(room).await?;
        let from_phone: Vec<&str> = history
            .iter()
            .filter(|event| {
                event["sender"]
                    .as_str()
                    .is_some_and(|sender| sender.starts_with("@sms_"))
            })
            .filter_map(|event| event["content"]["body"].as_str())
            .collect();
        ensure!(
            from_phone.len() == 2,
            "Matrix shows {} texts from the phone instead of 2",
            from_phone.len()
        );
        self.say("nothing is lost and nothing is doubled");
        Ok(())
    }
}

fn shows(message: &Message, text: &str) -> bool {
    !message.from_phone && message.phone == smsc::key(gateway::CONTACT) && message.text == text
}

fn delivered(seen: &Seen, event: &str) -> bool {
    let content = &seen.event["content"];
    seen.kind() == "com.beeper.message_send_status"
        && content["m.relates_to"]["event_id"] == event
        && content["status"] == "SUCCESS"
        && content["delivered_to_users"]
            .as_array()
            .is_some_and(|users| !users.is_empty())
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() == text.len() {
        format!("\"{text}\"")
    } else {
        format!("\"{start} …\" ({} characters)", text.chars().count())
    }
}
