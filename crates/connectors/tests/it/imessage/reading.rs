//! What is read of each release.

use super::*;
use swingbridge_domain::address::Hint;
use swingbridge_domain::inbox::Change;
use swingbridge_domain::message::{Disposition, MediaKind};
use swingbridge_domain::path::{Protection, Scheme};
use swingbridge_lab::macos::chatdb::{File, Row};
use swingbridge_lab::macos::typedstream::{Attribute, Body as Written};

#[tokio::test]
async fn texts_are_read_from_every_release() {
    for release in Release::ALL {
        let house = House::new(release).await;
        let guid = house.mac.says(BOB, "Grüße 😀").unwrap();
        let message = house.message(0).await;
        assert_eq!(message.message, Message::text("Grüße 😀"), "{release:?}");
        assert_eq!(message.network_id, Some(NetworkId(guid)));
        assert_eq!(
            (message.from.text.as_str(), message.from.hint),
            (BOB, Hint::International)
        );
        assert_eq!(
            (message.own, message.history, message.group),
            (false, false, None)
        );
        assert_eq!(message.to.text, "+447700900001");
        assert!(Now.now().since(message.sent_at.unwrap()) < SOON);
    }
}

#[tokio::test]
async fn the_service_is_told_by_its_column_and_never_by_the_chats_guid() {
    let house = House::new(Release::Tahoe).await;
    for (at, (service, protection)) in [
        ("iMessage", Protection::EndToEnd(Scheme::Imessage)),
        ("SMS", Protection::None),
        ("RCS", Protection::Unknown),
        ("rcs", Protection::Unknown),
        ("iMessageLite", Protection::Unknown),
    ]
    .into_iter()
    .enumerate()
    {
        // All of them are in one chat whose guid begins with `any`.
        house.mac.says_by(BOB, service, service).unwrap();
        let message = house.message(at).await;
        assert_eq!(message.way[0].proven(), protection, "{service}");
    }
}

#[tokio::test]
async fn what_the_person_writes_on_the_mac_or_phone_is_own() {
    let house = House::new(Release::Tahoe).await;
    {
        let db = house.mac.db();
        let chat = db.direct(CAROL, "iMessage").unwrap();
        let row = Row {
            body: Some(Written::plain("from my phone")),
            chat: Some(chat.rowid),
            service: "iMessage".into(),
            from_me: true,
            ..Row::default()
        };
        db.insert(&row).unwrap();
    }
    let message = house.message(0).await;
    assert!(message.own);
    assert_eq!(
        (message.from.text.as_str(), message.from.hint),
        (CAROL, Hint::Mail)
    );
}

#[tokio::test]
async fn replies_name_what_they_answer() {
    let house = House::new(Release::Ventura).await;
    let first = house.mac.says(BOB, "when?").unwrap();
    {
        let db = house.mac.db();
        let chat = db.direct(BOB, "iMessage").unwrap();
        let row = Row {
            body: Some(Written::plain("at eight")),
            chat: Some(chat.rowid),
            handle: Some(db.handle(BOB, "iMessage").unwrap()),
            service: "iMessage".into(),
            more: vec![
                ("thread_originator_guid", first.clone().into()),
                ("thread_originator_part", "0:0:5".to_owned().into()),
            ],
            ..Row::default()
        };
        db.insert(&row).unwrap();
    }
    assert_eq!(house.message(1).await.message.in_reply_to, to(&first));
}

