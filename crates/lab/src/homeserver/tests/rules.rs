use super::*;

#[tokio::test]
async fn only_transaction_ids_of_devices_outlive_a_restart() {
    let stub = stub(None, |_| {}).await;
    register(&stub, "sms_bot").await;
    let room = room(&stub).await;
    ask(&stub, "PUT", "devices/D1", BOT, "", json!({})).await.unwrap();
    let text = json!({"msgtype": "m.text", "body": "x"});
    let send = async |txn: &str, more: &str| {
        let path = format!("rooms/{room}/send/m.room.message/{txn}");
        ask(&stub, "PUT", &path, BOT, more, text.clone()).await.unwrap().1["event_id"].clone()
    };
    let with = send("a", "&device_id=D1").await;
    let without = send("b", "").await;
    assert_eq!(send("b", "").await, without);
    stub.restart();
    assert_eq!(send("a", "&device_id=D1").await, with);
    assert_ne!(send("b", "").await, without, "without a device it is sent twice");
    assert_eq!(stub.messages(&room).len(), 3);
}

#[tokio::test]
async fn a_transaction_id_with_another_body_is_a_violation() {
    let stub = stub(None, |_| {}).await;
    register(&stub, "sms_bot").await;
    let room = room(&stub).await;
    for body in ["one", "two"] {
        let text = json!({"msgtype": "m.text", "body": body});
        let path = format!("rooms/{room}/send/m.room.message/t");
        ask(&stub, "PUT", &path, BOT, "", text).await.unwrap();
    }
    assert_eq!(stub.violations().len(), 1);
}

#[tokio::test]
async fn a_number_in_state_alias_or_profile_is_a_violation_and_in_a_body_is_none() {
    let stub = stub(None, |_| {}).await;
    stub.watch_number("+447700900456");
    register(&stub, "sms_bot").await;
    let room = room(&stub).await;
    let text = json!({"msgtype": "m.text", "body": "+447700900456"});
    ask(
        &stub,
        "PUT",
        &format!("rooms/{room}/send/m.room.message/t"),
        BOT,
        "",
        text,
    )
    .await
    .unwrap();
    assert_eq!(stub.violations(), Vec::<String>::new());

    let topic = json!({"topic": "call +44 7700 900-456"});
    ask(
        &stub,
        "PUT",
        &format!("rooms/{room}/state/m.room.topic"),
        BOT,
        "",
        topic,
    )
    .await
    .unwrap();
    register(&stub, "sms_447700900456").await;
    let alias = json!({"room_alias_name": "sms_447700900456"});
    ask(&stub, "POST", "createRoom", BOT, "", alias).await.unwrap();
    let name = json!({"displayname": "07700900456"});
    ask(&stub, "PUT", &format!("profile/{BOT}/displayname"), BOT, "", name)
        .await
        .unwrap();
    let wrong = stub.violations();
    for place in ["room state", "a user id", "an alias", "a profile"] {
        assert!(
            wrong.iter().any(|words| words.contains(place)),
            "{place}: {wrong:?}"
        );
    }
    let places = stub.look(|world| world.places_with_number(&["+447700900456"]));
    for place in ["user id", "alias", "display name", "m.room.topic"] {
        assert!(places.iter().any(|found| found == place), "{place}: {places:?}");
    }
}

