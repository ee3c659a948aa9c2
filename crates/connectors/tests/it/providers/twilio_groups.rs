//! Group MMS by Twilio's Conversations API.

use super::twilio::{Lab, config, connector};
use crate::device::{BOB as ABROAD, Device, bodies, kept, outbound};
use crate::harness::Recorder;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_connectors::twilio::{Conversations, TwilioConnector};
use swingbridge_connectors::webhook::{Request, Webhook};
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Support;
use swingbridge_domain::connector::{Accepted, Connector, Link, Outbound, SendError};
use swingbridge_domain::delivery::{Outcome, Reason};
use swingbridge_domain::inbox::{Change, GroupChange, Inbound};
use swingbridge_domain::message::{Body, Disposition, Media, MediaKind, Message, Part};
use swingbridge_lab::twilio::{CONVERSATIONS, NUMBER, SERVICE, signature};

const BOB: &str = "+13125550101";
const CAROL: &str = "+13125550102";
const DAVE: &str = "+13125550103";
const PHOTO: &[u8] = &[0xFF, 0xD8, 1, 2, 3];

fn grouped(lab: &Lab, folder: &Path) -> TwilioConnector {
    let url = lab.provider.0.url();
    let mut config = config(&url, &lab.hook);
    config.messaging_service_sid = Some(SERVICE.into());
    config.conversations = Some(Conversations {
        service_sid: CONVERSATIONS.into(),
        url: url.clone(),
        media_url: url,
    });
    // The webhooks tell; what they miss is read in the tests of that.
    config.timing.ask_after = Duration::from_secs(3600);
    connector(config, folder).unwrap()
}

fn start(lab: &Lab) -> Device<TwilioConnector> {
    lab.run(grouped(lab, &lab.folder.path().join("state")))
}

fn to_group(id: i64, thread: &str, text: &str) -> Outbound {
    Outbound {
        to: vec![Address::Group(thread.into())],
        ..outbound(id, ABROAD, text)
    }
}

fn changes(inbox: &Recorder) -> Vec<GroupChange> {
    let change = |inbound| match inbound {
        Inbound::Group(change) => Some(change),
        _ => None,
    };
    inbox.inbound().into_iter().filter_map(change).collect()
}

async fn until(lab: &Lab, many: usize) {
    lab.inbox
        .until(|inbox| kept(&inbox.arrivals()).len() >= many)
        .await;
}

/// A webhook with a good signature.
fn signed(lab: &Lab, form: &[(String, String)]) -> Request {
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    Request {
        method: "POST".into(),
        headers: vec![
            ("content-type".into(), "application/x-www-form-urlencoded".into()),
            ("x-twilio-signature".into(), signature(&lab.hook, form)),
        ],
        body: body.into(),
        ..Request::default()
    }
}

async fn send(device: &Device<TwilioConnector>, outbound: Outbound) -> Result<Accepted, SendError> {
    device.send(outbound).await.unwrap()
}

/// Twilio tells each message of a group up to twice, under two names.
#[tokio::test]
async fn a_group_is_one_whoever_writes_and_by_whichever_way_it_is_told() {
    for (ordinary, names_others, conversation, creates) in [
        (true, true, true, true),
        (true, false, true, true),
        (false, false, true, true),
        (true, true, false, false),
    ] {
        let lab = Lab::new().await;
        let device = start(&lab);
        device.until(Link::Connected, "").await;
        lab.provider.0.tells_groups(|groups| {
            groups.ordinary = ordinary;
            groups.names_others = names_others;
            groups.conversation = conversation;
            groups.creates = creates;
        });
        lab.provider.0.receives_group(DAVE, &[CAROL, BOB], "hi all", &[]);
        until(&lab, 1).await;
        lab.provider.0.receives_group(BOB, &[DAVE, CAROL], "hi", &[]);
        until(&lab, 2).await;
        // The same words twice are two messages.
        lab.provider.0.receives_group(BOB, &[DAVE, CAROL], "hi", &[]);
        until(&lab, 3).await;
        let told = usize::from(ordinary) + usize::from(conversation);
        lab.until_requests(3 * told).await;
        lab.provider.0.receives(CAROL, "just you");
        until(&lab, 4).await;
        let arrived = kept(&lab.inbox.arrivals());
        assert_eq!(bodies(&arrived), ["hi all", "hi", "hi", "just you"]);
        let case = format!("{ordinary} {names_others} {conversation} {creates}");
        for message in &arrived[..3] {
            let group = message.group.as_ref().unwrap_or_else(|| panic!("{case}"));
            assert_eq!(group.thread.0, format!("{BOB},{CAROL},{DAVE}"), "{case}");
            assert_eq!(group.members.len(), 3);
            assert_eq!(message.to.text, NUMBER);
        }
        assert_eq!(
            (arrived[0].from.text.as_str(), arrived[1].from.text.as_str()),
            (DAVE, BOB)
        );
        assert!(arrived[3].group.is_none());
        device.stop().await;
    }
}

