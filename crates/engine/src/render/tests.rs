use super::*;
use swingbridge_domain::id::EventId;
use swingbridge_domain::message::MediaKind;

fn sms() -> Capabilities {
    Capabilities {
        networks: vec!["sms".into()],
        ..Capabilities::default()
    }
}

fn of(body: Body) -> Message {
    Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body,
        }],
        ..Message::default()
    }
}

fn text_of(rendered: Rendered) -> String {
    match rendered {
        Rendered::Send { message, .. } => message.first_text().unwrap().plain.clone(),
        Rendered::Refuse { words, .. } => panic!("refused: {words}"),
    }
}

#[test]
fn what_sms_cannot_carry_is_refused_in_words() {
    let media = Media {
        kind: MediaKind::Image,
        name: "cat.png".into(),
        mime: None,
        size: None,
        uri: "mxc://a/b".into(),
        ..Media::default()
    };
    let edit = Message {
        replaces: Some(Reference::Event(EventId::new("$1"))),
        ..Message::text("x")
    };
    for (message, words) in [
        (of(Body::Media(media)), words::no_media(&sms())),
        (
            of(Body::Poll {
                question: "?".into(),
                answers: vec![],
            }),
            words::no_polls(&sms()),
        ),
        (edit, words::no_edits(&sms())),
        (Message::text("  "), words::EMPTY.to_owned()),
        (Message::default(), words::EMPTY.to_owned()),
    ] {
        match outbound(&message, &sms(), &Policy::default(), "alice", None) {
            Rendered::Refuse { words: said, .. } => assert_eq!(said, words),
            sent => panic!("sent {sent:?}"),
        }
    }
}

#[test]
fn a_file_goes_where_links_are_on_encrypted_or_not() {
    let picture = |key: Option<&str>| {
        of(Body::Media(Media {
            uri: "mxc://a/b".into(),
            key: key.map(str::to_owned),
            ..Media::default()
        }))
    };
    let on = Policy {
        media: MediaPolicy::Link,
        ..Policy::default()
    };
    let by_link = Capabilities {
        media: Support::Full,
        media_links: true,
        ..sms()
    };
    for able in [sms(), by_link.clone()] {
        for message in [picture(None), picture(Some("{}"))] {
            match outbound(&message, &able, &on, "alice", None) {
                Rendered::Send { message: sent, .. } => assert_eq!(sent.parts, message.parts),
                refused => panic!("{refused:?}"),
            }
        }
    }
    match outbound(&picture(None), &by_link, &Policy::default(), "alice", None) {
        Rendered::Refuse { words, .. } => assert!(words.contains("`messages.media: link`"), "{words}"),
        sent => panic!("sent {sent:?}"),
    }
    // What is carried as a file needs no links.
    let as_file = Capabilities {
        media: Support::Full,
        ..sms()
    };
    let sent = outbound(&picture(Some("{}")), &as_file, &Policy::default(), "alice", None);
    assert!(matches!(sent, Rendered::Send { .. }), "{sent:?}");
}

#[test]
fn fallbacks_are_used_where_the_operator_turned_them_on() {
    let policy = Policy {
        reactions: Fallback::Text,
        edits: Fallback::Text,
        ..Policy::default()
    };
    let mut reaction = Message::text("👍");
    reaction.parts[0].disposition = Disposition::Reaction;
    assert_eq!(
        text_of(outbound(&reaction, &sms(), &policy, "alice", None)),
        "Reacted 👍"
    );
    let edit = Message {
        replaces: Some(Reference::Event(EventId::new("$1"))),
        ..Message::text("six")
    };
    assert_eq!(
        text_of(outbound(&edit, &sms(), &policy, "alice", None)),
        "Correction: six"
    );
}

#[test]
fn emotes_and_places_become_text() {
    let emote = Text {
        plain: "waves".into(),
        html: None,
        tone: Tone::Emote,
    };
    assert_eq!(
        text_of(outbound(
            &of(Body::Text(emote)),
            &sms(),
            &Policy::default(),
            "alice",
            None
        )),
        "* alice waves"
    );
    let place = Body::Location {
        geo_uri: "geo:51.5,-0.1;u=35".into(),
        description: "Here".into(),
    };
    assert_eq!(
        text_of(outbound(&of(place), &sms(), &Policy::default(), "alice", None)),
        "Here\ngeo:51.5,-0.1"
    );
}

#[test]
fn a_reply_quotes_the_first_line() {
    let reply = Message {
        in_reply_to: Some(Reference::Event(EventId::new("$1"))),
        ..Message::text("yes")
    };
    match outbound(&reply, &sms(), &Policy::default(), "alice", None) {
        Rendered::Send { message, quote: true } => {
            assert_eq!(
                quoted(message, "Are you there?\nHello?")
                    .first_text()
                    .unwrap()
                    .plain,
                "> Are you there?...\nyes"
            );
        }
        other => panic!("{other:?}"),
    }
}
