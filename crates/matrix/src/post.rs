//! What the bridge says in rooms: messages, states of messages, read receipts.

mod contents;

pub(crate) use contents::{send_status, words};

use crate::failure::Failure;
use crate::homeserver::{Matrix, event_id, room_id};
use crate::label;
use contents::{instead, message};
use ruma::api::client::message::send_message_event;
use ruma::api::client::receipt::create_receipt;
use ruma::api::client::redact::redact_event;
use ruma::api::client::room::get_room_event;
use ruma::api::client::typing::create_typing_event;
use ruma::events::{AnyMessageLikeEventContent, MessageLikeEventType};
use ruma::serde::Raw;
use ruma::{MilliSecondsSinceUnixEpoch, RoomId as MatrixRoomId, UInt, UserId};
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::homeserver::{PerformError, Performed, Post, SendStatus, Sender};
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_domain::message::Tone;
use swingbridge_domain::path::{Leg, Protection, Scheme};

/// How long somebody is shown as writing who does not say that they stopped.
const TYPING: Duration = Duration::from_secs(30);

/// How often what was refused is put right: somebody is brought in, and then given a voice.
const MENDS: usize = 2;

/// A reaction to be sent.
pub(crate) struct Reaction<'a> {
    pub room: &'a RoomId,
    pub target: &'a EventId,
    pub key: &'a str,
    pub way: &'a [Leg],
}

/// An event to be sent.
struct Outgoing<'a> {
    room: &'a MatrixRoomId,
    kind: &'a str,
    content: Value,
    sent_at: Option<Timestamp>,
    transaction: &'a str,
    secrecy: Secrecy,
    /// The legs by which a contact's words came to us: they are labelled with their whole way.
    way: &'a [Leg],
}

/// How an event goes into an encrypted room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    /// Encrypted: it says what somebody said.
    Content,
    /// Encrypted as well, and allowed in the clear where nothing else is: words of ours about the room itself.
    Words,
    /// In the clear. Clients look for states of messages nowhere else; they hold no text.
    Bare,
}

impl Matrix {
    pub(crate) async fn post(&self, post: &Post, transaction: &str) -> Result<Performed, PerformError> {
        let room = room_id(&post.room)?;
        let user = self.sender(&post.sender).await?;
        for _ in 0..MENDS {
            match self.say(&user, &room, post, transaction).await {
                Err(failure) if failure.no_access() => {
                    self.mend(&post.sender, &user, &room, failure).await?;
                }
                answer => return Ok(said(answer.map_err(PerformError::from)?)),
            }
        }
        let answer = self.say(&user, &room, post, transaction).await;
        Ok(said(answer.map_err(PerformError::from)?))
    }

    /// Who was refused is brought into the room, or given a voice there. `Err` is the refusal, where that was not it.
    async fn mend(
        &self,
        by: &Sender,
        user: &UserId,
        room: &MatrixRoomId,
        refusal: Failure,
    ) -> Result<(), PerformError> {
        let ghost = matches!(by, Sender::Ghost(_)).then_some(user);
        if self.bring_in(room, ghost).await? {
            return Ok(());
        }
        match ghost {
            Some(ghost) if self.give_voice(room, ghost).await.map_err(PerformError::from)? => Ok(()),
            _ => Err(refusal.into()),
        }
    }

    async fn say(
        &self,
        user: &UserId,
        room: &MatrixRoomId,
        post: &Post,
        transaction: &str,
    ) -> Result<(EventId, Protection), Failure> {
        let content = match &post.media {
            None => message(post, None),
            Some(media) => {
                let encrypted = self.encrypts(room, user).await?;
                match self.carry(user, media, encrypted, transaction).await? {
                    Ok(file) => message(post, Some(&file)),
                    Err(words) => message(&instead(post, media, words), None),
                }
            }
        };
        let event = Outgoing {
            room,
            kind: "m.room.message",
            content,
            sent_at: post.sent_at,
            transaction,
            secrecy: match (&post.sender, post.text.tone, &post.media) {
                (Sender::Bot, Tone::Notice, None) => Secrecy::Words,
                _ => Secrecy::Content,
            },
            way: &post.way,
        };
        let sent = self.send(user, &event).await?;
        if post.media.is_some() {
            self.carried.forget(transaction);
        }
        Ok(sent)
    }

