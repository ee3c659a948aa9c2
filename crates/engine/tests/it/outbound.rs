use crate::house::*;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::capability::Capabilities;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::consent::Rule;
use swingbridge_domain::delivery::{Outcome, Reason, State};
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::message::*;
use swingbridge_domain::store::{self, MessageRecord};

fn status_of(homeserver: &FakeHomeserver, event: &EventId, state: State) -> Option<SendStatus> {
    homeserver
        .statuses()
        .into_iter()
        .find(|status| &status.event == event && status.state == state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_leaves_and_its_sender_sees_how_far_it_came() {
    let house = House::new().await;
    let room = house.conversation().await;
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &event, State::Accepted))
        .await;
    assert_eq!(house.network.texts(), ["Hi"]);
    let sent = house.network.sent.lock().unwrap()[0].clone();
    assert_eq!((sent.from.full(), sent.to[0].full()), (LINE, PHONE));
    let marked = |hs: &FakeHomeserver| {
        hs.actions()
            .into_iter()
            .find(|action| matches!(action, Action::MarkRead { event: e, .. } if e == &event))
    };
    house.homeserver.until("the bot's read receipt", marked).await;
    house.receipt_in(&["n1"], Outcome::Delivered).await;
    let delivered = house
        .homeserver
        .until("delivered", |hs| status_of(hs, &event, State::Delivered))
        .await;
    assert!(delivered.delivered_to.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_marked_as_read_also_where_its_status_is_refused_or_comes_late() {
    for (failure, status_follows) in [
        (
            PerformError::Refused {
                code: "M_FORBIDDEN".into(),
                detail: "no such events here".into(),
            },
            false,
        ),
        (
            PerformError::Later {
                delay: Some(Duration::ZERO),
                detail: "busy".into(),
            },
            true,
        ),
    ] {
        let house = House::new().await;
        let room = house.conversation().await;
        house.homeserver.failures.lock().unwrap().push_back(failure);
        let event = house.say(&room, ALICE, Message::text("Hi")).await;
        let is_mark = |action: &Action| matches!(action, Action::MarkRead { event: e, .. } if e == &event);
        house
            .homeserver
            .until("the bot's read receipt", |hs| {
                hs.actions().into_iter().find(is_mark)
            })
            .await;
        let status = status_of(&house.homeserver, &event, State::Accepted);
        assert_eq!(status.is_some(), status_follows);
        let marks = house
            .homeserver
            .actions()
            .iter()
            .filter(|action| is_mark(action))
            .count();
        assert_eq!(marks, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_is_faster_than_the_answer_counts() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.receipt_in(&["other", "n1"], Outcome::Delivered).await;
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house
        .homeserver
        .until("delivered", |hs| status_of(hs, &event, State::Delivered))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_many_parts_is_delivered_when_all_are() {
    let house = House::new().await;
    let room = house.conversation().await;
    house
        .network
        .answers
        .lock()
        .unwrap()
        .push_back(Ok(accepted(&["a", "b", "c"])));
    let event = house.say(&room, ALICE, Message::text("long")).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &event, State::Accepted))
        .await;
    for id in ["b", "a"] {
        house.receipt_in(&[id], Outcome::Delivered).await;
    }
    house.text_in(PHONE, "marker").await;
    house.homeserver.until_said("marker").await;
    assert_eq!(status_of(&house.homeserver, &event, State::Delivered), None);
    house.receipt_in(&["c"], Outcome::Delivered).await;
    house
        .homeserver
        .until("delivered", |hs| status_of(hs, &event, State::Delivered))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_receipt_for_many_parts_is_enough_after_a_while() {
    let house = House::new().await;
    let room = house.conversation().await;
    house
        .network
        .answers
        .lock()
        .unwrap()
        .push_back(Ok(accepted(&["a", "b"])));
    let event = house.say(&room, ALICE, Message::text("long")).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &event, State::Accepted))
        .await;
    house.receipt_in(&["a"], Outcome::Delivered).await;
    house.text_in(PHONE, "marker").await;
    house.homeserver.until_said("marker").await;
    house.advance(Duration::from_secs(121));
    house
        .homeserver
        .until("delivered", |hs| status_of(hs, &event, State::Delivered))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failed_part_fails_the_message_in_words() {
    let house = House::new().await;
    let room = house.conversation().await;
    house
        .network
        .answers
        .lock()
        .unwrap()
        .push_back(Ok(accepted(&["a", "b"])));
    let event = house.say(&room, ALICE, Message::text("long")).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &event, State::Accepted))
        .await;
    house.receipt_in(&["b"], Outcome::Rejected).await;
    house
        .homeserver
        .until("rejected", |hs| status_of(hs, &event, State::Rejected))
        .await;
    house.homeserver.until_said("bot: Not delivered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_text_is_said_and_not_sent_again() {
    let house = House::new().await;
    let room = house.conversation().await;
    let refusal = SendError::Rejected {
        reason: Reason::BadAddress,
        detail: "invalid destination".into(),
    };
    house.network.answers.lock().unwrap().push_back(Err(refusal));
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    let status = house
        .homeserver
        .until("rejected", |hs| status_of(hs, &event, State::Rejected))
        .await;
    assert!(!status.retriable);
    house
        .homeserver
        .until_said("this number cannot be reached (invalid destination)")
        .await;
    assert_eq!(house.network.texts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_network_is_waited_for_in_order() {
    let house = House::new().await;
    let room = house.conversation().await;
    for _ in 0..8 {
        let later = SendError::RetryAfter {
            delay: Duration::ZERO,
            detail: "throttled".into(),
            counts: false,
        };
        house.network.answers.lock().unwrap().push_back(Err(later));
    }
    house.say(&room, ALICE, Message::text("one")).await;
    let last = house.say(&room, ALICE, Message::text("two")).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &last, State::Accepted))
        .await;
    let texts = house.network.texts();
    assert_eq!(texts.len(), 10);
    assert!(texts[..9].iter().all(|text| text == "one"), "{texts:?}");
    assert_eq!(texts[9], "two");
    let pending = house
        .homeserver
        .statuses()
        .into_iter()
        .filter(|status| status.state == State::Queued)
        .count();
    assert_eq!(pending, 1, "the sender is told once that it takes longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_network_is_given_up_after_some_tries_and_the_user_may_retry() {
    let house = House::new().await;
    let room = house.conversation().await;
    for _ in 0..5 {
        let fault = SendError::RetryAfter {
            delay: Duration::ZERO,
            detail: "system error".into(),
            counts: true,
        };
        house.network.answers.lock().unwrap().push_back(Err(fault));
    }
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house
        .homeserver
        .until_said("Not sent after 5 tries: system error")
        .await;
    let retry = Message {
        in_reply_to: Some(Reference::Event(event.clone())),
        ..Message::text("!sb retry")
    };
    house.say(&room, ALICE, retry).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &event, State::Accepted))
        .await;
    assert_eq!(house.network.texts().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_fate_is_said_and_only_the_user_sends_again() {
    let house = House::new().await;
    let room = house.conversation().await;
    house
        .network
        .answers
        .lock()
        .unwrap()
        .push_back(Err(SendError::Unknown {
            detail: "the connection was lost".into(),
        }));
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    let status = house
        .homeserver
        .until("uncertain", |hs| status_of(hs, &event, State::Uncertain))
        .await;
    assert!(status.retriable);
    house
        .homeserver
        .until_said("It is not known whether this was sent: the connection was lost")
        .await;
    // The next text is not held up, and the doubtful one is not sent again by itself.
    house.say(&room, ALICE, Message::text("next")).await;
    house.network.until_sent(2).await;
    assert_eq!(house.network.texts(), ["Hi", "next"]);
    let retry = Message {
        in_reply_to: Some(Reference::Event(event.clone())),
        ..Message::text("!sb retry")
    };
    house.say(&room, ALICE, retry).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &event, State::Accepted))
        .await;
    assert_eq!(house.network.texts(), ["Hi", "next", "Hi"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_could_not_leave_in_time_does_not_leave_days_late() {
    let house = House::new().await;
    let room = house.conversation().await;
    let later = SendError::RetryAfter {
        delay: Duration::from_secs(48 * 3600),
        detail: "not bound".into(),
        counts: false,
    };
    house.network.answers.lock().unwrap().push_back(Err(later));
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house
        .homeserver
        .until("pending", |hs| status_of(hs, &event, State::Queued))
        .await;
    house.advance(Duration::from_secs(25 * 3600));
    house
        .homeserver
        .until("expired", |hs| status_of(hs, &event, State::Expired))
        .await;
    house.advance(Duration::from_secs(24 * 3600));
    house.say(&room, ALICE, Message::text("two")).await;
    house.network.until_sent(2).await;
    assert_eq!(house.network.texts(), ["Hi", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_quotes_and_what_sms_cannot_carry_is_refused() {
    let house = House::new().await;
    let room = house.conversation().await;
    house
        .homeserver
        .quotes
        .lock()
        .unwrap()
        .insert("$old".into(), "Are you there?".into());
    let reply = Message {
        in_reply_to: Some(Reference::Event(EventId::new("$old"))),
        ..Message::text("yes")
    };
    house.say(&room, ALICE, reply).await;
    house.network.until_sent(1).await;
    assert_eq!(house.network.texts(), ["> Are you there?\nyes"]);
    let poll = Body::Poll {
        question: "?".into(),
        answers: vec![],
    };
    let poll = Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: poll,
        }],
        ..Message::default()
    };
    let event = house.say(&room, ALICE, poll).await;
    house
        .homeserver
        .until("refused", |hs| status_of(hs, &event, State::Rejected))
        .await;
    house.homeserver.until_said("SMS has no polls").await;
    assert_eq!(house.network.texts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redaction_takes_back_only_what_has_not_left() {
    let house = House::new().await;
    let room = house.conversation().await;
    let later = SendError::RetryAfter {
        delay: Duration::from_secs(60),
        detail: "not bound".into(),
        counts: false,
    };
    house.network.answers.lock().unwrap().push_back(Err(later));
    let event = house.say(&room, ALICE, Message::text("oops")).await;
    house
        .homeserver
        .until("pending", |hs| status_of(hs, &event, State::Queued))
        .await;
    house.say(&room, ALICE, withdrawal(&event)).await;
    house.homeserver.until_said("Withdrawn before it left").await;
    house.advance(Duration::from_secs(61));
    let gone = house.say(&room, ALICE, Message::text("fine")).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &gone, State::Accepted))
        .await;
    assert_eq!(
        house.network.texts(),
        ["oops", "fine"],
        "the first is the try that the network refused"
    );
    house.say(&room, ALICE, withdrawal(&gone)).await;
    house.homeserver.until_said("SMS cannot take it back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_in_a_room_send_nothing() {
    let house = House::new().await;
    let room = house.conversation().await;
    let event = house.say(&room, "@eve:other.org", Message::text("spam")).await;
    house
        .homeserver
        .until("refused", |hs| status_of(hs, &event, State::Rejected))
        .await;
    assert!(house.network.texts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_is_away_for_long_is_told_of_in_words_once() {
    let mut impatient = site();
    impatient.policy.patience = Duration::ZERO;
    let house = House::with(impatient).await;
    let room = house.conversation().await;
    for _ in 0..4 {
        let later = SendError::RetryAfter {
            delay: Duration::ZERO,
            detail: "not bound".into(),
            counts: false,
        };
        house.network.answers.lock().unwrap().push_back(Err(later));
    }
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house
        .homeserver
        .until("accepted", |hs| status_of(hs, &event, State::Accepted))
        .await;
    let told = house
        .homeserver
        .said()
        .into_iter()
        .filter(|said| said.contains("Still waiting for the network"))
        .count();
    assert_eq!(told, 1);
}

fn unknown() -> SendError {
    SendError::Unknown {
        detail: "the connection was lost".into(),
    }
}

/// A network that knows a message again when it is given it once more.
fn idempotent() -> swingbridge_engine::site::Site {
    let mut site = site();
    let able = Capabilities {
        networks: vec!["sms".into()],
        idempotent_sends: true,
        way: sms_way(),
        ..Capabilities::default()
    };
    site.capabilities.insert(ConnectorId::new("carrier"), able);
    site
}

/// What is remembered of the message of an event, once it is in this state.
async fn until_kept(house: &House, event: &EventId, state: State) -> MessageRecord {
    loop {
        let event = event.clone();
        let found = store::run(house.store.as_ref(), move |tables| {
            tables.message_by_event(&event)
        });
        match found.await.unwrap() {
            Some(message) if message.state == state => return message,
            _ => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_left_is_not_said_to_have_been_withdrawn_before_it_did() {
    // Parked for its writer's word, or in the queue to be asked about again.
    for (site, state) in [(site(), State::Uncertain), (idempotent(), State::Sending)] {
        let house = House::with(site).await;
        let room = house.conversation().await;
        house.network.answer(Err(unknown()));
        let event = house.say(&room, ALICE, Message::text("oops")).await;
        until_kept(&house, &event, state).await;
        house.say(&room, ALICE, withdrawal(&event)).await;
        house
            .homeserver
            .until_said("It is not sent again. An earlier try may have reached the phone.")
            .await;
        assert_eq!(
            until_kept(&house, &event, State::Uncertain)
                .await
                .detail
                .as_deref(),
            Some("It is not sent again. An earlier try may have reached the phone.")
        );
        house.advance(Duration::from_secs(60));
        house.say(&room, ALICE, Message::text("next")).await;
        house.network.until_sent(2).await;
        assert_eq!(house.network.texts(), ["oops", "next"]);
        assert!(
            !house
                .homeserver
                .said()
                .iter()
                .any(|said| said.contains("Withdrawn"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_left_is_not_said_to_be_unsent_when_a_wish_meets_it() {
    let house = House::with(idempotent()).await;
    let room = house.conversation().await;
    house.network.answer(Err(unknown()));
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    until_kept(&house, &event, State::Sending).await;
    house.text_in(PHONE, "STOP").await;
    let status = house
        .homeserver
        .until("uncertain", |hs| status_of(hs, &event, State::Uncertain))
        .await;
    let words = status.message.unwrap();
    for part in [
        "An earlier try may have reached the phone",
        "asked for no more texts",
    ] {
        assert!(words.contains(part) && !words.contains("Not sent"), "{words}");
    }
    until_kept(&house, &event, State::Uncertain).await;
    house.advance(Duration::from_secs(60));
    house.text_in(PHONE, "START").await;
    house
        .homeserver
        .until_said("wishes texts from this line again")
        .await;
    house.say(&room, ALICE, Message::text("next")).await;
    house.network.until_sent(2).await;
    assert_eq!(house.network.texts(), ["Hi", "next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_left_is_not_said_to_be_unsent_when_consent_is_withdrawn() {
    let mut site = idempotent();
    Arc::make_mut(&mut site.lines[0]).consent = Rule::Line;
    let house = House::with(site).await;
    house.text_in(PHONE, "Hello there").await;
    let question = crate::trust::until_question(&house, 1).await;
    let room = house.room().await;
    house
        .say(&room, ALICE, crate::trust::reaction(&question, "✅"))
        .await;
    house.homeserver.until_said("contact: Hello there").await;
    house.network.answer(Err(unknown()));
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    until_kept(&house, &event, State::Sending).await;
    house
        .say(&room, ALICE, Message::text("!sb consent withdraw"))
        .await;
    let status = house
        .homeserver
        .until("uncertain", |hs| status_of(hs, &event, State::Uncertain))
        .await;
    let words = status.message.unwrap();
    for part in ["An earlier try may have reached the phone", "you have not agreed"] {
        assert!(words.contains(part) && !words.contains("Not sent"), "{words}");
    }
    assert_eq!(house.network.texts(), ["Hi"]);
}
