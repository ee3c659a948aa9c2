//! What must outlast a restart.

use crate::journal::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use swingbridge_domain::clock::{Entropy, Timestamp};

/// How many of the newest arrivals are kept in mind, so that they are not handed in with each reading.
const SEEN: usize = 2000;
/// How many messages of ours are asked after.
const PENDING: usize = 500;

/// The memory and its file.
#[derive(Debug)]
pub struct Kept {
    file: Journal,
    memory: Mutex<Memory>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Makes our ids different from those of another installation.
    pub token: String,
    /// When this connector ran first.
    pub begun: Option<Timestamp>,
    /// When the app answered last.
    pub contact: Option<Timestamp>,
    seen: VecDeque<String>,
    pending: BTreeMap<String, Pending>,
}

/// A message of ours that is not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub since: Timestamp,
    /// The state that was handed in last.
    pub state: String,
}

impl Kept {
    /// Blocks.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(file: Journal, entropy: &dyn Entropy) -> Result<Self, JournalError> {
        let mut memory: Memory = file.read()?.unwrap_or_default();
        if memory.token.is_empty() {
            let mut token = [0; 16];
            entropy.fill(&mut token);
            memory.token = data_encoding::HEXLOWER.encode(&token);
            file.write(&memory)?;
        }
        Ok(Self {
            file,
            memory: Mutex::new(memory),
        })
    }

    pub fn look<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(&self.memory())
    }

    /// Changes it and writes it down. Blocks for a moment.
    ///
    /// # Errors
    /// It is changed, but will not outlast a restart.
    pub fn change<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> Result<T, JournalError> {
        let mut memory = self.memory();
        let out = change(&mut memory);
        self.file.write(&*memory)?;
        Ok(out)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    pub fn has_seen(&self, identity: &str) -> bool {
        self.seen.iter().any(|seen| seen == identity)
    }

    pub fn saw(&mut self, identity: String) {
        if !self.has_seen(&identity) {
            self.seen.push_back(identity);
        }
        while self.seen.len() > SEEN {
            self.seen.pop_front();
        }
    }

    pub fn pending(&self) -> Vec<(String, Pending)> {
        let all = self.pending.iter();
        all.map(|(id, pending)| (id.clone(), pending.clone())).collect()
    }

    pub fn await_receipts(&mut self, id: &str, now: Timestamp) {
        let pending = Pending {
            since: now,
            state: String::new(),
        };
        self.pending.entry(id.to_owned()).or_insert(pending);
        while self.pending.len() > PENDING {
            let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.since);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else {
                return;
            };
            self.pending.remove(&oldest);
        }
    }

    /// It is in this state; nothing more is expected when `last`.
    pub fn reached(&mut self, id: &str, state: &str, last: bool) {
        if last {
            self.pending.remove(id);
        } else if let Some(pending) = self.pending.get_mut(id) {
            state.clone_into(&mut pending.state);
        }
    }
}
