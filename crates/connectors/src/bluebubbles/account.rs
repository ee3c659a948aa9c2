//! What reading and sending share.

use super::api::{Api, Failure};
use super::chats::Chats;
use super::config::{Config, PrivateApi};
use super::files::Files;
use super::flights::Flights;
use super::journal::{Journal, JournalError, State};
use super::reading::Trouble;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::{ConnectorError, Health, Link};
use swingbridge_domain::id::ConnectorId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often sends that may yet fail and rows that are not complete are looked at.
const WATCHING: Duration = Duration::from_secs(2);
/// How long an edit of ours may take to show up in the server's rows.
const REWRITING: Duration = Duration::from_secs(60);

/// One server, as reading and sending see it.
pub(super) struct Account {
    pub id: ConnectorId,
    pub config: Config,
    pub api: Arc<Api>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub chats: Chats,
    pub files: Files,
    pub flights: Flights,
    /// Reads at once.
    pub nudge: Notify,
    pub stopping: CancellationToken,
    pub sends: TaskTracker,
    journal: Mutex<Journal>,
    private: AtomicBool,
    rewritten: Mutex<HashMap<String, Timestamp>>,
    health: Mutex<(Link, String)>,
    pub listening: AtomicBool,
    last_traffic: AtomicI64,
}

impl Account {
    pub fn new(
        id: ConnectorId,
        config: Config,
        folder: &Path,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConnectorError> {
        let failed = |cause: String, cure: &str| ConnectorError {
            connector: id.clone(),
            cause,
            cure: cure.to_owned(),
        };
        let settings = "change the account's settings";
        config
            .validate()
            .map_err(|error| failed(error.to_string(), settings))?;
        let api = Api::new(&config).map_err(|error| failed(error.to_string(), settings))?;
        let journal = Journal::open(folder).map_err(|error| {
            let cure = "give it a folder that it can write to; when the file itself is damaged, put it aside, and messages \
                        are bridged from then on";
            failed(error.to_string(), cure)
        })?;
        let private = journal.state().private_api && config.private_api == PrivateApi::Auto;
        Ok(Self {
            id,
            api: Arc::new(api),
            clock,
            entropy,
            chats: Chats::default(),
            files: Files::new(folder),
            flights: Flights::default(),
            nudge: Notify::new(),
            stopping: CancellationToken::new(),
            sends: TaskTracker::new(),
            journal: Mutex::new(journal),
            private: AtomicBool::new(private),
            rewritten: Mutex::default(),
            health: Mutex::new((Link::Disconnected, "not started yet".to_owned())),
            listening: AtomicBool::new(false),
            last_traffic: AtomicI64::new(0),
            config,
        })
    }

    pub fn state(&self) -> State {
        let journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.state().clone()
    }

    pub fn keep<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, JournalError> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.change(change)
    }

    pub fn is_private(&self) -> bool {
        self.private.load(Ordering::Relaxed)
    }

    pub fn traffic(&self) {
        self.last_traffic
            .store(self.clock.now().millis(), Ordering::Relaxed);
    }

    /// An edit or unsend of ours is under way, or was: the change that it makes is no news.
    pub fn rewriting(&self, guid: &str) {
        let until = self.clock.now() + REWRITING;
        let mut rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.insert(guid.to_owned(), until);
    }

    pub fn rewriting_ended(&self, guid: &str) {
        let mut rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.remove(guid);
    }

    pub fn rewritten_by_us(&self, guid: &str) -> bool {
        let now = self.clock.now();
        let mut rewritten = self.rewritten.lock().unwrap_or_else(PoisonError::into_inner);
        rewritten.retain(|_, until| *until > now);
        rewritten.contains_key(guid)
    }

    /// Asks the server whether its Private API can be used.
    pub async fn learn(&self) -> Result<(), Trouble> {
        let info = self.api.info().await?;
        let private = self.config.private_api == PrivateApi::Auto
            && info.private_api == Some(true)
            && info.helper_connected == Some(true);
        if self.private.swap(private, Ordering::Relaxed) != private || self.state().private_api != private {
            let version = info.server_version.unwrap_or_default();
            tracing::info!(connector = %self.id, private_api = private, server = %version, "what the server can do");
            self.keep(|state| state.private_api = private)?;
        }
        Ok(())
    }

    pub fn now_is(&self, link: Link, detail: impl Into<String>) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = (link, detail.into());
    }

    pub fn fell(&self, trouble: &Trouble) {
        let (link, detail) = match trouble {
            Trouble::Server(Failure::Refused) => (
                Link::Refused,
                "the server refuses the password: put the one from BlueBubbles' settings (Connection, Server Password) into \
                 `password`, and restart"
                    .to_owned(),
            ),
            Trouble::Server(failure @ Failure::Away(_)) => (
                Link::Disconnected,
                format!("{failure}; is the Mac on, awake, and BlueBubbles started on it?"),
            ),
            Trouble::Server(failure) => (Link::Degraded, failure.to_string()),
            Trouble::Inbox(error) => (Link::Degraded, error.to_string()),
            Trouble::Journal(error) => (Link::Degraded, error.to_string()),
        };
        let before = self.health.lock().unwrap_or_else(PoisonError::into_inner).0;
        match (link, before == link) {
            (_, true) => tracing::debug!(connector = %self.id, %detail, "still in trouble"),
            (Link::Refused, _) => tracing::error!(connector = %self.id, %detail, "the server refuses us"),
            _ => {
                tracing::warn!(connector = %self.id, %detail, "reading the server failed; it is tried again")
            }
        }
        self.now_is(link, detail);
    }

    pub fn rose(&self) {
        let before = self.health.lock().unwrap_or_else(PoisonError::into_inner).0;
        if before != Link::Connected {
            tracing::info!(connector = %self.id, "the server is read");
        }
        self.now_is(Link::Connected, "the server is read");
    }

    /// How long until the next reading when nothing is heard.
    pub fn pause(&self) -> Duration {
        let state = self.state();
        let watching = !state.watches.is_empty() || !state.waiting.is_empty() || self.flights.any();
        match watching {
            true => self.config.poll.min(WATCHING),
            false => self.config.poll,
        }
    }

    pub fn health(&self) -> Health {
        let (state, mut detail) = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if state == Link::Connected && !self.listening.load(Ordering::Relaxed) {
            detail.push_str("; its events are not heard, so messages come up to one polling interval late");
        }
        let at = self.last_traffic.load(Ordering::Relaxed);
        Health {
            state,
            detail,
            last_traffic: (at != 0).then_some(Timestamp(at)),
        }
    }
}
