//! Against a real Synapse.

use crate::bridge::{Bridge, NUMBER, Now, Plan, chat, ghost, plain, post};
use serde_json::{Value, json};
use std::sync::Arc;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::{
    About, Action, Homeserver, MediaLinks, NewRoom, PerformError, RoomKind, SendStatus, Sender,
};
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Membership, RoomEventKind, What};
use swingbridge_domain::message::{Media, MediaKind};
use swingbridge_lab::client::Client;
use swingbridge_lab::client::{Place, Seen};
use swingbridge_lab::synapse::{Database, Options, Synapse};
use swingbridge_matrix::media::Links;

/// A Synapse with the bridge on it, and alice; `None` where there is no Synapse.
async fn start(room_version: Option<&str>) -> Option<(Synapse, Bridge, Client)> {
    start_on(Database::Sqlite, room_version).await
}

async fn start_on(database: Database, room_version: Option<&str>) -> Option<(Synapse, Bridge, Client)> {
    let mut plan = Plan::new().await;
    plan.config.room_version = room_version.map(str::to_owned);
    let options = Options {
        registrations: vec![plan.file()],
        database,
        ..Options::default()
    };
    let synapse = Synapse::for_test(options).await?;
    let bridge = plan.serve(synapse.url(), Arc::new(Now));
    let alice = synapse.user("alice", "password of alice").await.unwrap();
    Some((synapse, bridge, alice))
}

async fn invited(alice: &Client, room: &RoomId) -> Seen {
    alice
        .wait_for("the invite", |seen| {
            let ours = seen.place == Place::Invite && seen.kind() == "m.room.member";
            let mine = seen.room == room.as_str() && seen.event["state_key"] == alice.user();
            (ours && mine).then(|| seen.clone())
        })
        .await
        .unwrap()
}

async fn state(alice: &Client, room: &RoomId, kind: &str, key: &str) -> Value {
    alice
        .state(room.as_str(), kind, key)
        .await
        .unwrap()
        .unwrap_or_default()
}

