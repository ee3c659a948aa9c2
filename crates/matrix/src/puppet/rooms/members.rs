//! Who is in a room: people invited, ourselves in and out.

use crate::crypto::MEGOLM;
use crate::failure::Failure;
use crate::homeserver::{room_id, user_id};
use crate::puppet::{Puppet, failure};
use crate::rooms::upkeep::{self, Keeper};
use futures_util::FutureExt;
use matrix_sdk::Room;
use ruma::api::client::membership::{get_member_events, invite_user, joined_members, leave_room};
use ruma::{RoomId as MatrixRoomId, UserId as MatrixUserId};
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::homeserver::{NewRoom, PerformError, Performed};
use swingbridge_domain::id::{RoomId, UserId};

impl Puppet {
    /// Invites whoever is neither inside nor asked yet.
    pub(super) async fn ask(&self, room: &MatrixRoomId, user: &UserId) -> Result<(), Failure> {
        let user = user_id(user.as_str())?;
        if self.is_asked(room, &user).await? {
            return Ok(());
        }
        let whom =
            invite_user::v3::InvitationRecipient::UserId(invite_user::v3::InviteUserId::new(user.clone()));
        let request = invite_user::v3::Request::new(room.to_owned(), whom);
        match self.client.send(request).await.map_err(failure::http) {
            Ok(_) => {
                // Whoever comes must find the keys of what is said from now on.
                self.reload_members(room).await;
                Ok(())
            }
            Err(failure @ Failure::Refused { .. }) => {
                tracing::warn!(%failure, "a user cannot be invited");
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    async fn reload_members(&self, room: &MatrixRoomId) {
        if let Some(room) = self.client.get_room(room) {
            room.mark_members_missing();
        }
    }

    async fn is_asked(&self, room: &MatrixRoomId, user: &MatrixUserId) -> Result<bool, Failure> {
        let member = self.state(room, "m.room.member", user.as_str()).await?;
        let membership = member
            .as_ref()
            .and_then(|member| member.get("membership")?.as_str());
        Ok(matches!(membership, Some("join" | "invite")))
    }

    /// Whose phone it is need not accept what their own device invites them to.
    pub(super) async fn bring_the_owner(&self, new: &NewRoom, room: &MatrixRoomId) {
        let Some(double) = &self.double else {
            return;
        };
        if !new.invite.iter().any(|user| user.as_str() == self.owner.as_str()) {
            return;
        }
        if let Err(error) = double.join_room_by_id(room).boxed().await {
            let failure = failure::any(error);
            tracing::warn!(%failure, "the owner's second session cannot enter a new room");
        }
    }

    pub(in crate::puppet) async fn join(&self, room: &RoomId) -> Result<Performed, PerformError> {
        let room = room_id(room)?;
        let joined = match self
            .client
            .join_room_by_id(&room)
            .boxed()
            .await
            .map_err(failure::any)
        {
            Ok(joined) => joined,
            Err(failure) if failure.refused_as("M_NOT_FOUND") => {
                return Err(PerformError::RoomGone {
                    detail: failure.to_string(),
                });
            }
            Err(failure) => return Err(failure::perform(failure)),
        };
        let done = async {
            // It cannot be undone: where others are it is not ours to decide.
            if self.look_at(&room).await?.alias.is_none() && !self.has_others(&room).await? {
                self.encrypt(&joined).await?;
            }
            let members = self.members(&joined).await?;
            Ok::<_, Failure>(Performed {
                room: Some(RoomId::new(room.as_str())),
                protection: Some(self.protection(&room).await?),
                members,
                event: None,
            })
        };
        done.await.map_err(failure::perform)
    }

    /// Encrypts a room of somebody else's, where we may.
    async fn encrypt(&self, room: &Room) -> Result<(), Failure> {
        let wanted = self.want_state(room.room_id(), "m.room.encryption", "", |is| match is {
            Some(_) => Value::Null,
            None => json!({ "algorithm": MEGOLM }),
        });
        match wanted.await {
            Ok(()) => {}
            Err(failure) if failure.no_access() => return Ok(()),
            Err(failure) => return Err(failure),
        }
        // The client asks about a room once; what changed since then comes with the news.
        for _ in 0..100 {
            if self.is_encrypted(room).await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(Failure::away(
            "the room was encrypted, and news of it has not come yet",
        ))
    }

    /// Whether somebody besides the owner and us is in the room, or is invited to it.
    async fn has_others(&self, room: &MatrixRoomId) -> Result<bool, Failure> {
        let request = get_member_events::v3::Request::new(room.to_owned());
        let answer = self.client.send(request).await.map_err(failure::http)?;
        let is_other = |event: Value| {
            let inside = ["join", "invite", "knock"].map(Value::from);
            inside.contains(&event["content"]["membership"])
                && event["state_key"] != self.me.as_str()
                && event["state_key"] != self.owner.as_str()
        };
        let mut events = answer.chunk.iter();
        Ok(events.any(|event| serde_json::from_str(event.json().get()).is_ok_and(is_other)))
    }

    async fn members(&self, room: &Room) -> Result<Vec<UserId>, Failure> {
        let request = joined_members::v3::Request::new(room.room_id().to_owned());
        let answer = self.client.send(request).await.map_err(failure::http)?;
        let others = answer.joined.keys().filter(|user| **user != self.me);
        Ok(others.map(|user| UserId::new(user.as_str())).collect())
    }

    pub(in crate::puppet) async fn leave(
        &self,
        room: &RoomId,
        space: Option<&RoomId>,
    ) -> Result<Performed, Failure> {
        let room = room_id(room)?;
        if let Some(space) = space {
            upkeep::show_in_space(self, space, &room, false).await?;
        }
        let request = leave_room::v3::Request::new(room.clone());
        match self.client.send(request).await.map_err(failure::http) {
            Err(failure) if !failure.no_access() => return Err(failure),
            // Outside already is as good.
            _ => {}
        }
        self.ledger.forget_room(room.as_str()).await?;
        Ok(Performed::default())
    }

    pub(in crate::puppet) async fn invite(
        &self,
        room: &RoomId,
        users: &[UserId],
    ) -> Result<Performed, Failure> {
        let room = room_id(room)?;
        for user in users {
            self.ask(&room, user).await?;
        }
        Ok(Performed::default())
    }
}
