//! Contacts' pictures as the ghosts': uploaded once, changed when they change, and never in the way of a message.

use crate::bridge::{Bridge, Now, PSEUDONYM, Plan, chat, ghost, post};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use swingbridge_domain::homeserver::{Action, Ghost, NewRoom, Sender};
use swingbridge_domain::id::RoomId;
use swingbridge_domain::message::{Media, MediaKind};
use swingbridge_lab::homeserver::{Config as StubConfig, Quirks, Registration, Stub};
use swingbridge_lab::synapse::{Options, Synapse};
use swingbridge_matrix::Mode;
use url::Url;

fn with_face(pseudonym: &str, file: &Path) -> Ghost {
    Ghost {
        picture: Some(Media {
            kind: MediaKind::Image,
            mime: Some("image/png".into()),
            uri: Url::from_file_path(file).unwrap().into(),
            ..Media::default()
        }),
        ..Ghost::new(pseudonym, ghost().name)
    }
}

fn chat_with(alias: &str, invite: &str, ghost: Ghost) -> NewRoom {
    NewRoom {
        ghost: Some(ghost),
        ..chat(alias, invite)
    }
}

async fn say(bridge: &Bridge, room: &RoomId, ghost: Ghost, transaction: &str) {
    let said = post(room, Sender::Ghost(ghost), transaction);
    bridge.perform(Action::Post(said), transaction).await;
}

/// What the homeserver shows of a ghost.
fn shown(stub: &Stub, user: &str) -> Option<String> {
    stub.look(|world| world.users[user].avatar_url.clone())
}

fn uploads(stub: &Stub) -> usize {
    stub.look(|world| world.media.len())
}

fn bytes_at(stub: &Stub, uri: &str) -> Vec<u8> {
    let id = uri.rsplit('/').next().unwrap();
    stub.look(|world| world.media[id].bytes.clone().unwrap().to_vec())
}

#[tokio::test]
async fn a_picture_is_uploaded_once_for_each_content_and_changes_with_it() {
    let (stub, mut bridge) = Plan::new().await.on_stub(Quirks::synapse()).await;
    let alice = stub.user("alice");
    let file = bridge.file("face.png", b"a face");
    let face = || with_face(PSEUDONYM, &file);
    let room = bridge.room(chat_with("c", alice.id(), face())).await;
    let ghost_id = bridge.ghost_id();
    let first = shown(&stub, &ghost_id).expect("a picture");
    assert_eq!(bytes_at(&stub, &first), b"a face");
    say(&bridge, &room, face(), "one").await;
    // Who is not known to have another keeps it.
    say(&bridge, &room, ghost(), "two").await;
    // After a restart, and for somebody else with the same picture.
    bridge.forget();
    say(&bridge, &room, face(), "three").await;
    let twin = "mnbvcxzlkjhgfdsapoiuytre";
    bridge
        .room(chat_with("d", alice.id(), with_face(twin, &file)))
        .await;
    assert_eq!(
        shown(&stub, &bridge.matrix.names().ghost(twin)).as_ref(),
        Some(&first)
    );
    assert_eq!(shown(&stub, &ghost_id).as_ref(), Some(&first));
    assert_eq!(uploads(&stub), 1);
    // Another picture in the same file, and the first one again.
    std::fs::write(&file, b"another face").unwrap();
    say(&bridge, &room, face(), "four").await;
    let second = shown(&stub, &ghost_id).unwrap();
    assert_eq!(bytes_at(&stub, &second), b"another face");
    std::fs::write(&file, b"a face").unwrap();
    say(&bridge, &room, face(), "five").await;
    assert_eq!(shown(&stub, &ghost_id).as_ref(), Some(&first));
    assert_eq!(uploads(&stub), 2);
    assert_eq!(stub.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_picture_that_cannot_be_shown_holds_no_message_up() {
    let plan = Plan::new().await;
    let registration = Registration::from_yaml(&plan.registration.to_yaml()).unwrap();
    let mut config = StubConfig::new(registration);
    config.max_upload = 5;
    let stub = Stub::start(config).await.unwrap();
    let bridge = plan.serve(&stub.url(), Arc::new(Now));
    let alice = stub.user("alice");
    let large = bridge.file("large.png", b"a large face");
    let none = large.with_file_name("none.png");
    let room = bridge
        .room(chat_with("c", alice.id(), with_face(PSEUDONYM, &large)))
        .await;
    say(&bridge, &room, with_face(PSEUDONYM, &none), "one").await;
    say(&bridge, &room, with_face(PSEUDONYM, &large), "two").await;
    assert_eq!(shown(&stub, &bridge.ghost_id()), None);
    let said: Vec<String> = stub
        .messages(room.as_str())
        .iter()
        .map(|event| event.body().to_owned())
        .collect();
    assert_eq!(said, ["one", "two"]);
    // One that can be shown is.
    std::fs::write(&none, b"face").unwrap();
    say(&bridge, &room, with_face(PSEUDONYM, &none), "three").await;
    assert!(shown(&stub, &bridge.ghost_id()).is_some());
}

#[tokio::test]
async fn where_nothing_lies_in_the_clear_no_picture_does() {
    let mut plan = Plan::new().await;
    plan.config.encryption = Mode::Require;
    let (stub, bridge) = plan.on_stub(Quirks::synapse()).await;
    let file = bridge.file("face.png", b"a face");
    bridge
        .matrix
        .ensure_ghost(&with_face(PSEUDONYM, &file))
        .await
        .unwrap();
    assert_eq!(shown(&stub, &bridge.ghost_id()), None);
    assert_eq!(uploads(&stub), 0);
}

#[tokio::test]
async fn people_see_the_picture_on_a_real_homeserver() {
    let plan = Plan::new().await;
    let options = Options {
        registrations: vec![plan.file()],
        ..Options::default()
    };
    let Some(synapse) = Synapse::for_test(options).await else {
        return;
    };
    let mut bridge = plan.serve(synapse.url(), Arc::new(Now));
    let alice = synapse.user("alice", "password of alice").await.unwrap();
    let file = bridge.file("face.png", b"a face");
    let face = || with_face(PSEUDONYM, &file);
    let room = bridge.room(chat_with("c", alice.user(), face())).await;
    alice.join(room.as_str()).await.unwrap();
    let picture = async |bridge: &Bridge| {
        let member = alice
            .state(room.as_str(), "m.room.member", &bridge.ghost_id())
            .await
            .unwrap()
            .unwrap();
        member
            .get("avatar_url")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .expect("a picture")
    };
    let first = picture(&bridge).await;
    assert_eq!(alice.download(&first).await.unwrap(), b"a face");
    bridge.forget();
    say(&bridge, &room, face(), "one").await;
    assert_eq!(picture(&bridge).await, first);
    std::fs::write(&file, b"another face").unwrap();
    say(&bridge, &room, face(), "two").await;
    // Synapse tells rooms of it when it comes to that.
    let ghost_id = bridge.ghost_id();
    let second = alice
        .wait_for("another picture", |seen| {
            let theirs = seen.kind() == "m.room.member" && seen.event["state_key"] == ghost_id.as_str();
            let shown = seen.event["content"]["avatar_url"].as_str()?;
            (theirs && shown != first).then(|| shown.to_owned())
        })
        .await
        .unwrap();
    assert_eq!(alice.download(&second).await.unwrap(), b"another face");
}
