use crate::house::*;
use std::sync::Arc;
use swingbridge_domain::directory::Directory;
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::message::*;
use swingbridge_domain::path::Place;

async fn management(house: &House, user: &str) -> RoomId {
    let room = RoomId::new("!management");
    house
        .membership(&room, user, "@smsbot:example.org", Membership::Invite, true)
        .await;
    house.homeserver.until_said("Hello. I connect").await;
    room
}

async fn ask(house: &House, room: &RoomId, by: &str, command: &str, answer: &str) {
    house.say(room, by, Message::text(command)).await;
    house.homeserver.until_said(answer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_device_help_names_what_the_program_itself_answers() {
    for (here, named) in [(Place::Device, true), (Place::Gateway, false)] {
        let mut site = site();
        site.here = here;
        let house = House::with(site).await;
        let room = management(&house, ALICE).await;
        house.say(&room, ALICE, Message::text("help")).await;
        let help = house.homeserver.until_said("What I can do").await;
        assert_eq!(help.contains("uptime"), named, "{help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_answered() {
    let house = House::new().await;
    let room = management(&house, ALICE).await;
    ask(&house, &room, ALICE, "help", "start-chat [LINE] NUMBER").await;
    ask(&house, &room, ALICE, "version", "Swingbridge 0.1.0").await;
    ask(&house, &room, ALICE, "ping", "Main: connected").await;
    ask(
        &house,
        &room,
        ALICE,
        "lines",
        "main: Main, SMS from +447700900123",
    )
    .await;
    ask(&house, &room, ALICE, "list", "You have no conversations yet").await;
    ask(&house, &room, ALICE, "hlep", "Did you mean `help`?").await;
    ask(&house, &room, ALICE, "queues", "Only admins").await;
    ask(&house, &room, ALICE, "start-chat 999", "emergency number").await;
    ask(
        &house,
        &room,
        ALICE,
        "start-chat nowhere +447700900456",
        "no line called",
    )
    .await;
    ask(
        &house,
        &room,
        ALICE,
        "start-chat main 07700 900456",
        "Starting a chat with +44 ••• 56",
    )
    .await;
    // The homeserver has the room a moment before it is known here.
    let alice = UserId::new(ALICE);
    let known = house.engine.resolve(Some(&alice), None, PHONE, true).await;
    assert!(known.unwrap().room.is_some());
    ask(
        &house,
        &room,
        ALICE,
        "start-chat +447700900456",
        "There is a chat with +44 ••• 56 already",
    )
    .await;
    ask(&house, &room, ALICE, "list", "on Main, last").await;
    ask(
        &house,
        &room,
        ALICE,
        "id",
        "The management room of @alice:example.org",
    )
    .await;
    ask(&house, &room, BOB, "queues", "Waiting:").await;
    ask(&house, &room, BOB, "buried", "Nothing is buried").await;
    ask(
        &house,
        &room,
        "@eve:other.org",
        "help",
        "You may not use this gateway",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_segments_and_encoding() {
    let house = House::new().await;
    let room = house.conversation().await;
    house
        .network
        .answers
        .lock()
        .unwrap()
        .push_back(Ok(accepted(&["a", "b"])));
    let event = house.say(&room, ALICE, Message::text("long")).await;
    house.homeserver.until("accepted", |hs| hs.statuses().pop()).await;
    let status = Message {
        in_reply_to: Some(Reference::Event(event)),
        ..Message::text("!sb status")
    };
    house.say(&room, ALICE, status).await;
    let said = house.homeserver.until_said("2 segments in GSM 03.38").await;
    assert!(
        said.contains("accepted") && said.contains("written by @alice:example.org"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_up_room_is_left_and_the_next_text_makes_a_new_one() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.say(&room, ALICE, Message::text("!sb delete-portal")).await;
    let left = |hs: &FakeHomeserver| {
        hs.actions()
            .into_iter()
            .find(|a| matches!(a, Action::Leave { room: r, alias: Some(_), .. } if r == &room))
    };
    house.homeserver.until("the room being left", left).await;
    // It is said before, while it can be.
    assert!(
        house
            .homeserver
            .said()
            .iter()
            .any(|said| said.contains("This room is given up"))
    );
    house.text_in(PHONE, "hello again").await;
    house.homeserver.until_said("contact: hello again").await;
    assert_ne!(room_of(&house.homeserver, "hello again"), Some(room));
}

/// A second line, which is BOB's alone.
fn two_lines() -> swingbridge_engine::site::Site {
    let mut site = site();
    let mut other = site.lines[0].as_ref().clone();
    other.id = LineId::new("busy");
    other.name = "Busy".into();
    other.address = swingbridge_domain::address::Address::Number("+447700900124".into());
    other.access.users = vec![UserId::new(BOB)];
    site.lines.push(Arc::new(other));
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_line_does_not_push_those_of_a_quiet_one_out_of_the_list() {
    let house = House::with(two_lines()).await;
    house.conversation().await;
    for n in 0..51 {
        house.advance(std::time::Duration::from_secs(1));
        let mut busy = inbound(&format!("+4477009008{n:02}"), &format!("busy {n}"));
        busy.to.text = "+447700900124".into();
        house.arrive(What::Network(Inbound::Message(busy))).await;
    }
    house.homeserver.until_said("busy 50").await;
    let room = management(&house, ALICE).await;
    ask(&house, &room, ALICE, "list", "on Main, last").await;
    house.say(&room, BOB, Message::text("list")).await;
    let listed = house.homeserver.until_said("the latest 50; there are more").await;
    assert_eq!(listed.matches("on Busy").count(), 50, "{listed}");
    let alice = house.engine.contacts(&UserId::new(ALICE)).await.unwrap();
    assert_eq!(alice.len(), 1);
    assert_eq!(house.engine.contacts(&UserId::new(BOB)).await.unwrap().len(), 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_an_event_of_another_line_learns_nothing_of_it() {
    let house = House::with(two_lines()).await;
    let room = house.conversation().await;
    let event = house.say(&room, ALICE, Message::text("private")).await;
    house.homeserver.until("accepted", |hs| hs.statuses().pop()).await;
    let asks = format!("status {event}");
    let management = management(&house, BOB).await;
    ask(
        &house,
        &management,
        BOB,
        &asks,
        "no part of a conversation of yours",
    )
    .await;
    let mut busy = inbound(PHONE, "to the busy line");
    busy.to.text = "+447700900124".into();
    house.arrive(What::Network(Inbound::Message(busy))).await;
    let theirs = house
        .homeserver
        .until("the other room", |hs| room_of(hs, "to the busy line"))
        .await;
    house
        .say(&theirs, BOB, Message::text(format!("!sb {asks}")))
        .await;
    let refused = |hs: &FakeHomeserver| {
        let said = hs.said();
        (said
            .iter()
            .filter(|said| said.contains("no part of a conversation of yours"))
            .count()
            == 2)
            .then_some(())
    };
    house.homeserver.until("a second refusal", refused).await;
    assert!(
        !house
            .homeserver
            .said()
            .iter()
            .any(|said| said.contains("written by"))
    );
    // From wherever its own people ask, they are told.
    ask(&house, &management, ALICE, &asks, "written by @alice:example.org").await;
}
