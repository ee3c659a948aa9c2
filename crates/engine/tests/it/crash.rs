use crate::house::*;
use std::time::Duration;
use swingbridge_domain::capability::Capabilities;
use swingbridge_domain::delivery::State;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::message::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_flight_at_a_crash_is_uncertain_and_not_sent_again() {
    let house = House::new().await;
    let room = house.conversation().await;
    *house.network.hang.lock().unwrap() = true;
    let event = house.say(&room, ALICE, Message::text("in flight")).await;
    house.network.until_sent(1).await;
    house.say(&room, ALICE, Message::text("queued behind it")).await;
    let house = house.kill_and_restart().await;
    house.network.until_sent(1).await;
    assert_eq!(house.network.texts(), ["queued behind it"]);
    let uncertain = |hs: &FakeHomeserver| {
        hs.statuses()
            .into_iter()
            .find(|s| s.event == event && s.state == State::Uncertain)
    };
    house.homeserver.until("uncertain", uncertain).await;
    house
        .homeserver
        .until_said("the gateway was stopped while it was on its way")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_in_flight_at_a_crash_is_sent_again_where_the_network_takes_it_once() {
    let mut site = site();
    let able = Capabilities {
        networks: vec!["sms".into()],
        at_once: Some(AT_ONCE),
        way: sms_way(),
        idempotent_sends: true,
        ..Capabilities::default()
    };
    site.capabilities.insert(ConnectorId::new("carrier"), able);
    let house = House::with(site.clone()).await;
    let room = house.conversation().await;
    *house.network.hang.lock().unwrap() = true;
    let event = house.say(&room, ALICE, Message::text("in flight")).await;
    house.network.until_sent(1).await;
    let first = house.network.sent.lock().unwrap()[0].clone();
    house.say(&room, ALICE, Message::text("queued behind it")).await;
    let house = house.kill_and_restart_with(site).await;
    house.network.until_sent(2).await;
    assert_eq!(house.network.texts(), ["in flight", "queued behind it"]);
    // The same message to the network, which knows it by what names it.
    let again = house.network.sent.lock().unwrap()[0].clone();
    assert_eq!((again.id, again.expires_at), (first.id, first.expires_at));
    let accepted = |hs: &FakeHomeserver| {
        hs.statuses()
            .into_iter()
            .find(|s| s.event == event && s.state == State::Accepted)
    };
    house.homeserver.until("accepted", accepted).await;
    let statuses = house.homeserver.statuses();
    assert!(
        statuses.iter().all(|s| s.state != State::Uncertain),
        "{statuses:?}"
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_no_more_are_uncertain_than_the_network_works_on_at_once() {
    let house = House::new().await;
    let mut rooms = Vec::new();
    for number in 0..8 {
        let text = format!("hello from {number}");
        house.text_in(&format!("+44770090046{number}"), &text).await;
        house.homeserver.until_said(&text).await;
        rooms.push(room_of(&house.homeserver, &text).unwrap());
    }
    *house.network.hang.lock().unwrap() = true;
    for room in &rooms {
        house.say(room, ALICE, Message::text("to all")).await;
    }
    let most = AT_ONCE as usize;
    house.network.until_sent(most).await;
    let house = house.kill_and_restart().await;
    house.network.until_sent(rooms.len() - most).await;
    let uncertain = |hs: &FakeHomeserver| {
        let all = hs.statuses().into_iter().filter(|s| s.state == State::Uncertain);
        Some(all.count()).filter(|count| *count == most)
    };
    house.homeserver.until("the uncertain ones", uncertain).await;
    assert_eq!(house.network.texts().len(), rooms.len() - most);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_conversation_is_one_room_across_restarts() {
    let house = House::new().await;
    let room = house.conversation().await;
    let house = house.kill_and_restart().await;
    house.text_in(PHONE, "me again").await;
    house.homeserver.until_said("contact: me again").await;
    assert_eq!(room_of(&house.homeserver, "me again"), Some(room));
}

/// What ALICE wrote in a room, as the homeserver tells it when it is asked.
fn arrival(room: &RoomId, id: &EventId, text: &str) -> Arrival {
    Arrival {
        dedupe: Dedupe::Event {
            id: id.clone(),
            sent_at: SENT_AT,
        },
        what: What::Room(RoomEvent {
            room: room.clone(),
            event: id.clone(),
            sender: UserId::new(ALICE),
            sent_at: SENT_AT,
            protection: swingbridge_domain::path::Protection::None,
            what: RoomEventKind::Message(Message::text(text)),
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_by_a_clock_that_is_years_ahead_is_taken_once_too() {
    let house = House::new().await;
    let room = house.conversation().await;
    let sent_at = SENT_AT + Duration::from_secs(10 * 365 * 24 * 60 * 60);
    for _ in 0..2 {
        let mut ahead = arrival(&room, &EventId::new("$ahead"), "from the future");
        let What::Room(event) = &mut ahead.what else {
            panic!()
        };
        event.sent_at = sent_at;
        let id = event.event.clone();
        ahead.dedupe = Dedupe::Event { id, sent_at };
        house.engine.deliver(vec![ahead]).await.unwrap();
    }
    house.say(&room, ALICE, Message::text("after it")).await;
    house.network.until_sent(2).await;
    assert_eq!(house.network.texts(), ["from the future", "after it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_homeserver_did_not_push_is_fetched_once_after_a_restart() {
    let house = House::new().await;
    let room = house.conversation().await;
    let seen = house.say(&room, ALICE, Message::text("seen")).await;
    house.network.until_sent(1).await;
    *house.homeserver.missed.lock().unwrap() = vec![
        arrival(&room, &seen, "seen"),
        arrival(&room, &EventId::new("$missed"), "missed"),
    ];
    let house = house.kill_and_restart().await;
    house.network.until_sent(1).await;
    assert_eq!(house.network.texts(), ["missed"]);
    house.stop().await;
}

/// The homeserver did not get through with something, and takes its time to say so.
fn keeps_back_the_older(house: &House, room: &RoomId) {
    *house.homeserver.missed.lock().unwrap() = vec![arrival(room, &EventId::new("$older"), "older")];
    *house.homeserver.slow.lock().unwrap() = Duration::from_millis(300);
}

async fn the_older_leaves_before_the_newer(house: &House, room: &RoomId) {
    house.say(room, ALICE, Message::text("newer")).await;
    house.network.until_sent(2).await;
    assert_eq!(house.network.texts(), ["older", "newer"]);
}

/// A homeserver pushes what is newer before it repeats what it did not get through with.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_leaves_before_what_is_pushed_after_a_restart() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.homeserver.until_looked(1).await;
    keeps_back_the_older(&house, &room);
    let house = house.kill_and_restart().await;
    the_older_leaves_before_the_newer(&house, &room).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_leaves_before_what_is_pushed_after_it() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.homeserver.until_looked(1).await;
    keeps_back_the_older(&house, &room);
    house.engine.refused();
    the_older_leaves_before_the_newer(&house, &room).await;
    house.stop().await;
}

/// A homeserver that finds us back may keep a transaction until we are away once more, and go on with the next.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_passed_over_after_a_restart_leaves_before_what_is_pushed_after_it() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.homeserver.until_looked(1).await;
    let house = house.kill_and_restart().await;
    house.homeserver.until_looked(2).await;
    keeps_back_the_older(&house, &room);
    house.engine.skipped();
    the_older_leaves_before_the_newer(&house, &room).await;
    // Where nothing can have been missed, the numbers are other services'.
    let house = House::new().await;
    let room = house.conversation().await;
    house.homeserver.until_looked(1).await;
    house.engine.skipped();
    house.say(&room, ALICE, Message::text("at once")).await;
    house.network.until_sent(1).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_key_is_refused() {
    let house = House::new().await;
    house.conversation().await;
    let folder = tempfile::tempdir().unwrap();
    let config = swingbridge_store::Config::Sqlite {
        path: folder.path().join("db"),
        synchronous: swingbridge_store::Synchronous::Normal,
    };
    for (key, fits) in [([1; 32], true), ([1; 32], true), ([2; 32], false)] {
        // The one before lets go of its file in its own time.
        let store = loop {
            match swingbridge_store::open(&config, swingbridge_store::BATCH) {
                Err(swingbridge_store::OpenError::InUse(_)) => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let ports = swingbridge_engine::Ports {
            store,
            homeserver: house.homeserver.clone(),
            connectors: vec![],
            links: None,
            clock: house.clock.clone(),
            keys: swingbridge_domain::secret::Keys::derive(&key, std::sync::Arc::new(TestEntropy)),
        };
        let opened = swingbridge_engine::Engine::open(site(), ports).await;
        assert_eq!(opened.is_ok(), fits);
        if let Err(error) = opened {
            assert!(error.to_string().contains("another site key"), "{error}");
        }
    }
}
