//! What is said, both ways.

use super::house::{House, MEGOLM, PASSWORD, homeserver};
use crate::bridge::{chat, ghost, plain, post};
use serde_json::{Value, json};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::{Action, Ghost, Homeserver, PerformError, RoomKind, SendStatus, Sender};
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Membership, RoomEvent, RoomEventKind};
use swingbridge_domain::message::{Body, Disposition, Reference, Tone};
use swingbridge_domain::path::Protection;
use swingbridge_lab::client::{Place, Seen};
use swingbridge_lab::foreign::{Foreign, Script};

#[tokio::test]
async fn a_chat_is_encrypted_both_ways_and_the_homeserver_holds_no_text() {
    let Some(mut house) = House::open().await else {
        return;
    };
    // The first text comes before anybody joined.
    let room = house.phone.room("c", house.outside.user()).await;
    let said = house.phone.say(&room, "the first pelican", "outbox-1").await;
    house.join(&room).await;
    let first = house.reads("the first pelican").await;
    assert_eq!(first["id"], said.as_str());
    assert_eq!(first["sender"], house.phone.puppet.user().as_str());
    let content = &first["content"];
    assert_eq!(
        content["com.beeper.per_message_profile"],
        json!({ "id": ghost().pseudonym, "displayname": ghost().name })
    );
    assert_eq!(
        content["dev.swingbridge.path"]["summary"], "ends_at_device",
        "{content}"
    );

    let answer = house.send(&room, "the second pelican").await;
    let arrived = house.phone.inbox.wait_for_text("the second pelican").await;
    assert_eq!((&arrived.event, arrived.protection), (&answer, MEGOLM));
    assert_eq!(arrived.sender.as_str(), house.outside.user());

    // As the bot, as an answer, and again by the same transaction.
    let mut notice = post(&room, Sender::Bot, "the third pelican");
    notice.in_reply_to = Some(answer.clone());
    let action = Action::Post(notice);
    let performed = house.phone.perform(action.clone(), "outbox-2").await;
    let third = house.reads("the third pelican").await;
    assert_eq!(
        third["content"]["m.relates_to"]["m.in_reply_to"]["event_id"],
        answer.as_str()
    );
    assert_eq!(
        house.phone.perform(action.clone(), "outbox-2").await.event,
        performed.event
    );
    house.phone.restart().await;
    assert_eq!(
        house.phone.perform(action, "outbox-2").await.event,
        performed.event
    );

    // Quotes: what alice said, and what the contact said.
    for (event, text) in [(&answer, "the second pelican"), (&said, "the first pelican")] {
        let quoted = house.phone.puppet.text_of(&room, event).await.unwrap();
        assert_eq!(quoted.as_deref(), Some(text));
    }
    assert!(!house.homeserver_holds("pelican").await);
}