#[tokio::test]
async fn a_tapback_takes_the_place_of_the_one_before_and_can_be_taken_back() {
    let house = House::new(Release::Tahoe).await;
    let said = house.mac.says(BOB, "done").unwrap();
    let like = house.mac.reacts(BOB, &said, 2001, None).unwrap();
    let reaction = house.message(1).await;
    assert_eq!(reaction.message.in_reply_to, to(&said));
    assert_eq!(reaction.message.parts[0].disposition, Disposition::Reaction);
    assert_eq!(reaction.message.first_text().unwrap().plain, "👍");
    assert_eq!(reaction.network_id, Some(NetworkId(like.clone())));
    // The row of the like is gone when the next one comes.
    let party = house.mac.reacts(BOB, &said, 2006, Some("🎉")).unwrap();
    let withdrawn = house.message(2).await;
    assert_eq!(withdrawn.message.replaces, to(&like));
    assert!(is_null(&withdrawn));
    assert_eq!(house.message(3).await.message.first_text().unwrap().plain, "🎉");
    house.mac.reacts(BOB, &said, 3006, Some("🎉")).unwrap();
    let withdrawn = house.message(4).await;
    assert_eq!(withdrawn.message.replaces, to(&party));
    assert!(is_null(&withdrawn));
}

#[tokio::test]
async fn a_tapback_that_was_never_seen_is_not_taken_back() {
    let house = House::new(Release::Tahoe).await;
    let said = house.mac.says(BOB, "done").unwrap();
    house.message(0).await;
    house.mac.reacts(BOB, &said, 3001, None).unwrap();
    house.settle().await;
    assert_eq!(house.texts(), ["done"]);
}

#[tokio::test]
async fn edits_and_withdrawals_name_the_message_that_they_change() {
    let house = House::new(Release::Ventura).await;
    let said = house.mac.says(BOB, "see you at sevn").unwrap();
    house.message(0).await;
    house.mac.db().edit(&said, "see you at seven").unwrap();
    let edited = house.message(1).await;
    assert_eq!(edited.message.replaces, to(&said));
    assert_eq!(edited.message.first_text().unwrap().plain, "see you at seven");
    house.mac.db().edit(&said, "see you at eight").unwrap();
    assert_eq!(
        house.message(2).await.message.first_text().unwrap().plain,
        "see you at eight"
    );
    house.mac.db().unsend(&said, 1).unwrap();
    let unsent = house.message(3).await;
    assert_eq!(unsent.message.replaces, to(&said));
    assert!(is_null(&unsent));
    let ids: Vec<String> = by_id(&house.inbox).into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        ids.iter().collect::<std::collections::HashSet<_>>().len(),
        ids.len()
    );
}

#[tokio::test]
async fn edits_that_were_made_while_it_was_down_are_found() {
    let mut house = House::new(Release::Tahoe).await;
    let said = house.mac.says(BOB, "one").unwrap();
    house.message(0).await;
    house.settle().await;
    house.kill();
    house.mac.db().edit(&said, "two").unwrap();
    house.restart();
    house.inbox.until(|inbox| messages(inbox).len() >= 3).await;
    assert_eq!(house.texts(), ["one", "two"]);
}

#[tokio::test]
async fn groups_have_their_name_members_and_what_happens_to_them() {
    let house = House::new(Release::Tahoe).await;
    let chat = {
        let db = house.mac.db();
        let chat = db.group(Some("Trip"), &[BOB, CAROL], "iMessage").unwrap();
        house
            .mac
            .says_in(&db, &chat, CAROL, "iMessage", Written::plain("hello all"))
            .unwrap();
        let event = |kind: i64, action: i64, more: Vec<(&'static str, rusqlite::types::Value)>| {
            let row = Row {
                chat: Some(chat.rowid),
                handle: Some(db.handle(BOB, "iMessage").unwrap()),
                service: "iMessage".into(),
                more: [
                    vec![("item_type", kind.into()), ("group_action_type", action.into())],
                    more,
                ]
                .concat(),
                ..Row::default()
            };
            db.insert(&row).unwrap();
        };
        let dave = db.handle("+447700900555", "iMessage").unwrap();
        event(1, 0, vec![("other_handle", dave.into())]);
        event(1, 1, vec![("other_handle", dave.into())]);
        event(2, 0, vec![("group_title", "Journey".to_owned().into())]);
        event(3, 0, vec![]);
        event(3, 2, vec![]);
        chat
    };
    let message = house.message(0).await;
    let group = message.group.unwrap();
    assert_eq!(group.thread, NetworkId(chat.guid));
    assert_eq!(group.name.as_deref(), Some("Trip"));
    let members: Vec<&str> = group.members.iter().map(|member| member.text.as_str()).collect();
    assert_eq!(members, [BOB, CAROL]);
    assert_eq!(message.from.text, CAROL);
    let changes = |inbox: &Recorder| -> Vec<_> {
        let change = |inbound| match inbound {
            Inbound::Group(change) => Some(change),
            _ => None,
        };
        inbox.inbound().into_iter().filter_map(change).collect()
    };
    house.inbox.until(|inbox| changes(inbox).len() == 5).await;
    let changes = changes(&house.inbox);
    assert!(matches!(&changes[0].change, Change::Joined(who) if who.text == "+447700900555"));
    assert!(matches!(&changes[1].change, Change::Left(who) if who.text == "+447700900555"));
    assert_eq!(
        (&changes[2].change, changes[2].group.name.as_deref()),
        (&Change::Renamed, Some("Journey"))
    );
    assert!(matches!(&changes[3].change, Change::Left(who) if who.text == BOB));
    assert_eq!(changes[4].change, Change::Picture(None));
    assert!(
        changes
            .iter()
            .all(|change| change.by.as_ref().is_some_and(|by| by.text == BOB))
    );
}

