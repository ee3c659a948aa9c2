//! What is kept: one struct for each kind of row.

use crate::clock::Timestamp;
use crate::consent::{Asked, Downgrade};
use crate::delivery::State;
use crate::id::{
    AssemblyId, ConnectorId, ContactId, ConversationId, EventId, InboxId, LineId, MessageId, NetworkId,
    OutboxId, RoomId, UserId,
};
use crate::path::{Leg, Path, Protection, Scheme, Standing};
use serde::{Deserialize, Serialize};

/// A contact: a remote address, known by a blind index of its canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub id: ContactId,
    pub index: [u8; 32],
    /// The canonical address, sealed under [`super::seal::ADDRESS`].
    pub address: Vec<u8>,
    /// The ghost's pseudonym; it stays when the site key is rotated.
    pub ghost: String,
    /// Name and picture, where a network or an address book gave them, sealed under [`super::seal::CARD`].
    pub card: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub line: LineId,
    pub contact: ContactId,
    /// `None` until the room is made, and again after `delete-portal`.
    pub room: Option<RoomId>,
    /// Counts the rooms that the conversation has had, so that a deleted room's alias is not used again.
    pub generation: i64,
    pub created_at: Timestamp,
    pub last_at: Timestamp,
    pub trust: Trust,
}

/// What is known and was said of how well a conversation is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// How well the last message was protected that people were told of; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// What protects events between us and the clients in the conversation's room; `None` while there is no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Protection>,
    /// The conversation's own rule, set by its people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrade: Option<Downgrade>,
    /// What the room was asked, and has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// The line that it was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_of: Option<LineId>,
    /// The legs from the contact's phone to us that the last message took, where its connector says so of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<Leg>,
    /// Messages go by another line for a while, since the conversation's own does not reach the phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detour: Option<Detour>,
}

/// Another line that messages of a conversation go by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detour {
    pub line: LineId,
    /// When the conversation's own line is tried again.
    pub until: Timestamp,
}

/// The key by which a contact is known, as it was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub contact: ContactId,
    pub scheme: Scheme,
    pub fingerprint: String,
    /// Where it was seen.
    pub connector: ConnectorId,
    pub at: Timestamp,
    /// Another one that was seen since, and that is not trusted (yet).
    pub changed: Option<String>,
    /// The other one was judged, and is not trusted.
    pub rejected: bool,
}

/// A contact's wish to get no more texts from an address of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// A blind index of our own address: a line that is renamed, or moved to another connector, keeps it.
    pub own: [u8; 32],
    pub contact: ContactId,
    pub by: SuppressedBy,
    pub at: Timestamp,
}

/// How a wish became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressedBy {
    /// The contact wrote STOP, or another word for it.
    Contact,
    /// The network or the provider told.
    Network,
}

impl SuppressedBy {
    pub fn word(self) -> &'static str {
        match self {
            SuppressedBy::Contact => "contact",
            SuppressedBy::Network => "network",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [SuppressedBy::Contact, SuppressedBy::Network]
            .into_iter()
            .find(|by| by.word() == word)
    }
}

/// What is counted, and over which period: a keyed digest that the engine makes.
pub type TallyKey = [u8; 16];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From Matrix to a phone.
    Out,
    /// From a phone to Matrix.
    In,
}

/// What is known of a message; never what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub direction: Direction,
    /// The Matrix event: the one that was sent to the phone, or the one made of what came.
    pub event: Option<EventId>,
    /// Which user of ours wrote it: in a room, or on the phone itself.
    pub sender: Option<UserId>,
    pub state: State,
    /// Why it is in this state, in words for the sender.
    pub detail: Option<String>,
    pub segments: u16,
    pub encoding: Option<String>,
    /// The way that it took, or will take as things are.
    pub path: Option<Path>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl MessageRecord {
    /// Whether an earlier try of unknown fate may have reached the phone.
    pub fn may_have_left(&self) -> bool {
        matches!(self.state, State::Sending | State::Uncertain)
    }
}

/// One part of an outbound message, as the network knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRecord {
    pub connector: ConnectorId,
    pub network_id: NetworkId,
    pub message: MessageId,
    pub index: u16,
    pub state: State,
}

/// A receipt that came before the answer that gives its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyReceipt {
    pub connector: ConnectorId,
    pub network_id: NetworkId,
    /// The receipt, sealed under [`super::seal::INBOX`].
    pub sealed: Vec<u8>,
    pub received_at: Timestamp,
}

