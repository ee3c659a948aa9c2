//! Faults that users of other bridges reported, one by one.

use super::*;
use swingbridge_domain::path::Protection;
use swingbridge_lab::macos::chatdb::{File, Row, apple_ago};
use swingbridge_lab::macos::scenario::Scenario;
use swingbridge_lab::macos::typedstream::Body as Written;

async fn house() -> House {
    let house = House::new(Release::Tahoe).await;
    house.mac.says(BOB, "hello").unwrap();
    house.message(0).await;
    house
}

fn row(house: &House, text: &str) -> Row {
    let db = house.mac.db();
    Row {
        body: Some(Written::plain(text)),
        chat: Some(db.direct(BOB, "iMessage").unwrap().rowid),
        handle: Some(db.handle(BOB, "iMessage").unwrap()),
        service: "iMessage".into(),
        ..Row::default()
    }
}

/// BlueBubbles answers 200 and never tells; mautrix's connector does not read the column.
#[tokio::test]
async fn an_error_that_comes_seconds_later_is_told() {
    let house = house().await;
    house.mac.set_scenario(&Scenario::error_after(300, 22)).unwrap();
    let accepted = house.says("hi").await.unwrap();
    let receipt = house.receipt(&accepted.network_ids[0], Outcome::Rejected).await;
    assert!(receipt.error.unwrap().contains("22"));
}

/// openclaw/imsg#90.
#[tokio::test]
async fn a_ghost_row_is_no_success() {
    let house = House::with(
        Release::Tahoe,
        |_| {},
        |config| {
            config.timing.row = Duration::from_millis(300);
            config.timing.join = Duration::from_millis(200);
        },
    )
    .await;
    house.mac.set_scenario(&Scenario::ghost()).unwrap();
    let answer = house.says("hi").await;
    let Err(SendError::Unknown { detail }) = answer else {
        panic!("{answer:?}")
    };
    assert!(detail.contains("no chat"), "{detail}");
    sleep(Duration::from_millis(300)).await;
    house.settle().await;
    assert_eq!(house.texts(), [""; 0]);
}

/// openclaw/imsg PR #246: only a lookup that fails may go another way, and only to one person.
#[tokio::test]
async fn a_chat_that_is_not_found_is_tried_as_a_person_and_a_group_is_not() {
    let house = house().await;
    house.mac.set_scenario(&Scenario::lookup_fails(-1728)).unwrap();
    let answer = house.says("hi").await;
    assert!(
        matches!(&answer, Err(SendError::RetryAfter { counts: true, .. })),
        "{answer:?}"
    );
    let calls = house.mac.calls().unwrap();
    let scripts: Vec<&str> = calls.iter().map(|call| call.script.as_str()).collect();
    assert_eq!(scripts, ["text_to_chat", "text_to_imessage_handle"]);
    let chat = house.mac.db().group(None, &[BOB, CAROL], "iMessage").unwrap();
    let answer = house.send(Address::Group(chat.guid), Message::text("all")).await;
    assert!(matches!(&answer, Err(SendError::RetryAfter { .. })), "{answer:?}");
    assert_eq!(house.mac.calls().unwrap().len(), 3);
    assert_eq!(house.mac.rows().unwrap(), []);
}

/// BlueBubbles server#777.
#[tokio::test]
async fn a_service_that_messages_cannot_coerce_sends_nothing() {
    let house = House::new(Release::Tahoe).await;
    house.mac.set_scenario(&Scenario::lookup_fails(-1700)).unwrap();
    let answer = house.says("hi").await;
    assert!(
        matches!(&answer, Err(SendError::RetryAfter { counts: true, .. })),
        "{answer:?}"
    );
}

/// openclaw/imsg PR #87: echo loops.
#[tokio::test]
async fn our_own_message_that_looks_like_the_contacts_at_first_is_no_echo() {
    let house = house().await;
    house.mac.set_scenario(&Scenario::flips_after(400)).unwrap();
    let accepted = house.says("echo?").await.unwrap();
    house.receipt(&accepted.network_ids[0], Outcome::Sent).await;
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
}

/// The same with a message that the person wrote on the phone: what was said wrongly is taken back.
#[tokio::test]
async fn a_message_that_turns_out_to_be_the_persons_own_is_corrected() {
    let house = house().await;
    let (_, guid) = {
        let row = row(&house, "mine");
        house.mac.db().insert(&row).unwrap()
    };
    assert!(!house.message(1).await.own);
    house.mac.db().set(&guid, "is_from_me", 1).unwrap();
    let withdrawn = house.message(2).await;
    assert_eq!(withdrawn.message.replaces, to(&guid));
    assert!(is_null(&withdrawn) && !withdrawn.own);
    let own = house.message(3).await;
    assert!(own.own);
    assert_eq!(own.message, Message::text("mine"));
}