    pub(crate) async fn status(
        &self,
        status: &SendStatus,
        transaction: &str,
    ) -> Result<Performed, PerformError> {
        let room = room_id(&status.room)?;
        let user = self.sender(&Sender::Bot).await?;
        let delivered_to = status
            .delivered_to
            .as_ref()
            .map(|ghost| self.names.ghost(&ghost.pseudonym));
        let event = Outgoing {
            room: &room,
            kind: "com.beeper.message_send_status",
            content: send_status(status, delivered_to),
            sent_at: None,
            transaction,
            secrecy: Secrecy::Bare,
            way: &[],
        };
        match self.send(&user, &event).await {
            Err(failure) if failure.no_access() => Err(self.refusal(&room, failure).await),
            answer => Ok(said(answer.map_err(PerformError::from)?)),
        }
    }

    /// Takes an event of ours back. One that is gone already is no failure.
    pub(crate) async fn redact(
        &self,
        by: &Sender,
        room: &RoomId,
        event: &EventId,
        transaction: &str,
    ) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        let user = self.sender(by).await?;
        let event = event_id(event)?;
        let request = || redact_event::v3::Request::new(room.clone(), event.clone(), transaction.into());
        let mut answer = self.api.call(Some(self.people.sender(&user)), request()).await;
        // Who left the room since, or was put out of it, takes back nothing; the bot may for them.
        if user != self.bot
            && answer
                .as_ref()
                .is_err_and(|failure| failure.refused_as("M_FORBIDDEN"))
        {
            answer = self
                .api
                .call(Some(self.people.sender(&self.bot)), request())
                .await;
        }
        match answer {
            Ok(_) => Ok(Performed::default()),
            Err(failure) if failure.code() == Some("M_NOT_FOUND") => Ok(Performed::default()),
            Err(failure) if failure.no_access() => Err(self.refusal(&room, failure).await),
            Err(failure) => Err(failure.into()),
        }
    }

    pub(crate) async fn typing(
        &self,
        by: &Sender,
        room: &RoomId,
        active: bool,
    ) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        let user = self.sender(by).await?;
        let state = match active {
            true => create_typing_event::v3::Typing::Yes(create_typing_event::v3::TypingInfo::new(TYPING)),
            false => create_typing_event::v3::Typing::No,
        };
        let request = create_typing_event::v3::Request::new(user.clone(), room, state);
        // Of no use later, so nothing is tried again.
        if let Err(failure) = self.api.call(Some((&*user).into()), request).await {
            tracing::debug!(%failure, "nobody was told who is writing");
        }
        Ok(Performed::default())
    }

    /// Reactions are never encrypted: clients and homeservers count them.
    pub(crate) async fn react(
        &self,
        by: &Sender,
        reaction: &Reaction<'_>,
        transaction: &str,
    ) -> Result<Performed, PerformError> {
        let Reaction {
            room,
            target,
            key,
            way,
        } = reaction;
        let room = room_id(room)?;
        let user = self.sender(by).await?;
        let event = Outgoing {
            room: &room,
            kind: "m.reaction",
            content: json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": target, "key": key } }),
            sent_at: None,
            transaction,
            secrecy: Secrecy::Bare,
            way,
        };
        for _ in 0..MENDS {
            match self.send(&user, &event).await {
                Err(failure) if failure.refused_as("M_FORBIDDEN") => {
                    self.mend(by, &user, &room, failure).await?;
                }
                answer => return self.reacted(&room, answer).await,
            }
        }
        let answer = self.send(&user, &event).await;
        self.reacted(&room, answer).await
    }

    async fn reacted(
        &self,
        room: &MatrixRoomId,
        answer: Result<(EventId, Protection), Failure>,
    ) -> Result<Performed, PerformError> {
        match answer {
            // The same somebody reacted the same way before.
            Err(failure) if failure.refused_as("M_DUPLICATE_ANNOTATION") => Ok(Performed::default()),
            Err(failure) if failure.no_access() => Err(self.refusal(room, failure).await),
            answer => Ok(said(answer.map_err(PerformError::from)?)),
        }
    }

    pub(crate) async fn mark_read(&self, room: &RoomId, event: &EventId) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        let user = self.sender(&Sender::Bot).await?;
        let kind = create_receipt::v3::ReceiptType::Read;
        let request = create_receipt::v3::Request::new(room.clone(), kind, event_id(event)?);
        match self.api.call(Some((&*user).into()), request).await {
            Ok(_) => Ok(Performed::default()),
            Err(failure) if failure.no_access() => Err(self.refusal(&room, failure).await),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The plain text of an event, for a quote.
    pub(crate) async fn text(&self, room: &RoomId, event: &EventId) -> Result<Option<String>, Failure> {
        let room = room_id(room)?;
        let request = get_room_event::v3::Request::new(room.clone(), event_id(event)?);
        let answer = match self.api.call(Some((&*self.bot).into()), request).await {
            Ok(answer) => answer,
            Err(failure) if failure.no_access() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let Some(event) = self.in_the_clear(answer.event.json(), &room).await? else {
            return Ok(None);
        };
        let kind = event.get("type").and_then(Value::as_str);
        let content = event.get("content").and_then(Value::as_object);
        Ok(kind
            .zip(content)
            .and_then(|(kind, content)| crate::event::plain_text(kind, content)))
    }

    /// Sends with the user's device, which is made when the homeserver has lost it.
    async fn send(&self, user: &UserId, event: &Outgoing<'_>) -> Result<(EventId, Protection), Failure> {
        match self.send_once(user, event).await {
            // Its name had a prefix before Matrix 1.17.
            Err(failure)
                if failure
                    .code()
                    .is_some_and(|code| code.ends_with("M_UNKNOWN_DEVICE")) =>
            {
                self.people.make_device(&self.api, user).await?;
                self.send_once(user, event).await
            }
            answer => answer,
        }
    }

    /// The content with its label, which says how it goes into the room.
    fn body(
        &self,
        event: &Outgoing<'_>,
        room: Protection,
    ) -> Result<Raw<AnyMessageLikeEventContent>, Failure> {
        let raw = if event.way.is_empty() {
            serde_json::value::to_raw_value(&event.content)
        } else {
            let mut content = event.content.clone();
            content[label::KEY] = label::label(&self.way_into_room(event.way, room));
            serde_json::value::to_raw_value(&content)
        };
        raw.map(Raw::from_json).map_err(|_| Failure::invalid("event"))
    }

    async fn send_once(&self, user: &UserId, event: &Outgoing<'_>) -> Result<(EventId, Protection), Failure> {
        const SEALED: Protection = Protection::EndToEnd(Scheme::Megolm);
        let sealed = match event.secrecy {
            Secrecy::Bare => None,
            secrecy => {
                let harmless = secrecy == Secrecy::Words;
                let body = self.body(event, SEALED)?;
                self.seal(event.room, user, event.kind, &body, harmless).await?
            }
        };
        let (kind, body, protection) = match sealed {
            Some(sealed) => ("m.room.encrypted", sealed, SEALED),
            None => (event.kind, self.body(event, Protection::None)?, Protection::None),
        };
        let kind = MessageLikeEventType::from(kind);
        let mut request = send_message_event::v3::Request::new_raw(
            event.room.to_owned(),
            event.transaction.into(),
            kind,
            body,
        );
        request.timestamp = event
            .sent_at
            .and_then(|at| UInt::try_from(at.millis()).ok())
            .map(MilliSecondsSinceUnixEpoch);
        let answer = self.api.call(Some(self.people.sender(user)), request).await?;
        Ok((EventId::new(answer.event_id.as_str()), protection))
    }
}

fn said((event, protection): (EventId, Protection)) -> Performed {
    Performed {
        event: Some(event),
        protection: Some(protection),
        ..Performed::default()
    }
}
