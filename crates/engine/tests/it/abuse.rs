//! Opt-out, limits, destinations, quiet hours and machines that answer machines.

use crate::fallback::{both, rcs_inbound, unreachable};
use crate::house::*;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::audit::Entry;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::*;
use swingbridge_domain::consent::Downgrade;
use swingbridge_domain::delivery::State;
use swingbridge_domain::directory::Directory;
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::limits::*;
use swingbridge_domain::line::Line;
use swingbridge_domain::message::*;
use swingbridge_domain::store;
use swingbridge_engine::site::Site;

/// The site with another rule on its line.
fn with(change: impl FnOnce(&mut Line)) -> Site {
    let mut site = site();
    change(Arc::make_mut(&mut site.lines[0]));
    site
}

pub fn limited(change: impl FnOnce(&mut Limits)) -> Site {
    with(|line| change(&mut line.limits))
}

/// Waits until the event has this state; gives its words.
pub async fn until_state(house: &House, event: &EventId, state: State) -> String {
    let found = |hs: &FakeHomeserver| {
        hs.statuses()
            .into_iter()
            .find(|status| &status.event == event && status.state == state)
    };
    let status = house.homeserver.until(&format!("{state:?}"), found).await;
    status.message.unwrap_or_default()
}

pub async fn refused(house: &House, event: &EventId) -> String {
    until_state(house, event, State::Rejected).await
}

pub async fn accepted_of(house: &House, event: &EventId) {
    until_state(house, event, State::Accepted).await;
}

pub async fn say(house: &House, room: &RoomId, text: &str) -> EventId {
    house.say(room, ALICE, Message::text(text)).await
}

pub async fn log(house: &House) -> Vec<Entry> {
    let rows = store::run(house.store.as_ref(), |tables| tables.audit_rows(0, 999));
    let rows = rows.await.unwrap();
    rows.iter().map(|row| Entry::parse(row).unwrap()).collect()
}

fn notice(text: &str) -> Message {
    let mut message = Message::text(text);
    if let Some(Body::Text(text)) = message.parts.first_mut().map(|part| &mut part.body) {
        text.tone = Tone::Notice;
    }
    message
}

