//! All that arrives, from the networks and from the homeserver, and the port by which it is handed in.

use crate::address::{Address, Hint};
use crate::clock::Timestamp;
use crate::delivery::Outcome;
use crate::id::{ConnectorId, EventId, NetworkId, RoomId, SessionId, UserId};
use crate::message::{Media, Message};
use crate::path::{Leg, Protection, Scheme};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// The one inbox. Connectors and the Matrix side hand in what they received.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Commits `arrivals`, in order. What was handed in before (see [`Dedupe`]) is passed over. When this returns
    /// `Ok`, the caller acknowledges to its peer; never before.
    ///
    /// # Errors
    /// Nothing of the call was committed; the caller does not acknowledge, and the peer may send again.
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError>;

    /// Something that the homeserver pushed was refused, and may come again after what is newer: the homeserver is asked for it
    /// before more of what it pushes is taken in.
    fn refused(&self) {}

    /// What the homeserver pushes next is numbered as if something before it had not come.
    fn skipped(&self) {}
}

/// Why nothing was committed. [`InboxError::Unavailable`] may pass; [`InboxError::Closed`] means the program is ending.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InboxError {
    #[error("the store cannot take anything now: {0}")]
    Unavailable(String),
    #[error("the program is stopping")]
    Closed,
}

/// One thing that arrived, with what tells it from its own repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    pub dedupe: Dedupe,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Network(Inbound),
    Room(RoomEvent),
}

/// How a repetition is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dedupe {
    /// Repeating it does no harm (receipts: a state only moves forward).
    Harmless,
    /// The peer names it once and for all (a provider's message id). Unique within `scope`.
    Id { scope: String, id: String },
    /// A Matrix event: its id and the moment that its sender wrote into it are the same whenever it comes.
    Event { id: EventId, sent_at: Timestamp },
    /// The network gives no id (SMPP `deliver_sm`): a digest of all that was said, and the session that brought it.
    /// It is a repetition when the same digest came by *another* session that ended (or was lost with the program) less than
    /// [`UNSURE_BEFORE_END`] after bringing it, and the present session began at most [`REDELIVERY_WINDOW`] ago, each
    /// once; or when the same session brought it with the same `sequence`. So one person's two equal texts both arrive.
    Digest {
        connector: ConnectorId,
        session: SessionId,
        sequence: u32,
        digest: [u8; 16],
    },
}

/// An answer written this short before its session ended may not have reached the network.
pub const UNSURE_BEFORE_END: std::time::Duration = std::time::Duration::from_secs(10);
/// A network delivers again what it got no answer for within this long after a new session began.
pub const REDELIVERY_WINDOW: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// A group, as a network tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The network's name of it; never shown. Networks give a group another name when its members or its service change: a
    /// connector that knows an earlier one puts it in `formerly`.
    pub thread: NetworkId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formerly: Vec<NetworkId>,
    /// What its members call it.
    pub name: Option<String>,
    /// Everybody in it besides us, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<NetworkAddress>,
}

/// A contact, as the device's address book has it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub connector: ConnectorId,
    pub contact: NetworkAddress,
    pub name: Option<String>,
    /// A picture on this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Media>,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Card({:?})", self.contact)
    }
}

/// What happened to a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupChange {
    pub connector: ConnectorId,
    pub to: NetworkAddress,
    pub group: Group,
    /// Who did it; `None` when that is not known, or when it was us.
    pub by: Option<NetworkAddress>,
    pub at: Option<Timestamp>,
    pub change: Change,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// `group` has the name now, and who is in it.
    Renamed,
    Joined(NetworkAddress),
    /// Went by themselves, or were put out.
    Left(NetworkAddress),
    /// Its picture; `None`: it has none any more.
    Picture(Option<Media>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Typing {
    pub connector: ConnectorId,
    pub from: NetworkAddress,
    pub to: NetworkAddress,
    /// Writes to a group.
    pub group: Option<NetworkId>,
    pub active: bool,
}

/// What a connector received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inbound {
    Message(InboundMessage),
    Receipt(Receipt),
    /// A contact's long-term key was seen.
    Identity(Identity),
    /// What the device's address book says of a contact.
    Card(Card),
    /// What happened to a group other than that something was said.
    Group(GroupChange),
    /// Somebody began to write, or stopped. Handed in with [`Dedupe::Harmless`]; it is of no use later.
    Typing(Typing),
    /// The network tells whether a contact wishes texts from us.
    Preference(Preference),
    /// A session of a connector began or ended; written by connectors that use [`Dedupe::Digest`], so that a
    /// redelivery can be told from two equal texts.
    Session {
        connector: ConnectorId,
        session: SessionId,
        ended: bool,
    },
}

/// Whether a contact wishes texts from us, as the network or the provider tells it (an opt-out that it keeps itself, UNSUBSCRIBE of RCS).
/// What the contact is to be answered, the network has answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    pub connector: ConnectorId,
    pub from: NetworkAddress,
    pub to: NetworkAddress,
    pub wanted: bool,
}

