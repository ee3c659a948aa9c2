//! The BlueBubbles connector against an emulated server, and the inbox that it hands to.

use async_trait::async_trait;
use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swingbridge_connectors::bluebubbles::{BlueBubblesConnector, Config};
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Link, Outbound, SendError, Shutdown,
};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::{ConnectorId, LineId, MessageId, NetworkId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, InboundMessage, Inbox, InboxError, Receipt, What};
use swingbridge_domain::message::{Body, Disposition, Media, Message, Part, Reference, Text};
use swingbridge_domain::secret::Secret;
use swingbridge_lab::bluebubbles::{BlueBubbles, Rules};
use tempfile::TempDir;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub const ALICE: &str = "+447700900456";
pub const BOB: &str = "bob@example.org";
pub const OURS: &str = "+447700900001";
const SOON: Duration = Duration::from_secs(20);

/// Turned by hand.
pub struct Hands(AtomicI64);

impl Hands {
    pub fn pass(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Different each time, and the same in each run.
pub struct Dice(pub AtomicU64);

impl Dice {
    pub fn roll(&self, below: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes) % below
    }
}

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let seed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// An inbox that keeps what it is given over restarts of the connector, and passes over what it has.
#[derive(Default)]
pub struct Ledger {
    entries: Mutex<Vec<Inbound>>,
    ids: Mutex<HashSet<(String, String)>>,
    changed: Notify,
    pub full: AtomicBool,
    /// How often something was handed in that it had.
    pub repeated: AtomicUsize,
}

#[async_trait]
impl Inbox for Ledger {
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        // A commit takes a while, and a kill may strike in it.
        tokio::task::yield_now().await;
        if self.full.load(Ordering::Relaxed) {
            return Err(InboxError::Unavailable("the disk is full".into()));
        }
        for arrival in arrivals {
            let new = match &arrival.dedupe {
                Dedupe::Harmless => true,
                Dedupe::Id { scope, id } => self.ids.lock().unwrap().insert((scope.clone(), id.clone())),
                Dedupe::Event { .. } | Dedupe::Digest { .. } => panic!("Messages names all there is"),
            };
            let What::Network(inbound) = arrival.what else {
                panic!("a room event from a connector");
            };
            match new {
                true => self.entries.lock().unwrap().push(inbound),
                false => drop(self.repeated.fetch_add(1, Ordering::Relaxed)),
            }
        }
        self.changed.notify_waiters();
        tokio::task::yield_now().await;
        Ok(())
    }
}

impl Ledger {
    pub fn all(&self) -> Vec<Inbound> {
        self.entries.lock().unwrap().clone()
    }

    pub fn messages(&self) -> Vec<InboundMessage> {
        let message = |inbound| match inbound {
            Inbound::Message(message) => Some(message),
            _ => None,
        };
        self.all().into_iter().filter_map(message).collect()
    }

    pub fn receipts(&self) -> Vec<Receipt> {
        let receipt = |inbound| match inbound {
            Inbound::Receipt(receipt) => Some(receipt),
            _ => None,
        };
        self.all().into_iter().filter_map(receipt).collect()
    }

    /// The texts of what was said anew.
    pub fn texts(&self) -> Vec<String> {
        let new = self
            .messages()
            .into_iter()
            .filter(|message| message.network_id.is_some());
        new.filter_map(|message| message.message.first_text().map(|text| text.plain.clone()))
            .collect()
    }

    pub fn has_text(&self, text: &str) -> bool {
        self.texts().iter().any(|known| known == text)
    }

    pub fn has_receipt(&self, guid: &str, outcome: Outcome) -> bool {
        self.receipts()
            .iter()
            .any(|receipt| receipt.network_ids == [NetworkId::new(guid)] && receipt.outcome == outcome)
    }

    pub async fn until(&self, what: &str, holds: impl Fn(&Ledger) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        };
        assert!(timeout(SOON, waiting).await.is_ok(), "waited in vain: {what}");
    }
}

/// A server, a connector that runs, and what is kept between two runs.
pub struct House {
    pub server: BlueBubbles,
    pub inbox: Arc<Ledger>,
    pub clock: Arc<Hands>,
    pub dice: Arc<Dice>,
    pub config: Config,
    pub folder: TempDir,
    pub running: Option<Running>,
}

pub struct Running {
    pub connector: Arc<BlueBubblesConnector>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ConnectorError>>,
}

impl House {
    pub async fn new(rules: Rules) -> House {
        House::with(rules, |_, _| {}).await
    }