#[tokio::test]
async fn edits_replies_reactions_and_withdrawals_go_both_ways() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    let theirs = house.phone.say(&room, "a contact's heron", "outbox-1").await;
    house.reads("a contact's heron").await;

    // From the phone.
    let mut edit = post(&room, Sender::Ghost(ghost()), "a better heron");
    edit.replaces = Some(theirs.clone());
    house.phone.perform(Action::Post(edit), "outbox-2").await;
    let seen = house.reads("* a better heron").await;
    assert_eq!(seen["content"]["m.new_content"]["body"], "a better heron");
    let own = house.send(&room, "alice's heron").await;
    house.phone.inbox.wait_for_text("alice's heron").await;
    let react = Action::React {
        room: room.clone(),
        event: own.clone(),
        key: "👍".into(),
        by: Sender::Ghost(ghost()),
        way: Vec::new(),
    };
    let reaction = house
        .phone
        .perform(react.clone(), "outbox-3")
        .await
        .event
        .unwrap();
    assert_eq!(
        house.phone.perform(react, "outbox-3").await.event,
        Some(reaction.clone())
    );
    let seen = sees(&house, |seen| {
        (seen.id() == reaction.as_str()).then(|| seen.event.clone())
    })
    .await;
    assert_eq!(
        seen["content"]["m.relates_to"],
        json!({ "rel_type": "m.annotation", "event_id": own, "key": "👍" })
    );
    for (target, transaction) in [(&reaction, "outbox-4"), (&theirs, "outbox-5")] {
        let take_back = Action::Redact {
            room: room.clone(),
            event: target.clone(),
            by: Sender::Ghost(ghost()),
        };
        house.phone.perform(take_back.clone(), transaction).await;
        house.phone.perform(take_back, transaction).await;
        sees(&house, |seen| {
            let redacts = &seen.event["content"]["redacts"];
            (seen.kind() == "m.room.redaction" && redacts == target.as_str()).then_some(())
        })
        .await;
    }

    // From alice.
    let edit = json!({
        "m.new_content": { "msgtype": "m.text", "body": "alice's better heron" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": own },
    });
    house.send_with(&room, "* alice's better heron", edit).await;
    let edited = house.phone.inbox.wait_for_text("alice's better heron").await;
    let RoomEventKind::Message(message) = edited.what else {
        panic!("not a message");
    };
    assert_eq!(message.replaces, Some(Reference::Event(own.clone())));
    let reply = json!({ "m.relates_to": { "m.in_reply_to": { "event_id": theirs } } });
    house.send_with(&room, "an answering heron", reply).await;
    let replied = house.phone.inbox.wait_for_text("an answering heron").await;
    let RoomEventKind::Message(message) = replied.what else {
        panic!("not a message");
    };
    assert_eq!(message.in_reply_to, Some(Reference::Event(theirs.clone())));
    house
        .tell(json!({ "do": "react", "room": room, "id": theirs, "key": "❤️" }))
        .await;
    let reacted = house
        .phone
        .inbox
        .wait("the reaction", |event| match &event.what {
            RoomEventKind::Message(message) if message.parts[0].disposition == Disposition::Reaction => {
                Some((message.clone(), event.protection))
            }
            _ => None,
        })
        .await;
    assert_eq!(reacted.0.first_text().unwrap().plain, "❤️");
    assert_eq!(reacted.1, Protection::None, "reactions are never encrypted");
    house
        .tell(json!({ "do": "redact", "room": room, "id": own }))
        .await;
    house
        .phone
        .inbox
        .wait("the withdrawal", |event| match &event.what {
            RoomEventKind::Message(message)
                if message.replaces == Some(Reference::Event(own.clone()))
                    && message.parts[0].body == Body::Null =>
            {
                Some(())
            }
            _ => None,
        })
        .await;
    assert!(
        house
            .phone
            .inbox
            .events
            .lock()
            .unwrap()
            .iter()
            .all(|event| event.sender.as_str() != house.phone.puppet.user().as_str()),
        "what the device said itself does not come back"
    );
}

#[tokio::test]
async fn members_of_a_group_who_react_alike_are_both_seen() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let mut new = chat("group", house.outside.user());
    new.kind = RoomKind::Group;
    new.ghost = None;
    let made = house.phone.perform(Action::CreateRoom(new), "unused").await;
    let room = made.room.unwrap();
    house.join(&room).await;
    let own = house.send(&room, "who comes?").await;
    house.phone.inbox.wait_for_text("who comes?").await;
    let mut bea = ghost();
    bea.pseudonym = "fedcba".into();
    bea.name = "Bea".into();
    let react = |by: &Ghost| Action::React {
        room: room.clone(),
        event: own.clone(),
        key: "👍".into(),
        by: Sender::Ghost(by.clone()),
        way: Vec::new(),
    };
    let first = house.phone.perform(react(&ghost()), "outbox-1").await;
    assert_eq!(first.protection, Some(Protection::None));
    // As after a crash of both sides, which nobody remembers the transaction of.
    let again = house.phone.perform(react(&ghost()), "outbox-2").await;
    assert_eq!(again.event, first.event);
    let second = house.phone.perform(react(&bea), "outbox-3").await;
    assert_eq!(second.protection, Some(MEGOLM), "a name goes encrypted");
    let said = house.reads("Bea: reacted 👍").await;
    assert_eq!(
        Some(said["id"].as_str().unwrap()),
        second.event.as_ref().map(|event| event.as_str())
    );
    assert_eq!(said["content"]["msgtype"], "m.notice");
    assert_eq!(
        said["content"]["m.relates_to"]["m.in_reply_to"]["event_id"],
        own.as_str()
    );
    // Each takes back their own.
    let gone = second.event.unwrap();
    let take_back = Action::Redact {
        room: room.clone(),
        event: gone.clone(),
        by: Sender::Ghost(bea),
    };
    house.phone.perform(take_back, "outbox-4").await;
    sees(&house, |seen| {
        let redacts = &seen.event["content"]["redacts"];
        (seen.kind() == "m.room.redaction" && redacts == gone.as_str()).then_some(())
    })
    .await;
    let path = [
        "_matrix",
        "client",
        "v1",
        "rooms",
        room.as_str(),
        "relations",
        own.as_str(),
        "m.annotation",
    ];
    let left = house.outside.get(&path, &[]).await.unwrap();
    let left = left["chunk"].as_array().unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["event_id"], first.event.unwrap().as_str());
    assert!(
        !left[0].to_string().contains("Bea"),
        "names are nothing to say in the clear"
    );
}

