//! What comes is lost by no crash, and left out by no homeserver.

use super::house::{House, KEY, MEGOLM};
use crate::bridge::{Now, plain};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::id::EventId;
use swingbridge_domain::inbox::{RoomEventKind, Unreadable};
use swingbridge_matrix::puppet::{OpenError, Puppet, RunError};

#[tokio::test]
async fn what_came_while_the_device_was_off_arrives_in_order_and_once() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    house.send(&room, "before").await;
    house.phone.inbox.wait_for_text("before").await;
    house.phone.stop().await;
    for text in ["one", "two", "three"] {
        house.send(&room, text).await;
    }
    house.phone.restart().await;
    house.phone.inbox.wait_for_text("three").await;
    assert_eq!(texts(&house), ["before", "one", "two", "three"]);
}

#[tokio::test]
async fn a_kill_between_reading_and_committing_loses_nothing() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    house.send(&room, "before").await;
    house.phone.inbox.wait_for_text("before").await;
    // The inbox takes nothing, so what was read is not committed; the client's own store has seen it all.
    for round in 0..3 {
        house.phone.inbox.refuses.store(true, Ordering::SeqCst);
        house.send(&room, &format!("refused {round}")).await;
        let tried = house.phone.inbox.clone();
        let before = tried.tries.load(Ordering::SeqCst);
        let asked = async {
            while tried.tries.load(Ordering::SeqCst) == before {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), asked)
            .await
            .unwrap();
        house.phone.restart().await;
        house.phone.inbox.refuses.store(false, Ordering::SeqCst);
        let arrived = house.phone.inbox.wait_for_text(&format!("refused {round}")).await;
        assert_eq!(arrived.protection, MEGOLM);
    }
    assert_eq!(texts(&house), ["before", "refused 0", "refused 1", "refused 2"]);
}

#[tokio::test]
async fn more_than_one_answer_holds_is_read_back() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    house.send(&room, "before").await;
    house.phone.inbox.wait_for_text("before").await;
    house.phone.stop().await;
    house
        .tell(json!({ "do": "burst", "room": room, "body": "burst", "count": 60 }))
        .await;
    house.alice.event("burst").await.unwrap();
    // As a homeserver would that holds less in one answer than we ask for.
    house.phone.config.sync_limit = 10;
    house.phone.reopen().await;
    house.phone.start();
    house.phone.inbox.wait_for_text("burst 59").await;
    let wanted: Vec<String> = ["before".to_owned()]
        .into_iter()
        .chain((0..60).map(|number| format!("burst {number}")))
        .collect();
    assert_eq!(texts(&house), wanted);
}

#[tokio::test]
async fn a_burst_while_it_listens_arrives_whole() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    house
        .tell(json!({ "do": "burst", "room": room, "body": "burst", "count": 60 }))
        .await;
    house.phone.inbox.wait_for_text("burst 59").await;
    let came: BTreeSet<String> = texts(&house).into_iter().collect();
    assert_eq!(came.len(), 60);
}

#[tokio::test]
async fn an_event_without_its_key_waits_is_told_and_goes_its_way_when_the_key_comes() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    house.send(&room, "an ordinary heron").await;
    house.phone.inbox.wait_for_text("an ordinary heron").await;
    house
        .tell(json!({ "do": "hold", "room": room, "body": "a late heron" }))
        .await;
    let sent = house.alice.event("sent").await.unwrap();
    let told = house.phone.inbox.wait("word of it", |event| match event.what {
        RoomEventKind::Undecryptable { cause } => Some((event.event.clone(), cause)),
        _ => None,
    });
    assert_eq!(
        told.await,
        (EventId::new(sent["id"].as_str().unwrap()), Unreadable::MissingKey)
    );
    // It waits through a restart, and another message goes by it.
    house.phone.restart().await;
    house.tell(json!({ "do": "release" })).await;
    house.alice.event("released").await.unwrap();
    let late = house.phone.inbox.wait_for_text("a late heron").await;
    assert_eq!(
        (late.event.as_str(), late.protection),
        (sent["id"].as_str().unwrap(), MEGOLM)
    );
    let told = house.phone.inbox.events.lock().unwrap();
    let times = told
        .iter()
        .filter(|event| matches!(event.what, RoomEventKind::Undecryptable { .. }));
    assert_eq!(times.count(), 1);
}

#[tokio::test]
async fn a_session_that_was_ended_says_what_to_do() {
    let Some(mut house) = House::open().await else {
        return;
    };
    house.phone.stop().await;
    house.phone.puppet.log_out().await.unwrap();
    let ended = house
        .phone
        .puppet
        .clone()
        .run(house.phone.inbox.clone(), Shutdown::never())
        .await;
    assert!(
        matches!(ended, Err(RunError::LoggedOut { soft: false })),
        "{ended:?}"
    );
    assert!(ended.unwrap_err().to_string().contains("log in again"));
}

#[tokio::test]
async fn the_folder_is_for_one_program_and_one_key() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let folder = &house.phone.config.folder;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(folder).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    let open = async |house: &House, key: [u8; 32]| {
        Puppet::open(
            house.phone.config.clone(),
            &house.phone.session,
            None,
            &key,
            Arc::new(Now),
        )
        .await
    };
    assert!(matches!(open(&house, KEY).await, Err(OpenError::Busy(_))));
    house.phone.close().await;
    assert!(matches!(open(&house, [1; 32]).await, Err(OpenError::Store(..))));
    house.phone.reopen().await;
    let room = house.phone.room("c", house.outside.user()).await;
    house.phone.say(&room, "a sealed stork", "outbox-1").await;
    let folder = house.phone.config.folder.clone();
    assert!(!crate::bridge::holds(
        &folder,
        house.phone.session.token.expose().as_bytes()
    ));
    assert!(!crate::bridge::holds(&folder, b"stork"));
}

/// What a device's client costs: `cargo nextest run -p swingbridge-matrix --features puppet --run-ignored only -E
/// 'test(what_a_device_costs)' --no-capture`.
#[tokio::test]
#[ignore = "measures"]
async fn what_a_device_costs() {
    const ROOMS: usize = 100;
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4
    };
    let before = resident();
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    house.send(&room, "a first wren").await;
    house.phone.inbox.wait_for_text("a first wren").await;
    let open = resident();
    let start = std::time::Instant::now();
    for number in 0..ROOMS {
        let room = house
            .phone
            .room(&format!("c{number}"), house.outside.user())
            .await;
        house
            .phone
            .say(&room, "one text", &format!("outbox-{number}"))
            .await;
    }
    println!(
        "before {before} KiB; open, with one room {open} KiB; with {ROOMS} more {} KiB, {} ms for a room and its first text",
        resident(),
        start.elapsed().as_millis() as usize / ROOMS,
    );
    let start = std::time::Instant::now();
    for number in 0..ROOMS {
        house
            .phone
            .say(&room, "one text", &format!("text-{number}"))
            .await;
    }
    println!("{} ms for a text", start.elapsed().as_millis() as usize / ROOMS);
}

fn texts(house: &House) -> Vec<String> {
    let events = house.phone.inbox.events.lock().unwrap();
    events
        .iter()
        .filter_map(|event| plain(event))
        .map(str::to_owned)
        .collect()
}
