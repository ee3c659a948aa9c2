//! A connector of a provider as the rest of the program sees it: what is the same for each of them.

use super::account::Account;
use crate::check::{self, Check};
use crate::webhook::{Request, Response, Webhook};
use async_trait::async_trait;
use std::sync::Arc;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::Capabilities;
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Outbound, Reach, Revocation, Revoked, SendError, Shutdown,
    Signal,
};
use swingbridge_domain::id::{ConnectorId, LineId};
use swingbridge_domain::inbox::Inbox;

/// A connector of a provider that calls this program.
pub struct Hosted<S>(pub(crate) Arc<S>);

/// What one provider's connector does of its own. What is not said here is as in [`Connector`] and [`Webhook`].
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// The most octets of a webhook.
    const LARGEST_BODY: usize = 1 << 20;

    fn account(&self) -> &Account;

    /// Where the provider's API is.
    fn url(&self) -> String;

    fn capabilities(&self) -> Capabilities;

    /// What it does by itself while it runs.
    async fn work(&self) {
        std::future::pending().await
    }

    /// Writes down what must outlast a restart. Blocks for a moment.
    fn close(&self) {}

    async fn send(&self, outbound: &Outbound) -> Result<Accepted, SendError>;

    async fn signal(&self, _signal: &Signal) {}

    async fn revoke(&self, _revocation: &Revocation) -> Result<Revoked, SendError> {
        Ok(Revoked::Impossible)
    }

    async fn reach(&self, addresses: &[Address]) -> Vec<Reach> {
        vec![Reach::Unknown; addresses.len()]
    }

    async fn receive(&self, request: &Request) -> Response;

    /// See [`Check::check`]. Without more knowledge of the service it is knocked at.
    async fn check(&self) -> Result<String, ConnectorError> {
        let (account, url) = (self.account(), self.url());
        let host = check::host(&url);
        check::knock(&account.id, &host, account.http.client(), &url).await?;
        Ok(format!(
            "{host} answers; whether it takes the credentials, the first message shows"
        ))
    }
}

#[async_trait]
impl<S: Service> Connector for Hosted<S> {
    fn id(&self) -> &ConnectorId {
        &self.0.account().id
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let account = self.0.account();
        if self.0.url().starts_with("http:") {
            tracing::warn!(connector = %account.id, "no TLS: credentials and all messages travel in clear to the service");
        }
        account.work(inbox, shutdown, self.0.work()).await;
        self.0.close();
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        let _sending = self.0.account().begin_send()?;
        self.0.send(&outbound).await
    }

    async fn signal(&self, signal: Signal) {
        self.0.signal(&signal).await;
    }

    async fn revoke(&self, revocation: Revocation) -> Result<Revoked, SendError> {
        self.0.revoke(&revocation).await
    }

    async fn reach(&self, _line: &LineId, addresses: &[Address]) -> Vec<Reach> {
        self.0.reach(addresses).await
    }

    async fn probe(&self) -> Health {
        self.0.account().health()
    }
}

#[async_trait]
impl<S: Service> Webhook for Hosted<S> {
    async fn receive(&self, request: Request) -> Response {
        self.0.receive(&request).await
    }

    fn largest_body(&self) -> usize {
        S::LARGEST_BODY
    }
}

#[async_trait]
impl<S: Service> Check for Hosted<S> {
    async fn check(&self) -> Result<String, ConnectorError> {
        self.0.check().await
    }
}
