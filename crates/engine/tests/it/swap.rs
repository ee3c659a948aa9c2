//! Conversations that move to another line: the room stays.

use crate::house::*;
use crate::trust::{questions, reaction, until_question};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Capabilities;
use swingbridge_domain::connector::{Reach, SendError};
use swingbridge_domain::consent::Rule;
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::message::*;
use swingbridge_engine::site::Site;

const OTHER: &str = "+447700900900";

/// Two lines on two networks.
fn two() -> Site {
    let mut site = site();
    let mut other = site.lines[0].as_ref().clone();
    other.id = LineId::new("other");
    other.name = "Other".into();
    other.connector = ConnectorId::new("rcs");
    other.address = Address::Number(OTHER.into());
    site.lines.push(Arc::new(other));
    site.capabilities = BTreeMap::from([(
        ConnectorId::new("rcs"),
        Capabilities {
            networks: vec!["sms".into()],
            way: sms_way(),
            ..Capabilities::default()
        },
    )]);
    site
}

fn by_other(text: &str) -> InboundMessage {
    let mut message = inbound(PHONE, text);
    message.connector = ConnectorId::new("rcs");
    message.to.text = OTHER.into();
    message
}

impl House {
    fn other(&self) -> &FakeNetwork {
        self.rcs.as_deref().unwrap()
    }
}

