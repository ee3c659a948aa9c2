//! The SMS Gateway app, with the lab's phone in place of a real one.

use crate::device::{BOB, Device, Fixed, OWN, bodies, clock, kept, outbound};
use crate::harness::{NOW, Recorder};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swingbridge_connectors::sms_gateway::{Config, SmsGatewayConnector, Where};
use swingbridge_connectors::webhook::{Request, Response, Webhook};
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Support;
use swingbridge_domain::connector::{Connector, Link, Revocation, Revoked, SendError};
use swingbridge_domain::delivery::{Outcome, Reason};
use swingbridge_domain::id::{ConnectorId, LineId, NetworkId};
use swingbridge_domain::inbox::Inbound;
use swingbridge_domain::message::{Body, Media, MediaKind};
use swingbridge_domain::secret::Secret;
use swingbridge_lab::sms_gateway::{PASSWORD, Phone, SIGNING_KEY, USER};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What the program mounts; whatever connector runs now.
type Mounted = Arc<Mutex<Option<Arc<SmsGatewayConnector>>>>;

struct Lab {
    phone: Phone,
    inbox: Arc<Recorder>,
    mounted: Mounted,
    hook: String,
    folder: TempDir,
}

async fn door(
    State(mounted): State<Mounted>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let connector = mounted.lock().unwrap().clone();
    let Some(connector) = connector else {
        return (StatusCode::BAD_GATEWAY, "nobody is there".to_owned());
    };
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let request = Request {
        method: method.as_str().to_owned(),
        query: String::new(),
        headers,
        body,
    };
    let Response { status, body, .. } = connector.receive(request).await;
    (StatusCode::from_u16(status).unwrap(), body.into_owned())
}

impl Lab {
    async fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let hook = format!("http://{}/hook", listener.local_addr().unwrap());
        let mounted = Mounted::default();
        let app = axum::Router::new().fallback(door).with_state(mounted.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            phone: Phone::start(NOW.millis() / 1000).await.unwrap(),
            inbox: Arc::new(Recorder::new()),
            mounted,
            hook,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn config(&self) -> Config {
        let mut config = Config {
            url: self.phone.url(),
            user: USER.into(),
            password: Secret::new(PASSWORD),
            number: OWN.into(),
            webhook_url: Some(self.hook.clone()),
            signing_key: Secret::new(SIGNING_KEY),
            ..Config::default()
        };
        config.timing.poll = Duration::from_millis(50);
        config.timing.longest_wait = Duration::from_millis(100);
        config.timing.request = Duration::from_secs(2);
        config.timing.resolve = Duration::from_secs(10);
        config
    }

    fn start(&self, config: Config) -> Device<SmsGatewayConnector> {
        let connector = SmsGatewayConnector::new(
            ConnectorId::new("phone"),
            config,
            &self.folder.path().join("state"),
            Where::Device,
            clock(),
            &Fixed(7),
        );
        let device = Device::run(connector.unwrap(), self.inbox.clone());
        *self.mounted.lock().unwrap() = Some(device.connector.clone());
        device
    }

    async fn running(&self) -> Device<SmsGatewayConnector> {
        let device = self.start(self.config());
        device.until(Link::Connected, "").await;
        device
    }

    async fn until(&self, texts: &[&str]) {
        self.inbox
            .until(|inbox| kept(&inbox.arrivals()).len() >= texts.len())
            .await;
        assert_eq!(bodies(&kept(&self.inbox.arrivals())), texts);
    }

    fn receipts(&self) -> Vec<(String, Outcome)> {
        let receipt = |inbound| match inbound {
            Inbound::Receipt(receipt) => Some((receipt.network_ids[0].0.clone(), receipt.outcome)),
            _ => None,
        };
        self.inbox.inbound().into_iter().filter_map(receipt).collect()
    }
}

#[tokio::test]
async fn doubled_webhooks_are_one_text_and_equal_texts_are_two() {
    let lab = Lab::new().await;
    let device = lab.running().await;
    assert_eq!(lab.phone.hooks().len(), 9);
    lab.phone.plays(|scenario| scenario.doubles_webhooks = true);
    lab.phone.receives(BOB, "ok");
    lab.until(&["ok"]).await;
    lab.phone.receives(BOB, "ok");
    lab.until(&["ok", "ok"]).await;
    lab.phone.receives(BOB, "last");
    lab.until(&["ok", "ok", "last"]).await;
    // Not even once did the same go to the inbox twice.
    assert_eq!(lab.inbox.texts().len(), 3);
    assert!(kept(&lab.inbox.arrivals())[0].sent_at.unwrap() > NOW);
    device.stop().await;
}

#[tokio::test]
async fn what_no_webhook_told_is_read_from_the_inbox_once() {
    let lab = Lab::new().await;
    lab.phone.plays(|scenario| scenario.tells_nothing = true);
    let device = lab.running().await;
    lab.phone.receives(BOB, "one");
    lab.until(&["one"]).await;
    device.kill().await;
    lab.phone.receives(BOB, "while away");
    lab.phone.receives(BOB, "while away");
    let device = lab.running().await;
    lab.phone.plays(|scenario| scenario.tells_nothing = false);
    lab.phone.receives(BOB, "back");
    lab.until(&["one", "while away", "while away", "back"]).await;
    device.stop().await;
}

#[tokio::test]
async fn a_webhook_is_answered_after_the_commit_and_comes_again_before() {
    let lab = Lab::new().await;
    let mut config = lab.config();
    config.timing.poll = Duration::from_secs(3600);
    config.timing.longest_wait = Duration::from_secs(3600);
    let device = lab.start(config);
    device.until(Link::Connected, "").await;
    lab.inbox.full.store(true, Ordering::Relaxed);
    lab.phone.receives(BOB, "held");
    tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>())
        .await
        .unwrap_err();
    assert!(lab.inbox.texts().is_empty());
    lab.inbox.full.store(false, Ordering::Relaxed);
    lab.until(&["held"]).await;
    device.stop().await;
}