/// A chat as it must be in rooms of every version: made once, found again after a restart, with all that clients look for.
async fn makes_a_chat_once(version: Option<&str>) {
    let Some((_synapse, mut bridge, alice)) = start(version).await else {
        return;
    };
    let alias = "conversation1";
    let room = bridge.room(chat(alias, alice.user())).await;
    let invite = invited(&alice, &room).await;
    assert_eq!(
        invite.sender(),
        bridge.ghost_id(),
        "clients file a direct chat under who invited"
    );
    assert_eq!(invite.event["content"]["is_direct"], true);
    alice.join(room.as_str()).await.unwrap();

    // The answer was lost, the program restarted: the same action again.
    bridge.forget();
    assert_eq!(bridge.room(chat(alias, alice.user())).await, room);
    let members = alice.members(room.as_str()).await.unwrap();
    for user in [bridge.bot_id(), bridge.ghost_id(), alice.user().to_owned()] {
        assert!(members.contains(&user), "{user} is not in {members:?}");
    }
    assert_eq!(
        state(&alice, &room, "m.room.name", "").await["name"],
        "+44 ••• 56"
    );
    assert_eq!(
        state(&alice, &room, "m.room.topic", "").await["topic"],
        "SMS by Main"
    );
    assert_eq!(
        state(&alice, &room, "m.room.history_visibility", "").await["history_visibility"],
        "invited"
    );
    for kind in ["m.bridge", "uk.half-shot.bridge"] {
        let info = state(&alice, &room, kind, "dev.swingbridge://main/conversation1").await;
        assert_eq!(info["protocol"]["id"], "sms");
        assert_eq!(info["com.beeper.room_type"], "dm");
    }
    let made = state(&alice, &room, "m.room.create", "").await;
    if let Some(version) = version {
        assert_eq!(made["room_version"], version);
    }
    assert_eq!(
        made.get("additional_creators"),
        None,
        "nobody is as mighty as the bot"
    );
    let levels = state(&alice, &room, "m.room.power_levels", "").await;
    let of_bot = &levels["users"][bridge.bot_id()];
    match made["room_version"].as_str() {
        Some("11") => assert_eq!(of_bot, 100),
        _ => assert!(of_bot.is_null(), "{levels}"),
    }

    // The ghost speaks with its name, at the time of the text.
    let mut said = post(&room, Sender::Ghost(ghost()), "hello @room");
    said.sent_at = Some(Timestamp(Now.now().millis() - 3_600_000));
    let event = bridge
        .perform(Action::Post(said.clone()), "outbox-1")
        .await
        .event
        .unwrap();
    let seen = alice.wait_for_text(room.as_str(), "hello @room").await.unwrap();
    assert_eq!(
        (seen.id(), seen.sender()),
        (event.as_str(), bridge.ghost_id().as_str())
    );
    assert_eq!(seen.event["origin_server_ts"], said.sent_at.unwrap().millis());
    assert_eq!(seen.event["content"]["m.mentions"], json!({}));
    let member = state(&alice, &room, "m.room.member", &bridge.ghost_id()).await;
    assert_eq!(member["displayname"], ghost().name);

    // What alice says arrives, once and with her own name; what we said does not.
    let answer = alice.send_text(room.as_str(), "hello yourself").await.unwrap();
    let arrived = bridge.inbox.wait_for_text("hello yourself").await;
    assert_eq!(
        (arrived.event.as_str(), arrived.sender.as_str()),
        (answer.as_str(), alice.user())
    );
    assert!(
        bridge
            .inbox
            .events
            .lock()
            .unwrap()
            .iter()
            .all(|event| event.sender.as_str() == alice.user())
    );
    assert_eq!(
        bridge
            .matrix
            .text_of(&room, &EventId::new(answer))
            .await
            .unwrap()
            .as_deref(),
        Some("hello yourself")
    );

    // Closed to writing, and open again.
    let mut about = chat(alias, alice.user()).about;
    about.writable = false;
    about.name = "No answer possible".into();
    let describe = |about: &About| Action::Describe {
        room: room.clone(),
        about: about.clone(),
        ghost: Some(ghost()),
    };
    bridge.perform(describe(&about), "unused").await;
    let refused = alice
        .send_text(room.as_str(), "anybody there?")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("M_FORBIDDEN"));
    bridge.say(&room, "code 1234", "outbox-2").await;
    assert_eq!(
        state(&alice, &room, "m.room.name", "").await["name"],
        "No answer possible"
    );
    assert_eq!(
        state(&alice, &room, "m.bridge", "dev.swingbridge://main/conversation1").await["com.beeper.room_type"],
        "dm"
    );
    about.writable = true;
    bridge.perform(describe(&about), "unused").await;
    alice.send_text(room.as_str(), "there I am").await.unwrap();

    // Left with its alias, the conversation gets a new room.
    let leave = Action::Leave {
        room: room.clone(),
        ghost: Some(ghost()),
        alias: Some(alias.into()),
        space: None,
    };
    bridge.perform(leave.clone(), "unused").await;
    bridge.perform(leave, "unused").await;
    let gone = bridge
        .matrix
        .perform(&Action::Post(post(&room, Sender::Bot, "x")), "outbox-3")
        .await;
    assert!(matches!(gone, Err(PerformError::RoomGone { .. })), "{gone:?}");
    assert_ne!(bridge.room(chat(alias, alice.user())).await, room);
}

#[tokio::test]
async fn a_chat_of_room_version_11_is_made_once() {
    makes_a_chat_once(Some("11")).await;
}

#[tokio::test]
async fn a_chat_of_room_version_12_is_made_once() {
    makes_a_chat_once(Some("12")).await;
}

#[tokio::test]
async fn a_repeated_transaction_is_the_same_event_after_both_restarted() {
    repeats_a_transaction_after_a_restart(Database::Sqlite).await;
}

#[tokio::test]
async fn a_repeated_transaction_is_the_same_event_on_postgresql_too() {
    repeats_a_transaction_after_a_restart(Database::Postgres).await;
}

