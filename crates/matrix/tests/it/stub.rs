//! Against the lab's strict stub, which has the habits of several homeservers.

use crate::bridge::{Bridge, NUMBER, PSEUDONYM, Plan, Turned, chat, ghost, plain, post};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::{
    Action, Homeserver, Missed, PerformError, Performed, SendStatus, Sender,
};
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_domain::inbox::{RoomEvent, What};
use swingbridge_lab::homeserver::{Config as StubConfig, Faults, Quirks, Registration, Retry, Stub};

const LIMIT: Duration = Duration::from_secs(30);

/// Performs until it is done, as the engine's outbox does: the same action under the same transaction.
async fn until_done(bridge: &Bridge, action: Action, transaction: &str) -> Performed {
    for _ in 0..200 {
        match bridge.matrix.perform(&action, transaction).await {
            Ok(done) => return done,
            Err(PerformError::Later { delay, .. }) => {
                let pause = delay
                    .unwrap_or(Duration::from_millis(1))
                    .min(Duration::from_millis(20));
                tokio::time::sleep(pause).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the homeserver never did it");
}

async fn a_slice_works_on(quirks: Quirks) {
    let (stub, mut bridge) = Plan::new().await.on_stub(quirks).await;
    stub.watch_number(NUMBER);
    let alice = stub.user("alice");
    let room = bridge.room(chat("c", alice.id())).await;
    alice.join(room.as_str()).unwrap();
    bridge.forget();
    assert_eq!(bridge.room(chat("c", alice.id())).await, room);
    let first = bridge.say(&room, "from the phone", "outbox-1").await;
    assert_eq!(bridge.say(&room, "from the phone", "outbox-1").await, first);
    let texts: Vec<String> = stub
        .messages(room.as_str())
        .iter()
        .map(|event| event.body().to_owned())
        .collect();
    assert_eq!(texts, ["from the phone"]);
    let told = alice.say(room.as_str(), "to the phone").unwrap();
    let arrived = bridge.inbox.wait_for_text("to the phone").await;
    assert_eq!(arrived.event.as_str(), told);
    let status = Action::Status(SendStatus {
        room: room.clone(),
        event: EventId::new(&told),
        state: State::Delivered,
        message: None,
        reason: None,
        retriable: false,
        delivered_to: Some(ghost()),
        network: "sms".into(),
        path: None,
    });
    bridge.perform(status, "outbox-2").await;
    let read = Action::MarkRead {
        room: room.clone(),
        event: EventId::new(&told),
    };
    bridge.perform(read, "outbox-3").await;
    assert!(
        stub.look(|world| world.read_by(room.as_str(), &bridge.bot_id()))
            .contains(&told)
    );
    let token = bridge.matrix.missed(None).await.unwrap().token;
    stub.hold_pushes(true);
    let late = alice.say(room.as_str(), "while away").unwrap();
    let missed = bridge.matrix.missed(Some(&token)).await.unwrap();
    assert_eq!(ids(&missed), [late]);
    assert_eq!(stub.violations(), Vec::<String>::new());
}

fn events(missed: &Missed) -> impl Iterator<Item = &RoomEvent> {
    missed.arrivals.iter().map(|arrival| match &arrival.what {
        What::Room(event) => event,
        What::Network(_) => panic!("not from a room"),
    })
}

/// The ids of the messages.
fn ids(missed: &Missed) -> Vec<String> {
    events(missed)
        .filter(|event| plain(event).is_some())
        .map(|event| event.event.0.clone())
        .collect()
}

#[tokio::test]
async fn a_slice_works_on_synapse_like_homeservers() {
    a_slice_works_on(Quirks::synapse()).await;
}

#[tokio::test]
async fn a_slice_works_on_palpo_like_homeservers() {
    a_slice_works_on(Quirks::palpo()).await;
}

#[tokio::test]
async fn a_slice_works_on_dendrite_like_homeservers() {
    a_slice_works_on(Quirks::dendrite()).await;
}

#[tokio::test]
async fn a_slice_works_on_tuwunel_like_homeservers() {
    a_slice_works_on(Quirks::tuwunel()).await;
}

/// Everything that alice said, as it arrived.
fn arrived(bridge: &Bridge) -> Vec<String> {
    let events = bridge.inbox.events.lock().unwrap();
    events
        .iter()
        .filter(|event| plain(event).is_some())
        .map(|event| event.event.0.clone())
        .collect()
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_transaction_ids_begin_anew_and_retries_change() {
    for (retry, repeat) in [(Retry::Emptied, 0.0), (Retry::Growing, 0.2), (Retry::Same, 0.2)] {
        let mut quirks = Quirks::synapse();
        quirks.retry = retry;
        quirks.repeat_events = repeat;
        let (stub, bridge) = Plan::new().await.on_stub(quirks).await;
        let alice = stub.user("alice");
        let room = bridge.room(chat("c", alice.id())).await;
        alice.join(room.as_str()).unwrap();
        let mut sent = Vec::new();
        for round in 0..10 {
            // The disk is full for a while, then the homeserver restarts and counts from 1 again.
            bridge.inbox.refuses.store(round % 3 == 1, Ordering::SeqCst);
            sent.extend((0..5).map(|_| alice.say(room.as_str(), "x").unwrap()));
            if round % 3 == 1 {
                let before = stub.look(|world| world.pushes.failed);
                stub.wait(LIMIT, "a refused push", |world| {
                    (world.pushes.failed > before).then_some(())
                })
                .await
                .unwrap();
                sent.push(alice.say(room.as_str(), "more").unwrap());
                bridge.inbox.refuses.store(false, Ordering::SeqCst);
            }
            stub.wait(LIMIT, "all pushed", |world| world.pushes.is_idle().then_some(()))
                .await
                .unwrap();
            stub.restart();
        }
        let arrived = arrived(&bridge);
        assert_eq!(arrived, sent, "{retry:?}");
    }
}

#[tokio::test]
async fn every_message_stands_once_whatever_the_homeserver_does_to_requests() {
    let (stub, mut bridge) = Plan::new().await.on_stub(Quirks::synapse()).await;
    let alice = stub.user("alice");
    stub.set_faults(Faults {
        failing: 0.1,
        limited: 0.1,
        drop_before: 0.05,
        drop_after: 0.1,
        ..Faults::some_of_all()
    });
    let room = until_done(&bridge, Action::CreateRoom(chat("c", alice.id())), "r")
        .await
        .room
        .unwrap();
    alice.join(room.as_str()).unwrap();
    let mut wanted = Vec::new();
    for number in 0..150 {
        let text = format!("text {number}");
        let action = Action::Post(post(&room, Sender::Ghost(ghost()), &text));
        until_done(&bridge, action, &format!("outbox-{number}")).await;
        wanted.push(text);
        if number % 50 == 49 {
            stub.restart();
            bridge.forget();
        }
    }
    let texts: Vec<String> = stub
        .messages(room.as_str())
        .iter()
        .map(|event| event.body().to_owned())
        .collect();
    assert_eq!(texts, wanted);
    assert_eq!(stub.look(|world| world.rooms.len()), 1);
    assert_eq!(stub.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn long_gaps_are_read_back_page_by_page() {
    let (stub, bridge) = Plan::new().await.on_stub(Quirks::synapse()).await;
    let alice = stub.user("alice");
    let room = bridge.room(chat("c", alice.id())).await;
    alice.join(room.as_str()).unwrap();
    let token = bridge.matrix.missed(None).await.unwrap().token;
    stub.hold_pushes(true);
    let sent: Vec<String> = (0..1234)
        .map(|_| alice.say(room.as_str(), "x").unwrap())
        .collect();
    let missed = bridge.matrix.missed(Some(&token)).await.unwrap();
    assert_eq!(ids(&missed), sent);
    assert!(ids(&bridge.matrix.missed(Some(&missed.token)).await.unwrap()).is_empty());
}

#[tokio::test]
async fn rooms_are_read_down_to_the_last_look_where_sync_fails() {
    // The user of sender_localpart gets 500 from /sync, on Synapse and here.
    let mut plan = Plan::new().await;
    plan.registration.sender_localpart = plan.config.bot.clone();
    let registration = Registration::from_yaml(&plan.registration.to_yaml()).unwrap();
    let stub = Stub::start(StubConfig::new(registration)).await.unwrap();
    let clock = Arc::new(Turned::default());
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    clock.0.store(now(), Ordering::SeqCst);
    let bridge = plan.serve(&stub.url(), clock.clone());
    let alice = stub.user("alice");
    let room = bridge.room(chat("c", alice.id())).await;
    alice.join(room.as_str()).unwrap();
    let token = bridge.matrix.missed(None).await.unwrap();
    assert!(token.arrivals.is_empty());
    stub.hold_pushes(true);
    let sent: Vec<String> = (0..700).map(|_| alice.say(room.as_str(), "x").unwrap()).collect();
    clock.0.store(now(), Ordering::SeqCst);
    let missed = bridge.matrix.missed(Some(&token.token)).await.unwrap();
    assert_eq!(ids(&missed), sent);
    // Long after, those are too old to be told again.
    clock.0.store(now() + 3_600_000, Ordering::SeqCst);
    let later = bridge.matrix.missed(Some(&missed.token)).await.unwrap();
    let much_later = bridge.matrix.missed(Some(&later.token)).await.unwrap();
    assert!(ids(&much_later).is_empty());
}

#[tokio::test]
async fn a_busy_homeserver_says_when_to_come_again() {
    let (stub, bridge) = Plan::new().await.on_stub(Quirks::synapse()).await;
    bridge.matrix.ensure_bot().await.unwrap();
    stub.set_faults(Faults {
        limited: 1.0,
        limit_pause: Duration::from_millis(5000),
        ..Faults::none()
    });
    let join = Action::Join {
        room: RoomId::new("!nowhere:localhost"),
    };
    let busy = bridge.matrix.perform(&join, "t").await.unwrap_err();
    assert!(
        matches!(busy, PerformError::Later { delay: Some(_), .. }),
        "{busy}"
    );
    stub.set_faults(Faults::none());
    let absent = bridge.matrix.perform(&join, "t").await.unwrap_err();
    assert!(
        matches!(
            absent,
            PerformError::RoomGone { .. } | PerformError::Refused { .. }
        ),
        "{absent}"
    );
    stub.go_away();
    let away = bridge.matrix.perform(&join, "t").await.unwrap_err();
    assert!(matches!(away, PerformError::Later { delay: None, .. }), "{away}");
}

#[tokio::test]
async fn a_ghost_that_lost_its_device_gets_it_again() {
    let (stub, bridge) = Plan::new().await.on_stub(Quirks::synapse()).await;
    let alice = stub.user("alice");
    // As left by a crash between registering and making the device: registered, named, nothing more.
    let ask = async |method: reqwest::Method, path: String, body: serde_json::Value| {
        let url = format!("{}/_matrix/client/v3/{path}", stub.url());
        let request = reqwest::Client::new()
            .request(method, url)
            .bearer_auth(bridge.config.as_token.expose());
        let answer = request
            .body(body.to_string())
            .header("content-type", "application/json")
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    };
    let register = json!({
        "type": "m.login.application_service", "username": format!("sms_{PSEUDONYM}"), "inhibit_login": true,
    });
    ask(reqwest::Method::POST, "register".into(), register).await;
    let (user, name) = (bridge.ghost_id(), json!({ "displayname": ghost().name }));
    ask(
        reqwest::Method::PUT,
        format!("profile/{user}/displayname?user_id={user}"),
        name,
    )
    .await;
    let room = bridge.room(chat("c", alice.id())).await;
    assert!(stub.look(|world| world.users[&user].devices.is_empty()));
    let first = bridge.say(&room, "hello", "outbox-1").await;
    stub.restart();
    assert_eq!(bridge.say(&room, "hello", "outbox-1").await, first);
    assert_eq!(stub.look(|world| world.users[&user].devices.len()), 1);
}

#[tokio::test]
async fn probes_tell_what_other_homeservers_lack() {
    for (quirks, pings) in [
        (Quirks::dendrite(), false),
        (Quirks::palpo(), false),
        (Quirks::tuwunel(), true),
    ] {
        let (_stub, bridge) = Plan::new().await.on_stub(quirks).await;
        let findings = bridge.matrix.probe().await;
        assert_eq!(findings.len(), 4, "{findings:?}");
        assert!(
            findings.iter().all(|finding| finding.result.is_ok()),
            "{findings:?}"
        );
        assert_eq!(bridge.matrix.ping().await.is_ok(), pings);
    }
}