#[tokio::test]
async fn without_conversations_a_group_is_read_and_not_taken_for_one_person() {
    let lab = Lab::new().await;
    let device = lab.start();
    device.until(Link::Connected, "").await;
    assert_eq!(device.connector.capabilities().groups, Support::Absent);
    lab.provider.0.receives_group(DAVE, &[CAROL, BOB], "hi all", &[]);
    until(&lab, 1).await;
    let arrived = kept(&lab.inbox.arrivals()).remove(0);
    assert_eq!(arrived.group.unwrap().thread.0, format!("{BOB},{CAROL},{DAVE}"));
    let refused = send(&device, to_group(1, &format!("{BOB},{CAROL}"), "x"))
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            SendError::Rejected {
                reason: Reason::BadAddress,
                ..
            }
        ),
        "{refused:?}"
    );
    device.stop().await;
}

#[tokio::test]
async fn an_answer_goes_to_all_of_the_group_and_its_states_come_back() {
    let lab = Lab::new().await;
    let device = start(&lab);
    assert_eq!(device.connector.capabilities().groups, Support::Partial);
    lab.provider.0.receives_group(DAVE, &[CAROL, BOB], "hi all", &[]);
    until(&lab, 1).await;
    let thread = kept(&lab.inbox.arrivals())[0].group.clone().unwrap().thread.0;
    let accepted = send(&device, to_group(1, &thread, "hello")).await.unwrap();
    let conversations = lab.provider.0.conversations();
    assert_eq!(conversations.len(), 1, "the one that is there is used");
    let said = conversations[0].messages.last().unwrap();
    assert_eq!((said.author.as_str(), said.text.as_str()), (NUMBER, "hello"));
    // Each of them has a state of their own, under an id that shows no number.
    let ids: BTreeSet<&str> = accepted.network_ids.iter().map(|id| id.as_str()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| !id.contains("555")));
    lab.provider.0.group_reaches(&said.sid, CAROL, "delivered", None);
    lab.provider
        .0
        .group_reaches(&said.sid, DAVE, "failed", Some(21610));
    lab.inbox.until(|_| lab.receipts().len() == 2).await;
    let receipts = lab.receipts();
    let tells = |wanted: Outcome| receipts.iter().any(|(_, outcome)| *outcome == wanted);
    assert!(
        tells(Outcome::Delivered) && tells(Outcome::Rejected),
        "{receipts:?}"
    );
    assert!(receipts.iter().all(|(id, _)| ids.contains(id.as_str())));
    let why = lab.inbox.inbound().into_iter().find_map(|inbound| match inbound {
        Inbound::Receipt(receipt) => receipt.error,
        _ => None,
    });
    assert!(why.unwrap().contains("STOP"));
    device.stop().await;
}

#[tokio::test]
async fn a_group_that_twilio_does_not_have_any_more_is_made_anew_once() {
    let lab = Lab::new().await;
    let device = start(&lab);
    let thread = format!("{BOB},{CAROL},{DAVE}");
    send(&device, to_group(1, &thread, "one")).await.unwrap();
    let first = lab.provider.0.conversations().remove(0);
    assert_eq!(first.phones(), BTreeSet::from([BOB, CAROL, DAVE]));
    send(&device, to_group(2, &thread, "two")).await.unwrap();
    assert_eq!(lab.provider.0.conversations().len(), 1);
    lab.provider.0.removes(&first.sid);
    send(&device, to_group(3, &thread, "three")).await.unwrap();
    let conversations = lab.provider.0.conversations();
    assert_eq!((conversations.len(), conversations[0].messages.len()), (1, 1));
    device.stop().await;
    // With nothing in mind, the one that is there is found.
    let device = lab.run(grouped(&lab, &lab.folder.path().join("anew")));
    send(&device, to_group(4, &thread, "four")).await.unwrap();
    let conversations = lab.provider.0.conversations();
    assert_eq!((conversations.len(), conversations[0].messages.len()), (1, 2));
    device.stop().await;
}

