//! What reading and sending share.

use super::chatdb::{ChatDb, Trouble, identity};
use super::claim::Walks;
use super::config::Config;
use super::journal::Journal;
use super::translate::Translator;
use super::watch::Sweep;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::{Health, Link};
use swingbridge_domain::id::ConnectorId;

pub(super) struct Shared {
    pub id: ConnectorId,
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub translator: Translator,
    inner: Mutex<Inner>,
    standing: Mutex<Standing>,
    /// One send at a time for each chat.
    lanes: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What one of them works with at a time; never held across an await.
pub(super) struct Inner {
    pub journal: Journal,
    pub db: Option<ChatDb>,
    /// The database's version that was read and committed.
    pub version: Option<i64>,
    /// When it was last seen to be the same file.
    pub looked: Option<Timestamp>,
    /// When rows under passed numbers were last looked for.
    pub swept: Option<Timestamp>,
    pub sweep: Option<Sweep>,
    /// Rows that turned out to be messages of ours, by the number of the message that waits for its row.
    pub claims: HashMap<i64, Claimed>,
    /// How far was looked for the others.
    pub walks: Walks,
}

/// The row of a message of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub guid: String,
    pub service: String,
    pub downgraded: bool,
}

/// How each side is; what is wrong with either is told.
struct Standing {
    reading: Option<(Link, String)>,
    sending: Option<(Link, String)>,
    last_traffic: Option<Timestamp>,
}

impl Shared {
    pub fn new(
        id: ConnectorId,
        config: Config,
        journal: Journal,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Shared {
        let translator = Translator {
            connector: id.clone(),
            to: super::row::address(&config.address),
            home: config.home(),
        };
        Shared {
            id,
            config,
            clock,
            entropy,
            translator,
            inner: Mutex::new(Inner {
                journal,
                db: None,
                version: None,
                looked: None,
                swept: None,
                sweep: None,
                claims: HashMap::new(),
                walks: Walks::new(),
            }),
            standing: Mutex::new(Standing {
                reading: Some((
                    Link::Disconnected,
                    "Messages' database was not read yet".to_owned(),
                )),
                sending: None,
                last_traffic: None,
            }),
            lanes: Mutex::default(),
        }
    }

    pub fn lane(&self, chat: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        lanes.entry(chat.to_owned()).or_default().clone()
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how reading goes. Gives back whether that is news.
    pub fn reads(&self, trouble: Option<&Trouble>) -> bool {
        let told = trouble.map(|trouble| (trouble.state, trouble.detail.clone()));
        let mut standing = self.standing();
        let news = standing.reading != told;
        standing.reading = told;
        news
    }

    /// Says how sending goes.
    pub fn sends(&self, trouble: Option<(Link, &str)>) {
        self.standing().sending = trouble.map(|(state, detail)| (state, detail.to_owned()));
    }

    pub fn traffic(&self, at: Timestamp) {
        self.standing().last_traffic = Some(at);
    }

    pub fn health(&self) -> Health {
        let standing = self.standing();
        let (state, detail) = match (&standing.reading, &standing.sending) {
            (Some((state, detail)), _) => (*state, detail.clone()),
            // What comes in still comes.
            (None, Some((_, detail))) => (Link::Degraded, detail.clone()),
            (None, None) => (Link::Connected, "reads Messages' database".to_owned()),
        };
        Health {
            state,
            detail,
            last_traffic: standing.last_traffic,
        }
    }
}

impl Inner {
    /// Has the database open, and knows it to be the file that stands under its name.
    pub fn open(&mut self, config: &Config, now: Timestamp) -> Result<bool, Trouble> {
        let due = self.looked.is_none_or(|at| now.since(at) >= config.timing.restat);
        if due && let Some(db) = &self.db {
            match identity(&config.database) {
                Ok(found) if found == db.identity => {}
                _ => self.close(),
            }
        }
        if self.db.is_none() {
            self.db = Some(ChatDb::open(&config.database)?);
        }
        if due {
            self.looked = Some(now);
        }
        Ok(due)
    }

    /// Lets go of the file; all of it is read again.
    pub fn close(&mut self) {
        self.db = None;
        self.version = None;
        self.looked = None;
        self.walks.clear();
    }
}
