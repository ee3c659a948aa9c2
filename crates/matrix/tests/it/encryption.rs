//! End-to-bridge encryption, with Matrix clients that others wrote, on a real Synapse.

use crate::bridge::{Bridge, Now, Plan, chat, plain, post};
use serde_json::{Value, json};
use std::sync::Arc;
use swingbridge_domain::homeserver::{Action, Ghost, Homeserver, PerformError, Sender};
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Arrival, Membership, RoomEvent, RoomEventKind, Unreadable, What};
use swingbridge_domain::message::Tone;
use swingbridge_domain::path::{Protection, Scheme};
use swingbridge_lab::client::Client;
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::homeserver::Quirks;
use swingbridge_lab::synapse::{Options, Synapse};
use swingbridge_matrix::Mode;

const MEGOLM: Protection = Protection::EndToEnd(Scheme::Megolm);
const PASSWORD: &str = "password of alice";

pub struct House {
    pub synapse: Synapse,
    pub bridge: Bridge,
    /// On matrix-nio.
    pub alice: Foreign,
    /// The same user without encryption, to look at what the homeserver has.
    pub outside: Client,
}

pub async fn start(mode: Mode) -> Option<House> {
    let mut plan = Plan::new().await;
    plan.config.encryption = mode;
    let options = Options {
        registrations: vec![plan.file()],
        ..Options::default()
    };
    let synapse = Synapse::for_test(options).await?;
    let bridge = plan.serve(synapse.url(), Arc::new(Now));
    let outside = synapse.user("alice", PASSWORD).await.unwrap();
    let alice = Foreign::client(Script::Nio, synapse.url(), outside.user(), PASSWORD)
        .await?
        .unwrap();
    bridge.matrix.start_encryption().await.unwrap();
    Some(House {
        synapse,
        bridge,
        alice,
        outside,
    })
}

impl House {
    /// A chat with the ghost, alice inside.
    pub async fn chat(&mut self, alias: &str) -> RoomId {
        let room = self.bridge.room(chat(alias, self.outside.user())).await;
        self.join(&room).await;
        room
    }

    pub async fn join(&mut self, room: &RoomId) {
        self.tell(json!({ "do": "join", "room": room })).await;
        let joined = self.alice.event("joined").await.unwrap();
        assert_eq!(joined["encrypted"], true);
    }

    pub async fn tell(&mut self, command: Value) {
        self.alice.tell(command).await.unwrap();
    }

    pub async fn send(&mut self, room: &RoomId, body: &str) -> EventId {
        self.tell(json!({ "do": "send", "room": room, "body": body }))
            .await;
        EventId::new(self.alice.event("sent").await.unwrap()["id"].as_str().unwrap())
    }

    pub async fn reads(&mut self, body: &str) -> Value {
        let said = self
            .alice
            .event_with("message", |event| event["content"]["body"] == body)
            .await;
        let said = said.unwrap();
        assert_eq!(said["encrypted"], true, "{said}");
        said
    }
}

#[tokio::test]
async fn a_chat_is_encrypted_both_ways_and_the_homeserver_holds_no_text() {
    let Some(mut house) = start(Mode::Default).await else {
        return;
    };
    // The first text comes before anybody joined.
    let made = house
        .bridge
        .perform(Action::CreateRoom(chat("c", house.outside.user())), "unused")
        .await;
    assert_eq!(made.protection, Some(MEGOLM));
    let room = made.room.unwrap();
    let said = house.bridge.say(&room, "the first pelican", "outbox-1").await;
    house.join(&room).await;
    let first = house.reads("the first pelican").await;
    assert_eq!(
        (first["id"].as_str(), first["sender"].as_str()),
        (Some(said.as_str()), Some(&*house.bridge.ghost_id()))
    );

    let answer = house.send(&room, "the second pelican").await;
    let arrived = house.bridge.inbox.wait_for_text("the second pelican").await;
    assert_eq!((&arrived.event, arrived.protection), (&answer, MEGOLM));
    assert_eq!(arrived.sender.as_str(), house.outside.user());

    // As the bot, as an answer, and again by the same transaction.
    let mut notice = post(&room, Sender::Bot, "the third pelican");
    notice.in_reply_to = Some(answer.clone());
    let performed = house
        .bridge
        .perform(Action::Post(notice.clone()), "outbox-2")
        .await;
    assert_eq!(performed.protection, Some(MEGOLM));
    let third = house.reads("the third pelican").await;
    assert_eq!(
        third["content"]["m.relates_to"]["m.in_reply_to"]["event_id"],
        answer.as_str()
    );
    assert_eq!(
        house.bridge.perform(Action::Post(notice), "outbox-2").await.event,
        performed.event
    );

    // Quotes: what alice said, and what the ghost said.
    for (event, text) in [(&answer, "the second pelican"), (&said, "the first pelican")] {
        let quoted = house.bridge.matrix.text_of(&room, event).await.unwrap();
        assert_eq!(quoted.as_deref(), Some(text));
    }

    let texts = [b"pelican".as_slice()];
    let mut looked = 0;
    house.synapse.stop().await;
    for entry in std::fs::read_dir(house.synapse.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("homeserver.db")
        {
            let bytes = std::fs::read(&path).unwrap();
            looked += bytes.len();
            for text in texts {
                assert!(
                    !bytes.windows(text.len()).any(|window| window == text),
                    "{}",
                    path.display()
                );
            }
        }
    }
    assert!(looked > 100_000);
}

