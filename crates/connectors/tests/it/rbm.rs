//! Google RCS for Business, with the lab's service and phones in place of Google's.

use crate::device::{BOB, Device, OWN, bodies, kept, outbound};
use crate::harness::{NOW, Recorder};
use crate::webhooks::Door;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use swingbridge_connectors::rbm::{Config, RbmConnector};
use swingbridge_connectors::webhook::{Request, Webhook};
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Support;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, Link, Outbound, Reach, Revocation, Revoked, SendError, Signal, SignalKind,
};
use swingbridge_domain::delivery::{Outcome, Reason};
use swingbridge_domain::id::{ConnectorId, LineId, NetworkId};
use swingbridge_domain::inbox::{Inbound, InboundMessage, Receipt};
use swingbridge_domain::message::{
    Body, Button, Deed, Disposition, Media, MediaKind, Message, Part, Reference, RichCard, Tone,
};
use swingbridge_domain::path::{Path, Place, Protection, Summary};
use swingbridge_domain::secret::Secret;
use swingbridge_lab::rbm::{AGENT, CLIENT_TOKEN, Phone, Rbm, Stage, signature};
use tempfile::TempDir;

/// Turned by hand.
struct Turned(AtomicI64);
impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct Lab {
    google: Rbm,
    phone: Phone,
    inbox: Arc<Recorder>,
    clock: Arc<Turned>,
    door: Door<RbmConnector>,
    folder: TempDir,
    device: Device<RbmConnector>,
}

impl Lab {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(Turned(AtomicI64::new(NOW.millis())));
        let google = Rbm::start(clock.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inbox = Arc::new(Recorder::new());
        let mut config = Config {
            base_url: Some(google.url()),
            agent_id: AGENT.into(),
            service_account: Secret::new(google.service_account()),
            client_token: Secret::new(CLIENT_TOKEN),
            number: OWN.into(),
            ..Config::default()
        };
        config.timing.request = Duration::from_secs(10);
        config.timing.longest_wait = Duration::from_millis(20);
        change(&mut config);
        let connector = RbmConnector::new(
            ConnectorId::new("rcs"),
            config,
            &folder.path().join("media"),
            clock.clone(),
        );
        let device = Device::run(connector.unwrap(), inbox.clone());
        let door = Door::open(device.connector.clone()).await;
        Self {
            phone: google.phone(BOB),
            google,
            inbox,
            clock,
            door,
            folder,
            device,
        }
    }

    /// Signed in, with its webhook set up.
    async fn ready(&self) {
        self.device.until(Link::Connected, "").await;
        self.google.sets_up(&self.door.url).await.unwrap();
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        self.device.send(outbound).await.unwrap()
    }

    fn turn(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap();
        self.clock.0.fetch_add(by, Ordering::Relaxed);
    }

    fn receipts(&self) -> Vec<Receipt> {
        let receipt = |inbound| match inbound {
            Inbound::Receipt(receipt) => Some(receipt),
            _ => None,
        };
        self.inbox.inbound().into_iter().filter_map(receipt).collect()
    }

    async fn until_outcome(&self, id: &NetworkId, outcome: Outcome) {
        let told = |_: &Recorder| {
            let mut receipts = self.receipts().into_iter();
            receipts.any(|receipt| receipt.network_ids == [id.clone()] && receipt.outcome == outcome)
        };
        self.inbox.until(told).await;
    }

    async fn until_kept(&self, many: usize) -> Vec<InboundMessage> {
        self.inbox
            .until(|inbox| kept(&inbox.arrivals()).len() >= many)
            .await;
        kept(&self.inbox.arrivals())
    }
}

fn keyed(key: &str, message: Message) -> Outbound {
    Outbound {
        key: key.to_owned(),
        message,
        ..outbound(1, BOB, "")
    }
}

fn said(key: &str, text: &str) -> Outbound {
    keyed(key, Message::text(text))
}

fn of(bodies: Vec<Body>) -> Message {
    let part = |body| Part {
        disposition: Disposition::Render,
        body,
    };
    Message {
        parts: bodies.into_iter().map(part).collect(),
        ..Message::default()
    }
}

fn button(label: &str, deed: Deed) -> Button {
    Button {
        label: label.to_owned(),
        deed,
    }
}