async fn repeats_a_transaction_after_a_restart(database: Database) {
    let Some((mut synapse, mut bridge, alice)) = start_on(database, None).await else {
        return;
    };
    let room = bridge.room(chat("c", alice.user())).await;
    alice.join(room.as_str()).await.unwrap();
    let first = bridge.say(&room, "only once", "outbox-17").await;
    synapse.kill();
    let away = bridge
        .matrix
        .perform(
            &Action::Post(post(&room, Sender::Ghost(ghost()), "only once")),
            "outbox-17",
        )
        .await;
    assert!(matches!(away, Err(PerformError::Later { .. })), "{away:?}");
    synapse.start_again().await.unwrap();
    bridge.forget();
    assert_eq!(bridge.say(&room, "only once", "outbox-17").await, first);
    assert_ne!(bridge.say(&room, "only once", "outbox-18").await, first);
    let told = alice.history(room.as_str()).await.unwrap();
    let count = told
        .iter()
        .filter(|event| event["content"]["body"] == "only once")
        .count();
    assert_eq!(count, 2);
}

#[tokio::test]
async fn probes_pass_and_the_homeserver_reaches_us() {
    let Some((synapse, mut bridge, alice)) = start(None).await else {
        return;
    };
    let findings = bridge.matrix.probe().await;
    assert_eq!(findings.len(), 4, "{findings:?}");
    assert!(
        findings.iter().all(|finding| finding.result.is_ok()),
        "{findings:?}"
    );
    assert_eq!(findings[3].result.as_deref(), Ok("our users have devices"));
    bridge.matrix.ping().await.unwrap();
    let profile = alice
        .get(&["_matrix", "client", "v3", "profile", &bridge.bot_id()], &[])
        .await
        .unwrap();
    assert_eq!(profile["displayname"], "sms bridge");

    bridge.go_away().await;
    let unreachable = bridge.matrix.ping().await.unwrap_err();
    assert!(
        unreachable.cure.contains("url in registration.yaml"),
        "{unreachable}"
    );
    bridge.config.hs_token = swingbridge_domain::secret::Secret::new("another");
    bridge.forget();
    bridge.come_back().await;
    let refused = bridge.matrix.ping().await.unwrap_err();
    assert!(refused.cure.contains("hs_token"), "{refused}");
    bridge.config.as_token = swingbridge_domain::secret::Secret::new("unknown");
    bridge.forget();
    let findings = bridge.matrix.probe().await;
    let fault = findings.last().unwrap().result.clone().unwrap_err();
    assert!(fault.cure.contains("as_token"), "{fault}");
    let later = bridge
        .matrix
        .perform(
            &Action::Join {
                room: RoomId::new("!x:localhost"),
            },
            "t",
        )
        .await;
    assert!(matches!(later, Err(PerformError::Later { .. })), "{later:?}");
    drop(synapse);
    let findings = bridge.matrix.probe().await;
    assert!(findings[0].result.is_err());
}

#[tokio::test]
async fn a_number_is_looked_up_and_its_ghost_can_be_invited() {
    let Some((_synapse, bridge, alice)) = start(None).await else {
        return;
    };
    bridge.matrix.ensure_bot().await.unwrap();
    let path = ["_matrix", "client", "v3", "thirdparty", "protocols"];
    let protocols = alice.get(&path, &[]).await.unwrap();
    assert_eq!(protocols["sms"]["user_fields"], json!(["phone"]));
    let found = alice.third_party_user("sms", &[("phone", NUMBER)]).await.unwrap();
    assert_eq!(found[0]["userid"], bridge.ghost_id());
    let nobody = alice
        .third_party_user("sms", &[("phone", "no number")])
        .await
        .unwrap();
    assert_eq!(nobody, json!([]));
    let room = alice.create_direct(&bridge.ghost_id()).await.unwrap();
    let direct = bridge
        .inbox
        .wait("the invite of the ghost", |event| match &event.what {
            RoomEventKind::Membership {
                user,
                membership: Membership::Invite,
                direct,
            } if event.room.as_str() == room && user.as_str() == bridge.ghost_id() => Some(*direct),
            _ => None,
        })
        .await;
    assert!(direct);
    let profile = alice
        .get(&["_matrix", "client", "v3", "profile", &bridge.ghost_id()], &[])
        .await
        .unwrap();
    assert_eq!(profile["displayname"], ghost().name);
}