#[tokio::test]
async fn pictures_go_and_come() {
    let lab = Lab::new().await;
    let device = start(&lab);
    for (round, ordinary) in [(1, false), (2, true)] {
        lab.provider.0.tells_groups(|groups| {
            groups.ordinary = ordinary;
            groups.conversation = !ordinary;
        });
        lab.provider
            .0
            .receives_group(BOB, &[CAROL], &format!("look {round}"), &[("image/jpeg", PHOTO)]);
        until(&lab, round).await;
        let arrived = kept(&lab.inbox.arrivals()).remove(round - 1);
        let Body::Media(media) = &arrived.message.parts[1].body else {
            panic!("{arrived:?}")
        };
        assert_eq!(media.mime.as_deref(), Some("image/jpeg"));
        let path = media.uri.strip_prefix("file://").unwrap();
        assert!(Path::new(path).starts_with(lab.folder.path()));
        assert_eq!(std::fs::read(path).unwrap(), PHOTO);
    }
    let file = lab.folder.path().join("ours.png");
    std::fs::write(&file, [0x89, 0x50, 7]).unwrap();
    let picture = Part {
        disposition: Disposition::Attachment,
        body: Body::Media(Media {
            kind: MediaKind::Image,
            name: "ours.png".into(),
            mime: Some("image/png".into()),
            uri: format!("file://{}", file.display()),
            caption: Some("our cat".into()),
            ..Media::default()
        }),
    };
    assert!(device.connector.capabilities().files_in_groups);
    let mut message = to_group(1, &format!("{BOB},{CAROL}"), "");
    message.message = Message {
        parts: vec![picture.clone(), picture],
        ..Message::default()
    };
    let accepted = send(&device, message.clone()).await.unwrap();
    assert_eq!((accepted.segments, accepted.network_ids.len()), (2, 4));
    let said = lab.provider.0.conversations()[0].messages.clone();
    let ours: Vec<_> = said.iter().filter(|said| said.author == NUMBER).collect();
    assert_eq!(
        (ours[0].text.as_str(), ours[1].text.as_str()),
        ("our cat\nour cat", "")
    );
    let sent = lab.provider.0.media(&ours[1].media[0]).unwrap();
    assert_eq!(sent, ("image/png".to_owned(), vec![0x89, 0x50, 7]));
    let refused = |told: Result<Accepted, SendError>| match told {
        Err(SendError::Rejected {
            reason: Reason::BadContent,
            detail,
        }) => detail,
        other => panic!("{other:?}"),
    };
    let large = std::fs::File::create(&file).unwrap();
    large.set_len((16 << 20) + 1).unwrap();
    let detail = refused(send(&device, message.clone()).await);
    assert!(
        detail.contains("16777217") && detail.contains("largest_file"),
        "{detail}"
    );
    std::fs::remove_file(&file).unwrap();
    refused(send(&device, message).await);
    device.stop().await;
}

