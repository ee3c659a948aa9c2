//! What an outbox row holds, sealed: something to do for a room or a phone, not yet bound to a room id.
//!
//! A conversation's room may not exist when a row is written, and may be another one when it is sent; so rows name the
//! conversation, and the room is looked up when their turn comes.

use serde::{Deserialize, Serialize};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Outbound;
use swingbridge_domain::consent::Question;
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::{Action, Ghost};
use swingbridge_domain::id::{EventId, LineId, MessageId, RoomId, UserId};
use swingbridge_domain::message::{Media, Text};
use swingbridge_domain::path::{Leg, Path, Protection};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// Only makes the conversation's room.
    Open,
    /// Says something in the conversation's room.
    Say(Say),
    /// Tells the sender how far a message has come.
    Status(Status),
    /// The bot marks an event of the conversation's room as read. In databases of earlier versions only: the mark goes along with
    /// [`Payload::Status`].
    MarkRead(EventId),
    /// The bot reacts to an event of the conversation's room.
    React { event: EventId, key: String },
    /// Somebody on a phone reacts to a message.
    Reaction(Reaction),
    /// Takes back the event that was made of a message from a phone.
    Redact { message: MessageId, by: Speaker },
    /// Invites users to the conversation's room again.
    Invite(Vec<UserId>),
    /// Leaves the room of the conversation's earlier generation.
    Leave { room: RoomId, generation: i64 },
    /// Brings name, topic and bridge information of the conversation's room up to date.
    Describe,
    /// Tells a line's shared inbox that there is a new conversation.
    Announce { inbox: RoomId },
    /// Tells a user something in the management room, which is made if there is none.
    Tell { user: UserId, text: Text },
    /// Something that needs no conversation.
    Direct(Action),
    /// To a phone.
    Send(Send),
    /// Takes back what a network took and did not bring to the phone, so that it may go another way.
    Revoke(MessageId),
    /// Takes it back for its writer, who redacted its event.
    Recall {
        message: MessageId,
        line: LineId,
        redaction: EventId,
    },
    /// Asks a network whether it reaches the conversation's contact, for who asked in `event`.
    Reach { line: LineId, event: EventId },
    /// Shows the conversation's room in the space of its line, and no longer in that of another.
    Shelve { from: LineId },
}

impl Payload {
    /// The line that a message goes or came by.
    pub fn line(&self) -> Option<&LineId> {
        match self {
            Payload::Send(send) => Some(&send.outbound.line),
            Payload::Say(say) => say.line.as_ref(),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Say {
    pub by: Speaker,
    pub text: Text,
    /// A file, with `text` as its caption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    /// Nobody is called for it: it is old.
    #[serde(default)]
    pub quiet: bool,
    /// An earlier message of ours that this one replaces.
    pub replaces: Option<MessageId>,
    /// The message that it answers, where an event of that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<MessageId>,
    pub in_reply_to: Option<EventId>,
    pub sent_at: Option<Timestamp>,
    /// The legs from the phone to us, where the connector told of them; empty for what the bot says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<Leg>,
    /// The line that it came by: the conversation may be moved before it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineId>,
    /// What it asks, so that a reaction to it is an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// What goes to the phone once this stands in the room: an answer of the gateway's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
}

impl Say {
    /// What the bot says.
    pub fn by_bot(text: Text) -> Self {
        Self {
            by: Speaker::Bot,
            text,
            media: None,
            quiet: false,
            replaces: None,
            answers: None,
            in_reply_to: None,
            sent_at: None,
            way: Vec::new(),
            line: None,
            question: None,
            then: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    Bot,
    /// The conversation's contact.
    Contact,
    /// One of a group.
    Member(Box<Ghost>),
    /// The user, on the device itself.
    Owner,
}

/// A reaction from a phone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reaction {
    pub to: MessageId,
    pub key: String,
    pub by: Speaker,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<Leg>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub event: EventId,
    pub state: State,
    pub message: Option<String>,
    pub reason: Option<String>,
    pub retriable: bool,
    /// The way that the message took or will take.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "in_short")]
    pub path: Option<Path>,
}

/// A path in a few characters: it stands in the row of every text that was taken.
mod in_short {
    use serde::{Deserialize, Deserializer, Serializer};
    use swingbridge_domain::path::Path;

    pub fn serialize<S: Serializer>(path: &Option<Path>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&path.as_ref().map(Path::code).unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Path>, D::Error> {
        let code = String::deserialize(deserializer)?;
        Ok(Path::from_code(&code).filter(|path| !path.legs.is_empty()))
    }
}

/// A text on its way to a phone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Send {
    pub outbound: Outbound,
    /// The event it was made of; answers and states refer to it.
    pub event: EventId,
    /// The earlier event to be quoted in front.
    pub quote: Option<EventId>,
    /// Who wrote it.
    pub writer: UserId,
    /// What protected it on its way to us.
    #[serde(default)]
    pub room: Protection,
    /// It waits until then: minutes that are full, quiet hours.
    #[serde(default, skip_serializing_if = "is_at_once")]
    pub not_before: Timestamp,
    /// The gateway answers by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
}

fn is_at_once(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}
