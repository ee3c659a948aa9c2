//! Rooms: made once for each pseudonym, found again, and brought up to what the engine wants of them.
//!
//! An ordinary user can publish no alias of ours. So the pseudonym stands in the room's own state, and in the ledger; a room whose making
//! was cut off by a crash is found by asking the rooms themselves.

mod members;

use super::ledger::Known;
use super::{Puppet, failure};
use crate::failure::Failure;
use crate::homeserver::{room_id, user_id};
use crate::rooms::content as state;
use crate::rooms::upkeep::{self, Keeper};
use futures_util::FutureExt;
use matrix_sdk::{Room, RoomState};
use ruma::api::client::membership::joined_rooms;
use ruma::api::client::room::create_room;
use ruma::api::client::state::{get_state_event_for_key, send_state_event};
use ruma::events::StateEventType;
use ruma::serde::Raw;
use ruma::{OwnedRoomId, RoomId as MatrixRoomId, UserId as MatrixUserId};
use serde_json::{Value, json};
use swingbridge_domain::homeserver::{About, Ghost, NewRoom, PerformError, Performed, RoomKind};
use swingbridge_domain::id::RoomId;
use swingbridge_domain::path::{Protection, Scheme};

/// The state event by which a room is known again: `{ "id": pseudonym, "kind": kind }`.
pub(super) const MARK: &str = "dev.swingbridge.room";

impl Puppet {
    pub(super) async fn create_room(&self, new: &NewRoom) -> Result<Performed, Failure> {
        let _one = self.making.lock().await;
        let room = match self.find(&new.alias).await? {
            Some(room) => {
                upkeep::bring_up_to_date(self, &room, &new.about, Some(new.kind)).await?;
                room
            }
            None => self.make(new).await?,
        };
        self.picture(&room, new.ghost.as_ref()).await;
        for user in &new.invite {
            self.ask(&room, user).await?;
        }
        self.bring_the_owner(new, &room).await;
        if let Some(space) = &new.space {
            upkeep::show_in_space(self, space, &room, true).await?;
        }
        let protection = match new.kind {
            // Nobody writes in it.
            RoomKind::Space => Protection::None,
            _ => self.protection(&room).await?,
        };
        Ok(Performed {
            room: Some(RoomId::new(room.as_str())),
            protection: Some(protection),
            ..Performed::default()
        })
    }

    async fn make(&self, new: &NewRoom) -> Result<OwnedRoomId, Failure> {
        let mut request = create_room::v3::Request::new();
        // Never trusted_private_chat: it would make the invited as mighty as us, from room version 12 on for ever.
        request.preset = Some(create_room::v3::RoomPreset::PrivateChat);
        request.name = Some(new.about.name.clone());
        request.topic.clone_from(&new.about.topic);
        request.is_direct = matches!(new.kind, RoomKind::Direct | RoomKind::Management);
        request.invite = new
            .invite
            .iter()
            .map(|user| user_id(user.as_str()))
            .collect::<Result<_, _>>()?;
        // The creator's own power is the homeserver's to write down, which each room version does in its way.
        let mut levels = state::power_levels(new, None, None);
        if let Some(levels) = levels.as_object_mut() {
            levels.remove("users");
        }
        request.power_level_content_override = Some(raw(&levels)?);
        let server = self.me.server_name().as_str();
        let mut initial = state::initial_state(new, &self.me, server, new.kind != RoomKind::Space);
        initial.push(json!({ "type": MARK, "state_key": "", "content": mark(&new.alias, new.kind) }));
        request.initial_state = initial.iter().map(raw).collect::<Result<_, _>>()?;
        if new.kind == RoomKind::Space {
            request.creation_content = Some(raw(&json!({ "type": "m.space" }))?);
        }
        let room = self
            .client
            .create_room(request)
            .boxed()
            .await
            .map_err(failure::any)?;
        let known = Known {
            alias: Some(new.alias.clone()),
            kind: Some(word(new.kind).to_owned()),
        };
        self.ledger.learn(room.room_id().as_str(), known).await?;
        Ok(room.room_id().to_owned())
    }