pub fn busy() -> Result<Accepted, SendError> {
    Err(SendError::RetryAfter {
        delay: Duration::from_secs(30),
        detail: "busy".into(),
        counts: false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn after_stop_nothing_leaves_and_after_start_it_does() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.text_in(PHONE, " Stop! ").await;
    let told = house.homeserver.until_said("asked for no more texts").await;
    assert!(told.contains("START"), "{told}");
    house.homeserver.until_said("contact:  Stop! ").await;
    let event = say(&house, &room, "hello?").await;
    let words = refused(&house, &event).await;
    assert!(words.contains("asked for no more texts"), "{words}");
    house.text_in(PHONE, "STOP").await;
    house.text_in(PHONE, "start").await;
    house
        .homeserver
        .until_said("wishes texts from this line again")
        .await;
    let event = say(&house, &room, "welcome back").await;
    accepted_of(&house, &event).await;
    assert_eq!(house.network.texts(), ["welcome back"]);
    let told = house.homeserver.said_by("bot").join("\n");
    assert_eq!(told.matches("From now on nothing leaves").count(), 1, "{told}");
    let kinds: Vec<String> = log(&house).await.into_iter().map(|entry| entry.what).collect();
    let of = |what: &str| kinds.iter().filter(|kind| *kind == what).count();
    assert_eq!((of("optout.set"), of("optout.lifted")), (1, 1));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_queued_before_stop_does_not_leave_after_it() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.network.answers.lock().unwrap().push_back(busy());
    let first = say(&house, &room, "first").await;
    house.network.until_sent(1).await;
    let second = say(&house, &room, "second").await;
    house.homeserver.until_said("Hello there").await;
    until_state(&house, &first, State::Queued).await;
    house.text_in(PHONE, "STOP").await;
    house.homeserver.until_said("From now on nothing leaves").await;
    // Their writer is told at once, and not when their turn would have come.
    for event in [&first, &second] {
        let words = refused(&house, event).await;
        assert!(words.contains("asked for no more texts"), "{words}");
    }
    house.advance(Duration::from_secs(31));
    house.text_in(PHONE, "START").await;
    house
        .homeserver
        .until_said("wishes texts from this line again")
        .await;
    accepted_of(&house, &say(&house, &room, "third").await).await;
    assert_eq!(
        house.network.texts(),
        ["first", "third"],
        "the first one was tried once, before STOP"
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_and_what_waited_before_it_outlive_a_crash_and_a_new_name_of_the_line() {
    // What a line does not enforce is remembered: it counts when it does, from the next text that is to leave.
    let house = House::with(with(|line| line.opt_out.rule = OptOutRule::Show)).await;
    let room = house.conversation().await;
    house.network.answers.lock().unwrap().push_back(busy());
    let waits = say(&house, &room, "waits").await;
    until_state(&house, &waits, State::Queued).await;
    house.text_in(PHONE, "unsubscribe").await;
    house.homeserver.until_said("does not enforce").await;
    let renamed = with(|line| {
        line.id = LineId::new("office");
        line.name = "Office".into();
    });
    let house = house.kill_and_restart_with(renamed).await;
    house.advance(Duration::from_secs(31));
    refused(&house, &waits).await;
    let event = say(&house, &room, "after the start").await;
    refused(&house, &event).await;
    assert!(house.network.texts().is_empty());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_shown_only_people_decide() {
    let house = House::with(with(|line| line.opt_out.rule = OptOutRule::Show)).await;
    let room = house.conversation().await;
    house.text_in(PHONE, "STOP").await;
    let told = house.homeserver.until_said("asked for no more texts").await;
    assert!(told.contains("does not enforce"), "{told}");
    let event = say(&house, &room, "are you sure?").await;
    accepted_of(&house, &event).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_networks_word_counts_like_the_contacts_own() {
    let house = House::new().await;
    let room = house.conversation().await;
    let address = |text: &str| NetworkAddress {
        text: text.into(),
        hint: Default::default(),
    };
    let preference = |wanted| {
        What::Network(Inbound::Preference(Preference {
            connector: ConnectorId::new("carrier"),
            from: address(PHONE),
            to: address(LINE),
            wanted,
        }))
    };
    house.arrive(preference(false)).await;
    house.homeserver.until_said("The network says that").await;
    let event = say(&house, &room, "hello?").await;
    refused(&house, &event).await;
    house.arrive(preference(true)).await;
    house
        .homeserver
        .until_said("wishes texts from this line again")
        .await;
    let event = say(&house, &room, "hello").await;
    accepted_of(&house, &event).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_counts_for_both_lines_that_a_conversation_goes_by() {
    let house = House::with(both(Downgrade::Tell)).await;
    house
        .arrive(What::Network(Inbound::Message(rcs_inbound("Hello by RCS"))))
        .await;
    house.homeserver.until_said("Hello by RCS").await;
    let room = room_of(&house.homeserver, "Hello by RCS").unwrap();
    let agent = house.rcs.clone().unwrap();
    agent.answer(Err(unreachable()));
    say(&house, &room, "one").await;
    house.network.until_sent(1).await;
    // To the number that it came from.
    house.text_in(PHONE, "STOP").await;
    house.homeserver.until_said("From now on nothing leaves").await;
    let words = refused(&house, &say(&house, &room, "two").await).await;
    assert!(words.contains("asked for no more texts"), "{words}");
    let house = house.kill_and_restart_with(both(Downgrade::Tell)).await;
    refused(&house, &say(&house, &room, "three").await).await;
    assert!(house.network.texts().is_empty());
    assert!(house.rcs.as_ref().unwrap().texts().is_empty());
    house
        .arrive(What::Network(Inbound::Message(rcs_inbound("START"))))
        .await;
    house
        .homeserver
        .until_said("wishes texts from this line again")
        .await;
    accepted_of(&house, &say(&house, &room, "four").await).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_network_answered_is_not_answered_again() {
    let house = House::with(with(|line| {
        line.opt_out.confirm_stop = Some("No more texts from us.".into());
        line.opt_out.help = Some("This is the help.".into());
    }))
    .await;
    let room = house.conversation().await;
    for text in ["HELP", "STOP"] {
        house
            .arrive(What::Network(Inbound::Message(InboundMessage {
                answered: true,
                ..inbound(PHONE, text)
            })))
            .await;
    }
    house.homeserver.until_said("From now on nothing leaves").await;
    refused(&house, &say(&house, &room, "hello?").await).await;
    house.text_in(PHONE, "START").await;
    accepted_of(&house, &say(&house, &room, "hello").await).await;
    assert_eq!(house.network.texts(), ["hello"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_and_signs_of_writing_are_no_way_around_a_wish() {
    let mut site = site();
    site.capabilities.insert(
        ConnectorId::new("carrier"),
        Capabilities {
            networks: vec!["rcs".into()],
            typing: Support::Full,
            reactions: Support::Full,
            names_messages: true,
            way: sms_way(),
            ..Capabilities::default()
        },
    );
    let house = House::with(site).await;
    house
        .arrive(What::Network(Inbound::Message(InboundMessage {
            network_id: Some(NetworkId::new("theirs")),
            ..inbound(PHONE, "look")
        })))
        .await;
    let room = house.room().await;
    let said = |hs: &FakeHomeserver| hs.said().iter().any(|said| said == "contact: look").then_some(());
    house.homeserver.until("the text", said).await;
    let typing = |active| RoomEventKind::Typing { active };
    house.happen(&room, ALICE, &new_event(), typing(true)).await;
    house.network.until_signalled(SignalKind::Typing(true)).await;
    house.text_in(PHONE, "stop").await;
    house.homeserver.until_said("asked for no more texts").await;
    house.happen(&room, ALICE, &new_event(), typing(false)).await;
    let shown = house
        .homeserver
        .until("its event", |hs| {
            let done = hs.done.lock().unwrap();
            let at = done
                .iter()
                .position(|(_, action)| matches!(action, Action::Post(post) if post.text.plain == "look"))?;
            Some(EventId::new(format!("$done{at}")))
        })
        .await;
    let mut reaction = Message::text("👍");
    reaction.parts[0].disposition = Disposition::Reaction;
    reaction.in_reply_to = Some(Reference::Event(shown));
    let event = house.say(&room, ALICE, reaction).await;
    let words = refused(&house, &event).await;
    assert!(words.contains("asked for no more texts"), "{words}");
    assert!(house.network.texts().is_empty());
    assert_eq!(house.network.signals.lock().unwrap().len(), 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_is_confirmed_once_and_help_is_answered_where_that_is_configured() {
    let house = House::with(with(|line| {
        line.opt_out.confirm_stop = Some("You get no more texts from us. START ends that.".into());
        line.opt_out.confirm_start = Some("You get our texts again.".into());
        line.opt_out.help = Some("Example Ltd, 020 7946 0000".into());
    }))
    .await;
    house.conversation().await;
    house.text_in(PHONE, "HELP").await;
    house.network.until_sent(1).await;
    house.text_in(PHONE, "STOP").await;
    house.network.until_sent(2).await;
    house.text_in(PHONE, "STOP").await;
    house.text_in(PHONE, "START").await;
    house.network.until_sent(3).await;
    assert_eq!(
        house.network.texts(),
        [
            "Example Ltd, 020 7946 0000",
            "You get no more texts from us. START ends that.",
            "You get our texts again."
        ]
    );
    // It stands in the room, with its fate.
    let said = house
        .homeserver
        .until_said("Answered by this gateway itself: You get no more")
        .await;
    assert!(said.starts_with("bot: "), "{said}");
    house
        .homeserver
        .until("three states", |hs| {
            let accepted = hs.statuses().into_iter().filter(|s| s.state == State::Accepted);
            (accepted.count() >= 3).then_some(())
        })
        .await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_answers_our_answers_is_not_answered_for_ever() {
    let house = House::with(with(|line| line.opt_out.help = Some("This is the help.".into()))).await;
    let room = house.conversation().await;
    for _ in 0..3 {
        house.text_in(PHONE, "Info").await;
    }
    house.network.until_sent(3).await;
    let house = {
        // What was counted outlives a crash.
        let site = with(|line| line.opt_out.help = Some("This is the help.".into()));
        house.kill_and_restart_with(site).await
    };
    for _ in 0..4 {
        house.text_in(PHONE, "Info").await;
    }
    house.homeserver.until_said("it stops that").await;
    assert!(house.network.texts().is_empty());
    let told = house.homeserver.said_by("bot").join("\n");
    assert_eq!(told.matches("it stops that").count(), 1, "{told}");
    house.advance(Duration::from_secs(601));
    house.text_in(PHONE, "Info").await;
    house.network.until_sent(1).await;
    let _ = room;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_talks_to_a_machine_is_stopped_until_a_person_writes() {
    let house = House::with(limited(|limits| limits.loops.exchanges = 2)).await;
    let room = house.conversation().await;
    for n in 0..2 {
        let event = house.say(&room, ALICE, notice(&format!("bot {n}"))).await;
        accepted_of(&house, &event).await;
    }
    let third = house.say(&room, ALICE, notice("bot 2")).await;
    let words = refused(&house, &third).await;
    assert!(words.contains("limits.loops"), "{words}");
    house.advance(Duration::from_secs(1));
    let fourth = house.say(&room, ALICE, notice("bot 3")).await;
    refused(&house, &fourth).await;
    let told = house.homeserver.said_by("bot: Not sent: a machine seems").len();
    assert_eq!(told, 1, "the room is told once");
    house.advance(Duration::from_secs(1));
    let person = say(&house, &room, "it is me").await;
    accepted_of(&house, &person).await;
    house.advance(Duration::from_secs(1));
    let again = house.say(&room, ALICE, notice("bot 4")).await;
    accepted_of(&house, &again).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_text_over_and_over_stops_a_bot_too() {
    let house = House::new().await;
    let room = house.conversation().await;
    for n in 0..4 {
        house.advance(Duration::from_secs(1));
        let event = house.say(&room, ALICE, notice(&format!("bot {n}"))).await;
        accepted_of(&house, &event).await;
        if n > 0 {
            house.text_in(PHONE, "I am on holiday").await;
        }
    }
    house.advance(Duration::from_secs(1));
    let event = house.say(&room, ALICE, notice("bot again")).await;
    let words = refused(&house, &event).await;
    assert!(words.contains("a machine seems to answer"), "{words}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_see_who_opted_out_and_end_it_for_a_reason() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.text_in(PHONE, "STOP").await;
    house.homeserver.until_said("asked for no more texts").await;
    say(&house, &room, "!sb optouts").await;
    house.homeserver.until_said("Only admins of this gateway").await;
    house.say(&room, BOB, Message::text("!sb optouts")).await;
    let list = house.homeserver.until_said("main/").await;
    assert!(list.contains("+44 ••• 56") && !list.contains("900456"), "{list}");
    house.say(&room, BOB, Message::text("!sb optouts lift")).await;
    house.homeserver.until_said("That is written like this").await;
    let named = list
        .split("• ")
        .nth(1)
        .unwrap()
        .split(':')
        .next()
        .unwrap()
        .to_owned();
    house
        .say(
            &room,
            BOB,
            Message::text(format!("!sb optouts lift {named} she asked by mail")),
        )
        .await;
    house
        .homeserver
        .until_said("ended this contact's opt-out: she asked by mail")
        .await;
    let lifted = log(&house)
        .await
        .into_iter()
        .find(|entry| entry.what == "optout.lifted")
        .unwrap();
    assert_eq!(
        (lifted.who.as_str(), lifted.detail.as_str()),
        (BOB, "she asked by mail")
    );
    let event = say(&house, &room, "hello").await;
    accepted_of(&house, &event).await;
    house
        .say(&room, BOB, Message::text("!sb optouts lift once more"))
        .await;
    house
        .homeserver
        .until_said("has not opted out of that line")
        .await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_fit_into_a_day_are_refused_and_a_restart_forgets_none() {
    let rule = || limited(|limits| limits.user.day = Some(2));
    let house = House::with(rule()).await;
    let room = house.conversation().await;
    let first = say(&house, &room, "one").await;
    accepted_of(&house, &first).await;
    let house = house.kill_and_restart_with(rule()).await;
    let second = say(&house, &room, "two").await;
    accepted_of(&house, &second).await;
    for _ in 0..2 {
        let third = say(&house, &room, "three").await;
        let words = refused(&house, &third).await;
        for part in [
            "in one day (2) you have sent",
            "limits.user.day",
            "2027-01-16T00:00:00Z",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }
    let over: Vec<Entry> = log(&house)
        .await
        .into_iter()
        .filter(|entry| entry.detail == "over limits.user.day")
        .collect();
    assert_eq!(over.len(), 1, "whoever tries on and on fills no log");
    house.advance(Duration::from_secs(24 * 3600));
    let next_day = say(&house, &room, "three").await;
    accepted_of(&house, &next_day).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_contacts_and_of_lines_count_apart() {
    let house = House::with(limited(|limits| {
        limits.contact.hour = Some(1);
        limits.line.hour = Some(2);
    }))
    .await;
    let room = house.conversation().await;
    house.text_in("+447700900457", "and me").await;
    house.homeserver.until_said("and me").await;
    let other = room_of(&house.homeserver, "and me").unwrap();
    accepted_of(&house, &say(&house, &room, "one").await).await;
    let words = refused(&house, &say(&house, &room, "two").await).await;
    assert!(
        words.contains("to this contact") && words.contains("limits.contact.hour"),
        "{words}"
    );
    accepted_of(&house, &say(&house, &other, "three").await).await;
    house.text_in("+447700900458", "and I").await;
    house.homeserver.until_said("and I").await;
    let third = room_of(&house.homeserver, "and I").unwrap();
    let words = refused(&house, &say(&house, &third, "four").await).await;
    assert!(words.contains("limits.line.hour"), "{words}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_fit_into_a_minute_wait_in_their_order_also_over_a_restart() {
    let rule = || limited(|limits| limits.line.minute = Some(1));
    let house = House::with(rule()).await;
    let room = house.conversation().await;
    let events = [
        say(&house, &room, "one").await,
        say(&house, &room, "two").await,
        say(&house, &room, "three").await,
    ];
    accepted_of(&house, &events[0]).await;
    let words = until_state(&house, &events[1], State::Queued).await;
    assert!(words.contains("limits.line.minute"), "{words}");
    let house = house.kill_and_restart_with(rule()).await;
    // A fourth one finds the minutes taken.
    let fourth = say(&house, &room, "four").await;
    until_state(&house, &fourth, State::Queued).await;
    assert!(house.network.texts().is_empty());
    for (count, event) in [(1, &events[1]), (2, &events[2]), (3, &fourth)] {
        house.advance(Duration::from_secs(60));
        accepted_of(&house, event).await;
        assert_eq!(house.network.texts().len(), count);
    }
    assert_eq!(house.network.texts(), ["two", "three", "four"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_too_many_parts_is_refused() {
    let house = House::with(limited(|limits| limits.parts = Some(2))).await;
    let room = house.conversation().await;
    accepted_of(&house, &say(&house, &room, &"x".repeat(306)).await).await;
    let words = refused(&house, &say(&house, &room, &"x".repeat(307)).await).await;
    assert!(
        words.contains("3 parts, and 2 are allowed") && words.contains("limits.parts"),
        "{words}"
    );
    // Other letters need more room.
    refused(&house, &say(&house, &room, &"ж".repeat(150)).await).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_spends_no_more_than_it_may() {
    let rule = || {
        limited(|limits| {
            limits.spend_day = Some(Price(100_000));
            limits.prices = vec![("+44".into(), Price(40_000)), ("+1".into(), Price(10_000))];
            limits.currency = "EUR".into();
        })
    };
    let house = House::with(rule()).await;
    let room = house.conversation().await;
    accepted_of(&house, &say(&house, &room, "one part").await).await;
    let words = refused(&house, &say(&house, &room, &"x".repeat(161)).await).await;
    for part in [
        "would cost 0.08 EUR",
        "more than 0.10 EUR in one day",
        "limits.spend.day",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let house = house.kill_and_restart_with(rule()).await;
    accepted_of(&house, &say(&house, &room, "one more").await).await;
    refused(&house, &say(&house, &room, "and one").await).await;
    house.text_in("+4930123456", "hallo").await;
    house.homeserver.until_said("hallo").await;
    let berlin = room_of(&house.homeserver, "hallo").unwrap();
    let words = refused(&house, &say(&house, &berlin, "hallo").await).await;
    assert!(words.contains("no price for this number"), "{words}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_numbers_are_not_texted() {
    let house = House::with(limited(|limits| {
        limits.countries = Some(vec!["GB".parse().unwrap()]);
        limits.denied = vec!["+4477009009".into(), "777".into()];
    }))
    .await;
    for (from, expected) in [
        ("+4930123456", "a country (DE) that may not be texted"),
        ("+449098790000", "premium or shared-cost"),
        ("+447700900999", "numbers of this range"),
        ("77712", "numbers of this range"),
    ] {
        let hello = format!("hello from {expected} {}", &from[from.len() - 2..]);
        house.text_in(from, &hello).await;
        house.homeserver.until_said(&hello).await;
        let room = room_of(&house.homeserver, &hello).unwrap();
        let words = refused(&house, &say(&house, &room, "hello").await).await;
        assert!(words.contains(expected) && words.contains("`limits."), "{words}");
    }
    let room = house.conversation().await;
    accepted_of(&house, &say(&house, &room, "hello").await).await;
    let denied = log(&house).await;
    let denied = denied
        .iter()
        .filter(|entry| entry.what == "policy.applied" && entry.who == ALICE);
    assert_eq!(denied.count(), 4);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_not_sent_where_names_do_not_arrive() {
    let house = House::with(with(|line| line.address = Address::Name("ACME".into()))).await;
    for (from, goes) in [("+12125550123", false), (PHONE, true)] {
        house.text_in(from, from).await;
        house.homeserver.until_said(from).await;
        let room = room_of(&house.homeserver, from).unwrap();
        let event = say(&house, &room, "hello").await;
        match goes {
            true => accepted_of(&house, &event).await,
            false => {
                let words = refused(&house, &event).await;
                assert!(words.contains("names do not arrive in US"), "{words}");
            }
        }
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_line_keeps_quiet_at_night_where_the_phone_is_from() {
    let rule = || limited(|limits| limits.bulk = true);
    let house = House::with(rule()).await;
    let room = house.conversation().await;
    // It is eight in the morning in London, and the middle of the night in New York.
    assert_eq!(house.clock.now().to_string(), "2027-01-15T08:00:00Z");
    accepted_of(&house, &say(&house, &room, "good morning").await).await;
    house.text_in("+12125550123", "hi").await;
    house.homeserver.until_said("contact: hi").await;
    let new_york = room_of(&house.homeserver, "hi").unwrap();
    let waits = say(&house, &new_york, "news").await;
    let words = until_state(&house, &waits, State::Queued).await;
    // Eight in the morning in Los Angeles, which its number does not tell it from.
    assert!(words.contains("until 2027-01-15T16:00:00Z"), "{words}");
    assert!(words.contains("limits.quiet_hours"), "{words}");
    house
        .homeserver
        .until_said("Waiting until 2027-01-15T16:00:00Z")
        .await;
    let house = house.kill_and_restart_with(rule()).await;
    house.advance(Duration::from_secs(8 * 3600 - 1));
    let evening = say(&house, &room, "still day in London").await;
    accepted_of(&house, &evening).await;
    assert_eq!(house.network.texts(), ["still day in London"]);
    house.advance(Duration::from_secs(1));
    accepted_of(&house, &waits).await;
    house.advance(Duration::from_secs(5 * 3600));
    let night = say(&house, &room, "good night").await;
    let words = until_state(&house, &night, State::Queued).await;
    assert!(words.contains("until 2027-01-16T08:00:00Z"), "{words}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emergency_numbers_are_refused_at_every_door() {
    let house = House::new().await;
    let room = house.conversation().await;
    for number in ["999", "9-1-1", "112#", "\u{ff19}\u{ff19}\u{ff19}", "tel:112"] {
        house
            .say(&room, ALICE, Message::text(format!("!sb start-chat {number}")))
            .await;
        house
            .homeserver
            .until_said(&format!("{number:?}: this is an emergency number"))
            .await;
        for create in [false, true] {
            let alice = UserId::new(ALICE);
            let found = house.engine.resolve(Some(&alice), None, number, create).await;
            let error = found.unwrap_err().to_string();
            assert!(error.contains("emergency number"), "{error}");
        }
    }
    // A network may give it as a sender all the same.
    house.text_in("999", "this is the network").await;
    house.homeserver.until_said("this is the network").await;
    let strange = room_of(&house.homeserver, "this is the network").unwrap();
    let words = refused(&house, &say(&house, &strange, "help").await).await;
    assert!(words.contains("call it from a phone, now"), "{words}");
    assert!(house.network.texts().is_empty());
    house.stop().await;
}

/// Whoever wrote last before a text, STOP or START, decides on it, whatever crashes between.
#[tokio::test(flavor = "multi_thread")]
async fn in_any_order_the_last_word_counts() {
    for seed in 1u64..=6 {
        let mut random = seed;
        let mut next = |below: u64| {
            // Numerical Recipes' generator: enough to shuffle.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut house = House::new().await;
        let room = house.conversation().await;
        let (mut stopped, mut sent) = (false, Vec::new());
        for step in 0..24 {
            match next(6) {
                0 => {
                    house.text_in(PHONE, "stop").await;
                    stopped = true;
                }
                1 => {
                    house.text_in(PHONE, "START").await;
                    stopped = false;
                }
                2 if next(3) == 0 => {
                    assert_eq!(house.network.texts(), sent, "seed {seed}, step {step}");
                    sent.clear();
                    house = house.kill_and_restart().await;
                }
                _ => {
                    let text = format!("text {step}");
                    let event = say(&house, &room, &text).await;
                    if stopped {
                        refused(&house, &event).await;
                    } else {
                        accepted_of(&house, &event).await;
                        sent.push(text);
                    }
                }
            }
        }
        assert_eq!(house.network.texts(), sent, "seed {seed}");
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tapped_button_ends_texts_only_where_it_says_nothing_else() {
    let house = House::with(with(|line| line.opt_out.help = Some("This is the help.".into()))).await;
    let room = house.conversation().await;
    let tap = |text: &str| {
        What::Network(Inbound::Message(InboundMessage {
            tapped: true,
            ..inbound(PHONE, text)
        }))
    };
    for text in ["Cancel", "END", "Info"] {
        house.arrive(tap(text)).await;
        house.homeserver.until_said(&format!("contact: {text}")).await;
    }
    accepted_of(&house, &say(&house, &room, "cancelled").await).await;
    assert_eq!(
        house.network.texts(),
        ["cancelled"],
        "nothing was answered by itself"
    );
    house.arrive(tap("STOP")).await;
    house.homeserver.until_said("From now on nothing leaves").await;
    refused(&house, &say(&house, &room, "hello?").await).await;
    house.arrive(tap("Start")).await;
    house
        .homeserver
        .until_said("wishes texts from this line again")
        .await;
    accepted_of(&house, &say(&house, &room, "hello").await).await;
    house.stop().await;
}

/// A network that carries groups, and names each by the numbers of its members.
fn with_groups(change: impl FnOnce(&mut Limits)) -> Site {
    let mut site = limited(change);
    site.capabilities.insert(
        ConnectorId::new("carrier"),
        Capabilities {
            networks: vec!["sms".into()],
            groups: Support::Full,
            way: sms_way(),
            ..Capabilities::default()
        },
    );
    site
}

async fn group_room(house: &House, thread: &str, text: &str) -> RoomId {
    let message = InboundMessage {
        group: Some(Group {
            thread: NetworkId::new(thread),
            formerly: Vec::new(),
            name: None,
            members: Vec::new(),
        }),
        ..inbound(PHONE, text)
    };
    house.arrive(What::Network(Inbound::Message(message))).await;
    house.homeserver.until(text, |hs| room_of(hs, text)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_has_the_default_price_and_not_that_of_one_member() {
    let house = House::with(with_groups(|limits| {
        limits.spend_day = Some(Price(100_000));
        limits.prices = vec![("".into(), Price(90_000)), ("+44".into(), Price(10_000))];
    }))
    .await;
    let thread = "+447700900456,+447700900457";
    let room = group_room(&house, thread, "hello all").await;
    accepted_of(&house, &say(&house, &room, "one").await).await;
    let words = refused(&house, &say(&house, &room, "two").await).await;
    assert!(words.contains("would cost 0.09"), "{words}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_no_way_to_numbers_that_are_not_texted() {
    let house = House::with(with_groups(|limits| {
        limits.countries = Some(vec!["GB".parse().unwrap()]);
        limits.denied = vec!["+4477009009".into()];
    }))
    .await;
    for (thread, expected) in [
        (
            "+447700900456,+4930123456",
            "a country (DE) that may not be texted",
        ),
        ("+449098790000, +447700900456", "premium or shared-cost"),
        ("+447700900456,+447700900999", "numbers of this range"),
    ] {
        let room = group_room(&house, thread, &format!("hello {expected}")).await;
        let words = refused(&house, &say(&house, &room, "hello").await).await;
        assert!(words.contains(expected) && words.contains("`limits."), "{words}");
    }
    for thread in ["+447700900456,+447700900457", "a1b2c3"] {
        let room = group_room(&house, thread, &format!("welcome {thread}")).await;
        accepted_of(&house, &say(&house, &room, "hello").await).await;
    }
    house.stop().await;
}