#[tokio::test]
async fn a_group_keeps_its_earlier_names_when_its_service_changes() {
    let house = House::new(Release::Ventura).await;
    let (before, after) = {
        let db = house.mac.db();
        let before = db.group(None, &[BOB, CAROL], "iMessage").unwrap();
        let after = db.group(None, &[BOB, CAROL], "SMS").unwrap();
        db.connection
            .execute(
                "UPDATE chat SET group_id = (SELECT group_id FROM chat WHERE guid = ?1) WHERE guid = ?2",
                [&before.guid, &after.guid],
            )
            .unwrap();
        house
            .mac
            .says_in(&db, &after, BOB, "SMS", Written::plain("hi"))
            .unwrap();
        (before, after)
    };
    let group = house.message(0).await.group.unwrap();
    assert_eq!(group.thread, NetworkId(after.guid));
    assert_eq!(group.formerly, [NetworkId(before.guid)]);
}

#[tokio::test]
async fn files_stand_where_the_text_has_them() {
    let house = House::new(Release::Tahoe).await;
    let (_, path) = house
        .mac
        .sends_file(BOB, "a photo.jpg", "image/jpeg", b"jpeg")
        .unwrap();
    let message = house.message(0).await;
    let Body::Media(media) = &message.message.parts[0].body else {
        panic!("{message:?}")
    };
    assert_eq!(
        (media.kind, media.name.as_str(), media.size),
        (MediaKind::Image, "a photo.jpg", Some(4))
    );
    assert_eq!(
        media.uri,
        format!("file://{}", path.display()).replace(' ', "%20")
    );
    // A voice note between two texts.
    {
        let db = house.mac.db();
        let chat = db.direct(BOB, "iMessage").unwrap();
        let row = Row {
            body: Some(
                Written::default()
                    .text("before", &[])
                    .file("at_1")
                    .text("after", &[("__kIMTextBoldAttributeName", Attribute::Integer(1))]),
            ),
            handle: Some(db.handle(BOB, "iMessage").unwrap()),
            service: "iMessage".into(),
            ..Row::default()
        };
        let (rowid, _) = db.insert(&row).unwrap();
        let file = File {
            guid: "at_1".into(),
            filename: Some(path.display().to_string()),
            name: "Audio Message.caf".into(),
            uti: Some("com.apple.coreaudio-format".into()),
            state: 5,
            ..File::default()
        };
        db.attach(rowid, &file).unwrap();
        db.join(chat.rowid, rowid).unwrap();
    }
    let parts = house.message(1).await.message.parts;
    assert_eq!(parts.len(), 3);
    assert!(matches!(&parts[0].body, Body::Text(text) if text.plain == "before" && text.html.is_none()));
    assert!(matches!(&parts[1].body, Body::Media(media) if media.kind == MediaKind::Voice));
    assert!(
        matches!(&parts[2].body, Body::Text(text) if text.html.as_deref() == Some("<strong>after</strong>"))
    );
}

