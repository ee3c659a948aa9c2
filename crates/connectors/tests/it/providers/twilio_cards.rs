//! Cards and buttons by RCS: content templates.

use super::twilio::Lab;
use crate::device::{BOB, kept, outbound};
use crate::harness::NOW;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_connectors::twilio::{Channel, Config, TwilioConnector};
use swingbridge_domain::capability::Support;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{Connector, Link, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::message::{
    Body, Button, Deed, Disposition, Media, Message, Part, Reference, RichCard,
};
use swingbridge_domain::path::Place;
use swingbridge_lab::twilio::RCS_SENDER;

fn button(label: &str, deed: Deed) -> Button {
    Button {
        label: label.into(),
        deed,
    }
}

fn table() -> RichCard {
    RichCard {
        title: Some("Table for two?".into()),
        text: Some("Tonight at {{8}}.".into()),
        media: Some(Media {
            uri: "https://example.org/m/table.png".into(),
            ..Media::default()
        }),
        buttons: vec![
            button("Yes, please", Deed::Reply),
            button("Menu", Deed::Open("https://example.org/menu".into())),
            button("Call us", Deed::Dial("+447700900000".into())),
        ],
    }
}

fn with(id: i64, bodies: Vec<Body>) -> Outbound {
    let part = |body| Part {
        disposition: Disposition::Render,
        body,
    };
    Outbound {
        message: Message {
            parts: bodies.into_iter().map(part).collect(),
            ..Message::default()
        },
        ..outbound(id, BOB, "")
    }
}

#[tokio::test]
async fn a_card_is_one_with_its_buttons_and_a_press_answers_it() {
    let lab = Lab::new().await;
    let device = lab.run(lab.rcs(|_| {}));
    assert_eq!(device.connector.capabilities().rich_cards, Support::Full);
    let first = device
        .send(with(1, vec![Body::RichCard(table())]))
        .await
        .unwrap()
        .unwrap();
    let sent = lab.provider.0.sent().pop().unwrap();
    assert_eq!(
        (sent.to.as_str(), sent.from.as_str()),
        (
            format!("rcs:{BOB}").as_str(),
            format!("rcs:{RCS_SENDER}").as_str()
        )
    );
    let card = sent.card.clone().unwrap();
    assert_eq!(card["title"], "Table for two?");
    // Not a placeholder.
    assert_eq!(card["body"], "Tonight at {\u{2060}{8}}.");
    assert_eq!(card["media"], json!(["https://example.org/m/table.png"]));
    assert_eq!(card["actions"][0]["type"], "QUICK_REPLY");
    assert_eq!(
        card["actions"][1],
        json!({ "type": "URL", "title": "Menu", "url": "https://example.org/menu" })
    );
    assert_eq!(
        card["actions"][2],
        json!({ "type": "PHONE_NUMBER", "title": "Call us", "phone": "+447700900000" })
    );
    lab.provider.0.presses(&sent.sid, 0).unwrap();
    lab.inbox.until(|inbox| kept(&inbox.arrivals()).len() == 1).await;
    let pressed = kept(&lab.inbox.arrivals()).remove(0);
    assert_eq!(pressed.message.first_text().unwrap().plain, "Yes, please");
    assert!(pressed.tapped);
    assert_eq!(
        pressed.message.in_reply_to,
        Some(Reference::Network(first.network_ids[0].clone()))
    );
    // The same card again is the same template; what is pressed then answers the later message, also after a restart.
    let again = device
        .send(with(2, vec![Body::RichCard(table())]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lab.provider.0.templates().len(), 1);
    device.stop().await;
    let device = lab.run(lab.rcs(|_| {}));
    lab.provider.0.presses(again.network_ids[0].as_str(), 0).unwrap();
    lab.inbox.until(|inbox| kept(&inbox.arrivals()).len() == 2).await;
    let pressed = kept(&lab.inbox.arrivals()).remove(1);
    assert_eq!(
        pressed.message.in_reply_to,
        Some(Reference::Network(again.network_ids[0].clone()))
    );
    // Nothing on the disk says what stands on it or to whom it went.
    let kept = std::fs::read_to_string(lab.folder.path().join("rcs/templates.json")).unwrap();
    assert!(!kept.contains("Table") && !kept.contains("900123"), "{kept}");
    device.stop().await;
}

#[tokio::test]
async fn words_and_cards_go_in_order_and_words_alone_are_no_card() {
    let lab = Lab::new().await;
    let device = lab.run(lab.rcs(|_| {}));
    let words = Message::text("Two things:").parts.remove(0).body;
    let plain = RichCard {
        text: Some("Only words".into()),
        ..RichCard::default()
    };
    let choice = RichCard {
        text: Some("Which one?".into()),
        buttons: vec![button("This", Deed::Reply), button("That", Deed::Reply)],
        ..RichCard::default()
    };
    let bodies = vec![words, Body::RichCard(choice), Body::RichCard(plain)];
    let accepted = device.send(with(1, bodies)).await.unwrap().unwrap();
    assert_eq!(accepted.network_ids.len(), 3);
    let sent = lab.provider.0.sent();
    let shown: Vec<(&str, bool)> = sent
        .iter()
        .map(|sent| (sent.text.as_str(), sent.card.is_some()))
        .collect();
    assert_eq!(shown, [("Two things:", false), ("", true), ("Only words", false)]);
    device.stop().await;
}

#[tokio::test]
async fn a_card_that_does_not_fit_is_refused_before_anything_leaves() {
    let lab = Lab::new().await;
    let device = lab.run(lab.rcs(|_| {}));
    let five = (0..5)
        .map(|n| button(&format!("Choice {n}"), Deed::Reply))
        .collect();
    let wrong = [
        RichCard {
            buttons: five,
            ..table()
        },
        RichCard {
            title: None,
            text: None,
            ..table()
        },
        RichCard {
            title: Some("x".repeat(201)),
            ..table()
        },
        RichCard {
            media: Some(Media {
                uri: "file:///etc/passwd".into(),
                ..Media::default()
            }),
            ..table()
        },
    ];
    for card in wrong {
        let bodies = vec![Message::text("before").parts.remove(0).body, Body::RichCard(card)];
        let refused = device.send(with(1, bodies)).await.unwrap().unwrap_err();
        assert!(
            matches!(
                refused,
                SendError::Rejected {
                    reason: Reason::BadContent,
                    ..
                }
            ),
            "{refused:?}"
        );
    }
    assert!(lab.provider.0.sent().is_empty() && lab.provider.0.templates().is_empty());
    // No template, nothing left: it is safe to try again.
    lab.provider
        .0
        .troubles()
        .change(|trouble| trouble.answers = Some(503));
    let later = device
        .send(with(1, vec![Body::RichCard(table())]))
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(later, SendError::RetryAfter { .. }), "{later:?}");
    device.stop().await;
}

struct Later(Duration);
impl Clock for Later {
    fn now(&self) -> Timestamp {
        NOW + self.0
    }
}

#[tokio::test]
async fn a_template_that_somebody_removed_is_made_again_and_an_old_one_is_removed() {
    let lab = Lab::new().await;
    let device = lab.run(lab.rcs(|_| {}));
    device
        .send(with(1, vec![Body::RichCard(table())]))
        .await
        .unwrap()
        .unwrap();
    let first = lab.provider.0.templates().remove(0);
    lab.provider.0.removes_template(&first);
    device
        .send(with(2, vec![Body::RichCard(table())]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(lab.provider.0.sent().len(), 2);
    let second = lab.provider.0.templates();
    assert!(second.len() == 1 && second[0] != first);
    device.stop().await;
    for (days, left) in [(6, 1), (8, 0)] {
        let url = lab.provider.0.url();
        let mut config = Config {
            channel: Channel::Rcs,
            rcs_sender: Some(RCS_SENDER.into()),
            ..super::twilio::config(&url, &lab.hook)
        };
        config.timing.ask_after = Duration::from_secs(3600);
        let clock = Arc::new(Later(Duration::from_secs(days * 86_400)));
        let folder = lab.folder.path().join("rcs");
        let connector =
            TwilioConnector::new(ConnectorId::new("twilio"), config, &folder, Place::Gateway, clock).unwrap();
        let device = lab.run(connector);
        device.until(Link::Connected, "").await;
        device.stop().await;
        assert_eq!(lab.provider.0.templates().len(), left, "after {days} days");
    }
}

#[tokio::test]
async fn a_button_of_somebody_elses_card_is_only_what_it_says() {
    let lab = Lab::new().await;
    let device = lab.run(lab.rcs(|_| {}));
    device
        .send(with(1, vec![Body::RichCard(table())]))
        .await
        .unwrap()
        .unwrap();
    let sent = lab.provider.0.sent().pop().unwrap();
    let id = sent.card.unwrap()["actions"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // Pressed by another phone than it was sent to: there is no message that it could answer.
    let other = "+447700900999";
    lab.provider.0.comes_with_button(other, "Yes, please", &id);
    lab.provider
        .0
        .comes_with_button(BOB, "Yes, please", "a foreign id");
    lab.inbox.until(|inbox| kept(&inbox.arrivals()).len() == 2).await;
    for message in kept(&lab.inbox.arrivals()) {
        assert_eq!(message.message.in_reply_to, None);
        assert_eq!(message.message.first_text().unwrap().plain, "Yes, please");
    }
    device.stop().await;
}
