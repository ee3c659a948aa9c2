//! Who can read: consent, no silent downgrade, keys, and the labels.

use crate::house::*;
use std::sync::Arc;
use swingbridge_domain::capability::Capabilities;
use swingbridge_domain::connector::{Accepted, SendError};
use swingbridge_domain::consent::{Downgrade, Rule};
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::message::*;
use swingbridge_domain::path::{Evidence, Leg, Path, Place, Protection, Scheme, Summary};
use swingbridge_engine::site::Site;

fn asking(rule: Rule) -> Site {
    let mut site = site();
    Arc::make_mut(&mut site.lines[0]).consent = rule;
    site.privacy.operator = Some("Example Ltd".into());
    site
}

fn with_way(mut site: Site, way: Vec<Leg>) -> Site {
    let able = Capabilities {
        way,
        ..Capabilities::default()
    };
    site.capabilities.insert(ConnectorId::new("carrier"), able);
    site
}

fn by_a_provider() -> Vec<Leg> {
    let provider = || Place::Provider("Example".into());
    vec![
        Leg::new(
            Place::Phone,
            provider(),
            Protection::None,
            Evidence::ReportedByProvider,
        ),
        Leg::new(
            provider(),
            Place::Gateway,
            Protection::Transport,
            Evidence::OurOwnEnd,
        ),
    ]
}

/// The events of the bot's questions, the latest last.
pub fn questions(hs: &FakeHomeserver) -> Vec<EventId> {
    let mut found = Vec::new();
    for action in hs.actions() {
        if let Action::React { event, .. } = action
            && found.last() != Some(&event)
        {
            found.push(event);
        }
    }
    found
}

pub async fn until_question(house: &House, count: usize) -> EventId {
    house
        .homeserver
        .until("a question with two reactions", |hs| {
            let reactions = hs
                .actions()
                .into_iter()
                .filter(|a| matches!(a, Action::React { .. }))
                .count();
            (reactions >= 2 * count).then(|| questions(hs)[count - 1].clone())
        })
        .await
}

pub fn reaction(to: &EventId, key: &str) -> Message {
    Message {
        in_reply_to: Some(Reference::Event(to.clone())),
        parts: vec![Part {
            disposition: Disposition::Reaction,
            body: Body::Text(Text {
                plain: key.into(),
                ..Text::default()
            }),
        }],
        ..Message::default()
    }
}

fn status_of(hs: &FakeHomeserver, event: &EventId) -> Option<SendStatus> {
    hs.statuses()
        .into_iter()
        .rev()
        .find(|status| &status.event == event)
}

