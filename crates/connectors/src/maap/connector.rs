//! The connector: one bot as the rest of the program sees it.

use super::api::{Api, Failure};
use super::config::Config;
use super::kept::Kept;
use super::send;
use super::token::{TokenFailure, Tokens};
use crate::check::{self, Check};
use crate::journal::Journal;
use crate::rcs::http;
use crate::rcs::pulse::Pulse;
use crate::rcs::recent::Recent;
use crate::webhook::{Request, Response, Webhook};
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Link, Outbound, Reach, Revocation, Revoked, SendError,
    Shutdown, Signal,
};
use swingbridge_domain::id::{ConnectorId, LineId};
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many messages are handed to the platform at once.
const AT_ONCE: u32 = 8;
/// How long sends that have begun are waited for when the program stops.
const LAST_SENDS: Duration = Duration::from_secs(4);
const REMEMBERED: usize = 10_000;
/// The waits before a platform that does not answer is asked again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// No message has this id.
const NONE: &str = "swingbridge-check";

/// A connector for one bot.
pub struct MaapConnector {
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
    pub pulse: Pulse,
    pub media: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub inbox: OnceLock<Arc<dyn Inbox>>,
    memory: Mutex<Memory>,
}

/// What is good to know, and harmless to forget.
pub struct Memory {
    pub capable: Recent<(bool, Timestamp)>,
    /// The last message from each number.
    pub last_in: Recent<String>,
    /// How often a file would not come, by its message.
    pub fetches: Recent<u32>,
}

impl MaapConnector {
    /// A connector that asks nothing yet. `state_folder` is its own, and is made; files that phones send lie below it. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// The settings or what lies in the folder cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        state_folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectorError> {
        const SETTINGS: &str = "change the connector's settings";
        let failed = |cause: String, cure: &str| ConnectorError {
            connector: id.clone(),
            cause,
            cure: cure.to_owned(),
        };
        config
            .validate()
            .map_err(|error| failed(error.to_string(), SETTINGS))?;
        let client = http::client(config.timing.request, config.ca_file.as_deref())
            .map_err(|error| failed(error, SETTINGS))?;
        let kept = Journal::in_folder(state_folder, "messages.json")
            .and_then(Kept::open)
            .map_err(|error| {
                let cure = "look at the disk, or remove the file: then taps on old buttons are no answers";
                failed(error.to_string(), cure)
            })?;
        let tokens = Tokens::new(&config, client.clone(), clock.clone());
        let shared = Shared {
            api: Api::new(&config, client, tokens),
            kept,
            pulse: Pulse::new(id.clone(), clock.clone()),
            media: state_folder.join("media"),
            clock,
            inbox: OnceLock::new(),
            memory: Mutex::new(Memory {
                capable: Recent::new(REMEMBERED),
                last_in: Recent::new(REMEMBERED),
                fetches: Recent::new(REMEMBERED),
            }),
            id,
            config,
        };
        Ok(Self {
            shared: Arc::new(shared),
            stopping: CancellationToken::new(),
            sends: TaskTracker::new(),
        })
    }
}

impl Shared {
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a request came to, and passes on what is to be said of it.
    pub fn failed(&self, failure: &Failure, error: SendError) -> SendError {
        let link = match failure {
            Failure::Token(TokenFailure::Refused) | Failure::Refused { status: 401, .. } => Link::Refused,
            Failure::Token(TokenFailure::Later) | Failure::Unreachable | Failure::NoAnswer => {
                Link::Disconnected
            }
            Failure::Junk
            | Failure::Refused {
                status: 429 | 500.., ..
            } => Link::Degraded,
            Failure::Refused { .. } => {
                self.pulse.connected();
                return error;
            }
        };
        self.pulse.set(link, &failure.to_string());
        error
    }

