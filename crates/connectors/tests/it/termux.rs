//! The phone under Termux, with the lab's commands in place of the real ones.

use crate::device::{BOB, Device, OWN, bodies, clock, kept, outbound};
use crate::harness::Recorder;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_connectors::termux::{Config, TermuxConnector};
use swingbridge_domain::connector::{Connector, Link, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbound;
use swingbridge_domain::path::{Evidence, Place, Protection};
use swingbridge_lab::termux::Phone;
use tempfile::TempDir;

/// The lab's program, built beside this one.
fn program() -> PathBuf {
    swingbridge_lab::termux::program().unwrap()
}

struct Lab {
    phone: Phone,
    inbox: Arc<Recorder>,
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let phone = Phone::new(&folder.path().join("phone"), &program()).unwrap();
        Self {
            phone,
            inbox: Arc::new(Recorder::new()),
            folder,
        }
    }

    fn config(&self) -> Config {
        let mut config = Config {
            number: OWN.into(),
            programs: Some(self.phone.programs().to_owned()),
            poll: Duration::from_millis(30),
            contacts: Duration::ZERO,
            time_zone: Some("CET-1".into()),
            ..Config::default()
        };
        config.timing.command = Duration::from_secs(10);
        config.timing.confirm = Duration::from_secs(10);
        config.timing.longest_wait = Duration::from_millis(60);
        config
    }

    fn start(&self, config: Config) -> Device<TermuxConnector> {
        let state = self.folder.path().join("state");
        let connector = TermuxConnector::new(ConnectorId::new("phone"), config, &state, clock()).unwrap();
        Device::run(connector, self.inbox.clone())
    }

    async fn running(&self) -> Device<TermuxConnector> {
        let device = self.start(self.config());
        device.until(Link::Connected, "").await;
        device
    }

    async fn until(&self, texts: &[&str]) {
        self.inbox
            .until(|inbox| bodies(&kept(&inbox.arrivals())).len() >= texts.len())
            .await;
        assert_eq!(bodies(&kept(&self.inbox.arrivals())), texts);
    }
}

#[tokio::test]
async fn texts_come_once_in_order_with_their_time_and_the_old_ones_stay_away() {
    let lab = Lab::new();
    lab.phone.receives(BOB, "from before").unwrap();
    let device = lab.running().await;
    for text in ["one", "two\nlines \"quoted\" 😀", "one"] {
        lab.phone.receives(BOB, text).unwrap();
    }
    lab.phone.receives("ACME", "code 1234").unwrap();
    lab.until(&["one", "two\nlines \"quoted\" 😀", "one", "code 1234"])
        .await;
    let messages = kept(&lab.inbox.arrivals());
    let times: Vec<String> = messages
        .iter()
        .map(|message| message.sent_at.unwrap().to_string())
        .collect();
    assert_eq!(times[0], "2026-01-31T12:00:02Z");
    assert_eq!(times[3], "2026-01-31T12:00:05Z");
    assert_eq!(messages[3].from.text, "ACME");
    assert!(
        messages
            .iter()
            .all(|message| message.to.text == OWN && !message.own)
    );
    let way = device.connector.capabilities().way;
    assert_eq!(way[0].evidence, Evidence::NetworkCannot);
    assert_eq!(
        (&way[1].to, way[1].proven()),
        (&Place::Device, Protection::Unknown)
    );
    device.stop().await;
}

#[tokio::test]
async fn history_is_shown_as_such_when_it_is_wanted() {
    let lab = Lab::new();
    lab.phone.receives(BOB, "from before").unwrap();
    lab.phone.writes(BOB, "my answer").unwrap();
    // The phone's clock is about a year behind ours.
    let mut config = lab.config();
    config.history_days = 3650;
    let device = lab.start(config);
    lab.until(&["from before", "my answer"]).await;
    lab.phone.receives(BOB, "new").unwrap();
    lab.until(&["from before", "my answer", "new"]).await;
    let marks: Vec<(bool, bool)> = kept(&lab.inbox.arrivals())
        .iter()
        .map(|message| (message.own, message.history))
        .collect();
    assert_eq!(marks, [(false, true), (true, true), (false, false)]);
    device.stop().await;
}

