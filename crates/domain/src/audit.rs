//! The audit log: what was done with rights and with keys, by whom and when; never what anybody wrote.
//!
//! Entries form a chain: each carries a keyed hash (HMAC-SHA-256, under a key that derives from the site key) of itself and
//! of the hash before it, and a keyed record says where the chain begins and ends. Who can write to the database and does
//! not have the site key can therefore not alter, remove, insert, reorder or cut off entries unnoticed. What that does not
//! withstand is written down in docs/specs/audit-log.md.

mod chain;
mod verify;

pub use chain::{Mark, append, prune};
pub use verify::{Fault, Verdict, verify};

use crate::clock::Timestamp;
use crate::id::{ConnectorId, ConversationId, LineId, RoomId, UserId};
use crate::store::{AuditRow, Result, StoreError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest detail that is kept, in characters.
const LONGEST_DETAIL: usize = 300;
/// A run of digits this long could be a phone number.
const NUMBER: usize = 7;

/// Lists the kinds of entries with the word that stands in the log, and what it means. A word that was released is never
/// given another meaning.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $word:literal),+ $(,)?) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])* $kind),+
        }

        impl Kind {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Kind] = &[$(Kind::$kind),+];

            /// The word that stands for it in the log.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Kind::$kind => $word),+
                }
            }
        }
    };
}

kinds! {
    /// The log begins: the first entry of a database.
    LogBegun = "log.begun",
    /// The record of the log's ends was found altered or gone; the log goes on behind what was found.
    LogRestarted = "log.restarted",
    /// The gateway opened the database, with the key that the entry is about.
    Started = "gateway.started",
    /// The gateway stopped as it was asked to. Two starts without a stop between them: it was killed.
    Stopped = "gateway.stopped",
    /// Settings are not those of the start before; the detail names the sections.
    SettingsChanged = "settings.changed",
    /// A site key was used on this database for the first time.
    KeyFirstUsed = "key.first-used",
    /// An admin let what was buried be processed once more.
    Requeued = "admin.requeued",
    /// Somebody who is no admin asked for an admin command.
    AdminRefused = "admin.refused",
    /// A user gave a conversation's room up.
    PortalDeleted = "portal.deleted",
    /// A conversation was moved to another line.
    ConversationMoved = "conversation.moved",
    /// Something undeliverable was erased because its time was over.
    Erased = "retention.erased",
    /// A user agreed that a conversation may be read at a place named in the detail.
    ConsentGiven = "consent.given",
    /// A user took that back.
    ConsentWithdrawn = "consent.withdrawn",
    /// A contact's key or protection was pinned.
    PinSet = "pin.set",
    /// A pin was changed or taken away.
    PinChanged = "pin.changed",
    /// A policy decided something that a user or an operator would want to look up.
    PolicyApplied = "policy.applied",
    /// A contact wishes no more texts from a line.
    OptedOut = "optout.set",
    /// That ended: by the contact, or by an admin whose reason the detail gives.
    OptOutLifted = "optout.lifted",
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The gateway, by itself.
    Gateway,
    /// Somebody at the gateway's command line.
    Operator,
    /// A Matrix user.
    User(UserId),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Gateway => f.write_str("gateway"),
            Who::Operator => f.write_str("operator"),
            Who::User(user) => user.fmt(f),
        }
    }
}

/// What it is about: an id or a label, never an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    Line(LineId),
    Connector(ConnectorId),
    Conversation(ConversationId),
    Room(RoomId),
    /// What tells a key from others and gives nothing of it away.
    Key(String),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            About::Line(line) => write!(f, "line {line}"),
            About::Connector(connector) => write!(f, "connector {connector}"),
            About::Conversation(conversation) => write!(f, "conversation {conversation}"),
            About::Room(room) => write!(f, "room {room}"),
            About::Key(label) => write!(f, "key {label}"),
        }
    }
}

/// An entry to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    pub kind: Kind,
    pub who: Who,
    pub about: Option<About>,
    /// A few words. Whatever looks like a phone number in it is blotted out when it is written.
    pub detail: String,
}

impl NewEntry {
    /// Something that the gateway did.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            who: Who::Gateway,
            about: None,
            detail: String::new(),
        }
    }

    #[must_use]
    pub fn by(mut self, user: &UserId) -> Self {
        self.who = Who::User(user.clone());
        self
    }

    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.about = Some(about);
        self
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// An entry as it was written. Words that this program does not know may come from a newer one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1, without gaps.
    pub number: i64,
    pub at: Timestamp,
    /// [`Kind::word`].
    pub what: String,
    /// [`Who`], as it is displayed.
    pub who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Entry {
    fn new(number: i64, at: Timestamp, entry: &NewEntry) -> Self {
        Self {
            number,
            at,
            what: entry.kind.word().to_owned(),
            who: entry.who.to_string(),
            about: entry.about.clone(),
            detail: discreet(&entry.detail),
        }
    }

    /// The bytes that the chain binds, and that are stored.
    fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|_| StoreError::Failed("an audit entry cannot be written down".into()))
    }

    /// Reads a row as it stands there; nothing is verified. `None` when it holds no entry.
    pub fn parse(row: &AuditRow) -> Option<Self> {
        serde_json::from_slice(&row.entry).ok()
    }
}

/// `text`, shortened, on one line, and with dots in place of what could be a phone number.
fn discreet(text: &str) -> String {
    let text: Vec<char> = text
        .chars()
        .take(LONGEST_DETAIL)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_slice();
    while !rest.is_empty() {
        let run = rest
            .iter()
            .take_while(|c| c.is_ascii_digit() || " -./()".contains(**c))
            .count();
        // What separates the run from the next word is not of it.
        let run = rest[..run]
            .iter()
            .rposition(char::is_ascii_digit)
            .map_or(0, |last| last + 1);
        if rest[..run].iter().filter(|c| c.is_ascii_digit()).count() >= NUMBER {
            out.push_str("•••");
            rest = &rest[run..];
        } else {
            let keep = run.max(1);
            out.extend(&rest[..keep]);
            rest = &rest[keep..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let mut words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Kind::ALL.len());
    }

    #[test]
    fn a_detail_holds_no_number() {
        for (given, kept) in [
            ("sections: lines, retention", "sections: lines, retention"),
            ("version 0.1.0", "version 0.1.0"),
            ("3 of 2000 rows", "3 of 2000 rows"),
            ("with +447700900456 there", "with +••• there"),
            ("07700 900-456", "•••"),
            ("(07700) 900.456!", "•••!"),
            ("two\nlines", "two lines"),
        ] {
            assert_eq!(discreet(given), kept, "{given}");
        }
        assert!(discreet(&"x".repeat(1000)).len() <= LONGEST_DETAIL);
    }

    #[test]
    fn an_entry_is_written_in_one_way() {
        let new = NewEntry::new(Kind::PortalDeleted)
            .by(&UserId::new("@alice:example.org"))
            .about(About::Conversation(ConversationId(7)));
        let entry = Entry::new(3, Timestamp(1_700_000_000_000), &new);
        assert_eq!(
            entry.bytes().unwrap(),
            br#"{"number":3,"at":1700000000000,"what":"portal.deleted","who":"@alice:example.org","about":{"conversation":7}}"#
        );
    }
}
