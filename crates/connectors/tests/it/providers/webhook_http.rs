//! The connector that is made of settings, with the lab's provider of no name.

use super::{House, Provider, REQUEST, Setting};
use crate::device::{BOB, OWN, clock, kept, outbound};
use crate::harness::NOW;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use swingbridge_connectors::webhook::{Request, Webhook};
use swingbridge_connectors::webhook_http::{Config, WebhookConnector};
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{Connector, ConnectorError, Link, SendError};
use swingbridge_domain::delivery::{Outcome, Reason};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::message::{Body, Disposition, Media, Part};
use swingbridge_domain::path::Place;
use swingbridge_lab::trouble::Troubles;
use swingbridge_lab::webhook_http as lab;

pub struct HttpHouse(lab::Provider);

fn settings(url: &str, webhook: &str) -> Value {
    let signature = json!({ "secret": lab::SIGNING_KEY, "header": "X-Signature", "prefix": "sha256=", "timestamp_header": "X-Timestamp" });
    json!({
        "provider": "Acme", "number": OWN, "networks": ["sms", "mms"], "public_url": webhook, "request": REQUEST.as_secs_f64(),
        "send": {
            "url": format!("{url}/v1/messages"), "secret": lab::SECRET, "headers": { "authorization": "Bearer {secret}" },
            "json": { "to": ["{to}"], "from": "{from}", "body": "{text}", "media": ["{media_url}"], "reference": "{id}" },
            "signature": signature, "idempotency_header": "X-Request-Key", "id": "/messages/0/id",
        },
        "receive": {
            "signature": signature, "each": "/events", "kind": "/type", "message_kinds": ["message"], "receipt_kinds": ["state"],
            "from": "/data/from/number", "text": "/data/body", "id": "/data/id", "time": "/data/at", "media": "/data/files",
            "receipt_id": "/data/id", "receipt_status": "/data/state", "receipt_error": "/data/code",
            "statuses": { "ENROUTE": "sent", "DELIVRD": "delivered", "UNDELIV": "rejected" },
        },
    })
}

fn connector(
    settings: Value,
    folder: &Path,
    clock: Arc<dyn Clock>,
) -> Result<WebhookConnector, ConnectorError> {
    let config: Config = serde_json::from_value(settings).unwrap();
    WebhookConnector::new(ConnectorId::new("acme"), config, folder, Place::Gateway, clock)
}

#[async_trait]
impl Provider for HttpHouse {
    type Connector = WebhookConnector;
    const IDEMPOTENT: bool = true;
    const TIMED: bool = true;

