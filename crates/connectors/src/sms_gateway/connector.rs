//! The connector: one phone with the app as the rest of the program sees it.

use super::api::{Api, Failure};
use super::config::Config;
use super::memory::Kept;
use super::{hook, send, watch};
use crate::journal::{Journal, JournalError};
use crate::provider::account::{Account, settings};
use crate::provider::hosted::{Hosted, Service};
use crate::provider::http::Http;
use crate::webhook::{Request, Response};
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Entropy};
use swingbridge_domain::connector::{Accepted, ConnectorError, Outbound, Revocation, Revoked, SendError};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::sync::Notify;

/// How many messages are handed to the app at once.
const AT_ONCE: u32 = 4;
/// Phones drop idle connections early.
const IDLE: Duration = Duration::from_secs(5);

/// What this program is, on the way from the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The user's own device, beside the phone.
    Device,
    /// A gateway of several users.
    Gateway,
}

/// A connector for one phone with the app.
pub type SmsGatewayConnector = Hosted<Shared>;

/// What the parts of a connector share.
pub struct Shared {
    pub account: Account,
    pub config: Config,
    pub api: Api,
    pub kept: Kept,
    /// Arrivals are handed in one after the other, so that two tellings of one meet in the memory.
    pub turn: tokio::sync::Mutex<()>,
    /// The app should be asked from further back: there was a gap.
    pub gap: Notify,
    place: Where,
}

impl Hosted<Shared> {
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
        config.validate().map_err(|error| settings(&id, error))?;
        let http = Http::new(config.ca_file.as_deref(), config.timing.request, IDLE)
            .map_err(|cause| settings(&id, cause))?;
        let kept = Journal::in_folder(state_folder, "memory.json")
            .and_then(|file| Kept::open(file, entropy))
            .map_err(|error| ConnectorError {
                connector: id.clone(),
                cause: error.to_string(),
                cure: match &error {
                    JournalError::Io { .. } => "look at the disk and at who may write there",
                    JournalError::Content { .. } => {
                        "put the file back from a backup, or remove it: then the app is read as at the first start"
                    }
                }
                .to_owned(),
            })?;
        Ok(Self(Arc::new(Shared {
            account: Account::with(id, clock, http.clone(), state_folder.join("media")),
            api: Api::new(&config, http),
            config,
            kept,
            turn: tokio::sync::Mutex::default(),
            gap: Notify::new(),
            place,
        })))
    }
}

impl Shared {
    pub fn failed(&self, failure: &Failure) {
        match failure {
            Failure::Refused => self.account.refused(&failure.to_string()),
            _ => self.account.disconnected(&failure.to_string()),
        }
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
impl Service for Shared {
    /// An MMS comes whole, in base64.
    const LARGEST_BODY: usize = 16 << 20;

    fn account(&self) -> &Account {
        &self.account
    }

    fn url(&self) -> String {
        self.config.url.clone()
    }

    fn capabilities(&self) -> Capabilities {
        let receipts = match self.config.receipts {
            true => Support::Full,
            false => Support::Absent,
        };
        let media = match self.config.mms {
            true => Support::Full,
            false => Support::Absent,
        };
        Capabilities {
            networks: vec!["sms".to_owned(), "mms".to_owned()],
            media,
            delivery_receipts: receipts,
            at_once: Some(AT_ONCE),
            way: self.way(),
            revokes: true,
            idempotent_sends: true,
            ..Capabilities::default()
        }
    }

    async fn work(&self) {
        watch::run(self).await;
    }

    async fn send(&self, outbound: &Outbound) -> Result<Accepted, SendError> {
        send::send(self, outbound).await
    }

    async fn revoke(&self, revocation: &Revocation) -> Result<Revoked, SendError> {
        send::revoke(self, revocation).await
    }

    async fn receive(&self, request: &Request) -> Response {
        hook::receive(self, request).await
    }
}
