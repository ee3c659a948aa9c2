//! What outlasts a restart: since when a provider is read, and which messages of ours have no last word yet.
//!
//! It is written when the provider was asked, and not with each message: what is lost with a crash is asked for, or handed in, once more,
//! and the inbox knows what it has.

use super::waiting::{Pending, Waiting};
use crate::journal::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::ConnectorError;
use swingbridge_domain::id::ConnectorId;

/// How many of the newest arrivals are kept in mind, so that they are not handed in with each reading.
const SEEN: usize = 20_000;
/// How many messages of ours are asked after.
const PENDING: usize = 2_000;
/// How long it is asked what became of a message.
const PATIENCE: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// The memory and its file.
#[derive(Debug)]
pub struct Kept {
    file: Journal,
    memory: Mutex<Memory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// When this connector ran first.
    pub begun: Option<Timestamp>,
    /// When the provider was read last.
    pub contact: Option<Timestamp>,
    pending: Waiting,
    #[serde(skip)]
    seen: (HashSet<String>, VecDeque<String>),
    #[serde(skip)]
    missed: HashSet<String>,
}

impl Kept {
    /// Opens the file in a folder that is made. Blocks on the disk.
    ///
    /// # Errors
    /// A person must act.
    pub fn open(folder: &Path, connector: &ConnectorId) -> Result<Self, ConnectorError> {
        let read = || -> Result<Self, JournalError> {
            let file = Journal::in_folder(folder, "memory.json")?;
            let memory = file.read()?.unwrap_or_default();
            Ok(Self {
                file,
                memory: Mutex::new(memory),
            })
        };
        read().map_err(|error| ConnectorError {
            connector: connector.clone(),
            cure: match &error {
                JournalError::Io { .. } => "look at the disk and at who may write there",
                JournalError::Content { .. } => {
                    "put the file back from a backup, or remove it: then nothing of before is read"
                }
            }
            .to_owned(),
            cause: error.to_string(),
        })
    }

    pub fn look<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.memory())
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(&mut self.memory())
    }

    /// Writes it down. Blocks for a moment.
    ///
    /// # Errors
    /// It will not outlast a restart.
    pub fn write(&self) -> Result<(), JournalError> {
        let memory = {
            let memory = self.memory();
            Memory {
                begun: memory.begun,
                contact: memory.contact,
                pending: memory.pending.clone(),
                ..Memory::default()
            }
        };
        self.file.write(&memory)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    pub fn has_seen(&self, id: &str) -> bool {
        self.seen.0.contains(id)
    }

    /// Its webhook came and could not be taken.
    pub fn missed(&mut self, id: &str) {
        if self.missed.len() < SEEN {
            self.missed.insert(id.to_owned());
        }
    }

    pub fn has_missed(&self, id: &str) -> bool {
        self.missed.contains(id)
    }

    pub fn saw(&mut self, id: &str) {
        self.missed.remove(id);
        if self.seen.0.insert(id.to_owned()) {
            self.seen.1.push_back(id.to_owned());
        }
        while self.seen.1.len() > SEEN {
            if let Some(oldest) = self.seen.1.pop_front() {
                self.seen.0.remove(&oldest);
            }
        }
    }

    /// Those that were sent at least `age` ago and are to be asked after now: see [`Waiting::next`].
    pub fn next(&self, now: Timestamp, age: Duration, many: usize) -> Vec<(String, Pending)> {
        self.pending.next(now, age, many)
    }

    /// One is asked after now.
    pub fn asks(&mut self, id: &str) {
        self.pending.asks(id);
    }

    pub fn await_receipts(&mut self, id: &str, now: Timestamp) {
        self.pending.add(id, now, PENDING);
    }

    /// It is in this state; nothing more is expected when `last`.
    pub fn reached(&mut self, id: &str, state: &str, last: bool) {
        self.pending.reached(id, state, last);
    }

    /// Forgets those that are asked after for long enough.
    pub fn forget_old(&mut self, now: Timestamp) {
        self.pending.forget_old(now, PATIENCE);
    }
}
