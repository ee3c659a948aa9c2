//! Consent: who agreed to let a line's gateway read what they write and get, and to which readers.

use crate::clock::Timestamp;
use crate::id::{ConversationId, LineId, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of what people are asked; raised when the sentence says something else.
const WORDING: u32 = 1;

/// What a line asks of its users before anything of theirs is passed on in a way that others can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Each user agrees once, for all conversations of the line.
    #[default]
    Line,
    /// Each user agrees for each conversation.
    Conversation,
    /// The organisation whose line it is has decided. Its users are told, and not asked.
    Policy,
}

/// What is done with a message that would go less protected than the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Downgrade {
    /// It does not leave.
    Refuse,
    /// It waits until its writer agrees.
    #[default]
    Ask,
    /// It leaves, and it is said before.
    Tell,
}

impl Downgrade {
    pub fn word(self) -> &'static str {
        match self {
            Downgrade::Refuse => "refuse",
            Downgrade::Ask => "ask",
            Downgrade::Tell => "tell",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Downgrade::Refuse, Downgrade::Ask, Downgrade::Tell]
            .into_iter()
            .find(|rule| rule.word() == word)
    }
}

/// What somebody agreed to, or no longer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    pub user: UserId,
    pub line: LineId,
    /// `None`: for all conversations of the line.
    pub conversation: Option<ConversationId>,
    pub terms: Terms,
    /// Otherwise it was declined or withdrawn.
    pub given: bool,
    pub at: Timestamp,
}

/// What is agreed to. Other terms need another consent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Which sentence was shown, of whom and of which network it speaks.
    pub version: String,
    /// Who can read the messages, in the words that were shown.
    pub readers: Vec<String>,
}

impl Terms {
    /// `subject`: what the sentence speaks of besides the readers (the network, who runs the gateway).
    pub fn new(subject: &[&str], readers: Vec<String>) -> Self {
        let mut hash = Sha256::new();
        hash.update(WORDING.to_be_bytes());
        for part in subject {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self {
            version: data_encoding::HEXLOWER.encode(&hash.finalize()[..4]),
            readers,
        }
    }

    /// Whether who agreed to these terms has agreed to `others` too: the same sentence, and nobody more who can read.
    pub fn cover(&self, others: &Terms) -> bool {
        self.version == others.version && others.readers.iter().all(|reader| self.readers.contains(reader))
    }
}

/// Something that the people of a room were asked, by an event that they can react to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub conversation: ConversationId,
    pub about: Asked,
    /// The line that it is about. The conversation's own where none is noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Whether these terms are agreed to.
    Consent(Terms),
    /// Whether messages may go less protected than before.
    Downgrade(crate::path::Standing),
    /// Whether a contact's new key is to be trusted.
    Key {
        scheme: crate::path::Scheme,
        fingerprint: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_reader_or_another_sentence_asks_again_and_fewer_readers_do_not() {
        let readers = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let plain = Terms::new(
            &["SMS", "Example Ltd"],
            readers(&["carriers", "gateway", "homeserver"]),
        );
        let encrypted = Terms::new(&["SMS", "Example Ltd"], readers(&["carriers", "gateway"]));
        assert!(plain.cover(&encrypted));
        assert!(!encrypted.cover(&plain));
        let others = Terms::new(&["SMS", "Other Ltd"], readers(&["carriers", "gateway"]));
        assert!(!encrypted.cover(&others));
        // Parts cannot run into one another.
        assert_ne!(Terms::new(&["ab", "c"], vec![]), Terms::new(&["a", "bc"], vec![]));
    }
}
