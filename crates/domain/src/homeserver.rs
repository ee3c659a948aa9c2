//! The port of the homeserver: what the engine asks of the Matrix side.
//!
//! An action is complete in itself: whoever performs it needs no database. Performing the same action twice with the
//! same transaction must come to the same result as performing it once, also after a restart of either side.

use crate::clock::Timestamp;
use crate::delivery::State;
use crate::id::{EventId, LineId, RoomId, UserId};
use crate::inbox::Arrival;
use crate::message::{Media, Text};
use crate::path::{Leg, Path, Protection};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The homeserver, as the engine needs it.
#[async_trait]
pub trait Homeserver: Send + Sync {
    /// Performs `action`. `transaction` names this action for ever (it is derived from the outbox row).
    ///
    /// # Errors
    /// [`PerformError`] says whether another try may help.
    async fn perform(&self, action: &Action, transaction: &str) -> Result<Performed, PerformError>;

    /// The plain text of an event, to be quoted; `None` when it has none or cannot be seen.
    ///
    /// # Errors
    /// [`PerformError`]; a quote is a nicety, so callers go on without it.
    async fn text_of(&self, room: &RoomId, event: &EventId) -> Result<Option<String>, PerformError>;

    /// What happened in the bridge's rooms since `token` (as an earlier call gave it), in order, with what must be kept for the
    /// next call. Without a token nothing is missed: only a new token comes back. Used after downtime; events that
    /// came by transaction too are told apart by [`crate::inbox::Dedupe::Id`].
    ///
    /// # Errors
    /// [`PerformError`]; the token stays good.
    async fn missed(&self, token: Option<&str>) -> Result<Missed, PerformError>;

    /// Brings what a user sent to this machine, opened: the answer has a `file:` URI, good until [`Homeserver::release`]. Only
    /// where connectors carry media themselves.
    ///
    /// # Errors
    /// [`PerformError`]; [`PerformError::Refused`] when it is gone, too large, or not what its key says.
    async fn fetch(&self, _media: &Media) -> Result<Media, PerformError> {
        Err(PerformError::Refused {
            code: "M_UNRECOGNIZED".to_owned(),
            detail: "media are not brought here".to_owned(),
        })
    }

    /// The send for which [`Homeserver::fetch`] brought a file was answered: the file may go. Others are left alone.
    async fn release(&self, _media: &Media) {}
}

#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    pub arrivals: Vec<Arrival>,
    pub token: String,
    /// More is waiting: call again with `token`.
    pub more: bool,
}

/// What came of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// The room that was made or found.
    pub room: Option<RoomId>,
    /// The event that was sent.
    pub event: Option<EventId>,
    /// What protects events between us and the members' clients: of the room that was made or found, or as the event was sent.
    pub protection: Option<Protection>,
    /// After [`Action::Join`]: who is in the room besides us. Events tell only who comes and goes later.
    pub members: Vec<UserId>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PerformError {
    /// The homeserver is away, busy or failing: the same again after a pause, for as long as it takes.
    #[error("the homeserver cannot do it now: {detail}")]
    Later {
        /// As the homeserver asked; otherwise the caller backs off by itself.
        delay: Option<Duration>,
        detail: String,
    },
    /// The homeserver refused this action; the same again would be refused again.
    #[error("the homeserver refused: {code}: {detail}")]
    Refused {
        /// The Matrix error code (`M_FORBIDDEN`).
        code: String,
        detail: String,
    },
    /// The room is gone or nobody of ours is in it.
    #[error("the room is gone: {detail}")]
    RoomGone { detail: String },
}

/// A Matrix user that stands for a contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ghost {
    /// The pseudonym, without prefix and server; the Matrix side makes the user id.
    pub pseudonym: String,
    /// Shown to people; holds a full number only when the line is configured so.
    pub name: String,
    /// A picture on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Media>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    #[default]
    Bot,
    Ghost(Ghost),
    /// The user, who said it on the device itself.
    Owner(UserId),
}

/// Makes expiring, unguessable links to media, where the operator turned that on.
pub trait MediaLinks: Send + Sync {
    /// A public link to `media`, opened if it lies encrypted, good until the operator's time is over. `None` when its key cannot be
    /// understood, so that the link would open nothing.
    fn link(&self, media: &Media, now: Timestamp) -> Option<String>;
}

