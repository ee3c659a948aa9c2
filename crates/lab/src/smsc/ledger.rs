//! The carrier's books: every submission, so that a test can prove that none was lost and none doubled.

use std::collections::BTreeMap;

use serde::Serialize;
use swingbridge_domain::clock::Timestamp;
use swingbridge_wire::receipts::MessageState;
use swingbridge_wire::smpp::{CommandStatus, Sm};

use super::SessionId;
use super::phones::Message;

/// What the carrier did with a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken: it counts, and is paid, whether or not the response arrived.
    Taken,
    Refused(CommandStatus),
    /// The connection broke before it was taken.
    Lost,
}

/// One `submit_sm` or `data_sm`, as it came.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Counts up from 1.
    pub number: u64,
    pub session: SessionId,
    pub system_id: String,
    /// The addresses as keys; see [`super::key`].
    pub source: String,
    pub destination: String,
    pub sm: Sm,
    pub at: Timestamp,
    pub outcome: Outcome,
    /// The id as the response says it; empty unless taken.
    pub message_id: String,
    /// What became of it on the network, once that is known.
    pub fate: Option<MessageState>,
    /// Whether the response was put on the wire.
    pub answered: bool,
}

/// What went to phones in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accounts {
    /// How often each text came from an address to a phone, whole.
    pub texts: BTreeMap<Text, usize>,
    /// Submissions taken: parts, not messages.
    pub taken: usize,
    /// Submissions refused.
    pub refused: usize,
    /// Submissions whose connection broke before they were taken.
    pub lost: usize,
    /// Long messages that lack a part.
    pub incomplete: usize,
}

/// A text from an address to a phone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Text {
    pub source: String,
    pub destination: String,
    pub text: String,
}

impl Accounts {
    pub(super) fn new(submissions: &[Submission], messages: &[Message], incomplete: usize) -> Accounts {
        let mut accounts = Accounts {
            incomplete,
            ..Accounts::default()
        };
        for submission in submissions {
            match submission.outcome {
                Outcome::Taken => accounts.taken += 1,
                Outcome::Refused(_) => accounts.refused += 1,
                Outcome::Lost => accounts.lost += 1,
            }
        }
        for message in messages.iter().filter(|message| !message.from_phone) {
            let text = Text {
                source: message.peer.clone(),
                destination: message.phone.clone(),
                text: message.text.clone(),
            };
            *accounts.texts.entry(text).or_default() += 1;
        }
        accounts
    }

    /// The texts that came more than once.
    pub fn doubled(&self) -> impl Iterator<Item = (&Text, usize)> {
        self.texts
            .iter()
            .filter(|(_, times)| **times > 1)
            .map(|(text, times)| (text, *times))
    }
}
