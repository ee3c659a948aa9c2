//! Telnyx, with the lab's in place of the real one.

use super::{House, Provider, REQUEST, Setting};
use crate::device::{BOB, kept, outbound};
use crate::harness::NOW;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_connectors::telnyx::{Config, TelnyxConnector};
use swingbridge_connectors::webhook::{Request, Webhook};
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{ConnectorError, Link, Outbound, SendError};
use swingbridge_domain::delivery::{Outcome, Reason};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbound;
use swingbridge_domain::message::{Body, Disposition, Media, Message, Part};
use swingbridge_domain::path::Place;
use swingbridge_domain::secret::Secret;
use swingbridge_lab::telnyx::{API_KEY, NUMBER, Telnyx, public_key, sign};
use swingbridge_lab::trouble::Troubles;

const CAROL: &str = "+13125550102";
const DAVE: &str = "+13125550103";

pub struct TelnyxHouse(Telnyx);

#[async_trait]
impl Provider for TelnyxHouse {
    type Connector = TelnyxConnector;
    const IDEMPOTENT: bool = true;
    const TIMED: bool = true;

    async fn start(webhook: &str, _: Arc<dyn Clock>) -> Self {
        let telnyx = Telnyx::start(NOW.millis() / 1000).await.unwrap();
        telnyx.webhook(webhook);
        Self(telnyx)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn connector(&self, setting: &Setting) -> Result<TelnyxConnector, ConnectorError> {
        let mut config = Config {
            api_key: Secret::new(API_KEY),
            public_key: public_key(),
            number: NUMBER.into(),
            url: setting.url.clone(),
            public_url: setting.webhook.clone(),
            ..Config::default()
        };
        config.timing.poll = setting.wait(config.timing.poll, 40);
        config.timing.longest_wait = setting.wait(config.timing.longest_wait, 80);
        config.timing.request = REQUEST;
        if setting.pace.is_none() {
            config.timing.ask_after = Duration::ZERO;
        }
        TelnyxConnector::new(
            ConnectorId::new("telnyx"),
            config,
            &setting.folder,
            Place::Gateway,
            setting.clock.clone(),
        )
    }

    fn troubles(&self) -> &Troubles {
        self.0.troubles()
    }

    fn is_at(&self, now: Timestamp) {
        self.0.is_at(now);
    }

    fn taken(&self) -> usize {
        self.0.sent().len()
    }

    fn receives(&self, from: &str, text: &str) -> String {
        self.0.receives(from, text)
    }

    fn reaches(&self, id: &str, outcome: Outcome) {
        match outcome {
            Outcome::Sent => self.0.reaches(id, None, "sent", None),
            Outcome::Delivered => self.0.reaches(id, None, "delivered", None),
            _ => self.0.reaches(id, None, "delivery_failed", Some(40001)),
        }
    }
}

type Lab = House<TelnyxHouse>;

fn to_group(id: i64, thread: &str, text: &str) -> Outbound {
    Outbound {
        key: format!("group{id}"),
        to: vec![Address::Group(thread.into())],
        ..outbound(id, BOB, text)
    }
}

#[tokio::test]
async fn a_group_is_one_whoever_writes_and_an_answer_goes_to_all_of_it() {
    let lab = Lab::new().await;
    let device = lab.start();
    lab.provider.0.receives_group(DAVE, &[CAROL, BOB], "hi all");
    lab.inbox.until(|inbox| inbox.texts().len() == 1).await;
    lab.provider.0.receives_group(BOB, &[DAVE, CAROL], "hi");
    lab.inbox.until(|inbox| inbox.texts().len() == 2).await;
    let arrived = kept(&lab.inbox.arrivals());
    let groups: Vec<_> = arrived
        .iter()
        .map(|message| message.group.clone().unwrap())
        .collect();
    assert_eq!(groups[0].thread, groups[1].thread);
    assert_eq!(groups[0].thread.0, format!("{CAROL},{DAVE},{BOB}"));
    assert_eq!(groups[0].members.len(), 3);
    assert_eq!(arrived[1].from.text, BOB);
    assert_eq!(arrived[1].to.text, NUMBER);
    // One of them alone is no group.
    lab.provider.receives(CAROL, "just you");
    lab.inbox.until(|inbox| inbox.texts().len() == 3).await;
    assert!(kept(&lab.inbox.arrivals())[2].group.is_none());

    let accepted = device
        .send(to_group(1, &groups[0].thread.0, "hello"))
        .await
        .unwrap()
        .unwrap();
    let sent = &lab.provider.0.sent()[0];
    assert!(sent.group);
    let to: Vec<&str> = sent.to.iter().map(|(number, _)| number.as_str()).collect();
    assert_eq!(to, [CAROL, DAVE, BOB]);
    // Each of them has a state of their own, under an id that shows no number.
    assert_eq!(accepted.network_ids.len(), 3);
    assert!(accepted.network_ids.iter().all(|id| !id.0.contains("555")));
    lab.provider.0.reaches(&sent.id, Some(DAVE), "delivered", None);
    let told = (accepted.network_ids[1].0.clone(), Outcome::Delivered);
    lab.inbox.until(|_| lab.receipts().contains(&told)).await;
    assert!(
        lab.receipts().iter().all(|(id, _)| *id == told.0),
        "{:?}",
        lab.receipts()
    );
    lab.provider
        .0
        .reaches(&sent.id, Some(BOB), "delivery_failed", Some(40001));
    let told = (accepted.network_ids[2].0.clone(), Outcome::Rejected);
    lab.inbox.until(|_| lab.receipts().contains(&told)).await;
    device.stop().await;
}

#[tokio::test]
async fn a_group_of_another_network_or_too_large_is_refused_in_words() {
    let lab = Lab::new().await;
    let device = lab.start();
    let large: Vec<String> = (10..19).map(|at| format!("+131255500{at}")).collect();
    for thread in ["chat1234;-;x", "+1,x", large.join(",").as_str()] {
        let refused = device.send(to_group(1, thread, "x")).await.unwrap().unwrap_err();
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
    }
    assert_eq!(lab.provider.taken(), 0);
    device.stop().await;
}

#[tokio::test]
async fn pictures_go_and_come() {
    let lab = Lab::new().await;
    let device = lab.start();
    let mut message = outbound(1, BOB, "look");
    message.message = Message::text("look");
    message.message.parts.push(Part {
        disposition: Disposition::Attachment,
        body: Body::Media(Media {
            uri: "https://example.org/m/1".into(),
            ..Media::default()
        }),
    });
    device.send(message.clone()).await.unwrap().unwrap();
    assert_eq!(lab.provider.0.sent()[0].media, ["https://example.org/m/1"]);
    // A second try of the same message with another link is no second message, and no refusal.
    message.key = "k".into();
    device.send(message.clone()).await.unwrap().unwrap();
    let Body::Media(media) = &mut message.message.parts[1].body else {
        panic!()
    };
    media.uri = "https://example.org/m/2".into();
    let doubt = device.send(message).await.unwrap().unwrap_err();
    assert!(matches!(doubt, SendError::Unknown { .. }), "{doubt:?}");
    assert_eq!(lab.provider.taken(), 2);

    let photo: &[u8] = &[0x89, 0x50, 1, 2, 3];
    lab.provider.0.receives_mms(BOB, "", &[("image/png", photo)]);
    lab.inbox.until(|inbox| !kept(&inbox.arrivals()).is_empty()).await;
    let arrived = kept(&lab.inbox.arrivals()).remove(0);
    let Body::Media(media) = &arrived.message.parts[0].body else {
        panic!("{arrived:?}")
    };
    let path = media.uri.strip_prefix("file://").unwrap();
    assert!(Path::new(path).starts_with(lab.folder.path()));
    assert_eq!(std::fs::read(path).unwrap(), photo);
    device.stop().await;
}

#[tokio::test]
async fn what_was_signed_long_ago_is_refused() {
    let lab = Lab::new().await;
    let device = lab.start();
    device.until(Link::Connected, "").await;
    let body = r#"{"data":{"event_type":"message.received","payload":{"id":"x","from":{"phone_number":"+13125550102"},"text":"late"}}}"#;
    let now = NOW.millis() / 1000;
    for (at, status) in [(now - 301, 401), (now + 301, 401), (now - 299, 200)] {
        let signed = sign(body, at);
        let request = Request {
            method: "POST".into(),
            headers: vec![
                ("telnyx-timestamp".into(), signed.timestamp),
                ("telnyx-signature-ed25519".into(), signed.signature),
            ],
            body: body.into(),
            ..Request::default()
        };
        assert_eq!(device.connector.receive(request).await.status, status, "{at}");
    }
    device.stop().await;
}

#[tokio::test]
async fn a_stop_is_handed_in_as_answered_and_what_follows_is_refused_in_words() {
    let lab = Lab::new().await;
    let device = lab.start();
    lab.provider.0.receives_keyword(BOB, "STOP");
    lab.inbox.until(|inbox| inbox.texts() == ["STOP"]).await;
    assert!(kept(&lab.inbox.arrivals())[0].answered);
    let refused = device
        .send(outbound(1, BOB, "hello?"))
        .await
        .unwrap()
        .unwrap_err();
    let SendError::Rejected { reason, detail } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(reason, Reason::NotAllowed);
    assert!(detail.contains("STOP") && detail.contains("40300"), "{detail}");
    device.stop().await;
}

/// More than are asked after in one round, of which all but one stay as they are.
#[tokio::test]
async fn a_state_is_heard_behind_many_that_stay_sent() {
    let lab = Lab::new().await;
    let device = lab.start();
    lab.provider.plays(|trouble| trouble.tells_nothing = true);
    let mut ids = Vec::new();
    for n in 0..26 {
        let message = Outbound {
            key: format!("waits{n}"),
            ..outbound(n, BOB, "waits")
        };
        let accepted = device.send(message).await.unwrap().unwrap();
        ids.push(accepted.network_ids[0].0.clone());
        lab.provider.0.reaches(&ids[ids.len() - 1], None, "sent", None);
    }
    // All are of one moment: those whose names come first would be asked first.
    ids.sort();
    let last = ids.pop().unwrap();
    lab.inbox
        .until(|_| lab.receipts().contains(&(last.clone(), Outcome::Sent)))
        .await;
    lab.provider.0.reaches(&last, None, "delivered", None);
    let told = (last, Outcome::Delivered);
    lab.inbox.until(|_| lab.receipts().contains(&told)).await;
    device.stop().await;
}

#[tokio::test]
async fn a_state_that_no_webhook_told_is_asked_for_also_after_a_restart() {
    let lab = Lab::new().await;
    let device = lab.start();
    let accepted = device.send(outbound(1, BOB, "quiet")).await.unwrap().unwrap();
    let id = accepted.network_ids[0].0.clone();
    device.stop().await;
    lab.provider.plays(|trouble| trouble.tells_nothing = true);
    lab.provider.0.reaches(&id, None, "delivery_failed", Some(40001));
    let device = lab.start();
    lab.inbox
        .until(|_| lab.receipts().contains(&(id.clone(), Outcome::Rejected)))
        .await;
    let why = lab.inbox.inbound().into_iter().find_map(|inbound| match inbound {
        Inbound::Receipt(receipt) => receipt.error,
        _ => None,
    });
    assert!(why.unwrap().contains("landline"));
    device.stop().await;
}

/// What is signed and has another form is refused in words, or handed in as far as it can be read; nothing stops the connector.
#[tokio::test]
async fn what_has_another_form_stops_nothing() {
    let lab = Lab::new().await;
    let device = lab.start();
    device.until(Link::Connected, "").await;
    let received =
        |payload: &str| format!(r#"{{"data":{{"event_type":"message.received","payload":{payload}}}}}"#);
    let cases = [
        ("".to_owned(), 400),
        ("null".to_owned(), 400),
        ("[7]".to_owned(), 400),
        (r#"{"data":[]}"#.to_owned(), 400),
        (received("7"), 400),
        (received(r#"{"id":7}"#), 400),
        (received(r#"{"id":"a"}"#), 400),
        (received(r#"{"id":"b","from":{"phone_number":"+13125550102"}}"#), 200),
        (
            received(r#"{"id":"c","from":{"phone_number":"+13125550102"},"to":"+1","cc":7,"text":[],"media":[{},7,{"url":"file:///etc/passwd"}]}"#),
            200,
        ),
        (r#"{"data":{"event_type":"message.finalized","payload":{"id":"d","to":[{},7,{"status":"odd"}]}}}"#.to_owned(), 200),
        (r#"{"data":{"event_type":"message.unheard_of","payload":{"id":"e"}}}"#.to_owned(), 200),
    ];
    for (body, status) in cases {
        let signed = sign(&body, NOW.millis() / 1000);
        let request = Request {
            method: "POST".into(),
            headers: vec![
                ("telnyx-timestamp".into(), signed.timestamp),
                ("telnyx-signature-ed25519".into(), signed.signature),
            ],
            body: body.clone().into(),
            ..Request::default()
        };
        assert_eq!(device.connector.receive(request).await.status, status, "{body}");
    }
    let arrived = kept(&lab.inbox.arrivals());
    assert_eq!(arrived.len(), 2);
    let files = arrived[1].message.parts.iter();
    assert!(files.clone().all(|part| matches!(part.body, Body::Other { .. })) && files.count() == 3);
    device.stop().await;
}