#[tokio::test]
async fn only_the_app_is_believed() {
    let lab = Lab::new().await;
    let device = lab.running().await;
    let body = r#"{"id":"1","webhookId":"1","deviceId":"x","event":"sms:received","payload":{"sender":"1","message":"forged",
        "receivedAt":"2027-01-15T08:00:00Z"}}"#;
    let stamp = (NOW.millis() / 1000).to_string();
    let request = |headers: &[(&str, &str)]| Request {
        method: "POST".into(),
        query: String::new(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.into(),
    };
    let zeros = "0".repeat(64);
    for headers in [
        &[][..],
        &[("x-timestamp", stamp.as_str())],
        &[("x-timestamp", stamp.as_str()), ("x-signature", "zz")],
        &[("x-timestamp", stamp.as_str()), ("x-signature", zeros.as_str())],
    ] {
        let response = device.connector.receive(request(headers)).await;
        assert_eq!(response.status, 401, "{response:?}");
    }
    // What was signed long ago is no use to whoever kept it.
    let old = "1000000000";
    let signed = sign(body, old);
    let headers = [("x-timestamp", old), ("x-signature", signed.as_str())];
    assert_eq!(device.connector.receive(request(&headers)).await.status, 401);
    let signed = sign(body, &stamp);
    let headers = [("x-timestamp", stamp.as_str()), ("x-signature", signed.as_str())];
    assert_eq!(device.connector.receive(request(&headers)).await.status, 200);
    device.stop().await;
}

fn sign(body: &str, stamp: &str) -> String {
    swingbridge_lab::sms_gateway::signature(body, stamp)
}

