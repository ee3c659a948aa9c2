//! GSMA's chatbot API, with the lab's platform and phones in place of an operator's.

use crate::device::{BOB, Device, OWN, bodies, clock, kept, outbound};
use crate::harness::Recorder;
use crate::webhooks::Door;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_connectors::maap::config::{Contact, Oauth};
use swingbridge_connectors::maap::{Config, MaapConnector};
use swingbridge_connectors::webhook::{Request, Webhook};
use swingbridge_domain::address::{Address, Hint};
use swingbridge_domain::connector::{
    Accepted, Connector, Link, Outbound, Reach, Revocation, Revoked, SendError, Signal, SignalKind,
};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::{ConnectorId, LineId, NetworkId};
use swingbridge_domain::inbox::Inbound;
use swingbridge_domain::message::{
    Body, Button, Deed, Disposition, Media, MediaKind, Message, Part, Reference, RichCard,
};
use swingbridge_domain::secret::Secret;
use swingbridge_lab::maap::{BOT, CLIENT, Maap, Phone, TOKEN, WEBHOOK_TOKEN};
use tempfile::TempDir;

struct Lab {
    platform: Maap,
    phone: Phone,
    inbox: Arc<Recorder>,
    config: Config,
    folder: TempDir,
}

impl Lab {
    async fn new() -> Self {
        let platform = Maap::start().await.unwrap();
        let mut config = Config {
            url: platform.url(),
            bot_id: BOT.into(),
            token: Secret::new(TOKEN),
            number: OWN.into(),
            webhook_token: Secret::new(WEBHOOK_TOKEN),
            ..Config::default()
        };
        config.timing.request = Duration::from_secs(10);
        Self {
            phone: platform.phone(BOB),
            platform,
            inbox: Arc::new(Recorder::new()),
            config,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn start(&self) -> (Device<MaapConnector>, Door<MaapConnector>) {
        let connector = MaapConnector::new(
            ConnectorId::new("rcs"),
            self.config.clone(),
            self.folder.path(),
            clock(),
        );
        let device = Device::run(connector.unwrap(), self.inbox.clone());
        let door = Door::open(device.connector.clone()).await;
        self.platform.hook(&door.url);
        (device, door)
    }

    async fn until_kept(&self, many: usize) -> Vec<swingbridge_domain::inbox::InboundMessage> {
        self.inbox
            .until(|inbox| kept(&inbox.arrivals()).len() >= many)
            .await;
        kept(&self.inbox.arrivals())
    }
}

async fn send(device: &Device<MaapConnector>, message: Message) -> Result<Accepted, SendError> {
    let outbound = Outbound {
        key: "key".into(),
        message,
        ..outbound(1, BOB, "")
    };
    device.send(outbound).await.unwrap()
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

#[tokio::test]
async fn a_tap_answers_its_message_also_after_a_restart() {
    let lab = Lab::new().await;
    let (device, door) = lab.start().await;
    let button = |label: &str, deed| Button {
        label: label.into(),
        deed,
    };
    let card = RichCard {
        title: Some("Table for two?".into()),
        buttons: vec![
            button("Yes", Deed::Reply),
            button("Call us", Deed::Dial("+447700900000".into())),
        ],
        ..RichCard::default()
    };
    let id = send(&device, of(Body::RichCard(card)))
        .await
        .unwrap()
        .network_ids
        .remove(0);
    device.kill().await;
    drop(door);
    let (device, _door) = lab.start().await;
    assert!(lab.phone.taps(id.as_str(), 0));
    let answer = lab.until_kept(1).await.remove(0);
    assert_eq!(bodies(std::slice::from_ref(&answer)), ["Yes"]);
    assert!(answer.tapped);
    assert_eq!(answer.message.in_reply_to, Some(Reference::Network(id)));
    device.stop().await;
}

#[tokio::test]
async fn files_and_places_go_both_ways() {
    let lab = Lab::new().await;
    let (device, _door) = lab.start().await;
    let path = lab.folder.path().join("a.png");
    std::fs::write(&path, b"png").unwrap();
    lab.platform.readies_files_late();
    let media = Media {
        kind: MediaKind::Image,
        name: "a.png".into(),
        mime: Some("image/png".into()),
        uri: format!("file://{}", path.display()),
        caption: Some("look".into()),
        ..Media::default()
    };
    assert_eq!(
        send(&device, of(Body::Media(media)))
            .await
            .unwrap()
            .network_ids
            .len(),
        2
    );
    let place = Body::Location {
        geo_uri: "geo:51.5,-0.12".into(),
        description: "Here".into(),
    };
    send(&device, of(place)).await.unwrap();
    let sent = lab.phone.messages();
    let file = &sent[0].message["fileMessage"];
    assert_eq!(
        (&file["fileName"], &file["fileSize"]),
        (&"a.png".into(), &3.into())
    );
    assert_eq!(sent[1].text(), Some("look"));
    assert_eq!(sent[2].message["geolocationPushMessage"]["pos"], "51.5,-0.12");
    lab.phone.sends_file("../b.jpg", "image/jpeg", b"jpg");
    lab.phone.shares_place("26.1181289 -80.1283921", "There");
    let kept = lab.until_kept(2).await;
    let Body::Media(media) = &kept[0].message.parts[0].body else {
        panic!("{kept:?}")
    };
    assert_eq!(media.name, "b.jpg");
    assert_eq!(
        std::fs::read(media.uri.strip_prefix("file://").unwrap()).unwrap(),
        b"jpg"
    );
    assert!(
        matches!(&kept[1].message.parts[0].body, Body::Location { description, .. } if description == "There")
    );
    device.stop().await;
}

#[tokio::test]
async fn a_hidden_number_is_a_name_until_it_is_told() {
    let lab = Lab::new().await;
    let (device, _door) = lab.start().await;
    lab.phone.writes_hidden("CHAT1", "who am I");
    lab.phone.shows_itself("CHAT1");
    lab.phone.writes_hidden("CHAT1", "it is me");
    let kept = lab.until_kept(2).await;
    assert_eq!(
        (kept[0].from.text.as_str(), kept[0].from.hint),
        ("CHAT1", Hint::Alphanumeric)
    );
    assert_eq!(kept[1].from.text, BOB);
    device.stop().await;
}

#[tokio::test]
async fn a_platform_that_asks_for_a_repetition_certainly_took_nothing() {
    let mut lab = Lab::new().await;
    lab.config.dialect.checks = false;
    let (device, _door) = lab.start().await;
    lab.platform.troubles().change(|trouble| {
        trouble.answers = Some(503);
        trouble.retry_after = Some(9);
    });
    let later = send(&device, Message::text("later")).await.unwrap_err();
    assert!(
        matches!(later, SendError::RetryAfter { delay, counts: false, .. } if delay.as_secs() == 9),
        "{later:?}"
    );
    device.until(Link::Disconnected, "503").await;
    device.stop().await;
}

#[tokio::test]
async fn who_has_no_rcs_is_not_tried() {
    let lab = Lab::new().await;
    let (device, _door) = lab.start().await;
    lab.phone.has_rcs(false);
    let refused = send(&device, Message::text("hello")).await.unwrap_err();
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
    let _ = lab.platform.phone("+447700900124");
    let asked = [BOB, "+447700900124"].map(|number| Address::Number(number.into()));
    let reach = device.connector.reach(&LineId::new("main"), &asked).await;
    assert_eq!(reach, [Reach::No, Reach::Yes]);
    device.stop().await;
}

#[tokio::test]
async fn only_the_platforms_word_takes_a_message_back() {
    let lab = Lab::new().await;
    let (device, _door) = lab.start().await;
    let take_back = async |network_ids| {
        let revocation = Revocation {
            line: LineId::new("main"),
            to: Address::Number(BOB.into()),
            key: "key".into(),
            network_ids,
        };
        device.connector.revoke(revocation).await
    };
    lab.phone.is_on(false);
    let ids = send(&device, Message::text("waits")).await.unwrap().network_ids;
    assert_eq!(take_back(ids).await, Ok(Revoked::Withdrawn));
    lab.phone.is_on(true);
    assert_eq!(lab.phone.messages()[0].state, "cancelled");
    let ids = send(&device, Message::text("there")).await.unwrap().network_ids;
    assert_eq!(take_back(ids.clone()).await, Ok(Revoked::TooLate));
    lab.phone.is_on(false);
    let waits = send(&device, Message::text("waits")).await.unwrap().network_ids;
    assert_eq!(take_back([ids, waits].concat()).await, Ok(Revoked::InPart));
    assert_eq!(
        take_back(vec![NetworkId::new("never")]).await,
        Ok(Revoked::Impossible)
    );
    assert_eq!(take_back(Vec::new()).await, Ok(Revoked::Impossible));
    device.stop().await;
}

/// Else a fallback would say the beginning a second time.
#[tokio::test]
async fn of_a_message_whose_end_is_refused_the_phone_gets_nothing_or_its_writer_knows() {
    let lab = Lab::new().await;
    let (device, _door) = lab.start().await;
    let nowhere = Body::Location {
        geo_uri: "geo:".into(),
        description: String::new(),
    };
    let mut message = Message::text("the beginning");
    message.parts.extend(of(nowhere).parts);
    for (is_on, reason, state) in [
        (false, Reason::BadContent, "cancelled"),
        (true, Reason::InPart, "delivered"),
    ] {
        lab.phone.is_on(is_on);
        let refused = send(&device, message.clone()).await.unwrap_err();
        assert!(
            matches!(&refused, SendError::Rejected { reason: because, .. } if *because == reason),
            "{refused:?}"
        );
        assert_eq!(lab.phone.messages().last().unwrap().state, state);
    }
    assert_eq!(lab.phone.messages().len(), 2);
    device.stop().await;
}

#[tokio::test]
async fn only_a_word_against_a_message_that_has_no_id_refuses_it() {
    let lab = Lab::new().await;
    let (device, _door) = lab.start().await;
    for beside in [
        json!({ "error": null, "reason": null }),
        json!({ "error": { "code": 0, "text": "none" } }),
    ] {
        lab.platform.answers_with(beside);
        let accepted = send(&device, Message::text("hello")).await.unwrap();
        assert_eq!(accepted.network_ids.len(), 1);
    }
    lab.platform
        .answers_with(json!({ "RCSMessage": null, "error": { "code": 7, "text": "no" } }));
    let refused = send(&device, Message::text("hello")).await.unwrap_err();
    assert!(
        matches!(
            refused,
            SendError::Rejected {
                reason: Reason::NetworkRefused,
                ..
            }
        ),
        "{refused:?}"
    );
    device.stop().await;
}

#[tokio::test]
async fn a_header_is_found_however_it_is_written() {
    let mut lab = Lab::new().await;
    lab.config.dialect.webhook_header = "X-Bot-Token".into();
    let (device, _door) = lab.start().await;
    // From here on it takes what comes.
    send(&device, Message::text("hello")).await.unwrap();
    let body = r#"{"event":"message","RCSMessage":{"msgId":"x","textMessage":"hello"},"messageContact":{"userContact":"+1"}}"#;
    for (token, status) in [("guess", 401), (WEBHOOK_TOKEN, 200)] {
        let request = Request {
            method: "POST".into(),
            headers: vec![("x-bot-token".into(), token.into())],
            body: body.into(),
            ..Request::default()
        };
        assert_eq!(device.connector.receive(request).await.status, status);
    }
    assert!(!lab.until_kept(1).await[0].tapped);
    device.stop().await;
}

#[tokio::test]
async fn an_operators_dialect_is_spoken() {
    let mut lab = Lab::new().await;
    lab.config.token = Secret::default();
    lab.config.oauth = Some(Oauth {
        token_url: lab.platform.token_url(),
        client_id: CLIENT.0.into(),
        client_secret: Secret::new(CLIENT.1),
        scope: String::new(),
    });
    lab.config.dialect.contact = Contact::Tel;
    let (device, _door) = lab.start().await;
    send(&device, Message::text("one")).await.unwrap();
    send(&device, Message::text("two")).await.unwrap();
    assert_eq!(lab.platform.tokens(), 1);
    lab.platform.ends_tokens();
    send(&device, Message::text("three")).await.unwrap();
    assert_eq!(lab.platform.tokens(), 2);
    assert_eq!(lab.phone.messages()[2].contact, format!("tel:{BOB}"));
    device.stop().await;
    lab.config.oauth = lab.config.oauth.map(|oauth| Oauth {
        client_secret: Secret::new("wrong"),
        ..oauth
    });
    let (device, _door) = {
        let connector = MaapConnector::new(
            ConnectorId::new("rcs"),
            lab.config.clone(),
            lab.folder.path(),
            clock(),
        );
        let device = Device::run(connector.unwrap(), lab.inbox.clone());
        let door = Door::open(device.connector.clone()).await;
        (device, door)
    };
    let later = send(&device, Message::text("four")).await.unwrap_err();
    assert!(
        matches!(later, SendError::RetryAfter { counts: false, .. }),
        "{later:?}"
    );
    device.until(Link::Refused, "client_secret").await;
    device.stop().await;
}

#[tokio::test]
async fn typing_and_read_marks_pass_both_ways_and_only_the_platform_is_believed() {
    let lab = Lab::new().await;
    let (device, _door) = lab.start().await;
    let id = lab.phone.writes("hello");
    lab.phone.types(true);
    lab.phone.types(false);
    let typing = |inbox: &Recorder| {
        let typing = |one| match one {
            Inbound::Typing(typing) => Some(typing.active),
            _ => None,
        };
        inbox.inbound().into_iter().filter_map(typing).collect::<Vec<_>>() == [true, false]
    };
    lab.inbox.until(typing).await;
    for kind in [
        SignalKind::Read { up_to: None },
        SignalKind::Typing(true),
        SignalKind::Typing(false),
    ] {
        let signal = Signal {
            line: LineId::new("main"),
            to: Address::Number(BOB.into()),
            kind,
        };
        device.connector.signal(signal).await;
    }
    assert!(lab.phone.is_displayed(&id));
    assert_eq!(lab.phone.typing(), ["active", "idle"]);
    let ask = async |token: Option<&str>, body: &'static str| {
        let header = |token: &str| ("authorization".to_owned(), format!("Bearer {token}"));
        let request = Request {
            method: "POST".into(),
            headers: token.map(header).into_iter().collect(),
            body: body.into(),
            ..Request::default()
        };
        device.connector.receive(request).await.status
    };
    let forged = r#"{"event":"message","RCSMessage":{"msgId":"x","textMessage":"forged"},"messageContact":{"userContact":"+1"}}"#;
    assert_eq!(ask(None, forged).await, 401);
    assert_eq!(ask(Some("guess"), forged).await, 401);
    assert_eq!(ask(Some(WEBHOOK_TOKEN), &forged[..30]).await, 400);
    assert_eq!(ask(Some(WEBHOOK_TOKEN), r#"{"event":"message"}"#).await, 400);
    assert_eq!(
        ask(Some(WEBHOOK_TOKEN), r#"{"event":"newsOfTomorrow"}"#).await,
        200
    );
    assert_eq!(lab.inbox.texts(), ["hello"]);
    device.stop().await;
}
