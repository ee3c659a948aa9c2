//! Bot commands: read, and run as part of a decision.

mod admin;
mod message;
mod opt_outs;
mod read;
mod run;
mod swap;
mod trust;

pub(crate) use read::{in_conversation, in_management};
pub(crate) use run::run;

use swingbridge_domain::consent::Downgrade;
use swingbridge_domain::id::{ConversationId, EventId};
use swingbridge_domain::line::Line;
use swingbridge_domain::message::RichCard;

pub(crate) const NOT_YOURS: &str =
    "You may not use this gateway. Ask its operator to add you under `permissions`.";

/// What a user asks of the bot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Help,
    Version,
    Ping,
    Lines,
    /// The line's name and the number; the name is optional.
    StartChat {
        line: Option<String>,
        number: String,
    },
    List,
    Id,
    DeletePortal,
    /// `None`: the latest message of the room.
    Status(Option<EventId>),
    Retry(Option<EventId>),
    /// `None`: the room as it is now.
    Path(Option<EventId>),
    /// And of which line; the room's without one.
    Consent(Wish, Option<String>),
    Policy(Option<Downgrade>),
    Pins(Verdict),
    /// Something with a title, words and buttons.
    Card(RichCard),
    /// Whether the room's lines reach the contact.
    Reach,
    Swap(Swap),
    Queues,
    Buried,
    Requeue,
    OptOuts(OptOuts),
    /// A known command with the wrong words after it: how it is used.
    Usage(&'static str),
    /// The word that is none, or nothing at all.
    Unknown(String),
}

/// A conversation is to go by another line; without one named: the room's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Swap {
    pub conversation: Option<ConversationId>,
    pub line: String,
}

impl Swap {
    /// Whether `line` is the one that is wanted.
    pub fn names(&self, line: &Line) -> bool {
        line.id.as_str().eq_ignore_ascii_case(&self.line) || line.name.eq_ignore_ascii_case(&self.line)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    List,
    Give,
    Withdraw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    List,
    Accept,
    Reject,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OptOuts {
    List,
    /// Of a line's contact, as the list names them; of the room's without one.
    Lift {
        whose: Option<(String, i64)>,
        reason: String,
    },
}

/// Every command: its name, what comes after it, what it does, and whether only admins may use it.
pub(crate) const ALL: [(&str, &str, &str, bool); 21] = [
    ("help", "", "shows this", false),
    ("version", "", "which Swingbridge this is", false),
    ("ping", "", "whether the lines are connected", false),
    ("lines", "", "the lines you may use", false),
    ("start-chat", "[LINE] NUMBER", "starts a chat with a phone", false),
    ("list", "", "your conversations", false),
    ("id", "", "what this room is to the bridge", false),
    (
        "delete-portal",
        "",
        "gives this conversation's room up; the next message makes a new one",
        false,
    ),
    (
        "status",
        "[MESSAGE]",
        "how far a message has come: reply to it, or give its link or event id",
        false,
    ),
    (
        "retry",
        "[MESSAGE]",
        "sends a message again whose fate is not known",
        false,
    ),
    (
        "path",
        "[MESSAGE]",
        "who can read a message or this room's messages, leg by leg",
        false,
    ),
    (
        "consent",
        "list|give|withdraw [LINE]",
        "what you agreed to, and to agree or not",
        false,
    ),
    (
        "policy",
        "[refuse|ask|tell]",
        "what becomes of a message that would go less protected than before",
        false,
    ),
    (
        "pins",
        "[list|accept|reject]",
        "the contact's keys, and whether a changed one is trusted",
        false,
    ),
    (
        "card",
        "TITLE | TEXT | BUTTON | BUTTON=https://…",
        "sends a card with buttons, or its words where there are no cards",
        false,
    ),
    (
        "reach",
        "",
        "whether this conversation's lines reach the phone",
        false,
    ),
    (
        "swap",
        "[CONVERSATION] LINE",
        "lets a conversation go by another of your lines; its room stays",
        false,
    ),
    ("queues", "", "how much is waiting, and for how long", true),
    (
        "buried",
        "",
        "what arrived and could not be processed, without contents",
        true,
    ),
    (
        "optouts",
        "[lift [LINE/CONTACT] REASON]",
        "who asked for no more texts; and ends that for one of them, for a reason",
        true,
    ),
    ("requeue", "", "processes what was buried once more", true),
];

/// The command whose name is nearest to `word`.
pub(crate) fn nearest(word: &str) -> Option<&'static str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&word.to_ascii_lowercase(), name);
    ALL.iter()
        .map(|(name, ..)| *name)
        .filter(|name| distance(name) <= 2.max(name.len() / 3))
        .min_by_key(|name| distance(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_answered_with_the_nearest_name() {
        assert_eq!(nearest("hlep"), Some("help"));
        assert_eq!(nearest("startchat"), Some("start-chat"));
        assert_eq!(nearest("xyzzy"), None);
    }
}