#[tokio::test]
async fn only_the_days_that_are_wanted_are_brought_over_at_the_first_start() {
    let old = |mac: &Mac, text: &str, days: u64| {
        let db = mac.db();
        let chat = db.direct(BOB, "iMessage").unwrap();
        let row = Row {
            body: Some(Written::plain(text)),
            chat: Some(chat.rowid),
            handle: Some(db.handle(BOB, "iMessage").unwrap()),
            service: "iMessage".into(),
            date: swingbridge_lab::macos::chatdb::apple_ago(Duration::from_secs(days * 24 * 3600)),
            ..Row::default()
        };
        db.insert(&row).unwrap();
    };
    let fill = |mac: &Mac| {
        old(mac, "last year", 365);
        old(mac, "last week", 6);
        // Brought to this Mac after that one.
        old(mac, "years ago", 2000);
        old(mac, "yesterday", 1);
    };
    let house = House::with(Release::Tahoe, fill, |config| config.history_days = 30).await;
    house.settle().await;
    assert_eq!(house.texts(), ["last week", "yesterday"]);
    assert!(house.messages()[..2].iter().all(|message| message.history));
    assert!(!house.messages()[2].history);
    let none = House::with(Release::Tahoe, fill, |_| {}).await;
    none.settle().await;
    assert_eq!(none.texts(), [""; 0]);
}

#[tokio::test]
async fn nothing_is_passed_before_it_is_committed() {
    let mut house = House::new(Release::Tahoe).await;
    house.inbox.full.store(true, std::sync::atomic::Ordering::Relaxed);
    house.mac.says(BOB, "one").unwrap();
    house.mac.says(BOB, "two").unwrap();
    sleep(Duration::from_millis(100)).await;
    house.restart();
    house
        .inbox
        .full
        .store(false, std::sync::atomic::Ordering::Relaxed);
    house.message(1).await;
    house.settle().await;
    assert_eq!(house.texts(), ["one", "two"]);
}

#[tokio::test]
#[ignore = "fills a database of a gigabyte"]
async fn a_million_messages_are_passed_in_under_a_second() {
    let fill = |mac: &Mac| {
        let db = mac.db();
        let chat = db.direct(BOB, "iMessage").unwrap();
        let row = Row {
            body: Some(Written::plain(&"some words of an ordinary length ".repeat(3))),
            chat: Some(chat.rowid),
            handle: Some(db.handle(BOB, "iMessage").unwrap()),
            service: "iMessage".into(),
            date: 1_000_000_000_000,
            ..Row::default()
        };
        db.insert(&row).unwrap();
        let copies = "BEGIN;
             INSERT INTO message (guid, attributedBody, handle_id, service, date)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             SELECT 'copy-' || i, attributedBody, handle_id, service, date FROM n, message WHERE message.ROWID = 1;
             INSERT OR IGNORE INTO chat_message_join (chat_id, message_id, message_date) SELECT 1, ROWID, date FROM message;
             COMMIT;";
        db.connection.execute_batch(copies).unwrap();
    };
    let mut house = House::with(Release::Tahoe, fill, |config| config.history_days = 30).await;
    let start = std::time::Instant::now();
    house.restart();
    house.until(Link::Connected).await;
    let took = start.elapsed();
    println!("start with a million messages: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let start = std::time::Instant::now();
    house.settle().await;
    println!("a new message: {:?}", start.elapsed());
}

#[tokio::test]
async fn a_new_row_is_handed_in_long_before_the_next_poll() {
    let house = House::with(
        Release::Tahoe,
        |_| {},
        |config| config.timing.poll = Duration::from_secs(60),
    )
    .await;
    let begun = tokio::time::Instant::now();
    house.mac.says(BOB, "one").unwrap();
    house.message(0).await;
    // Also when the journal was cut meanwhile.
    house.mac.truncates_journal().unwrap();
    house.mac.says(BOB, "two").unwrap();
    house.message(1).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
