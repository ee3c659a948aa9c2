use super::*;
use std::collections::HashSet;

fn bodies(transactions: &[Pushed]) -> Vec<String> {
    transactions.iter().flat_map(Pushed::bodies).collect()
}

/// A room of Alice's with the bot in it.
async fn chat(stub: &Stub) -> (LocalUser, String) {
    register(stub, "sms_bot").await;
    (stub.user("alice"), room(stub).await)
}

#[tokio::test]
async fn a_failed_transaction_comes_again_under_its_id_and_later_ones_wait() {
    let service = Service::start().await;
    let stub = stub(Some(&service), |_| {}).await;
    let (alice, room) = chat(&stub).await;
    stub.wait(LIMIT, "all pushed", |world| world.pushes.is_idle().then_some(()))
        .await
        .unwrap();
    let before = service.transactions().len();
    service.fail(3);
    for word in ["one", "two", "three"] {
        alice.say(&room, word).unwrap();
    }
    stub.wait(LIMIT, "the retries", |world| world.pushes.is_idle().then_some(()))
        .await
        .unwrap();
    let transactions = service.transactions().split_off(before);
    let tries: Vec<&Pushed> = transactions.iter().take(4).collect();
    assert!(tries.iter().all(|again| again.id() == tries[0].id()), "{tries:?}");
    assert!(tries.iter().all(|again| again.events() == tries[0].events()));
    assert_eq!(bodies(&transactions[3..]), ["one", "two", "three"]);
    assert_eq!(transactions[0].bearer.as_deref(), Some("Bearer the-hs-token"));
}

#[tokio::test]
async fn a_ping_ends_the_pause() {
    let service = Service::start().await;
    let stub = stub(Some(&service), |config| {
        config.quirks.backoff = Duration::from_secs(3600)
    })
    .await;
    stub.set_quirks(|quirks| quirks.backoff_limit = Duration::from_secs(3600));
    service.fail(1);
    register(&stub, "sms_bot").await;
    stub.user("alice").create_room(json!({"invite": [BOT]})).unwrap();
    service.wait(|seen| seen.iter().any(Pushed::is_transaction)).await;
    let url = format!("{}/_matrix/client/v1/appservice/sms/ping", stub.url());
    let pong = reqwest::Client::new()
        .post(url)
        .bearer_auth(TOKEN)
        .json(&json!({"transaction_id": "p"}))
        .send()
        .await
        .unwrap();
    assert_eq!(pong.status(), 200);
    stub.wait(LIMIT, "the retry", |world| world.pushes.is_idle().then_some(()))
        .await
        .unwrap();
    let pinged = service
        .wait(|seen| seen.iter().any(|pushed| pushed.uri.ends_with("/ping")))
        .await;
    assert!(
        pinged
            .iter()
            .any(|pushed| pushed.body == json!({"transaction_id": "p"}))
    );
}

#[tokio::test]
async fn a_retry_is_emptied_grown_or_the_same_as_the_habit_says() {
    for retry in [Retry::Same, Retry::Emptied, Retry::Growing] {
        let service = Service::start().await;
        let stub = stub(Some(&service), |config| config.quirks.retry = retry).await;
        let (alice, room) = chat(&stub).await;
        stub.wait(LIMIT, "all pushed", |world| world.pushes.is_idle().then_some(()))
            .await
            .unwrap();
        stub.hold_pushes(true);
        let client = alice.client().unwrap();
        let first = alice.say(&room, "first").unwrap();
        client.read(&room, &first).await.unwrap();
        let before = service.transactions().len();
        service.fail(1);
        stub.hold_pushes(false);
        service
            .wait(|seen| seen.iter().filter(|pushed| pushed.is_transaction()).count() > before)
            .await;
        alice.say(&room, "second").unwrap();
        service
            .wait(|seen| bodies(seen).iter().any(|body| body == "second"))
            .await;
        let seen = service.transactions().split_off(before);
        assert_eq!(seen[0].id(), seen[1].id());
        assert_eq!(seen[0].body["ephemeral"][0]["type"], "m.receipt");
        let again = seen[1].body["ephemeral"].as_array().unwrap().len();
        assert_eq!(again, if retry == Retry::Emptied { 0 } else { 1 }, "{retry:?}");
        let grown = seen[1].bodies() == ["first", "second"];
        assert_eq!(grown, retry == Retry::Growing, "{retry:?} {:?}", seen[1].bodies());
    }
}

#[tokio::test]
async fn ids_begin_again_after_a_restart_where_the_habit_says_so() {
    for (ids, again) in [
        (TransactionIds::CountedAnew, true),
        (TransactionIds::Counted, false),
        (TransactionIds::Hashed, false),
    ] {
        let service = Service::start().await;
        let stub = stub(Some(&service), |config| config.quirks.transaction_ids = ids).await;
        let (alice, room) = chat(&stub).await;
        stub.wait(LIMIT, "all pushed", |world| world.pushes.is_idle().then_some(()))
            .await
            .unwrap();
        let first = service.transactions()[0].id();
        let before = service.transactions().len();
        stub.restart();
        alice.say(&room, "after").unwrap();
        service
            .wait(|seen| bodies(seen).iter().any(|body| body == "after"))
            .await;
        assert_eq!(service.transactions()[before].id() == first, again, "{ids:?}");
    }
}

