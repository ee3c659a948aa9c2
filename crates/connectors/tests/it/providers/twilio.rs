//! Twilio, with the lab's in place of the real one.

use super::{House, Provider, REQUEST, Setting};
use crate::device::{BOB, bodies, clock, kept, outbound};
use crate::harness::NOW;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_connectors::twilio::{Channel, Config, TwilioConnector};
use swingbridge_connectors::webhook::Webhook;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{Connector, ConnectorError, Link, Outbound, SendError};
use swingbridge_domain::delivery::{Outcome, Reason};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbound;
use swingbridge_domain::message::{Body, Disposition, Media, MediaKind, Message, Part};
use swingbridge_domain::path::Place;
use swingbridge_domain::secret::Secret;
use swingbridge_lab::trouble::Troubles;
use swingbridge_lab::twilio::{ACCOUNT, AUTH_TOKEN, NUMBER, RCS_SENDER, SERVICE, Twilio};

pub struct TwilioHouse(pub Twilio);

pub fn config(url: &str, webhook: &str) -> Config {
    let mut config = Config {
        account_sid: ACCOUNT.into(),
        auth_token: Secret::new(AUTH_TOKEN),
        number: NUMBER.into(),
        url: url.into(),
        content_url: url.into(),
        public_url: webhook.into(),
        ..Config::default()
    };
    config.timing.poll = Duration::from_millis(40);
    config.timing.longest_wait = Duration::from_millis(80);
    config.timing.request = REQUEST;
    config.timing.ask_after = Duration::ZERO;
    config
}

pub fn connector(config: Config, folder: &Path) -> Result<TwilioConnector, ConnectorError> {
    by(config, folder, clock())
}

fn by(config: Config, folder: &Path, clock: Arc<dyn Clock>) -> Result<TwilioConnector, ConnectorError> {
    TwilioConnector::new(ConnectorId::new("twilio"), config, folder, Place::Gateway, clock)
}

#[async_trait]
impl Provider for TwilioHouse {
    type Connector = TwilioConnector;
    const IDEMPOTENT: bool = false;
    const READS_GAPS: bool = true;

    async fn start(webhook: &str, _: Arc<dyn Clock>) -> Self {
        let twilio = Twilio::start(NOW.millis() / 1000).await.unwrap();
        twilio.webhook(webhook);
        Self(twilio)
    }

    fn url(&self) -> String {
        self.0.url()
    }

    fn connector(&self, setting: &Setting) -> Result<TwilioConnector, ConnectorError> {
        let mut config = config(&setting.url, &setting.webhook);
        let usual = Config::default().timing;
        config.timing.poll = setting.wait(usual.poll, 40);
        config.timing.longest_wait = setting.wait(usual.longest_wait, 80);
        if setting.pace.is_some() {
            config.timing.ask_after = usual.ask_after;
        }
        by(config, &setting.folder, setting.clock.clone())
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
            Outcome::Sent => self.0.reaches(id, "sent", None),
            Outcome::Delivered => self.0.reaches(id, "delivered", None),
            _ => self.0.reaches(id, "undelivered", Some(30005)),
        }
    }
}

pub type Lab = House<TwilioHouse>;

impl Lab {
    pub fn rcs(&self, change: impl FnOnce(&mut Config)) -> TwilioConnector {
        let mut config = Config {
            channel: Channel::Rcs,
            rcs_sender: Some(RCS_SENDER.into()),
            ..config(&self.provider.url(), &self.hook)
        };
        change(&mut config);
        connector(config, &self.folder.path().join("rcs")).unwrap()
    }
}

fn picture(uri: &str) -> Part {
    Part {
        disposition: Disposition::Attachment,
        body: Body::Media(Media {
            kind: MediaKind::Image,
            name: "a.png".into(),
            uri: uri.into(),
            caption: Some("the cat".into()),
            ..Media::default()
        }),
    }
}

