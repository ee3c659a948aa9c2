//! What is kept over a restart: how far the server's rows were read, what the newest of them looked like, and which sends are still
//! watched. One small file, replaced as a whole, written after the inbox has committed.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;

/// How many of the newest rows are compared with what they were.
pub(super) const WINDOW: i64 = 200;
/// More than the window: rows that were looked at one by one are in it, too.
const SEEN: usize = 800;
const OURS: usize = 400;
const TAPBACKS: usize = 800;
/// How long a send of unknown fate is expected to show up. The server gives up on files after 20 minutes.
const UNSETTLED: Duration = Duration::from_secs(25 * 60);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// The highest row that was handed in; `None` before the first start.
    pub cursor: Option<i64>,
    /// The message in that row.
    #[serde(default)]
    pub anchor: Option<String>,
    /// The date of the newest message that was handed in.
    #[serde(default)]
    pub newest: i64,
    /// Rows up to this one are history: they were there before the first start.
    #[serde(default)]
    pub history_to: i64,
    /// The database was replaced: rows up to the first, older than the second, were there before.
    #[serde(default)]
    pub replaced: Option<(i64, i64)>,
    #[serde(default)]
    pub seen: VecDeque<(String, Look)>,
    /// What we sent.
    #[serde(default)]
    pub ours: VecDeque<String>,
    #[serde(default)]
    pub watches: BTreeMap<String, Watch>,
    #[serde(default)]
    pub waiting: Vec<Waiting>,
    #[serde(default)]
    pub flights: Vec<Flight>,
    #[serde(default)]
    pub tapbacks: VecDeque<Put>,
    /// The server's name for each group by Apple's, which stays when the other changes.
    #[serde(default)]
    pub groups: BTreeMap<String, String>,
    /// What the Private API was when it was last asked for.
    #[serde(default)]
    pub private_api: bool,
}

/// What of a message can change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    #[serde(default)]
    pub edited: i64,
    #[serde(default)]
    pub unsent: bool,
    #[serde(default)]
    pub outcome: Option<Outcome>,
}

/// A message of ours whose end is looked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Watch {
    pub until: Timestamp,
}

/// A row that is not complete yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub guid: String,
    pub row: i64,
    pub since: Timestamp,
}

/// A send that has begun and of which no row is known yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Flight {
    pub id: u64,
    /// The chat, or the address when there was none.
    pub to: String,
    /// Of what was sent, with a salt of its own: enough to recognise it, too little to read it.
    pub digest: String,
    pub salt: String,
    /// Rows up to this one were there before.
    pub floor: i64,
    pub at: Timestamp,
}

/// A tapback that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Put {
    pub guid: String,
    pub target: String,
    pub name: String,
    /// Whose; empty when ours.
    pub by: String,
}

/// The journal cannot be used; a person must act.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("{path} cannot be read or written: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("{path} is not as this version wrote it: {error}")]
    Garbled { path: String, error: serde_json::Error },
}

pub(super) struct Journal {
    path: PathBuf,
    state: State,
}

impl Journal {
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join("bluebubbles.json");
        let io = |error| JournalError::Io {
            path: path.display().to_string(),
            error,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let state = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| JournalError::Garbled {
                path: path.display().to_string(),
                error,
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(io(error)),
        };
        Ok(Self { path, state })
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// Makes a change and keeps it, or leaves all as it was.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut State) -> T) -> Result<T, JournalError> {
        let mut state = self.state.clone();
        let outcome = change(&mut state);
        state.trim();
        self.write(&state).map_err(|error| JournalError::Io {
            path: self.path.display().to_string(),
            error,
        })?;
        self.state = state;
        Ok(outcome)
    }

    fn write(&self, state: &State) -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let beside = self.path.with_extension("json.new");
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&serde_json::to_vec(state).map_err(std::io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        // The new name must survive a power cut, too.
        if let Some(folder) = self.path.parent() {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

impl Look {
    /// Whether its writer changed it since it looked like `before`.
    pub fn is_rewritten(self, before: Look) -> bool {
        self.edited > before.edited || (self.unsent && !before.unsent)
    }

    /// What is known of it: what was read a moment ago may be older than what was remembered since.
    fn after(self, known: Look) -> Look {
        let stale = known.is_rewritten(self);
        Look {
            edited: if stale { known.edited } else { self.edited },
            unsent: if stale { known.unsent } else { self.unsent },
            outcome: match known.outcome {
                Some(Outcome::Read) => known.outcome,
                _ => self.outcome.or(known.outcome),
            },
        }
    }
}

impl State {
    pub fn look(&self, guid: &str) -> Option<Look> {
        let found = self.seen.iter().rev().find(|(known, _)| known == guid);
        found.map(|(_, look)| *look)
    }

    pub fn saw(&mut self, guid: &str, look: Look) {
        match self.seen.iter_mut().find(|(known, _)| known == guid) {
            Some((_, known)) => *known = look.after(*known),
            None => self.seen.push_back((guid.to_owned(), look)),
        }
    }

    pub fn is_ours(&self, guid: &str) -> bool {
        self.ours.iter().any(|known| known == guid)
    }

    pub fn own(&mut self, guid: &str) {
        if !self.is_ours(guid) {
            self.ours.push_back(guid.to_owned());
        }
    }

    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.watches.values().any(|watch| watch.until <= now)
            || self
                .flights
                .iter()
                .any(|flight| now.since(flight.at) >= UNSETTLED)
    }

    /// Ends what is looked for no longer.
    pub fn expire(&mut self, now: Timestamp) {
        self.flights.retain(|flight| now.since(flight.at) < UNSETTLED);
        self.watches.retain(|_, watch| watch.until > now);
    }

    fn trim(&mut self) {
        while self.seen.len() > SEEN {
            self.seen.pop_front();
        }
        while self.ours.len() > OURS {
            self.ours.pop_front();
        }
        while self.tapbacks.len() > TAPBACKS {
            self.tapbacks.pop_front();
        }
    }
}

/// The digest of what a message says.
pub(super) fn digest(salt: &str, content: &str) -> String {
    let mut sha = Sha256::new();
    sha.update(salt.as_bytes());
    sha.update([0]);
    sha.update(content.as_bytes());
    data_encoding::HEXLOWER.encode(&sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_there_after_a_restart_and_a_garbled_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        journal
            .change(|state| {
                state.cursor = Some(7);
                for at in 0..2000 {
                    state.saw(&at.to_string(), Look::default());
                }
            })
            .unwrap();
        let again = Journal::open(folder.path()).unwrap();
        assert_eq!(again.state().cursor, Some(7));
        assert_eq!(again.state().seen.len(), SEEN);
        assert!(again.state().look("1999").is_some() && again.state().look("0").is_none());

        let path = folder.path().join("bluebubbles.json");
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(
            Journal::open(folder.path()),
            Err(JournalError::Garbled { .. })
        ));
        assert_eq!(std::fs::read(&path).unwrap(), b"{");
    }
}
