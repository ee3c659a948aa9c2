//! A second session of the owner: what they say on the phone itself appears as theirs.

use super::house::{House, Phone, homeserver};
use crate::bridge::post;
use serde_json::json;
use swingbridge_domain::homeserver::{Action, Sender};
use swingbridge_domain::id::UserId;
use swingbridge_domain::inbox::RoomEventKind;
use swingbridge_domain::message::{Media, MediaKind};
use swingbridge_lab::foreign::{Foreign, Script};

#[tokio::test]
async fn what_the_owner_says_on_the_phone_is_theirs_and_does_not_come_back() {
    let Some((synapse, outside)) = homeserver().await else {
        return;
    };
    let Some(alice) =
        Foreign::client(Script::Nio, synapse.url(), outside.user(), super::house::PASSWORD).await
    else {
        return;
    };
    let phone = Phone::log_in(&synapse, outside.user(), true).await;
    assert!(phone.puppet.speaks_as_owner());
    let mut house = House {
        synapse,
        phone,
        alice: alice.unwrap(),
        outside,
    };
    // Nobody accepts an invite: the owner's second session is in at once.
    let room = house.phone.room("c", house.outside.user()).await;
    house.join(&room).await;
    let owner = Sender::Owner(UserId::new(house.outside.user()));
    let said = post(&room, owner.clone(), "I said it myself");
    let event = house
        .phone
        .perform(Action::Post(said.clone()), "outbox-1")
        .await
        .event
        .unwrap();
    assert_eq!(
        house.phone.perform(Action::Post(said), "outbox-1").await.event,
        Some(event.clone())
    );
    let seen = house.reads("I said it myself").await;
    assert_eq!(seen["sender"], house.outside.user());
    assert!(seen["content"].get("com.beeper.per_message_profile").is_none());
    let react = Action::React {
        room: room.clone(),
        event: event.clone(),
        key: "👍".into(),
        by: owner.clone(),
        way: Vec::new(),
    };
    house.phone.perform(react, "outbox-2").await;
    let take_back = Action::Redact {
        room: room.clone(),
        event,
        by: owner,
    };
    house.phone.perform(take_back, "outbox-3").await;
    house
        .outside
        .wait_for("the withdrawal", |seen| {
            (seen.kind() == "m.room.redaction" && seen.sender() == house.outside.user()).then_some(())
        })
        .await
        .unwrap();
    // What they write elsewhere arrives, and nothing before it did.
    house.send(&room, "I wrote it elsewhere").await;
    house.phone.inbox.wait_for_text("I wrote it elsewhere").await;
    let events = house.phone.inbox.events.lock().unwrap();
    let said = events
        .iter()
        .filter(|event| matches!(event.what, RoomEventKind::Message(_)));
    assert_eq!(said.count(), 1, "{events:?}");
}

#[tokio::test]
async fn the_owners_client_rings_for_no_picture_of_the_history() {
    let Some((synapse, outside)) = homeserver().await else {
        return;
    };
    let password = super::house::PASSWORD;
    let Some(alice) = Foreign::client(Script::MatrixJs, synapse.url(), outside.user(), password).await else {
        return;
    };
    let mut alice = alice.unwrap();
    let phone = Phone::log_in(&synapse, outside.user(), true).await;
    let room = phone.room("c", outside.user()).await;
    alice.tell(json!({ "do": "join", "room": room })).await.unwrap();
    alice.event("joined").await.unwrap();
    let given = async {
        let path = [
            "_matrix",
            "client",
            "v3",
            "pushrules",
            "global",
            "override",
            "dev.swingbridge.quiet",
        ];
        while outside.get(&path, &[]).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), given)
        .await
        .unwrap();
    let file = phone.config.folder.join("old.png");
    std::fs::write(&file, b"\x89PNG of old times").unwrap();
    let mut rings = Vec::new();
    for (quiet, name) in [(false, "new.png"), (true, "old.png")] {
        let mut picture = post(&room, Sender::Ghost(crate::bridge::ghost()), "");
        picture.quiet = quiet;
        picture.media = Some(Media {
            uri: format!("file://{}", file.display()),
            mime: Some("image/png".into()),
            name: name.into(),
            kind: MediaKind::Image,
            ..Media::default()
        });
        let said = phone.perform(Action::Post(picture), name).await.event.unwrap();
        let read = |event: &serde_json::Value| {
            event["id"] == said.as_str() && event["content"]["msgtype"] == "m.image"
        };
        alice.event_with("message", read).await.unwrap();
        alice
            .tell(json!({ "do": "rings", "room": room, "id": said }))
            .await
            .unwrap();
        rings.push(alice.event("rings").await.unwrap()["rings"].clone());
    }
    assert_eq!(rings, [true, false]);
}