#[tokio::test]
async fn tokens_and_paths_follow_the_habit() {
    for (token, legacy) in [
        (TokenPlace::Header, false),
        (TokenPlace::Query, false),
        (TokenPlace::Both, true),
    ] {
        let service = Service::start().await;
        let change = |config: &mut Config| {
            config.quirks.token = token;
            config.quirks.legacy_paths = legacy;
        };
        let stub = stub(Some(&service), change).await;
        chat(&stub).await;
        let seen = service.wait(|seen| seen.iter().any(Pushed::is_transaction)).await;
        let query = seen[0].uri.contains("?access_token=the-hs-token");
        assert_eq!(
            (query, seen[0].bearer.is_some()),
            (token != TokenPlace::Header, token != TokenPlace::Query)
        );
        assert_eq!(
            seen[0].uri.starts_with("/transactions/"),
            legacy,
            "{}",
            seen[0].uri
        );
    }
}

#[tokio::test]
async fn reordered_and_repeated_pushes_hold_every_event_and_keep_each_rooms_order() {
    let service = Service::start().await;
    let change = |config: &mut Config| {
        config.quirks.reorder_rooms = true;
        config.quirks.repeat_events = 0.5;
        config.quirks.batch = 7;
        config.faults.repeated_push = 0.3;
    };
    let stub = stub(Some(&service), change).await;
    let (alice, one) = chat(&stub).await;
    let two = room(&stub).await;
    stub.hold_pushes(true);
    let mut said = Vec::new();
    for number in 0..100 {
        let room = if number % 2 == 0 { &one } else { &two };
        said.push(alice.say(room, &format!("{number}")).unwrap());
    }
    stub.hold_pushes(false);
    stub.wait(LIMIT, "all pushed", |world| world.pushes.is_idle().then_some(()))
        .await
        .unwrap();

    let pushed: Vec<String> = service
        .transactions()
        .iter()
        .flat_map(Pushed::events)
        .filter(|id| said.contains(id))
        .collect();
    let mut first = pushed.clone();
    let mut seen = HashSet::new();
    first.retain(|id| seen.insert(id.clone()));
    assert_eq!(first.len(), 100, "every event came");
    assert!(pushed.len() > 100, "some came twice");
    let of = |parity: usize| said.iter().skip(parity).step_by(2).cloned().collect::<Vec<_>>();
    for mine in [of(0), of(1)] {
        let order: Vec<String> = first.iter().filter(|id| mine.contains(id)).cloned().collect();
        assert_eq!(order, mine, "the order within a room stays");
    }
    assert_ne!(first, said, "the order between rooms does not");
}

#[tokio::test]
async fn a_lost_push_never_comes_and_stands_in_the_room() {
    let service = Service::start().await;
    let stub = stub(Some(&service), |_| {}).await;
    let (alice, room) = chat(&stub).await;
    stub.set_faults(Faults {
        lost_push: 1.0,
        ..Faults::none()
    });
    let lost = alice.say(&room, "lost").unwrap();
    stub.set_faults(Faults::none());
    alice.say(&room, "found").unwrap();
    let seen = service
        .wait(|seen| bodies(seen).iter().any(|body| body == "found"))
        .await;
    assert!(!bodies(&seen).contains(&"lost".to_owned()));
    assert_eq!(stub.messages(&room)[0].event_id, lost);
    assert!(stub.look(|world| world.pushes.lost.contains(&lost)));
}

#[tokio::test]
async fn the_service_is_asked_for_aliases_users_and_third_parties() {
    let service = Service::start().await;
    let stub = stub(Some(&service), |_| {}).await;
    let alice = stub.user("alice");
    let client = alice.client().unwrap();
    let alias = [
        "_matrix",
        "client",
        "v3",
        "directory",
        "room",
        "#sms_new:localhost",
    ];
    assert!(client.get(&alias, &[]).await.is_err());
    client
        .third_party_user("sms", &[("phone", "+1555")])
        .await
        .unwrap();
    let room = alice.create_room(json!({})).unwrap();
    alice.invite(&room, "@sms_unknown:localhost").unwrap();
    for path in [
        "/_matrix/app/v1/rooms/%23sms_new%3Alocalhost",
        "/_matrix/app/v1/thirdparty/user/sms?phone=%2B1555",
        "/_matrix/app/v1/users/@sms_unknown:localhost",
    ] {
        let plain = |uri: &str| uri.replace("%40", "@").replace("%3A", ":").replace("%23", "#");
        service
            .wait(|seen| seen.iter().any(|pushed| plain(&pushed.uri) == plain(path)))
            .await;
    }
}