fn accepted_state(hs: &FakeHomeserver, event: &EventId) -> Option<()> {
    let statuses = hs.statuses();
    let mut found = statuses.iter();
    found
        .any(|status| &status.event == event && status.state == State::Accepted)
        .then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_by_another_line_in_the_same_room() {
    let house = House::with(two()).await;
    let room = house.conversation().await;
    house.say(&room, ALICE, Message::text("!sb swap other")).await;
    house
        .homeserver
        .until_said("From now on this conversation goes by Other")
        .await;
    let shelved = |hs: &FakeHomeserver| {
        hs.actions().into_iter().find(
            |action| matches!(action, Action::Shelve { room: moved, from: Some(_), .. } if moved == &room),
        )
    };
    house
        .homeserver
        .until("its place in the other space", shelved)
        .await;
    let event = house.say(&room, ALICE, Message::text("hello from other")).await;
    house
        .homeserver
        .until("accepted", |hs| accepted_state(hs, &event))
        .await;
    assert_eq!(house.other().texts(), ["hello from other"]);
    let from = house.other().sent.lock().unwrap()[0].from.full().to_owned();
    assert_eq!(from, OTHER);
    assert!(house.network.texts().is_empty());
    // What the phone sends to either number is in the room.
    house.text_in(PHONE, "to the old number").await;
    house.homeserver.until_said("to the old number").await;
    house
        .arrive(What::Network(Inbound::Message(by_other("to the new number"))))
        .await;
    house.homeserver.until_said("to the new number").await;
    for text in ["to the old number", "to the new number"] {
        assert_eq!(room_of(&house.homeserver, text).as_ref(), Some(&room), "{text}");
    }
    assert_eq!(house.homeserver.rooms_made(RoomKind::Direct).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_leave_goes_along() {
    let house = House::with(two()).await;
    let room = house.conversation().await;
    for _ in 0..50 {
        house.network.answer(Err(SendError::RetryAfter {
            delay: Duration::from_secs(3600),
            detail: "not connected".into(),
            counts: false,
        }));
    }
    let one = house.say(&room, ALICE, Message::text("one")).await;
    let two = house.say(&room, ALICE, Message::text("two")).await;
    house.network.until_sent(1).await;
    house.say(&room, ALICE, Message::text("!sb swap other")).await;
    for event in [one, two] {
        house
            .homeserver
            .until("accepted", |hs| accepted_state(hs, &event))
            .await;
    }
    let mut texts = house.other().texts();
    texts.sort();
    assert_eq!(texts, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_who_is_on_the_other_line_already_is_not_doubled() {
    let house = House::with(two()).await;
    let room = house.conversation().await;
    house
        .arrive(What::Network(Inbound::Message(by_other("there too"))))
        .await;
    house.homeserver.until_said("there too").await;
    house.say(&room, ALICE, Message::text("!sb swap other")).await;
    house.homeserver.until_said("Other has a conversation with").await;
    house.say(&room, ALICE, Message::text("!sb swap nowhere")).await;
    house
        .homeserver
        .until_said("You have no line called \"nowhere\"")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_line_moves_and_says_before_what_would() {
    let house = House::with(two()).await;
    let room = house.conversation().await;
    house.text_in("+447700900457", "a second one").await;
    house.homeserver.until_said("a second one").await;
    let (from, to) = (LineId::new("main"), LineId::new("other"));
    let planned = house.engine.migrate(&from, &to, true).await.unwrap();
    assert_eq!((planned.moved.len(), planned.kept.len()), (2, 0));
    *house.other().reach.lock().unwrap() = Reach::Yes;
    let mut asked = planned.moved.clone();
    asked.insert(1, ConversationId(4711));
    let reached = house.engine.reached(&asked, &to).await.unwrap();
    assert_eq!(reached, [Reach::Yes, Reach::Unknown, Reach::Yes]);
    assert!(
        house
            .homeserver
            .actions()
            .iter()
            .all(|action| !matches!(action, Action::Shelve { .. }))
    );
    let done = house.engine.migrate(&from, &to, false).await.unwrap();
    assert_eq!(done, planned);
    let event = house.say(&room, ALICE, Message::text("after")).await;
    house
        .homeserver
        .until("accepted", |hs| accepted_state(hs, &event))
        .await;
    assert_eq!(house.other().texts(), ["after"]);
    let again = house.engine.migrate(&from, &to, false).await.unwrap();
    assert!(again.moved.is_empty());
}

/// Both lines ask, and what was agreed to holds for the line that was asked about.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_by_the_former_line_is_asked_about_under_that_lines_name() {
    let mut site = two();
    for line in &mut site.lines {
        Arc::make_mut(line).consent = Rule::Line;
    }
    let house = House::with(site).await;
    // Of one contact nothing was agreed when the conversation moved, of all others of the line neither.
    house.text_in(PHONE, "before it moved").await;
    until_question(&house, 1).await;
    let room = house.room().await;
    house.say(&room, ALICE, Message::text("!sb swap other")).await;
    house
        .homeserver
        .until_said("From now on this conversation goes by Other")
        .await;
    house
        .arrive(What::Network(Inbound::Message(by_other("to the new number"))))
        .await;
    let of_other = until_question(&house, 2).await;
    let asked = house.homeserver.until_said("Texts on Other go by").await;
    assert!(asked.contains("Do you agree to that?"), "{asked}");
    house.say(&room, ALICE, reaction(&of_other, "✅")).await;
    house.homeserver.until_said("contact: to the new number").await;

    house.text_in(PHONE, "to the old number").await;
    let of_main = until_question(&house, 3).await;
    let said = house.homeserver.said();
    let of = |line: &str| {
        let asked = format!("Texts on {line} go by");
        said.iter().filter(|said| said.contains(&asked)).count()
    };
    assert_eq!((of("Main"), of("Other")), (2, 1), "{said:#?}");
    let shown = |text: &str| said.iter().any(|said| said.contains(text));
    assert!(!shown("contact: to the old number") && !shown("contact: before it moved"));
    house.say(&room, ALICE, reaction(&of_main, "✅")).await;
    house.homeserver.until_said("contact: to the old number").await;

    // Nothing more is asked of either.
    house.text_in(PHONE, "once more to the old number").await;
    house
        .homeserver
        .until_said("contact: once more to the old number")
        .await;
    assert_eq!(questions(&house.homeserver).len(), 3);
}

/// Waits until a message is in doubt: the network was asked, has not answered, and is asked again later.
async fn until_in_doubt(house: &House, event: &EventId) {
    loop {
        let event = event.clone();
        let found = swingbridge_domain::store::run(house.store.as_ref(), move |tables| {
            tables.message_by_event(&event)
        });
        let found = found.await.unwrap();
        if found.is_some_and(|message| message.state == State::Sending) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The first line's network takes a message once, however often it is given.
fn idempotent() -> Site {
    let mut site = two();
    site.capabilities.insert(
        ConnectorId::new("carrier"),
        Capabilities {
            networks: vec!["sms".into()],
            idempotent_sends: true,
            way: sms_way(),
            ..Capabilities::default()
        },
    );
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_left_stays_with_its_line_when_the_conversation_moves() {
    let house = House::with(idempotent()).await;
    let room = house.conversation().await;
    house.network.answer(Err(SendError::Unknown {
        detail: "no answer".into(),
    }));
    let event = house.say(&room, ALICE, Message::text("once")).await;
    until_in_doubt(&house, &event).await;
    house.say(&room, ALICE, Message::text("!sb swap other")).await;
    house
        .homeserver
        .until_said("From now on this conversation goes by Other")
        .await;
    house.advance(Duration::from_secs(2));
    house
        .homeserver
        .until("accepted", |hs| accepted_state(hs, &event))
        .await;
    assert_eq!(house.network.texts(), ["once", "once"]);
    let keys: Vec<String> = {
        let sent = house.network.sent.lock().unwrap();
        sent.iter().map(|outbound| outbound.key.clone()).collect()
    };
    assert_eq!(keys[0], keys[1]);
    assert!(house.other().texts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_is_written_to_the_old_number_is_about_the_old_number() {
    let house = House::with(two()).await;
    let room = house.conversation().await;
    let swap = async |to: &str, name: &str, times: usize| {
        house
            .say(&room, ALICE, Message::text(format!("!sb swap {to}")))
            .await;
        let told = format!("From now on this conversation goes by {name}");
        let said = |hs: &FakeHomeserver| {
            let said = hs.said();
            (said.iter().filter(|said| said.contains(&told)).count() == times).then_some(())
        };
        house.homeserver.until(&told, said).await;
    };
    let wish = async |what: InboundMessage, told: &str, times: usize| {
        house.arrive(What::Network(Inbound::Message(what))).await;
        let said = |hs: &FakeHomeserver| {
            let said = hs.said();
            (said.iter().filter(|said| said.contains(told)).count() == times).then_some(())
        };
        house.homeserver.until(told, said).await;
    };
    let (stopped, started) = ("From now on nothing leaves", "wishes texts from this line again");
    wish(inbound(PHONE, "STOP"), stopped, 1).await;
    swap("other", "Other", 1).await;
    wish(inbound(PHONE, "START"), started, 1).await;
    swap("main", "Main", 1).await;
    let event = house.say(&room, ALICE, Message::text("welcome back")).await;
    crate::abuse::accepted_of(&house, &event).await;
    // The other way round: the new number's state says nothing of the old one.
    swap("other", "Other", 2).await;
    wish(by_other("STOP"), stopped, 2).await;
    wish(inbound(PHONE, "STOP"), stopped, 3).await;
    swap("main", "Main", 2).await;
    let event = house.say(&room, ALICE, Message::text("hello?")).await;
    crate::abuse::refused(&house, &event).await;
    assert_eq!(house.network.texts(), ["welcome back"]);
    assert!(house.other().texts().is_empty());
}