async fn sees<T>(house: &House, pick: impl FnMut(&Seen) -> Option<T>) -> T {
    house.outside.wait_for("it", pick).await.unwrap()
}

#[tokio::test]
async fn a_room_is_made_once_and_found_again_after_its_making_was_cut_off() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let owner = house.outside.user().to_owned();
    let room = house.phone.room("conversation1", &owner).await;
    let invite = sees(&house, |seen| {
        let ours =
            seen.place == Place::Invite && seen.kind() == "m.room.member" && seen.room == room.as_str();
        (ours && seen.event["state_key"] == owner.as_str()).then(|| seen.event.clone())
    })
    .await;
    assert_eq!(invite["content"]["is_direct"], true);
    assert_eq!(house.phone.room("conversation1", &owner).await, room);
    house.phone.restart().await;
    assert_eq!(house.phone.room("conversation1", &owner).await, room);
    // As after a crash between the making and the note of it.
    house.phone.stop().await;
    std::fs::remove_file(house.phone.config.folder.join("puppet.db")).unwrap();
    house.phone.restart().await;
    assert_eq!(house.phone.room("conversation1", &owner).await, room);
    assert_ne!(house.phone.room("conversation2", &owner).await, room);

    house.outside.join(room.as_str()).await.unwrap();
    let state = async |kind: &str, key: &str| {
        house
            .outside
            .state(room.as_str(), kind, key)
            .await
            .unwrap()
            .unwrap_or_default()
    };
    assert_eq!(state("m.room.name", "").await["name"], "+44 ••• 56");
    assert_eq!(
        state("m.room.encryption", "").await["algorithm"],
        "m.megolm.v1.aes-sha2"
    );
    let bridge = state("m.bridge", "dev.swingbridge://main/conversation1").await;
    assert_eq!(bridge["com.beeper.room_type"], "dm");
    assert_eq!(bridge["bridgebot"], house.phone.puppet.user().as_str());

    // Another name, and a picture.
    let mut new = chat("conversation1", &owner);
    new.about.name = "Bob".into();
    let picture = house.phone.config.folder.join("bob.png");
    std::fs::write(&picture, b"\x89PNG of Bob").unwrap();
    let mut bob = ghost();
    bob.picture = Some(swingbridge_domain::message::Media {
        uri: format!("file://{}", picture.display()),
        mime: Some("image/png".into()),
        ..Default::default()
    });
    let describe = Action::Describe {
        room: room.clone(),
        about: new.about,
        ghost: Some(bob.clone()),
    };
    house.phone.perform(describe.clone(), "unused").await;
    assert_eq!(state("m.room.name", "").await["name"], "Bob");
    let uri = state("m.room.avatar", "").await["url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(house.outside.download(&uri).await.unwrap(), b"\x89PNG of Bob");
    house.phone.perform(describe, "unused").await;
    assert_eq!(
        state("m.room.avatar", "").await["url"],
        uri,
        "it is uploaded once"
    );
    let mut said = post(&room, Sender::Ghost(bob), "a pictured finch");
    said.sent_at = Some(Timestamp(1_700_000_000_000));
    house.phone.perform(Action::Post(said), "outbox-1").await;
    house.join(&room).await;
    let seen = house.reads("(2023-11-14 22:13 UTC) a pictured finch").await;
    assert_eq!(
        seen["content"]["com.beeper.per_message_profile"]["avatar_url"],
        uri
    );
    assert_eq!(seen["content"]["dev.swingbridge.sent_at"], 1_700_000_000_000_i64);
}