/// One thing to do on the homeserver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Makes a room, or finds the one made by an earlier try (by its alias). The ghost joins, the users are invited, direct
    /// chats are marked as such where the homeserver lets us.
    CreateRoom(NewRoom),
    /// Says something.
    Post(Post),
    /// A `com.beeper.message_send_status` event.
    Status(SendStatus),
    /// A read receipt of the bot: the bridge has taken the event over.
    MarkRead {
        room: RoomId,
        event: EventId,
    },
    /// Somebody of ours reacts to an event.
    React {
        room: RoomId,
        event: EventId,
        key: String,
        #[serde(default)]
        by: Sender,
        /// The legs from the contact's phone to us, as in [`Post::way`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        way: Vec<Leg>,
    },
    /// Takes an event of ours back: a reaction, or what a contact unsent.
    Redact {
        room: RoomId,
        event: EventId,
        by: Sender,
    },
    /// Shows that somebody of ours is writing, or no longer. Of no use later: it is tried once.
    Typing {
        room: RoomId,
        by: Sender,
        active: bool,
    },
    /// The bot joins a room that it was invited to.
    Join {
        room: RoomId,
    },
    /// The bot (and the ghost, when given) leaves; the alias, if given, is removed first so that the room can be made anew.
    Leave {
        room: RoomId,
        ghost: Option<Ghost>,
        alias: Option<String>,
        /// The space that shows the room; it no longer does.
        space: Option<RoomId>,
    },
    Invite {
        room: RoomId,
        users: Vec<UserId>,
    },
    /// Shows the room in the space `to`, and no longer in `from`.
    Shelve {
        room: RoomId,
        from: Option<RoomId>,
        to: RoomId,
    },
    /// Name, topic, bridge information and ghost profile brought up to date.
    Describe {
        room: RoomId,
        about: About,
        ghost: Option<Ghost>,
    },
}

/// A room to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewRoom {
    /// Local part of the room's alias without prefix: a pseudonym. The same alias is the same room, for ever.
    pub alias: String,
    pub kind: RoomKind,
    pub about: About,
    /// Joins as a member with the bot.
    pub ghost: Option<Ghost>,
    pub invite: Vec<UserId>,
    /// The space it is shown under.
    pub space: Option<RoomId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// A conversation with one contact; `is_direct`.
    Direct,
    /// A conversation on a shared line or with several contacts.
    Group,
    /// The space of a line.
    Space,
    /// A direct chat of the bot and one user, for commands.
    Management,
}

/// What a room says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub name: String,
    pub topic: Option<String>,
    /// For `m.bridge` and `uk.half-shot.bridge` (MSC2346); none for management rooms.
    pub bridge: Option<BridgeInfo>,
    /// People can write here; otherwise the power levels forbid it.
    pub writable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeInfo {
    /// The network's name: `sms`.
    pub protocol: String,
    /// In words: "SMS".
    pub protocol_name: String,
    pub line: LineId,
    pub line_name: String,
    /// A pseudonym of the conversation.
    pub channel: String,
    pub channel_name: String,
}

/// Something to say in a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Post {
    pub room: RoomId,
    pub sender: Sender,
    pub text: Text,
    /// A file, with `text` as its caption (or empty). It has a `file:` URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    /// Nobody is called for it.
    #[serde(default)]
    pub quiet: bool,
    /// The event that this one replaces (an edit).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<EventId>,
    /// The original moment (`?ts=`); `None` is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// The legs from the contact's phone to us: what a contact says is labelled with its way. Empty for what the bot says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<Leg>,
}

/// The state of a bridged message, for its sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendStatus {
    pub room: RoomId,
    pub event: EventId,
    pub state: State,
    /// In words, for `rejected`, `expired` and `uncertain`.
    pub message: Option<String>,
    /// For the machine: [`crate::delivery::Reason::word`] or `unsupported`.
    pub reason: Option<String>,
    /// Whether the sender may try again.
    pub retriable: bool,
    /// The ghost that has it, once it is delivered.
    pub delivered_to: Option<Ghost>,
    /// The network: `sms`.
    pub network: String,
    /// The way that the message took or will take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
}

impl Post {
    /// What the bot says.
    pub fn by_bot(room: RoomId, text: Text) -> Self {
        Self {
            room,
            sender: Sender::Bot,
            text,
            media: None,
            quiet: false,
            replaces: None,
            in_reply_to: None,
            sent_at: None,
            way: Vec::new(),
        }
    }
}

impl Ghost {
    pub fn new(pseudonym: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            pseudonym: pseudonym.into(),
            name: name.into(),
            picture: None,
        }
    }
}
