//! What is known when something happens.

use crate::assembly::Piece;
use std::collections::BTreeMap;
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::Health;
use swingbridge_domain::consent::{Consent, Question};
use swingbridge_domain::homeserver::Ghost;
use swingbridge_domain::id::{ConnectorId, RoomId, UserId};
use swingbridge_domain::inbox::Membership;
use swingbridge_domain::line::Line;
use swingbridge_domain::store::{
    Assembly, BuriedRow, Contact, Conversation, MessageRecord, OutboxRow, PartRecord, Pin, QueueDepth,
    RoomRole,
};

/// What the decision about one event may look at. Only what the event needs is filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The conversation that the event is about.
    pub talk: Option<Talk>,
    /// There is a conversation, but its line is no longer configured.
    pub line_gone: bool,
    /// What its room is otherwise.
    pub role: Option<RoomRole>,
    /// Members of the room of `talk`.
    pub members: Vec<(UserId, Membership)>,
    /// Members of the lines' shared inboxes.
    pub inbox_members: BTreeMap<RoomId, Vec<(UserId, Membership)>>,
    /// The message that the event is about.
    pub message: Option<MessageRecord>,
    /// All parts of it, as the network knows them; and the one that a receipt names.
    pub parts: Vec<PartRecord>,
    pub part: Option<PartRecord>,
    /// Receipts that came before the answer.
    pub early: Vec<swingbridge_domain::inbox::Receipt>,
    pub assembly: Option<(Assembly, BTreeMap<u8, Piece>)>,
    /// The outbox row of the message.
    pub row: Option<OutboxRow>,
    /// What was said of the conversation's line: by the writer of a text to a phone, by anybody for a text from one.
    pub consents: Vec<Consent>,
    /// What the event that is reacted to asks.
    pub question: Option<Question>,
    /// The keys by which the contact is known.
    pub pins: Vec<Pin>,
    /// For commands.
    pub survey: Survey,
    pub health: BTreeMap<ConnectorId, Health>,
}

/// A conversation with all that names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Talk {
    pub conversation: Conversation,
    pub contact: Contact,
    pub address: Address,
    pub line: Line,
}

/// What commands show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    pub talks: Vec<Talk>,
    pub queues: Vec<QueueDepth>,
    pub buried: Vec<BuriedRow>,
    pub latest: Option<MessageRecord>,
    /// The contact of a ghost who was invited.
    pub invited: Option<Address>,
}

impl Talk {
    /// What people see of the contact.
    pub fn shown(&self) -> String {
        self.line.display.of(&self.address)
    }

    pub fn ghost(&self, network: &str) -> Ghost {
        let name = format!("{} ({})", self.shown(), network.to_uppercase());
        Ghost::new(self.contact.ghost.clone(), name)
    }

    /// The local part of the room's alias: the same for ever, until the room is given up.
    pub fn alias(&self, keys: &swingbridge_domain::secret::Keys) -> String {
        // Not from the conversation's number: numbers begin again in a new database, and would lead to strangers' rooms.
        let Conversation { line, generation, .. } = &self.conversation;
        keys.pseudonym(
            "room",
            &format!("{line}/{}/{generation}", self.address.canonical()),
        )
    }
}