#[tokio::test]
async fn a_group_says_who_speaks_and_stands_in_its_space() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let owner = house.outside.user().to_owned();
    let mut space = chat("space", &owner);
    space.kind = RoomKind::Space;
    space.ghost = None;
    let space = house
        .phone
        .perform(Action::CreateRoom(space), "unused")
        .await
        .room
        .unwrap();
    let mut new = chat("group", &owner);
    new.kind = RoomKind::Group;
    new.ghost = None;
    new.space = Some(space.clone());
    let made = house
        .phone
        .perform(Action::CreateRoom(new.clone()), "unused")
        .await;
    let room = made.room.unwrap();
    assert_eq!(made.protection, Some(MEGOLM));
    house.outside.join(space.as_str()).await.unwrap();
    let child = house
        .outside
        .state(space.as_str(), "m.space.child", room.as_str())
        .await;
    assert_eq!(child.unwrap().unwrap()["via"], json!(["localhost"]));
    house.join(&room).await;
    house.phone.say(&room, "hello from a group", "outbox-1").await;
    let body = format!("{}: hello from a group", ghost().name);
    let seen = house.reads(&body).await;
    assert_eq!(
        seen["content"]["com.beeper.per_message_profile"]["has_fallback"],
        true
    );
    // Somebody who said it on the phone itself, without a session of theirs.
    let own = post(&room, Sender::Owner(UserId::new(&owner)), "I said it myself");
    house.phone.perform(Action::Post(own), "outbox-2").await;
    house.reads("You: I said it myself").await;
    let leave = Action::Leave {
        room: room.clone(),
        ghost: None,
        alias: Some("group".into()),
        space: Some(space.clone()),
    };
    house.phone.perform(leave.clone(), "unused").await;
    house.phone.perform(leave, "unused").await;
    let gone = house
        .phone
        .puppet
        .perform(&Action::Post(post(&room, Sender::Bot, "x")), "outbox-3")
        .await;
    assert!(matches!(gone, Err(PerformError::RoomGone { .. })), "{gone:?}");
    let again = house
        .phone
        .perform(Action::CreateRoom(new), "unused")
        .await
        .room
        .unwrap();
    assert_ne!(again, room);
}

#[tokio::test]
async fn the_owners_invite_is_handed_in_and_a_strangers_refused() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let phone = house.phone.puppet.user();
    let stranger = house.synapse.user("mallory", PASSWORD).await.unwrap();
    let trap = stranger.create_direct(phone.as_str()).await.unwrap();
    stranger
        .wait_for("that the invite is refused", |seen| {
            let theirs = seen.room == trap && seen.event["state_key"] == phone.as_str();
            (theirs && seen.event["content"]["membership"] == "leave").then_some(())
        })
        .await
        .unwrap();

    house.tell(json!({ "do": "create", "invite": [phone] })).await;
    let created = house.alice.event("created").await.unwrap();
    let room = RoomId::new(created["room"].as_str().unwrap());
    let invited = house.phone.inbox.wait("the invite", |event| match &event.what {
        RoomEventKind::Membership {
            user,
            membership: Membership::Invite,
            direct,
        } if user == &phone => Some((event.room.clone(), event.sender.clone(), *direct)),
        _ => None,
    });
    let owner = UserId::new(house.outside.user());
    assert_eq!(invited.await, (room.clone(), owner.clone(), true));
    let joined = house
        .phone
        .perform(Action::Join { room: room.clone() }, "unused")
        .await;
    assert_eq!((joined.protection, joined.members), (Some(MEGOLM), vec![owner]));
    let inside = |event: &Value| event["user"] == phone.as_str() && event["membership"] == "join";
    house.alice.event_with("member", inside).await.unwrap();
    house.send(&room, "help the gull").await;
    let said = house.phone.inbox.wait_for_text("help the gull").await;
    assert_eq!(said.protection, MEGOLM);
    assert!(
        house
            .phone
            .inbox
            .events
            .lock()
            .unwrap()
            .iter()
            .all(|event| event.room.as_str() != trap),
        "nothing of a stranger's room comes in"
    );
}