#[tokio::test]
async fn an_mms_comes_with_its_files_by_either_way_once() {
    let lab = Lab::new().await;
    let device = lab.running().await;
    let photo: &[u8] = &[0xFF, 0xD8, 1, 2, 3];
    for tells_nothing in [false, true] {
        lab.phone.plays(|scenario| scenario.tells_nothing = tells_nothing);
        lab.phone
            .receives_mms(BOB, "look", &[("../photo.jpg", "image/jpeg", photo)]);
        let wanted = if tells_nothing { 2 } else { 1 };
        lab.inbox
            .until(|inbox| kept(&inbox.arrivals()).len() == wanted)
            .await;
    }
    for message in kept(&lab.inbox.arrivals()) {
        let Body::Media(media) = &message.message.parts[1].body else {
            panic!("{message:?}")
        };
        assert_eq!(
            (media.name.as_str(), media.mime.as_deref()),
            ("photo.jpg", Some("image/jpeg"))
        );
        let path = PathBuf::from(media.uri.strip_prefix("file://").unwrap());
        assert!(path.starts_with(lab.folder.path()));
        assert_eq!(std::fs::read(path).unwrap(), photo);
    }
    device.stop().await;
}

#[tokio::test]
async fn a_message_goes_once_and_its_states_come_back() {
    let lab = Lab::new().await;
    let device = lab.running().await;
    let accepted = device.send(outbound(1, BOB, "hello")).await.unwrap().unwrap();
    let id = accepted.network_ids[0].0.clone();
    let sent = lab.phone.sent();
    assert_eq!((sent[0].text.as_str(), sent[0].to[0].as_str()), ("hello", BOB));
    lab.phone.reaches(&id, "Sent");
    lab.phone.reaches(&id, "Delivered");
    let told = (id.clone(), Outcome::Delivered);
    lab.inbox.until(|_| lab.receipts().contains(&told)).await;
    // Nobody tells of this one; it is asked for.
    let accepted = device.send(outbound(2, BOB, "quiet")).await.unwrap().unwrap();
    let id = accepted.network_ids[0].0.clone();
    lab.phone.plays(|scenario| scenario.tells_nothing = true);
    lab.phone.reaches(&id, "Failed");
    let told = (id, Outcome::Rejected);
    lab.inbox.until(|_| lab.receipts().contains(&told)).await;
    device.stop().await;
}

#[tokio::test]
async fn what_is_cancelled_in_the_app_is_told_by_webhook_and_without() {
    let lab = Lab::new().await;
    let device = lab.running().await;
    for (number, tells_nothing) in [(1, false), (2, true)] {
        lab.phone.plays(|scenario| scenario.tells_nothing = tells_nothing);
        let accepted = device.send(outbound(number, BOB, "wait")).await.unwrap().unwrap();
        let id = accepted.network_ids[0].0.clone();
        lab.phone.reaches(&id, "Cancelled");
        let told = (id, Outcome::Rejected);
        lab.inbox.until(|_| lab.receipts().contains(&told)).await;
    }
    device.stop().await;
}

#[tokio::test]
async fn what_the_phone_did_not_send_yet_is_taken_back_and_nothing_else() {
    let lab = Lab::new().await;
    let device = lab.running().await;
    let revocation = |ids: &[&NetworkId]| Revocation {
        line: LineId::new("phone"),
        to: Address::Number(BOB.into()),
        key: String::new(),
        network_ids: ids.iter().map(|id| (*id).clone()).collect(),
    };
    for (number, state, expected) in [
        (1, None, Revoked::Withdrawn),
        (2, Some("Sent"), Revoked::Impossible),
        (3, Some("Delivered"), Revoked::TooLate),
        (4, Some("Failed"), Revoked::Withdrawn),
        (5, Some("Cancelled"), Revoked::Withdrawn),
    ] {
        let accepted = device.send(outbound(number, BOB, "oops")).await.unwrap().unwrap();
        let id = &accepted.network_ids[0];
        if let Some(state) = state {
            lab.phone.reaches(id.as_str(), state);
        }
        let revoked = device.connector.revoke(revocation(&[id])).await;
        assert_eq!(revoked, Ok(expected), "{state:?}");
        let kept = lab.phone.sent().pop().unwrap().state;
        assert_eq!(kept, state.unwrap_or("Cancelled"));
    }
    let unknown = NetworkId::new("nothing");
    for ids in [&[&unknown][..], &[]] {
        let revoked = device.connector.revoke(revocation(ids)).await;
        assert_eq!(revoked, Ok(Revoked::Impossible));
    }
    // Older versions of the app take nothing back.
    lab.phone.plays(|scenario| scenario.is_old = true);
    let accepted = device.send(outbound(6, BOB, "oops")).await.unwrap().unwrap();
    let revoked = device
        .connector
        .revoke(revocation(&[&accepted.network_ids[0]]))
        .await;
    assert_eq!(revoked, Ok(Revoked::Impossible));
    lab.phone.plays(|scenario| scenario.answers = Some(503));
    let revoked = device.connector.revoke(revocation(&[&unknown])).await;
    assert!(
        matches!(revoked, Err(SendError::RetryAfter { .. })),
        "{revoked:?}"
    );
    device.stop().await;
}

