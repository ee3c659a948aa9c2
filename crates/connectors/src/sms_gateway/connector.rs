//! The connector: one phone with the app as the rest of the program sees it.

use super::api::{Api, Failure};
use super::config::Config;
use super::memory::Kept;
use super::{send, watch};
use crate::journal::{Journal, JournalError};
use crate::webhook::{Request, Response, Webhook};
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Link, Outbound, SendError, Shutdown,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many messages are handed to the app at once.
const AT_ONCE: u32 = 4;
/// How long sends that have begun are waited for when the program stops.
const LAST_SENDS: Duration = Duration::from_secs(4);

/// What this program is, on the way from the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The user's own device, beside the phone.
    Device,
    /// A gateway of several users.
    Gateway,
}

/// A connector for one phone with the app.
pub struct SmsGatewayConnector {
    shared: Arc<Shared>,
    stopping: CancellationToken,
    sends: TaskTracker,
}

/// What the parts of a connector share.
pub struct Shared {
    pub id: ConnectorId,
    pub config: Config,
    pub api: Api,
    pub kept: Kept,
    pub media: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub inbox: OnceLock<Arc<dyn Inbox>>,
    /// Arrivals are handed in one after the other, so that two tellings of one meet in the memory.
    pub turn: tokio::sync::Mutex<()>,
    /// The app should be asked from further back: there was a gap.
    pub gap: Notify,
    place: Where,
    state: Mutex<State>,
}

struct State {
    link: Link,
    detail: String,
    last_traffic: Option<Timestamp>,
}

impl SmsGatewayConnector {
    /// A connector that asks nothing yet. `state_folder` is its own, and is made; MMS attachments lie below it. Blocks on the disk.
    ///
    /// # Errors
    /// The settings or what lies in the folder cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        state_folder: &Path,
        place: Where,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Self, ConnectorError> {
        let failed = |cause: String, cure: &str| ConnectorError {
            connector: id.clone(),
            cause,
            cure: cure.to_owned(),
        };
        const SETTINGS: &str = "change the connector's settings";
        config
            .validate()
            .map_err(|error| failed(error.to_string(), SETTINGS))?;
        let api = Api::new(&config).map_err(|error| failed(error.to_string(), SETTINGS))?;
        let kept = Journal::in_folder(state_folder, "memory.json")
            .and_then(|file| Kept::open(file, entropy))
            .map_err(|error| match &error {
                JournalError::Io { .. } => {
                    failed(error.to_string(), "look at the disk and at who may write there")
                }
                JournalError::Content { .. } => failed(
                    error.to_string(),
                    "put the file back from a backup, or remove it: then the app is read as at the first start",
                ),
            })?;
        let shared = Shared {
            id,
            config,
            api,
            kept,
            media: state_folder.join("media"),
            clock,
            inbox: OnceLock::new(),
            turn: tokio::sync::Mutex::default(),
            gap: Notify::new(),
            place,
            state: Mutex::new(State {
                link: Link::Disconnected,
                detail: "the app has not been asked yet".to_owned(),
                last_traffic: None,
            }),
        };
        Ok(Self {
            shared: Arc::new(shared),
            stopping: CancellationToken::new(),
            sends: TaskTracker::new(),
        })
    }
}

impl Shared {
    pub fn connected(&self, problem: Option<&str>) {
        let link = match problem {
            Some(_) => Link::Degraded,
            None => Link::Connected,
        };
        self.set(link, problem.unwrap_or_default());
    }

    pub fn failed(&self, failure: &Failure) {
        let link = match failure {
            Failure::Refused => Link::Refused,
            _ => Link::Disconnected,
        };
        self.set(link, &failure.to_string());
    }

    fn set(&self, link: Link, detail: &str) {
        let mut state = self.state();
        // Said once, not with each try.
        if state.link != link || state.detail != detail {
            match link {
                Link::Connected => tracing::info!(connector = %self.id, "the app answers"),
                Link::Refused => tracing::error!(connector = %self.id, "{detail}"),
                _ => tracing::warn!(connector = %self.id, "{detail}"),
            }
        }
        state.link = link;
        detail.clone_into(&mut state.detail);
    }

    pub fn traffic(&self) {
        let now = self.clock.now();
        self.state().last_traffic = Some(now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The legs from the contact's phone to this program.
    fn way(&self) -> Vec<Leg> {
        let ours = match self.place {
            Where::Device => Place::Device,
            Where::Gateway => Place::Gateway,
        };
        // Both directions count: what the app calls us by may be weaker than what we call it by.
        let secure = |url: &str| url.starts_with("https:");
        let hook = self.config.webhook_url.as_deref();
        let link = match secure(&self.config.url) && hook.is_none_or(secure) {
            true => Protection::Transport,
            false => Protection::None,
        };
        let mut way = vec![
            Leg::new(
                Place::Phone,
                Place::Carrier,
                Protection::None,
                Evidence::NetworkCannot,
            ),
            // What protects the radio link to the phone is not told to programs.
            Leg::new(Place::Carrier, Place::Device, Protection::Unknown, Evidence::None),
        ];
        match (&self.config.device_id, self.place) {
            (Some(_), _) => {
                let server = Place::Provider("the server of the SMS Gateway app".to_owned());
                way.push(Leg::new(
                    Place::Device,
                    server.clone(),
                    Protection::Unknown,
                    Evidence::None,
                ));
                way.push(Leg::new(server, ours, link, Evidence::OurOwnEnd));
            }
            (None, Where::Gateway) => way.push(Leg::new(Place::Device, ours, link, Evidence::OurOwnEnd)),
            // The phone and what stands beside it are the user's own; the wire between them is not shown.
            (None, Where::Device) => {}
        }
        way
    }
}

#[async_trait]
impl Connector for SmsGatewayConnector {
    fn id(&self) -> &ConnectorId {
        &self.shared.id
    }

    fn capabilities(&self) -> Capabilities {
        let receipts = match self.shared.config.receipts {
            true => Support::Full,
            false => Support::Absent,
        };
        Capabilities {
            networks: vec!["sms".to_owned(), "mms".to_owned()],
            delivery_receipts: receipts,
            at_once: Some(AT_ONCE),
            way: self.shared.way(),
            idempotent_sends: true,
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let shared = &self.shared;
        if shared.config.url.starts_with("http:") {
            tracing::warn!(connector = %shared.id, "no TLS: the app's password and all texts travel in clear to it");
        }
        let _ = shared.inbox.set(inbox.clone());
        tokio::select! {
            () = watch::run(shared, &*inbox) => {}
            () = shutdown.requested() => {}
        }
        self.stopping.cancel();
        self.sends.close();
        let _ = timeout(LAST_SENDS, self.sends.wait()).await;
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        let _sending = self.sends.token();
        if self.stopping.is_cancelled() {
            return Err(SendError::RetryAfter {
                delay: Duration::from_secs(1),
                detail: "the program is stopping".to_owned(),
                counts: false,
            });
        }
        send::send(&self.shared, &outbound).await
    }

    async fn probe(&self) -> Health {
        let state = self.shared.state();
        Health {
            state: state.link,
            detail: state.detail.clone(),
            last_traffic: state.last_traffic,
        }
    }
}

#[async_trait]
impl Webhook for SmsGatewayConnector {
    async fn receive(&self, request: Request) -> Response {
        if self.stopping.is_cancelled() {
            return Response::new(503, "stopping");
        }
        super::hook::receive(&self.shared, &request).await
    }

    /// An MMS comes whole, in base64.
    fn largest_body(&self) -> usize {
        16 << 20
    }
}
