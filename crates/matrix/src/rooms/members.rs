//! Who is in a room: our users brought in, people invited.

use super::content::with_voice;
use super::{gone, is_direct, upkeep};
use crate::failure::Failure;
use crate::homeserver::{Matrix, alias_id, room_id, user_id};
use ruma::api::client::membership::{invite_user, join_room_by_id, joined_members, leave_room};
use ruma::{OwnedUserId, RoomId as MatrixRoomId, UserId as MatrixUserId};
use serde_json::json;
use std::collections::BTreeSet;
use swingbridge_domain::homeserver::{Ghost, NewRoom, PerformError, Performed, RoomKind, Sender};
use swingbridge_domain::id::{RoomId, UserId};

impl Matrix {
    /// The ghost joins, then the users are invited who are neither inside nor asked yet.
    pub(super) async fn gather(
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
            match self
                .ask(room, host.unwrap_or(&self.bot), &user, is_direct(new.kind))
                .await
            {
                Ok(()) => {}
                // Somebody who takes no invites is no reason for the others to have no room.
                Err(failure @ Failure::Refused { .. }) => {
                    tracing::warn!(%failure, "a user cannot be invited")
                }
                Err(failure) => return Err(failure.into()),
            }
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

    /// Lets a ghost speak where people may not. `false`: it could already, so its power is not what it lacks.
    pub(crate) async fn give_voice(
        &self,
        room: &MatrixRoomId,
        ghost: &MatrixUserId,
    ) -> Result<bool, Failure> {
        let Some(levels) = self.state(room, "m.room.power_levels", "").await? else {
            return Ok(false);
        };
        match with_voice(&levels, ghost.as_str()) {
            Some(levels) => {
                self.set_state(room, &self.bot, "m.room.power_levels", "", &levels)
                    .await?;
                Ok(true)
            }
            None => Ok(false),
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
            Ok(answer) => {
                let members = self.joined(&answer.room_id).await.map_err(PerformError::from)?;
                let protection = self
                    .protection_of(&answer.room_id)
                    .await
                    .map_err(PerformError::from)?;
                let people = members.iter().map(|user| user.as_str());
                Ok(Performed {
                    room: Some(RoomId::new(answer.room_id.as_str())),
                    protection: Some(protection),
                    members: people
                        .filter(|user| !self.names.is_ours(user))
                        .map(UserId::new)
                        .collect(),
                    ..Performed::default()
                })
            }
            Err(failure) if failure.refused_as("M_NOT_FOUND") => Err(gone(&failure)),
            Err(failure) => Err(failure.into()),
        }
    }

    pub(crate) async fn leave(
        &self,
        room: &RoomId,
        ghost: Option<&Ghost>,
        alias: Option<&str>,
        space: Option<&RoomId>,
    ) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        if let Some(space) = space {
            upkeep::show_in_space(self, space, &room, false).await?;
        }
        if let Some(alias) = alias {
            self.drop_alias(&alias_id(&self.names.alias(alias))?).await?;
        }
        let mut leaving: BTreeSet<OwnedUserId> = BTreeSet::new();
        if let Some(ghost) = ghost {
            leaving.insert(self.ghost_id(ghost)?);
        }
        // A group has a ghost for each of its members. Who cannot look leaves what is known.
        match self.joined(&room).await {
            Ok(joined) => leaving.extend(
                joined
                    .into_iter()
                    .filter(|user| self.names.pseudonym(user.as_str()).is_some()),
            ),
            Err(failure @ Failure::Away { .. }) => return Err(failure.into()),
            Err(_) => {}
        }
        for user in leaving.iter().map(|user| &**user).chain([&*self.bot]) {
            let request = leave_room::v3::Request::new(room.clone());
            match self.api.call(Some(user.into()), request).await {
                Err(failure) if !failure.no_access() => return Err(failure.into()),
                // Outside already is as good.
                _ => {}
            }
        }
        self.room_left(&room).await.map_err(PerformError::from)?;
        Ok(Performed::default())
    }

    pub(crate) async fn invite(&self, room: &RoomId, users: &[UserId]) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        let mut refused = None;
        for user in users {
            match self.invite_plainly(&room, &user_id(user.as_str())?).await {
                Ok(()) => {}
                Err(failure @ Failure::Refused { .. }) => refused = Some(failure),
                Err(failure) => return Err(failure.into()),
            }
        }
        match refused {
            Some(failure) => Err(self.refusal(&room, failure).await),
            None => Ok(Performed::default()),
        }
    }

    async fn joined(&self, room: &MatrixRoomId) -> Result<BTreeSet<OwnedUserId>, Failure> {
        let request = joined_members::v3::Request::new(room.to_owned());
        let answer = self.api.call(Some(self.bot()), request).await?;
        Ok(answer.joined.into_keys().collect())
    }

    /// Whether the bot is inside, or could be brought inside.
    pub(crate) async fn is_inside(&self, room: &MatrixRoomId) -> Result<bool, PerformError> {
        match self.bring_in(room, None).await {
            Ok(_) => Ok(true),
            Err(PerformError::RoomGone { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