#[tokio::test]
async fn nothing_is_passed_before_it_is_committed() {
    let lab = Lab::new();
    let device = lab.running().await;
    lab.inbox.full.store(true, Ordering::Relaxed);
    lab.phone.receives(BOB, "held").unwrap();
    device.kill().await;
    let device = lab.start(lab.config());
    lab.inbox.full.store(false, Ordering::Relaxed);
    lab.until(&["held"]).await;
    device.stop().await;
}

#[tokio::test]
async fn a_text_is_sent_when_the_phone_says_so_and_is_not_taken_for_one_of_the_user() {
    let lab = Lab::new();
    let device = lab.running().await;
    let text = "a 'quoted' $(text)\nof two lines";
    let accepted = device.send(outbound(1, BOB, text)).await.unwrap().unwrap();
    assert_eq!(lab.phone.sent().unwrap(), [(BOB.to_owned(), text.to_owned())]);
    assert_eq!(accepted.network_ids[0].as_str(), "1");
    // And what the user sends there is one of theirs.
    lab.phone.writes(BOB, "by hand").unwrap();
    lab.until(&["by hand"]).await;
    let own = kept(&lab.inbox.arrivals());
    assert!(own[0].own && own[0].from.text == BOB);
    device.stop().await;
}

#[tokio::test]
async fn what_the_phone_could_not_send_is_refused_and_what_it_hides_is_unknown() {
    let lab = Lab::new();
    let mut config = lab.config();
    config.timing.confirm = Duration::from_millis(300);
    let device = lab.start(config);
    device.until(Link::Connected, "").await;
    lab.phone
        .plays(|scenario| scenario.lands = "failed".into())
        .unwrap();
    let refused = device.send(outbound(1, BOB, "no")).await.unwrap().unwrap_err();
    assert!(
        matches!(
            &refused,
            SendError::Rejected {
                reason: Reason::NetworkRefused,
                ..
            }
        ),
        "{refused:?}"
    );
    // A slot without a SIM: the command succeeds, and nothing happens.
    lab.phone
        .plays(|scenario| scenario.lands = "nowhere".into())
        .unwrap();
    let unknown = device.send(outbound(2, BOB, "where")).await.unwrap().unwrap_err();
    assert!(matches!(unknown, SendError::Unknown { .. }), "{unknown:?}");
    // It hung, and it is out: the proof counts.
    lab.phone
        .plays(|scenario| {
            scenario.lands = String::new();
            scenario.hangs_after_sending = true;
        })
        .unwrap();
    device.stop().await;
    let mut config = lab.config();
    config.timing.command = Duration::from_millis(700);
    let device = lab.start(config);
    device.until(Link::Connected, "").await;
    device.send(outbound(3, BOB, "out")).await.unwrap().unwrap();
    assert!(kept(&lab.inbox.arrivals()).is_empty());
    device.stop().await;
}

#[tokio::test]
async fn a_text_that_is_out_late_is_waited_for() {
    let lab = Lab::new();
    let device = lab.running().await;
    lab.phone
        .plays(|scenario| scenario.lands = "outbox".into())
        .unwrap();
    let send = device.send(outbound(1, BOB, "slow"));
    lab.phone.sends(1).await.unwrap();
    lab.phone.receives(BOB, "meanwhile").unwrap();
    lab.until(&["meanwhile"]).await;
    assert!(!send.is_finished());
    lab.phone.moves(1, "sent").unwrap();
    assert_eq!(send.await.unwrap().unwrap().network_ids[0].as_str(), "1");
    assert_eq!(kept(&lab.inbox.arrivals()).len(), 1);
    device.stop().await;
}

