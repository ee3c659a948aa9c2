//! The connector: one sender at Twilio as the rest of the program sees it.

use super::config::Config;
use super::conversations::{Book, Groups};
use super::templates::Templates;
use super::{gap, hook, send};
use crate::check;
use crate::provider::account::{AT_ONCE, Account, settings, way};
use crate::provider::hosted::{Hosted, Service};
use crate::provider::http::ANSWER;
use crate::provider::memory::Kept;
use crate::webhook::{Request, Response};
use async_trait::async_trait;
use reqwest::RequestBuilder;
use std::path::Path;
use std::sync::Arc;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{Accepted, ConnectorError, Outbound, SendError};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::path::{Leg, Place};
use tokio::sync::Notify;

/// The most characters that Twilio takes at once.
const LONGEST_TEXT: u32 = 1600;

/// A connector for one number or RCS sender at Twilio.
pub type TwilioConnector = Hosted<Shared>;

/// What the parts of the connector share.
pub struct Shared {
    pub account: Account,
    pub config: Config,
    pub kept: Kept,
    /// A webhook could not be taken: what it told should be read.
    pub gap: Notify,
    /// Where groups are configured.
    pub groups: Option<Groups>,
    pub templates: Templates,
    ours: Place,
}

impl Hosted<Shared> {
    /// A connector that asks nothing yet. `state_folder` is its own, and is made; files that come lie below it. `ours`: where this program
    /// runs, the gateway or the user's device. Blocks on the disk.
    ///
    /// # Errors
    /// The settings or what lies in the folder cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        state_folder: &Path,
        ours: Place,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectorError> {
        config.validate().map_err(|error| settings(&id, error))?;
        let kept = Kept::open(state_folder, &id)?;
        let templates = Templates::open(state_folder, &id)?;
        let groups = match &config.conversations {
            Some(conversations) => Some(Groups {
                config: conversations.clone(),
                book: Book::open(state_folder, &id)?,
            }),
            None => None,
        };
        let account = Account::new(
            id,
            clock,
            config.ca_file.as_deref(),
            config.timing.request,
            state_folder.join("media"),
        )?;
        Ok(Self(Arc::new(Shared {
            account,
            config,
            kept,
            gap: Notify::new(),
            groups,
            templates,
            ours,
        })))
    }
}

impl Shared {
    /// The whole address of something of the account's.
    pub fn of_account(&self, path: &str) -> String {
        let base = self.config.url.trim_end_matches('/');
        format!("{base}/2010-04-01/Accounts/{}{path}", self.config.account_sid)
    }

    /// Gives the request the account's credentials.
    pub fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.config.api_key {
            Some(key) => request.basic_auth(key, Some(self.config.api_secret.expose())),
            None => request.basic_auth(&self.config.account_sid, Some(self.config.auth_token.expose())),
        }
    }

    /// The legs of a message, by whichever channel it came.
    pub fn way(&self, rcs: bool) -> Vec<Leg> {
        let urls = [self.config.url.as_str(), self.config.public_url.as_str()];
        way("Twilio", rcs, &self.ours, &urls)
    }
}

#[async_trait]
impl Service for Shared {
    /// Files are told by their addresses.
    const LARGEST_BODY: usize = 256 << 10;

    fn account(&self) -> &Account {
        &self.account
    }

    fn url(&self) -> String {
        self.config.url.clone()
    }

    fn capabilities(&self) -> Capabilities {
        let config = &self.config;
        let networks: &[&str] = match config.is_rcs() {
            true => &["rcs"],
            false => &["sms", "mms"],
        };
        let receipts = match config.receipts {
            true => Support::Full,
            false => Support::Absent,
        };
        Capabilities {
            networks: networks.iter().map(|&network| network.to_owned()).collect(),
            max_text: Some(LONGEST_TEXT),
            // By SMS only some countries and carriers take files.
            media: match config.is_rcs() {
                true => Support::Full,
                false => Support::Partial,
            },
            media_links: true,
            // Nine people besides us, in the United States and Canada. Their files are kept at Twilio before they are sent.
            groups: match config.conversations {
                Some(_) => Support::Partial,
                None => Support::Absent,
            },
            files_in_groups: true,
            rich_cards: match config.is_rcs() {
                true => Support::Full,
                false => Support::Absent,
            },
            delivery_receipts: receipts,
            read_receipts: match config.is_rcs() {
                true => receipts,
                false => Support::Absent,
            },
            at_once: Some(AT_ONCE),
            way: self.way(config.is_rcs()),
            ..Capabilities::default()
        }
    }

    async fn work(&self) {
        gap::run(self).await;
    }

    fn close(&self) {
        if let Err(error) = self.kept.write() {
            tracing::warn!(connector = %self.account.id, %error, "what was read last is read once more after the start");
        }
    }

    async fn send(&self, outbound: &Outbound) -> Result<Accepted, SendError> {
        send::send(self, outbound).await
    }

    async fn receive(&self, request: &Request) -> Response {
        hook::receive(self, request).await
    }

    /// Looks at the newest message of the account.
    async fn check(&self) -> Result<String, ConnectorError> {
        let shared = self;
        let (id, url) = (&shared.account.id, shared.of_account("/Messages.json?PageSize=1"));
        let request = shared.authorised(shared.account.http.get(&url));
        let (status, _) = check::ask(id, "Twilio", request, ANSWER).await?;
        match status {
            200..300 => Ok("Twilio takes the account's credentials".to_owned()),
            401 | 403 => Err(check::failed(
                id,
                "Twilio refuses the account's credentials",
                match &shared.config.api_key {
                    Some(_) => {
                        "compare api_key and api_secret with Twilio's console, and account_sid with the account that they are of"
                    }
                    None => "compare account_sid and auth_token with Twilio's console",
                },
            )),
            404 => Err(check::failed(
                id,
                "Twilio has no such account there",
                "compare account_sid with Twilio's console, and url with the region that the account is in",
            )),
            status => Err(check::odd(id, "Twilio", status)),
        }
    }
}