#[tokio::test]
async fn a_picture_goes_as_a_link_and_a_sender_is_always_named() {
    let lab = Lab::new().await;
    let mut config = config(&lab.provider.url(), &lab.hook);
    config.messaging_service_sid = Some(SERVICE.into());
    let device = lab.run(connector(config, lab.folder.path()).unwrap());
    let mut message = outbound(1, BOB, "");
    message.message = Message::text("look");
    message.message.parts.push(picture("https://example.org/m/1"));
    message.expires_at = Some(Timestamp(NOW.millis() + 90_000));
    device.send(message.clone()).await.unwrap().unwrap();
    let sent = &lab.provider.0.sent()[0];
    assert_eq!(
        (sent.from.as_str(), sent.to.as_str(), sent.text.as_str()),
        (NUMBER, BOB, "look\nthe cat")
    );
    assert_eq!(sent.media, ["https://example.org/m/1"]);
    for (name, value) in [
        ("ValidityPeriod", "90"),
        ("SmartEncoded", "false"),
        ("ShortenUrls", "false"),
    ] {
        assert!(sent.parameters.contains(&(name.into(), value.into())), "{name}");
    }
    assert!(!sent.parameters.iter().any(|(name, _)| name == "FallbackFrom"));
    // A file of this machine is none that Twilio could fetch.
    message.message.parts[1] = picture("file:///etc/passwd");
    let refused = device.send(message).await.unwrap().unwrap_err();
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
    assert_eq!(lab.provider.taken(), 1);
    device.stop().await;
}

#[tokio::test]
async fn an_mms_comes_with_its_files_by_either_way_once() {
    let lab = Lab::new().await;
    let device = lab.start();
    device.until(Link::Connected, "").await;
    let photo: &[u8] = &[0xFF, 0xD8, 1, 2, 3];
    for (round, tells_nothing) in [(1, false), (2, true)] {
        lab.provider
            .plays(|trouble| trouble.tells_nothing = tells_nothing);
        lab.provider
            .0
            .receives_mms(BOB, "look", &[("image/jpeg", photo), ("text/vcard", b"x")]);
        lab.inbox
            .until(|inbox| kept(&inbox.arrivals()).len() == round)
            .await;
    }
    for message in kept(&lab.inbox.arrivals()) {
        assert_eq!(message.message.parts.len(), 3);
        let Body::Media(media) = &message.message.parts[1].body else {
            panic!("{message:?}")
        };
        assert_eq!(
            (media.name.as_str(), media.mime.as_deref()),
            ("attachment.jpg", Some("image/jpeg"))
        );
        let path = url_path(&media.uri);
        assert!(Path::new(&path).starts_with(lab.folder.path()));
        assert_eq!(std::fs::read(path).unwrap(), photo);
    }
    device.stop().await;
}

fn url_path(uri: &str) -> String {
    uri.strip_prefix("file://").unwrap().to_owned()
}

#[tokio::test]
async fn a_file_that_is_too_large_does_not_cost_the_message() {
    let lab = Lab::new().await;
    let mut config = config(&lab.provider.url(), &lab.hook);
    config.largest_file = 4;
    let device = lab.run(connector(config, lab.folder.path()).unwrap());
    lab.provider
        .0
        .receives_mms(BOB, "look", &[("image/jpeg", &[0; 5]), ("image/gif", &[0; 4])]);
    lab.inbox.until(|inbox| !kept(&inbox.arrivals()).is_empty()).await;
    let message = &kept(&lab.inbox.arrivals())[0].message;
    assert!(
        matches!(&message.parts[1].body, Body::Other { kind, fallback: Some(_) } if kind == "image/jpeg")
    );
    assert!(matches!(&message.parts[2].body, Body::Media(_)));
    device.stop().await;
}