#[tokio::test]
async fn an_event_without_its_key_waits_is_told_and_goes_its_way_when_the_key_comes() {
    let Some(mut house) = start(Mode::Default).await else {
        return;
    };
    let room = house.chat("c").await;
    house.send(&room, "an ordinary heron").await;
    house.bridge.inbox.wait_for_text("an ordinary heron").await;
    house
        .tell(json!({ "do": "hold", "room": room, "body": "a late heron" }))
        .await;
    let sent = house.alice.event("sent").await.unwrap();
    let told = house.bridge.inbox.wait("word of it", |event| match event.what {
        RoomEventKind::Undecryptable { cause } => Some((event.event.clone(), cause)),
        _ => None,
    });
    assert_eq!(
        told.await,
        (EventId::new(sent["id"].as_str().unwrap()), Unreadable::MissingKey)
    );

    // It waits through a restart, and another message goes by it.
    house.bridge.restart().await;
    house.tell(json!({ "do": "release" })).await;
    house.alice.event("released").await.unwrap();
    let late = house.bridge.inbox.wait_for_text("a late heron").await;
    assert_eq!(
        (late.event.as_str(), late.protection),
        (sent["id"].as_str().unwrap(), MEGOLM)
    );
}

#[tokio::test]
async fn a_key_that_was_sent_while_the_gateway_was_away_is_fetched() {
    let Some(mut house) = start(Mode::Default).await else {
        return;
    };
    let room = house.chat("c").await;
    let before = house.bridge.matrix.missed(None).await.unwrap();
    house.bridge.go_away().await;
    // Two: the homeserver marks us as down with the first, and drops the keys of the second.
    house.send(&room, "a lonely stork").await;
    house
        .tell(json!({ "do": "hold", "room": room, "body": "another stork" }))
        .await;
    house.alice.event("sent").await.unwrap();
    house.tell(json!({ "do": "release" })).await;
    house.alice.event("released").await.unwrap();
    house.synapse.stop().await;
    house.synapse.start_again().await.unwrap();
    house.bridge.restart().await;
    let missed = house.bridge.matrix.missed(Some(&before.token)).await.unwrap();
    let texts: Vec<_> = missed.arrivals.iter().filter_map(said).collect();
    assert_eq!(texts, ["a lonely stork", "another stork"]);
}

fn said(arrival: &Arrival) -> Option<&str> {
    match &arrival.what {
        What::Room(event) => plain(event),
        What::Network(_) => None,
    }
}

#[tokio::test]
async fn whoever_comes_in_gets_a_key_of_their_own_time() {
    let Some(mut house) = start(Mode::Default).await else {
        return;
    };
    let room = house.chat("c").await;
    house.bridge.say(&room, "a heron before", "outbox-1").await;
    let first = house.reads("a heron before").await["session"].clone();
    let bob = house.synapse.user("bob", PASSWORD).await.unwrap();
    let users = vec![UserId::new(bob.user())];
    let invite = Action::Invite {
        room: room.clone(),
        users,
    };
    house.bridge.perform(invite, "unused").await;
    bob.join(room.as_str()).await.unwrap();
    let came = |event: &RoomEvent| match &event.what {
        RoomEventKind::Membership {
            user,
            membership: Membership::Join,
            ..
        } if user.as_str() == bob.user() => Some(()),
        _ => None,
    };
    house.bridge.inbox.wait("that bob came", came).await;
    house.bridge.say(&room, "a heron after", "outbox-2").await;
    let second = house.reads("a heron after").await["session"].clone();
    assert_ne!(second, first, "the key is another one");
    house.bridge.say(&room, "the same heron", "outbox-3").await;
    assert_eq!(house.reads("the same heron").await["session"], second);
}

