//! What the BlueBubbles connector reads, and the faults under which it loses and doubles nothing.

use crate::bluebubbles::{ALICE, BOB, House, OURS, content, media_of, network};
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_connectors::bluebubbles::BlueBubblesConnector;
use swingbridge_domain::address::{Address, Hint};
use swingbridge_domain::capability::Support;
use swingbridge_domain::connector::{Connector, Link};
use swingbridge_domain::inbox::{Change, Inbound};
use swingbridge_domain::message::{Body, Disposition, MediaKind};
use swingbridge_domain::path::{Evidence, Protection};
use swingbridge_lab::bluebubbles::Rules;

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn what_people_and_the_user_write_arrives_as_theirs() {
    let house = House::new(Rules::default()).await;
    let hello = house.server.says(BOB, "hello");
    let mine = house.server.user_writes(ALICE, "written on the phone");
    house
        .inbox
        .until("both", |inbox| inbox.has_text("written on the phone"))
        .await;
    let messages = house.inbox.messages();
    let hello = messages
        .iter()
        .find(|message| message.network_id.as_ref().unwrap().as_str() == hello)
        .unwrap();
    assert_eq!((hello.from.text.as_str(), hello.from.hint), (BOB, Hint::Mail));
    assert_eq!(hello.to.understand(None), Address::Number(OURS.into()));
    assert_eq!(hello.sent_at.unwrap().millis(), house.server.now() - 1);
    assert!(!hello.own && !hello.history && hello.group.is_none());
    let mine = messages
        .iter()
        .find(|message| message.network_id.as_ref().unwrap().as_str() == mine)
        .unwrap();
    assert!(mine.own);
    assert_eq!(mine.from.text, ALICE, "the contact it went to");
}

#[tokio::test]
async fn an_event_brings_a_message_at_once() {
    let house = House::with(Rules::default(), |_, config| config.poll = HOUR).await;
    let asked = house.server.requests();
    house.server.says(ALICE, "now");
    house
        .inbox
        .until("the message", |inbox| inbox.has_text("now"))
        .await;
    assert!(house.server.requests() - asked < 10, "it was not polled for");
}

/// openclaw/openclaw#66721: an event that nobody heard is lost.
#[tokio::test]
async fn lost_events_lose_no_message_edit_or_receipt() {
    let house = House::new(Rules::default()).await;
    let accepted = house
        .send(ALICE, swingbridge_domain::message::Message::text("out"))
        .await
        .unwrap();
    house.server.set(|rules| rules.events = false);
    let first = house.server.says(ALICE, "first");
    house
        .inbox
        .until("the message", |inbox| inbox.has_text("first"))
        .await;
    house.server.edits(&first, "second");
    house.server.reads(accepted.network_ids[0].as_str());
    house
        .inbox
        .until("the edit and the receipt", |inbox| {
            let edited = inbox
                .messages()
                .iter()
                .any(|message| message.message.replaces == Some(network(&first)));
            edited && !inbox.receipts().is_empty()
        })
        .await;
}

