//! The connector: one server as the rest of the program sees it.

use super::account::Account;
use super::config::Config;
use crate::provider::files::keep_swept;
use async_trait::async_trait;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Entropy};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Link, Outbound, SendError, Shutdown, Signal, SignalKind,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::sync::mpsc::channel;
use tokio::time::timeout;

/// How many messages the engine hands over at once. The server sends one after the other anyway.
const AT_ONCE: u32 = 8;
const LAST_SENDS: Duration = Duration::from_secs(4);

/// A connector for one BlueBubbles server.
pub struct BlueBubblesConnector {
    account: Arc<Account>,
}

impl BlueBubblesConnector {
    /// A connector that has not spoken to its server yet. `folder` keeps how far it has read, and the files that came; it must
    /// be its own and stay the same.
    ///
    /// Until `run` has asked the server (or [`BlueBubblesConnector::connect`] did), [`Connector::capabilities`] says of the Private
    /// API what was true at the last run; before the first one, that it is not there.
    ///
    /// # Errors
    /// The settings or the folder cannot be used; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConnectorError> {
        let account = Account::new(id, config, folder, clock, entropy)?;
        Ok(Self {
            account: Arc::new(account),
        })
    }

    /// As [`BlueBubblesConnector::new`], and asks the server what it can do, so that [`Connector::capabilities`] is right from the
    /// start. A server that does not answer is no error: it may be there later.
    ///
    /// # Errors
    /// As those of `new`.
    pub async fn connect(
        id: ConnectorId,
        config: Config,
        folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConnectorError> {
        let connector = Self::new(id, config, folder, clock, entropy)?;
        let account = &connector.account;
        match account.learn().await {
            Ok(()) => account.now_is(Link::Connected, "the server answers"),
            Err(trouble) => account.fell(&trouble),
        }
        Ok(connector)
    }
}

#[async_trait]
impl Connector for BlueBubblesConnector {
    fn id(&self) -> &ConnectorId {
        &self.account.id
    }

    /// What the server could do when it was asked last; without its Private API, what AppleScript can.
    fn capabilities(&self) -> Capabilities {
        let private = self.account.is_private();
        let with_private = |support: Support| if private { support } else { Support::Absent };
        Capabilities {
            // The server does not say by which of them a message went.
            networks: vec!["imessage".to_owned(), "sms".to_owned(), "rcs".to_owned()],
            replies: with_private(Support::Full),
            // Six tapbacks go out.
            reactions: with_private(Support::Partial),
            edits: with_private(Support::Full),
            unsends: with_private(Support::Full),
            media: Support::Full,
            // Groups that are there; none is begun.
            groups: Support::Partial,
            typing: with_private(Support::Full),
            delivery_receipts: Support::Full,
            read_receipts: if private { Support::Full } else { Support::Partial },
            at_once: Some(AT_ONCE),
            // The server's messages have no service, and that of a handle is a hint only: nothing is claimed.
            way: vec![Leg::new(
                Place::Phone,
                Place::Device,
                Protection::Unknown,
                Evidence::None,
            )],
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        let account = &self.account;
        if account.config.url.starts_with("http:") && !is_local(&account.config.url) {
            tracing::warn!(connector = %account.id, "no TLS: the password and all texts travel in clear");
        }
        let (to, mut events) = channel(256);
        let listening = tokio::spawn(account.clone().listen(to));
        {
            let working = async {
                tokio::select! {
                    () = account.work(inbox.as_ref(), &mut events) => {}
                    () = keep_swept(&account.files.folder, &*account.clock) => {}
                }
            };
            tokio::pin!(working);
            tokio::select! {
                () = &mut working => {}
                () = shutdown.requested() => {
                    account.stopping.cancel();
                    account.sends.close();
                    // Reading goes on: it tells sends that have begun what became of them.
                    tokio::select! {
                        _ = timeout(LAST_SENDS, account.sends.wait()) => {}
                        () = &mut working => {}
                    }
                }
            }
        }
        listening.abort();
        let _ = listening.await;
        account.now_is(Link::Disconnected, "stopped");
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        self.account.send(outbound).await
    }

    async fn signal(&self, signal: Signal) {
        let account = &self.account;
        if !account.is_private() {
            return;
        }
        let chat = match &signal.to {
            Address::Group(guid) => Some(guid.clone()),
            other => account
                .chats
                .with_contact(&account.api, other)
                .await
                .ok()
                .flatten(),
        };
        let Some(chat) = chat else {
            return;
        };
        let done = match signal.kind {
            SignalKind::Read { .. } => account.api.mark_read(&chat).await,
            SignalKind::Typing(active) => account.api.typing(&chat, active).await,
        };
        if let Err(failure) = done {
            tracing::debug!(connector = %account.id, %failure, "a signal was not passed on");
        }
    }

    async fn probe(&self) -> Health {
        self.account.health()
    }
}

fn is_local(url: &str) -> bool {
    let host = url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}
