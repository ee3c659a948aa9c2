//! What a connector can do, as data.

use crate::path::Leg;
use serde::{Deserialize, Serialize};

/// How well something is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Not carried. The engine renders it as text or refuses it in words.
    #[default]
    Absent,
    /// Carried with losses.
    Partial,
    Full,
}

/// What a connector carries. A new ability is a new field with [`Support::Absent`] as default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The networks it reaches, in the field's words: `sms`, `rcs`, `imessage`.
    pub networks: Vec<String>,
    /// The most characters in one message; `None` when the connector splits as needed.
    pub max_text: Option<u32>,
    pub formatting: Support,
    pub replies: Support,
    pub reactions: Support,
    pub edits: Support,
    pub unsends: Support,
    pub media: Support,
    /// Files are handed over as `https:` links that end by themselves, which the network fetches, and not as files on this machine.
    pub media_links: bool,
    /// To groups, files are handed over as files on this machine all the same.
    pub files_in_groups: bool,
    /// [`crate::message::Body::RichCard`].
    pub rich_cards: Support,
    pub polls: Support,
    pub locations: Support,
    pub groups: Support,
    /// Who is writing is told, both ways.
    pub typing: Support,
    pub delivery_receipts: Support,
    /// It tells that the contact has read a message.
    pub read_receipts: Support,
    /// It lets the contact know that the user has read a message.
    pub marks_read: Support,
    /// Its ids name messages for good and in both directions: answers, reactions and edits refer to them.
    pub names_messages: bool,
    /// How many messages it works on at once, where that is limited. It is handed no more: what waited inside it would be
    /// of unknown fate after a crash although it never left.
    pub at_once: Option<u32>,
    /// The legs from the contact's phone to us, as things are set up; a message that took another way says so itself. Empty:
    /// nothing is known.
    pub way: Vec<Leg>,
    /// What has not reached the phone can be taken back ([`crate::connector::Connector::revoke`]).
    pub revokes: bool,
    /// Whether the network takes an idempotency key ([`crate::connector::Outbound::key`]), so that a send of unknown fate may be
    /// repeated by itself.
    pub idempotent_sends: bool,
}

impl Capabilities {
    /// As it is for a message to a group, or to one.
    pub fn towards(mut self, group: bool) -> Self {
        self.media_links &= !(group && self.files_in_groups);
        self
    }
}
