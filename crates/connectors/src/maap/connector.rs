//! The connector: one bot as the rest of the program sees it.

use super::api::Api;
use super::config::Config;
use super::kept::Kept;
use super::token::Tokens;
use super::{hook, send};
use crate::check;
use crate::journal::Journal;
use crate::provider::account::{Account, settings};
use crate::provider::hosted::{Hosted, Service};
use crate::rcs::api::{Failure, NoToken};
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
    Accepted, ConnectorError, Link, Outbound, Reach, Revocation, Revoked, SendError, Signal,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::time::sleep;

/// How many messages are handed to the platform at once.
const AT_ONCE: u32 = 8;
const REMEMBERED: usize = 10_000;
/// The waits before a platform that does not answer is asked again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// No message has this id.
const NONE: &str = "swingbridge-check";
const TAKEN: &str = "the platform answers, and does not refuse the bot's token";

/// A connector for one bot.
pub type MaapConnector = Hosted<Shared>;

/// What the parts of a connector share.
pub struct Shared {
    pub account: Account,
    pub config: Config,
    pub api: Api,
    pub files: Files,
    pub kept: Kept,
    memory: Mutex<Memory>,
}

/// What is good to know, and harmless to forget.
pub struct Memory {
    pub capable: Recent<(bool, Timestamp)>,
    /// The last message from each number.
    pub last_in: Recent<String>,
}

impl Hosted<Shared> {
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
        config.validate().map_err(|error| settings(&id, error))?;
        let kept = Journal::in_folder(state_folder, "messages.json")
            .and_then(Kept::open)
            .map_err(|error| ConnectorError {
                connector: id.clone(),
                cause: error.to_string(),
                cure: "look at the disk, or remove the file: then taps on old buttons are no answers"
                    .to_owned(),
            })?;
        let account = Account::new(
            id,
            clock.clone(),
            config.ca_file.as_deref(),
            config.timing.request,
            state_folder.join("media"),
        )?;
        let tokens = Tokens::new(&config, account.http.clone(), clock);
        Ok(Self(Arc::new(Shared {
            api: Api::new(&config, account.http.clone(), Arc::new(tokens)),
            files: Files::new(&config.url, config.largest_file, config.timing.file),
            kept,
            memory: Mutex::new(Memory {
                capable: Recent::new(REMEMBERED),
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

    /// Notes what a request came to, and passes on what is to be said of it.
    pub fn failed(&self, failure: &Failure, error: SendError) -> SendError {
        if !failure.note(&self.account) {
            self.account.connected(None);
        }
        error
    }

    /// Asks whether the platform is there, until it says so once; from then on the traffic shows how it is.
    async fn greet(&self) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.api.state(NONE).await {
                Ok(_) => return self.account.connected(None),
                Err(failure) => {
                    self.failed(&failure, failure.before_sending());
                    // That there is no such message is an answer.
                    if self.account.health().state == Link::Connected {
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
impl Service for Shared {
    fn account(&self) -> &Account {
        &self.account
    }

    fn url(&self) -> String {
        self.config.url.clone()
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
            way: self.way(),
            revokes: true,
            ..Capabilities::default()
        }
    }

    async fn work(&self) {
        self.greet().await;
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

    /// Asks after a message that is not there: only whom the platform knows is told so.
    async fn check(&self) -> Result<String, ConnectorError> {
        let (id, url) = (&self.account.id, &self.config.url);
        let failed = |cause: String, cure: &str| Err(check::failed(id, cause, cure));
        let failure = match self.api.state(NONE).await {
            Ok(_) => return Ok(TAKEN.to_owned()),
            Err(failure) if failure.status() == Some(404) => return Ok(TAKEN.to_owned()),
            Err(failure) => failure,
        };
        if failure.is_junk() {
            return failed(
                format!("what answers at {} is no such platform", check::host(url)),
                "compare url with what the operator gave",
            );
        }
        if let Some(no_token) = failure.no_token() {
            let place = self.config.oauth.as_ref().map(|oauth| oauth.token_url.as_str());
            let place = place.unwrap_or_default();
            if let NoToken::Refused(words) = no_token {
                return failed(
                    words.clone(),
                    "compare both, and token_url, with what the operator gave",
                );
            }
            check::knock(id, "the operator's sign-in", self.account.http.client(), place).await?;
            return failed(
                format!(
                    "the operator's sign-in at {} does not answer as it should",
                    check::host(place)
                ),
                "compare oauth.token_url with what the operator gave",
            );
        }
        match failure.status() {
            Some(401 | 403) => failed(
                "the platform refuses the bot's token".to_owned(),
                "compare token and bot_id with what the operator gave; where tokens end, use oauth",
            ),
            Some(status) => Err(check::odd(id, "the platform", status)),
            None => {
                check::knock(id, "the platform", self.account.http.client(), url).await?;
                failed(
                    format!("the platform at {} did not answer", check::host(url)),
                    "try again; if it stays so, ask the operator",
                )
            }
        }
    }
}
