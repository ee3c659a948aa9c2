//! Pictures and other files through the application service, on a real Synapse.

use crate::bridge::{Bridge, Now, Plan, chat, ghost, holds, post};
use crate::encryption;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::homeserver::{Action, Homeserver, MediaLinks, PerformError, Post, Sender};
use swingbridge_domain::id::RoomId;
use swingbridge_domain::inbox::RoomEventKind;
use swingbridge_domain::message::{Body, Media, MediaKind};
use swingbridge_domain::path::{Protection, Scheme};
use swingbridge_lab::client::Client;
use swingbridge_lab::synapse::{Options, Synapse};
use swingbridge_matrix::Mode;
use swingbridge_matrix::media::Links;
use url::Url;

/// A Synapse with these settings, the bridge on it without encryption, and alice.
async fn start(settings: Value, limit: Option<u64>) -> Option<(Synapse, Bridge, Client)> {
    let mut plan = Plan::new().await;
    if let Some(limit) = limit {
        plan.config.media_limit = limit;
    }
    let options = Options {
        registrations: vec![plan.file()],
        settings,
        ..Options::default()
    };
    let synapse = Synapse::for_test(options).await?;
    let bridge = plan.serve(synapse.url(), Arc::new(Now));
    let alice = synapse.user("alice", "password of alice").await.unwrap();
    Some((synapse, bridge, alice))
}

/// A picture that says how large it is, with `words` in it.
fn picture(words: &str) -> Vec<u8> {
    let head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02".as_slice();
    [head, words.as_bytes()].concat()
}

/// The ghost says `caption` with the file at `path`.
fn with_file(room: &RoomId, caption: &str, kind: MediaKind, path: &Path) -> Post {
    let mut said = post(room, Sender::Ghost(ghost()), caption);
    said.media = Some(Media {
        kind,
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        mime: Some("image/png".into()),
        uri: Url::from_file_path(path).unwrap().into(),
        ..Media::default()
    });
    said
}

async fn arrived(bridge: &Bridge) -> Media {
    let file = |kind: &RoomEventKind| match kind {
        RoomEventKind::Message(message) => match &message.parts[0].body {
            Body::Media(media) => Some(media.clone()),
            _ => None,
        },
        _ => None,
    };
    bridge.inbox.wait("the file", |event| file(&event.what)).await
}

fn place(brought: &Media) -> PathBuf {
    Url::parse(&brought.uri).unwrap().to_file_path().unwrap()
}