/// Something that arrived and was not processed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    pub id: InboxId,
    /// The [`crate::inbox::What`], sealed under [`super::seal::INBOX`].
    pub sealed: Vec<u8>,
    pub received_at: Timestamp,
}

/// An inbox row that could not be processed, kept for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuriedRow {
    pub row: InboxRow,
    pub error: String,
}

/// Where an outbox row goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    Homeserver,
    Connector(ConnectorId),
}

/// The order that an outbox row keeps: rows of one lane leave one after the other, lanes do not wait for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    Conversation(ConversationId),
    /// A room that belongs to no conversation (management, space, inbox).
    Room(RoomId),
    /// What belongs to a user before there is a room.
    User(UserId),
    /// What belongs to a line as a whole.
    Line(LineId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutboxState {
    Queued,
    /// Handed to a connector. Found after a crash it becomes uncertain.
    Sending,
    /// Uncertain or refused; kept until the sender's retry or its end.
    Parked,
    /// Waits for somebody's word.
    Held,
}

/// Something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    pub id: OutboxId,
    pub target: Target,
    pub lane: Lane,
    pub message: Option<MessageId>,
    pub state: OutboxState,
    pub attempts: u32,
    pub not_before: Timestamp,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// The payload, sealed under [`super::seal::OUTBOX`].
    pub sealed: Vec<u8>,
}

/// A new outbox row; the store gives the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOutboxRow {
    pub target: Target,
    pub lane: Lane,
    pub message: Option<MessageId>,
    pub state: OutboxState,
    pub not_before: Timestamp,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub sealed: Vec<u8>,
}

impl NewOutboxRow {
    /// The row that the store made of it.
    pub fn numbered(self, id: OutboxId) -> OutboxRow {
        let Self {
            target,
            lane,
            message,
            state,
            not_before,
            created_at,
            expires_at,
            sealed,
        } = self;
        OutboxRow {
            id,
            target,
            lane,
            message,
            state,
            attempts: 0,
            not_before,
            created_at,
            expires_at,
            sealed,
        }
    }
}

/// What the dispatcher must know of a queued row to keep the order; read once at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxHead {
    pub id: OutboxId,
    pub target: Target,
    pub lane: Lane,
    pub state: OutboxState,
    pub not_before: Timestamp,
}

/// An inbound message whose parts are still coming, or came a while ago: a part that comes once more is known by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembly {
    pub id: AssemblyId,
    pub conversation: ConversationId,
    /// Reference, width and total of the parts, as one key.
    pub key: String,
    pub total: u8,
    /// The message made of it when it was shown with a gap.
    pub message: Option<MessageId>,
    pub started_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssemblyPart {
    pub index: u8,
    /// The text, sealed under [`super::seal::PART`]; once the message is complete, a digest of it alone.
    pub sealed: Vec<u8>,
}

/// An entry of the audit log as it is stored; [`crate::audit`] says what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub number: i64,
    pub entry: Vec<u8>,
    /// Binds the entry and the one before it.
    pub mac: Vec<u8>,
}

/// How much of a kind is kept; for the retention report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The table, or `outbox (homeserver)`, `outbox (networks)` and `outbox (parked)`.
    pub table: &'static str,
    pub rows: u64,
    /// The least recent of it, where rows have a time: of messages and conversations that of the last change.
    pub oldest: Option<Timestamp>,
}

/// What a room without a conversation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomRole {
    Management(UserId),
    Space(LineId),
    /// The shared inbox of a line, or another room that the bot was invited to.
    Other,
}

/// Something to do later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Show an incomplete message with its gaps.
    AssemblyDue(AssemblyId),
    /// Forget the parts.
    AssemblyGone(AssemblyId),
    /// Some parts of a message were reported as delivered and the others never: take them as delivered too.
    PartsSettle(MessageId),
    /// A message that its network took has not reached the phone for long enough: it goes another way, if it can be taken back.
    Overdue(MessageId),
    /// A receipt that matches nothing.
    EarlyReceiptGone(ConnectorId, NetworkId),
}

/// How full the queues are; for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// `inbox`, `homeserver`, or the connector's name.
    pub queue: String,
    pub rows: u64,
    pub oldest: Option<Timestamp>,
}

/// How many messages of a line wait to be sent on; for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineDepth {
    pub line: LineId,
    pub direction: Direction,
    pub rows: u64,
    pub oldest: Option<Timestamp>,
}
