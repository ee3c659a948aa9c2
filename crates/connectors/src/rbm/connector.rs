//! The connector: one agent as the rest of the program sees it.

use super::account::{Account, TokenFailure, Tokens};
use super::api::{Api, Failure};
use super::config::Config;
use super::content::LONGEST_TEXT;
use super::reachable::Reachable;
use super::send;
use crate::check::{self, Check};
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

/// How many messages are handed to Google at once.
const AT_ONCE: u32 = 16;
/// How long sends that have begun are waited for when the program stops.
const LAST_SENDS: Duration = Duration::from_secs(4);
/// The first wait before signing in is tried again; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How many numbers, uploads and files that would not come are remembered.
const REMEMBERED: usize = 10_000;

/// A connector for one agent.
pub struct RbmConnector {
    shared: Arc<Shared>,
    stopping: CancellationToken,
    sends: TaskTracker,
}

/// What the parts of a connector share.
pub struct Shared {
    pub id: ConnectorId,
    pub config: Config,
    pub api: Api,
    pub reachable: Reachable,
    pub pulse: Pulse,
    pub media: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub inbox: OnceLock<Arc<dyn Inbox>>,
    memory: Mutex<Memory>,
}

/// What is good to know, and harmless to forget.
pub struct Memory {
    /// Google's names for files, by their digest.
    pub uploads: Recent<(String, Timestamp)>,
    /// The last message from each number.
    pub last_in: Recent<String>,
    /// How often a file would not come, by its message.
    pub fetches: Recent<u32>,
}

impl RbmConnector {
    /// A connector that asks nothing yet. Files that phones send are put into `media_folder`, which is made when the first one comes.
    /// Blocks on the disk when there is a `ca_file`.
    ///
    /// # Errors
    /// The settings cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        media_folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectorError> {
        let failed = |cause: String| ConnectorError {
            connector: id.clone(),
            cause,
            cure: "change the connector's settings".to_owned(),
        };
        config.validate().map_err(|error| failed(error.to_string()))?;
        let account = Account::read(&config.service_account)
            .map_err(|error| failed(format!("service_account: {error}")))?;
        let client = http::client(config.timing.request, config.ca_file.as_deref()).map_err(failed)?;
        let tokens = Tokens::new(account, client.clone(), clock.clone());
        let shared = Shared {
            api: Api::new(&config, client, tokens),
            reachable: Reachable::new(config.capability_age),
            pulse: Pulse::new(id.clone(), clock.clone()),
            media: media_folder.to_owned(),
            clock,
            inbox: OnceLock::new(),
            memory: Mutex::new(Memory {
                uploads: Recent::new(REMEMBERED),
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

    /// Google answered a request of ours.
    pub fn answers(&self) {
        match self.api.tokens.skew() {
            Some(skew) => self.pulse.set(
                Link::Degraded,
                &format!("this machine's clock is {skew} seconds off Google's: set it"),
            ),
            None => self.pulse.connected(),
        }
    }

    /// Notes what a request came to, and passes on what is to be said of it.
    pub fn failed(&self, failure: &Failure, error: SendError) -> SendError {
        let link = match failure {
            Failure::Token(TokenFailure::Refused(_) | TokenFailure::Clock(_)) => Link::Refused,
            Failure::Token(_) | Failure::Unreachable | Failure::NoAnswer => Link::Disconnected,
            Failure::Junk => Link::Degraded,
            Failure::Refused(refusal) => match refusal.status {
                401 => Link::Refused,
                429 | 500.. => Link::Degraded,
                // It answers; what it says is of this message.
                _ => {
                    self.answers();
                    return error;
                }
            },
        };
        self.pulse.set(link, &failure.to_string());
        error
    }

    /// The legs from the contact's phone to this program.
    fn way(&self) -> Vec<Leg> {
        let google = || Place::Provider("Google".to_owned());
        let ours = match self.config.base().starts_with("https:") {
            true => Protection::Transport,
            false => Protection::None,
        };
        // Google says that it is encrypted from the phone to Google, and read there; a carrier's service may be on that way.
        let reported = Evidence::ReportedByProvider;
        vec![
            Leg::new(Place::Phone, Place::Carrier, Protection::Transport, reported),
            Leg::new(Place::Carrier, google(), Protection::Transport, reported),
            Leg::new(google(), Place::Gateway, ours, Evidence::OurOwnEnd),
        ]
    }

    /// Signs in, until it worked once; from then on the traffic shows how it is.
    async fn sign_in(&self) {
        let mut wait = FIRST_WAIT.min(self.config.timing.longest_wait);
        loop {
            match self.api.tokens.token().await {
                Ok(_) => return self.answers(),
                Err(failure) => {
                    let failure = Failure::Token(failure);
                    self.failed(&failure, failure.to_error());
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(self.config.timing.longest_wait);
        }
    }
}

#[async_trait]
impl Connector for RbmConnector {
    fn id(&self) -> &ConnectorId {
        &self.shared.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            networks: vec!["rcs".to_owned()],
            max_text: u32::try_from(LONGEST_TEXT).ok(),
            media: Support::Full,
            rich_cards: Support::Full,
            // They become words with a link; places from phones come as places.
            locations: Support::Partial,
            // Only that somebody began to write.
            typing: Support::Partial,
            delivery_receipts: Support::Full,
            read_receipts: Support::Full,
            marks_read: Support::Full,
            names_messages: true,
            at_once: Some(AT_ONCE),
            way: self.shared.way(),
            revokes: true,
            idempotent_sends: true,
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let shared = &self.shared;
        if shared.config.base().starts_with("http:") {
            tracing::warn!(connector = %shared.id, "no TLS: tokens and all messages travel in clear");
        }
        let _ = shared.inbox.set(inbox);
        tokio::select! {
            () = shared.sign_in() => shutdown.requested().await,
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
impl Check for RbmConnector {
    /// Signs in, and knocks at the API.
    async fn check(&self) -> Result<String, ConnectorError> {
        let Shared { id, api, config, .. } = self.shared.as_ref();
        let tokens = &api.tokens;
        let failed = |cause: String, cure: &str| Err(check::failed(id, cause, cure));
        match tokens.token().await {
            Ok(_) => {}
            Err(TokenFailure::Unreachable | TokenFailure::Later) => {
                // It is asked once more for the reason.
                check::knock(id, "Google's sign-in", api.client(), tokens.place()).await?;
                return failed(
                    format!(
                        "Google's sign-in at {} does not answer as it should",
                        check::host(tokens.place())
                    ),
                    "try again in a while; compare token_uri in the service account's key",
                );
            }
            Err(TokenFailure::Refused(word)) => {
                return failed(
                    format!("Google does not sign in the service account ({word})"),
                    "its key was removed, or is another account's: make a new key in the developer console, and give the file as \
                     service_account_file",
                );
            }
            Err(TokenFailure::Clock(seconds)) => {
                return failed(
                    format!(
                        "Google does not sign us in, since this machine's clock is {seconds} seconds off"
                    ),
                    "set the clock",
                );
            }
        }
        check::knock(id, "Google's API", api.client(), &config.base()).await?;
        let clock = match tokens.skew() {
            Some(seconds) => format!("; this machine's clock is {seconds} seconds off: set it"),
            None => String::new(),
        };
        Ok(format!(
            "Google signs us in{clock}; whether the agent is this account's, the first message shows"
        ))
    }
}

#[async_trait]
impl Webhook for RbmConnector {
    async fn receive(&self, request: Request) -> Response {
        if self.stopping.is_cancelled() {
            return Response::new(503, "stopping");
        }
        super::hook::receive(&self.shared, &request).await
    }
}