    /// The room that was made for the pseudonym, if we are still in it.
    async fn find(&self, alias: &str) -> Result<Option<OwnedRoomId>, Failure> {
        let noted = self.ledger.room_of(alias).await?;
        if let Some(room) = &noted
            && let Ok(id) = OwnedRoomId::try_from(room.as_str())
            && self
                .client
                .get_room(&id)
                .is_some_and(|room| room.state() == RoomState::Joined)
        {
            return Ok(Some(id));
        }
        let joined = self.joined().await?;
        if let Some(room) = noted {
            match joined.iter().find(|id| id.as_str() == room) {
                Some(id) => return Ok(Some(id.clone())),
                None => self.ledger.forget_room(&room).await?,
            }
        }
        for id in joined {
            if self.look_at(&id).await?.alias.as_deref() == Some(alias) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    async fn joined(&self) -> Result<Vec<OwnedRoomId>, Failure> {
        let answer = self.client.send(joined_rooms::v3::Request::new()).await;
        Ok(answer.map_err(failure::http)?.joined_rooms)
    }

    /// What the room is to us: as was noted, or else as its own state says.
    pub(super) async fn look_at(&self, room: &MatrixRoomId) -> Result<Known, Failure> {
        if let Some(known) = self.ledger.known(room.as_str()).await? {
            return Ok(known);
        }
        let mark = match self.state(room, MARK, "").await {
            Ok(mark) => mark.unwrap_or_default(),
            Err(failure) if failure.no_access() => Value::Null,
            Err(failure) => return Err(failure),
        };
        let text = |key: &str| mark.get(key).and_then(Value::as_str).map(str::to_owned);
        let known = Known {
            alias: text("id"),
            kind: Some(text("kind").unwrap_or_else(|| "other".to_owned())),
        };
        self.ledger.learn(room.as_str(), known.clone()).await?;
        Ok(known)
    }

    /// Whether the room is no conversation and no space, and so one in which the owner speaks with the device itself. Of one that cannot be looked at
    /// now it is not said.
    pub async fn is_direct_chat(&self, room: &RoomId) -> bool {
        let Ok(room) = room_id(room) else {
            return false;
        };
        let known = self.look_at(&room).await;
        known.is_ok_and(|known| match known.kind.as_deref() {
            Some(kind) => ![RoomKind::Direct, RoomKind::Group, RoomKind::Space]
                .map(word)
                .contains(&kind),
            None => false,
        })
    }

    pub(super) async fn is_group(&self, room: &MatrixRoomId) -> Result<bool, Failure> {
        Ok(self.look_at(room).await?.kind.as_deref() == Some(word(RoomKind::Group)))
    }

    pub(super) async fn describe(
        &self,
        room: &RoomId,
        about: &About,
        ghost: Option<&Ghost>,
    ) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        match upkeep::bring_up_to_date(self, &room, about, None).await {
            Ok(()) => {}
            Err(failure) => return Err(self.refusal(&room, failure).await),
        }
        self.picture(&room, ghost).await;
        Ok(Performed::default())
    }

    /// The contact's picture as the room's. A picture is a nicety: the room is worth more.
    async fn picture(&self, room: &MatrixRoomId, ghost: Option<&Ghost>) {
        let Some(picture) = ghost.and_then(|ghost| ghost.picture.as_ref()) else {
            return;
        };
        // In a group the contacts' pictures stand beside what they say.
        let wanted = async {
            if self.is_group(room).await? {
                return Ok(());
            }
            let uri = self.picture_uri(picture).await?;
            self.want_state(room, "m.room.avatar", "", |_| json!({ "url": uri }))
                .await
        };
        if let Err(failure) = wanted.await {
            tracing::warn!(%failure, "a contact's picture cannot be shown");
        }
    }

    pub(super) async fn protection(&self, room: &MatrixRoomId) -> Result<Protection, Failure> {
        let encrypted = match self.client.get_room(room) {
            Some(room) => self.is_encrypted(&room).await?,
            None => false,
        };
        Ok(match encrypted {
            true => Protection::EndToEnd(Scheme::Megolm),
            false => Protection::None,
        })
    }

    pub(super) async fn is_encrypted(&self, room: &Room) -> Result<bool, Failure> {
        Ok(room
            .latest_encryption_state()
            .boxed()
            .await
            .map_err(failure::any)?
            .is_encrypted())
    }

    /// What a refusal means: that the room is gone for us, or just this.
    pub(super) async fn refusal(&self, room: &MatrixRoomId, failure: Failure) -> PerformError {
        if failure.no_access() {
            match self.joined().await {
                Ok(joined) if !joined.iter().any(|id| id == room) => {
                    return PerformError::RoomGone {
                        detail: failure.to_string(),
                    };
                }
                Err(failure) => return failure::perform(failure),
                Ok(_) => {}
            }
        }
        failure::perform(failure)
    }

    /// Content of a state event; `None` where there is none.
    async fn state(&self, room: &MatrixRoomId, kind: &str, key: &str) -> Result<Option<Value>, Failure> {
        let kind = StateEventType::from(kind);
        let request = get_state_event_for_key::v3::Request::new(room.to_owned(), kind, key.to_owned());
        match self.client.send(request).await.map_err(failure::http) {
            Ok(answer) => Ok(serde_json::from_str(answer.into_content().json().get()).ok()),
            Err(failure) if failure.refused_as("M_NOT_FOUND") => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

impl Keeper for Puppet {
    fn me(&self) -> &MatrixUserId {
        &self.me
    }

    async fn want_state(
        &self,
        room: &MatrixRoomId,
        kind: &str,
        key: &str,
        wanted: impl FnOnce(Option<&Value>) -> Value + Send,
    ) -> Result<(), Failure> {
        let is = self.state(room, kind, key).await?;
        let wanted = wanted(is.as_ref());
        if wanted.is_null() || is.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let kind = StateEventType::from(kind);
        let request =
            send_state_event::v3::Request::new_raw(room.to_owned(), kind, key.to_owned(), raw(&wanted)?);
        self.client.send(request).await.map_err(failure::http)?;
        Ok(())
    }
}

fn mark(alias: &str, kind: RoomKind) -> Value {
    json!({ "id": alias, "kind": word(kind) })
}

fn word(kind: RoomKind) -> &'static str {
    match kind {
        RoomKind::Direct => "direct",
        RoomKind::Group => "group",
        RoomKind::Space => "space",
        RoomKind::Management => "management",
    }
}

fn raw<T>(value: &Value) -> Result<Raw<T>, Failure> {
    serde_json::value::to_raw_value(value)
        .map(Raw::from_json)
        .map_err(|_| Failure::invalid("content"))
}
