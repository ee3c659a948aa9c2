//! Groups: a room with a ghost for each member, on a real Synapse.

use crate::bridge::{Bridge, Now, Plan, chat, ghost, post};
use crate::encryption;
use serde_json::json;
use std::sync::Arc;
use swingbridge_domain::homeserver::{Action, Ghost, NewRoom, RoomKind, Sender};
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_lab::client::Client;
use swingbridge_lab::synapse::{Options, Synapse};
use swingbridge_matrix::Mode;

async fn start() -> Option<(Synapse, Bridge, Client)> {
    let plan = Plan::new().await;
    let options = Options {
        registrations: vec![plan.file()],
        ..Options::default()
    };
    let synapse = Synapse::for_test(options).await?;
    let bridge = plan.serve(synapse.url(), Arc::new(Now));
    let alice = synapse.user("alice", "password of alice").await.unwrap();
    Some((synapse, bridge, alice))
}

fn members() -> [Ghost; 3] {
    [
        Ghost::new("memberanna", "Anna (MMS)"),
        Ghost::new("memberbo", "Bo (MMS)"),
        Ghost::new("membercy", "+44 ••• 12 (MMS)"),
    ]
}

fn group(alice: &str) -> NewRoom {
    NewRoom {
        kind: RoomKind::Group,
        ..chat("g", alice)
    }
}

async fn says(bridge: &Bridge, room: &RoomId, who: &Ghost, text: &str) -> EventId {
    let said = post(room, Sender::Ghost(who.clone()), text);
    let performed = bridge.perform(Action::Post(said), &format!("says-{text}")).await;
    performed.event.unwrap()
}

fn react(room: &RoomId, event: &EventId, who: &Ghost) -> Action {
    Action::React {
        room: room.clone(),
        event: event.clone(),
        key: "👍".into(),
        by: Sender::Ghost(who.clone()),
        way: Vec::new(),
    }
}

#[tokio::test]
async fn each_member_of_a_group_speaks_for_itself_also_where_people_may_not() {
    let Some((_synapse, mut bridge, alice)) = start().await else {
        return;
    };
    let mut new = group(alice.user());
    new.about.writable = false;
    let room = bridge.room(new.clone()).await;
    alice.join(room.as_str()).await.unwrap();
    for (number, member) in members().iter().enumerate() {
        let text = format!("from member {number}");
        says(&bridge, &room, member, &text).await;
        let seen = alice.wait_for_text(room.as_str(), &text).await.unwrap();
        assert_eq!(seen.sender(), bridge.matrix.names().ghost(&member.pseudonym));
        let shown = alice.state(room.as_str(), "m.room.member", seen.sender()).await;
        assert_eq!(shown.unwrap().unwrap()["displayname"], member.name);
    }
    alice.send_text(room.as_str(), "may I?").await.unwrap_err();

    // Another name of the group's, and of a member's.
    bridge.forget();
    let mut about = new.about.clone();
    about.name = "Anna, Bo and others".into();
    about.writable = true;
    let [anna, bo, _] = members();
    bridge
        .perform(
            Action::Describe {
                room: room.clone(),
                about,
                ghost: Some(ghost()),
            },
            "unused",
        )
        .await;
    let name = alice.state(room.as_str(), "m.room.name", "").await.unwrap();
    assert_eq!(name.unwrap()["name"], "Anna, Bo and others");
    let renamed = Ghost {
        name: "Anna B. (MMS)".into(),
        ..anna.clone()
    };
    says(&bridge, &room, &renamed, "I married").await;
    let shown = alice
        .wait_for("the name", |seen| {
            let name = &seen.event["content"]["displayname"];
            (seen.kind() == "m.room.member" && name == "Anna B. (MMS)").then_some(())
        })
        .await;
    shown.unwrap();

    // What alice writes is reacted to, and what is typed is shown, each by the member that does it; and taken back.
    let asked = EventId::new(alice.send_text(room.as_str(), "lunch?").await.unwrap());
    let new_one = Ghost::new("memberdi", "Di (MMS)");
    let mut reactions = Vec::new();
    for (who, transaction) in [(&bo, "r1"), (&new_one, "r2")] {
        let event = bridge.perform(react(&room, &asked, who), transaction).await.event;
        let event = event.unwrap();
        let by = alice
            .wait_for("the reaction", |seen| {
                (seen.id() == event.as_str()).then(|| seen.sender().to_owned())
            })
            .await;
        assert_eq!(by.unwrap(), bridge.matrix.names().ghost(&who.pseudonym));
        reactions.push(event);
    }
    // The same reaction again is there already.
    let again = bridge.perform(react(&room, &asked, &bo), "r3").await;
    assert_eq!(again.event, None);
    let typing = Action::Typing {
        room: room.clone(),
        by: Sender::Ghost(bo.clone()),
        active: true,
    };
    bridge.perform(typing, "unused").await;
    let writer = bridge.matrix.names().ghost(&bo.pseudonym);
    alice
        .wait_for("who writes", |seen| {
            let writers = &seen.event["content"]["user_ids"];
            (seen.kind() == "m.typing" && *writers == json!([writer])).then_some(())
        })
        .await
        .unwrap();
    // One of them has left since: the bot takes back what it said.
    let left = reqwest::Client::new()
        .post(format!(
            "{}_matrix/client/v3/rooms/{room}/leave?user_id={}",
            bridge.config.homeserver,
            bridge.matrix.names().ghost(&new_one.pseudonym)
        ))
        .bearer_auth(bridge.config.as_token.expose())
        .json(&json!({}))
        .send();
    assert_eq!(left.await.unwrap().status(), 200);
    for (who, event) in [&bo, &new_one].into_iter().zip(&reactions) {
        let redact = Action::Redact {
            room: room.clone(),
            event: event.clone(),
            by: Sender::Ghost(who.clone()),
        };
        bridge.perform(redact, &format!("redact-{event}")).await;
        let event = alice.event(room.as_str(), event.as_str()).await.unwrap();
        assert_eq!(event["content"], json!({}));
    }

    // Nobody of ours stays behind.
    let leave = Action::Leave {
        room: room.clone(),
        ghost: Some(ghost()),
        alias: Some("g".into()),
        space: None,
    };
    bridge.perform(leave, "unused").await;
    assert_eq!(alice.members(room.as_str()).await.unwrap(), [alice.user()]);
}

#[tokio::test]
async fn members_of_an_encrypted_group_speak_encrypted() {
    let Some(mut house) = encryption::start(Mode::Default).await else {
        return;
    };
    let room = house.bridge.room(group(house.outside.user())).await;
    house.join(&room).await;
    for (number, member) in members().iter().enumerate() {
        let text = format!("from member {number}");
        says(&house.bridge, &room, member, &text).await;
        let seen = house.reads(&text).await;
        assert_eq!(
            seen["sender"],
            house.bridge.matrix.names().ghost(&member.pseudonym)
        );
    }
    let asked = house.send(&room, "lunch?").await;
    house.bridge.inbox.wait_for_text("lunch?").await;
    let [_, bo, _] = members();
    let reacted = house.bridge.perform(react(&room, &asked, &bo), "r1").await;
    assert!(reacted.event.is_some());
}