#[tokio::test]
async fn a_card_is_answered_by_its_button() {
    let lab = Lab::new().await;
    lab.ready().await;
    let picture = lab.folder.path().join("table.png");
    std::fs::write(&picture, b"a picture").unwrap();
    let card = RichCard {
        title: Some("Table for two?".into()),
        text: Some("Tonight at eight.".into()),
        media: Some(Media {
            kind: MediaKind::Image,
            name: "table.png".into(),
            mime: Some("image/png".into()),
            uri: url(&picture),
            ..Media::default()
        }),
        buttons: vec![
            button("Yes", Deed::Reply),
            button("No", Deed::Reply),
            button("Menu", Deed::Open("https://example.org/menu".into())),
            button("Call us", Deed::Dial("+447700900000".into())),
            button("Another day", Deed::Reply),
        ],
    };
    let accepted = lab
        .send(keyed("card", of(vec![Body::RichCard(card.clone())])))
        .await
        .unwrap();
    let id = accepted.network_ids[0].clone();
    let shown = lab.phone.shown().remove(0);
    let content = shown
        .message
        .pointer("/contentMessage/richCard/standaloneCard/cardContent")
        .unwrap();
    assert_eq!(content["title"], "Table for two?");
    let (mime, octets) = lab
        .phone
        .file(content["media"]["fileName"].as_str().unwrap())
        .unwrap();
    assert_eq!(
        (mime.as_str(), octets.as_slice()),
        ("image/png", &b"a picture"[..])
    );
    lab.phone.taps(id.as_str(), 1).unwrap();
    lab.phone.taps(id.as_str(), 2).unwrap();
    let kept = lab.until_kept(2).await;
    assert_eq!(bodies(&kept), ["No", "Menu"]);
    for message in &kept {
        assert_eq!(message.message.in_reply_to, Some(Reference::Network(id.clone())));
        assert!(message.tapped);
    }
    let tones: Vec<_> = kept
        .iter()
        .map(|one| one.message.first_text().unwrap().tone)
        .collect();
    assert_eq!(tones, [Tone::Plain, Tone::Notice]);
    // A phone that has no cards is told the same in words, and the file is not uploaded again.
    lab.phone.can(&["ACTION_DIAL"]);
    lab.turn(Duration::from_secs(25 * 60 * 60));
    lab.send(keyed("words", of(vec![Body::RichCard(card)])))
        .await
        .unwrap();
    let shown = lab.phone.shown();
    assert!(shown[1].file().is_some());
    assert_eq!(shown[2].text(), Some("Table for two?\nTonight at eight."));
    assert_eq!(shown[2].buttons().len(), 5);
    assert_eq!(lab.google.uploads(), 1);
    lab.device.stop().await;
}

fn url(path: &std::path::Path) -> String {
    format!("file://{}", path.display())
}

#[tokio::test]
async fn several_cards_are_a_carousel_and_too_much_is_refused_before_anything_leaves() {
    let lab = Lab::new().await;
    lab.ready().await;
    let card = |n: usize| {
        Body::RichCard(RichCard {
            title: Some(format!("Card {n}")),
            buttons: vec![button("Take this", Deed::Reply)],
            ..RichCard::default()
        })
    };
    let accepted = lab
        .send(keyed("carousel", of((0..3).map(card).collect())))
        .await
        .unwrap();
    lab.phone.taps(accepted.network_ids[0].as_str(), 2).unwrap();
    assert_eq!(bodies(&lab.until_kept(1).await), ["Take this"]);
    for (key, message) in [
        ("many", of((0..11).map(card).collect())),
        (
            "long",
            of(vec![
                card(1),
                Body::Text(Default::default()),
                said("", &"x".repeat(3073)).message.parts[0].body.clone(),
            ]),
        ),
        (
            "poll",
            of(vec![Body::Poll {
                question: "?".into(),
                answers: vec![],
            }]),
        ),
        (
            "gone",
            of(vec![Body::Media(Media {
                uri: "file:///nowhere/at/all".into(),
                ..Media::default()
            })]),
        ),
    ] {
        let refused = lab.send(keyed(key, message)).await.unwrap_err();
        assert!(
            matches!(
                refused,
                SendError::Rejected {
                    reason: Reason::BadContent,
                    ..
                }
            ),
            "{key}: {refused:?}"
        );
    }
    assert_eq!(lab.phone.messages().len(), 1);
    lab.device.stop().await;
}

