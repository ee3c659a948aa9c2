use super::*;
use crate::config::Config;
use serde_json::json;
use swingbridge_domain::message::{Body, Disposition, MediaKind, Message, Reference, Tone};
use swingbridge_domain::secret::Secret;

fn names() -> Names {
    let url = url::Url::parse("http://127.0.0.1:8008").unwrap();
    Config::new(url, "example.org", "sms", Secret::new("a"), Secret::new("h")).names()
}

fn parse(event: Value) -> Result<Option<RoomEvent>, Odd> {
    let raw = serde_json::value::to_raw_value(&event).unwrap();
    Ok(read(&raw, None, &names())?.map(|arrival| match arrival.what {
        What::Room(event) => event,
        What::Network(_) => panic!("a room event came out as one of a network"),
    }))
}

fn event(kind: &str, content: Value) -> Value {
    json!({
        "type": kind, "sender": "@alice:example.org", "room_id": "!room:example.org", "event_id": "$one",
        "origin_server_ts": 1_700_000_000_123_i64, "content": content,
    })
}

fn said(kind: &str, content: Value) -> Message {
    match parse(event(kind, content)).unwrap().unwrap().what {
        RoomEventKind::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn body(message: &Message) -> &Body {
    &message.parts[0].body
}

fn plain(message: &Message) -> &str {
    &message.first_text().unwrap().plain
}

#[test]
fn a_text_is_told_with_its_room_sender_time_and_id() {
    let found = parse(event(
        "m.room.message",
        json!({"msgtype": "m.text", "body": "h\u{e9}llo \"you\"\n"}),
    ))
    .unwrap()
    .unwrap();
    assert_eq!(found.room.as_str(), "!room:example.org");
    assert_eq!(found.event.as_str(), "$one");
    assert_eq!(found.sender.as_str(), "@alice:example.org");
    assert_eq!(found.sent_at, Timestamp(1_700_000_000_123));
    let RoomEventKind::Message(message) = found.what else {
        panic!()
    };
    assert_eq!(plain(&message), "h\u{e9}llo \"you\"\n");
}

#[test]
fn events_are_told_apart_by_event_id() {
    let raw = serde_json::value::to_raw_value(&event(
        "m.room.message",
        json!({"msgtype": "m.text", "body": "x"}),
    ))
    .unwrap();
    let arrival = read(&raw, None, &names()).unwrap().unwrap();
    assert_eq!(
        arrival.dedupe,
        Dedupe::Event {
            id: EventId::new("$one"),
            sent_at: Timestamp(1_700_000_000_123),
        }
    );
}

#[test]
fn our_own_events_are_passed_over_but_not_what_others_do_to_ghosts() {
    for sender in ["@smsbot:example.org", "@sms_abc:example.org"] {
        let mut event = event("m.room.message", json!({"msgtype": "m.text", "body": "x"}));
        event["sender"] = json!(sender);
        assert_eq!(parse(event).unwrap(), None);
    }
    let mut kick = event("m.room.member", json!({"membership": "ban"}));
    kick["state_key"] = json!("@sms_abc:example.org");
    assert_eq!(
        parse(kick).unwrap().unwrap().what,
        RoomEventKind::Membership {
            user: UserId::new("@sms_abc:example.org"),
            membership: Membership::Leave,
            direct: false
        }
    );
}

#[test]
fn what_a_double_puppet_said_is_passed_over() {
    let content = json!({"msgtype": "m.text", "body": "x", "fi.mau.double_puppet_source": "mautrix-other"});
    assert_eq!(parse(event("m.room.message", content)).unwrap(), None);
}

#[test]
fn tones_and_formatting_are_kept() {
    let message = said(
        "m.room.message",
        json!({"msgtype": "m.emote", "body": "waves", "format": "org.matrix.custom.html", "formatted_body": "<b>waves</b>"}),
    );
    let text = message.first_text().unwrap();
    assert_eq!(
        (text.tone, text.html.as_deref()),
        (Tone::Emote, Some("<b>waves</b>"))
    );
    assert_eq!(
        said("m.room.message", json!({"msgtype": "m.notice", "body": "x"}))
            .first_text()
            .unwrap()
            .tone,
        Tone::Notice
    );
}

#[test]
fn a_reply_loses_its_old_quote_and_names_its_target() {
    let message = said(
        "m.room.message",
        json!({
            "msgtype": "m.text", "body": "> <@bob:x> one\n> two\n\nanswer",
            "format": "org.matrix.custom.html",
            "formatted_body": "<mx-reply><blockquote>one</blockquote></mx-reply>answer",
            "m.relates_to": {"m.in_reply_to": {"event_id": "$target"}},
        }),
    );
    assert_eq!(plain(&message), "answer");
    assert_eq!(message.first_text().unwrap().html.as_deref(), Some("answer"));
    assert_eq!(
        message.in_reply_to,
        Some(Reference::Event(EventId::new("$target")))
    );
    let quote = said(
        "m.room.message",
        json!({"msgtype": "m.text", "body": "> a quote\n\nof mine"}),
    );
    assert_eq!(plain(&quote), "> a quote\n\nof mine");
}

#[test]
fn a_thread_is_a_reply_to_its_root_unless_somebody_replied_within_it() {
    let relation = |stand_in| {
        json!({"msgtype": "m.text", "body": "x", "m.relates_to": {
        "rel_type": "m.thread", "event_id": "$root", "is_falling_back": stand_in, "m.in_reply_to": {"event_id": "$newest"}}})
    };
    let to = |stand_in| said("m.room.message", relation(stand_in)).in_reply_to;
    assert_eq!(to(true), Some(Reference::Event(EventId::new("$root"))));
    assert_eq!(to(false), Some(Reference::Event(EventId::new("$newest"))));
}

#[test]
fn an_edit_replaces_with_the_new_content() {
    let relation = json!({"rel_type": "m.replace", "event_id": "$old"});
    let message = said(
        "m.room.message",
        json!({"msgtype": "m.text", "body": "* new", "m.new_content": {"msgtype": "m.text", "body": "new"}, "m.relates_to": relation}),
    );
    assert_eq!(plain(&message), "new");
    assert_eq!(message.replaces, Some(Reference::Event(EventId::new("$old"))));
    let bare = said(
        "m.room.message",
        json!({"msgtype": "m.text", "body": "* new", "m.relates_to": relation}),
    );
    assert_eq!(plain(&bare), "new");
}

#[test]
fn media_come_with_kind_name_and_caption() {
    let media = |content| match body(&said("m.room.message", content)) {
        Body::Media(media) => media.clone(),
        other => panic!("{other:?}"),
    };
    let image = media(
        json!({"msgtype": "m.image", "body": "look at this", "filename": "cat.png", "url": "mxc://a/b",
        "info": {"mimetype": "image/png", "size": 12}}),
    );
    assert_eq!((image.kind, image.name.as_str()), (MediaKind::Image, "cat.png"));
    assert_eq!(image.caption.as_deref(), Some("look at this"));
    assert_eq!((image.mime.as_deref(), image.size), (Some("image/png"), Some(12)));
    let file = media(
        json!({"msgtype": "m.file", "body": "a.pdf", "filename": "a.pdf", "url": "mxc://a/b", "info": {"size": "12"}}),
    );
    assert_eq!(
        (file.kind, file.caption, file.size),
        (MediaKind::File, None, None)
    );
    let voice =
        media(json!({"msgtype": "m.audio", "body": "v", "url": "mxc://a/b", "org.matrix.msc3245.voice": {}}));
    assert_eq!(voice.kind, MediaKind::Voice);
    let sticker = said(
        "m.sticker",
        json!({"body": "wave", "url": "mxc://a/b", "info": {}}),
    );
    assert!(
        matches!(body(&sticker), Body::Media(media) if media.kind == MediaKind::Sticker && media.name == "wave")
    );
    let sealed = said(
        "m.room.message",
        json!({"msgtype": "m.image", "body": "x.png", "file": {"url": "mxc://a/b"}}),
    );
    // What opens it stands beside: nobody takes it for a file in the clear.
    assert!(matches!(
        body(&sealed),
        Body::Media(media) if media.key.as_deref() == Some(r#"{"url":"mxc://a/b"}"#)
    ));
    let nowhere = said(
        "m.room.message",
        json!({"msgtype": "m.image", "body": "x.png", "file": {}}),
    );
    assert!(matches!(body(&nowhere), Body::Other { kind, .. } if kind == "m.image"));
}

#[test]
fn reactions_name_their_target() {
    let relation = |key| json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": "$it", "key": key}, "shortcode": ":cat:"});
    let message = said("m.reaction", relation("👍"));
    assert_eq!(message.parts[0].disposition, Disposition::Reaction);
    assert_eq!(plain(&message), "👍");
    assert_eq!(message.in_reply_to, Some(Reference::Event(EventId::new("$it"))));
    assert_eq!(plain(&said("m.reaction", relation("mxc://a/b"))), ":cat:");
}

#[test]
fn redactions_of_old_and_new_rooms_withdraw() {
    let new = said("m.room.redaction", json!({"redacts": "$it", "reason": "no"}));
    let mut event = event("m.room.redaction", json!({}));
    event["redacts"] = json!("$it");
    let RoomEventKind::Message(old) = parse(event).unwrap().unwrap().what else {
        panic!()
    };
    for message in [new, old] {
        assert_eq!(message.replaces, Some(Reference::Event(EventId::new("$it"))));
        assert_eq!(body(&message), &Body::Null);
    }
}

#[test]
fn what_was_redacted_says_nothing() {
    assert_eq!(parse(event("m.room.message", json!({}))).unwrap(), None);
    assert_eq!(parse(event("m.reaction", json!({}))).unwrap(), None);
}

#[test]
fn polls_of_both_spellings_are_read() {
    let stable = said(
        "m.poll.start",
        json!({"m.text": "fallback", "m.poll": {"question": {"m.text": [{"body": "Tea?"}]},
            "answers": [{"m.id": "1", "m.text": [{"mimetype": "text/html", "body": "<b>y</b>"}, {"body": "yes"}]}, {"m.text": [{"body": "no"}]}]}}),
    );
    let draft = said(
        "org.matrix.msc3381.poll.start",
        json!({"org.matrix.msc3381.poll.start": {"question": {"org.matrix.msc1767.text": "Tea?"},
            "answers": [{"id": "1", "org.matrix.msc1767.text": "yes"}, {"id": "2", "org.matrix.msc1767.text": "no"}]}}),
    );
    let wanted = Body::Poll {
        question: "Tea?".into(),
        answers: vec!["yes".into(), "no".into()],
    };
    assert_eq!(body(&stable), &wanted);
    assert_eq!(body(&draft), &wanted);
}

#[test]
fn locations_carry_their_uri() {
    let message = said(
        "m.room.message",
        json!({"msgtype": "m.location", "body": "The pub", "geo_uri": "geo:1,2"}),
    );
    assert!(
        matches!(body(&message), Body::Location { geo_uri, description } if geo_uri == "geo:1,2" && description == "The pub")
    );
}

#[test]
fn unknown_types_are_told_and_steps_of_calls_are_not() {
    let message = said("org.example.new", json!({"body": "see my app"}));
    assert!(
        matches!(body(&message), Body::Other { kind, fallback: Some(text) } if kind == "org.example.new" && text == "see my app")
    );
    assert!(matches!(
        body(&said("m.call.invite", json!({"call_id": "1"}))),
        Body::Other { .. }
    ));
    assert!(
        matches!(body(&said("m.room.message", json!({"msgtype": "x.y", "body": "b"}))), Body::Other { kind, .. } if kind == "x.y")
    );
    assert_eq!(
        parse(event("m.call.candidates", json!({"call_id": "1"}))).unwrap(),
        None
    );
    assert_eq!(
        parse(event(
            "com.beeper.message_send_status",
            json!({"status": "SUCCESS"})
        ))
        .unwrap(),
        None
    );
}

#[test]
fn state_that_concerns_nobody_is_passed_over() {
    let mut topic = event("m.room.topic", json!({"topic": "x"}));
    topic["state_key"] = json!("");
    assert_eq!(parse(topic).unwrap(), None);
    let mut tombstone = event(
        "m.room.tombstone",
        json!({"body": "moved", "replacement_room": "!new"}),
    );
    tombstone["state_key"] = json!("");
    assert_eq!(
        parse(tombstone).unwrap().unwrap().what,
        RoomEventKind::Replaced {
            by: RoomId::new("!new")
        }
    );
}

#[test]
fn a_new_name_is_not_a_new_member() {
    let mut member = event("m.room.member", json!({"membership": "join", "displayname": "A"}));
    member["state_key"] = json!("@alice:example.org");
    let joined = RoomEventKind::Membership {
        user: UserId::new("@alice:example.org"),
        membership: Membership::Join,
        direct: false,
    };
    assert_eq!(parse(member.clone()).unwrap().unwrap().what, joined);
    member["unsigned"] = json!({"prev_content": {"membership": "invite"}});
    assert_eq!(parse(member.clone()).unwrap().unwrap().what, joined);
    member["unsigned"] = json!({"prev_content": {"membership": "join"}});
    assert_eq!(parse(member).unwrap(), None);
}

#[test]
fn encrypted_events_can_not_be_read() {
    let found = parse(event(
        "m.room.encrypted",
        json!({"algorithm": "m.megolm.v1.aes-sha2"}),
    ))
    .unwrap()
    .unwrap();
    assert!(matches!(found.what, RoomEventKind::Undecryptable { .. }));
}

#[test]
fn odd_events_are_odd_and_wrong_field_types_are_not() {
    assert_eq!(parse(json!({"type": "m.room.message"})), Err(Odd));
    assert_eq!(parse(json!("text")), Err(Odd));
    let mut no_room = event("m.room.message", json!({"msgtype": "m.text", "body": "x"}));
    no_room.as_object_mut().unwrap().remove("room_id");
    assert_eq!(parse(no_room.clone()), Err(Odd));
    let raw = serde_json::value::to_raw_value(&no_room).unwrap();
    assert!(read(&raw, Some("!r"), &names()).unwrap().is_some());
    let message = said(
        "m.room.message",
        json!({"msgtype": "m.text", "body": "x", "format": 7, "formatted_body": [], "m.relates_to": "y"}),
    );
    assert_eq!(plain(&message), "x");
    let mut late = event("m.room.message", json!({"msgtype": "m.text", "body": "x"}));
    late["origin_server_ts"] = json!(1.5e12);
    assert_eq!(
        parse(late).unwrap().unwrap().sent_at,
        Timestamp(1_500_000_000_000)
    );
}