#[tokio::test]
async fn states_and_receipts_reach_the_sender() {
    let Some((_synapse, bridge, alice)) = start(None).await else {
        return;
    };
    let room = bridge.room(chat("c", alice.user())).await;
    alice.join(room.as_str()).await.unwrap();
    let event = alice.send_text(room.as_str(), "to the phone").await.unwrap();
    let status = |state, delivered| {
        Action::Status(SendStatus {
            room: room.clone(),
            event: EventId::new(&event),
            state,
            message: None,
            reason: None,
            retriable: false,
            delivered_to: delivered,
            network: "sms".into(),
            path: None,
        })
    };
    bridge.perform(status(State::Accepted, None), "s1").await;
    bridge
        .perform(status(State::Delivered, Some(ghost())), "s2")
        .await;
    let content = alice
        .wait_for("the status", |seen| {
            let content = &seen.event["content"];
            (seen.kind() == "com.beeper.message_send_status" && content["delivered_to_users"][0].is_string())
                .then(|| content.clone())
        })
        .await
        .unwrap();
    assert_eq!(content["status"], "SUCCESS");
    assert_eq!(content["delivered_to_users"], json!([bridge.ghost_id()]));
    assert_eq!(
        content["m.relates_to"],
        json!({"rel_type": "m.reference", "event_id": event})
    );
    let read = Action::MarkRead {
        room: room.clone(),
        event: EventId::new(&event),
    };
    bridge.perform(read, "unused").await;
    alice
        .wait_for("the receipt", |seen| {
            let readers = &seen.event["content"][&event]["m.read"];
            (seen.kind() == "m.receipt" && readers[bridge.bot_id()].is_object()).then_some(())
        })
        .await
        .unwrap();

    // An edit, and a reply by the bot.
    let said = bridge.say(&room, "frist", "p1").await;
    let mut edit = post(&room, Sender::Ghost(ghost()), "first");
    edit.replaces = Some(said.clone());
    bridge.perform(Action::Post(edit), "p2").await;
    let mut reply = post(&room, Sender::Bot, "as told");
    reply.in_reply_to = Some(EventId::new(&event));
    bridge.perform(Action::Post(reply), "p3").await;
    let seen = alice.wait_for_text(room.as_str(), "as told").await.unwrap();
    assert_eq!(
        seen.event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"],
        event
    );
    let edited = alice.wait_for_text(room.as_str(), "* first").await.unwrap();
    assert_eq!(edited.event["content"]["m.relates_to"]["event_id"], said.as_str());
}

#[tokio::test]
async fn spaces_show_their_rooms_and_ghosts_are_brought_in() {
    let Some((_synapse, bridge, alice)) = start(None).await else {
        return;
    };
    let mut space = chat("line", alice.user());
    space.kind = RoomKind::Space;
    space.ghost = None;
    let space = bridge.room(space).await;
    alice.join(space.as_str()).await.unwrap();
    assert_eq!(
        state(&alice, &space, "m.room.create", "").await["type"],
        "m.space"
    );
    let new = NewRoom {
        kind: RoomKind::Group,
        space: Some(space.clone()),
        ..chat("c", alice.user())
    };
    let room = bridge.room(new).await;
    assert_eq!(
        state(&alice, &space, "m.space.child", room.as_str()).await["via"],
        json!(["localhost"])
    );
    alice.join(room.as_str()).await.unwrap();
    assert_eq!(
        state(&alice, &room, "m.space.parent", space.as_str()).await["via"],
        json!(["localhost"])
    );

    // A ghost that is not in the room is brought in when it has something to say.
    let another = bridge.matrix.names().ghost("anotherghost");
    let stranger = swingbridge_domain::homeserver::Ghost::new("anotherghost", "Another");
    let said = post(&room, Sender::Ghost(stranger), "me too");
    bridge.perform(Action::Post(said), "t1").await;
    let seen = alice.wait_for_text(room.as_str(), "me too").await.unwrap();
    assert_eq!(seen.sender(), another);

    let carol = UserId::new("@carol:localhost");
    let invite = Action::Invite {
        room: room.clone(),
        users: vec![UserId::new(alice.user()), carol.clone()],
    };
    bridge.perform(invite.clone(), "unused").await;
    bridge.perform(invite, "unused").await;
    assert_eq!(
        state(&alice, &room, "m.room.member", carol.as_str()).await["membership"],
        "invite"
    );

    // A room that is given up is taken out of the space.
    let leave = Action::Leave {
        room: room.clone(),
        ghost: None,
        alias: None,
        space: Some(space.clone()),
    };
    bridge.perform(leave, "unused").await;
    let child = state(&alice, &space, "m.space.child", room.as_str()).await;
    assert_eq!(child, json!({}));
}