#[tokio::test]
async fn who_has_no_rcs_is_not_tried_and_is_asked_after_again_later() {
    let lab = Lab::new().await;
    lab.ready().await;
    lab.phone.has_rcs(false);
    let refused = lab.send(said("one", "hello")).await.unwrap_err();
    assert!(
        matches!(
            refused,
            SendError::Rejected {
                reason: Reason::NotReachable,
                ..
            }
        ),
        "{refused:?}"
    );
    let asked = lab.google.troubles().asked();
    lab.send(said("one", "hello")).await.unwrap_err();
    assert_eq!(
        lab.google.troubles().asked(),
        asked,
        "what was just learnt is asked again"
    );
    lab.phone.has_rcs(true);
    lab.turn(Duration::from_secs(301));
    lab.send(said("one", "hello")).await.unwrap();
    // It loses RCS after the check: the send itself says so, and the memory learns it.
    lab.phone.has_rcs(false);
    let refused = lab.send(said("two", "hello")).await.unwrap_err();
    assert!(matches!(
        refused,
        SendError::Rejected {
            reason: Reason::NotReachable,
            ..
        }
    ));
    let bob = [Address::Number(BOB.into())];
    assert_eq!(
        lab.device.connector.reach(&LineId::new("main"), &bob).await,
        [Reach::No]
    );
    // Before the launch only testers are reached, and the words say so.
    lab.phone.has_rcs(true);
    lab.phone.is_tester(false);
    lab.turn(Duration::from_secs(2 * 24 * 60 * 60));
    let refused = lab.send(said("three", "hello")).await.unwrap_err();
    assert!(
        matches!(&refused, SendError::Rejected { reason: Reason::NotAllowed, detail } if detail.contains("testers")),
        "{refused:?}"
    );
    lab.device.stop().await;
}

#[tokio::test]
async fn many_numbers_are_asked_after_in_one_request_and_few_one_by_one() {
    let lab = Lab::new().await;
    lab.ready().await;
    let line = LineId::new("main");
    let number = |n: usize| Address::Number(format!("+4478009{n:05}"));
    for n in (0..600).step_by(2) {
        let Address::Number(number) = number(n) else {
            unreachable!()
        };
        let _ = lab.google.phone(&number);
    }
    let mut all: Vec<Address> = (0..600).map(number).collect();
    all.push(Address::Short("12345".into()));
    let before = lab.google.troubles().asked();
    let reach = lab.device.connector.reach(&line, &all).await;
    assert_eq!(lab.google.troubles().asked(), before + 1);
    for (n, reach) in reach.iter().enumerate() {
        let expected = if n < 600 && n % 2 == 0 {
            Reach::Yes
        } else {
            Reach::No
        };
        assert_eq!(*reach, expected, "{n}");
    }
    let few = [
        Address::Number(BOB.into()),
        Address::Number("+447700900999".into()),
    ];
    assert_eq!(
        lab.device.connector.reach(&line, &few).await,
        [Reach::Yes, Reach::No]
    );
    assert_eq!(lab.google.troubles().asked(), before + 3);
    lab.google.troubles().change(|trouble| trouble.outage = true);
    let new = [Address::Number("+447700900998".into())];
    assert_eq!(lab.device.connector.reach(&line, &new).await, [Reach::Unknown]);
    lab.device.stop().await;
}