#[tokio::test]
async fn what_is_missing_is_said_with_its_cure_and_nothing_is_lost_meanwhile() {
    let lab = Lab::new();
    lab.phone
        .plays(|scenario| scenario.denied = vec!["READ_SMS".into()])
        .unwrap();
    let device = lab.start(lab.config());
    device.until(Link::Refused, "READ_SMS").await;
    // Not read yet: nothing leaves, for it could not be proven.
    let early = device.send(outbound(1, BOB, "x")).await.unwrap().unwrap_err();
    assert!(
        matches!(early, SendError::RetryAfter { counts: false, .. }),
        "{early:?}"
    );
    lab.phone.plays(|scenario| scenario.denied.clear()).unwrap();
    device.until(Link::Connected, "").await;
    lab.phone
        .plays(|scenario| scenario.denied = vec!["SEND_SMS".into()])
        .unwrap();
    let denied = device.send(outbound(1, BOB, "x")).await.unwrap().unwrap_err();
    assert!(
        matches!(&denied, SendError::RetryAfter { detail, .. } if detail.contains("SEND_SMS")),
        "{denied:?}"
    );
    device.until(Link::Degraded, "SEND_SMS").await;
    lab.phone
        .plays(|scenario| {
            scenario.denied.clear();
            scenario.junk = vec!["termux-sms-list".into()];
        })
        .unwrap();
    device.until(Link::Disconnected, "cannot be understood").await;
    lab.phone.receives(BOB, "through it all").unwrap();
    lab.phone
        .plays(|scenario| {
            scenario.junk.clear();
            scenario.silent = vec!["termux-sms-list".into()];
        })
        .unwrap();
    device.until(Link::Disconnected, "").await;
    lab.phone
        .plays(|scenario| {
            scenario.silent.clear();
            scenario.store_build = true;
        })
        .unwrap();
    device.until(Link::Refused, "F-Droid").await;
    lab.phone.plays(|scenario| scenario.store_build = false).unwrap();
    lab.until(&["through it all"]).await;
    assert!(lab.phone.sent().unwrap().is_empty());
    device.stop().await;
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_and_asked_again() {
    let lab = Lab::new();
    let mut config = lab.config();
    config.timing.command = Duration::from_millis(500);
    let device = lab.start(config);
    device.until(Link::Connected, "").await;
    lab.phone
        .plays(|scenario| scenario.hang = vec!["termux-sms-list".into()])
        .unwrap();
    device.until(Link::Disconnected, "did not answer").await;
    lab.phone.receives(BOB, "after").unwrap();
    lab.phone.plays(|scenario| scenario.hang.clear()).unwrap();
    lab.until(&["after"]).await;
    device.stop().await;
}

#[tokio::test]
async fn deleted_withheld_and_renumbered_texts_are_neither_lost_nor_doubled() {
    let lab = Lab::new();
    let mut config = lab.config();
    config.timing.sweep = Duration::from_millis(100);
    let device = lab.start(config);
    device.until(Link::Connected, "").await;
    for text in ["a", "b", "c"] {
        lab.phone.receives(BOB, text).unwrap();
    }
    lab.until(&["a", "b", "c"]).await;
    // The newest is deleted, and the phone gives its number again.
    lab.phone.deletes(3).unwrap();
    assert_eq!(lab.phone.receives(BOB, "d").unwrap(), 3);
    lab.until(&["a", "b", "c", "d"]).await;
    // Android withholds a code for hours.
    let id = lab.phone.receives("BANK", "code").unwrap();
    lab.phone.withholds(id, true).unwrap();
    lab.phone.receives(BOB, "e").unwrap();
    lab.inbox
        .until(|inbox| bodies(&kept(&inbox.arrivals())).contains(&"e".to_owned()))
        .await;
    lab.phone.withholds(id, false).unwrap();
    lab.inbox
        .until(|inbox| bodies(&kept(&inbox.arrivals())).contains(&"code".to_owned()))
        .await;
    let before = kept(&lab.inbox.arrivals()).len();
    // A backup is restored: other numbers.
    lab.phone.is_reset(3).unwrap();
    lab.phone.receives(BOB, "f").unwrap();
    lab.inbox
        .until(|inbox| bodies(&kept(&inbox.arrivals())).contains(&"f".to_owned()))
        .await;
    lab.phone.receives(BOB, "g").unwrap();
    lab.inbox
        .until(|inbox| bodies(&kept(&inbox.arrivals())).contains(&"g".to_owned()))
        .await;
    assert_eq!(kept(&lab.inbox.arrivals()).len(), before + 2);
    device.stop().await;
}

#[tokio::test]
async fn contacts_are_told_when_they_change() {
    let lab = Lab::new();
    lab.phone
        .contacts(&[("Bob", BOB), ("Ann", "+447700900124")])
        .unwrap();
    let mut config = lab.config();
    config.contacts = Duration::from_millis(50);
    let cards = |inbox: &Recorder| -> Vec<(String, Option<String>)> {
        let card = |inbound| match inbound {
            Inbound::Card(card) => Some((card.contact.text, card.name)),
            _ => None,
        };
        inbox.inbound().into_iter().filter_map(card).collect()
    };
    let device = lab.start(config.clone());
    lab.inbox.until(|inbox| cards(inbox).len() == 2).await;
    lab.phone.contacts(&[("Robert", BOB)]).unwrap();
    lab.inbox.until(|inbox| cards(inbox).len() == 4).await;
    assert_eq!(
        cards(&lab.inbox)[2..],
        [
            (BOB.to_owned(), Some("Robert".to_owned())),
            ("+447700900124".to_owned(), None)
        ]
    );
    device.stop().await;
    // A restart tells nothing again.
    let device = lab.start(config);
    lab.phone.contacts(&[("Rob", BOB)]).unwrap();
    lab.inbox.until(|inbox| cards(inbox).len() == 5).await;
    device.stop().await;
}

#[tokio::test]
async fn notifications_are_mirrored_as_unknown_and_a_text_is_not_shown_twice() {
    let lab = Lab::new();
    let mut config = lab.config();
    config.notifications.packages = vec!["org.messages".into()];
    let device = lab.start(config);
    device.until(Link::Connected, "").await;
    lab.phone.receives(BOB, "a plain text").unwrap();
    lab.phone.notifies("org.messages", "Bob", "a plain text").unwrap();
    lab.phone.notifies("org.other", "Eve", "not wanted").unwrap();
    lab.phone.notifies("org.messages", BOB, "over RCS").unwrap();
    lab.inbox
        .until(|inbox| bodies(&kept(&inbox.arrivals())).contains(&"over RCS".to_owned()))
        .await;
    let all = kept(&lab.inbox.arrivals());
    assert_eq!(all.len(), 2, "{:?}", bodies(&all));
    let mirrored = all.iter().find(|message| !message.way.is_empty()).unwrap();
    assert_eq!(mirrored.way[0].proven(), Protection::Unknown);
    let address = mirrored.from.understand(None);
    assert!(!address.can_reply(), "{address:?}");
    device.stop().await;
}

/// Killed at whatever point, with texts both ways: each arrives once, and none leaves twice.
async fn killed_at_random(seed: u64) {
    let lab = Lab::new();
    let mut dice = seed;
    let mut roll = move |below: u64| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    lab.start(lab.config()).until(Link::Connected, "").await;
    let (mut expected, mut next) = (Vec::new(), 0);
    for round in 0..8 {
        let device = lab.start(lab.config());
        for _ in 0..roll(6) {
            next += 1;
            expected.push(format!("text {next}"));
            lab.phone.receives(BOB, &format!("text {next}")).unwrap();
        }
        lab.inbox.full.store(roll(4) == 0, Ordering::Relaxed);
        let _send = device.send(outbound(round, BOB, &format!("ours {round}")));
        tokio::time::sleep(Duration::from_millis(roll(250))).await;
        device.kill().await;
        lab.inbox.full.store(false, Ordering::Relaxed);
    }
    let device = lab.running().await;
    expected.push("the last".into());
    lab.phone.receives(BOB, "the last").unwrap();
    lab.inbox
        .until(|inbox| bodies(&kept(&inbox.arrivals())).contains(&"the last".to_owned()))
        .await;
    assert_eq!(bodies(&kept(&lab.inbox.arrivals())), expected, "seed {seed}");
    let mut sent = lab.phone.sent().unwrap();
    let all = sent.len();
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), all, "seed {seed}");
    device.stop().await;
}

#[tokio::test]
async fn kills_at_random_lose_nothing_and_double_nothing() {
    for seed in [1, 2, 3] {
        killed_at_random(seed).await;
    }
}
