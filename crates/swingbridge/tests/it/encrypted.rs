//! The program beside a real Synapse, with somebody whose client encrypts (matrix-nio): what they are asked and told, and that the
//! homeserver reads none of it.

use crate::people::{BOT, PASSWORD, PATIENCE, World};
use crate::program::{CONTACT, LINE};
use serde_json::{Value, json};
use std::path::Path;
use swingbridge_lab::foreign::{Foreign, Script};

/// A word that stands in every text here and nowhere else.
const WORD: &[u8] = b"stork";

#[tokio::test(flavor = "multi_thread")]
async fn who_encrypts_is_asked_first_and_the_homeserver_reads_nothing() {
    let settings = [("ENCRYPTION__MODE", "default"), ("PRIVACY__CONSENT", "line")];
    let Some(mut world) = World::open(&settings).await else {
        return;
    };
    let (url, user) = (world.synapse.url().to_owned(), world.alice.user().to_owned());
    let Some(alice) = Foreign::client(Script::Nio, &url, &user, PASSWORD).await else {
        return;
    };
    let mut alice = alice.unwrap();
    let management = world.alice.create_direct(BOT).await.unwrap();
    world
        .alice
        .send_text(&management, "start-chat 07700 900456")
        .await
        .unwrap();
    let room = world.enters("+44 ••• 56").await;
    alice.tell(json!({ "do": "join", "room": room })).await.unwrap();
    assert_eq!(alice.event("joined").await.unwrap()["encrypted"], true);

    let send = json!({ "do": "send", "room": room, "body": "a stork flies out" });
    alice.tell(send).await.unwrap();
    let sent = alice.event("sent").await.unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let question = says(&mut alice, "Do you agree").await;
    let asked = question["content"]["body"].as_str().unwrap();
    assert!(
        asked.contains("the phone carriers and this gateway can read"),
        "{asked}"
    );
    let view = |view: &swingbridge_lab::smsc::View<'_>| view.messages.is_empty().then_some(());
    world
        .carrier
        .wait_for("nothing before the answer", PATIENCE, view)
        .await
        .unwrap();
    let react = json!({ "do": "react", "room": room, "id": question["id"], "key": "✅" });
    alice.tell(react).await.unwrap();
    says(&mut alice, "the homeserver cannot read it").await;
    world.on_the_phone("a stork flies out").await;
    let label = world
        .sees("the label of the text", |seen| {
            let content = &seen.event["content"];
            let about = content["m.relates_to"]["event_id"] == sent.as_str();
            let label = &content["dev.swingbridge.path"];
            (about && !label.is_null()).then(|| label.clone())
        })
        .await;
    assert_eq!(label["summary"], "ends_at_gateway", "{label}");

    world.carrier.write(CONTACT, LINE, "a stork comes back").unwrap();
    let answer = says(&mut alice, "a stork comes back").await;
    let label = &answer["content"]["dev.swingbridge.path"];
    assert_eq!(label["summary"], "ends_at_gateway", "{answer}");
    assert_eq!(label["legs"][0]["from"], "phone", "{answer}");

    let stopped = world.gateway.stop().await.unwrap();
    assert_eq!(stopped.code(), Some(0), "{}", world.gateway.log_tail(40));
    world.synapse.stop().await;
    assert!(read_through(world.synapse.folder()) > 100_000);
    assert!(read_through(world.folder.path()) > 10_000);
}

/// What Alice's client opened.
async fn says(alice: &mut Foreign, part: &str) -> Value {
    let said = alice
        .event_with("message", |event| {
            let body = event["content"]["body"].as_str();
            body.is_some_and(|body| body.contains(part))
        })
        .await
        .unwrap();
    assert_eq!(said["encrypted"], true, "{said}");
    said
}

/// Looks for the word in every file below `folder`; answers how much was read.
fn read_through(folder: &Path) -> usize {
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read += read_through(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let there = bytes.windows(WORD.len()).any(|window| window == WORD);
        assert!(!there, "{} holds what was written", path.display());
        read += bytes.len();
    }
    read
}
