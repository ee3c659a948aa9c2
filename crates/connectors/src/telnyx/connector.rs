//! The connector: one number at Telnyx as the rest of the program sees it.

use super::config::Config;
use super::{hook, send, watch};
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
use swingbridge_domain::path::Place;

/// Ten segments in the GSM alphabet.
const LONGEST_TEXT: u32 = 1530;

/// A connector for one number at Telnyx.
pub type TelnyxConnector = Hosted<Shared>;

/// What the parts of the connector share.
pub struct Shared {
    pub account: Account,
    pub config: Config,
    pub kept: Kept,
    pub key: [u8; 32],
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
        let account = Account::new(
            id,
            clock,
            config.ca_file.as_deref(),
            config.timing.request,
            state_folder.join("media"),
        )?;
        let key = config.key().unwrap_or_default();
        Ok(Self(Arc::new(Shared {
            account,
            config,
            kept,
            key,
            ours,
        })))
    }
}

impl Shared {
    pub fn at(&self, path: &str) -> String {
        format!("{}/v2{path}", self.config.url.trim_end_matches('/'))
    }

    pub fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(self.config.api_key.expose())
    }

    pub fn refused(&self) -> &'static str {
        let detail = "Telnyx refuses the account's credentials: compare api_key with the portal";
        self.account.refused(detail);
        detail
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
        Capabilities {
            networks: vec!["sms".to_owned(), "mms".to_owned()],
            max_text: Some(LONGEST_TEXT),
            // Only some countries and carriers take files, and under 1 MB.
            media: Support::Partial,
            media_links: true,
            // Eight people besides us, in the United States and Canada.
            groups: Support::Partial,
            delivery_receipts: match config.receipts {
                true => Support::Full,
                false => Support::Absent,
            },
            at_once: Some(AT_ONCE),
            way: way(
                "Telnyx",
                false,
                &self.ours,
                &[config.url.as_str(), config.public_url.as_str()],
            ),
            idempotent_sends: true,
            ..Capabilities::default()
        }
    }

    async fn work(&self) {
        watch::run(self).await;
    }

    fn close(&self) {
        if let Err(error) = self.kept.write() {
            tracing::warn!(connector = %self.account.id, %error, "states that come late may be missed after a restart");
        }
    }

    async fn send(&self, outbound: &Outbound) -> Result<Accepted, SendError> {
        send::send(self, outbound).await
    }

    async fn receive(&self, request: &Request) -> Response {
        hook::receive(self, request).await
    }

    /// Looks at the messaging profile.
    async fn check(&self) -> Result<String, ConnectorError> {
        let shared = self;
        let (id, profile) = (&shared.account.id, watch::profile(&shared.config));
        let request = shared.authorised(shared.account.http.get(&shared.at(&profile)));
        let (status, _) = check::ask(id, "Telnyx", request, ANSWER).await?;
        match (status, &shared.config.messaging_profile_id) {
            (200..300, _) => Ok("Telnyx takes the API key".to_owned()),
            (401, _) => Err(check::failed(
                id,
                "Telnyx refuses the API key",
                "compare api_key with Telnyx's portal, where a key that was removed is not shown any more",
            )),
            (403, _) => Ok("Telnyx knows the API key, which may not look at messaging profiles".to_owned()),
            (404, Some(_)) => Err(check::failed(
                id,
                "Telnyx has no such messaging profile",
                "compare messaging_profile_id with Telnyx's portal, or leave it out",
            )),
            (status, _) => Err(check::odd(id, "Telnyx", status)),
        }
    }
}
