//! Which content templates are at Twilio, and which message to whom was the last one of each.

use crate::journal::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::ConnectorError;
use swingbridge_domain::id::ConnectorId;

/// How long after its last use a template is removed: whoever gets a card has pressed a button by then, or not.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// To how many people the last message of a template is kept in mind.
const PEOPLE: usize = 1000;

/// The templates and their file.
pub struct Templates {
    file: Journal,
    known: Mutex<BTreeMap<String, Template>>,
}

/// A template. Nothing in the file says what stands on the card, or to whom it went.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Template {
    pub sid: String,
    pub used: Option<Timestamp>,
    /// By a keyed digest of the number: the SID of the last message.
    to: BTreeMap<String, String>,
}

impl Templates {
    /// Opens the file in a folder that is made. Blocks on the disk.
    ///
    /// # Errors
    /// A person must act.
    pub fn open(folder: &Path, connector: &ConnectorId) -> Result<Self, ConnectorError> {
        let read = || -> Result<Self, JournalError> {
            let file = Journal::in_folder(folder, "templates.json")?;
            let known = file.read()?.unwrap_or_default();
            Ok(Self {
                file,
                known: Mutex::new(known),
            })
        };
        read().map_err(|error| ConnectorError {
            connector: connector.clone(),
            cure: match &error {
                JournalError::Io { .. } => "look at the disk and at who may write there",
                JournalError::Content { .. } => {
                    "put the file back from a backup, or remove it: templates that were made stay at Twilio then"
                }
            }
            .to_owned(),
            cause: error.to_string(),
        })
    }

    pub fn sid(&self, key: &str) -> Option<String> {
        self.known().get(key).map(|template| template.sid.clone())
    }

    /// A template was made, or is used once more. Blocks for a moment.
    ///
    /// # Errors
    /// It will not outlast a restart.
    pub fn uses(&self, key: &str, sid: &str, now: Timestamp) -> Result<(), JournalError> {
        {
            let mut known = self.known();
            let template = known.entry(key.to_owned()).or_default();
            sid.clone_into(&mut template.sid);
            template.used = Some(now);
        }
        self.write()
    }

    /// A message was sent by it. Blocks for a moment.
    ///
    /// # Errors
    /// It will not outlast a restart.
    pub fn sent(&self, key: &str, to: &str, message: &str) -> Result<(), JournalError> {
        if let Some(template) = self.known().get_mut(key) {
            if template.to.len() >= PEOPLE && !template.to.contains_key(to) {
                template.to.pop_first();
            }
            template.to.insert(to.to_owned(), message.to_owned());
        }
        self.write()
    }

    /// The last message of a template to somebody.
    pub fn message(&self, key: &str, to: &str) -> Option<String> {
        self.known().get(key)?.to.get(to).cloned()
    }

    /// It is not there any more. Blocks for a moment.
    pub fn forget(&self, key: &str) {
        self.known().remove(key);
        // One that comes back after a restart is found to be gone when it is used.
        let _ = self.write();
    }

    /// Those that were not used for long enough.
    pub fn old(&self, now: Timestamp) -> Vec<(String, String)> {
        self.known()
            .iter()
            .filter(|(_, template)| template.used.is_none_or(|used| now.since(used) > KEPT))
            .map(|(key, template)| (key.clone(), template.sid.clone()))
            .collect()
    }

    fn write(&self) -> Result<(), JournalError> {
        let known = self.known().clone();
        self.file.write(&known)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Template>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