#[tokio::test]
async fn a_file_leaves_as_mms_where_that_is_turned_on_and_it_fits() {
    let lab = Lab::new().await;
    let path = lab.folder.path().join("photo one.jpg");
    std::fs::write(&path, [0xFF, 0xD8, 1, 2]).unwrap();
    let photo = |number, caption: &str| {
        let mut outbound = outbound(number, BOB, "");
        outbound.message.parts[0].body = Body::Media(Media {
            kind: MediaKind::Image,
            name: "photo one.jpg".into(),
            mime: Some("image/jpeg".into()),
            size: None,
            uri: url::Url::from_file_path(&path).unwrap().to_string(),
            key: None,
            duration: None,
            caption: Some(caption.to_owned()),
        });
        outbound
    };
    let refused = async |device: &Device<SmsGatewayConnector>, number, word: &str| {
        let answer = device.send(photo(number, "look")).await.unwrap();
        let Err(SendError::Rejected {
            reason: Reason::BadContent,
            detail,
        }) = answer
        else {
            panic!("{answer:?}");
        };
        assert!(detail.contains(word), "{detail}");
    };
    let device = lab.running().await;
    assert_eq!(device.connector.capabilities().media, Support::Absent);
    refused(&device, 1, "turned off").await;
    device.stop().await;
    let mut config = lab.config();
    config.mms = true;
    config.mms_limit = 4;
    let device = lab.start(config);
    device.until(Link::Connected, "").await;
    assert_eq!(device.connector.capabilities().media, Support::Full);
    device.send(photo(2, "look")).await.unwrap().unwrap();
    device.send(photo(2, "look")).await.unwrap().unwrap();
    let sent = lab.phone.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].text.as_str(), sent[0].to[0].as_str()), ("look", BOB));
    let file = (
        "photo one.jpg".to_owned(),
        "image/jpeg".to_owned(),
        vec![0xFF, 0xD8, 1, 2],
    );
    assert_eq!(sent[0].file.as_ref(), Some(&file));
    // Another file of the same name is another message.
    std::fs::write(&path, [0xFF, 0xD8, 1, 3]).unwrap();
    device.send(photo(3, "")).await.unwrap().unwrap();
    assert_eq!(lab.phone.sent().len(), 2);
    std::fs::write(&path, [0xFF, 0xD8, 1, 2, 3]).unwrap();
    refused(&device, 4, "mms_limit").await;
    std::fs::write(&path, [0xFF]).unwrap();
    lab.phone.plays(|scenario| scenario.has_no_mms = true);
    refused(&device, 5, "a version that sends none").await;
    std::fs::remove_file(&path).unwrap();
    refused(&device, 6, "not there").await;
    device.stop().await;
}

