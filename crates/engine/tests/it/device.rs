//! A device with all that phones do: groups, answers, reactions, edits, files, names, and who is writing.

use crate::house::*;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Accepted, SignalKind};
use swingbridge_domain::consent::{Downgrade, Rule};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::line::Display;
use swingbridge_domain::message::*;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection, Scheme, Summary};
use swingbridge_engine::site::{MediaPolicy, Site};

const FRIEND: &str = "+447700900789";

/// A phone of the user's own, with a network that can do everything.
fn device() -> Site {
    let mut site = site();
    site.here = Place::Device;
    site.privacy.new_rooms = Protection::EndToEnd(Scheme::Megolm);
    Arc::make_mut(&mut site.lines[0]).display = Display::Name;
    let able = Capabilities {
        networks: vec!["imessage".into()],
        formatting: Support::Full,
        replies: Support::Full,
        reactions: Support::Full,
        edits: Support::Full,
        unsends: Support::Full,
        media: Support::Full,
        groups: Support::Full,
        typing: Support::Full,
        read_receipts: Support::Full,
        marks_read: Support::Full,
        names_messages: true,
        ..Capabilities::default()
    };
    site.capabilities.insert(ConnectorId::new("carrier"), able);
    site
}

fn address(text: &str) -> NetworkAddress {
    NetworkAddress {
        text: text.into(),
        hint: Default::default(),
    }
}

fn named(id: &str, text: &str) -> InboundMessage {
    InboundMessage {
        network_id: Some(NetworkId::new(id)),
        ..inbound(PHONE, text)
    }
}

fn about(id: &str, disposition: Disposition, body: Body) -> Message {
    Message {
        in_reply_to: Some(Reference::Network(NetworkId::new(id))),
        parts: vec![Part { disposition, body }],
        ..Message::default()
    }
}

fn reaction(id: &str, key: Option<&str>) -> InboundMessage {
    let body = match key {
        Some(key) => Body::Text(Text {
            plain: key.into(),
            ..Text::default()
        }),
        None => Body::Null,
    };
    InboundMessage {
        message: about(id, Disposition::Reaction, body),
        ..inbound(PHONE, "")
    }
}

fn group(thread: &str, name: Option<&str>) -> Group {
    Group {
        thread: NetworkId::new(thread),
        formerly: Vec::new(),
        name: name.map(str::to_owned),
        members: vec![address(PHONE), address(FRIEND)],
    }
}

fn in_group(from: &str, text: &str, group: Group) -> InboundMessage {
    InboundMessage {
        group: Some(group),
        ..inbound(from, text)
    }
}

async fn comes(house: &House, message: InboundMessage) {
    house.arrive(What::Network(Inbound::Message(message))).await;
}

async fn is_called(house: &House, number: &str, name: &str) {
    let card = Card {
        connector: ConnectorId::new("carrier"),
        contact: address(number),
        name: Some(name.into()),
        picture: None,
    };
    house.arrive(What::Network(Inbound::Card(card))).await;
}

fn event_of(homeserver: &FakeHomeserver, text: &str) -> Option<EventId> {
    let done = homeserver.done.lock().unwrap();
    // The fake homeserver numbers what it does.
    let place = done
        .iter()
        .position(|(_, action)| matches!(action, Action::Post(post) if post.text.plain == text))?;
    Some(EventId::new(format!("$done{place}")))
}

fn imessage() -> Vec<Leg> {
    vec![Leg::new(
        Place::Phone,
        Place::Device,
        Protection::EndToEnd(Scheme::Imessage),
        Evidence::ServiceColumn,
    )]
}

