//! The starter and the client against a real Synapse.

use serde_json::json;
use swingbridge_lab::{
    client::Place,
    synapse::{Database, Options, Synapse},
};

async fn two_users_talk(database: Database) {
    let Some(mut synapse) = Synapse::for_test(Options {
        database,
        ..Options::default()
    })
    .await
    else {
        return;
    };
    let alice = synapse.user("alice", "secret of alice").await.unwrap();
    let bob = synapse.user("bob", "secret of bob").await.unwrap();
    assert_eq!(alice.user(), "@alice:localhost");

    let room = alice.create_direct(bob.user()).await.unwrap();
    assert_eq!(
        bob.accept_invite(|from| from == alice.user()).await.unwrap(),
        room
    );
    let hello = alice.send_text(&room, "hello 😀").await.unwrap();
    let seen = bob.wait_for_text(&room, "hello 😀").await.unwrap();
    assert_eq!(seen.id(), hello);

    bob.read(&room, &hello).await.unwrap();
    alice
        .wait_for("bob's read receipt", |seen| {
            let reader = &seen.event["content"][&hello]["m.read"][bob.user()];
            (seen.place == Place::Ephemeral && !reader.is_null()).then_some(())
        })
        .await
        .unwrap();

    let file = alice
        .upload(b"a picture".to_vec(), "image/png", "picture.png")
        .await
        .unwrap();
    assert_eq!(bob.download(&file).await.unwrap(), b"a picture");
    alice.redact(&room, &hello).await.unwrap();
    assert!(bob.event(&room, &hello).await.unwrap()["content"]["body"].is_null());

    let carol = synapse.user("carol", "secret of carol").await.unwrap();
    assert_eq!(carol.join(&room).await.unwrap_err().code(), Some("M_FORBIDDEN"));

    // The same data, port and tokens after a restart.
    synapse.stop().await;
    assert!(synapse.ended().is_some());
    synapse.start_again().await.unwrap();
    let again = synapse.user("alice", "secret of alice").await.unwrap();
    assert_eq!(again.user(), alice.user());
    bob.send_text(&room, "still there?").await.unwrap();
    alice.wait_for_text(&room, "still there?").await.unwrap();
    assert_eq!(alice.members(&room).await.unwrap().len(), 2);
}

#[tokio::test]
async fn two_users_talk_on_sqlite_and_after_a_restart() {
    two_users_talk(Database::Sqlite).await;
}

#[tokio::test]
async fn two_users_talk_on_postgresql_and_after_a_restart() {
    two_users_talk(Database::Postgres).await;
}

#[tokio::test]
async fn a_limited_sync_loses_nothing() {
    let Some(synapse) = Synapse::for_test(Options::default()).await else {
        return;
    };
    let alice = synapse.user("alice", "secret of alice").await.unwrap();
    let room = alice.create_room(json!({})).await.unwrap();
    alice
        .wait_for("the room", |seen| (seen.room == room).then_some(()))
        .await
        .unwrap();
    let count = 620;
    for number in 0..count {
        alice.send_text(&room, &number.to_string()).await.unwrap();
    }
    let last = (count - 1).to_string();
    alice
        .wait_for("the last message", |seen| (seen.body() == last).then_some(()))
        .await
        .unwrap();
    let bodies: Vec<String> = alice
        .messages(&room)
        .await
        .iter()
        .map(|seen| seen.body().to_owned())
        .collect();
    let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
    assert_eq!(bodies, expected);
    let history = alice.history(&room).await.unwrap();
    assert_eq!(
        history
            .iter()
            .filter(|event| event["type"] == "m.room.message")
            .count(),
        count
    );
}
