//! What a decision may ask for. All effects of one event are committed together.

use crate::assembly::Piece;
use crate::event::{Cause, Then};
use crate::payload::Payload;
use crate::state::Card;
use swingbridge_domain::address::Address;
use swingbridge_domain::audit::NewEntry;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Signal;
use swingbridge_domain::consent::{Consent, Question};
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::Action;
use swingbridge_domain::id::{
    AssemblyId, ConnectorId, ContactId, ConversationId, EventId, LineId, MessageId, NetworkId, OutboxId,
    RoomId, UserId,
};
use swingbridge_domain::inbox::{Membership, PartOf, Receipt};
use swingbridge_domain::path::Leg;
use swingbridge_domain::store::{
    Contact, Detour, Lane, MessageRecord, PartRecord, Pin, RoomRole, SuppressedBy, TallyKey, Target, Timer,
    Trust,
};

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Finds or makes the conversation, and comes back with [`crate::event::Event::Opened`].
    Open {
        line: LineId,
        address: Address,
        then: Then,
    },
    /// Writes an outbox row, and first the record of the message that it carries.
    Queue(Box<Queue>),
    SaveMessage(Box<MessageRecord>),
    AddPart(PartRecord),
    SetPart(PartRecord, State),
    KeepReceipt(Receipt),
    /// Adds a part of an inbound message, and comes back with [`crate::event::Event::PartAdded`] when it is new.
    Assemble {
        conversation: ConversationId,
        part: PartOf,
        piece: Piece,
    },
    /// All parts were shown: what they say is erased, and digests of them stay until [`Effect::Disassemble`], so that one that comes once
    /// more is known.
    Complete(AssemblyId),
    Disassemble(AssemblyId),
    SetRoom {
        conversation: ConversationId,
        room: RoomId,
    },
    /// Gives the conversation up its room; the next message makes a new one.
    Renew(ConversationId),
    Touch(ConversationId),
    SetTrust {
        conversation: ConversationId,
        trust: Trust,
    },
    SetConsent(Consent),
    /// Remembers that a reaction to `event` is an answer.
    NoteQuestion {
        event: EventId,
        question: Question,
    },
    SetPin(Pin),
    /// Decides anew about what waits for somebody's word, in one conversation or in all of a line, and about what `writer` wrote and is
    /// still to leave; each comes back as [`crate::event::Event::Reviewed`]. `declined`: what was asked was answered with no.
    Review {
        line: LineId,
        conversation: Option<ConversationId>,
        writer: Option<UserId>,
        declined: bool,
    },
    /// Decides anew about a row that was kept; it comes back as [`crate::event::Event::Reviewed`].
    Reconsider(OutboxId),
    /// What waited for somebody's word may leave.
    Release {
        id: OutboxId,
        lane: Lane,
        target: Target,
    },
    SetRole {
        room: RoomId,
        role: RoomRole,
    },
    ForgetRoom(RoomId),
    SetMember {
        room: RoomId,
        user: UserId,
        membership: Membership,
    },
    /// Erases an outbox row.
    Remove(OutboxId),
    /// Keeps a row for the sender's retry.
    Park(OutboxId),
    /// Puts a row back.
    Requeue {
        id: OutboxId,
        lane: Lane,
        target: Target,
        not_before: Timestamp,
        counts: bool,
    },
    /// Lets the message of a row go by another line; it comes back as [`crate::event::Event::Diverted`].
    Divert {
        id: OutboxId,
        to: LineId,
        cause: Cause,
    },
    /// Messages of a conversation go by another line for a while, or no longer.
    SetDetour {
        conversation: ConversationId,
        detour: Option<Detour>,
    },
    /// Moves a conversation to another line; it comes back as [`crate::event::Event::Swapped`].
    Swap {
        conversation: ConversationId,
        line: LineId,
    },
    SetTimer {
        timer: Timer,
        due: Timestamp,
    },
    /// Gives up on receipts that match nothing.
    DropReceipts {
        connector: ConnectorId,
        network_id: NetworkId,
    },
    /// A receipt names no message at all.
    CountUnmatched(ConnectorId),
    /// Puts what could not be processed back into the inbox.
    Exhume,
    /// Remembers what an address book or a group says of a contact.
    SetCard(Box<Contact>, Card),
    /// A group goes on under another name of its network's.
    Move {
        conversation: ConversationId,
        line: LineId,
        address: Address,
    },
    /// Remembers the legs that the last message of a conversation took.
    SetWay {
        conversation: ConversationId,
        way: Vec<Leg>,
    },
    /// Passes on to a network what is of no use later.
    Signal(ConnectorId, Signal),
    /// Shows in a room what is of no use later.
    Show(Box<Action>),
    /// Remembers that a contact wishes no texts from the lines' addresses. What waits to leave for them in the conversation, where there is
    /// one, comes back as [`crate::event::Event::Barred`], where the first line enforces that.
    Suppress {
        lines: Vec<LineId>,
        conversation: Option<ConversationId>,
        contact: ContactId,
        by: SuppressedBy,
    },
    LiftSuppression {
        lines: Vec<LineId>,
        contact: ContactId,
    },
    /// Counts what is limited.
    Tally {
        key: TallyKey,
        at: Timestamp,
        amount: i64,
    },
    /// Writes to the audit log.
    Audit(NewEntry),
    /// For the metrics: a message came to an end, or to a new state.
    Count(Tally),
}

/// One more message of `line` came to `state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub line: LineId,
    pub state: &'static str,
    /// Why, where it went wrong: [`swingbridge_domain::delivery::Reason::word`] or a word of its own; else empty.
    pub reason: &'static str,
}

/// A new outbox row.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    pub target: Target,
    pub lane: Lane,
    pub payload: Payload,
    pub expires_at: Option<Timestamp>,
    pub message: Carried,
    /// It waits for somebody's word before it takes its place in the lane.
    pub held: bool,
}

/// The message that an outbox row carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Carried {
    None,
    /// Its record is written first.
    New(Box<NewMessage>),
    /// One that another row carried before.
    Again(MessageId),
}

#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    pub record: MessageRecord,
    /// The assembly that is to remember it.
    pub assembly: Option<AssemblyId>,
    /// What the network calls it, and what we call it beside.
    pub named: Vec<(ConnectorId, NetworkId)>,
}
