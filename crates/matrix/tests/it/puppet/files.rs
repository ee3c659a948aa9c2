//! Files, both ways.

use super::house::House;
use crate::bridge::{ghost, holds, post};
use data_encoding::BASE64;
use serde_json::json;
use swingbridge_domain::homeserver::{Action, Homeserver, PerformError, Sender};
use swingbridge_domain::inbox::RoomEventKind;
use swingbridge_domain::message::{Body, Media, MediaKind};
use url::Url;

#[tokio::test]
async fn files_go_both_ways_and_the_homeserver_cannot_open_them() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    let picture = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02".as_slice(),
        b"a photo of a cormorant",
    ]
    .concat();
    let path = house.phone.config.folder.join("photo.png");
    std::fs::write(&path, &picture).unwrap();
    let mut sent = post(&room, Sender::Ghost(ghost()), "look at this");
    sent.media = Some(Media {
        kind: MediaKind::Image,
        name: "photo.png".into(),
        mime: Some("image/png".into()),
        uri: Url::from_file_path(&path).unwrap().into(),
        ..Media::default()
    });
    let performed = house.phone.perform(Action::Post(sent.clone()), "outbox-1").await;
    assert_eq!(
        house.phone.perform(Action::Post(sent), "outbox-1").await.event,
        performed.event,
        "the same transaction is one event"
    );
    let seen = house.reads("look at this").await;
    let content = &seen["content"];
    assert_eq!(content["msgtype"], "m.image");
    assert_eq!(content["filename"], "photo.png");
    assert_eq!(
        content["info"],
        json!({ "mimetype": "image/png", "size": picture.len(), "w": 3, "h": 2 })
    );
    house
        .tell(json!({ "do": "download", "file": content["file"] }))
        .await;
    let data = house.alice.event("downloaded").await.unwrap()["data"].clone();
    assert_eq!(BASE64.decode(data.as_str().unwrap().as_bytes()).unwrap(), picture);

    let note = b"a cormorant's voice".to_vec();
    house
        .tell(json!({
            "do": "file", "room": room, "data": BASE64.encode(&note), "mime": "text/plain", "name": "../note.txt",
            "kind": "m.file", "body": "what I wrote",
        }))
        .await;
    house.alice.event("sent").await.unwrap();
    let media = house
        .phone
        .inbox
        .wait("the file", |event| match &event.what {
            RoomEventKind::Message(message) => match &message.parts[0].body {
                Body::Media(media) => Some(media.clone()),
                _ => None,
            },
            _ => None,
        })
        .await;
    assert_eq!(media.caption.as_deref(), Some("what I wrote"));
    assert!(media.key.is_some());
    let brought = house.phone.puppet.fetch(&media).await.unwrap();
    let place = Url::parse(&brought.uri).unwrap().to_file_path().unwrap();
    assert!(
        place.starts_with(&house.phone.config.folder),
        "{}",
        place.display()
    );
    assert_eq!(std::fs::read(&place).unwrap(), note);
    assert_eq!((brought.size, &brought.key), (Some(note.len() as u64), &None));
    // Let go of, it is gone; what a crash left is after the next start.
    house.phone.puppet.release(&brought).await;
    assert!(!place.exists());
    let brought = house.phone.puppet.fetch(&media).await.unwrap();
    let place = Url::parse(&brought.uri).unwrap().to_file_path().unwrap();
    assert_eq!(std::fs::read(&place).unwrap(), note);
    house.phone.restart().await;
    assert!(!place.exists());

    house.phone.stop().await;
    house.phone.config.media_limit = 5;
    house.phone.restart().await;
    let refused = house.phone.puppet.fetch(&media).await;
    assert!(
        matches!(&refused, Err(PerformError::Refused { code, .. }) if code == "M_TOO_LARGE"),
        "{refused:?}"
    );
    let mut altered = media;
    let mut key: serde_json::Value = serde_json::from_str(altered.key.as_ref().unwrap()).unwrap();
    key["hashes"]["sha256"] = json!(data_encoding::BASE64_NOPAD.encode(&[1; 32]));
    altered.key = Some(key.to_string());
    house.phone.stop().await;
    house.phone.config.media_limit = 5000;
    house.phone.restart().await;
    let refused = house.phone.puppet.fetch(&altered).await;
    assert!(
        matches!(&refused, Err(PerformError::Refused { code, .. }) if code.contains("WRONG_FILE")),
        "{refused:?}"
    );
    house.synapse.stop().await;
    assert!(!holds(house.synapse.folder(), b"cormorant"));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_refused_for_good() {
    let Some(house) = House::open().await else {
        return;
    };
    let room = house.phone.room("c", house.outside.user()).await;
    let mut sent = post(&room, Sender::Ghost(ghost()), "");
    sent.media = Some(Media {
        uri: "file:///nowhere/at/all".into(),
        ..Media::default()
    });
    let refused = house.phone.puppet.perform(&Action::Post(sent), "outbox-1").await;
    assert!(
        matches!(&refused, Err(PerformError::Refused { code, .. }) if code.contains("NO_FILE")),
        "{refused:?}"
    );
}
