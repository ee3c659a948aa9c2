//! What can happen.

use crate::assembly::Piece;
use crate::payload::{Payload, Send};
use swingbridge_domain::connector::{Accepted, Reach, Revoked, SendError};
use swingbridge_domain::homeserver::Performed;
use swingbridge_domain::id::{AssemblyId, ConversationId, EventId, LineId, MessageId, RoomId, UserId};
use swingbridge_domain::inbox::{Inbound, InboundMessage, PartOf, RoomEvent};
use swingbridge_domain::path::Protection;
use swingbridge_domain::store::{OutboxRow, Timer};

/// One thing that happened. What is known of its surroundings is in [`crate::state::State`].
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Network(Inbound),
    Room(RoomEvent),
    /// A conversation that was asked for is there.
    Opened {
        conversation: ConversationId,
        then: Then,
    },
    /// A part came with a place that another part has: it belongs to a new message that the sender numbered like an old one.
    PartClashes {
        assembly: AssemblyId,
        part: PartOf,
        piece: Piece,
    },
    /// A part was added to an inbound message.
    PartAdded {
        assembly: AssemblyId,
        first: bool,
    },
    /// The homeserver did what an outbox row asked for.
    Performed {
        row: OutboxRow,
        payload: Payload,
        performed: Performed,
    },
    /// The homeserver will never do what an outbox row asked for.
    NotPerformed {
        row: OutboxRow,
        payload: Payload,
        cause: String,
        room_gone: bool,
    },
    /// The room of a conversation was made.
    RoomMade {
        conversation: ConversationId,
        room: RoomId,
        /// What protects its events.
        protection: Option<Protection>,
    },
    /// What waited is looked at again, since somebody said something; see [`crate::effect::Effect::Review`].
    Reviewed {
        row: OutboxRow,
        payload: Box<Payload>,
        declined: bool,
    },
    /// The operator gave the conversation's line another name, number or display.
    LineChanged {
        conversation: ConversationId,
    },
    /// It is not known who is in a line's shared room: the bot enters it, and sees.
    InboxUnknown {
        room: RoomId,
    },
    /// A connector answered.
    Answered {
        row: OutboxRow,
        event: EventId,
        /// The line that it was sent by.
        line: LineId,
        answer: Result<Accepted, SendError>,
    },
    /// A message is to go by another line; see [`crate::effect::Effect::Divert`].
    Diverted {
        row: OutboxRow,
        send: Box<Send>,
        to: LineId,
        cause: Cause,
    },
    /// A network was asked to take a message back.
    Revoked {
        row: OutboxRow,
        message: MessageId,
        /// The event by which its writer takes it back; else it is to go another way.
        redaction: Option<EventId>,
        answer: Result<Revoked, SendError>,
    },
    /// A network was asked whether it reaches the contact of a conversation.
    Reached {
        row: OutboxRow,
        line: LineId,
        event: EventId,
        reach: Reach,
    },
    /// A conversation belongs to another line now.
    Swapped {
        conversation: ConversationId,
        from: LineId,
    },
    /// A row may not leave any more: its turn came, and something stands against it since it was written.
    Barred {
        row: OutboxRow,
        event: EventId,
        words: String,
        reason: &'static str,
    },
    /// A row was in flight when the program stopped.
    Lost {
        row: OutboxRow,
    },
    /// A row's time is over.
    Expired {
        row: OutboxRow,
    },
    Timer(Timer),
}

/// Why a message goes by another line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The phone has not the service.
    Unreachable,
    /// The network refused it.
    Refused,
    /// It did not reach the phone in time, and was taken back.
    Overdue,
    /// Its conversation was moved while it waited.
    Swapped,
}

/// Why a conversation was opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// A message came.
    Deliver(Box<InboundMessage>),
    /// A user asked for it, in this room or by another way.
    Started {
        by: Option<UserId>,
        answer_in: Option<RoomId>,
    },
    /// A user invited the contact's ghost, and is told in the management room what comes of it.
    Invited { by: UserId },
}
