//! What the BlueBubbles connector sends, and what becomes of it.

use crate::bluebubbles::{ALICE, BOB, House, guid, network, outbound, reaction, withdrawn};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Connector, SendError, Signal, SignalKind};
use swingbridge_domain::delivery::{Outcome, Reason};
use swingbridge_domain::id::LineId;
use swingbridge_domain::message::{Body, Disposition, Media, MediaKind, Message, Part};
use swingbridge_lab::bluebubbles::{Answer, Rules};

fn file(house: &House, name: &str, kind: MediaKind, caption: Option<&str>) -> Message {
    let path = house.folder.path().join(name);
    std::fs::write(&path, b"the content").unwrap();
    let media = Media {
        kind,
        name: name.into(),
        mime: Some("image/png".into()),
        uri: format!("file://{}", path.display()),
        caption: caption.map(str::to_owned),
        ..Media::default()
    };
    Message {
        parts: vec![Part {
            disposition: Disposition::Attachment,
            body: Body::Media(media),
        }],
        ..Message::default()
    }
}

fn answers(house: &House, answers: &[Answer]) {
    house.server.set(|rules| rules.answers.extend(answers));
}

/// None of what was sent came back as written on the phone.
async fn no_echo(house: &House) {
    house.settle().await;
    assert!(house.inbox.messages().iter().all(|message| !message.own));
}

#[tokio::test]
async fn a_text_is_accepted_delivered_and_read_and_does_not_come_back() {
    let house = House::new(Rules::default()).await;
    let accepted = house.send(ALICE, Message::text("hello")).await.unwrap();
    let sent = house.server.sent();
    assert_eq!(
        (sent.len(), sent[0].text.as_str(), sent[0].method.as_str()),
        (1, "hello", "apple-script")
    );
    assert_eq!(sent[0].guid, guid(&accepted));
    house.server.delivers(&guid(&accepted));
    house
        .inbox
        .until("delivered", |inbox| {
            inbox.has_receipt(&guid(&accepted), Outcome::Delivered)
        })
        .await;
    house.server.reads(&guid(&accepted));
    house
        .inbox
        .until("read", |inbox| inbox.has_receipt(&guid(&accepted), Outcome::Read))
        .await;
    no_echo(&house).await;
    assert_eq!(house.inbox.receipts().len(), 2);
}

/// BlueBubbles/bluebubbles-server#777, openclaw/imsg#90: 200, then error 22, and no event.
#[tokio::test]
async fn a_failure_after_the_answer_is_found_without_an_event_even_after_a_restart() {
    let mut house = House::with(Rules::default(), |_, config| {
        config.compare = Duration::from_secs(3600)
    })
    .await;
    let accepted = house.send(ALICE, Message::text("hello")).await.unwrap();
    house.kill().await;
    house.start().await;
    house.server.fails(&guid(&accepted), 22);
    house
        .inbox
        .until("the failure", |inbox| {
            inbox.has_receipt(&guid(&accepted), Outcome::Rejected)
        })
        .await;
    let receipt = house.inbox.receipts().pop().unwrap();
    assert!(receipt.error.unwrap().contains("error 22"));
}

/// BlueBubbles/bluebubbles-server#801: it times out though it was sent.
#[tokio::test]
async fn a_send_without_an_answer_is_proven_by_its_row() {
    let house = House::new(Rules::default()).await;
    answers(&house, &[Answer::SentWithoutAnswer, Answer::SentButFailed]);
    for text in ["no answer", "a bad answer"] {
        let accepted = house.send(ALICE, Message::text(text)).await.unwrap();
        assert_eq!(guid(&accepted), house.server.sent().last().unwrap().guid);
        house.server.delivers(&guid(&accepted));
        house
            .inbox
            .until("delivered", |inbox| {
                inbox.has_receipt(&guid(&accepted), Outcome::Delivered)
            })
            .await;
    }
    no_echo(&house).await;
}

#[tokio::test]
async fn a_send_that_nothing_is_known_of_is_uncertain_and_never_repeated() {
    let house = House::new(Rules::default()).await;
    answers(&house, &[Answer::NoAnswer, Answer::Failed]);
    for text in ["one", "two"] {
        let sent = house.send(ALICE, Message::text(text)).await;
        assert!(matches!(sent, Err(SendError::Unknown { .. })), "{sent:?}");
    }
    house.settle().await;
    assert_eq!(house.server.sent().len(), 2);
}

