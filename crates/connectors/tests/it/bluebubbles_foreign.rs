//! The events against both ends of socket.io as its authors wrote them: our client against their server, and their client against
//! the emulator.

use crate::bluebubbles::{ALICE, House};
use serde_json::json;
use std::time::Duration;
use swingbridge_lab::bluebubbles::{BlueBubbles, Rules};
use swingbridge_lab::foreign::{Foreign, Script};

async fn peer() -> Option<Foreign> {
    Some(Foreign::start(Script::SocketIo).await?.unwrap())
}

#[tokio::test]
async fn the_authors_server_is_heard_and_its_pings_are_answered() {
    let Some(mut peer) = peer().await else {
        return;
    };
    // The house is of before the server: it begins with the emulator's own events, and changes over.
    let mut house = House::with(Rules::default(), |_, config| {
        config.poll = Duration::from_secs(3600)
    })
    .await;
    house.stop().await;
    house.stop_events();
    let serve = json!({"do": "serve", "upstream": house.server.url(), "password": "secret", "ping": 50});
    peer.tell(serve).await.unwrap();
    let port = peer.event("listening").await.unwrap()["port"].as_u64().unwrap();
    house.config.url = format!("http://127.0.0.1:{port}");
    house.start().await;
    peer.event("joined").await.unwrap();
    for _ in 0..3 {
        peer.event("pong").await.unwrap();
    }
    for at in 0..3 {
        let text = format!("heard {at}");
        let guid = house.server.says(ALICE, &text);
        let event = json!({"do": "emit", "name": "new-message", "data": {"guid": guid, "text": "é 🎉"}});
        peer.tell(event).await.unwrap();
        house
            .inbox
            .until("the message", |inbox| inbox.has_text(&text))
            .await;
    }
    house.stop().await;
    peer.event("left").await.unwrap();
}

#[tokio::test]
async fn the_authors_client_hears_the_emulator_and_is_shown_the_door_without_the_password() {
    let Some(mut peer) = peer().await else {
        return;
    };
    let server = BlueBubbles::start(Rules {
        ping_interval: 30,
        ..Rules::default()
    })
    .await
    .unwrap();
    let listen =
        |password: &str| json!({"do": "listen", "url": server.url(), "query": {"password": password}});
    peer.tell(listen("wrong")).await.unwrap();
    assert_eq!(
        peer.event("disconnected").await.unwrap()["reason"],
        "io server disconnect"
    );
    peer.tell(listen("secret")).await.unwrap();
    let hello = peer
        .event_with("heard", |event| event["name"] == "hello-world")
        .await;
    hello.unwrap();
    let guid = server.says(ALICE, "hello é 🎉");
    let heard = peer
        .event_with("heard", |event| event["name"] == "new-message")
        .await
        .unwrap();
    assert_eq!(
        (&heard["data"]["guid"], &heard["data"]["text"]),
        (&json!(guid), &json!("hello é 🎉"))
    );
    server.until("pongs", |server| server.pongs() >= 3).await;
}