#[tokio::test]
async fn a_burst_is_limited_in_sync_and_whole_in_messages() {
    let stub = stub(None, |_| {}).await;
    let (alice, bob) = (stub.user("alice"), stub.user("bob"));
    let room = alice.create_room(json!({"preset": "public_chat"})).unwrap();
    bob.join(&room).unwrap();
    let client = alice.client().unwrap();
    let first = client
        .get(&["_matrix", "client", "v3", "sync"], &[])
        .await
        .unwrap();
    let since = first["next_batch"].as_str().unwrap();
    for number in 0..60 {
        bob.say(&room, &number.to_string()).unwrap();
    }
    let sync = client
        .get(&["_matrix", "client", "v3", "sync"], &[("since", since)])
        .await
        .unwrap();
    let timeline = &sync["rooms"]["join"][&room]["timeline"];
    assert_eq!(timeline["limited"], true);
    assert_eq!(timeline["events"].as_array().unwrap().len(), 10);

    let mut bodies: Vec<String> = Vec::new();
    let mut from = timeline["prev_batch"].as_str().unwrap().to_owned();
    let path = ["_matrix", "client", "v3", "rooms", room.as_str(), "messages"];
    loop {
        let page = client
            .get(
                &path,
                &[("dir", "b"), ("from", &from), ("to", since), ("limit", "7")],
            )
            .await
            .unwrap();
        let chunk = page["chunk"].as_array().unwrap();
        bodies.extend(
            chunk
                .iter()
                .map(|event| event["content"]["body"].as_str().unwrap().to_owned()),
        );
        let Some(end) = page["end"].as_str() else { break };
        from = end.to_owned();
    }
    bodies.reverse();
    bodies.extend(
        timeline["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["content"]["body"].as_str().unwrap().into()),
    );
    assert_eq!(
        bodies,
        (0..60).map(|number| number.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_sync_waits_for_what_comes() {
    let stub = stub(None, |_| {}).await;
    let alice = stub.user("alice");
    let room = alice.create_room(json!({})).unwrap();
    let client = alice.client().unwrap();
    let first = client
        .get(&["_matrix", "client", "v3", "sync"], &[])
        .await
        .unwrap();
    let since = first["next_batch"].as_str().unwrap().to_owned();
    let query = [("since", since.as_str()), ("timeout", "10000")];
    let sync = client.get(&["_matrix", "client", "v3", "sync"], &query);
    let say = async { alice.say(&room, "now").unwrap() };
    let (sync, event) = tokio::join!(sync, say);
    let found = &sync.unwrap()["rooms"]["join"][&room]["timeline"]["events"][0];
    assert_eq!(found["event_id"], json!(event));
}

#[tokio::test]
async fn faults_answer_as_they_say_and_tell_what_was_done() {
    let stub = stub(None, |_| {}).await;
    register(&stub, "sms_bot").await;
    let room = room(&stub).await;
    let text = json!({"msgtype": "m.text", "body": "x"});
    let send = async |txn: &str| {
        let path = format!("rooms/{room}/send/m.room.message/{txn}");
        ask(&stub, "PUT", &path, BOT, "", text.clone()).await
    };
    stub.set_faults(Faults {
        limited: 1.0,
        ..Faults::none()
    });
    let (status, body) = send("a").await.unwrap();
    assert_eq!(
        (status, body["errcode"].as_str()),
        (429, Some("M_LIMIT_EXCEEDED"))
    );
    assert!(body["retry_after_ms"].is_u64());
    stub.set_faults(Faults {
        drop_before: 1.0,
        ..Faults::none()
    });
    assert!(send("b").await.is_err());
    assert_eq!(stub.messages(&room).len(), 0);
    stub.set_faults(Faults {
        drop_after: 1.0,
        ..Faults::none()
    });
    assert!(send("c").await.is_err());
    assert_eq!(
        stub.messages(&room).len(),
        1,
        "it was done before the connection ended"
    );
    stub.set_faults(Faults {
        failing: 1.0,
        ..Faults::none()
    });
    assert!((500..=504).contains(&send("d").await.unwrap().0));
    stub.set_faults(Faults::none());
    stub.go_away();
    assert!(send("e").await.is_err());
    stub.come_back();
    assert_eq!(send("e").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_body_without_its_type_is_refused() {
    let stub = stub(None, |_| {}).await;
    let url = format!("{}/_matrix/client/v3/createRoom", stub.url());
    for (mime, body, code) in [
        ("text/plain", "{}", "M_BAD_JSON"),
        ("application/json", "{", "M_NOT_JSON"),
    ] {
        let request = reqwest::Client::new()
            .post(&url)
            .bearer_auth(TOKEN)
            .header("content-type", mime)
            .body(body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["errcode"], code);
    }
}

#[tokio::test]
async fn habits_about_devices_are_replayed() {
    for (quirks, put, whoami) in [
        (Quirks::synapse(), 201, (200, Some("D"))),
        (Quirks::palpo(), 201, (200, Some("D"))),
        (Quirks::dendrite(), 404, (200, None)),
        (Quirks::tuwunel(), 201, (200, None)),
    ] {
        let stub = stub(None, |config| config.quirks = quirks.clone()).await;
        register(&stub, "sms_bot").await;
        assert_eq!(
            ask(&stub, "PUT", "devices/D", BOT, "", json!({}))
                .await
                .unwrap()
                .0,
            put
        );
        let (status, body) = ask(&stub, "GET", "account/whoami", BOT, "&device_id=D", Value::Null)
            .await
            .unwrap();
        assert_eq!((status, body["device_id"].as_str()), whoami);
    }
}

#[test]
fn a_registration_without_url_or_with_a_bad_regex_is_refused() {
    let text = "{id: a, as_token: a, hs_token: b, sender_localpart: c, namespaces: {}}";
    assert!(Registration::from_yaml(text).unwrap_err().contains("url"));
    let text = "{id: a, url: null, as_token: a, hs_token: b, sender_localpart: c, namespaces: {users: [{regex: '(', exclusive: true}]}}";
    assert!(Registration::from_yaml(text).is_err());
}
