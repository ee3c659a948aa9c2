//! Connectors of a user's own device at work: started, killed, started again over the same folder.

use crate::harness::{NOW, Recorder};
use crate::smsc::SOON;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Link, Outbound, SendError, Shutdown,
};
use swingbridge_domain::id::{LineId, MessageId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, InboundMessage, What};
use swingbridge_domain::message::Message;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub const OWN: &str = "+447700900001";
pub const BOB: &str = "+447700900123";

pub struct Stopped(pub Timestamp);
impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(Stopped(NOW))
}

/// The same in each run.
pub struct Fixed(pub u8);
impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

pub struct Device<C> {
    pub connector: Arc<C>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ConnectorError>>,
}

impl<C: Connector + 'static> Device<C> {
    pub fn run(connector: C, inbox: Arc<Recorder>) -> Self {
        let connector = Arc::new(connector);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = Shutdown::when(async move {
            let _ = stopped.await;
        });
        let task = tokio::spawn(connector.clone().run(inbox, shutdown));
        Self {
            connector,
            stop: Some(stop),
            task,
        }
    }

    pub fn send(&self, outbound: Outbound) -> JoinHandle<Result<Accepted, SendError>> {
        let connector = self.connector.clone();
        tokio::spawn(async move { connector.send(outbound).await })
    }

    pub async fn until(&self, link: Link, detail: &str) {
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

    /// As a crash: at whatever point it is.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub async fn stop(mut self) {
        self.stop.take();
        timeout(SOON, self.task)
            .await
            .expect("it to stop")
            .unwrap()
            .unwrap();
    }
}

/// What the store would have kept: what was handed in before is passed over.
pub fn kept(arrivals: &[Arrival]) -> Vec<InboundMessage> {
    let mut kept: BTreeMap<String, InboundMessage> = BTreeMap::new();
    let mut order = Vec::new();
    for arrival in arrivals {
        let (Dedupe::Id { scope, id }, What::Network(Inbound::Message(message))) =
            (&arrival.dedupe, &arrival.what)
        else {
            continue;
        };
        let id = format!("{scope} {id}");
        if let std::collections::btree_map::Entry::Vacant(place) = kept.entry(id.clone()) {
            place.insert(message.clone());
            order.push(id);
        }
    }
    order.iter().filter_map(|id| kept.remove(id)).collect()
}

pub fn bodies(messages: &[InboundMessage]) -> Vec<String> {
    let text = |message: &InboundMessage| message.message.first_text().map(|text| text.plain.clone());
    messages.iter().filter_map(text).collect()
}

pub fn outbound(id: i64, to: &str, text: &str) -> Outbound {
    Outbound {
        id: MessageId(id),
        key: String::new(),
        line: LineId::new("phone"),
        from: Address::Number(OWN.into()),
        to: vec![Address::Number(to.into())],
        message: Message::text(text),
        expires_at: None,
    }
}
