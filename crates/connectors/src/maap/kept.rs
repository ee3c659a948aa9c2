//! What must outlast a restart: which of the platform's messages has which name of ours, and whose number a chat has.

use crate::journal::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many are remembered of each.
const REMEMBERED: usize = 5_000;

pub struct Kept {
    file: Journal,
    memory: Mutex<Memory>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// Our name and the platform's id of messages with buttons, the oldest first.
    messages: Vec<(String, String)>,
    /// A chat of somebody who hid the number, and the number once it was told.
    aliases: Vec<(String, String)>,
}

impl Kept {
    /// Blocks on the disk.
    pub fn open(file: Journal) -> Result<Self, JournalError> {
        let memory = file.read::<Memory>()?.unwrap_or_default();
        Ok(Self {
            file,
            memory: Mutex::new(memory),
        })
    }

    /// Our name of a message, and what the platform calls it. Blocks on the disk.
    pub fn sent(&self, name: &str, id: &str) -> Result<(), JournalError> {
        self.change(|memory| &mut memory.messages, name, id)
    }

    /// Whose number a chat has. Blocks on the disk.
    pub fn alias(&self, chat: &str, number: &str) -> Result<(), JournalError> {
        self.change(|memory| &mut memory.aliases, chat, number)
    }

    pub fn message(&self, name: &str) -> Option<String> {
        find(&self.memory().messages, name)
    }

    pub fn number(&self, chat: &str) -> Option<String> {
        find(&self.memory().aliases, chat)
    }

    fn change(
        &self,
        list: impl Fn(&mut Memory) -> &mut Vec<(String, String)>,
        key: &str,
        value: &str,
    ) -> Result<(), JournalError> {
        let mut memory = self.memory();
        let mut new = memory.clone();
        let pairs = list(&mut new);
        pairs.retain(|(known, _)| known != key);
        pairs.push((key.to_owned(), value.to_owned()));
        let over = pairs.len().saturating_sub(REMEMBERED);
        pairs.drain(..over);
        self.file.write(&new)?;
        *memory = new;
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(pairs: &[(String, String)], key: &str) -> Option<String> {
    let found = pairs.iter().rev().find(|(known, _)| known == key);
    found.map(|(_, value)| value.clone())
}