#[tokio::test]
async fn whoever_leaves_reads_nothing_more() {
    let Some(mut house) = start(Mode::Default).await else {
        return;
    };
    let bob = house.synapse.user("bob", PASSWORD).await.unwrap();
    let mut second = Foreign::client(Script::Nio, house.synapse.url(), bob.user(), PASSWORD)
        .await
        .unwrap()
        .unwrap();
    let mut new = chat("c", house.outside.user());
    new.invite.push(UserId::new(bob.user()));
    let room = house.bridge.room(new).await;
    house.join(&room).await;
    second.tell(json!({ "do": "join", "room": room })).await.unwrap();
    second.event("joined").await.unwrap();
    house.bridge.say(&room, "a crane for two", "outbox-1").await;
    let first = house.reads("a crane for two").await["session"].clone();
    let seen = second
        .event_with("message", |event| event["content"]["body"] == "a crane for two")
        .await
        .unwrap();
    assert_eq!(seen["session"], first);
    house.bridge.say(&room, "another crane", "outbox-2").await;
    assert_eq!(
        house.reads("another crane").await["session"],
        first,
        "a key is used for many events"
    );

    second.tell(json!({ "do": "leave", "room": room })).await.unwrap();
    second.event("left").await.unwrap();
    let gone = |event: &RoomEvent| match &event.what {
        RoomEventKind::Membership {
            user,
            membership: Membership::Leave,
            ..
        } if user.as_str() == bob.user() => Some(()),
        _ => None,
    };
    house.bridge.inbox.wait("that bob left", gone).await;
    house.bridge.say(&room, "a crane alone", "outbox-3").await;
    assert_ne!(
        house.reads("a crane alone").await["session"],
        first,
        "the key is another one"
    );
}