/// The room stays: what is said afterwards comes with the earlier name, and what is answered goes to those who are there now.
#[tokio::test]
async fn a_group_whose_people_change_stays_one() {
    for told in [true, false] {
        let lab = Lab::new().await;
        let device = start(&lab);
        lab.provider.0.receives_group(BOB, &[CAROL], "two of us", &[]);
        // By both ways: the conversation is known then.
        lab.inbox.until(|inbox| inbox.arrivals().len() == 2).await;
        let before = kept(&lab.inbox.arrivals())[0].group.clone().unwrap();
        let sid = lab.provider.0.conversations()[0].sid.clone();
        lab.provider.0.regroups(&sid, DAVE, true, told);
        if told {
            lab.inbox.until(|inbox| !changes(inbox).is_empty()).await;
        }
        lab.provider.0.receives_group(DAVE, &[BOB, CAROL], "three", &[]);
        until(&lab, 2).await;
        let after = kept(&lab.inbox.arrivals())[1].group.clone().unwrap();
        assert_eq!(after.thread.0, format!("{BOB},{CAROL},{DAVE}"));
        assert_eq!(
            after.formerly,
            std::slice::from_ref(&before.thread),
            "told: {told}"
        );
        let change = changes(&lab.inbox).remove(0);
        assert!(matches!(&change.change, Change::Joined(who) if who.text == DAVE));
        assert_eq!(
            (change.group.thread, change.group.formerly),
            (after.thread.clone(), vec![before.thread.clone()])
        );
        // Those who were there first write to each other and us anew: that is another group.
        lab.provider.0.receives_group(BOB, &[CAROL], "without Dave", &[]);
        until(&lab, 3).await;
        let other = kept(&lab.inbox.arrivals())[2].group.clone().unwrap();
        assert_ne!(other.thread, before.thread);
        assert!(other.formerly.is_empty());
        device.stop().await;
        // Also after a restart.
        let device = start(&lab);
        send(&device, to_group(1, &after.thread.0, "to three"))
            .await
            .unwrap();
        send(&device, to_group(2, &other.thread.0, "to two"))
            .await
            .unwrap();
        let conversations = lab.provider.0.conversations();
        assert_eq!(conversations.len(), 2);
        for (one, text) in conversations.iter().zip(["to three", "to two"]) {
            assert_eq!(one.messages.last().unwrap().text, text);
        }
        device.stop().await;
    }
}

#[tokio::test]
async fn what_no_webhook_told_is_read_in_its_group_once() {
    let lab = Lab::new().await;
    let url = lab.provider.0.url();
    let mut config = config(&url, &lab.hook);
    config.conversations = Some(Conversations {
        service_sid: CONVERSATIONS.into(),
        url: url.clone(),
        media_url: url,
    });
    let device = lab.run(connector(config, lab.folder.path()).unwrap());
    device.until(Link::Connected, "").await;
    lab.provider
        .0
        .troubles()
        .change(|trouble| trouble.tells_nothing = true);
    lab.provider
        .0
        .receives_group(BOB, &[CAROL], "missed", &[("image/jpeg", PHOTO)]);
    lab.provider
        .0
        .receives_mms(BOB, "for you", &[("image/jpeg", PHOTO)]);
    until(&lab, 2).await;
    lab.provider
        .0
        .troubles()
        .change(|trouble| trouble.tells_nothing = false);
    let mut arrived = kept(&lab.inbox.arrivals());
    arrived.sort_by_key(|message| message.group.is_none());
    assert_eq!(bodies(&arrived), ["missed", "for you"]);
    assert!(arrived[0].group.is_some() && arrived[1].group.is_none());
    // States, too.
    let sent = send(&device, to_group(1, &format!("{BOB},{CAROL}"), "ours"))
        .await
        .unwrap();
    let ours = lab.provider.0.conversations()[0]
        .messages
        .last()
        .unwrap()
        .sid
        .clone();
    lab.provider
        .0
        .troubles()
        .change(|trouble| trouble.tells_nothing = true);
    lab.provider.0.group_reaches(&ours, CAROL, "delivered", None);
    lab.inbox
        .until(|_| {
            let delivered = |(id, outcome): &(String, Outcome)| {
                *outcome == Outcome::Delivered && sent.network_ids.iter().any(|known| known.as_str() == id)
            };
            lab.receipts().iter().any(delivered)
        })
        .await;
    device.stop().await;
}