#[tokio::test(flavor = "multi_thread")]
async fn before_consent_nothing_is_shown_and_nothing_leaves_and_both_wait() {
    let house = House::with(asking(Rule::Line)).await;
    house.text_in(PHONE, "hello from the phone").await;
    let asked = house.homeserver.until_said("Do you agree to that?").await;
    assert!(asked.contains("A text from +44 ••• 56 waits"), "{asked}");
    assert!(
        asked.contains("the phone carriers, this gateway (run by Example Ltd) and the homeserver can read"),
        "{asked}"
    );
    let question = until_question(&house, 1).await;
    let room = house.homeserver.rooms_made(RoomKind::Direct).len();
    assert_eq!(room, 1);
    let room = house.room().await;
    let event = house.say(&room, ALICE, Message::text("hello phone")).await;
    house.homeserver.until_said("It waits for your consent").await;
    assert_eq!(status_of(&house.homeserver, &event).unwrap().state, State::Held);
    assert!(house.network.texts().is_empty());
    assert!(
        !house
            .homeserver
            .said()
            .iter()
            .any(|said| said.contains("hello from the phone"))
    );

    // Waiting survives a crash, and the answer releases all of it, in order.
    let house = house.kill_and_restart_with(asking(Rule::Line)).await;
    house.say(&room, ALICE, reaction(&question, "✅\u{fe0f}")).await;
    house.network.until_sent(1).await;
    assert_eq!(house.network.texts(), ["hello phone"]);
    house.homeserver.until_said("contact: hello from the phone").await;
    let said = house.homeserver.said();
    let place = |part: &str| said.iter().position(|said| said.contains(part)).unwrap();
    assert!(place("not end-to-end encrypted; readable by") < place("contact: hello from the phone"));
    assert_eq!(
        said.iter().filter(|said| said.contains("Do you agree")).count(),
        1,
        "{said:#?}"
    );
    // Nothing more is asked on this line.
    house.text_in("+447700900457", "another phone").await;
    house.homeserver.until_said("contact: another phone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_declines_sends_nothing_until_they_agree() {
    let house = House::with(asking(Rule::Line)).await;
    house.text_in(PHONE, "kept sealed").await;
    let question = until_question(&house, 1).await;
    let room = house.room().await;
    house.say(&room, ALICE, Message::text("first")).await;
    house.homeserver.until_said("It waits for your consent").await;
    house.say(&room, ALICE, reaction(&question, "❌")).await;
    house.homeserver.until_said("You do not agree").await;
    house.homeserver.until_said("Not sent: you have not agreed").await;
    let event = house.say(&room, ALICE, Message::text("second")).await;
    house
        .homeserver
        .until("a refusal", |hs| {
            status_of(hs, &event).filter(|status| status.state == State::Rejected)
        })
        .await;
    house.say(&room, ALICE, Message::text("!sb consent give")).await;
    house.homeserver.until_said("contact: kept sealed").await;
    house.say(&room, ALICE, Message::text("third")).await;
    house.network.until_sent(1).await;
    assert_eq!(house.network.texts(), ["third"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_stops_at_once_what_has_not_left() {
    let house = House::with(asking(Rule::Line)).await;
    house.text_in(PHONE, "hi").await;
    let question = until_question(&house, 1).await;
    let room = house.room().await;
    house.say(&room, ALICE, reaction(&question, "👍")).await;
    house.homeserver.until_said("You agreed").await;
    *house.network.hang.lock().unwrap() = true;
    house.say(&room, ALICE, Message::text("in flight")).await;
    house.network.until_sent(1).await;
    let queued = house.say(&room, ALICE, Message::text("still queued")).await;
    house
        .say(&room, ALICE, Message::text("!sb consent withdraw"))
        .await;
    house
        .homeserver
        .until("the refusal of what was queued", |hs| {
            status_of(hs, &queued).filter(|status| status.state == State::Rejected)
        })
        .await;
    assert_eq!(house.network.texts(), ["in flight"]);
    house.text_in(PHONE, "not shown any more").await;
    until_question(&house, 2).await;
    house.text_in(PHONE, "nor this").await;
    house.homeserver.until_said("One more text waits").await;
    assert!(
        !house
            .homeserver
            .said()
            .iter()
            .any(|said| said.contains("not shown any more"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_retried_after_a_withdrawal_does_not_leave() {
    let house = House::with(asking(Rule::Line)).await;
    house.text_in(PHONE, "hi").await;
    let question = until_question(&house, 1).await;
    let room = house.room().await;
    house.say(&room, ALICE, reaction(&question, "✅")).await;
    house.homeserver.until_said("You agreed").await;
    let unknown = SendError::Unknown {
        detail: "the connection broke".into(),
    };
    house.network.answers.lock().unwrap().extend([Err(unknown)]);
    let uncertain = house.say(&room, ALICE, Message::text("uncertain")).await;
    house.homeserver.until_said("It is not known whether").await;
    house
        .say(&room, ALICE, Message::text("!sb consent withdraw"))
        .await;
    house.homeserver.until_said("You do not agree").await;
    house
        .say(&room, ALICE, Message::text(format!("!sb retry {uncertain}")))
        .await;
    house
        .homeserver
        .until("the refusal of the retry", |hs| {
            status_of(hs, &uncertain).filter(|status| status.state == State::Rejected)
        })
        .await;
    assert_eq!(house.network.texts(), ["uncertain"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_busy_network_gives_back_after_a_withdrawal_does_not_leave() {
    let house = House::with(asking(Rule::Line)).await;
    house.text_in(PHONE, "hi").await;
    let question = until_question(&house, 1).await;
    let room = house.room().await;
    house.say(&room, ALICE, reaction(&question, "✅")).await;
    house.homeserver.until_said("You agreed").await;
    let busy = SendError::RetryAfter {
        delay: std::time::Duration::from_secs(1),
        detail: "busy".into(),
        counts: false,
    };
    let answers = std::iter::repeat_n(Err(busy), 200);
    house.network.answers.lock().unwrap().extend(answers);
    let event = house.say(&room, ALICE, Message::text("comes back")).await;
    house.network.until_sent(1).await;
    house
        .say(&room, ALICE, Message::text("!sb consent withdraw"))
        .await;
    house
        .homeserver
        .until("a refusal", |hs| {
            status_of(hs, &event).filter(|status| status.state == State::Rejected)
        })
        .await;
    let sent = house.network.texts().len();
    house.advance(std::time::Duration::from_secs(5));
    house.say(&room, ALICE, Message::text("!sb ping")).await;
    house.homeserver.until_said("I am here").await;
    assert_eq!(house.network.texts().len(), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_asks_for_each_conversation_asks_in_each() {
    let house = House::with(asking(Rule::Conversation)).await;
    house.text_in(PHONE, "one").await;
    let first = until_question(&house, 1).await;
    let room = house.room().await;
    house.say(&room, ALICE, reaction(&first, "✅")).await;
    house.homeserver.until_said("contact: one").await;
    house.text_in("+447700900457", "two").await;
    until_question(&house, 2).await;
    assert!(!house.homeserver.said().iter().any(|said| said == "contact: two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_readers_are_asked_about_again_and_fewer_are_not() {
    let mut encrypted = asking(Rule::Line);
    encrypted.privacy.new_rooms = Protection::EndToEnd(Scheme::Megolm);
    let house = House::with(encrypted).await;
    house.text_in(PHONE, "one").await;
    let question = until_question(&house, 1).await;
    let room = house.room().await;
    let megolm = Protection::EndToEnd(Scheme::Megolm);
    let answer = |to: &EventId| RoomEventKind::Message(reaction(to, "✅"));
    house
        .happen_by(&room, ALICE, &EventId::new("$answer"), answer(&question), megolm)
        .await;
    house.homeserver.until_said("contact: one").await;
    // Encrypted: as agreed.
    let text = RoomEventKind::Message(Message::text("encrypted"));
    house
        .happen_by(&room, ALICE, &EventId::new("$e1"), text, megolm)
        .await;
    house.network.until_sent(1).await;
    // In the clear: the homeserver can read that one, which was not agreed to.
    house.say(&room, ALICE, Message::text("in the clear")).await;
    let asked = until_question(&house, 2).await;
    assert_eq!(house.network.texts(), ["encrypted"]);
    house.say(&room, ALICE, reaction(&asked, "✅")).await;
    // Agreed to be read, and still less protected than the one before: that is asked as well.
    house.homeserver.until_said("This would go less protected").await;
    let weaker = until_question(&house, 3).await;
    assert_eq!(house.network.texts(), ["encrypted"]);
    house.say(&room, ALICE, reaction(&weaker, "✅")).await;
    house.network.until_sent(2).await;
    assert_eq!(house.network.texts(), ["encrypted", "in the clear"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weaker_way_is_refused_or_told_as_the_rule_says_and_never_silent() {
    for (rule, sent) in [(Downgrade::Refuse, 1), (Downgrade::Tell, 2)] {
        let mut site = site();
        Arc::make_mut(&mut site.lines[0]).downgrade = rule;
        let house = House::with(site).await;
        let room = house.conversation().await;
        let megolm = Protection::EndToEnd(Scheme::Megolm);
        let text = |text: &str| RoomEventKind::Message(Message::text(text));
        house
            .happen_by(&room, ALICE, &EventId::new("$e1"), text("strong"), megolm)
            .await;
        house.network.until_sent(1).await;
        house.homeserver.until_said("the homeserver cannot read it").await;
        let told = house.homeserver.said().len();
        let event = house.say(&room, ALICE, Message::text("weak")).await;
        match rule {
            Downgrade::Refuse => {
                let refused = house
                    .homeserver
                    .until("a refusal", |hs| {
                        status_of(hs, &event).filter(|status| status.state == State::Rejected)
                    })
                    .await;
                assert!(refused.message.unwrap().contains("less protected"));
            }
            _ => {
                house.network.until_sent(2).await;
                house
                    .homeserver
                    .until("words before it", |hs| {
                        hs.said()[told..]
                            .iter()
                            .any(|said| said.contains("readable by the phone carriers"))
                            .then_some(())
                    })
                    .await;
            }
        }
        assert_eq!(house.network.texts().len(), sent);
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_downgrade_refuses_what_waited_and_a_rule_of_the_conversation_counts() {
    let house = House::new().await;
    let room = house.conversation().await;
    let megolm = Protection::EndToEnd(Scheme::Megolm);
    let text = |text: &str| RoomEventKind::Message(Message::text(text));
    house
        .happen_by(&room, ALICE, &EventId::new("$e1"), text("strong"), megolm)
        .await;
    house.network.until_sent(1).await;
    let event = house.say(&room, ALICE, Message::text("weak")).await;
    let question = until_question(&house, 1).await;
    house.say(&room, ALICE, reaction(&question, "❌")).await;
    house
        .homeserver
        .until("a refusal", |hs| {
            status_of(hs, &event).filter(|status| status.state == State::Rejected)
        })
        .await;
    house.say(&room, ALICE, Message::text("!sb policy tell")).await;
    house.homeserver.until_said("goes, and you are told before").await;
    house.say(&room, ALICE, Message::text("weak again")).await;
    house.network.until_sent(2).await;
    assert_eq!(house.network.texts(), ["strong", "weak again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_holds_what_is_sent_until_somebody_judges_it() {
    let mut trusting = with_way(site(), encrypted_way());
    trusting.privacy.new_rooms = Protection::EndToEnd(Scheme::Megolm);
    let house = House::with(trusting).await;
    let room = house.conversation().await;
    let seen = |fingerprint: &str| {
        What::Network(Inbound::Identity(Identity {
            connector: ConnectorId::new("carrier"),
            from: inbound(PHONE, "").from,
            to: inbound(PHONE, "").to,
            scheme: Scheme::Mls,
            fingerprint: fingerprint.into(),
        }))
    };
    let megolm = Protection::EndToEnd(Scheme::Megolm);
    let say = async |text: &str| {
        let event = EventId::new(format!("${}", text.replace(' ', "")));
        let what = RoomEventKind::Message(Message::text(text));
        house.happen_by(&room, ALICE, &event, what, megolm).await;
        event
    };
    house.arrive(seen("AAAA 1111")).await;
    say("trusted on first use").await;
    house.network.until_sent(1).await;
    house.arrive(seen("BBBB 2222")).await;
    let warned = house.homeserver.until_said("has changed").await;
    assert!(
        warned.contains("AAAA 1111") && warned.contains("BBBB 2222"),
        "{warned}"
    );
    let question = until_question(&house, 1).await;
    say("held").await;
    house
        .homeserver
        .until_said("It waits: the contact's key has changed")
        .await;
    assert_eq!(house.network.texts().len(), 1);
    house.say(&room, ALICE, reaction(&question, "✅")).await;
    house.network.until_sent(2).await;
    // A rejected one refuses, until the trusted one is back.
    house.arrive(seen("CCCC 3333")).await;
    until_question(&house, 2).await;
    house.say(&room, ALICE, Message::text("!sb pins reject")).await;
    house.homeserver.until_said("new key is not trusted").await;
    let event = say("to nobody").await;
    house
        .homeserver
        .until("a refusal", |hs| {
            status_of(hs, &event).filter(|status| status.state == State::Rejected)
        })
        .await;
    house.arrive(seen("BBBB 2222")).await;
    house.homeserver.until_said("is back with the key").await;
    say("to the contact").await;
    house.network.until_sent(3).await;
    assert_eq!(house.network.texts()[2], "to the contact");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_agreed_to_in_time_expires_with_words() {
    let mut short = asking(Rule::Line);
    short.privacy.hold = std::time::Duration::from_secs(3600);
    short.policy.validity = std::time::Duration::from_secs(600);
    let house = House::with(short).await;
    house.text_in(PHONE, "too late").await;
    until_question(&house, 1).await;
    let room = house.room().await;
    let event = house.say(&room, ALICE, Message::text("never sent")).await;
    house.homeserver.until_said("It waits for your consent").await;
    house.advance(std::time::Duration::from_secs(601));
    house
        .homeserver
        .until_said("waited for your word until its time was over")
        .await;
    assert_eq!(
        status_of(&house.homeserver, &event).unwrap().state,
        State::Expired
    );
    house.advance(std::time::Duration::from_secs(3600));
    house
        .homeserver
        .until_said("waited for your consent until its time was over")
        .await;
    assert!(house.network.texts().is_empty());
}

/// Whatever a network says of its legs: every bridged event in both directions has a label, and none is stronger than what it says.
#[tokio::test(flavor = "multi_thread")]
async fn every_bridged_event_is_labelled_and_no_label_is_stronger_than_its_evidence() {
    let leg = |protection, evidence| vec![Leg::new(Place::Phone, Place::Gateway, protection, evidence)];
    let mls = Protection::EndToEnd(Scheme::Mls);
    let provider = by_a_provider();
    let ways = [
        Vec::new(),
        sms_way(),
        encrypted_way(),
        provider,
        leg(mls, Evidence::None),
        leg(mls, Evidence::NetworkCannot),
        leg(Protection::Unknown, Evidence::None),
    ];
    for way in ways {
        for room_protection in [
            Protection::None,
            Protection::EndToEnd(Scheme::Megolm),
            Protection::Unknown,
        ] {
            let mut telling = site();
            Arc::make_mut(&mut telling.lines[0]).downgrade = Downgrade::Tell;
            let house = House::with(with_way(telling, way.clone())).await;
            let room = house.conversation().await;
            let text = RoomEventKind::Message(Message::text("out"));
            house
                .happen_by(&room, ALICE, &EventId::new("$out"), text, room_protection)
                .await;
            house.network.until_sent(1).await;
            let labelled = |hs: &FakeHomeserver| {
                let statuses = hs.statuses().into_iter();
                statuses
                    .filter(|status| status.state == State::Accepted)
                    .find_map(|status| status.path)
            };
            let out = house.homeserver.until("a label of what left", labelled).await;
            assert!(out.is_whole(), "{out:?}");
            let post = house
                .homeserver
                .actions()
                .into_iter()
                .find_map(|action| match action {
                    Action::Post(post) if matches!(post.sender, Sender::Ghost(_)) => Some(post),
                    _ => None,
                });
            let shown = post.unwrap().way;
            assert!(!shown.is_empty());
            let into_room = Path::new(shown.iter().cloned().chain(Path::to_client(
                Place::Gateway,
                room_protection,
                Protection::Transport,
            )));
            for path in [out, into_room] {
                let claims = matches!(path.summary(), Summary::EndToEnd | Summary::EndsAtDevice);
                assert!(!claims, "nothing ends on a device here: {path:?}");
                let to_client = matches!(room_protection, Protection::EndToEnd(_));
                assert_eq!(path.summary() == Summary::EndsAtGateway, to_client, "{path:?}");
                let proven = way
                    .iter()
                    .all(|leg| matches!(leg.proven(), Protection::EndToEnd(_)));
                let claimed = matches!(path.standing().network, Protection::EndToEnd(_));
                assert_eq!(claimed, proven && !way.is_empty(), "{path:?}");
            }
            house.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_went_another_way_says_so() {
    let house = House::new().await;
    let room = house.conversation().await;
    let event = house.say(&room, ALICE, Message::text("first")).await;
    let path = |event: EventId| {
        move |hs: &FakeHomeserver| {
            let statuses = hs.statuses().into_iter();
            statuses
                .filter(|status| status.event == event)
                .find_map(|status| status.path)
        }
    };
    let first = house.homeserver.until("the first label", path(event)).await;
    let way = by_a_provider();
    house.network.answers.lock().unwrap().push_back(Ok(Accepted {
        way,
        ..accepted(&["x"])
    }));
    let other = house.say(&room, ALICE, Message::text("second")).await;
    house.network.until_sent(2).await;
    let second = house
        .homeserver
        .until("the second label", path(other.clone()))
        .await;
    assert!(first.readers().contains(&&Place::Carrier));
    assert!(second.readers().contains(&&Place::Provider("Example".into())));
    house
        .say(&room, ALICE, Message::text(format!("!sb path {other}")))
        .await;
    let explained = house.homeserver.until_said("as the provider reports").await;
    assert!(explained.contains("your client → the homeserver"), "{explained}");
    assert!(
        explained.contains("Example → the contact's phone: not encrypted"),
        "{explained}"
    );
}