#[tokio::test]
async fn a_room_that_people_encrypt_is_answered_encrypted_after_a_restart_too() {
    let Some(mut house) = start(Mode::Allow).await else {
        return;
    };
    let made = house
        .bridge
        .perform(Action::CreateRoom(chat("c", house.outside.user())), "unused")
        .await;
    assert_eq!(made.protection, Some(Protection::None));
    house.bridge.matrix.ensure_bot().await.unwrap();
    house
        .tell(json!({ "do": "create", "invite": [house.bridge.bot_id()] }))
        .await;
    let room = RoomId::new(
        house.alice.event("created").await.unwrap()["room"]
            .as_str()
            .unwrap(),
    );
    let joined = house
        .bridge
        .perform(Action::Join { room: room.clone() }, "unused")
        .await;
    assert_eq!(joined.protection, Some(MEGOLM));
    let member = |event: &Value| event["user"] == house.bridge.bot_id() && event["membership"] == "join";
    house.alice.event_with("member", member).await.unwrap();
    house.send(&room, "help the gull").await;
    assert_eq!(
        house.bridge.inbox.wait_for_text("help the gull").await.protection,
        MEGOLM
    );
    house.bridge.restart().await;
    let answer = Action::Post(post(&room, Sender::Bot, "the gull is helped"));
    assert_eq!(
        house.bridge.perform(answer, "outbox-1").await.protection,
        Some(MEGOLM)
    );
    house.reads("the gull is helped").await;
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_encryption_is_required() {
    let Some(mut house) = start(Mode::Require).await else {
        return;
    };
    let nobody_may = json!({
        "preset": "private_chat", "invite": [house.bridge.bot_id()], "power_level_content_override": { "state_default": 100 },
    });
    let plain_room = house.outside.create_room(nobody_may).await.unwrap();
    let room = RoomId::new(&plain_room);
    house
        .bridge
        .perform(Action::Join { room: room.clone() }, "unused")
        .await;
    house.outside.send_text(&plain_room, "a plain owl").await.unwrap();
    let refused = |event: &RoomEvent| match event.what {
        RoomEventKind::Undecryptable { cause } => Some(cause),
        _ => None,
    };
    let word = house.bridge.inbox.wait("word of it", refused).await;
    assert_eq!(word, Unreadable::NotEncrypted);
    let mut said = post(&room, Sender::Bot, "a secret owl");
    let answer = house
        .bridge
        .matrix
        .perform(&Action::Post(said.clone()), "outbox-1")
        .await;
    assert!(
        matches!(&answer, Err(PerformError::Refused { code, .. }) if code.contains("PLAIN_ROOM")),
        "{answer:?}"
    );
    // Words about the room itself may be said.
    said.text.tone = Tone::Notice;
    let words = house.bridge.perform(Action::Post(said), "outbox-2").await;
    assert_eq!(words.protection, Some(Protection::None));
    // Where the bot may, it encrypts the room.
    let theirs = RoomId::new(house.outside.create_direct(&house.bridge.bot_id()).await.unwrap());
    house
        .bridge
        .perform(Action::Join { room: theirs.clone() }, "unused")
        .await;
    let said = Action::Post(post(&theirs, Sender::Bot, "an owl for alice"));
    assert_eq!(
        house.bridge.perform(said, "outbox-4").await.protection,
        Some(MEGOLM)
    );

    let room = house.chat("c").await;
    house.bridge.say(&room, "a private owl", "outbox-3").await;
    house.reads("a private owl").await;
}

#[tokio::test]
async fn a_current_client_sees_the_ghosts_device_as_signed_and_warns_of_nothing() {
    let Some(house) = start(Mode::Default).await else {
        return;
    };
    let carol = house.synapse.user("carol", PASSWORD).await.unwrap();
    let Some(client) = Foreign::client(Script::MatrixJs, house.synapse.url(), carol.user(), PASSWORD).await
    else {
        return;
    };
    let mut client = client.unwrap();
    let room = house.bridge.room(chat("c", carol.user())).await;
    client.tell(json!({ "do": "join", "room": room })).await.unwrap();
    client.event("joined").await.unwrap();
    let said = house.bridge.say(&room, "a signed ibis", "outbox-1").await;
    let reads = |event: &Value| event["content"]["body"] == "a signed ibis";
    client.event_with("message", reads).await.unwrap();
    client
        .tell(json!({ "do": "send", "room": room, "body": "an ibis back" }))
        .await
        .unwrap();
    assert_eq!(
        house.bridge.inbox.wait_for_text("an ibis back").await.protection,
        MEGOLM
    );
    for user in [house.bridge.ghost_id(), house.bridge.bot_id()] {
        client
            .tell(json!({ "do": "devices", "user": user }))
            .await
            .unwrap();
        let devices = client.event("devices").await.unwrap()["devices"].clone();
        let devices = devices.as_array().unwrap();
        assert!(devices.len() == 1 && devices[0]["signed"] == true, "{devices:?}");
    }
    client
        .tell(json!({ "do": "warning", "room": room, "id": said }))
        .await
        .unwrap();
    let warning = client.event("warning").await.unwrap();
    // 0: no shield.
    assert_eq!(warning["colour"], 0, "{warning}");
}

/// What a ghost costs: `cargo nextest run -p swingbridge-matrix --run-ignored only -E 'test(what_a_ghost_costs)' --no-capture`.
#[tokio::test]
#[ignore = "measures"]
async fn what_a_ghost_costs() {
    const GHOSTS: usize = 40;
    let Some(house) = start(Mode::Default).await else {
        return;
    };
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
    };
    let room = house.bridge.room(chat("c", house.outside.user())).await;
    house.bridge.say(&room, "the first", "outbox-0").await;
    let folder = &house.bridge.config.crypto_folder;
    // Without the write-ahead log, which is gone when a machine is closed.
    let disk = || {
        let files = |folder: &std::path::Path| {
            std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
        };
        let machines = files(folder).filter(|machine| machine.is_dir());
        let kept = machines.flat_map(|machine| files(&machine).collect::<Vec<_>>());
        let kept = kept.filter(|file| {
            !file.to_string_lossy().ends_with("-wal") && !file.to_string_lossy().ends_with("-shm")
        });
        kept.map(|file| std::fs::metadata(file).unwrap().len() as usize / 1024)
            .sum::<usize>()
    };
    for round in ["makes its device", "is open"] {
        let (memory, kept, start) = (resident(), disk(), std::time::Instant::now());
        for ghost in 0..GHOSTS {
            let mut said = post(&room, Sender::Bot, "one text");
            said.sender = Sender::Ghost(Ghost::new(format!("ghost{ghost}"), "A ghost"));
            house
                .bridge
                .perform(Action::Post(said), &format!("{round} {ghost}"))
                .await;
        }
        println!(
            "a ghost that {round}: {} ms for a text, {} KiB in memory, {} KiB on disk",
            start.elapsed().as_millis() as usize / GHOSTS,
            resident().saturating_sub(memory) / GHOSTS,
            disk().saturating_sub(kept) / GHOSTS,
        );
    }
}

#[tokio::test]
async fn where_the_homeserver_knows_no_keys_rooms_stay_plain() {
    for (mode, words) in [(Mode::Default, true), (Mode::Require, false)] {
        let mut plan = Plan::new().await;
        plan.config.encryption = mode;
        let (_stub, bridge) = plan.on_stub(Quirks::synapse()).await;
        bridge.matrix.start_encryption().await.unwrap();
        let made = bridge
            .perform(Action::CreateRoom(chat("c", "@alice:localhost")), "unused")
            .await;
        assert_eq!(made.protection, Some(Protection::None));
        let text = post(&made.room.unwrap(), Sender::Bot, "in the clear");
        let said = bridge.matrix.perform(&Action::Post(text), "outbox-1").await;
        assert_eq!(said.is_ok(), words, "{mode:?}: {said:?}");
    }
}