#[tokio::test]
async fn the_owners_invite_to_a_room_that_is_not_direct_is_refused() {
    let Some(house) = House::open().await else {
        return;
    };
    let phone = house.phone.puppet.user();
    let family = json!({ "preset": "private_chat", "name": "the family", "invite": [phone] });
    let family = house.outside.create_room(family).await.unwrap();
    sees(&house, |seen| {
        let ours = seen.room == family && seen.event["state_key"] == phone.as_str();
        (ours && seen.event["content"]["membership"] == "leave").then_some(())
    })
    .await;
    house.phone.puppet.refused_owner().await;
    let events = house.phone.inbox.events.lock().unwrap();
    assert!(events.iter().all(|event| event.room.as_str() != family));
}

#[tokio::test]
async fn encryption_is_not_switched_on_where_others_are() {
    let Some(house) = House::open().await else {
        return;
    };
    let phone = house.phone.puppet.user();
    let bea = house.synapse.user("bea", PASSWORD).await.unwrap();
    let both = json!({
        "preset": "trusted_private_chat", "is_direct": true, "invite": [phone, bea.user()],
    });
    let room = RoomId::new(house.outside.create_room(both).await.unwrap());
    house
        .phone
        .inbox
        .wait("the invite", |event| (event.room == room).then_some(()))
        .await;
    let joined = house
        .phone
        .perform(Action::Join { room: room.clone() }, "unused")
        .await;
    assert_eq!(joined.protection, Some(Protection::None));
    let found = house.outside.state(room.as_str(), "m.room.encryption", "").await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn nothing_that_anybody_said_goes_into_a_plain_room() {
    let Some(house) = House::open().await else {
        return;
    };
    let phone = house.phone.puppet.user();
    // In this one the device may not turn encryption on.
    let plain_room = json!({ "preset": "private_chat", "is_direct": true, "invite": [phone] });
    let room = RoomId::new(house.outside.create_room(plain_room).await.unwrap());
    house
        .phone
        .inbox
        .wait("the invite", |event| (event.room == room).then_some(()))
        .await;
    let joined = house
        .phone
        .perform(Action::Join { room: room.clone() }, "unused")
        .await;
    assert_eq!(joined.protection, Some(Protection::None));
    let mut said = post(&room, Sender::Bot, "a secret owl");
    let refused = house
        .phone
        .puppet
        .perform(&Action::Post(said.clone()), "outbox-1")
        .await;
    assert!(
        matches!(&refused, Err(PerformError::Refused { code, .. }) if code.contains("PLAIN_ROOM")),
        "{refused:?}"
    );
    said.text.tone = Tone::Notice;
    let words = house.phone.perform(Action::Post(said), "outbox-2").await;
    assert_eq!(words.protection, Some(Protection::None));
    house
        .outside
        .send_text(room.as_str(), "a plain owl")
        .await
        .unwrap();
    let arrived = house.phone.inbox.wait_for_text("a plain owl").await;
    assert_eq!(arrived.protection, Protection::None);

    // In this one it may, and does.
    let room = RoomId::new(house.outside.create_direct(phone.as_str()).await.unwrap());
    house
        .phone
        .inbox
        .wait("the invite", |event| (event.room == room).then_some(()))
        .await;
    let joined = house
        .phone
        .perform(Action::Join { room: room.clone() }, "unused")
        .await;
    assert_eq!(joined.protection, Some(MEGOLM));
    let said = Action::Post(post(&room, Sender::Bot, "an owl for alice"));
    assert_eq!(
        house.phone.perform(said, "outbox-3").await.protection,
        Some(MEGOLM)
    );
}

#[tokio::test]
async fn receipts_typing_and_states_pass() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    let said = house.phone.say(&room, "a read wren", "outbox-1").await;
    house.reads("a read wren").await;
    house
        .tell(json!({ "do": "read", "room": room, "id": said }))
        .await;
    let read = |event: &RoomEvent| match &event.what {
        RoomEventKind::Read { up_to } => Some((up_to.clone(), event.sender.clone())),
        _ => None,
    };
    let owner = UserId::new(house.outside.user());
    assert_eq!(
        house.phone.inbox.wait("the receipt", read).await,
        (said.clone(), owner)
    );
    for wanted in [true, false] {
        house
            .tell(json!({ "do": "typing", "room": room, "active": wanted }))
            .await;
        let typing = |event: &RoomEvent| match event.what {
            RoomEventKind::Typing { active } if active == wanted => Some(()),
            _ => None,
        };
        house.phone.inbox.wait("the typing", typing).await;
    }

    let own = house.send(&room, "a wren of alice").await;
    house.phone.inbox.wait_for_text("a wren of alice").await;
    let mark = Action::MarkRead {
        room: room.clone(),
        event: own.clone(),
    };
    house.phone.perform(mark, "unused").await;
    let phone = house.phone.puppet.user();
    sees(&house, |seen| {
        let read = &seen.event["content"][own.as_str()]["m.read"][phone.as_str()];
        (seen.kind() == "m.receipt" && !read.is_null()).then_some(())
    })
    .await;
    let typing = Action::Typing {
        room: room.clone(),
        by: Sender::Ghost(ghost()),
        active: true,
    };
    house.phone.perform(typing, "unused").await;
    sees(&house, |seen| {
        let users = &seen.event["content"]["user_ids"];
        (seen.kind() == "m.typing" && users == &json!([phone])).then_some(())
    })
    .await;
    let status = SendStatus {
        room: room.clone(),
        event: own.clone(),
        state: State::Delivered,
        message: None,
        reason: None,
        retriable: false,
        delivered_to: Some(ghost()),
        network: "sms".into(),
        path: None,
    };
    house.phone.perform(Action::Status(status), "outbox-2").await;
    let seen = sees(&house, |seen| {
        (seen.kind() == "com.beeper.message_send_status").then(|| seen.event["content"].clone())
    })
    .await;
    assert_eq!(seen["status"], "SUCCESS");
    assert_eq!(seen["m.relates_to"]["event_id"], own.as_str());
    assert_eq!(seen["delivered_to_users"], json!([phone]));
}