#[tokio::test]
async fn a_row_waits_for_its_chat_and_is_not_taken_for_a_direct_one() {
    let house = house().await;
    let (chat, rowid) = {
        let mut row = row(&house, "in the group");
        row.chat = None;
        let db = house.mac.db();
        let chat = db.group(Some("Trip"), &[BOB, CAROL], "iMessage").unwrap();
        (chat, db.insert(&row).unwrap().0)
    };
    // Others are not held up by it.
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
    house.mac.db().join(chat.rowid, rowid).unwrap();
    let message = house.message(2).await;
    assert_eq!(message.group.unwrap().thread, NetworkId(chat.guid));
}

#[tokio::test]
async fn our_own_row_that_joins_late_is_matched() {
    let house = house().await;
    house.mac.set_scenario(&Scenario::joins_after(300)).unwrap();
    house.says("late").await.unwrap();
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
}

/// Three photos were lost to a poll that read between the row and its file; mautrix/imessage#228.
#[tokio::test]
async fn photos_whose_rows_and_files_come_late_are_not_lost_and_keep_their_place() {
    let house = house().await;
    let path = house.mac.home().join("Library/Messages/Attachments/late.jpg");
    let rowid = {
        let mut row = row(&house, "");
        row.body = Some(Written::default().file("at_late"));
        let rowid = house.mac.db().insert(&row).unwrap().0;
        let mut after = row;
        after.body = Some(Written::plain("after the photo"));
        house.mac.db().insert(&after).unwrap();
        rowid
    };
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
    let file = File {
        guid: "at_late".into(),
        filename: Some("~/Library/Messages/Attachments/late.jpg".into()),
        name: "late.jpg".into(),
        mime: Some("image/jpeg".into()),
        ..File::default()
    };
    house.mac.db().attach(rowid, &file).unwrap();
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, b"jpeg").unwrap();
    house
        .inbox
        .until(|inbox| {
            messages(inbox)
                .iter()
                .any(|message| message.message == Message::text("after the photo"))
        })
        .await;
    let kinds: Vec<bool> = house
        .messages()
        .iter()
        .filter(|message| message.from.text == BOB)
        .map(|message| matches!(message.message.parts[0].body, Body::Media(_)))
        .collect();
    assert_eq!(kinds, [false, true, false]);
}

#[tokio::test]
async fn a_photo_that_takes_too_long_is_told_of_and_follows() {
    let house = House::with(
        Release::Tahoe,
        |_| {},
        |config| config.timing.files = Duration::from_millis(100),
    )
    .await;
    let (guid, path) = house
        .mac
        .sends_file(BOB, "slow.jpg", "image/jpeg", b"jpeg")
        .unwrap();
    let away = path.with_extension("part");
    // Perhaps it was read before it could be moved: then there is nothing to show here.
    std::fs::rename(&path, &away).unwrap();
    let first = house.message(0).await;
    if let Body::Other { fallback, .. } = &first.message.parts[0].body {
        assert!(fallback.as_ref().unwrap().contains("slow.jpg"));
        std::fs::rename(&away, &path).unwrap();
        let late = house.message(1).await;
        assert!(matches!(&late.message.parts[0].body, Body::Media(media) if media.name == "slow.jpg"));
        assert_eq!(late.message.in_reply_to, to(&guid));
    }
}

/// openclaw/imsg PR #64.
#[tokio::test]
async fn the_preview_of_a_link_is_no_second_message() {
    let house = house().await;
    let url = "https://example.org/a";
    house.mac.says(BOB, url).unwrap();
    let balloon = || {
        let mut row = row(&house, url);
        row.more.push((
            "balloon_bundle_id",
            "com.apple.messages.URLBalloonProvider".to_owned().into(),
        ));
        house.mac.db().insert(&row).unwrap();
    };
    balloon();
    house.settle().await;
    assert_eq!(house.texts(), ["hello", url]);
    // Ours as well.
    house.mac.set_scenario(&Scenario::preview_after(100)).unwrap();
    house.says("https://example.org/b").await.unwrap();
    let two = async {
        while house.mac.rows().unwrap().len() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, two).await.unwrap();
    house.settle().await;
    assert_eq!(house.texts(), ["hello", url]);
}