    /// Asks whether the platform is there, until it says so once; from then on the traffic shows how it is.
    async fn greet(&self) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.api.state(NONE).await {
                Ok(_) => return self.pulse.connected(),
                Err(failure) => {
                    self.failed(&failure, failure.before_sending());
                    // That there is no such message is an answer.
                    if self.pulse.health().state == Link::Connected {
                        return;
                    }
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// The legs from the contact's phone to this program.
    fn way(&self) -> Vec<Leg> {
        let secure = self.config.url.starts_with("https:");
        let ours = if secure {
            Protection::Transport
        } else {
            Protection::None
        };
        vec![
            // Nobody tells what protects it there; the operator reads it.
            Leg::new(Place::Phone, Place::Carrier, Protection::Unknown, Evidence::None),
            Leg::new(Place::Carrier, Place::Gateway, ours, Evidence::OurOwnEnd),
        ]
    }
}

#[async_trait]
impl Connector for MaapConnector {
    fn id(&self) -> &ConnectorId {
        &self.shared.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            networks: vec!["rcs".to_owned()],
            media: Support::Full,
            rich_cards: Support::Full,
            locations: Support::Full,
            typing: Support::Full,
            delivery_receipts: Support::Full,
            read_receipts: Support::Full,
            marks_read: Support::Full,
            names_messages: true,
            at_once: Some(AT_ONCE),
            way: self.shared.way(),
            revokes: true,
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let shared = &self.shared;
        if shared.config.url.starts_with("http:") {
            tracing::warn!(connector = %shared.id, "no TLS: the token and all messages travel in clear");
        }
        let _ = shared.inbox.set(inbox);
        tokio::select! {
            () = shared.greet() => shutdown.requested().await,
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

    async fn signal(&self, signal: Signal) {
        send::signal(&self.shared, &signal).await;
    }

    async fn revoke(&self, revocation: Revocation) -> Result<Revoked, SendError> {
        send::revoke(&self.shared, &revocation).await
    }

    async fn reach(&self, _line: &LineId, addresses: &[Address]) -> Vec<Reach> {
        send::reach(&self.shared, addresses).await
    }

    async fn probe(&self) -> Health {
        self.shared.pulse.health()
    }
}

#[async_trait]
impl Check for MaapConnector {
    /// Asks after a message that is not there: only whom the platform knows is told so.
    async fn check(&self) -> Result<String, ConnectorError> {
        let Shared { id, api, config, .. } = self.shared.as_ref();
        let failed = |cause: String, cure: &str| Err(check::failed(id, cause, cure));
        let sign_in = config.oauth.as_ref().map(|oauth| oauth.token_url.as_str());
        match api.state(NONE).await {
            Ok(_) | Err(Failure::Refused { status: 404, .. }) => {
                Ok("the platform answers, and does not refuse the bot's token".to_owned())
            }
            Err(Failure::Junk) => failed(
                format!("what answers at {} is no such platform", check::host(&config.url)),
                "compare url with what the operator gave",
            ),
            Err(Failure::Token(TokenFailure::Refused)) => failed(
                "the operator's sign-in refuses client_id or client_secret".to_owned(),
                "compare both, and token_url, with what the operator gave",
            ),
            Err(Failure::Token(TokenFailure::Later)) => {
                let url = sign_in.unwrap_or_default();
                check::knock(id, "the operator's sign-in", api.client(), url).await?;
                failed(
                    format!(
                        "the operator's sign-in at {} does not answer as it should",
                        check::host(url)
                    ),
                    "compare oauth.token_url with what the operator gave",
                )
            }
            Err(Failure::Refused {
                status: 401 | 403, ..
            }) => failed(
                "the platform refuses the bot's token".to_owned(),
                "compare token and bot_id with what the operator gave; where tokens end, use oauth",
            ),
            Err(Failure::Refused { status, .. }) => Err(check::odd(id, "the platform", status)),
            Err(Failure::Unreachable | Failure::NoAnswer) => {
                check::knock(id, "the platform", api.client(), &config.url).await?;
                failed(
                    format!("the platform at {} did not answer", check::host(&config.url)),
                    "try again; if it stays so, ask the operator",
                )
            }
        }
    }
}

#[async_trait]
impl Webhook for MaapConnector {
    async fn receive(&self, request: Request) -> Response {
        if self.stopping.is_cancelled() {
            return Response::new(503, "stopping");
        }
        super::hook::receive(&self.shared, &request).await
    }
}