fn refused_as(answer: &Result<Media, PerformError>, word: &str) -> bool {
    matches!(answer, Err(PerformError::Refused { code, .. }) if code.contains(word))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_picture_from_a_phone_is_uploaded_by_its_ghost_and_said_once() {
    let Some((_synapse, mut bridge, alice)) = start(json!({}), None).await else {
        return;
    };
    let room = bridge.room(chat("c", alice.user())).await;
    alice.join(room.as_str()).await.unwrap();
    let path = bridge.file("cat.png", &picture("a heron"));
    let mut said = with_file(&room, "look at this", MediaKind::Image, &path);
    said.sent_at = Some(Timestamp(Now.now().millis() - 3_600_000));
    let event = bridge
        .perform(Action::Post(said.clone()), "outbox-1")
        .await
        .event
        .unwrap();
    // Its answer was lost, and the program restarted.
    bridge.forget();
    let again = bridge.perform(Action::Post(said.clone()), "outbox-1").await;
    assert_eq!(again.event, Some(event.clone()));
    let seen = alice.wait_for_text(room.as_str(), "look at this").await.unwrap();
    assert_eq!((seen.id(), seen.sender()), (event.as_str(), &*bridge.ghost_id()));
    assert_eq!(seen.event["origin_server_ts"], said.sent_at.unwrap().millis());
    let content = &seen.event["content"];
    assert_eq!(
        (&content["msgtype"], &content["filename"]),
        (&json!("m.image"), &json!("cat.png"))
    );
    let size = picture("a heron").len();
    assert_eq!(
        content["info"],
        json!({ "mimetype": "image/png", "size": size, "w": 3, "h": 2 })
    );
    assert_eq!(content["file"], Value::Null);
    let uri = content["url"].as_str().unwrap();
    assert_eq!(alice.download(uri).await.unwrap(), picture("a heron"));

    // A voice message without words is called by its file, and plays as one.
    let mut voice = with_file(
        &room,
        "",
        MediaKind::Voice,
        &bridge.file("note.ogg", b"a bittern"),
    );
    voice.media.as_mut().unwrap().duration = Some(1200);
    bridge.perform(Action::Post(voice), "outbox-2").await;
    let seen = alice.wait_for_text(room.as_str(), "note.ogg").await.unwrap();
    let content = &seen.event["content"];
    assert_eq!(content["msgtype"], "m.audio");
    assert_eq!(content["info"]["duration"], 1200);
    assert_eq!(content["org.matrix.msc3245.voice"], json!({}));
}

#[tokio::test]
async fn what_cannot_be_shown_is_said_in_words_and_holds_nothing_up() {
    let settings = json!({ "max_upload_size": "3K" });
    let Some((_synapse, bridge, alice)) = start(settings, Some(8000)).await else {
        return;
    };
    let room = bridge.room(chat("c", alice.user())).await;
    alice.join(room.as_str()).await.unwrap();
    let large = with_file(
        &room,
        "my holiday",
        MediaKind::Video,
        &bridge.file("sea.mp4", &[7; 5000]),
    );
    let huge = with_file(&room, "", MediaKind::File, &bridge.file("all.zip", &[7; 9000]));
    let mut gone = with_file(&room, "", MediaKind::Image, Path::new("/nowhere/at/all.png"));
    gone.media.as_mut().unwrap().caption = Some("the last one".into());
    let folder = with_file(&room, "", MediaKind::Audio, &std::env::temp_dir());
    for (number, (said, words)) in [
        (large, "my holiday\nA video (sea.mp4) came and cannot be shown: it is larger than the 3 KiB that can be taken here."),
        (huge, "A file (all.zip) came and cannot be shown: it is larger than the 7 KiB that can be taken here."),
        (gone, "the last one\nA picture (all.png) came and cannot be shown: the file could not be read at the gateway."),
        (folder, "A recording ("),
    ]
    .into_iter()
    .enumerate()
    {
        bridge.perform(Action::Post(said), &format!("outbox-{number}")).await;
        let seen = alice
            .wait_for(words, |seen| {
                let body = seen.event["content"]["body"].as_str()?;
                body.starts_with(words).then(|| seen.clone())
            })
            .await
            .unwrap();
        assert_eq!(seen.event["content"]["msgtype"], "m.notice");
        assert_eq!(seen.sender(), bridge.ghost_id());
    }
    bridge.say(&room, "never mind", "outbox-9").await;
    alice.wait_for_text(room.as_str(), "never mind").await.unwrap();
}

#[tokio::test]
async fn a_users_file_is_brought_to_a_private_folder_until_it_is_let_go() {
    let Some((_synapse, mut bridge, alice)) = start(json!({}), Some(5000)).await else {
        return;
    };
    let room = bridge.room(chat("c", alice.user())).await;
    alice.join(room.as_str()).await.unwrap();
    let uri = alice
        .upload(picture("an egret"), "image/png", "cat.png")
        .await
        .unwrap();
    let content = json!({ "msgtype": "m.image", "body": "my cat", "filename": "../cat.png", "url": uri,
        "info": { "mimetype": "image/png" } });
    alice
        .send(room.as_str(), "m.room.message", content)
        .await
        .unwrap();
    let media = arrived(&bridge).await;
    let brought = bridge.matrix.fetch(&media).await.unwrap();
    let here = place(&brought);
    assert_eq!(std::fs::read(&here).unwrap(), picture("an egret"));
    assert!(
        here.starts_with(&bridge.config.media_folder),
        "{}",
        here.display()
    );
    assert_eq!(mode(&here), 0o600);
    for folder in here.ancestors().skip(1).take(2) {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    assert_eq!(
        (&brought.mime, &brought.caption, brought.size),
        (
            &media.mime,
            &Some("my cat".into()),
            Some(picture("an egret").len() as u64)
        )
    );

    // Two sends of the same file: each has its own until it is answered.
    let other = bridge.matrix.fetch(&media).await.unwrap();
    bridge.matrix.release(&brought).await;
    assert!(!here.exists() && place(&other).exists());
    // What a crash left goes at the next start.
    bridge.forget();
    bridge.matrix.empty_spool();
    assert!(!place(&other).exists());

    let large = alice.upload(vec![1; 6000], "image/png", "x.png").await.unwrap();
    let of = |uri: &str| Media {
        uri: uri.into(),
        ..media.clone()
    };
    let refused = bridge.matrix.fetch(&of(&large)).await;
    assert!(refused_as(&refused, "M_TOO_LARGE"), "{refused:?}");
    let refused = bridge.matrix.fetch(&of("mxc://localhost/absent")).await;
    assert!(refused_as(&refused, "M_NOT_FOUND"), "{refused:?}");
    let left = std::fs::read_dir(bridge.config.media_folder.join("spool"));
    assert_eq!(left.map_or(0, Iterator::count), 0);
}

#[tokio::test]
async fn files_of_encrypted_rooms_go_both_ways_and_the_homeserver_cannot_open_them() {
    let Some(mut house) = encryption::start(Mode::Default).await else {
        return;
    };
    let room = house.chat("c").await;
    let path = house.bridge.file("cat.png", &picture("a spoonbill in the reeds"));
    let said = with_file(&room, "look at this", MediaKind::Image, &path);
    let performed = house.bridge.perform(Action::Post(said.clone()), "outbox-1").await;
    assert_eq!(performed.protection, Some(Protection::EndToEnd(Scheme::Megolm)));
    let again = house.bridge.perform(Action::Post(said), "outbox-1").await;
    assert_eq!(again.event, performed.event);
    let content = house.reads("look at this").await["content"].clone();
    assert_eq!(content["url"], Value::Null);
    assert_eq!(
        (&content["info"]["w"], &content["info"]["mimetype"]),
        (&json!(3), &json!("image/png"))
    );
    house
        .tell(json!({ "do": "download", "file": content["file"] }))
        .await;
    let data = house.alice.event("downloaded").await.unwrap()["data"].clone();
    let data = BASE64.decode(data.as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(data, picture("a spoonbill in the reeds"));

    let photo = picture(&"a spoonbill at home. ".repeat(20_000));
    house
        .tell(json!({
            "do": "file", "room": room, "data": BASE64.encode(&photo), "mime": "image/png", "name": "home.png",
            "kind": "m.image", "body": "my bird",
        }))
        .await;
    house.alice.event("sent").await.unwrap();
    let media = arrived(&house.bridge).await;
    assert!(media.key.is_some());
    let brought = house.bridge.matrix.fetch(&media).await.unwrap();
    assert_eq!(std::fs::read(place(&brought)).unwrap(), photo);
    assert_eq!(
        (&brought.key, &brought.caption),
        (&None, &Some("my bird".to_owned()))
    );
    house.bridge.matrix.release(&brought).await;

    // By link, as the providers fetch it; what was altered opens to nobody.
    let links = Links::new(
        house.bridge.keys.clone(),
        &house.bridge.address,
        Duration::from_secs(60),
    );
    let follow = async |media: &Media, now: Timestamp| {
        let link = links.link(media, now).unwrap();
        reqwest::get(link).await.unwrap()
    };
    let answer = follow(&media, Now.now()).await;
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/png");
    assert_eq!(header("content-length"), photo.len().to_string());
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("x-robots-tag").contains("noindex"));
    assert_eq!(answer.bytes().await.unwrap(), photo);
    let mut key: Value = serde_json::from_str(media.key.as_ref().unwrap()).unwrap();
    key["hashes"]["sha256"] = json!(data_encoding::BASE64_NOPAD.encode(&[1; 32]));
    let altered = Media {
        key: Some(key.to_string()),
        ..media.clone()
    };
    assert_eq!(follow(&altered, Now.now()).await.status(), 404);
    let over = Timestamp(Now.now().millis() - 60_001);
    assert_eq!(follow(&media, over).await.status(), 404);
    let refused = house.bridge.matrix.fetch(&altered).await;
    assert!(refused_as(&refused, "WRONG_FILE"), "{refused:?}");
    let left = std::fs::read_dir(house.bridge.config.media_folder.join("spool"));
    assert_eq!(left.unwrap().count(), 0, "nothing lies about");

    house.synapse.stop().await;
    assert!(!holds(house.synapse.folder(), b"spoonbill"));
}
