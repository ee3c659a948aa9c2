//! What can happen.

use crate::assembly::Piece;
use crate::payload::Payload;
use swingbridge_domain::connector::{Accepted, SendError};
use swingbridge_domain::homeserver::Performed;
use swingbridge_domain::id::{AssemblyId, ConversationId, EventId, RoomId, UserId};
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
        answer: Result<Accepted, SendError>,
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
