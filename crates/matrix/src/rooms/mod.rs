//! Rooms: made once, found again by alias, and brought up to what the engine wants of them.

mod content;

use crate::api::As;
use crate::failure::Failure;
use crate::homeserver::{Matrix, alias_id, room_id, user_id};
use ruma::api::client::alias::{delete_alias, get_alias};
use ruma::api::client::discovery::get_capabilities;
use ruma::api::client::membership::{invite_user, join_room_by_id, joined_members, leave_room};
use ruma::api::client::room::create_room;
use ruma::api::client::state::{get_state_event_for_key, send_state_event};
use ruma::events::StateEventType;
use ruma::serde::Raw;
use ruma::{OwnedRoomId, OwnedUserId, RoomId as MatrixRoomId, RoomVersionId, UserId as MatrixUserId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use swingbridge_domain::homeserver::{About, Ghost, NewRoom, PerformError, Performed, RoomKind, Sender};
use swingbridge_domain::id::{RoomId, UserId};

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
                    self.bring_up_to_date(&room, &new.about, Some(new.kind)).await?;
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
            self.put_into_space(space, &room).await?;
        }
        Ok(Performed {
            room: Some(RoomId::new(room.as_str())),
            event: None,
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
        let state = content::initial_state(new, &self.bot, self.names.server());
        request.initial_state = state.iter().map(raw).collect::<Result<_, _>>()?;
        if new.kind == RoomKind::Space {
            request.creation_content = Some(raw(&json!({ "type": "m.space" }))?);
        }
        Ok(self.slow.call(Some(self.bot()), request).await?.room_id)
    }

    /// The ghost joins, then the users are invited who are neither inside nor asked yet.
    async fn gather(
        &self,
        room: &MatrixRoomId,
        new: &NewRoom,
        ghost: Option<&MatrixUserId>,
    ) -> Result<(), PerformError> {
        let joined = self.joined(room).await.map_err(PerformError::from)?;
        if let Some(ghost) = ghost
            && !joined.contains(ghost)
        {
            self.take_in(room, ghost).await?;
        }
        for user in &new.invite {
            let user = user_id(user.as_str())?;
            if joined.contains(&user) || self.is_asked(room, &user).await? {
                continue;
            }
            // People's clients file a direct chat under whoever invited them: the ghost, not the bot.
            let host = match new.kind {
                RoomKind::Direct => ghost,
                _ => None,
            };
            self.ask(room, host.unwrap_or(&self.bot), &user, is_direct(new.kind))
                .await?;
        }
        Ok(())
    }

    /// Invites by a membership event, the only way to say "direct" after the room was made; plainly where the homeserver
    /// does not take that.
    async fn ask(
        &self,
        room: &MatrixRoomId,
        host: &MatrixUserId,
        user: &MatrixUserId,
        direct: bool,
    ) -> Result<(), Failure> {
        if direct {
            let content = json!({ "membership": "invite", "is_direct": true });
            match self
                .set_state(room, host, "m.room.member", user.as_str(), &content)
                .await
            {
                Err(Failure::Refused { .. }) => {}
                answer => return answer,
            }
        }
        self.invite_plainly(room, user).await
    }

    async fn invite_plainly(&self, room: &MatrixRoomId, user: &MatrixUserId) -> Result<(), Failure> {
        let recipient =
            invite_user::v3::InvitationRecipient::UserId(invite_user::v3::InviteUserId::new(user.to_owned()));
        let request = invite_user::v3::Request::new(room.to_owned(), recipient);
        match self.api.call(Some(self.bot()), request).await {
            Ok(_) => Ok(()),
            // Inside or asked already is as good.
            Err(failure) if failure.no_access() && self.is_asked(room, user).await? => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Whether `user` is inside or invited, as the room's state says.
    async fn is_asked(&self, room: &MatrixRoomId, user: &MatrixUserId) -> Result<bool, Failure> {
        let member = self.state(room, "m.room.member", user.as_str()).await?;
        let membership = member
            .as_ref()
            .and_then(|member| member.get("membership")?.as_str());
        Ok(matches!(membership, Some("join" | "invite")))
    }

    /// The bot invites one of our users, who joins.
    async fn take_in(&self, room: &MatrixRoomId, user: &MatrixUserId) -> Result<(), Failure> {
        let join = || join_room_by_id::v3::Request::new(room.to_owned());
        match self.api.call(Some(user.into()), join()).await {
            Err(failure) if failure.no_access() => {}
            answer => return answer.map(drop),
        }
        // A homeserver that was set up anew knows the user no more; the name follows with the next thing said.
        self.people.forget(user);
        self.people.register(&self.api, user).await?;
        self.invite_plainly(room, user).await?;
        self.api.call(Some(user.into()), join()).await.map(drop)
    }

    /// Brings the sender of a refused event into the room. `false`: it was inside, so the refusal stands.
    pub(crate) async fn bring_in(
        &self,
        room: &MatrixRoomId,
        ghost: Option<&MatrixUserId>,
    ) -> Result<bool, PerformError> {
        let joined = match self.joined(room).await {
            Ok(joined) => joined,
            Err(failure) if failure.no_access() => {
                // Invited, perhaps.
                let request = join_room_by_id::v3::Request::new(room.to_owned());
                match self.api.call(Some(self.bot()), request).await {
                    Ok(_) => {}
                    Err(failure) if failure.no_access() => return Err(gone(&failure)),
                    Err(failure) => return Err(failure.into()),
                }
                if ghost.is_none() {
                    return Ok(true);
                }
                self.joined(room).await.map_err(PerformError::from)?
            }
            Err(failure) => return Err(failure.into()),
        };
        match ghost {
            Some(ghost) if !joined.contains(ghost) => {
                self.take_in(room, ghost).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// What a refusal means: that the room is gone for us, or just this.
    pub(crate) async fn refusal(&self, room: &MatrixRoomId, failure: Failure) -> PerformError {
        match self.joined(room).await {
            Err(seen) if seen.no_access() => gone(&failure),
            _ => failure.into(),
        }
    }

    pub(crate) async fn join(&self, room: &RoomId) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        self.sender(&Sender::Bot).await?;
        let request = join_room_by_id::v3::Request::new(room);
        match self.api.call(Some(self.bot()), request).await {
            Ok(answer) => Ok(Performed {
                room: Some(RoomId::new(answer.room_id.as_str())),
                event: None,
            }),
            Err(failure) if failure.refused_as("M_NOT_FOUND") => Err(gone(&failure)),
            Err(failure) => Err(failure.into()),
        }
    }

    pub(crate) async fn leave(
        &self,
        room: &RoomId,
        ghost: Option<&Ghost>,
        alias: Option<&str>,
    ) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        if let Some(alias) = alias {
            self.drop_alias(&alias_id(&self.names.alias(alias))?).await?;
        }
        let ghost = ghost.map(|ghost| self.ghost_id(ghost)).transpose()?;
        for user in ghost.as_deref().into_iter().chain([&*self.bot]) {
            let request = leave_room::v3::Request::new(room.clone());
            match self.api.call(Some(user.into()), request).await {
                Err(failure) if !failure.no_access() => return Err(failure.into()),
                // Outside already is as good.
                _ => {}
            }
        }
        Ok(Performed::default())
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

    pub(crate) async fn invite(&self, room: &RoomId, users: &[UserId]) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        for user in users {
            match self.invite_plainly(&room, &user_id(user.as_str())?).await {
                Ok(()) => {}
                Err(failure) if failure.no_access() => return Err(self.refusal(&room, failure).await),
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(Performed::default())
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
        match self.bring_up_to_date(&room, about, None).await {
            Ok(()) => Ok(Performed::default()),
            Err(failure) if failure.no_access() => Err(self.refusal(&room, failure).await),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Name, topic, bridge information and who may write, each only when it differs.
    async fn bring_up_to_date(
        &self,
        room: &MatrixRoomId,
        about: &About,
        kind: Option<RoomKind>,
    ) -> Result<(), Failure> {
        self.want_state(room, "m.room.name", "", |_| json!({ "name": about.name }))
            .await?;
        let topic = about.topic.clone().unwrap_or_default();
        self.want_state(room, "m.room.topic", "", |is| match is {
            // No topic is wanted and none is there: nothing to say.
            None if topic.is_empty() => json!(null),
            _ => json!({ "topic": topic }),
        })
        .await?;
        if let Some(bridge) = &about.bridge {
            let key = content::bridge_key(bridge);
            for event in content::BRIDGE_TYPES {
                self.want_state(room, event, &key, |is| {
                    let mut wanted = content::bridge_info(bridge, &self.bot, kind == Some(RoomKind::Direct));
                    let was = is.and_then(|is| is.get("com.beeper.room_type"));
                    if let (None, Some(was)) = (kind, was) {
                        wanted["com.beeper.room_type"] = was.clone();
                    }
                    wanted
                })
                .await?;
            }
        }
        if kind != Some(RoomKind::Space) {
            self.want_state(room, "m.room.power_levels", "", |is| match is {
                Some(is) => content::with_writing(is, about.writable),
                None => json!(null),
            })
            .await?;
        }
        Ok(())
    }

    async fn put_into_space(&self, space: &RoomId, room: &MatrixRoomId) -> Result<(), PerformError> {
        let space = room_id(space)?;
        let child = json!({ "via": [self.names.server()] });
        match self
            .want_state(&space, "m.space.child", room.as_str(), |_| child.clone())
            .await
        {
            Err(failure) if failure.no_access() => {
                // The room is worth more than its place in a space that somebody took away.
                tracing::warn!(%failure, "a new room cannot be shown in its line's space");
                Ok(())
            }
            answer => answer.map_err(Into::into),
        }
    }

    /// Sets a state event unless it is so already. `wanted` sees what is there; null leaves it.
    async fn want_state(
        &self,
        room: &MatrixRoomId,
        kind: &str,
        key: &str,
        wanted: impl FnOnce(Option<&Value>) -> Value,
    ) -> Result<(), Failure> {
        let is = self.state(room, kind, key).await?;
        let wanted = wanted(is.as_ref());
        if wanted.is_null() || is.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.set_state(room, &self.bot, kind, key, &wanted).await
    }

    async fn set_state(
        &self,
        room: &MatrixRoomId,
        user: &MatrixUserId,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Result<(), Failure> {
        let kind = StateEventType::from(kind);
        let request =
            send_state_event::v3::Request::new_raw(room.to_owned(), kind, key.to_owned(), raw(content)?);
        self.api.call(Some(user.into()), request).await.map(drop)
    }

    /// The content of a state event, as the bot sees it.
    async fn state(&self, room: &MatrixRoomId, kind: &str, key: &str) -> Result<Option<Value>, Failure> {
        let kind = StateEventType::from(kind);
        let request = get_state_event_for_key::v3::Request::new(room.to_owned(), kind, key.to_owned());
        match self.api.call(Some(self.bot()), request).await {
            Ok(answer) => Ok(serde_json::from_str(answer.event_or_content.get()).ok()),
            Err(failure) if failure.refused_as("M_NOT_FOUND") => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn joined(&self, room: &MatrixRoomId) -> Result<BTreeSet<OwnedUserId>, Failure> {
        let request = joined_members::v3::Request::new(room.to_owned());
        let answer = self.api.call(Some(self.bot()), request).await?;
        Ok(answer.joined.into_keys().collect())
    }

    /// Whether the bot is inside, or could be brought inside.
    async fn is_inside(&self, room: &MatrixRoomId) -> Result<bool, PerformError> {
        match self.bring_in(room, None).await {
            Ok(_) => Ok(true),
            Err(PerformError::RoomGone { .. }) => Ok(false),
            Err(error) => Err(error),
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