#[tokio::test]
async fn what_is_told_twice_or_late_or_while_the_inbox_is_shut_arrives_once() {
    let lab = Lab::new().await;
    let device = start(&lab);
    device.until(Link::Connected, "").await;
    lab.inbox.full.store(true, Ordering::Relaxed);
    lab.provider.0.receives_group(BOB, &[CAROL, DAVE], "held", &[]);
    let requests = lab.until_requests(6).await;
    for request in &requests {
        let answer = device.connector.receive(request.clone()).await;
        let said = String::from_utf8_lossy(&request.body).contains("held");
        assert_eq!(answer.status == 503, said, "{answer:?}");
    }
    assert!(lab.inbox.texts().is_empty());
    lab.inbox.full.store(false, Ordering::Relaxed);
    device.stop().await;
    // Another process, and each request once more, in reverse.
    let device = start(&lab);
    device.until(Link::Connected, "").await;
    for request in requests.iter().rev().chain(&requests) {
        assert!(device.connector.receive(request.clone()).await.is_success());
    }
    assert_eq!(bodies(&kept(&lab.inbox.arrivals())), ["held"]);
    // Our own words, should somebody let them be told.
    let is_said = |body: &[u8]| String::from_utf8_lossy(body).contains("onMessageAdded");
    let echo = requests.iter().find(|request| is_said(&request.body)).unwrap();
    let mut form: Vec<(String, String)> = url::form_urlencoded::parse(&echo.body).into_owned().collect();
    for (name, value) in &mut form {
        match name.as_str() {
            "Author" => NUMBER.clone_into(value),
            "MessageSid" => "IM99".clone_into(value),
            _ => {}
        }
    }
    let mut request = signed(&lab, &form);
    assert!(device.connector.receive(request.clone()).await.is_success());
    assert_eq!(kept(&lab.inbox.arrivals()).len(), 1);
    // Unsigned it is refused like anything else.
    request.headers.retain(|(name, _)| name != "x-twilio-signature");
    assert_eq!(device.connector.receive(request).await.status, 403);
    device.stop().await;
}

/// What is signed and has another form is refused in words, or handed in as far as it can be read; nothing stops the connector.
#[tokio::test]
async fn what_has_another_form_stops_nothing() {
    let lab = Lab::new().await;
    let device = start(&lab);
    device.until(Link::Connected, "").await;
    lab.provider.0.tells_groups(|groups| groups.ordinary = false);
    lab.provider.0.receives_group(BOB, &[CAROL], "well formed", &[]);
    until(&lab, 1).await;
    let sid = lab.provider.0.conversations()[0].sid.clone();
    let said = |more: &[(&str, &str)]| {
        let mut form = vec![("EventType", "onMessageAdded"), ("ConversationSid", sid.as_str())];
        form.extend(more);
        form.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
    };
    let of = |kind: &str, conversation: &str| {
        vec![
            ("EventType".to_owned(), kind.to_owned()),
            ("ConversationSid".to_owned(), conversation.to_owned()),
        ]
    };
    let cases = [
        (of("onMessageAdded", ""), 400),
        (said(&[]), 400),
        (said(&[("MessageSid", "IM1")]), 400),
        (of("onDeliveryUpdated", &sid), 400),
        (of("onHeardOf", &sid), 200),
        (of("onParticipantAdded", "CH99"), 200),
        (
            said(&[("MessageSid", "IM2"), ("Author", BOB), ("ChatServiceSid", "IS99")]),
            200,
        ),
        // A stranger's, with files of no form: it is shown as far as it can be read.
        (
            said(&[
                ("MessageSid", "IM3"),
                ("Author", "agent"),
                ("Media", "[7,{},{\"Sid\":\"ME99\"}]"),
            ]),
            200,
        ),
        (
            said(&[
                ("MessageSid", "IM4"),
                ("Author", BOB),
                ("Media", "{"),
                ("DateCreated", "today"),
            ]),
            200,
        ),
    ];
    for (form, status) in cases {
        let answer = device.connector.receive(signed(&lab, &form)).await;
        assert_eq!(answer.status, status, "{form:?}");
    }
    let arrived = kept(&lab.inbox.arrivals());
    assert_eq!(arrived.len(), 3);
    let files = arrived[1].message.parts.iter();
    assert!(files.clone().all(|part| matches!(part.body, Body::Other { .. })) && files.count() == 3);
    // What is over at Twilio is begun anew, and stays one group here.
    let mut over = of("onConversationStateUpdated", &sid);
    over.push(("StateTo".into(), "closed".into()));
    assert!(device.connector.receive(signed(&lab, &over)).await.is_success());
    lab.provider.0.removes(&sid);
    send(
        &device,
        to_group(1, &arrived[0].group.as_ref().unwrap().thread.0, "on"),
    )
    .await
    .unwrap();
    assert_eq!(lab.provider.0.conversations()[0].messages.len(), 1);
    device.stop().await;
}