/// Waits until so many requests came in that were not there before.
async fn until_asked(lab: &Lab, before: usize, many: usize) {
    for _ in 0..2000 {
        if lab.provider.0.troubles().asked() >= before + many {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!(
        "only {} requests came",
        lab.provider.0.troubles().asked() - before
    );
}

#[tokio::test]
async fn a_picture_is_not_lost_because_the_provider_is_busy_for_a_moment() {
    let lab = Lab::new().await;
    let mut config = config(&lab.provider.url(), &lab.hook);
    // Nothing else is asked for meanwhile.
    config.timing.poll = Duration::from_secs(3600);
    config.timing.longest_wait = config.timing.poll;
    let device = lab.run(connector(config, lab.folder.path()).unwrap());
    device.until(Link::Connected, "").await;
    for (round, busy) in [(1, 429), (2, 503)] {
        lab.provider.plays(|trouble| trouble.answers = Some(busy));
        let before = lab.provider.0.troubles().asked();
        lab.provider
            .0
            .receives_mms(BOB, "look", &[("image/jpeg", &[0xFF, 0xD8])]);
        until_asked(&lab, before, 2).await;
        lab.provider.plays(|trouble| trouble.answers = None);
        lab.inbox
            .until(|inbox| kept(&inbox.arrivals()).len() == round)
            .await;
        let message = kept(&lab.inbox.arrivals()).remove(round - 1).message;
        assert!(
            matches!(&message.parts[1].body, Body::Media(_)),
            "{busy}: {message:?}"
        );
    }
    // What is not there is not asked for again.
    lab.provider.plays(|trouble| trouble.answers = Some(404));
    let before = lab.provider.0.troubles().asked();
    lab.provider
        .0
        .receives_mms(BOB, "look", &[("image/jpeg", &[0xFF, 0xD8])]);
    lab.inbox.until(|inbox| kept(&inbox.arrivals()).len() == 3).await;
    assert_eq!(lab.provider.0.troubles().asked(), before + 1);
    let message = kept(&lab.inbox.arrivals()).remove(2).message;
    assert!(matches!(&message.parts[1].body, Body::Other { .. }));
    device.stop().await;
}

#[tokio::test]
async fn a_webhook_is_answered_with_nothing_to_text_back() {
    let lab = Lab::new().await;
    let device = lab.start();
    lab.provider.receives(BOB, "hi");
    let request = lab.until_requests(1).await.remove(0);
    let answer = device.connector.receive(request).await;
    assert_eq!(
        (answer.status, answer.content_type),
        (200, "text/xml; charset=utf-8")
    );
    assert!(answer.body.ends_with("<Response></Response>"), "{}", answer.body);
    device.stop().await;
}

/// Whether texts are wished, each time that it was told.
fn wishes(told: Vec<Inbound>) -> Vec<bool> {
    let wishes = told.into_iter().filter_map(|told| match told {
        Inbound::Preference(preference) => Some(preference.wanted),
        _ => None,
    });
    wishes.collect()
}

#[tokio::test]
async fn a_stop_is_handed_in_as_answered_and_what_follows_is_refused_in_words() {
    let lab = Lab::new().await;
    let mut config = config(&lab.provider.url(), &lab.hook);
    // The list says less than the webhook.
    config.timing.ask_after = Duration::from_secs(3600);
    let device = lab.run(connector(config, lab.folder.path()).unwrap());
    lab.provider.0.receives_keyword(BOB, "STOP");
    lab.inbox.until(|inbox| !kept(&inbox.arrivals()).is_empty()).await;
    let arrived = &kept(&lab.inbox.arrivals())[0];
    assert!(arrived.answered && !arrived.tapped);
    assert_eq!(lab.inbox.texts()[0], "STOP");
    // Whatever the account's words for it are.
    lab.inbox.until(|inbox| wishes(inbox.inbound()) == [false]).await;
    let refused = device
        .send(outbound(1, BOB, "hello?"))
        .await
        .unwrap()
        .unwrap_err();
    let SendError::Rejected { reason, detail } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(reason, Reason::NotAllowed);
    assert!(detail.contains("STOP") && detail.contains("21610"), "{detail}");
    lab.provider.0.receives_keyword(BOB, "START");
    device.send(outbound(2, BOB, "hello!")).await.unwrap().unwrap();
    lab.inbox
        .until(|inbox| wishes(inbox.inbound()) == [false, true])
        .await;
    let wrong = device.send(outbound(3, "+1", "x")).await.unwrap().unwrap_err();
    assert!(
        matches!(
            wrong,
            SendError::Rejected {
                reason: Reason::BadAddress,
                ..
            }
        ),
        "{wrong:?}"
    );
    device.stop().await;
}

#[tokio::test]
async fn rcs_goes_by_rcs_or_not_at_all() {
    let lab = Lab::new().await;
    for (round, by_service) in [(1, false), (2, true)] {
        let connector = lab.rcs(|config| {
            if by_service {
                config.rcs_sender = None;
                config.messaging_service_sid = Some(SERVICE.into());
            }
        });
        assert_eq!(connector.capabilities().networks, ["rcs"]);
        let device = lab.run(connector);
        lab.provider.0.loses_rcs(BOB);
        let accepted = device.send(outbound(round, BOB, "hello")).await.unwrap().unwrap();
        let sent = lab.provider.0.sent().pop().unwrap();
        assert_eq!(sent.to, format!("rcs:{BOB}"));
        assert_eq!(sent.from, format!("rcs:{RCS_SENDER}"), "not by SMS");
        let id = &accepted.network_ids[0].0;
        lab.provider.0.reaches(id, "undelivered", Some(63106));
        lab.inbox
            .until(|_| lab.receipts().contains(&(id.clone(), Outcome::Rejected)))
            .await;
        let why = lab.inbox.inbound().into_iter().find_map(|inbound| match inbound {
            Inbound::Receipt(receipt) if receipt.network_ids[0].0 == *id => receipt.error,
            _ => None,
        });
        assert!(why.unwrap().contains("RCS does not reach this number"));
        device.stop().await;
    }
}

#[tokio::test]
async fn what_comes_by_rcs_is_the_lines_own_and_reading_is_told() {
    let lab = Lab::new().await;
    let device = lab.run(lab.rcs(|_| {}));
    lab.provider.0.receives_rcs(BOB, "by rcs");
    lab.inbox.until(|inbox| kept(&inbox.arrivals()).len() == 1).await;
    lab.provider.receives(BOB, "by sms");
    lab.inbox.until(|inbox| kept(&inbox.arrivals()).len() == 2).await;
    let arrived = kept(&lab.inbox.arrivals());
    assert_eq!(
        (arrived[0].from.text.as_str(), arrived[0].to.text.as_str()),
        (BOB, NUMBER)
    );
    assert!(arrived[0].way.is_empty());
    // It says itself that it came another way.
    assert_eq!(arrived[1].way.len(), 3);
    let accepted = device.send(outbound(1, BOB, "x")).await.unwrap().unwrap();
    let id = accepted.network_ids[0].0.clone();
    lab.provider.0.reaches(&id, "read", None);
    lab.inbox
        .until(|_| lab.receipts().contains(&(id.clone(), Outcome::Read)))
        .await;
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
        lab.provider.0.reaches(&ids[ids.len() - 1], "sent", None);
    }
    // All are of one moment: those whose names come first would be asked first.
    ids.sort();
    let last = ids.pop().unwrap();
    lab.inbox
        .until(|_| lab.receipts().contains(&(last.clone(), Outcome::Sent)))
        .await;
    lab.provider.0.reaches(&last, "delivered", None);
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
    lab.provider.0.reaches(&id, "delivered", None);
    let device = lab.start();
    lab.inbox
        .until(|_| lab.receipts().contains(&(id.clone(), Outcome::Delivered)))
        .await;
    device.stop().await;
}

#[tokio::test]
async fn nothing_of_before_the_first_start_is_handed_in() {
    let lab = Lab::new().await;
    lab.provider.plays(|trouble| trouble.tells_nothing = true);
    let old = Twilio::start(NOW.millis() / 1000 - 3600).await.unwrap();
    old.troubles().change(|trouble| trouble.tells_nothing = true);
    old.receives(BOB, "old");
    let device = lab.start_at(&old.url());
    device.until(Link::Connected, "").await;
    assert!(lab.inbox.texts().is_empty());
    device.stop().await;
}

/// Killed at whatever point, with texts both ways: each arrives once, by its webhook or from the list, and none leaves twice.
#[tokio::test]
async fn kills_at_random_lose_nothing_and_double_nothing() {
    for seed in [11_u64, 12, 13] {
        let mut dice = seed;
        let mut roll = move |below: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % below
        };
        let lab = Lab::new().await;
        let device = lab.start();
        device.until(Link::Connected, "").await;
        device.kill().await;
        lab.closes();
        lab.provider.plays(|trouble| trouble.doubles_webhooks = true);
        let (mut expected, mut next, mut accepted) = (Vec::new(), 0, Vec::new());
        for round in 0..8 {
            let device = lab.start();
            lab.inbox.full.store(roll(4) == 0, Ordering::Relaxed);
            let send = device.send(outbound(round, BOB, &format!("ours {round}")));
            for _ in 0..roll(6) {
                next += 1;
                expected.push(format!("text {next}"));
                lab.provider.receives(BOB, &format!("text {next}"));
            }
            tokio::time::sleep(Duration::from_millis(roll(60))).await;
            send.abort();
            if let Ok(Ok(answer)) = send.await {
                accepted.push((format!("ours {round}"), answer.network_ids[0].0.clone()));
            }
            device.kill().await;
            lab.closes();
            lab.inbox.full.store(false, Ordering::Relaxed);
        }
        let device = lab.start();
        lab.inbox
            .until(|inbox| kept(&inbox.arrivals()).len() >= expected.len())
            .await;
        let mut all = bodies(&kept(&lab.inbox.arrivals()));
        all.sort();
        expected.sort();
        assert_eq!(all, expected, "seed {seed}");
        let sent = lab.provider.0.sent();
        for round in 0..8 {
            let text = format!("ours {round}");
            assert!(
                sent.iter().filter(|sent| sent.text == text).count() <= 1,
                "{text} left twice"
            );
        }
        // What was said to be accepted was.
        for (text, sid) in accepted {
            assert!(
                sent.iter().any(|sent| sent.text == text && sent.sid == sid),
                "{text}"
            );
        }
        device.stop().await;
    }
}