#[tokio::test]
async fn a_token_is_used_until_its_end_and_renewed_once_when_it_ends_early() {
    let lab = Lab::new().await;
    lab.ready().await;
    for key in ["one", "two", "three"] {
        lab.send(said(key, "hello")).await.unwrap();
    }
    assert_eq!(lab.google.tokens(), 1);
    lab.google.ends_tokens();
    lab.send(said("four", "hello")).await.unwrap();
    assert_eq!(lab.google.tokens(), 2);
    lab.turn(Duration::from_secs(3595));
    lab.send(said("five", "hello")).await.unwrap();
    assert_eq!(lab.google.tokens(), 3);
    lab.device.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_made_up_for_and_told() {
    let lab = Lab::with(|_| {}).await;
    lab.ready().await;
    lab.google.is_ahead(7200);
    lab.google.ends_tokens();
    lab.send(said("one", "hello")).await.unwrap();
    lab.device
        .until(Link::Degraded, "clock is 7200 seconds off")
        .await;
    lab.device.stop().await;
}

#[tokio::test]
async fn a_key_that_google_does_not_know_is_said_to_a_person() {
    let lab = Lab::with(|config| {
        let wrong = config
            .service_account
            .expose()
            .replace("lab@project", "other@project");
        config.service_account = Secret::new(wrong);
    })
    .await;
    lab.device
        .until(Link::Refused, "make a new one in the developer console")
        .await;
    let later = lab.send(said("one", "hello")).await.unwrap_err();
    assert!(
        matches!(later, SendError::RetryAfter { counts: false, .. }),
        "{later:?}"
    );
    lab.device.stop().await;
}

#[tokio::test]
async fn a_message_has_its_time_and_is_over_after_it() {
    let lab = Lab::new().await;
    lab.ready().await;
    lab.phone.is_on(false);
    let timed = |key: &str, seconds| Outbound {
        expires_at: Some(lab.clock.now() + Duration::from_secs(seconds)),
        ..said(key, "hurry")
    };
    let too_late = lab.send(timed("late", 5)).await.unwrap_err();
    assert!(matches!(
        too_late,
        SendError::Rejected {
            reason: Reason::Expired,
            ..
        }
    ));
    let gone = lab.send(timed("gone", 60)).await.unwrap().network_ids.remove(0);
    assert_eq!(lab.phone.messages()[0].message["ttl"], "60s");
    lab.turn(Duration::from_secs(61));
    lab.until_outcome(&gone, Outcome::Expired).await;
    lab.google.fails_to_revoke();
    let unsure = lab.send(timed("unsure", 60)).await.unwrap().network_ids.remove(0);
    lab.turn(Duration::from_secs(61));
    lab.until_outcome(&unsure, Outcome::Unknown).await;
    // It comes after all: the later word is the true one.
    lab.phone.is_on(true);
    lab.until_outcome(&unsure, Outcome::Delivered).await;
    assert_eq!(lab.phone.shown().len(), 1);
    lab.device.stop().await;
}

#[tokio::test]
async fn what_waits_is_taken_back_and_what_is_delivered_is_not() {
    let lab = Lab::new().await;
    lab.ready().await;
    let take_back = |key: &str, network_ids| {
        lab.device.connector.revoke(Revocation {
            line: LineId::new("main"),
            to: Address::Number(BOB.into()),
            key: key.to_owned(),
            network_ids,
        })
    };
    lab.phone.is_on(false);
    let ids = lab.send(said("waits", "hello")).await.unwrap().network_ids;
    assert_eq!(take_back("waits", ids.clone()).await, Ok(Revoked::Withdrawn));
    assert_eq!(take_back("waits", ids).await, Ok(Revoked::Withdrawn));
    lab.phone.is_on(true);
    assert_eq!(lab.phone.messages()[0].stage, Stage::Revoked);
    let ids = lab.send(said("there", "hello")).await.unwrap().network_ids;
    assert_eq!(take_back("there", ids).await, Ok(Revoked::TooLate));
    // Of unknown fate: taken back by its key when Google has it; nothing is claimed when it has not.
    lab.phone.is_on(false);
    lab.send(said("unsure", "hello")).await.unwrap();
    assert_eq!(take_back("unsure", Vec::new()).await, Ok(Revoked::Withdrawn));
    assert_eq!(take_back("never", Vec::new()).await, Ok(Revoked::Impossible));
    // All parts of it, though nobody remembers how many there were.
    let parts = ["one", "two", "three"].map(|text| said("", text).message.parts.remove(0).body);
    lab.send(keyed("parts", of(parts.to_vec()))).await.unwrap();
    assert_eq!(take_back("parts", Vec::new()).await, Ok(Revoked::Withdrawn));
    let waiting = |one: &swingbridge_lab::rbm::Received| one.stage == Stage::Waits;
    assert!(!lab.phone.messages().iter().any(waiting));
    // Of two parts the phone has one.
    let waits = lab.send(said("second", "hello")).await.unwrap().network_ids;
    let both = lab.send(said("there", "hello")).await.unwrap().network_ids;
    let both = [both, waits].concat();
    assert_eq!(take_back("second", both).await, Ok(Revoked::InPart));
    lab.google.troubles().change(|trouble| trouble.outage = true);
    assert!(take_back("unsure", Vec::new()).await.is_err());
    lab.device.stop().await;
}

/// Else a fallback would say the beginning a second time.
#[tokio::test]
async fn of_a_message_whose_end_is_refused_the_phone_gets_nothing_or_its_writer_knows() {
    let lab = Lab::new().await;
    lab.ready().await;
    lab.send(said("known", "hello")).await.unwrap();
    // It loses its cards, and Google's word that it has them is believed for a day.
    lab.phone.can(&["ACTION_DIAL"]);
    let card = Body::RichCard(RichCard {
        title: Some("the end".into()),
        ..RichCard::default()
    });
    let message = of(vec![said("", "the beginning").message.parts.remove(0).body, card]);
    for (key, is_on, reason, stage) in [
        ("waits", false, Reason::BadContent, Stage::Revoked),
        ("there", true, Reason::InPart, Stage::Delivered),
    ] {
        lab.phone.is_on(is_on);
        let refused = lab.send(keyed(key, message.clone())).await.unwrap_err();
        assert!(
            matches!(&refused, SendError::Rejected { reason: because, .. } if *because == reason),
            "{refused:?}"
        );
        assert_eq!(lab.phone.messages().last().unwrap().stage, stage);
    }
    assert_eq!(lab.phone.messages().len(), 3);
    lab.device.stop().await;
}

#[tokio::test]
async fn places_files_typing_and_subscriptions_come_in() {
    let lab = Lab::with(|config| config.largest_file = 1).await;
    lab.ready().await;
    lab.phone.shares_place(51.5, -0.12);
    lab.phone.sends_file("../photo.jpg", "image/jpeg", b"a photo");
    lab.phone.sends_file("huge.mp4", "video/mp4", &vec![0; 1_000_001]);
    lab.phone.subscribes(false);
    lab.phone.subscribes(true);
    lab.phone.types();
    let typing = |inbox: &Recorder| {
        let mut inbound = inbox.inbound().into_iter();
        inbound.any(|one| matches!(one, Inbound::Typing(typing) if typing.active && typing.from.text == BOB))
    };
    lab.inbox.until(typing).await;
    let wishes: Vec<_> = lab
        .inbox
        .inbound()
        .into_iter()
        .filter_map(|one| match one {
            Inbound::Preference(told) => Some((told.from.text, told.to.text, told.wanted)),
            _ => None,
        })
        .collect();
    // As what they are: nobody wrote such words.
    assert_eq!(
        wishes,
        [false, true].map(|wanted| (BOB.to_owned(), OWN.to_owned(), wanted))
    );
    let kept = kept(&lab.inbox.arrivals());
    let body = |n: usize| &kept[n].message.parts[0].body;
    assert!(matches!(body(0), Body::Location { geo_uri, .. } if geo_uri == "geo:51.5,-0.12"));
    let Body::Media(media) = body(1) else {
        panic!("{kept:?}")
    };
    assert_eq!((media.name.as_str(), media.kind), ("photo.jpg", MediaKind::Image));
    let path = std::path::PathBuf::from(media.uri.strip_prefix("file://").unwrap());
    assert!(path.starts_with(lab.folder.path()));
    assert_eq!(std::fs::read(path).unwrap(), b"a photo");
    assert!(matches!(body(2), Body::Other { fallback: Some(words), .. } if words.contains("larger")));
    assert!(kept.len() == 3 && kept.iter().all(|one| !one.tapped));
    lab.device.stop().await;
}

#[tokio::test]
async fn a_file_that_will_not_come_holds_up_nothing_for_ever() {
    let lab = Lab::new().await;
    lab.ready().await;
    lab.google.answers_files_with(500);
    lab.phone.sends_file("a.png", "image/png", b"png");
    lab.phone.writes("after it");
    let kept = lab.until_kept(2).await;
    assert!(
        matches!(&kept[0].message.parts[0].body, Body::Other { fallback: Some(words), .. } if words.contains("could not be had"))
    );
    assert_eq!(
        lab.door.answers().iter().filter(|status| **status == 503).count(),
        2
    );
    lab.device.stop().await;
}

#[tokio::test]
async fn only_google_is_believed() {
    let lab = Lab::new().await;
    lab.ready().await;
    let ask = async |body: String, signed: Option<String>| {
        let request = Request {
            method: "POST".into(),
            headers: signed
                .map(|value| ("x-goog-signature".to_owned(), value))
                .into_iter()
                .collect(),
            body: body.into(),
            ..Request::default()
        };
        lab.device.connector.receive(request).await
    };
    let event = |agent: &str| {
        let data =
            format!(r#"{{"senderPhoneNumber":"{BOB}","messageId":"m","text":"forged","agentId":"{agent}"}}"#);
        let body = format!(
            r#"{{"message":{{"data":"{}"}}}}"#,
            data_encoding::BASE64.encode(data.as_bytes())
        );
        (body, signature(data.as_bytes()))
    };
    let (body, good) = event(AGENT);
    for wrong in [None, Some("not base64!".to_owned()), Some(signature(b"other"))] {
        assert_eq!(ask(body.clone(), wrong).await.status, 401);
    }
    assert_eq!(ask(body[..20].to_owned(), Some(good.clone())).await.status, 400);
    let cut = br#"{"senderPhoneNumber":"#;
    let cut_body = format!(
        r#"{{"message":{{"data":"{}"}}}}"#,
        data_encoding::BASE64.encode(cut)
    );
    assert_eq!(ask(cut_body, Some(signature(cut))).await.status, 400);
    // Another agent's is passed over, and does not hold up ours.
    let (other, signed) = event("other_agent");
    assert_eq!(ask(other, Some(signed)).await.status, 200);
    assert!(lab.inbox.texts().is_empty());
    assert_eq!(ask(body, Some(good)).await.status, 200);
    assert_eq!(lab.inbox.texts(), ["forged"]);
    let set_up = |token: &str| format!(r#"{{"clientToken":"{token}","secret":"s3"}}"#);
    assert_eq!(ask(set_up("guess"), None).await.status, 403);
    let answer = ask(set_up(CLIENT_TOKEN), None).await;
    assert_eq!((answer.status, answer.body.as_ref()), (200, "s3"));
    lab.device.stop().await;
}

#[tokio::test]
async fn read_marks_and_typing_go_out() {
    let lab = Lab::new().await;
    lab.ready().await;
    let id = lab.phone.writes("hello");
    let one = lab.until_kept(1).await.remove(0);
    assert_eq!((one.to.text.as_str(), one.sent_at), (OWN, Some(NOW)));
    let signal = |kind| {
        lab.device.connector.signal(Signal {
            line: LineId::new("main"),
            to: Address::Number(BOB.into()),
            kind,
        })
    };
    signal(SignalKind::Read { up_to: None }).await;
    signal(SignalKind::Typing(true)).await;
    signal(SignalKind::Typing(false)).await;
    let marks = lab.phone.marks();
    assert_eq!(marks.len(), 2);
    assert_eq!(
        (&marks[0]["eventType"], &marks[0]["messageId"]),
        (&"READ".into(), &id.into())
    );
    assert_eq!(marks[1]["eventType"], "IS_TYPING");
    lab.device.stop().await;
}

#[tokio::test]
async fn the_label_says_that_google_the_carrier_and_the_gateway_read_it() {
    let lab = Lab::new().await;
    let able = lab.device.connector.capabilities();
    assert!(able.idempotent_sends && able.revokes && able.rich_cards == Support::Full);
    // In the lab there is no TLS, and the label does not claim it.
    assert_eq!(able.way.last().unwrap().proven(), Protection::None);
    for room in [
        Protection::None,
        Protection::EndToEnd(swingbridge_domain::path::Scheme::Megolm),
    ] {
        let to_client = Path::to_client(Place::Gateway, room, Protection::Transport);
        let path = Path::new(able.way.iter().cloned().chain(to_client));
        assert!(path.is_whole());
        assert!(
            matches!(path.summary(), Summary::None | Summary::EndsAtGateway),
            "{:?}",
            path.summary()
        );
        let readers = path.readers();
        for reader in [Place::Carrier, Place::Provider("Google".into()), Place::Gateway] {
            assert!(readers.contains(&&reader), "{readers:?}");
        }
    }
    lab.device.stop().await;
}