/// The owner on a third client.
#[tokio::test]
async fn a_current_client_reads_and_is_read_without_a_warning() {
    let Some((synapse, outside)) = homeserver().await else {
        return;
    };
    let Some(client) = Foreign::client(Script::MatrixJs, synapse.url(), outside.user(), PASSWORD).await
    else {
        return;
    };
    let mut client = client.unwrap();
    let phone = super::house::Phone::log_in(&synapse, outside.user(), false).await;
    let room = phone.room("c", outside.user()).await;
    client.tell(json!({ "do": "join", "room": room })).await.unwrap();
    client.event("joined").await.unwrap();
    let said = phone.say(&room, "a signed ibis", "outbox-1").await;
    let reads = |event: &Value| event["content"]["body"] == "a signed ibis";
    client.event_with("message", reads).await.unwrap();
    client
        .tell(json!({ "do": "send", "room": room, "body": "an ibis back" }))
        .await
        .unwrap();
    let arrived = phone.inbox.wait_for_text("an ibis back").await;
    assert_eq!(
        (arrived.protection, plain(&arrived)),
        (MEGOLM, Some("an ibis back"))
    );
    assert!(phone.puppet.is_signed().await);
    client
        .tell(json!({ "do": "warning", "room": room, "id": EventId::new(said.as_str()) }))
        .await
        .unwrap();
    // 0: no shield.
    assert_eq!(client.event("warning").await.unwrap()["colour"], 0);
}
