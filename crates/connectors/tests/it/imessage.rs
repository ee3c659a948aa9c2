//! Messages on a Mac, against the lab's: chat.db of three releases, and an `osascript` that plays scenarios. *Emulated*: what
//! is known of Messages, not Messages.

mod contacts;
mod faults;
mod kill;
mod reading;
mod sending;

use crate::harness::Recorder;
use crate::smsc::SOON;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swingbridge_connectors::imessage::{Config, IMessageConnector};
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{Accepted, Connector, Link, Outbound, SendError, Shutdown};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::{ConnectorId, LineId, MessageId, NetworkId};
use swingbridge_domain::inbox::{Dedupe, Inbound, InboundMessage, Receipt, What};
use swingbridge_domain::message::{Body, Message, Reference};
use swingbridge_lab::macos::Mac;
use swingbridge_lab::macos::schema::Release;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub const BOB: &str = "+447700900123";
pub const CAROL: &str = "carol@example.org";

struct Now;
impl Clock for Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "rows of Messages have the time of the Mac"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(i64::try_from(since.as_millis()).unwrap())
    }
}

/// A Mac and the connector on it.
pub struct House {
    pub mac: Mac,
    pub config: Config,
    pub inbox: Arc<Recorder>,
    pub connector: Arc<IMessageConnector>,
    task: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl House {
    /// A Mac with nothing on it, and a connector that has begun.
    pub async fn new(release: Release) -> House {
        House::with(release, |_| {}, |_| {}).await
    }

    /// A Mac on which something is already, or with other settings.
    pub async fn with(release: Release, fill: impl FnOnce(&Mac), change: impl FnOnce(&mut Config)) -> House {
        let folder = tempfile::tempdir().unwrap();
        let mac = Mac::new(&folder.path().join("mac"), release).unwrap();
        fill(&mac);
        let mut config = Config {
            address: "+447700900001".into(),
            database: mac.database(),
            address_book: mac.address_book(),
            staging: mac.staging(),
            osascript: mac.osascript(),
            ..Config::default()
        };
        config.timing.poll = Duration::from_millis(10);
        config.timing.restat = Duration::from_millis(20);
        config.timing.script = Duration::from_secs(20);
        config.timing.row = Duration::from_secs(20);
        change(&mut config);
        let inbox = Arc::new(Recorder::new());
        let connector = connector(&config, folder.path().join("state"));
        let mut house = House {
            mac,
            config,
            inbox,
            connector,
            task: None,
            folder,
        };
        house.run();
        house.until(Link::Connected).await;
        house
    }

    pub fn run(&mut self) {
        let run = self.connector.clone().run(self.inbox.clone(), Shutdown::never());
        self.task = Some(tokio::spawn(async move { run.await.unwrap() }));
    }

    /// Ends the connector without a word, as kill -9 does.
    pub fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// Starts it again with what it remembers.
    pub fn restart(&mut self) {
        self.kill();
        self.connector = connector(&self.config, self.folder.path().join("state"));
        self.run();
    }

    pub async fn until(&self, link: Link) {
        let until = async {
            while self.connector.probe().await.state != link {
                sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(SOON, until).await.is_err() {
            panic!("never {link:?}: {:?}", self.connector.probe().await);
        }
    }

    pub async fn send(&self, to: Address, message: Message) -> Result<Accepted, SendError> {
        self.connector
            .send(Outbound {
                id: MessageId(1),
                key: String::new(),
                line: LineId::new("mac"),
                from: Address::Number("+447700900001".into()),
                to: vec![to],
                message,
                expires_at: None,
            })
            .await
    }

    pub async fn says(&self, text: &str) -> Result<Accepted, SendError> {
        self.send(Address::Number(BOB.into()), Message::text(text)).await
    }

    pub fn messages(&self) -> Vec<InboundMessage> {
        messages(&self.inbox)
    }

    pub async fn message(&self, at: usize) -> InboundMessage {
        self.inbox.until(|inbox| messages(inbox).len() > at).await;
        self.messages().swap_remove(at)
    }

    pub fn receipts(&self) -> Vec<Receipt> {
        receipts(&self.inbox)
    }

    /// Waits for a receipt of a message that says this.
    pub async fn receipt(&self, id: &NetworkId, outcome: Outcome) -> Receipt {
        let of = |receipt: &Receipt| receipt.outcome == outcome && receipt.network_ids.contains(id);
        self.inbox.until(|inbox| receipts(inbox).iter().any(of)).await;
        self.receipts().into_iter().find(of).unwrap()
    }

    /// Waits until everything written before is handed in: a text of another contact comes after it.
    pub async fn settle(&self) {
        let marker = self.mac.says("+447700900999", "marker").unwrap();
        let id = NetworkId(marker);
        self.inbox
            .until(|inbox| {
                messages(inbox)
                    .iter()
                    .any(|message| message.network_id.as_ref() == Some(&id))
            })
            .await;
    }

    /// What contacts and the person said, in order, without markers.
    pub fn texts(&self) -> Vec<String> {
        self.messages()
            .iter()
            .filter(|message| message.from.text != "+447700900999")
            .map(|message| {
                message
                    .message
                    .first_text()
                    .map(|text| text.plain.clone())
                    .unwrap_or_default()
            })
            .collect()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.kill();
    }
}

fn connector(config: &Config, state: PathBuf) -> Arc<IMessageConnector> {
    Arc::new(
        IMessageConnector::new(
            ConnectorId::new("mac"),
            config.clone(),
            &state,
            Arc::new(Now),
            Arc::new(crate::harness::Dice::default()),
        )
        .unwrap(),
    )
}

pub fn messages(inbox: &Recorder) -> Vec<InboundMessage> {
    let message = |inbound| match inbound {
        Inbound::Message(message) => Some(message),
        _ => None,
    };
    inbox.inbound().into_iter().filter_map(message).collect()
}

fn receipts(inbox: &Recorder) -> Vec<Receipt> {
    let receipt = |inbound| match inbound {
        Inbound::Receipt(receipt) => Some(receipt),
        _ => None,
    };
    inbox.inbound().into_iter().filter_map(receipt).collect()
}

/// The ids by which the engine passes over repetitions, with what came under each.
pub fn by_id(inbox: &Recorder) -> Vec<(String, Inbound)> {
    inbox
        .arrivals()
        .into_iter()
        .filter_map(|arrival| match (arrival.dedupe, arrival.what) {
            (Dedupe::Id { id, .. }, What::Network(inbound)) => Some((id, inbound)),
            _ => None,
        })
        .collect()
}

pub fn to(guid: &str) -> Option<Reference> {
    Some(Reference::Network(NetworkId::new(guid)))
}

pub fn is_null(message: &InboundMessage) -> bool {
    message.message.parts.len() == 1 && message.message.parts[0].body == Body::Null
}