#[tokio::test]
async fn two_equal_texts_of_a_person_are_two_messages() {
    let house = house().await;
    for _ in 0..2 {
        house.mac.says(BOB, "https://example.org/").unwrap();
    }
    house.settle().await;
    assert_eq!(
        house.texts(),
        ["hello", "https://example.org/", "https://example.org/"]
    );
}

/// photon imessage-kit#39: it went out as SMS, and nobody said so.
#[tokio::test]
async fn a_message_that_left_as_sms_says_so() {
    let house = house().await;
    house.mac.set_scenario(&Scenario::downgraded_after(300)).unwrap();
    let accepted = house.says("hi").await.unwrap();
    let id = accepted.network_ids[0].clone();
    let tells = |receipt: &Receipt| receipt.network_ids.contains(&id) && !receipt.way.is_empty();
    house.inbox.until(|inbox| receipts(inbox).iter().any(tells)).await;
    let receipt = house.receipts().into_iter().find(tells).unwrap();
    assert_eq!(receipt.way[0].proven(), Protection::None);
}

/// openclaw/imsg#126.
#[tokio::test]
async fn a_journal_that_is_cut_to_nothing_stops_nothing() {
    let house = house().await;
    for at in 0..5 {
        house.mac.truncates_journal().unwrap();
        house.mac.says(BOB, &at.to_string()).unwrap();
        house.settle().await;
    }
    assert_eq!(house.texts(), ["hello", "0", "1", "2", "3", "4"]);
}

/// openclaw PR #117788.
#[tokio::test]
async fn a_replaced_file_loses_and_repeats_nothing() {
    let house = house().await;
    house.mac.replace_file().unwrap();
    house.mac.says(BOB, "after").unwrap();
    house.settle().await;
    assert_eq!(house.texts(), ["hello", "after"]);
    // Also when what was written meanwhile is in it already.
    let mut house = house;
    house.kill();
    house.mac.says(BOB, "while away").unwrap();
    house.mac.replace_file().unwrap();
    house.restart();
    house
        .inbox
        .until(|inbox| {
            messages(inbox)
                .iter()
                .any(|message| message.message == Message::text("while away"))
        })
        .await;
    house.settle().await;
    assert_eq!(house.texts(), ["hello", "after", "while away"]);
}

/// Spshulem/openAGI#36.
#[tokio::test]
async fn rows_that_are_numbered_anew_are_neither_lost_nor_repeated() {
    let mut house = house().await;
    {
        let db = house.mac.db();
        db.connection
            .execute("UPDATE sqlite_sequence SET seq = 5000 WHERE name = 'message'", [])
            .unwrap();
    }
    house.mac.says(BOB, "high").unwrap();
    house.settle().await;
    house.mac.db().renumber().unwrap();
    house.mac.says(BOB, "low").unwrap();
    house.settle().await;
    assert_eq!(house.texts(), ["hello", "high", "low"]);
    // And while it was down.
    house.kill();
    house
        .mac
        .db()
        .connection
        .execute("UPDATE message SET ROWID = ROWID + 100", [])
        .unwrap();
    house
        .mac
        .db()
        .connection
        .execute("UPDATE chat_message_join SET message_id = message_id + 100", [])
        .unwrap();
    house.mac.says(BOB, "shifted").unwrap();
    house.mac.db().renumber().unwrap();
    house.mac.says(BOB, "again").unwrap();
    house.restart();
    house.settle().await;
    assert_eq!(house.texts(), ["hello", "high", "low", "shifted", "again"]);
}

/// claude-plugins-official#5224, openclaw#72322: iCloud brings old messages under new numbers.
#[tokio::test]
async fn old_messages_under_new_numbers_are_history_and_are_not_dropped() {
    let house = house().await;
    for at in 0..1000 {
        let mut row = row(&house, &at.to_string());
        row.date = apple_ago(Duration::from_secs(400 * 24 * 3600));
        house.mac.db().insert(&row).unwrap();
    }
    house.settle().await;
    let messages = house.messages();
    let old: Vec<_> = messages.iter().filter(|message| message.history).collect();
    assert_eq!(old.len(), 1000);
    assert!(!messages.last().unwrap().history);
}

