//! The connector: one agent as the rest of the program sees it.

use super::account::{self, Tokens};
use super::api::{Api, WORDS};
use super::config::Config;
use super::content::LONGEST_TEXT;
use super::reachable::Reachable;
use super::{hook, send};
use crate::check;
use crate::provider::account::{AT_ONCE, Account, settings};
use crate::provider::hosted::{Hosted, Service};
use crate::rcs::api::{Failure, NoToken, Tokens as _};
use crate::rcs::files::Files;
use crate::rcs::recent::Recent;
use crate::webhook::{Request, Response};
use async_trait::async_trait;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{
    Accepted, ConnectorError, Outbound, Reach, Revocation, Revoked, SendError, Signal,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::time::sleep;

/// The first wait before signing in is tried again; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How many numbers and uploads are remembered.
const REMEMBERED: usize = 10_000;

/// A connector for one agent.
pub type RbmConnector = Hosted<Shared>;

/// What the parts of a connector share.
pub struct Shared {
    pub account: Account,
    pub config: Config,
    pub api: Api,
    pub files: Files,
    pub reachable: Reachable,
    tokens: Arc<Tokens>,
    memory: Mutex<Memory>,
}

/// What is good to know, and harmless to forget.
pub struct Memory {
    /// Google's names for files, by their digest.
    pub uploads: Recent<(String, Timestamp)>,
    /// The last message from each number.
    pub last_in: Recent<String>,
}

impl Hosted<Shared> {
    /// A connector that asks nothing yet. `state_folder` is its own; files that phones send lie below it. Blocks on the disk when there is
    /// a `ca_file`.
    ///
    /// # Errors
    /// The settings cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        state_folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectorError> {
        config.validate().map_err(|error| settings(&id, error))?;
        let key = account::Account::read(&config.service_account)
            .map_err(|error| settings(&id, format!("service_account: {error}")))?;
        let account = Account::new(
            id,
            clock.clone(),
            config.ca_file.as_deref(),
            config.timing.request,
            state_folder.join("media"),
        )?;
        let tokens = Arc::new(Tokens::new(key, account.http.clone(), clock));
        Ok(Self(Arc::new(Shared {
            api: Api::new(&config, account.http.clone(), tokens.clone()),
            files: Files::new(&config.base(), config.largest_file, config.timing.file),
            reachable: Reachable::new(config.capability_age),
            tokens,
            memory: Mutex::new(Memory {
                uploads: Recent::new(REMEMBERED),
                last_in: Recent::new(REMEMBERED),
            }),
            account,
            config,
        })))
    }
}

impl Shared {
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Google answered a request of ours.
    pub fn answers(&self) {
        let skew = self
            .tokens
            .skew()
            .map(|skew| format!("this machine's clock is {skew} seconds off Google's: set it"));
        self.account.connected(skew.as_deref());
    }

    /// Notes what a request came to, and passes on what is to be said of it.
    pub fn failed(&self, failure: &Failure, error: SendError) -> SendError {
        if !failure.note(&self.account) {
            self.answers();
        }
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
            match self.tokens.token().await {
                Ok(_) => return self.answers(),
                Err(error) => _ = Failure::token(&WORDS, error).note(&self.account),
            }
            sleep(wait).await;
            wait = (wait * 2).min(self.config.timing.longest_wait);
        }
    }
}

#[async_trait]
impl Service for Shared {
    fn account(&self) -> &Account {
        &self.account
    }

    fn url(&self) -> String {
        self.config.base()
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
            way: self.way(),
            revokes: true,
            idempotent_sends: true,
            ..Capabilities::default()
        }
    }

    async fn work(&self) {
        self.sign_in().await;
        std::future::pending().await
    }

    async fn send(&self, outbound: &Outbound) -> Result<Accepted, SendError> {
        send::send(self, outbound).await
    }

    async fn signal(&self, signal: &Signal) {
        send::signal(self, signal).await;
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, SendError> {
        send::revoke(self, revocation).await
    }

    async fn reach(&self, addresses: &[Address]) -> Vec<Reach> {
        send::reach(self, addresses).await
    }

    async fn receive(&self, request: &Request) -> Response {
        hook::receive(self, request).await
    }

    /// Signs in, and knocks at the API.
    async fn check(&self) -> Result<String, ConnectorError> {
        let (id, client) = (&self.account.id, self.account.http.client());
        let place = self.tokens.place();
        match self.tokens.token().await {
            Ok(_) => {}
            Err(NoToken::Later(_)) => {
                // It is asked once more for the reason.
                check::knock(id, "Google's sign-in", client, place).await?;
                return Err(check::failed(
                    id,
                    format!(
                        "Google's sign-in at {} does not answer as it should",
                        check::host(place)
                    ),
                    "try again in a while; compare token_uri in the service account's key",
                ));
            }
            Err(NoToken::Refused(words)) => {
                let (cause, cure) = words
                    .split_once(": ")
                    .unwrap_or((&words, "look at the service account"));
                return Err(check::failed(id, cause, cure));
            }
        }
        check::knock(id, "Google's API", client, &self.config.base()).await?;
        let clock = match self.tokens.skew() {
            Some(seconds) => format!("; this machine's clock is {seconds} seconds off: set it"),
            None => String::new(),
        };
        Ok(format!(
            "Google signs us in{clock}; whether the agent is this account's, the first message shows"
        ))
    }
}
