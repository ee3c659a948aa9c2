//! The connector: a provider with an HTTP interface as the rest of the program sees it.

use super::config::Config;
use super::{hook, send};
use crate::check::{self, Check};
use crate::provider::account::{AT_ONCE, Account, SETTINGS, way};
use crate::webhook::{Request, Response, Webhook};
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Outbound, SendError, Shutdown,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::path::Place;

/// A connector for one number at a provider with an HTTP interface.
pub struct WebhookConnector {
    pub(super) shared: Arc<Shared>,
}

/// What the parts of the connector share.
pub(super) struct Shared {
    pub account: Account,
    pub config: Config,
    ours: Place,
}

impl WebhookConnector {
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
        config.validate().map_err(|error| ConnectorError {
            connector: id.clone(),
            cause: error.to_string(),
            cure: SETTINGS.to_owned(),
        })?;
        let account = Account::new(
            id,
            clock,
            config.ca_file.as_deref(),
            config.request,
            state_folder.join("media"),
        )?;
        Ok(Self {
            shared: Arc::new(Shared {
                account,
                config,
                ours,
            }),
        })
    }
}

#[async_trait]
impl Connector for WebhookConnector {
    fn id(&self) -> &ConnectorId {
        &self.shared.account.id
    }

    fn capabilities(&self) -> Capabilities {
        let config = &self.shared.config;
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
                &self.shared.ours,
                &[config.send.url.as_str(), config.public_url.as_str()],
            ),
            idempotent_sends: config.send.idempotency_header.is_some(),
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let shared = &self.shared;
        if shared.config.send.url.starts_with("http:") {
            tracing::warn!(connector = %shared.account.id, "no TLS: the provider's credentials and all texts travel in clear to it");
        }
        shared
            .account
            .connected(Some("nothing was sent or received since the start"));
        shared.account.work(inbox, shutdown, std::future::pending()).await;
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        let _sending = self.shared.account.begin_send()?;
        send::send(&self.shared, &outbound).await
    }

    async fn probe(&self) -> Health {
        self.shared.account.health()
    }
}

#[async_trait]
impl Check for WebhookConnector {
    /// Knocks at the provider's host: what it would say of the credentials, nobody knows without sending.
    async fn check(&self) -> Result<String, ConnectorError> {
        let (account, config) = (&self.shared.account, &self.shared.config);
        let host = check::host(&config.send.url);
        let service = format!("{} at {host}", config.provider);
        check::knock(&account.id, &service, account.http.client(), &config.send.url).await?;
        Ok(format!(
            "{host} answers; whether it takes the credentials, the first message shows"
        ))
    }
}

#[async_trait]
impl Webhook for WebhookConnector {
    async fn receive(&self, request: Request) -> Response {
        hook::receive(&self.shared, &request).await
    }
}