/// openclaw PR #66816: after a restart the server tells of its look-back again.
#[tokio::test]
async fn doubled_events_and_a_restart_of_the_server_double_nothing() {
    let house = House::new(Rules::default()).await;
    house.server.set(|rules| rules.double_events = true);
    for at in 0..10 {
        house.server.says(ALICE, &format!("text {at}"));
    }
    house.inbox.until("all", |inbox| inbox.has_text("text 9")).await;
    house.server.restart(11).await.unwrap();
    house
        .server
        .until("it listens again", |server| server.listeners() == 1)
        .await;
    house.settle().await;
    assert_eq!(house.inbox.messages().len(), 12);
    assert_eq!(house.inbox.repeated.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_hour_without_the_server_is_made_up_for_in_order_and_once() {
    let house = House::new(Rules::default()).await;
    let old = house.server.says(ALICE, "before");
    house
        .inbox
        .until("before", |inbox| inbox.has_text("before"))
        .await;
    house.server.stop();
    house.connector_is(Link::Disconnected).await;
    let mut expected = Vec::new();
    for at in 0..30 {
        house.server.pass(120_000);
        let text = format!("missed {at}");
        house.server.says(if at % 3 == 0 { BOB } else { ALICE }, &text);
        expected.push(text);
    }
    house.server.edits(&old, "corrected");
    house.clock.pass(HOUR);
    house.server.restart(0).await.unwrap();
    house
        .inbox
        .until("the last", |inbox| inbox.has_text("missed 29"))
        .await;
    house
        .inbox
        .until("the edit", |inbox| {
            inbox
                .messages()
                .iter()
                .any(|message| message.message.replaces == Some(network(&old)))
        })
        .await;
    let texts = house.inbox.texts();
    assert_eq!(texts[2..], expected[..]);
    assert!(house.inbox.messages().iter().all(|message| !message.history));
    house.connector_is(Link::Connected).await;
}

#[tokio::test]
async fn an_edit_and_an_unsend_name_the_original() {
    let house = House::new(Rules::default()).await;
    let edited = house.server.says(ALICE, "teh plan");
    let unsent = house.server.says(ALICE, "oops");
    house.inbox.until("both", |inbox| inbox.has_text("oops")).await;
    house.server.edits(&edited, "the plan");
    house.server.unsends(&unsent);
    house.server.edits(&edited, "the plan!");
    let replacing = |guid: &str| {
        let guid = guid.to_owned();
        let all = house.inbox.messages();
        all.into_iter()
            .filter(move |message| message.message.replaces == Some(network(&guid)))
            .collect::<Vec<_>>()
    };
    house
        .inbox
        .until("all changes", |_| {
            let last = replacing(&edited)
                .last()
                .and_then(|message| message.message.first_text().cloned());
            last.is_some_and(|text| text.plain == "the plan!") && !replacing(&unsent).is_empty()
        })
        .await;
    assert_eq!(replacing(&unsent)[0].message.parts[0].body, Body::Null);
    assert_eq!(replacing(&unsent)[0].from.text, ALICE);
}

#[tokio::test]
async fn what_was_edited_before_it_was_read_is_no_edit_even_after_a_restart() {
    let mut house = House::with(Rules::default(), |server, _| {
        let early = server.says(ALICE, "early");
        server.edits(&early, "early, edited");
    })
    .await;
    house.server.set(|rules| rules.events = false);
    house.settle().await;
    house.stop().await;
    house.start().await;
    house.settle().await;
    assert!(
        house
            .inbox
            .messages()
            .iter()
            .all(|message| message.message.replaces.is_none())
    );
}

#[tokio::test]
async fn a_tapback_is_put_replaced_and_taken_back() {
    let house = House::new(Rules::default()).await;
    let target = house.server.says(ALICE, "party on friday");
    let love = house.server.reacts(ALICE, &target, "love", "");
    house
        .inbox
        .until("love", |inbox| inbox.messages().len() == 3)
        .await;
    // The Mac forgets the first row when the second comes.
    let party = house.server.reacts(ALICE, &target, "2006", "🎉");
    house
        .inbox
        .until("the emoji", |inbox| inbox.messages().len() == 5)
        .await;
    house.server.reacts(ALICE, &target, "3006", "🎉");
    house
        .inbox
        .until("its end", |inbox| inbox.messages().len() == 6)
        .await;
    let messages = house.inbox.messages().split_off(2);
    for message in &messages {
        assert_eq!(message.message.in_reply_to, Some(network(&target)));
        assert_eq!(message.message.parts[0].disposition, Disposition::Reaction);
    }
    let text = |at: usize| messages[at].message.first_text().map(|text| text.plain.as_str());
    assert_eq!(text(0), Some("❤️"));
    assert_eq!(
        (&messages[1].message.replaces, text(1)),
        (&Some(network(&love)), None)
    );
    assert_eq!(text(2), Some("🎉"));
    assert_eq!(
        (&messages[3].message.replaces, text(3)),
        (&Some(network(&party)), None)
    );
}

#[tokio::test]
async fn an_answer_names_what_it_answers() {
    let house = House::new(Rules::default()).await;
    let question = house.server.user_writes(ALICE, "when?");
    house.server.answers(ALICE, &question, "at noon");
    house
        .inbox
        .until("the answer", |inbox| inbox.has_text("at noon"))
        .await;
    let answer = house.inbox.messages().pop().unwrap();
    assert_eq!(answer.message.in_reply_to, Some(network(&question)));
}

#[tokio::test]
async fn files_come_with_their_words_and_voice_notes_as_such() {
    let house = House::new(Rules::default()).await;
    let cat = b"\x89PNG a cat".as_slice();
    house
        .server
        .sends_file(ALICE, "../cat.png", "image/png", cat, "my cat");
    house
        .server
        .sends_file(ALICE, "Audio Message.caf", "audio/x-caf", b"caff", "");
    house
        .inbox
        .until("both", |inbox| {
            inbox.messages().iter().filter_map(media_of).count() == 2
        })
        .await;
    let messages = house.inbox.messages();
    let media: Vec<_> = messages.iter().filter_map(media_of).collect();
    assert_eq!(
        (media[0].kind, media[0].caption.as_deref()),
        (MediaKind::Image, Some("my cat"))
    );
    assert_eq!(content(media[0]), cat);
    assert!(media[0].uri.contains("/media/"), "{}", media[0].uri);
    assert_eq!(
        (media[1].kind, media[1].caption.as_deref()),
        (MediaKind::Voice, None)
    );
}

/// mautrix/imessage#228: photos were lost that a poll met before they were there.
#[tokio::test]
async fn a_file_that_comes_after_its_row_is_waited_for_and_holds_up_nothing() {
    let house = House::new(Rules::default()).await;
    house.server.set(|rules| rules.files_late = true);
    house
        .server
        .sends_file(ALICE, "late.jpg", "image/jpeg", b"late", "");
    house
        .server
        .sends_file_listed_late(ALICE, "later.jpg", "image/jpeg", b"later");
    house.settle().await;
    assert!(
        house
            .inbox
            .messages()
            .iter()
            .all(|message| media_of(message).is_none())
    );
    house.server.files_arrive();
    house
        .inbox
        .until("both", |inbox| {
            inbox.messages().iter().filter_map(media_of).count() == 2
        })
        .await;
    house.settle().await;
    assert_eq!(house.inbox.repeated.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_file_that_never_comes_is_told_of_in_the_end() {
    let house = House::new(Rules::default()).await;
    house.server.set(|rules| rules.files_late = true);
    house
        .server
        .sends_file(ALICE, "gone.jpg", "image/jpeg", b"gone", "look");
    house.settle().await;
    assert!(!house.inbox.has_text("look"));
    house.clock.pass(Duration::from_secs(16 * 60));
    house
        .inbox
        .until("the words", |inbox| inbox.has_text("look"))
        .await;
    let parts = house.inbox.messages().pop().unwrap().message.parts;
    assert!(parts.iter().any(
        |part| matches!(&part.body, Body::Other { fallback: Some(words), .. } if words.contains("gone.jpg"))
    ));
}

/// The server leaves out rows that are in no chat yet, and the cursor must not pass over them.
#[tokio::test]
async fn a_row_that_joins_its_chat_late_is_not_skipped() {
    let house = House::new(Rules::default()).await;
    house.server.set(|rules| rules.unjoined = true);
    house.server.says(ALICE, "not in its chat yet");
    house.server.set(|rules| rules.unjoined = false);
    house.settle().await;
    assert!(!house.inbox.has_text("not in its chat yet"));
    house.server.join_chats();
    house
        .inbox
        .until("it", |inbox| inbox.has_text("not in its chat yet"))
        .await;
}

/// claude-plugins-official#5224: Apple's store fills in old messages with new numbers; the server sorts by date.
#[tokio::test]
async fn what_is_filled_back_comes_as_history_with_its_own_time() {
    let house = House::new(Rules::default()).await;
    let year_ago = house.server.now() - 365 * 24 * 3_600_000;
    for at in 0..250 {
        house
            .server
            .fills_back(ALICE, &format!("old {at}"), year_ago + at);
    }
    house.settle().await;
    let messages = house.inbox.messages();
    let old: Vec<_> = messages.iter().filter(|message| message.history).collect();
    assert_eq!(old.len(), 250);
    assert_eq!(old[7].sent_at.unwrap().millis(), year_ago + 7);
    assert!(!messages.last().unwrap().history);
}

#[tokio::test]
async fn gaps_in_the_numbers_and_more_than_a_window_are_read_through() {
    let house = House::new(Rules::default()).await;
    house.server.set(|rules| rules.events = false);
    for (at, row) in [(0, 5_000), (1, 70_000), (2, 1_000_000)] {
        house.server.number_from(row);
        for text in 0..220 {
            house.server.says(ALICE, &format!("{at}/{text}"));
        }
    }
    house.settle().await;
    assert_eq!(house.inbox.texts().len(), 1 + 660 + 1);
}

/// The server's limit counts a message once for each of its files.
#[tokio::test]
async fn many_files_do_not_cut_the_reading_short() {
    let house = House::new(Rules::default()).await;
    house.stop_events();
    let many: Vec<String> = (0..190)
        .map(|at| house.server.says(ALICE, &format!("with files {at}")))
        .collect();
    for guid in &many {
        house.server.attach(guid, 8);
    }
    house.settle().await;
    let with_files = house
        .inbox
        .texts()
        .into_iter()
        .filter(|text| text.starts_with("with files"))
        .count();
    assert_eq!(with_files, 190);
}

/// Spshulem/openAGI#36: a rebuilt database has lower numbers.
#[tokio::test]
async fn a_database_that_is_numbered_anew_loses_and_doubles_nothing() {
    let mut house = House::new(Rules::default()).await;
    house.server.number_from(5_000);
    for at in 0..20 {
        house.server.says(ALICE, &format!("before {at}"));
    }
    house.settle().await;
    house.stop().await;
    house.server.renumber();
    house.server.says(ALICE, "after");
    house.start().await;
    house.inbox.until("after", |inbox| inbox.has_text("after")).await;
    house.settle().await;
    let texts = house.inbox.texts();
    let once: std::collections::HashSet<_> = texts.iter().collect();
    assert_eq!(once.len(), texts.len());
    assert_eq!(texts.len(), 1 + 20 + 1 + 1 + 1);
}

#[tokio::test]
async fn nothing_is_passed_over_while_the_inbox_takes_nothing() {
    let mut house = House::new(Rules::default()).await;
    house.inbox.full.store(true, Ordering::Relaxed);
    house.server.says(ALICE, "kept");
    house.connector_is(Link::Degraded).await;
    house.kill().await;
    house.inbox.full.store(false, Ordering::Relaxed);
    house.start().await;
    house.inbox.until("it", |inbox| inbox.has_text("kept")).await;
}

#[tokio::test]
async fn the_first_start_brings_as_much_history_as_asked_for() {
    let house = House::with(Rules::default(), |server, config| {
        for at in 0..10 {
            server.says(ALICE, &format!("old {at}"));
        }
        config.history = 3;
    })
    .await;
    assert_eq!(house.inbox.texts(), ["old 7", "old 8", "old 9", "ready"]);
    let history: Vec<_> = house
        .inbox
        .messages()
        .iter()
        .map(|message| message.history)
        .collect();
    assert_eq!(history, [true, true, true, false]);
}

#[tokio::test]
async fn a_group_has_its_name_its_members_and_what_happens_to_them() {
    let house = House::new(Rules::default()).await;
    let group = house.server.group("chat831", "Climbing", &[ALICE, BOB]);
    house.server.says_in(&group, BOB, "saturday?");
    house.server.user_writes_in(&group, "yes");
    house.inbox.until("both", |inbox| inbox.has_text("yes")).await;
    let messages = house.inbox.messages();
    let [said, mine] = &messages[1..] else { panic!() };
    let told = said.group.as_ref().unwrap();
    assert_eq!(
        (told.thread.as_str(), told.name.as_deref()),
        (group.as_str(), Some("Climbing"))
    );
    let members: Vec<_> = told.members.iter().map(|member| member.text.as_str()).collect();
    assert_eq!(members, [ALICE, BOB]);
    assert_eq!(
        (mine.own, mine.from.hint, mine.from.text.as_str()),
        (true, Hint::Group, group.as_str())
    );

    house.server.renames(&group, BOB, "Bouldering");
    house.server.joins(&group, BOB, "+447700900789");
    house.server.leaves(&group, ALICE);
    house.server.pictures(&group, BOB, Some(b"\x89PNG rock"));
    house.settle().await;
    house.server.pictures(&group, BOB, None);
    house.settle().await;
    let changes: Vec<_> = house
        .inbox
        .all()
        .into_iter()
        .filter_map(|inbound| match inbound {
            Inbound::Group(change) => Some(change),
            _ => None,
        })
        .collect();
    assert!(
        matches!(&changes[0].change, Change::Renamed if changes[0].group.name.as_deref() == Some("Bouldering"))
    );
    assert!(matches!(&changes[1].change, Change::Joined(who) if who.text == "+447700900789"));
    assert!(matches!(&changes[2].change, Change::Left(who) if who.text == ALICE));
    assert!(!changes[2].group.members.iter().any(|member| member.text == ALICE));
    assert!(matches!(&changes[3].change, Change::Picture(Some(media)) if content(media) == b"\x89PNG rock"));
    assert!(matches!(&changes[4].change, Change::Picture(None)));
    assert_eq!(changes.len(), 5);
}

/// corten-matrix#58: one group became ten rooms. macOS 26 renames its chats.
#[tokio::test]
async fn a_group_that_the_mac_renames_is_the_same_group() {
    let house = House::with(Rules::default(), |server, _| {
        server.set(|rules| rules.service = "iMessage".into())
    })
    .await;
    let group = house.server.group("chat831", "Climbing", &[ALICE, BOB]);
    house.server.says_in(&group, BOB, "before");
    house
        .inbox
        .until("before", |inbox| inbox.has_text("before"))
        .await;
    house.server.regroup(&group, "any;+;chat831");
    house.server.says_in("any;+;chat831", BOB, "after");
    house.inbox.until("after", |inbox| inbox.has_text("after")).await;
    let after = house.inbox.messages().pop().unwrap().group.unwrap();
    assert_eq!(after.thread.as_str(), "any;+;chat831");
    assert_eq!(after.formerly[0].as_str(), group);
}

#[tokio::test]
async fn names_and_pictures_come_from_the_address_book() {
    let house = House::with(Rules::default(), |server, _| {
        server.contact("Alice Liddell", &[ALICE, "+447700900457"], Some("iVBORw=="));
    })
    .await;
    house
        .inbox
        .until("two cards", |inbox| {
            inbox
                .all()
                .iter()
                .filter(|inbound| matches!(inbound, Inbound::Card(_)))
                .count()
                == 2
        })
        .await;
    let card = house.inbox.all().into_iter().find_map(|inbound| match inbound {
        Inbound::Card(card) => Some(card),
        _ => None,
    });
    let card = card.unwrap();
    assert_eq!(
        (card.contact.text.as_str(), card.name.as_deref()),
        (ALICE, Some("Alice Liddell"))
    );
    let picture = card.picture.unwrap();
    assert_eq!(
        (picture.mime.as_deref(), content(&picture)),
        (Some("image/png"), b"\x89PNG".to_vec())
    );
}

#[tokio::test]
async fn typing_is_passed_on() {
    let house = House::new(Rules::default()).await;
    house.server.types(ALICE, true);
    house.server.types(ALICE, false);
    house
        .inbox
        .until("both", |inbox| {
            let typing: Vec<bool> = inbox
                .all()
                .into_iter()
                .filter_map(|inbound| match inbound {
                    Inbound::Typing(typing) if typing.from.text == ALICE => Some(typing.active),
                    _ => None,
                })
                .collect();
            typing == [true, false]
        })
        .await;
}

#[tokio::test]
async fn a_wrong_password_is_told_with_its_cure_and_printed_nowhere() {
    let mut house = House::new(Rules::default()).await;
    house.server.set(|rules| rules.password = "changed".into());
    house.stop().await;
    house.start().await;
    let health = house.connector().probe().await;
    assert_eq!(health.state, Link::Refused);
    assert!(
        health.detail.contains("Server Password") && !health.detail.contains("secret"),
        "{}",
        health.detail
    );
}

#[tokio::test]
async fn the_pings_of_the_events_are_answered() {
    let house = House::with(Rules::default(), |server, _| {
        server.set(|rules| rules.ping_interval = 20)
    })
    .await;
    house.server.until("pongs", |server| server.pongs() >= 3).await;
    assert_eq!(house.server.listeners(), 1);
}

#[tokio::test]
async fn it_can_what_the_server_can_and_claims_no_encryption() {
    let mut house = House::new(Rules::private()).await;
    let can = house.connector().capabilities();
    assert_eq!(
        (can.reactions, can.edits, can.typing),
        (Support::Partial, Support::Full, Support::Full)
    );
    assert_eq!(can.way[0].protection, Protection::Unknown);
    assert_eq!(can.way[0].evidence, Evidence::None);
    house.stop().await;

    // What it learnt is known at the next start, even while the server is away.
    house.server.stop();
    let again = || {
        BlueBubblesConnector::new(
            swingbridge_domain::id::ConnectorId::new("mac"),
            house.config.clone(),
            house.folder.path(),
            house.clock.clone(),
            house.dice.clone(),
        )
    };
    assert_eq!(again().unwrap().capabilities().edits, Support::Full);
    house.server.restart(0).await.unwrap();
    house.server.set(|rules| rules.helper_connected = false);
    house.start().await;
    let can = house.connector().capabilities();
    assert_eq!(
        (can.reactions, can.replies, can.edits, can.typing),
        Default::default()
    );
    assert_eq!(can.media, Support::Full);
}