#[tokio::test]
async fn what_a_group_cannot_have_is_refused_in_words_and_an_unknown_fate_stays_one() {
    let lab = Lab::new().await;
    let device = start(&lab);
    let large: Vec<String> = (10..20).map(|at| format!("+131255501{at}")).collect();
    for thread in [
        "chat1234;-;x",
        "+1,x",
        large.join(",").as_str(),
        &format!("{BOB},{ABROAD}"),
    ] {
        let refused = send(&device, to_group(1, thread, "x")).await.unwrap_err();
        assert!(
            matches!(
                refused,
                SendError::Rejected {
                    reason: Reason::BadAddress,
                    ..
                }
            ),
            "{thread}: {refused:?}"
        );
    }
    let thread = format!("{BOB},{CAROL}");
    // Before there is a conversation nothing can have left.
    lab.provider
        .0
        .troubles()
        .change(|trouble| trouble.answers = Some(502));
    let later = send(&device, to_group(1, &thread, "x")).await.unwrap_err();
    assert!(matches!(later, SendError::RetryAfter { .. }), "{later:?}");
    lab.provider.0.troubles().change(|trouble| trouble.answers = None);
    send(&device, to_group(1, &thread, "x")).await.unwrap();
    lab.provider
        .0
        .troubles()
        .change(|trouble| trouble.answers = Some(502));
    let doubt = send(&device, to_group(2, &thread, "the secret plan"))
        .await
        .unwrap_err();
    assert!(matches!(doubt, SendError::Unknown { .. }), "{doubt:?}");
    assert!(!format!("{doubt} {doubt:?}").contains("secret"));
    lab.provider
        .0
        .troubles()
        .change(|trouble| trouble.answers = Some(429));
    let later = send(&device, to_group(2, &thread, "x")).await.unwrap_err();
    assert!(matches!(later, SendError::RetryAfter { .. }), "{later:?}");
    device.stop().await;
}

/// Killed at whatever point, with the inbox shut now and then: each message of the group once, whichever of its two tellings came through.
#[tokio::test]
async fn kills_at_random_lose_nothing_and_double_nothing() {
    for seed in [21_u64, 22] {
        let mut dice = seed;
        let mut roll = move |below: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % below
        };
        let lab = Lab::new().await;
        let reading = |lab: &Lab| {
            let url = lab.provider.0.url();
            let mut config = config(&url, &lab.hook);
            config.conversations = Some(Conversations {
                service_sid: CONVERSATIONS.into(),
                url: url.clone(),
                media_url: url,
            });
            lab.run(connector(config, &lab.folder.path().join("state")).unwrap())
        };
        let device = reading(&lab);
        device.until(Link::Connected, "").await;
        device.kill().await;
        lab.closes();
        lab.provider
            .0
            .troubles()
            .change(|trouble| trouble.doubles_webhooks = true);
        let (mut expected, mut next) = (Vec::new(), 0);
        for _ in 0..6 {
            let device = reading(&lab);
            lab.inbox.full.store(roll(4) == 0, Ordering::Relaxed);
            lab.provider
                .0
                .tells_groups(|groups| groups.names_others = roll(2) == 0);
            for _ in 0..roll(4) {
                next += 1;
                expected.push(format!("text {next}"));
                lab.provider
                    .0
                    .receives_group(BOB, &[CAROL], &format!("text {next}"), &[]);
            }
            tokio::time::sleep(Duration::from_millis(roll(60))).await;
            device.kill().await;
            lab.closes();
            lab.inbox.full.store(false, Ordering::Relaxed);
        }
        let device = reading(&lab);
        until(&lab, expected.len()).await;
        device.stop().await;
        let arrived = kept(&lab.inbox.arrivals());
        assert!(
            arrived.iter().all(|message| message.group.is_some()),
            "seed {seed}"
        );
        let mut all = bodies(&arrived);
        all.sort();
        expected.sort();
        assert_eq!(all, expected, "seed {seed}");
    }
}