#[tokio::test]
async fn what_was_missed_is_told_in_order_and_once() {
    let Some((_synapse, mut bridge, alice)) = start(None).await else {
        return;
    };
    let room = bridge.room(chat("c", alice.user())).await;
    alice.join(room.as_str()).await.unwrap();
    let token = bridge.matrix.missed(None).await.unwrap();
    assert!(token.arrivals.is_empty());
    bridge.go_away().await;
    let mut sent = Vec::new();
    for count in 0..60 {
        sent.push(
            alice
                .send_text(room.as_str(), &format!("text {count}"))
                .await
                .unwrap(),
        );
    }
    let management = alice.create_direct(&bridge.bot_id()).await.unwrap();
    bridge.forget();
    let missed = bridge.matrix.missed(Some(&token.token)).await.unwrap();
    let events: Vec<_> = missed
        .arrivals
        .iter()
        .map(|arrival| match &arrival.what {
            What::Room(event) => event,
            What::Network(_) => panic!("not from a room"),
        })
        .collect();
    let texts: Vec<&str> = events
        .iter()
        .filter(|event| plain(event).is_some())
        .map(|event| event.event.as_str())
        .collect();
    assert_eq!(texts, sent);
    assert!(events.iter().any(|event| event.room.as_str() == management
        && matches!(&event.what, RoomEventKind::Membership { membership: Membership::Invite, user, direct: true } if user.as_str() == bridge.bot_id())));
    let again = bridge.matrix.missed(Some(&missed.token)).await.unwrap();
    assert!(again.arrivals.is_empty(), "{:?}", again.arrivals);

    // A token that makes no sense begins anew, and tells nothing twice.
    let anew = bridge.matrix.missed(Some("nonsense")).await.unwrap();
    assert!(anew.arrivals.is_empty());

    // And what Synapse kept for us comes by transaction too, told apart by event id.
    bridge.come_back().await;
    // A retry of Synapse's own may be under way just then, and it answers the ping with an error; it sends all the same.
    if let Err(fault) = bridge.matrix.ping().await {
        assert!(fault.may_pass, "{fault}");
    }
    bridge.inbox.wait_for_text("text 59").await;
}

#[tokio::test]
async fn media_are_fetched_as_the_bot_and_handed_on_by_link() {
    let Some((_synapse, bridge, alice)) = start(None).await else {
        return;
    };
    bridge.matrix.ensure_bot().await.unwrap();
    let picture = vec![0x89; 300_000];
    let uri = alice
        .upload(picture.clone(), "image/png", "cat.png")
        .await
        .unwrap();
    let fetched = swingbridge_matrix::media::fetch(&bridge.matrix, &uri)
        .await
        .unwrap();
    assert_eq!(fetched.content_type.as_deref(), Some("image/png"));
    let media = |uri: &str| Media {
        kind: MediaKind::Image,
        name: "cat.png".into(),
        uri: uri.into(),
        ..Media::default()
    };
    let links = Links::new(
        bridge.keys.clone(),
        &bridge.address,
        std::time::Duration::from_secs(60),
    );
    let http = reqwest::Client::new();
    let answer = http
        .get(links.link(&media(&uri), Now.now()).unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/png");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("x-robots-tag").contains("noindex"));
    assert!(header("content-security-policy").contains("sandbox"));
    assert_eq!(answer.bytes().await.unwrap(), picture);
    let over = links
        .link(&media(&uri), Timestamp(Now.now().millis() - 60_001))
        .unwrap();
    assert_eq!(http.get(over).send().await.unwrap().status(), 404);
    let absent = links
        .link(&media("mxc://localhost/doesnotexist"), Now.now())
        .unwrap();
    assert_eq!(http.get(absent).send().await.unwrap().status(), 404);
}
