//! What the puppet says in rooms. One account speaks for all contacts: whose words they are rides on each message as a per-message profile
//! (MSC4144), with a plain fallback where a client could not know otherwise.

mod content;
mod react;

use super::double::SOURCE;
use super::{Puppet, failure};
use crate::failure::Failure;
use crate::homeserver::{event_id, room_id};
use crate::label;
use crate::post::send_status;
use content::{PROFILE, Profile, content};
use futures_util::FutureExt;
use matrix_sdk::{Client, Room, RoomState};
pub(super) use react::Reaction;
use ruma::api::client::message::send_message_event;
use ruma::api::client::receipt::create_receipt;
use ruma::api::client::redact::redact_event;
use ruma::api::client::typing::create_typing_event;
use ruma::events::MessageLikeEventType;
use ruma::serde::Raw;
use ruma::{OwnedTransactionId, RoomId as MatrixRoomId};
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::homeserver::{PerformError, Performed, Post, SendStatus, Sender};
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_domain::message::Tone;
use swingbridge_domain::path::{Leg, Path, Place, Protection, Scheme};

/// Nothing is said in the clear.
const PLAIN_ROOM: &str = "DEV.SWINGBRIDGE_PLAIN_ROOM";
const MEGOLM: Protection = Protection::EndToEnd(Scheme::Megolm);
/// How long somebody is shown as writing who does not say that they stopped.
const TYPING: Duration = Duration::from_secs(30);

impl Puppet {
    pub(super) async fn post(&self, post: &Post, transaction: &str) -> Result<Performed, PerformError> {
        let room = room_id(&post.room)?;
        match self.say(post, &room, transaction).await {
            Ok(performed) => Ok(performed),
            Err(failure) => Err(self.refusal(&room, failure).await),
        }
    }

    pub(super) async fn say(
        &self,
        post: &Post,
        id: &MatrixRoomId,
        transaction: &str,
    ) -> Result<Performed, Failure> {
        let client = self.client_for(&post.sender, id).await;
        let room = self.enter(client, id).await?;
        let encrypted = self.is_encrypted(&room).await?;
        let harmless = post.sender == Sender::Bot && post.text.tone == Tone::Notice && post.media.is_none();
        if !encrypted && !harmless {
            return Err(Failure::Refused {
                status: 400,
                code: PLAIN_ROOM.to_owned(),
                detail: "the room is not encrypted, so nothing that anybody said is sent to it".to_owned(),
            });
        }
        let profile = self.profile(&post.sender, client, id).await?;
        let file = match &post.media {
            Some(media) => Some(self.upload(client, media).await?),
            None => None,
        };
        let mut content = content(post, file.as_ref(), profile.as_ref(), self.clock.now());
        if !post.way.is_empty() {
            let protection = if encrypted { MEGOLM } else { Protection::None };
            content[label::KEY] = label::label(&self.way(&post.way, protection));
        }
        if self.is_double(client) {
            content[SOURCE] = json!("dev.swingbridge");
        }
        self.send(&room, "m.room.message", &content, transaction).await
    }

    /// What the other side sees of who speaks; `None` where the account itself says it.
    async fn profile(
        &self,
        sender: &Sender,
        client: &Client,
        room: &MatrixRoomId,
    ) -> Result<Option<Profile>, Failure> {
        Ok(match sender {
            Sender::Bot => None,
            Sender::Ghost(ghost) => {
                let picture = match &ghost.picture {
                    Some(picture) => self.picture_uri(picture).await.map_err(|failure| {
                        tracing::warn!(%failure, "a contact's picture cannot be shown");
                    }),
                    None => Err(()),
                };
                Some(Profile {
                    id: ghost.pseudonym.clone(),
                    name: ghost.name.clone(),
                    picture: picture.ok(),
                    // In a chat with one contact the room says who it is.
                    fallback: self.is_group(room).await?,
                })
            }
            Sender::Owner(_) if self.is_double(client) => None,
            Sender::Owner(user) => Some(Profile {
                id: user.as_str().to_owned(),
                name: "You".to_owned(),
                picture: None,
                fallback: true,
            }),
        })
    }

    /// The room, entered when we are only invited.
    async fn enter(&self, client: &Client, id: &MatrixRoomId) -> Result<Room, Failure> {
        match client.get_room(id) {
            Some(room) if room.state() == RoomState::Joined => Ok(room),
            Some(room) if room.state() == RoomState::Invited => {
                room.join().boxed().await.map_err(failure::any)?;
                Ok(room)
            }
            // Left, as far as we heard; or news of it has not come yet.
            _ => client.join_room_by_id(id).boxed().await.map_err(failure::any),
        }
    }

    /// Sends into the room, encrypted where it is (reactions never are). The same transaction is the same request.
    async fn send(
        &self,
        room: &Room,
        kind: &str,
        content: &Value,
        transaction: &str,
    ) -> Result<Performed, Failure> {
        let transaction = OwnedTransactionId::from(transaction);
        let sent = room
            .send_raw(kind, content.clone())
            .with_transaction_id(&transaction)
            .await
            .map_err(failure::any)?;
        Ok(Performed {
            event: Some(EventId::new(sent.response.event_id.as_str())),
            protection: Some(match sent.encryption_info {
                Some(_) => MEGOLM,
                None => Protection::None,
            }),
            ..Performed::default()
        })
    }

