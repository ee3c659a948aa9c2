//! The connector: one Mac as the rest of the program sees it.

use super::config::Config;
use super::contacts;
use super::journal::Journal as Memory;
use super::script::{self, Ran};
use super::send::{self, DENIED, MAX_TEXT};
use super::shared::Shared;
use super::watch::watch;
use crate::journal::Journal;
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::clock::{Clock, Entropy};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Health, Link, Outbound, SendError, Shutdown,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbox;

/// A connector for Messages on the Mac that it runs on.
pub struct IMessageConnector {
    shared: Arc<Shared>,
    /// What was handed in of the address book.
    cards: Journal,
    /// Its pictures.
    pictures: PathBuf,
}

impl IMessageConnector {
    /// A connector that has read nothing yet. `state_folder` is its own: what it must remember stands there.
    ///
    /// # Errors
    /// The settings cannot be used, or the folder cannot be written; a person must act.
    pub fn new(
        id: ConnectorId,
        config: Config,
        state_folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<IMessageConnector, ConnectorError> {
        let failed = |cause: String, cure: &str| ConnectorError {
            connector: id.clone(),
            cause,
            cure: cure.to_owned(),
        };
        config
            .validate()
            .map_err(|error| failed(error.to_string(), "change the connector's settings"))?;
        let folder = "make the state folder writable for this program, and check the disk";
        std::fs::create_dir_all(state_folder)
            .map_err(|error| failed(format!("its state folder cannot be made: {error}"), folder))?;
        let journal = Memory::open(state_folder)
            .map_err(|error| failed(format!("its journal cannot be opened: {error}"), folder))?;
        let cards = Journal::in_folder(state_folder, "contacts.json")
            .map_err(|error| failed(format!("its state folder cannot be used: {error}"), folder))?;
        let shared = Shared::new(id, config, journal, clock, entropy);
        Ok(IMessageConnector {
            shared: Arc::new(shared),
            cards,
            pictures: state_folder.join("pictures"),
        })
    }

    /// Asks Messages how many accounts it has, which sends nothing and shows whether this program may control it.
    ///
    /// # Errors
    /// It may not, or does not get an answer; with the cure.
    pub async fn check(&self) -> Result<(), ConnectorError> {
        let config = &self.shared.config;
        let failed = |cause: &str, cure: &str| {
            Err(ConnectorError {
                connector: self.shared.id.clone(),
                cause: cause.to_owned(),
                cure: cure.to_owned(),
            })
        };
        match script::run(&config.osascript, script::accounts(), &[], config.timing.script).await {
            Ran::Accepted => {
                self.shared.sends(None);
                Ok(())
            }
            Ran::NotAllowed => {
                self.shared.sends(Some((Link::Refused, DENIED)));
                failed("macOS does not let this program control Messages", DENIED)
            }
            Ran::NotStarted => failed("osascript cannot be started", "check the configured path"),
            Ran::NotFound { .. } | Ran::Unclear { .. } => failed(
                "Messages does not answer",
                "open Messages, sign in, and let it run in the session of the person at the Mac",
            ),
        }
    }
}

#[async_trait]
impl Connector for IMessageConnector {
    fn id(&self) -> &ConnectorId {
        &self.shared.id
    }

    /// What can be *sent*: AppleScript can neither reply nor react, edit, withdraw, type or mark as read. All of these come in
    /// from contacts and from the person's own devices.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            networks: vec!["imessage".to_owned(), "sms".to_owned(), "rcs".to_owned()],
            // Each character may take four octets.
            max_text: u32::try_from(MAX_TEXT / 4).ok(),
            // A caption is a message of its own, a voice note a file.
            media: Support::Partial,
            // Those that are there; none can be made or changed.
            groups: Support::Partial,
            // iMessage and RCS tell them, SMS does not.
            delivery_receipts: Support::Partial,
            // Where the contact lets them be sent.
            read_receipts: Support::Partial,
            at_once: Some(4),
            // Each message says by which service it went; of all together nothing is known.
            way: Vec::new(),
            ..Capabilities::default()
        }
    }

    async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), ConnectorError> {
        tokio::select! {
            () = watch(self.shared.clone(), inbox.clone(), shutdown) => {}
            () = contacts::run(&self.shared, &self.cards, &self.pictures, &*inbox) => {}
        }
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Accepted, SendError> {
        send::send(&self.shared, &outbound).await
    }

    async fn probe(&self) -> Health {
        self.shared.health()
    }
}
