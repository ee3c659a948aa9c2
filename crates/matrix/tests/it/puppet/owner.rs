//! A second session of the owner: what they say on the phone itself appears as theirs.

use super::house::{House, Phone, homeserver};
use crate::bridge::post;
use swingbridge_domain::homeserver::{Action, Sender};
use swingbridge_domain::id::UserId;
use swingbridge_domain::inbox::RoomEventKind;
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
