//! What must outlast a restart.

use crate::journal::{Journal, JournalError};
use crate::provider::waiting::{Pending, Waiting};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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
    pending: Waiting,
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

    /// One is asked after now. That is not written down: after a restart the first turn is anyone's.
    pub fn asks(&self, id: &str) {
        self.memory().pending.asks(id);
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

    /// Those that are to be asked after now: see [`Waiting::next`].
    pub fn next(&self, now: Timestamp, many: usize) -> Vec<(String, Pending)> {
        self.pending.next(now, Duration::ZERO, many)
    }

    pub fn await_receipts(&mut self, id: &str, now: Timestamp) {
        self.pending.add(id, now, PENDING);
    }

    /// It is in this state; nothing more is expected when `last`.
    pub fn reached(&mut self, id: &str, state: &str, last: bool) {
        self.pending.reached(id, state, last);
    }
}