    fn way(&self, legs: &[Leg], room: Protection) -> Path {
        let to_homeserver = match self.config.homeserver.scheme() {
            "https" => Protection::Transport,
            _ => Protection::None,
        };
        let ours = legs.last().map_or(Place::Device, |leg| leg.to.clone());
        let end = Path::to_client(ours, room, to_homeserver);
        Path::new(legs.iter().cloned().chain(end))
    }

    /// Takes an event of ours back. One that is gone already is no failure.
    pub(super) async fn redact(
        &self,
        by: &Sender,
        room: &RoomId,
        event: &EventId,
        transaction: &str,
    ) -> Result<Performed, PerformError> {
        let id = room_id(room)?;
        let client = self.client_for(by, &id).await;
        let ask = |client: &Client, transaction: &str| {
            let target = event_id(event);
            let (client, id, transaction) =
                (client.clone(), id.clone(), OwnedTransactionId::from(transaction));
            async move {
                let request = redact_event::v3::Request::new(id, target?, transaction);
                client.send(request).await.map_err(failure::http)
            }
        };
        let mut answer = Err(Failure::invalid("sender"));
        if self.is_double(client) {
            self.ledger
                .withdraw(event.as_str())
                .await
                .map_err(failure::perform)?;
            answer = ask(client, transaction).await;
        }
        // What the device said for the owner, the device takes back.
        if matches!(&answer, Err(Failure::Refused { .. })) {
            answer = ask(&self.client, transaction).await;
        }
        match answer {
            Ok(_) => Ok(Performed::default()),
            Err(failure) if failure.refused_as("M_NOT_FOUND") => Ok(Performed::default()),
            Err(failure) => Err(self.refusal(&id, failure).await),
        }
    }

    pub(super) async fn typing(
        &self,
        by: &Sender,
        room: &RoomId,
        active: bool,
    ) -> Result<Performed, PerformError> {
        let id = room_id(room)?;
        let client = self.client_for(by, &id).await;
        let state = match active {
            true => create_typing_event::v3::Typing::Yes(create_typing_event::v3::TypingInfo::new(TYPING)),
            false => create_typing_event::v3::Typing::No,
        };
        if let Some(user) = client.user_id() {
            let request = create_typing_event::v3::Request::new(user.to_owned(), id, state);
            // Of no use later, so nothing is tried again.
            if let Err(failure) = client.send(request).await.map_err(failure::http) {
                tracing::debug!(%failure, "nobody was told who is writing");
            }
        }
        Ok(Performed::default())
    }

    pub(super) async fn mark_read(&self, room: &RoomId, event: &EventId) -> Result<Performed, PerformError> {
        let id = room_id(room)?;
        let kind = create_receipt::v3::ReceiptType::Read;
        let request = create_receipt::v3::Request::new(id.clone(), kind, event_id(event)?);
        match self.client.send(request).await.map_err(failure::http) {
            Ok(_) => Ok(Performed::default()),
            Err(failure) => Err(self.refusal(&id, failure).await),
        }
    }

    /// In the clear: clients look for states of messages nowhere else, and they hold no text.
    pub(super) async fn status(
        &self,
        status: &SendStatus,
        transaction: &str,
    ) -> Result<Performed, PerformError> {
        let id = room_id(&status.room)?;
        let delivered_to = status.delivered_to.as_ref().map(|_| self.me.to_string());
        let content = serde_json::value::to_raw_value(&send_status(status, delivered_to));
        let content = content.map_err(|_| Failure::invalid("event"))?;
        let request = send_message_event::v3::Request::new_raw(
            id.clone(),
            transaction.into(),
            MessageLikeEventType::from("com.beeper.message_send_status"),
            Raw::from_json(content),
        );
        match self.client.send(request).await.map_err(failure::http) {
            Ok(answer) => Ok(Performed {
                event: Some(EventId::new(answer.event_id.as_str())),
                protection: Some(Protection::None),
                ..Performed::default()
            }),
            Err(failure) => Err(self.refusal(&id, failure).await),
        }
    }

    /// The plain text of an event, for a quote.
    pub(super) async fn text(&self, room: &RoomId, event: &EventId) -> Result<Option<String>, Failure> {
        let Some(room) = self.client.get_room(&room_id(room)?) else {
            return Ok(None);
        };
        let event = match room
            .event(&event_id(event)?, None)
            .boxed()
            .await
            .map_err(failure::any)
        {
            Ok(event) => event,
            Err(failure) if failure.no_access() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let event: Value = serde_json::from_str(event.raw().json().get()).unwrap_or_default();
        let kind = event["type"].as_str();
        let content = event["content"].as_object();
        Ok(kind
            .zip(content)
            .and_then(|(kind, content)| crate::event::plain_text(kind, content)))
    }
}