#[tokio::test]
async fn a_send_that_failed_at_once_is_refused_with_its_code() {
    let house = House::new(Rules::default()).await;
    answers(&house, &[Answer::FailedWith(22)]);
    let sent = house.send(ALICE, Message::text("hello")).await;
    match sent {
        Err(SendError::Rejected { reason, detail }) => {
            assert_eq!(reason, Reason::NetworkRefused);
            assert!(detail.contains("22") && !detail.contains("hello"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    no_echo(&house).await;
}

#[tokio::test]
async fn nothing_leaves_while_the_server_is_away_or_refuses_us() {
    let house = House::new(Rules::default()).await;
    house.send(ALICE, Message::text("there")).await.unwrap();
    house.server.set(|rules| rules.password = "another".into());
    for text in ["refused", "away"] {
        let sent = house.send(ALICE, Message::text(text)).await;
        let Err(SendError::RetryAfter {
            counts: false,
            detail,
            ..
        }) = sent
        else {
            panic!("{sent:?}")
        };
        assert!(!detail.contains("secret") && !detail.contains(ALICE), "{detail}");
        house.server.stop();
    }
    assert_eq!(house.server.sent().len(), 1);
}

/// openclaw/imsg PR #87: what we sent came back as a message.
#[tokio::test]
async fn a_row_that_is_read_before_the_answer_comes_is_still_ours() {
    let house = House::with(Rules::default(), |_, config| {
        config.send_timeout = Duration::from_secs(20)
    })
    .await;
    house.server.set(|rules| rules.hold_answers = true);
    let ours = house.send(ALICE, Message::text("from the room"));
    let meanwhile = async {
        house
            .server
            .until("the row", |server| !server.sent().is_empty())
            .await;
        // The user writes the same and something else on the phone, before the answer is there.
        house.server.user_writes(ALICE, "from the phone");
        house.settle().await;
        house.server.set(|rules| rules.hold_answers = false);
    };
    let (accepted, ()) = tokio::join!(ours, meanwhile);
    accepted.unwrap();
    house
        .inbox
        .until("the other", |inbox| inbox.has_text("from the phone"))
        .await;
    house.settle().await;
    let own: Vec<_> = house
        .inbox
        .messages()
        .into_iter()
        .filter(|message| message.own)
        .collect();
    assert_eq!(own.len(), 1);
}

/// Messages may change what it is given: the row alone does not tell that it is ours, the answer does.
#[tokio::test]
async fn a_row_whose_text_the_mac_changed_waits_for_the_answer() {
    let house = House::with(Rules::default(), |_, config| {
        config.send_timeout = Duration::from_secs(20);
    })
    .await;
    house
        .server
        .set(|rules| (rules.hold_answers, rules.curls_quotes) = (true, true));
    let ours = house.send(ALICE, Message::text("say \"hello\""));
    let meanwhile = async {
        house
            .server
            .until("the row", |server| !server.sent().is_empty())
            .await;
        house.settle().await;
        house.server.set(|rules| rules.hold_answers = false);
    };
    let (accepted, ()) = tokio::join!(ours, meanwhile);
    accepted.unwrap();
    no_echo(&house).await;
}

#[tokio::test]
async fn a_first_message_to_somebody_begins_the_chat() {
    let house = House::new(Rules::default()).await;
    let accepted = house
        .send("+447700900999", Message::text("hello stranger"))
        .await
        .unwrap();
    let again = house.send("+447700900999", Message::text("again")).await.unwrap();
    let sent = house.server.sent();
    assert_eq!(
        (sent[0].kind.as_str(), sent[0].chat.as_str()),
        ("new", "+447700900999")
    );
    assert_eq!(
        (sent[1].kind.as_str(), sent[1].chat.as_str()),
        ("text", "any;-;+447700900999")
    );
    assert_eq!(sent[0].guid, guid(&accepted));
    assert_ne!(guid(&again), guid(&accepted));
    no_echo(&house).await;
}

#[tokio::test]
async fn a_group_is_written_to_by_its_own_name() {
    let house = House::new(Rules::default()).await;
    let group = house.server.group("chat831", "Climbing", &[ALICE, BOB]);
    house.send(&group, Message::text("hello all")).await.unwrap();
    assert_eq!(house.server.sent()[0].chat, group);
    no_echo(&house).await;
}

#[tokio::test]
async fn files_go_with_their_words_and_voice_notes_as_such() {
    let house = House::new(Rules::private()).await;
    let accepted = house
        .send(ALICE, file(&house, "cat.png", MediaKind::Image, Some("my cat")))
        .await
        .unwrap();
    house
        .send(ALICE, file(&house, "note.caf", MediaKind::Voice, None))
        .await
        .unwrap();
    let sent = house.server.sent();
    assert_eq!(accepted.network_ids.len(), 2);
    assert_eq!(
        (sent[0].text.as_str(), sent[0].content.as_slice()),
        ("cat.png", b"the content".as_slice())
    );
    assert_eq!((sent[1].kind.as_str(), sent[1].text.as_str()), ("text", "my cat"));
    assert!(!sent[0].voice && sent[2].voice);
    no_echo(&house).await;
}

#[tokio::test]
async fn a_file_whose_words_do_not_follow_is_not_sent_again() {
    let house = House::new(Rules::default()).await;
    answers(&house, &[Answer::Sent, Answer::FailedWith(22)]);
    let sent = house
        .send(ALICE, file(&house, "cat.png", MediaKind::Image, Some("my cat")))
        .await;
    assert!(matches!(sent, Err(SendError::Unknown { .. })), "{sent:?}");
}

#[tokio::test]
async fn answers_tapbacks_edits_and_unsends_go_by_the_private_api_and_do_not_come_back() {
    let house = House::new(Rules::private()).await;
    let question = house.server.says(ALICE, "when?");
    house
        .inbox
        .until("the question", |inbox| inbox.has_text("when?"))
        .await;
    let mut answer = Message::text("at noon");
    answer.in_reply_to = Some(network(&question));
    let answer = guid(&house.send(ALICE, answer).await.unwrap());
    let like = guid(&house.send(ALICE, reaction("👍🏽", &question)).await.unwrap());
    let love = guid(&house.send(ALICE, reaction("❤️", &question)).await.unwrap());
    assert_ne!(like, love);
    house.send(ALICE, withdrawn(&love)).await.unwrap();
    let mut edit = Message::text("at one");
    edit.replaces = Some(network(&answer));
    house.send(ALICE, edit).await.unwrap();
    house.send(ALICE, withdrawn(&answer)).await.unwrap();
    let sent = house.server.sent();
    let done: Vec<_> = sent
        .iter()
        .map(|sent| {
            (
                sent.kind.as_str(),
                sent.text.as_str(),
                sent.about.as_deref().unwrap(),
            )
        })
        .collect();
    let (question, answer) = (question.as_str(), answer.as_str());
    assert_eq!(
        done,
        [
            ("text", "at noon", question),
            ("react", "like", question),
            ("react", "love", question),
            ("react", "-love", question),
            ("edit", "at one", answer),
            ("unsend", "", answer),
        ]
    );
    assert!(sent.iter().all(|sent| sent.method == "private-api"));
    no_echo(&house).await;
}

#[tokio::test]
async fn a_change_on_the_phone_after_ours_is_news() {
    let house = House::new(Rules::private()).await;
    let mine = guid(&house.send(ALICE, Message::text("one")).await.unwrap());
    let mut edit = Message::text("two");
    edit.replaces = Some(network(&mine));
    house.send(ALICE, edit).await.unwrap();
    house.settle().await;
    house.server.edits(&mine, "three");
    house
        .inbox
        .until("the edit", |inbox| {
            inbox.messages().iter().any(|message| message.own)
        })
        .await;
    let edit = house
        .inbox
        .messages()
        .into_iter()
        .find(|message| message.own)
        .unwrap();
    assert_eq!(edit.message.first_text().unwrap().plain, "three");
}

#[tokio::test]
async fn what_the_server_cannot_is_refused_in_words_and_asked_of_nobody() {
    let house = House::new(Rules::default()).await;
    let target = house.server.says(ALICE, "hello");
    house.settle().await;
    let mut poll = Message::text("");
    poll.parts[0].body = Body::Poll {
        question: "?".into(),
        answers: vec![],
    };
    for (message, words) in [
        (reaction("👍", &target), "Private API"),
        (withdrawn(&target), "Private API"),
        (poll, "in words"),
        (Message::default(), "nothing in it"),
    ] {
        let sent = house.send(ALICE, message).await;
        assert!(
            matches!(&sent, Err(SendError::Rejected { detail, .. }) if detail.contains(words)),
            "{sent:?}"
        );
    }
    house
        .server
        .set(|rules| (rules.private_api, rules.helper_connected) = (true, true));
    house
        .server
        .until("it is known", |_| {
            house.connector().capabilities().typing != Default::default()
        })
        .await;
    let party = house.send(ALICE, reaction("🎉", &target)).await;
    assert!(
        matches!(&party, Err(SendError::Rejected { detail, .. }) if detail.contains("six tapbacks")),
        "{party:?}"
    );
    let two = house.connector().send(swingbridge_domain::connector::Outbound {
        to: vec![Address::Number(ALICE.into()), Address::Mail(BOB.into())],
        ..outbound(Address::Number(ALICE.into()), Message::text("both"))
    });
    assert!(matches!(
        two.await,
        Err(SendError::Rejected {
            reason: Reason::BadAddress,
            ..
        })
    ));
    let late = house.connector().send(swingbridge_domain::connector::Outbound {
        expires_at: Some(Timestamp(1)),
        ..outbound(Address::Number(ALICE.into()), Message::text("late"))
    });
    assert!(matches!(
        late.await,
        Err(SendError::Rejected {
            reason: Reason::Expired,
            ..
        })
    ));
    assert_eq!(house.server.sent(), []);
}

#[tokio::test]
async fn typing_and_reading_are_passed_on_with_the_private_api_only() {
    for (rules, told) in [(Rules::private(), 3), (Rules::default(), 0)] {
        let house = House::new(rules).await;
        let chat = house.server.chat_with(ALICE);
        for kind in [
            SignalKind::Typing(true),
            SignalKind::Typing(false),
            SignalKind::Read { up_to: None },
        ] {
            let signal = Signal {
                line: LineId::new("me"),
                to: Address::Number(ALICE.into()),
                kind,
            };
            house.connector().signal(signal).await;
        }
        let all = [
            format!("typing {chat} true"),
            format!("typing {chat} false"),
            format!("read {chat}"),
        ];
        assert_eq!(house.server.signals(), all[..told]);
    }
}

#[tokio::test]
async fn a_text_is_watched_for_two_minutes_and_a_file_for_twenty() {
    let mut house = House::with(Rules::default(), |_, config| {
        config.compare = Duration::from_secs(3600)
    })
    .await;
    let text = guid(&house.send(ALICE, Message::text("hello")).await.unwrap());
    let sent = guid(
        &house
            .send(ALICE, file(&house, "cat.png", MediaKind::Image, None))
            .await
            .unwrap(),
    );
    let looked = |guid: &str| house.server.asked_for(guid);
    house
        .server
        .until("both are looked at", |_| looked(&text) > 0 && looked(&sent) > 0)
        .await;
    house.clock.pass(Duration::from_secs(121));
    // One look may be under way.
    house.settle().await;
    house.settle().await;
    let (text_before, file_before) = (looked(&text), looked(&sent));
    house
        .server
        .until("the file is looked at", |_| looked(&sent) > file_before + 2)
        .await;
    assert_eq!(looked(&text), text_before);
    house.server.fails(&text, 22);
    house.server.fails(&sent, 22);
    house
        .inbox
        .until("the file's failure", |inbox| {
            inbox.has_receipt(&sent, Outcome::Rejected)
        })
        .await;
    // What was no longer watched is found when all is compared, as at the next start.
    house.stop().await;
    house.start().await;
    house
        .inbox
        .until("the text's failure", |inbox| {
            inbox.has_receipt(&text, Outcome::Rejected)
        })
        .await;
}
