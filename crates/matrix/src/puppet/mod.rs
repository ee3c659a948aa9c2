//! The puppet: the Matrix account that a user's own device logs in to, as an ordinary end-to-end encrypted client.
//!
//! It bridges for one person, its *owner*. Read it in this order: `config`, `session`, `stores` and `login` (how it gets in), [`Puppet::open`]
//! here, `identity`, `requests` and `verify` (how the owner's clients come to trust it), `intake`, `invites`, `gap` and `waiting` (what comes), `rooms`, `say`,
//! `files` (what goes), `ledger` (what must outlive a restart besides the client's own store).
//!
//! Architecture Invariant: how far the homeserver was read is committed only after the inbox took what was read. Whatever the client's own
//! store thinks it has seen does not count.
//!
//! Architecture Invariant: what anybody said is never sent into a room that is not encrypted.

mod config;
mod device_code;
mod double;
mod failure;
mod files;
mod gap;
mod homeserver;
mod identity;
mod intake;
mod invites;
mod ledger;
pub mod login;
mod quiet;
mod requests;
mod rooms;
mod say;
mod session;
mod stores;
mod sync;
mod verify;
mod waiting;

pub use config::Config;
pub use failure::{OpenError, RunError};
pub use identity::{Established, Identity};
pub use requests::Asked;
pub use session::Session;
pub use verify::{Answer, Begin, Emoji, Ui, VerifyError, Whom};

use crate::config::Names;
use crate::failure::Failure;
use crate::media::Spool;
use ledger::Ledger;
use matrix_sdk::Client;
use requests::Requests;
use ruma::{OwnedUserId, UserId as MatrixUserId};
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use stores::Earlier;
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{Health, Link};
use swingbridge_domain::id::UserId;
use tokio::sync::Notify;

/// The device's client.
pub struct Puppet {
    config: Config,
    client: Client,
    me: OwnedUserId,
    owner: OwnedUserId,
    names: Names,
    ledger: Ledger,
    spool: Spool,
    clock: Arc<dyn Clock>,
    /// A second session, of the owner: what they say on the phone itself appears as theirs.
    double: Option<Client>,
    /// The homeserver has ended that session.
    double_ended: AtomicBool,
    /// What sessions before this one left, until this one is established.
    earlier: tokio::sync::Mutex<Earlier>,
    /// One room is made at a time, so that none is made twice.
    making: tokio::sync::Mutex<()>,
    /// Who wrote when we last heard, so that only changes are told.
    writing: Mutex<HashMap<String, bool>>,
    /// Invites that the homeserver does not let us refuse.
    stuck: Mutex<BTreeSet<String>>,
    /// One of the owner's was refused.
    refused: Notify,
    /// How the last look at the homeserver went.
    reached: Mutex<Health>,
    /// Keys came, or an event began to wait for one.
    keys: Notify,
    /// Who asks to compare keys.
    requests: Requests,
    /// Held as long as the folder is ours.
    _lock: File,
}

impl Puppet {
    /// Takes the folder, opens the encrypted stores in it and restores the sessions. Asks the homeserver nothing: it works without a
    /// network. `key` opens the stores: it belongs where the session is kept. `double` is a session of the owner, if there is one.
    ///
    /// # Errors
    /// [`OpenError`]; final, until a person puts right what it names.
    pub async fn open(
        config: Config,
        session: &Session,
        double: Option<&Session>,
        key: &[u8; 32],
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        let owner = MatrixUserId::parse(config.owner.as_str())
            .map_err(|_| OpenError::Config(format!("owner: {} is not a Matrix user id", config.owner)))?;
        let lock = config::take_folder(&config.folder)?;
        let client = session::restore(&config, session, "device", key).await?;
        let me = client
            .user_id()
            .ok_or_else(|| OpenError::Session("it names no user".to_owned()))?
            .to_owned();
        if me == owner {
            return Err(OpenError::Config(
                "owner: it is the account that this device logs in to; give the device an account of its own"
                    .to_owned(),
            ));
        }
        let account = (me.as_ref(), session.device.as_str());
        let earlier = stores::earlier(&config.folder, "device", account, key).await?;
        let double = match double {
            Some(session) if session.user.as_str() != owner.as_str() => {
                return Err(OpenError::Session(
                    "the second session is not one of the owner's".to_owned(),
                ));
            }
            Some(session) => Some(session::restore(&config, session, "owner", key).await?),
            None => None,
        };
        let ledger = Ledger::open(&config.folder.join("puppet.db"))
            .map_err(|error| OpenError::Folder(config.folder.clone(), error.to_string()))?;
        let spool = Spool::new(&config.folder.join(files::SPOOL), config.media_limit);
        spool.empty();
        let requests = Requests::default();
        requests.listen(&client, &owner, false);
        if let Some(double) = &double {
            requests.listen(double, &owner, true);
        }
        Ok(Arc::new(Self {
            names: Names::of_puppet(me.as_str()),
            config,
            client,
            me,
            owner,
            ledger,
            spool,
            clock,
            double,
            double_ended: AtomicBool::new(false),
            earlier: tokio::sync::Mutex::new(earlier),
            making: tokio::sync::Mutex::default(),
            writing: Mutex::default(),
            stuck: Mutex::default(),
            refused: Notify::new(),
            reached: Mutex::new(Health {
                state: Link::Disconnected,
                detail: "it was not asked yet".to_owned(),
                last_traffic: None,
            }),
            keys: Notify::new(),
            requests,
            _lock: lock,
        }))
    }

    /// The account that the device is logged in to.
    pub fn user(&self) -> UserId {
        UserId::new(self.me.as_str())
    }

    /// How the homeserver was when it was last asked, and when it last brought something.
    pub fn health(&self) -> Health {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether messages from the phone itself can be shown as the owner's own.
    pub fn speaks_as_owner(&self) -> bool {
        self.double.is_some()
    }

    /// Gives the sessions up at the homeserver, so that nobody can use them any more.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat.
    pub async fn log_out(&self) -> Result<(), Failure> {
        for client in self.double.iter().chain([&self.client]) {
            let request = ruma::api::client::session::logout::v3::Request::new();
            match client.send(request).await.map_err(failure::http) {
                Err(failure) if failure.is_unknown_token() => {}
                answer => {
                    answer?;
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Puppet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Puppet")
            .field("user", &self.me)
            .finish_non_exhaustive()
    }
}