    async fn start(webhook: &str, _: Arc<dyn Clock>) -> Self {
        let provider = lab::Provider::start(NOW.millis() / 1000).await.unwrap();
        provider.webhook(webhook);
        Self(provider)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn connector(&self, setting: &Setting) -> Result<WebhookConnector, ConnectorError> {
        connector(
            settings(&setting.url, &setting.webhook),
            &setting.folder,
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
        self.0.reaches(
            id,
            match outcome {
                Outcome::Sent => "ENROUTE",
                Outcome::Delivered => "DELIVRD",
                _ => "UNDELIV",
            },
        );
    }
}

type Lab = House<HttpHouse>;

#[tokio::test]
async fn several_events_of_one_webhook_are_committed_together() {
    let lab = Lab::new().await;
    let device = lab.start();
    lab.provider.0.tells(&[
        lab::message("a", BOB, "one"),
        lab::state("x", "DELIVRD"),
        lab::state("x", "WHATEVER"),
        json!({ "type": "invoice" }),
        lab::message("b", BOB, "two"),
    ]);
    lab.inbox.until(|inbox| inbox.texts() == ["one", "two"]).await;
    assert_eq!(lab.receipts(), [("x".to_owned(), Outcome::Delivered)]);
    let first = &kept(&lab.inbox.arrivals())[0];
    assert_eq!(first.sent_at, Some(Timestamp(NOW.millis())));
    assert_eq!((first.from.text.as_str(), first.to.text.as_str()), (BOB, OWN));
    device.stop().await;
}

#[tokio::test]
async fn a_message_whose_sender_is_not_found_is_left_with_the_provider_and_the_others_come() {
    let lab = Lab::new().await;
    let mut settings = settings(&lab.provider.url(), &lab.hook);
    settings["receive"]["from"] = "/data/sender".into();
    let at = lab.folder.path().join("wrong");
    let device = lab.run(connector(settings, &at, clock()).unwrap());
    lab.provider
        .0
        .tells(&[lab::message("a", BOB, "one"), lab::state("x", "DELIVRD")]);
    // It is told again, each time with all that it brought.
    lab.until_requests(2).await;
    assert!(lab.inbox.texts().is_empty());
    assert!(lab.receipts().contains(&("x".to_owned(), Outcome::Delivered)));
    // The setting is corrected.
    let device_again = lab.start();
    lab.inbox.until(|inbox| inbox.texts() == ["one"]).await;
    device.stop().await;
    device_again.stop().await;
}

#[tokio::test]
async fn whatever_a_person_writes_stays_a_text() {
    let lab = Lab::new().await;
    let device = lab.start();
    let nasty = "\"}],\"to\":[\"+1{from}\"&from=x\n\u{0}✓";
    let mut message = outbound(1, BOB, nasty);
    message.message.parts.push(Part {
        disposition: Disposition::Attachment,
        body: Body::Media(Media {
            uri: "https://example.org/m/1?a=b&c".into(),
            ..Media::default()
        }),
    });
    device.send(message).await.unwrap().unwrap();
    let sent = &lab.provider.0.sent()[0];
    assert_eq!(
        (sent.to.as_str(), sent.from.as_str(), sent.text.as_str()),
        (BOB, OWN, nasty)
    );
    assert_eq!(sent.media, ["https://example.org/m/1?a=b&c"]);
    device.stop().await;
}

/// Forms, basic authentication, an answer that is always 200, a shared secret.
#[tokio::test]
async fn the_other_dialect_is_spoken_too() {
    let lab = Lab::new().await;
    let settings = json!({
        "provider": "Acme", "number": OWN,
        "send": {
            "url": format!("{}/form", lab.provider.url()), "user": lab::USER, "secret": lab::SECRET,
            "form": { "to": "{to}", "from": "{from}", "text": "{text}" }, "id": "/message-id", "accepted_at": "/status",
            "accepted_values": ["0"],
        },
        "receive": {
            "signature": { "scheme": "shared_secret", "secret": "s3cret", "header": "X-Key" }, "format": "form", "from": "msisdn",
            "text": "text", "id": "messageId", "receipt_id": "messageId", "receipt_status": "status",
            "statuses": { "delivered": "delivered" },
        },
    });
    let connector = connector(settings, lab.folder.path(), clock()).unwrap();
    let capabilities = connector.capabilities();
    assert!(!capabilities.idempotent_sends && !capabilities.media_links);
    let device = lab.run(connector);
    let accepted = device.send(outbound(1, BOB, "a&to=b é")).await.unwrap().unwrap();
    assert_eq!(lab.provider.0.sent()[0].text, "a&to=b é");
    let refused = device.send(outbound(1, "12345", "x")).await.unwrap();
    assert!(
        matches!(
            refused,
            Err(SendError::Rejected {
                reason: Reason::NetworkRefused,
                ..
            })
        ),
        "{refused:?}"
    );
    let request = |body: String, key: &str| Request {
        method: "POST".into(),
        headers: vec![("x-key".into(), key.into())],
        body: body.into(),
        ..Request::default()
    };
    let text = "msisdn=%2B447700900123&text=caf%C3%A9+%26+tea&messageId=7";
    assert_eq!(
        device
            .connector
            .receive(request(text.into(), "s3cre"))
            .await
            .status,
        401
    );
    assert_eq!(
        device
            .connector
            .receive(request(text.into(), "s3cret"))
            .await
            .status,
        200
    );
    assert_eq!(lab.inbox.texts(), ["café & tea"]);
    let state = format!("messageId={}&status=delivered", accepted.network_ids[0]);
    assert_eq!(
        device.connector.receive(request(state, "s3cret")).await.status,
        200
    );
    assert_eq!(
        lab.receipts(),
        [(accepted.network_ids[0].0.clone(), Outcome::Delivered)]
    );
    device.stop().await;
}

#[tokio::test]
async fn what_was_signed_long_ago_is_refused() {
    let lab = Lab::new().await;
    let device = lab.start();
    device.until(Link::Degraded, "").await;
    let body = json!({ "events": [lab::message("a", BOB, "late")] }).to_string();
    let now = NOW.millis() / 1000;
    for (at, status) in [(now - 301, 401), (now + 301, 401), (now - 299, 200)] {
        let headers = lab::signature(&body, at)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let request = Request {
            method: "POST".into(),
            headers,
            body: body.clone().into(),
            ..Request::default()
        };
        assert_eq!(device.connector.receive(request).await.status, status, "{at}");
    }
    device.stop().await;
}

/// What is signed and has another form is refused in words, or passed over; nothing stops the connector.
#[tokio::test]
async fn what_has_another_form_stops_nothing() {
    let lab = Lab::new().await;
    let device = lab.start();
    device.until(Link::Degraded, "").await;
    for (body, status) in [
        ("", 400),
        ("7", 400),
        (r#"{"events":{}}"#, 400),
        (r#"{"events":[]}"#, 200),
        (
            r#"{"events":[7,null,{"type":[]},{"type":"state","data":{"state":[]}}]}"#,
            200,
        ),
        (
            r#"{"events":[{"type":"message"},{"type":"message","data":{"from":{"number":[]}}}]}"#,
            422,
        ),
        (
            r#"{"events":[{"type":"state","data":{"state":"DELIVRD"}},{"type":"state"}]}"#,
            200,
        ),
        (
            r#"{"events":[{"type":"message","data":{"id":"a","from":{"number":12345},"files":["file:///etc/passwd"]}}]}"#,
            200,
        ),
    ] {
        let headers = lab::signature(body, NOW.millis() / 1000)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let request = Request {
            method: "POST".into(),
            headers,
            body: body.into(),
            ..Request::default()
        };
        assert_eq!(device.connector.receive(request).await.status, status, "{body}");
    }
    let arrived = kept(&lab.inbox.arrivals());
    assert_eq!((arrived.len(), arrived[0].from.text.as_str()), (1, "12345"));
    assert!(matches!(arrived[0].message.parts[0].body, Body::Other { .. }));
    device.stop().await;
}
