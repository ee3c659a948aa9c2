//! A connector at work, and the inbox that it hands to.

use crate::smsc::SOON;
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swingbridge_connectors::smpp::{Config, SmppConnector};
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Link, Outbound, SendError, Shutdown,
};
use swingbridge_domain::id::{ConnectorId, LineId, MessageId};
use swingbridge_domain::inbox::{Arrival, Inbound, Inbox, InboxError, What};
use swingbridge_domain::message::Message;
use swingbridge_domain::secret::Secret;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

struct Stopped;
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Different each time, and the same in each run.
#[derive(Default)]
pub struct Dice(AtomicU64);
impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let seed = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Remembers what was handed in; can be shut, and can be slow.
pub struct Recorder {
    arrivals: Mutex<Vec<Arrival>>,
    changed: Notify,
    pub full: AtomicBool,
    /// Each commit takes a permit.
    pub gate: Semaphore,
}

impl Recorder {
    pub fn new() -> Recorder {
        Recorder {
            arrivals: Mutex::default(),
            changed: Notify::new(),
            full: AtomicBool::new(false),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    /// From now on nothing is committed until permits are added to `gate`.
    pub fn shut(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().unwrap().clone()
    }

    /// What came from the network, without the marks of sessions.
    pub fn inbound(&self) -> Vec<Inbound> {
        let network = |arrival: Arrival| match arrival.what {
            What::Network(Inbound::Session { .. }) | What::Room(_) => None,
            What::Network(inbound) => Some(inbound),
        };
        self.arrivals().into_iter().filter_map(network).collect()
    }

    pub fn texts(&self) -> Vec<String> {
        let text = |inbound| match inbound {
            Inbound::Message(message) => message.message.first_text().map(|text| text.plain.clone()),
            _ => None,
        };
        self.inbound().into_iter().filter_map(text).collect()
    }

    /// Waits until `holds`.
    pub async fn until(&self, holds: impl Fn(&Recorder) -> bool) {
        timeout(SOON, async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                changed.await;
            }
        })
        .await
        .expect("the inbox to get it");
    }
}

#[async_trait]
impl Inbox for Recorder {
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        self.gate.acquire().await.unwrap().forget();
        if self.full.load(Ordering::Relaxed) {
            return Err(InboxError::Unavailable("the disk is full".into()));
        }
        self.arrivals.lock().unwrap().extend(arrivals);
        self.changed.notify_waiters();
        Ok(())
    }
}

/// A connector that runs.
pub struct Running {
    pub connector: Arc<SmppConnector>,
    pub inbox: Arc<Recorder>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ConnectorError>>,
}

/// Quick to notice and to come back.
pub fn config(port: u16) -> Config {
    let mut config = Config {
        host: "127.0.0.1".into(),
        port,
        system_id: "esme".into(),
        password: Secret::new("secret"),
        ..Config::default()
    };
    config.timing.first_wait = Duration::from_millis(50);
    config.timing.longest_wait = Duration::from_millis(400);
    config.timing.refused_wait = Duration::from_millis(100);
    config
}

pub fn connector(config: Config) -> Result<SmppConnector, ConnectorError> {
    SmppConnector::new(
        ConnectorId::new("main"),
        config,
        Arc::new(Stopped),
        Arc::new(Dice::default()),
    )
}

pub fn run(config: Config) -> Running {
    let connector = Arc::new(connector(config).unwrap());
    let inbox = Arc::new(Recorder::new());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = Shutdown::when(async move {
        let _ = stopped.await;
    });
    let task = tokio::spawn(connector.clone().run(inbox.clone(), shutdown));
    Running {
        connector,
        inbox,
        stop: Some(stop),
        task,
    }
}

impl Running {
    /// Sends from a task of its own.
    pub fn send(&self, outbound: Outbound) -> JoinHandle<Result<Accepted, SendError>> {
        let connector = self.connector.clone();
        tokio::spawn(async move { connector.send(outbound).await })
    }

    pub async fn until(&self, link: Link) {
        self.until_detail(link, "").await;
    }

    pub async fn until_detail(&self, link: Link, detail: &str) {
        let until = async {
            loop {
                let health = self.connector.probe().await;
                if health.state == link && health.detail.contains(detail) {
                    return;
                }
                sleep(Duration::from_millis(2)).await;
            }
        };
        if timeout(SOON, until).await.is_err() {
            panic!(
                "never {link:?} with {detail:?}: {:?}",
                self.connector.probe().await
            );
        }
    }

    pub fn request_stop(&mut self) {
        self.stop.take();
    }

    /// Waits until it has stopped; stop must have been requested.
    pub async fn stopped(self) {
        timeout(SOON, self.task)
            .await
            .expect("it to stop")
            .unwrap()
            .unwrap();
    }
}

pub fn outbound(text: &str) -> Outbound {
    Outbound {
        id: MessageId(1),
        key: String::new(),
        line: LineId::new("main"),
        from: Address::Number("+447700900001".into()),
        to: vec![Address::Number("+447700900123".into())],
        message: Message::text(text),
        expires_at: None,
    }
}

pub fn ids(accepted: &Accepted) -> Vec<&str> {
    accepted.network_ids.iter().map(|id| id.as_str()).collect()
}