    /// With changes to the settings, and something on the Mac before the first start.
    pub async fn with(rules: Rules, prepare: impl FnOnce(&BlueBubbles, &mut Config)) -> House {
        let server = BlueBubbles::start(rules).await.unwrap();
        let mut config = Config {
            url: server.url(),
            password: Secret::new("secret"),
            address: OURS.into(),
            poll: Duration::from_millis(30),
            compare: Duration::from_millis(60),
            send_timeout: Duration::from_millis(700),
            confirm: Duration::from_millis(400),
            ..Config::default()
        };
        prepare(&server, &mut config);
        let mut house = House {
            clock: Arc::new(Hands(AtomicI64::new(server.now()))),
            server,
            inbox: Arc::default(),
            dice: Arc::new(Dice(AtomicU64::new(7))),
            config,
            folder: tempfile::tempdir().unwrap(),
            running: None,
        };
        house.start().await;
        house
            .server
            .until("it listens", |server| server.listeners() == 1)
            .await;
        // What is there at the first start is history.
        let placed = async {
            while !house
                .connector()
                .probe()
                .await
                .detail
                .starts_with("the server is read")
            {
                sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(
            timeout(SOON, placed).await.is_ok(),
            "waited in vain for the first reading"
        );
        house.server.says(ALICE, "ready");
        house
            .inbox
            .until("the first reading", |inbox| inbox.has_text("ready"))
            .await;
        house
    }

    pub async fn start(&mut self) {
        let connector = connector(self.folder.path(), &self.config, &self.clock, &self.dice).await;
        let connector = Arc::new(connector);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = Shutdown::when(async move { drop(stopped.await) });
        let task = tokio::spawn(connector.clone().run(self.inbox.clone(), shutdown));
        self.running = Some(Running {
            connector,
            stop: Some(stop),
            task,
        });
    }

    /// Ends the connector in the midst of whatever it does.
    pub async fn kill(&mut self) {
        let running = self.running.take().unwrap();
        running.task.abort();
        let _ = running.task.await;
    }

    /// Ends the connector as the program does.
    pub async fn stop(&mut self) {
        let mut running = self.running.take().unwrap();
        drop(running.stop.take());
        timeout(SOON, running.task).await.unwrap().unwrap().unwrap();
    }

    pub fn connector(&self) -> &Arc<BlueBubblesConnector> {
        &self.running.as_ref().unwrap().connector
    }

    pub async fn send(&self, to: &str, message: Message) -> Result<Accepted, SendError> {
        let to = match to {
            mail if mail.contains('@') => Address::Mail(mail.into()),
            number if number.starts_with('+') => Address::Number(number.into()),
            group => Address::Group(group.into()),
        };
        self.connector().send(outbound(to, message)).await
    }

    pub fn stop_events(&self) {
        self.server.set(|rules| rules.events = false);
    }

    pub async fn connector_is(&self, link: Link) {
        let waiting = async {
            while self.connector().probe().await.state != link {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(
            timeout(SOON, waiting).await.is_ok(),
            "waited in vain for {link:?}"
        );
    }

    /// Nothing more is handed in: what comes after a marker came before it.
    pub async fn settle(&self) {
        let marker = format!("marker {}", self.dice.roll(u64::MAX));
        self.server.says(BOB, &marker);
        self.inbox
            .until("a marker", |inbox| inbox.has_text(&marker))
            .await;
    }
}

pub async fn connector(
    folder: &Path,
    config: &Config,
    clock: &Arc<Hands>,
    dice: &Arc<Dice>,
) -> BlueBubblesConnector {
    BlueBubblesConnector::connect(
        ConnectorId::new("mac"),
        config.clone(),
        folder,
        clock.clone(),
        dice.clone(),
    )
    .await
    .unwrap()
}

pub fn outbound(to: Address, message: Message) -> Outbound {
    Outbound {
        id: MessageId(1),
        key: String::new(),
        line: LineId::new("me"),
        from: Address::Number(OURS.into()),
        to: vec![to],
        message,
        expires_at: None,
    }
}

pub fn network(guid: &str) -> Reference {
    Reference::Network(NetworkId::new(guid))
}

pub fn reaction(emoji: &str, to: &str) -> Message {
    Message {
        in_reply_to: Some(network(to)),
        parts: vec![Part {
            disposition: Disposition::Reaction,
            body: Body::Text(Text {
                plain: emoji.into(),
                ..Text::default()
            }),
        }],
        ..Message::default()
    }
}

pub fn withdrawn(guid: &str) -> Message {
    Message {
        replaces: Some(network(guid)),
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::Null,
        }],
        ..Message::default()
    }
}

pub fn guid(accepted: &Accepted) -> String {
    accepted.network_ids[0].as_str().to_owned()
}

pub fn media_of(message: &InboundMessage) -> Option<&Media> {
    message.message.parts.iter().find_map(|part| match &part.body {
        Body::Media(media) => Some(media),
        _ => None,
    })
}

pub fn content(media: &Media) -> Vec<u8> {
    std::fs::read(media.uri.strip_prefix("file://").unwrap()).unwrap()
}
