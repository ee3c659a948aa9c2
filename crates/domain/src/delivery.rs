//! How far a message has come.

use serde::{Deserialize, Serialize};

/// The state of an outbound message, in the order in which it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for somebody's word: a consent, or whether a key is to be trusted.
    Held,
    /// Committed, waiting for its turn.
    Queued,
    /// Handed to the connector; a crash from here on makes it [`State::Uncertain`].
    Sending,
    /// The network took it and gave ids.
    Accepted,
    /// The network says it is on its way to the phone.
    Sent,
    /// The phone has it.
    Delivered,
    /// A person has seen it.
    Read,
    /// The network or the bridge refused it; the phone will not have it.
    Rejected,
    /// It ran out of time before it reached the phone.
    Expired,
    /// It was in flight when the connection or the program went away: the phone may or may not have it.
    /// Never sent again by itself.
    Uncertain,
}

impl State {
    /// Whether nothing more is expected by itself.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            State::Delivered | State::Read | State::Rejected | State::Expired
        )
    }

    /// The word used in the database, in commands and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            State::Held => "held",
            State::Queued => "queued",
            State::Sending => "sending",
            State::Accepted => "accepted",
            State::Sent => "sent",
            State::Delivered => "delivered",
            State::Read => "read",
            State::Rejected => "rejected",
            State::Expired => "expired",
            State::Uncertain => "uncertain",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        const ALL: [State; 10] = [
            State::Held,
            State::Queued,
            State::Sending,
            State::Accepted,
            State::Sent,
            State::Delivered,
            State::Read,
            State::Rejected,
            State::Expired,
            State::Uncertain,
        ];
        ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What a delivery receipt says of one part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// On its way (SMPP ENROUTE, ACCEPTED and intermediate notifications).
    Sent,
    Delivered,
    Read,
    /// Validity period over (SMPP EXPIRED).
    Expired,
    /// Refused or undeliverable (SMPP UNDELIV, REJECTD, DELETED).
    Rejected,
    /// The network does not say (SMPP UNKNOWN).
    Unknown,
}

/// Why a message did not leave or did not arrive, as callers act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The address can not be reached or does not exist.
    BadAddress,
    /// The phone has not this service, or has it no longer. Another service may reach it.
    NotReachable,
    /// The content can not be carried (too long, wrong type).
    BadContent,
    /// The account may not do this.
    NotAllowed,
    /// An emergency number: call it instead.
    Emergency,
    /// Its time was over.
    Expired,
    /// The network failed in a way that may pass.
    NetworkFault,
    /// The network refused it for good.
    NetworkRefused,
    /// The network took a part of it for good and refused the rest: the phone has, or gets, that part.
    InPart,
}

impl Reason {
    pub fn word(self) -> &'static str {
        match self {
            Reason::BadAddress => "bad_address",
            Reason::NotReachable => "not_reachable",
            Reason::BadContent => "bad_content",
            Reason::NotAllowed => "not_allowed",
            Reason::Emergency => "emergency",
            Reason::Expired => "expired",
            Reason::NetworkFault => "network_fault",
            Reason::NetworkRefused => "network_refused",
            Reason::InPart => "in_part",
        }
    }
}
