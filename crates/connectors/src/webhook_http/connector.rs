//! The connector: a provider with an HTTP interface as the rest of the program sees it.

use super::config::Config;
use super::{hook, send};
use crate::check;
use crate::provider::account::{AT_ONCE, Account, settings, way};
use crate::provider::hosted::{Hosted, Service};
use crate::webhook::{Request, Response};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{Accepted, ConnectorError, Outbound, SendError};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::path::Place;

/// A connector for one number at a provider with an HTTP interface.
pub type WebhookConnector = Hosted<Shared>;

/// How many kinds of webhooks that the settings do not name are told to the operator.
const STRANGE: usize = 50;

/// What the parts of the connector share.
pub struct Shared {
    pub account: Account,
    pub config: Config,
    ours: Place,
    /// What webhooks brought that the settings do not name, as far as it was said.
    strange: Mutex<BTreeSet<String>>,
}

impl Shared {
    /// Whether this is the first time that a webhook brings such a thing.
    pub fn is_new(&self, strange: &str) -> bool {
        let mut known = self.strange.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < STRANGE && known.insert(strange.to_owned())
    }
}

impl Hosted<Shared> {
    /// A connector that asks nothing yet. `state_folder` is its own; files that come lie below it. `ours`: where this program runs, the gateway
    /// or the user's device.
    ///
    /// # Errors
    /// The settings cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        state_folder: &Path,
        ours: Place,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectorError> {
        config.validate().map_err(|error| settings(&id, error))?;
        let account = Account::new(
            id,
            clock,
            config.ca_file.as_deref(),
            config.request,
            state_folder.join("media"),
        )?;
        Ok(Self(Arc::new(Shared {
            account,
            config,
            ours,
            strange: Mutex::default(),
        })))
    }
}

#[async_trait]
impl Service for Shared {
    fn account(&self) -> &Account {
        &self.account
    }

    fn url(&self) -> String {
        self.config.send.url.clone()
    }

    fn capabilities(&self) -> Capabilities {
        let config = &self.config;
        let when = |holds| if holds { Support::Full } else { Support::Absent };
        let rcs = config.networks.iter().any(|network| network == "rcs");
        let files = config.sends_files();
        let tells = |wanted| config.receive.statuses.values().any(|status| *status == wanted);
        Capabilities {
            networks: config.networks.clone(),
            max_text: config.max_text,
            media: if files { Support::Partial } else { Support::Absent },
            media_links: files,
            delivery_receipts: when(config.receive.receipt_status.is_some()),
            read_receipts: when(tells(super::config::Status::Read)),
            at_once: Some(AT_ONCE),
            way: way(
                &config.provider,
                rcs,
                &self.ours,
                &[config.send.url.as_str(), config.public_url.as_str()],
            ),
            idempotent_sends: config.send.idempotency_header.is_some(),
            ..Capabilities::default()
        }
    }

    async fn work(&self) {
        self.account
            .connected(Some("nothing was sent or received since the start"));
        std::future::pending().await
    }

    async fn send(&self, outbound: &Outbound) -> Result<Accepted, SendError> {
        send::send(self, outbound).await
    }

    async fn receive(&self, request: &Request) -> Response {
        hook::receive(self, request).await
    }

    /// Knocks at the provider's host: what it would say of the credentials, nobody knows without sending.
    async fn check(&self) -> Result<String, ConnectorError> {
        let (account, config) = (&self.account, &self.config);
        let host = check::host(&config.send.url);
        let service = format!("{} at {host}", config.provider);
        check::knock(&account.id, &service, account.http.client(), &config.send.url).await?;
        Ok(format!(
            "{host} answers; whether it takes the credentials, the first message shows"
        ))
    }
}