#[tokio::test]
async fn a_row_that_appears_under_a_passed_number_is_found_by_the_sweep() {
    let house = House::with(
        Release::Tahoe,
        |_| {},
        |config| config.timing.sweep = Duration::from_millis(50),
    )
    .await;
    {
        let db = house.mac.db();
        db.connection
            .execute("INSERT INTO sqlite_sequence VALUES ('message', 100)", [])
            .unwrap();
    }
    house.mac.says(BOB, "one hundred and one").unwrap();
    house.message(0).await;
    let mut row = row(&house, "seven");
    row.more.push(("ROWID", 7.into()));
    house.mac.db().insert(&row).unwrap();
    house.message(1).await;
    assert_eq!(house.texts(), ["one hundred and one", "seven"]);
}

#[tokio::test]
async fn a_database_that_is_away_or_damaged_for_a_while_is_told_and_survived() {
    let house = house().await;
    // All of it stands in the file itself, nothing beside it.
    house.mac.truncates_journal().unwrap();
    let path = house.mac.database();
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    house.until(Link::Disconnected).await;
    std::fs::write(
        &path,
        b"this is no database, and it is longer than a header of one would be, by far, to be sure of it",
    )
    .unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_ne!(house.connector.probe().await.state, Link::Connected);
    let answer = house.says("hi").await;
    assert!(
        matches!(&answer, Err(SendError::RetryAfter { counts: false, .. })),
        "{answer:?}"
    );
    std::fs::rename(&away, &path).unwrap();
    house.until(Link::Connected).await;
    house.mac.says(BOB, "back").unwrap();
    house.settle().await;
    assert_eq!(house.texts(), ["hello", "back"]);
}

/// anthropics/claude-code#41783: the text column is empty; and here the body is broken as well.
#[tokio::test]
async fn a_body_that_cannot_be_read_stops_nothing_else() {
    let house = house().await;
    let (rowid, guid) = {
        let row = row(&house, "x");
        house.mac.db().insert(&row).unwrap()
    };
    let _ = rowid;
    house.message(1).await;
    house
        .mac
        .db()
        .set(&guid, "attributedBody", vec![4u8, 11, 115])
        .unwrap();
    house
        .mac
        .db()
        .set(&guid, "message_summary_info", b"bplist00".to_vec())
        .unwrap();
    house.mac.says(BOB, "next").unwrap();
    house.settle().await;
    assert_eq!(house.texts(), ["hello", "x", "next"]);
}

/// What iCloud brings while a message is being sent stands before our row.
fn backfill(house: &House, rows: usize) {
    let mut row = row(house, "");
    row.from_me = true;
    row.date = apple_ago(Duration::from_secs(400 * 24 * 3600));
    for at in 0..rows {
        // Once before, the person wrote the very same.
        row.body = Some(Written::plain(&match at {
            7 => "needle".to_owned(),
            at => format!("old {at}"),
        }));
        house.mac.db().insert(&row).unwrap();
    }
}

async fn asked(house: &House) {
    let asked = async {
        while house.mac.calls().unwrap().is_empty() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, asked).await.unwrap();
}

#[tokio::test]
async fn our_row_is_found_behind_all_that_icloud_brings_meanwhile() {
    let house = house().await;
    house.mac.set_scenario(&Scenario::row_after(1500)).unwrap();
    let (accepted, ()) = tokio::join!(house.says("needle"), async {
        asked(&house).await;
        backfill(&house, 500);
    });
    let ours = house.mac.rows().unwrap().pop().unwrap();
    assert_eq!(ours.text, "needle");
    assert_eq!(accepted.unwrap().network_ids, [NetworkId(ours.guid)]);
    house.settle().await;
    let needles: Vec<bool> = house
        .messages()
        .iter()
        .filter(|message| message.message == Message::text("needle"))
        .map(|message| message.history)
        .collect();
    // The old one alone is something that the person said.
    assert_eq!(needles, [true]);
}

/// The send has ended; its row comes late, and long after the back-fill began.
#[tokio::test]
async fn our_row_that_comes_late_behind_a_back_fill_is_no_word_of_the_persons() {
    let house = House::with(
        Release::Tahoe,
        |_| {},
        |config| config.timing.row = Duration::from_millis(100),
    )
    .await;
    house.mac.says(BOB, "hello").unwrap();
    house.message(0).await;
    house.mac.set_scenario(&Scenario::nothing()).unwrap();
    let answer = house.says("needle").await;
    assert!(matches!(&answer, Err(SendError::Unknown { .. })), "{answer:?}");
    backfill(&house, 500);
    let mut late = row(&house, "needle");
    late.from_me = true;
    house.mac.db().insert(&late).unwrap();
    house.settle().await;
    let fresh = |message: &&InboundMessage| message.own && !message.history;
    assert_eq!(house.messages().iter().filter(fresh).count(), 0);
}