fn sms() -> Vec<Leg> {
    vec![Leg::new(
        Place::Phone,
        Place::Device,
        Protection::None,
        Evidence::NetworkCannot,
    )]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_one_room_in_which_its_members_speak_by_name() {
    let house = House::with(device()).await;
    is_called(&house, PHONE, "Ada").await;
    comes(&house, in_group(PHONE, "Who comes?", group("chat1", None))).await;
    comes(&house, in_group(FRIEND, "I do", group("chat1", None))).await;
    house.homeserver.until_said("+44 ••• 89: I do").await;
    house.homeserver.until_said("Ada: Who comes?").await;
    let made = house.homeserver.rooms_made(RoomKind::Group);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].about.name, "Ada, +44 ••• 89");
    assert!(made[0].about.writable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_the_network_calls_something_else_stays_one_room() {
    let house = House::with(device()).await;
    comes(&house, in_group(PHONE, "by MMS", group("mms1", Some("Picnic")))).await;
    house.homeserver.until_said("by MMS").await;
    let moved = Group {
        formerly: vec![NetworkId::new("mms1")],
        ..group("rcs1", Some("Picnic"))
    };
    comes(&house, in_group(PHONE, "by RCS", moved)).await;
    comes(
        &house,
        in_group(FRIEND, "and on", group("rcs1", Some("Picnic in the rain"))),
    )
    .await;
    house.homeserver.until_said("and on").await;
    let rooms = house.homeserver.rooms_made(RoomKind::Group);
    assert_eq!(rooms.len(), 1, "{rooms:?}");
    assert_eq!(rooms[0].about.name, "Picnic");
    let renamed = |hs: &FakeHomeserver| {
        hs.actions().into_iter().find_map(|action| match action {
            Action::Describe { about, .. } if about.name == "Picnic in the rain" => Some(()),
            _ => None,
        })
    };
    house.homeserver.until("the new name", renamed).await;
    // What is said there goes to the group as it is called now.
    let room = room_of(&house.homeserver, "and on").unwrap();
    say(&house, &room, ALICE, Message::text("I bring cake")).await;
    house.network.until_sent(1).await;
    let to = house.network.sent.lock().unwrap()[0].to[0].canonical();
    assert_eq!(to, "group:rcs1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_group_is_told_in_its_room() {
    let house = House::with(device()).await;
    comes(&house, in_group(PHONE, "Hello", group("chat1", Some("Picnic")))).await;
    house.homeserver.until_said("Hello").await;
    is_called(&house, FRIEND, "Bea").await;
    let change = |change| {
        What::Network(Inbound::Group(GroupChange {
            connector: ConnectorId::new("carrier"),
            to: address(LINE),
            group: group("chat1", Some("Picnic")),
            by: Some(address(PHONE)),
            at: None,
            change,
        }))
    };
    house.arrive(change(Change::Left(address(FRIEND)))).await;
    house
        .homeserver
        .until_said("bot: +44 ••• 56 removed Bea from the group.")
        .await;
    house.arrive(change(Change::Joined(address(FRIEND)))).await;
    house
        .homeserver
        .until_said("bot: +44 ••• 56 added Bea to the group.")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_says_on_the_phone_appears_as_the_user() {
    let house = House::with(device()).await;
    let own = InboundMessage {
        own: true,
        ..named("own1", "on my way")
    };
    comes(&house, own).await;
    house.homeserver.until_said("owner: on my way").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_edits_and_what_is_taken_back_find_their_message() {
    let house = House::with(device()).await;
    comes(&house, named("m1", "at six")).await;
    house.homeserver.until_said("at six").await;
    let answer = InboundMessage {
        message: about(
            "m1",
            Disposition::Render,
            Body::Text(Text {
                plain: "or seven".into(),
                ..Text::default()
            }),
        ),
        ..named("m2", "")
    };
    comes(&house, answer).await;
    let edit = InboundMessage {
        message: Message {
            replaces: Some(Reference::Network(NetworkId::new("m1"))),
            ..Message::text("at eight")
        },
        ..inbound(PHONE, "")
    };
    comes(&house, edit).await;
    let gone = InboundMessage {
        message: Message {
            replaces: Some(Reference::Network(NetworkId::new("m2"))),
            parts: vec![Part {
                disposition: Disposition::Render,
                body: Body::Null,
            }],
            ..Message::default()
        },
        ..inbound(PHONE, "")
    };
    comes(&house, gone).await;
    let redacted = |hs: &FakeHomeserver| {
        hs.actions().into_iter().find_map(|action| match action {
            Action::Redact { event, by, .. } => Some((event, by)),
            _ => None,
        })
    };
    let (event, by) = house.homeserver.until("the redaction", redacted).await;
    let first = event_of(&house.homeserver, "at six").unwrap();
    assert_eq!(Some(event), event_of(&house.homeserver, "or seven"));
    assert!(matches!(by, Sender::Ghost(_)), "{by:?}");
    for action in house.homeserver.actions() {
        match action {
            Action::Post(post) if post.text.plain == "or seven" => {
                assert_eq!(post.in_reply_to, Some(first.clone()));
            }
            Action::Post(post) if post.text.plain == "at eight" => {
                assert_eq!(post.replaces, Some(first.clone()));
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_takes_the_place_of_the_one_before_and_goes_when_it_is_taken_back() {
    let house = House::with(device()).await;
    comes(&house, named("m1", "Shall we?")).await;
    comes(&house, reaction("m1", Some("❤️"))).await;
    comes(&house, reaction("m1", Some("👍"))).await;
    comes(&house, reaction("m1", None)).await;
    let done = |hs: &FakeHomeserver| {
        let told: Vec<String> = hs
            .actions()
            .into_iter()
            .filter_map(|action| match action {
                Action::React { key, .. } => Some(key),
                Action::Redact { .. } => Some("gone".to_owned()),
                _ => None,
            })
            .collect();
        (told.len() >= 4).then_some(told)
    };
    let told = house.homeserver.until("all reactions", done).await;
    assert_eq!(told, ["❤️", "gone", "👍", "gone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_to_what_nobody_knows_is_said_in_words() {
    let house = House::with(device()).await;
    comes(&house, reaction("long ago", Some("❤️"))).await;
    house
        .homeserver
        .until_said("contact: [reacted ❤️ to an earlier message]")
        .await;
}

/// A user says something in the encrypted room; gives the event's id.
async fn say(house: &House, room: &RoomId, by: &str, message: Message) -> EventId {
    let event = new_event();
    let sealed = Protection::EndToEnd(Scheme::Megolm);
    house
        .happen_by(room, by, &event, RoomEventKind::Message(message), sealed)
        .await;
    event
}

fn of_event(event: &EventId, disposition: Disposition, body: Body) -> Message {
    Message {
        in_reply_to: Some(Reference::Event(event.clone())),
        parts: vec![Part { disposition, body }],
        ..Message::default()
    }
}

fn text(plain: &str) -> Body {
    Body::Text(Text {
        plain: plain.into(),
        ..Text::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_said_on_the_phone_itself_they_can_take_back_in_the_room() {
    let house = House::with(device()).await;
    let own = |message| InboundMessage { own: true, ..message };
    comes(&house, named("m1", "where are you?")).await;
    comes(&house, own(named("own1", "on my way"))).await;
    comes(&house, own(reaction("m1", Some("👍")))).await;
    comes(&house, named("m2", "well?")).await;
    house.homeserver.until_said("well?").await;
    let room = room_of(&house.homeserver, "well?").unwrap();
    let found = |hs: &FakeHomeserver| {
        let reacted = hs
            .actions()
            .iter()
            .position(|action| matches!(action, Action::React { .. }))?;
        let reacted = EventId::new(format!("$done{reacted}"));
        Some((
            event_of(hs, "where are you?")?,
            event_of(hs, "on my way")?,
            reacted,
        ))
    };
    let (theirs, mine, reacted) = house.homeserver.until("all events", found).await;
    // What a contact said is only hidden in the room.
    say(&house, &room, ALICE, withdrawal(&theirs)).await;
    say(&house, &room, ALICE, withdrawal(&mine)).await;
    house.network.until_sent(1).await;
    say(&house, &room, ALICE, withdrawal(&reacted)).await;
    house.network.until_sent(2).await;
    let sent = house.network.sent.lock().unwrap().clone();
    let network = |id: &str| Some(Reference::Network(NetworkId::new(id)));
    let (unsent, unliked) = (&sent[0].message, &sent[1].message);
    assert_eq!(
        (&unsent.replaces, &unsent.parts[0].body),
        (&network("own1"), &Body::Null)
    );
    assert_eq!(unsent.parts[0].disposition, Disposition::Render);
    assert_eq!(
        (&unliked.in_reply_to, &unliked.parts[0].body),
        (&network("m1"), &Body::Null)
    );
    assert_eq!(unliked.parts[0].disposition, Disposition::Reaction);
    assert_eq!(sent.len(), 2, "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_reactions_edits_and_withdrawals_go_by_the_networks_names() {
    let house = House::with(device()).await;
    comes(&house, named("m1", "Shall we?")).await;
    house.homeserver.until_said("Shall we?").await;
    let room = room_of(&house.homeserver, "Shall we?").unwrap();
    let asked = house
        .homeserver
        .until("the event", |hs| event_of(hs, "Shall we?"))
        .await;
    // Once the next one is said, the event of this one is kept.
    comes(&house, named("m2", "Well?")).await;
    house.homeserver.until_said("Well?").await;
    let network = |id: &str| Some(Reference::Network(NetworkId::new(id)));

    let answer = of_event(&asked, Disposition::Render, text("We shall"));
    let answered = say(&house, &room, ALICE, answer).await;
    house.network.until_sent(1).await;
    let heart = of_event(&asked, Disposition::Reaction, text("❤️"));
    let reacted = say(&house, &room, ALICE, heart).await;
    house.network.until_sent(2).await;
    house
        .homeserver
        .until("both taken", |hs| (hs.statuses().len() >= 2).then_some(()))
        .await;
    let edit = Message {
        replaces: Some(Reference::Event(answered.clone())),
        ..Message::text("We shall not")
    };
    say(&house, &room, ALICE, edit).await;
    house.network.until_sent(3).await;
    say(&house, &room, ALICE, withdrawal(&reacted)).await;
    house.network.until_sent(4).await;
    say(&house, &room, ALICE, withdrawal(&answered)).await;
    house.network.until_sent(5).await;

    let sent: Vec<Message> = house
        .network
        .sent
        .lock()
        .unwrap()
        .iter()
        .map(|outbound| outbound.message.clone())
        .collect();
    assert_eq!(sent[0].in_reply_to, network("m1"));
    assert_eq!(sent[1].in_reply_to, network("m1"));
    assert_eq!(sent[1].parts[0].disposition, Disposition::Reaction);
    assert_eq!(sent[2].replaces, network("n1"));
    assert_eq!(
        (&sent[3].in_reply_to, &sent[3].parts[0].body),
        (&network("m1"), &Body::Null)
    );
    assert_eq!(sent[3].parts[0].disposition, Disposition::Reaction);
    assert_eq!(
        (&sent[4].replaces, &sent[4].parts[0].body),
        (&network("n1"), &Body::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_with_their_caption_and_are_brought_before_they_leave() {
    let house = House::with(device()).await;
    let file = |uri: &str| Media {
        kind: MediaKind::Image,
        name: "cat.jpg".into(),
        uri: uri.into(),
        ..Media::default()
    };
    let mut message = Message::text("look");
    message.parts.push(Part {
        disposition: Disposition::Attachment,
        body: Body::Media(file("file:///phone/cat.jpg")),
    });
    comes(
        &house,
        InboundMessage {
            message,
            ..named("m1", "")
        },
    )
    .await;
    let posted = |hs: &FakeHomeserver| {
        hs.actions().into_iter().find_map(|action| match action {
            Action::Post(post) if post.media.is_some() => Some(post),
            _ => None,
        })
    };
    let post = house.homeserver.until("the picture", posted).await;
    assert_eq!(post.text.plain, "look");
    assert_eq!(post.media.unwrap().uri, "file:///phone/cat.jpg");

    let of = |uri: &str| Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::Media(file(uri)),
        }],
        ..Message::default()
    };
    house
        .homeserver
        .failures
        .lock()
        .unwrap()
        .push_back(PerformError::Refused {
            code: "M_NOT_FOUND".into(),
            detail: "it is gone".into(),
        });
    say(&house, &post.room, ALICE, of("mxc://x/gone")).await;
    house
        .homeserver
        .until_said("the file cannot be had from the homeserver: it is gone")
        .await;
    say(&house, &post.room, ALICE, of("mxc://x/dog")).await;
    house.network.until_sent(1).await;
    let sent = house.network.sent.lock().unwrap()[0].message.parts[0]
        .body
        .clone();
    match sent {
        Body::Media(media) => assert_eq!(media.uri, "file:///spool/x/dog"),
        other => panic!("{other:?}"),
    }
    let released = |hs: &FakeHomeserver| {
        let released = hs.released.lock().unwrap();
        (*released == ["file:///spool/x/dog"]).then_some(())
    };
    house
        .homeserver
        .until("the file to be let go of, and no other", released)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_fetches_files_itself_gets_links_encrypted_or_not() {
    let mut by_link = device();
    by_link.policy.media = MediaPolicy::Link;
    let able = by_link.capabilities.values_mut().next().unwrap();
    able.media_links = true;
    let house = House::with(by_link).await;
    comes(&house, named("m1", "Show me?")).await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Show me?"))
        .await;
    let of = |uri: &str, key: Option<&str>| Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::Media(Media {
                kind: MediaKind::Image,
                name: "dog.jpg".into(),
                mime: Some("image/jpeg".into()),
                caption: Some("my dog".into()),
                uri: uri.into(),
                key: key.map(str::to_owned),
                ..Media::default()
            }),
        }],
        ..Message::default()
    };
    say(&house, &room, ALICE, of("mxc://x/dog", None)).await;
    say(&house, &room, ALICE, of("mxc://x/cat", Some("a key"))).await;
    house.network.until_sent(2).await;
    let sent = house.network.sent.lock().unwrap().clone();
    for (outbound, uri) in sent.iter().zip(["https://link/x/dog", "https://link/x/cat"]) {
        assert_eq!(outbound.message, of(uri, None));
    }
    say(&house, &room, ALICE, of("mxc://x/odd", Some("unknown"))).await;
    house.homeserver.until_said("no link would open it").await;
    assert_eq!(house.network.sent.lock().unwrap().len(), 2);
    assert!(house.homeserver.released.lock().unwrap().is_empty());
}

/// Some take links for one person, and keep files themselves for a group.
#[tokio::test(flavor = "multi_thread")]
async fn files_for_groups_are_files_where_a_network_wants_that_and_a_cards_picture_is_a_link() {
    let mut by_link = device();
    by_link.policy.media = MediaPolicy::Link;
    let able = by_link.capabilities.values_mut().next().unwrap();
    able.media_links = true;
    able.files_in_groups = true;
    able.rich_cards = Support::Full;
    let house = House::with(by_link).await;
    let dog = || Media {
        kind: MediaKind::Image,
        name: "dog.jpg".into(),
        uri: "mxc://x/dog".into(),
        ..Media::default()
    };
    let of = |body| Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body,
        }],
        ..Message::default()
    };
    comes(&house, in_group(PHONE, "Show us?", group("chat1", Some("Dogs")))).await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Show us?"))
        .await;
    say(&house, &room, ALICE, of(Body::Media(dog()))).await;
    house.network.until_sent(1).await;
    comes(&house, named("m1", "Show me?")).await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Show me?"))
        .await;
    let card = RichCard {
        title: Some("A dog".into()),
        media: Some(dog()),
        ..RichCard::default()
    };
    say(&house, &room, ALICE, of(Body::RichCard(card))).await;
    house.network.until_sent(2).await;
    let sent = house.network.sent.lock().unwrap().clone();
    let uris: Vec<_> = sent
        .iter()
        .map(|outbound| match &outbound.message.parts[0].body {
            Body::Media(media) => media.uri.clone(),
            Body::RichCard(card) => card.media.as_ref().unwrap().uri.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(uris, ["file:///spool/x/dog", "https://link/x/dog"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_and_what_was_read_is_told_both_ways() {
    let house = House::with(device()).await;
    comes(&house, named("m1", "Shall we?")).await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Shall we?"))
        .await;
    let asked = event_of(&house.homeserver, "Shall we?").unwrap();
    comes(&house, named("m2", "Well?")).await;
    house.homeserver.until_said("Well?").await;
    let typing = Typing {
        connector: ConnectorId::new("carrier"),
        from: address(PHONE),
        to: address(LINE),
        group: None,
        active: true,
    };
    house.arrive(What::Network(Inbound::Typing(typing))).await;
    let shown = |hs: &FakeHomeserver| {
        let mut actions = hs.actions().into_iter();
        actions.find_map(|action| match action {
            Action::Typing { active: true, .. } => Some(()),
            _ => None,
        })
    };
    house.homeserver.until("who writes", shown).await;
    let moment = |what| async {
        house.happen(&room, ALICE, &EventId::new(""), what).await;
    };
    house
        .arrive(What::Room(RoomEvent {
            room: room.clone(),
            event: EventId::new(""),
            sender: UserId::new(ALICE),
            sent_at: Timestamp(0),
            protection: Protection::None,
            what: RoomEventKind::Typing { active: true },
        }))
        .await;
    house.network.until_signalled(SignalKind::Typing(true)).await;
    moment(RoomEventKind::Read { up_to: asked }).await;
    house
        .network
        .until_signalled(SignalKind::Read {
            up_to: Some(NetworkId::new("m1")),
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_the_address_book_renames_the_room_once() {
    let house = House::with(device()).await;
    house.conversation().await;
    let made = house.homeserver.rooms_made(RoomKind::Direct);
    assert_eq!(made[0].about.name, "+44 ••• 56");
    is_called(&house, PHONE, "Ada").await;
    is_called(&house, PHONE, "Ada").await;
    house.text_in(PHONE, "after").await;
    house.homeserver.until_said("after").await;
    let renamed = house
        .homeserver
        .actions()
        .into_iter()
        .filter(|action| matches!(action, Action::Describe { about, .. } if about.name == "Ada"))
        .count();
    assert_eq!(renamed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_left_as_sms_is_told_and_the_next_one_waits_for_a_word() {
    let mut site = device();
    Arc::make_mut(&mut site.lines[0]).downgrade = Downgrade::Ask;
    let house = House::with(site).await;
    let secret = InboundMessage {
        way: imessage(),
        ..named("m1", "Hello there")
    };
    comes(&house, secret).await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Hello there"))
        .await;
    let by_client = |text: &str| RoomEventKind::Message(Message::text(text));
    let sealed = Protection::EndToEnd(Scheme::Megolm);
    house.network.answers.lock().unwrap().push_back(Ok(Accepted {
        network_ids: vec![NetworkId::new("s1")],
        segments: 1,
        encoding: String::new(),
        way: sms(),
    }));
    house
        .happen_by(&room, ALICE, &EventId::new("$1"), by_client("first"), sealed)
        .await;
    house
        .homeserver
        .until_said("This message left less protected than those before it")
        .await;
    house
        .happen_by(&room, ALICE, &EventId::new("$2"), by_client("second"), sealed)
        .await;
    house.homeserver.until_said("React with ✅").await;
    assert_eq!(house.network.texts(), ["first"]);
    let label = house
        .homeserver
        .until("the label of the first", |hs| {
            hs.statuses()
                .into_iter()
                .find_map(|status| status.path.filter(|_| status.event.as_str() == "$1"))
        })
        .await;
    assert_eq!(label.summary(), Summary::EndsAtDevice);
    assert_eq!(label.standing().network, Protection::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_tells_of_another_way_corrects_the_label() {
    let house = House::with(device()).await;
    let secret = InboundMessage {
        way: imessage(),
        ..named("m1", "Hello there")
    };
    comes(&house, secret).await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Hello there"))
        .await;
    say(&house, &room, ALICE, Message::text("first")).await;
    house.network.until_sent(1).await;
    house
        .homeserver
        .until("the taking", |hs| (!hs.statuses().is_empty()).then_some(()))
        .await;
    house
        .arrive(What::Network(Inbound::Receipt(Receipt {
            connector: ConnectorId::new("carrier"),
            network_ids: vec![NetworkId::new("n1")],
            outcome: Outcome::Sent,
            error: None,
            at: None,
            way: sms(),
        })))
        .await;
    house
        .homeserver
        .until_said("less protected than those before")
        .await;
    let labels: Vec<Protection> = house
        .homeserver
        .until("two labels", |hs| {
            let labels: Vec<Protection> = hs
                .statuses()
                .into_iter()
                .filter_map(|status| status.path.map(|path| path.standing().network))
                .collect();
            (labels.len() >= 2).then_some(labels)
        })
        .await;
    assert_eq!(labels.last(), Some(&Protection::None));
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_quietly_with_its_own_time() {
    let house = House::with(device()).await;
    let old = InboundMessage {
        history: true,
        sent_at: Some(Timestamp(1_500_000_000_000)),
        way: sms(),
        ..named("old", "long ago")
    };
    comes(&house, old).await;
    let post = house
        .homeserver
        .until("the old text", |hs| {
            hs.actions().into_iter().find_map(|action| match action {
                Action::Post(post) if post.text.plain == "long ago" => Some(post),
                _ => None,
            })
        })
        .await;
    assert!(post.quiet);
    assert_eq!(post.sent_at, Some(Timestamp(1_500_000_000_000)));
    house.advance(Duration::from_secs(1));
    comes(&house, named("new", "now")).await;
    house.homeserver.until_said("contact: now").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_users_own_device_they_are_asked_only_before_others_can_read() {
    let mut site = device();
    Arc::make_mut(&mut site.lines[0]).consent = Rule::Line;
    let house = House::with(site).await;
    // What comes is shown at once: it lay on the device before.
    let by_sms = InboundMessage {
        way: vec![
            Leg::new(
                Place::Phone,
                Place::Carrier,
                Protection::None,
                Evidence::NetworkCannot,
            ),
            Leg::new(Place::Carrier, Place::Device, Protection::Unknown, Evidence::None),
        ],
        ..named("m1", "Hello there")
    };
    comes(&house, by_sms).await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Hello there"))
        .await;
    say(&house, &room, ALICE, Message::text("by SMS")).await;
    house
        .homeserver
        .until_said("the phone carriers and your device can read them. Do you agree")
        .await;
    assert_eq!(house.network.texts(), Vec::<String>::new());
    // By iMessage only the device reads, and that is the user's own.
    let sealed = InboundMessage {
        way: imessage(),
        ..named("m2", "Hello again")
    };
    comes(
        &house,
        InboundMessage {
            from: address(FRIEND),
            ..sealed
        },
    )
    .await;
    let room = house
        .homeserver
        .until("the other room", |hs| room_of(hs, "Hello again"))
        .await;
    say(&house, &room, ALICE, Message::text("by iMessage")).await;
    house.network.until_sent(1).await;
    assert_eq!(house.network.texts(), ["by iMessage"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_way_of_which_nothing_is_known_they_are_asked_before_anything_leaves() {
    let mut site = device();
    Arc::make_mut(&mut site.lines[0]).consent = Rule::Line;
    let house = House::with(site).await;
    // As BlueBubbles, which does not say whether it is iMessage or SMS.
    let unknown = InboundMessage {
        way: vec![Leg::new(
            Place::Phone,
            Place::Device,
            Protection::Unknown,
            Evidence::None,
        )],
        ..named("m1", "Hello there")
    };
    comes(&house, unknown).await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Hello there"))
        .await;
    say(&house, &room, ALICE, Message::text("by whatever there is")).await;
    house
        .homeserver
        .until_said(
            "is not known. Take them for readable by whoever carries them, beside your device. Do you agree",
        )
        .await;
    assert_eq!(house.network.texts(), Vec::<String>::new());
}