/// A message, or one part of it, from a phone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboundMessage {
    pub connector: ConnectorId,
    /// The sender, as the network gave it. The engine makes an [`Address`] of it with the line's region.
    pub from: NetworkAddress,
    /// Which of our addresses it was sent to; the engine finds the line by it.
    pub to: NetworkAddress,
    /// It was said in a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// We said it ourselves, on the device and not by Matrix: `from` is then the contact it went to.
    #[serde(default)]
    pub own: bool,
    /// It is old: the network's history was read. It is shown with its own time, and nobody is called for it.
    #[serde(default)]
    pub history: bool,
    /// The network has answered it by itself (a STOP, START or HELP that it knows): no such answer of ours is due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
    /// A button of a card was tapped: the words are ours, not the contact's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tapped: bool,
    /// The network's id, where it gives one.
    pub network_id: Option<NetworkId>,
    /// When it was sent, where the network says so.
    pub sent_at: Option<Timestamp>,
    pub message: Message,
    /// The legs from the phone to us, where this message took other ones than [`crate::capability::Capabilities::way`] says.
    #[serde(default)]
    pub way: Vec<Leg>,
    /// Set when this is one part of a longer message: parts come out of order, twice, or never.
    pub part: Option<PartOf>,
    /// The octets of a part that came in UTF-16: some senders cut through a character, which then reads right only when the
    /// parts are put together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utf16: Option<Utf16>,
}

impl InboundMessage {
    /// A whole message from one contact.
    pub fn new(connector: ConnectorId, from: NetworkAddress, to: NetworkAddress, message: Message) -> Self {
        Self {
            connector,
            from,
            to,
            group: None,
            own: false,
            history: false,
            answered: false,
            tapped: false,
            network_id: None,
            sent_at: None,
            message,
            way: Vec::new(),
            part: None,
            utf16: None,
        }
    }
}

/// Text as UTF-16BE octets, perhaps cut in the middle of a character. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Utf16(pub Vec<u8>);

impl std::fmt::Debug for Utf16 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Utf16({} octets)", self.0.len())
    }
}

/// An address as a network gave it, not yet understood. `Debug` is redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAddress {
    pub text: String,
    #[serde(default)]
    pub hint: Hint,
}

impl std::fmt::Debug for NetworkAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NetworkAddress({} octets, {:?})", self.text.len(), self.hint)
    }
}

impl NetworkAddress {
    pub fn understand(&self, region: Option<crate::address::Region>) -> Address {
        Address::from_network(&self.text, region, self.hint)
    }
}

/// Which part of which longer message (3GPP TS 23.040 section 9.2.3.24.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartOf {
    pub reference: u32,
    /// Octets of the reference on the wire (1 or 2; SAR TLVs count as 2): different widths are different messages.
    pub width: u8,
    /// How many parts there are.
    pub total: u8,
    /// Which one this is, from 1.
    pub index: u8,
}

/// The key by which a contact is known on a network: an MLS participant's, a device's, or what a provider reports. Keys that change
/// by themselves (leaf certificates) are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub connector: ConnectorId,
    pub from: NetworkAddress,
    pub to: NetworkAddress,
    pub scheme: Scheme,
    /// As people compare it; holds no address.
    pub fingerprint: String,
}

/// A delivery receipt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub connector: ConnectorId,
    /// The ids under which the message may be known here, best first (exact, then as the account's rule reads it).
    pub network_ids: Vec<NetworkId>,
    pub outcome: Outcome,
    /// The network's own word or code for a failure. Holds no text of the message.
    pub error: Option<String>,
    pub at: Option<Timestamp>,
    /// The legs from the contact's phone to us, when it turns out that the message took other ones than was thought (it left as SMS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<Leg>,
}

/// What happened in a Matrix room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoomEvent {
    pub room: RoomId,
    pub event: EventId,
    pub sender: UserId,
    pub sent_at: Timestamp,
    /// What protected it between the sender's client and us: [`Protection::EndToEnd`] when it came encrypted and we opened it,
    /// [`Protection::None`] when the homeserver had it in the clear.
    #[serde(default)]
    pub protection: Protection,
    pub what: RoomEventKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomEventKind {
    /// Anything said: text, media, reaction, edit, redaction, poll, or a type that nothing here knows.
    Message(Message),
    /// An event that can not be read. When its `cause` may pass, the event is handed in as what it is once it can be.
    Undecryptable { cause: Unreadable },
    Membership {
        user: UserId,
        membership: Membership,
        /// An invite said that this is a direct chat.
        direct: bool,
    },
    /// The room was replaced by another.
    Replaced { by: RoomId },
    /// The sender has read up to this event. Handed in with [`Dedupe::Harmless`].
    Read { up_to: EventId },
    /// The sender is writing, or no longer. Handed in with [`Dedupe::Harmless`].
    Typing { active: bool },
}

/// Why an event can not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// The key that opens it is not there yet. It is looked for, for as long as it takes.
    MissingKey,
    /// The sender's client says that it keeps the key from us. Should it come after all, the event is read.
    Withheld,
    /// It opens, and nobody vouches that it was written on a device of its sender. It is read once somebody does.
    UnknownDevice,
    /// It opens with no key, or not with its own.
    Malformed,
    /// It came in the clear where only what is encrypted is taken.
    NotEncrypted,
    /// This gateway takes no part in encryption.
    NoEncryption,
}

impl Unreadable {
    /// Whether it may be read later, by itself.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::MissingKey | Self::Withheld | Self::UnknownDevice)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    Invite,
    Join,
    /// Left, was removed, banned, or declined.
    Leave,
    Knock,
}