/// More than are asked after in one round, of which all but one stay as they are.
#[tokio::test]
async fn a_fate_is_heard_behind_many_that_stay_sent() {
    let lab = Lab::new().await;
    let device = lab.running().await;
    let mut ids = Vec::new();
    for n in 0..26 {
        let accepted = device.send(outbound(n, BOB, "waits")).await.unwrap().unwrap();
        ids.push(accepted.network_ids[0].0.clone());
    }
    // By its name it is the last one.
    ids.sort();
    let last = ids.pop().unwrap();
    lab.phone.plays(|scenario| scenario.tells_nothing = true);
    for id in ids.iter().chain([&last]) {
        lab.phone.reaches(id, "Sent");
    }
    lab.inbox.until(|_| lab.receipts().len() >= 26).await;
    lab.phone.reaches(&last, "Failed");
    let told = (last, Outcome::Rejected);
    lab.inbox.until(|_| lab.receipts().contains(&told)).await;
    device.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_and_nothing_leaves_twice() {
    for is_old in [false, true] {
        let lab = Lab::new().await;
        let mut config = lab.config();
        config.timing.request = Duration::from_millis(400);
        let device = lab.start(config);
        device.until(Link::Connected, "").await;
        lab.phone.plays(|scenario| {
            scenario.swallows_answers = true;
            scenario.is_old = is_old;
        });
        let accepted = device.send(outbound(1, BOB, "once")).await.unwrap().unwrap();
        assert_eq!(lab.phone.sent().len(), 1);
        lab.phone.plays(|scenario| scenario.swallows_answers = false);
        // A repetition of the same message is the same message.
        let again = device.send(outbound(1, BOB, "once")).await.unwrap().unwrap();
        assert_eq!(again, accepted);
        assert_eq!(lab.phone.sent().len(), 1);
        device.send(outbound(2, BOB, "once")).await.unwrap().unwrap();
        assert_eq!(lab.phone.sent().len(), 2);
        device.stop().await;
    }
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let lab = Lab::new().await;
    let mut config = lab.config();
    config.password = Secret::new("wrong");
    let device = lab.start(config);
    device.until(Link::Refused, "copy both from the app").await;
    let refused = device.send(outbound(1, BOB, "x")).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, SendError::RetryAfter { counts: false, .. }),
        "{refused:?}"
    );
    device.stop().await;
    let device = lab.running().await;
    for (status, counts) in [(503, true), (429, true)] {
        lab.phone.plays(|scenario| scenario.answers = Some(status));
        let later = device.send(outbound(1, BOB, "x")).await.unwrap().unwrap_err();
        assert!(
            matches!(later, SendError::RetryAfter { counts: found, .. } if found == counts),
            "{later:?}"
        );
    }
    lab.phone.plays(|scenario| scenario.answers = Some(400));
    let bad = device.send(outbound(1, BOB, "x")).await.unwrap().unwrap_err();
    assert!(
        matches!(
            &bad,
            SendError::Rejected {
                reason: Reason::BadContent,
                ..
            }
        ),
        "{bad:?}"
    );
    lab.phone.plays(|scenario| {
        scenario.answers = None;
        scenario.has_no_inbox = true;
    });
    device.until(Link::Degraded, "bring it up to date").await;
    assert!(lab.phone.sent().is_empty());
    device.stop().await;
}

/// Killed at whatever point, with texts both ways: each arrives once, and none leaves twice.
#[tokio::test]
async fn kills_at_random_lose_nothing_and_double_nothing() {
    let lab = Lab::new().await;
    let mut dice = 11_u64;
    let mut roll = move |below: u64| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    lab.running().await.kill().await;
    lab.phone.plays(|scenario| scenario.doubles_webhooks = true);
    let (mut expected, mut next) = (Vec::new(), 0);
    for round in 0..10 {
        let device = lab.start(lab.config());
        for _ in 0..roll(6) {
            next += 1;
            expected.push(format!("text {next}"));
            lab.phone.receives(BOB, &format!("text {next}"));
        }
        lab.inbox.full.store(roll(4) == 0, Ordering::Relaxed);
        let send = device.send(outbound(round, BOB, &format!("ours {round}")));
        tokio::time::sleep(Duration::from_millis(roll(120))).await;
        *lab.mounted.lock().unwrap() = None;
        send.abort();
        device.kill().await;
        lab.inbox.full.store(false, Ordering::Relaxed);
    }
    let device = lab.running().await;
    // What was cut off is sent again under the same id.
    for round in 0..10 {
        device
            .send(outbound(round, BOB, &format!("ours {round}")))
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(lab.phone.sent().len(), 10);
    lab.inbox
        .until(|inbox| kept(&inbox.arrivals()).len() >= expected.len())
        .await;
    let mut all = bodies(&kept(&lab.inbox.arrivals()));
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    device.stop().await;
}
