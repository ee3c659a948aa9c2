//! Rooms: made once, found again by alias, and brought up to what the engine wants of them.

pub(crate) mod content;
mod members;
mod state;
pub(crate) mod upkeep;

use crate::api::As;
use crate::failure::Failure;
use crate::homeserver::{Matrix, alias_id, room_id};
use ruma::api::client::alias::{delete_alias, get_alias};
use ruma::api::client::discovery::get_capabilities;
use ruma::api::client::room::create_room;
use ruma::serde::Raw;
use ruma::{OwnedRoomId, RoomVersionId, UserId as MatrixUserId};
use serde_json::{Value, json};
use swingbridge_domain::homeserver::{About, Ghost, NewRoom, PerformError, Performed, RoomKind, Sender};
use swingbridge_domain::id::RoomId;

/// Version of new rooms.
#[derive(Clone, Debug)]
pub(crate) struct RoomVersion {
    id: RoomVersionId,
    /// From version 12 on the creator has all power without standing in the power levels, and must not stand there; before,
    /// it must.
    creator_is_privileged: bool,
}

impl Matrix {
    /// Makes the room, or takes the one that has its alias; then members and state, each step of which may have been done
    /// before.
    pub(crate) async fn create_room(&self, new: &NewRoom) -> Result<Performed, PerformError> {
        self.sender(&Sender::Bot).await?;
        let ghost = match &new.ghost {
            Some(ghost) => Some(self.ensure_ghost(ghost).await?),
            None => None,
        };
        let alias = alias_id(&self.names.alias(&new.alias))?;
        let room = match self.make(new, ghost.as_deref()).await {
            Ok(room) => room,
            Err(failure) if failure.refused_as("M_ROOM_IN_USE") => {
                let found = self
                    .api
                    .call(Some(self.bot()), get_alias::v3::Request::new(alias.clone()))
                    .await;
                let room = found.map_err(PerformError::from)?.room_id;
                if self.is_inside(&room).await? {
                    upkeep::bring_up_to_date(self, &room, &new.about, Some(new.kind)).await?;
                    room
                } else {
                    // Nobody of ours is left in it: the alias is all that we have, and it goes to a new room.
                    self.drop_alias(&alias).await?;
                    self.make(new, ghost.as_deref()).await?
                }
            }
            Err(failure) => return Err(failure.into()),
        };
        self.gather(&room, new, ghost.as_deref()).await?;
        if let Some(space) = &new.space {
            upkeep::show_in_space(self, space, &room, true).await?;
        }
        let protection = self.protection_of(&room).await.map_err(PerformError::from)?;
        Ok(Performed {
            room: Some(RoomId::new(room.as_str())),
            protection: Some(protection),
            ..Performed::default()
        })
    }

    async fn make(&self, new: &NewRoom, ghost: Option<&MatrixUserId>) -> Result<OwnedRoomId, Failure> {
        let version = self.room_version().await?;
        let creator = (!version.creator_is_privileged).then_some(self.bot.as_str());
        let ghost_id = ghost.map(MatrixUserId::as_str);
        let mut request = create_room::v3::Request::new();
        request.room_alias_name = Some(self.names.alias_localpart(&new.alias));
        request.room_version = Some(version.id.clone());
        // Never trusted_private_chat: it would make the invited as mighty as the bot, from version 12 on for ever.
        request.preset = Some(create_room::v3::RoomPreset::PrivateChat);
        request.name = Some(new.about.name.clone());
        request.topic.clone_from(&new.about.topic);
        request.is_direct = is_direct(new.kind);
        request.invite = ghost.map(ToOwned::to_owned).into_iter().collect();
        request.power_level_content_override = Some(raw(&content::power_levels(new, creator, ghost_id))?);
        let encrypted = new.kind != RoomKind::Space && self.encrypts_new_rooms()?;
        let state = content::initial_state(new, &self.bot, self.names.server(), encrypted);
        request.initial_state = state.iter().map(raw).collect::<Result<_, _>>()?;
        if new.kind == RoomKind::Space {
            request.creation_content = Some(raw(&json!({ "type": "m.space" }))?);
        }
        Ok(self.slow.call(Some(self.bot()), request).await?.room_id)
    }

    /// The room that was made for the pseudonym, if there is one.
    pub(crate) async fn room_of(&self, alias: &str) -> Result<Option<OwnedRoomId>, Failure> {
        let alias = alias_id(&self.names.alias(alias))?;
        let found = self
            .api
            .call(Some(self.bot()), get_alias::v3::Request::new(alias))
            .await;
        match found {
            Ok(answer) => Ok(Some(answer.room_id)),
            Err(failure) if failure.refused_as("M_NOT_FOUND") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn drop_alias(&self, alias: &ruma::RoomAliasId) -> Result<(), Failure> {
        match self
            .api
            .call(Some(self.bot()), delete_alias::v3::Request::new(alias.to_owned()))
            .await
        {
            Err(failure) if !failure.refused_as("M_NOT_FOUND") => Err(failure),
            _ => Ok(()),
        }
    }

    pub(crate) async fn describe(
        &self,
        room: &RoomId,
        about: &About,
        ghost: Option<&Ghost>,
    ) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        if let Some(ghost) = ghost {
            self.ensure_ghost(ghost).await?;
        }
        match upkeep::bring_up_to_date(self, &room, about, None).await {
            Ok(()) => Ok(Performed::default()),
            Err(failure) if failure.no_access() => Err(self.refusal(&room, failure).await),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The version of new rooms: as configured, else as the homeserver likes it best.
    pub(crate) async fn room_version(&self) -> Result<&RoomVersion, Failure> {
        self.room_version
            .get_or_try_init(async || {
                let id = match &self.config.room_version {
                    Some(version) => RoomVersionId::try_from(version.as_str())
                        .map_err(|_| Failure::invalid("room version"))?,
                    None => {
                        let request = get_capabilities::v3::Request::new();
                        let answer = self.api.call(Some(self.bot()), request).await?;
                        answer.capabilities.room_versions.default
                    }
                };
                // A version that this program does not know is newer than 12.
                let creator_is_privileged = id
                    .rules()
                    .is_none_or(|rules| rules.authorization.explicitly_privilege_room_creators);
                Ok(RoomVersion {
                    id,
                    creator_is_privileged,
                })
            })
            .await
    }

    pub(crate) fn bot(&self) -> As<'_> {
        As::from(&*self.bot)
    }
}

impl RoomVersion {
    pub fn id(&self) -> &str {
        self.id.as_str()
    }
}

fn is_direct(kind: RoomKind) -> bool {
    matches!(kind, RoomKind::Direct | RoomKind::Management)
}

fn gone(failure: &Failure) -> PerformError {
    PerformError::RoomGone {
        detail: failure.to_string(),
    }
}

fn raw<T>(value: &Value) -> Result<Raw<T>, Failure> {
    serde_json::value::to_raw_value(value)
        .map(Raw::from_json)
        .map_err(|_| Failure::invalid("content"))
}
