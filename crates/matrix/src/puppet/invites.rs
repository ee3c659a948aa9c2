//! Invites. The owner's to a direct chat is handed in, and every other is refused: a device serves one person, and in a room with others
//! they would read what it says.

use super::{Puppet, failure};
use crate::failure::Failure;
use futures_util::FutureExt;
use matrix_sdk::deserialized_responses::MemberEvent;
use ruma::RoomId as MatrixRoomId;
use ruma::events::SyncStateEvent;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::PoisonError;
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Membership, RoomEvent, RoomEventKind, What};
use swingbridge_domain::path::Protection;

/// The scope under which invites are told apart: they have no event id.
const SCOPE: &str = "invite";

impl Puppet {
    /// An invite by the owner to a direct chat. It has no event id: it is told apart by its room and by where in time it came, which is the
    /// same when it comes again after a crash.
    pub(super) fn read_invite<'a>(
        &self,
        room: &MatrixRoomId,
        since: Option<&str>,
        state: impl Iterator<Item = &'a RawValue>,
    ) -> Option<Arrival> {
        let invite = state
            .filter_map(|raw| serde_json::from_str::<Value>(raw.get()).ok())
            .find(|event| event["type"] == "m.room.member" && event["state_key"] == self.me.as_str())?;
        if invite["sender"] != self.owner.as_str() || invite["content"]["is_direct"] != true {
            return None;
        }
        let id = format!("{room} {}", since.unwrap_or_default());
        Some(Arrival {
            dedupe: Dedupe::Id {
                scope: SCOPE.to_owned(),
                id: id.clone(),
            },
            what: What::Room(RoomEvent {
                room: RoomId::new(room.as_str()),
                event: EventId::new(id),
                sender: UserId::new(self.owner.as_str()),
                sent_at: self.clock.now(),
                protection: Protection::None,
                what: RoomEventKind::Membership {
                    user: UserId::new(self.me.as_str()),
                    membership: Membership::Invite,
                    direct: true,
                },
            }),
        })
    }

    /// Refuses all invites but those of the owner to direct chats.
    pub(super) async fn refuse_other_invites(&self) {
        for room in self.client.invited_rooms() {
            let id = room.room_id().to_string();
            let known = self
                .stuck
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(&id);
            let Ok(details) = room.invite_details().boxed().await else {
                continue;
            };
            // Who invited is in the invite itself, also where nothing is known of them.
            let by_owner = details.inviter_id == self.owner;
            if known || by_owner && is_direct(details.invitee.event()) {
                continue;
            }
            match room.leave().boxed().await.map_err(failure::any) {
                Ok(()) => {
                    tracing::info!(
                        by_owner,
                        "an invite that is not the owner's to a direct chat was refused"
                    );
                    if by_owner {
                        self.refused.notify_one();
                    }
                }
                Err(Failure::Refused { code, .. }) => {
                    tracing::warn!(%code, by_owner, "an invite that is not the owner's to a direct chat cannot be refused");
                    self.stuck
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(id);
                }
                // Later.
                Err(Failure::Away { .. }) => {}
            }
        }
    }

    /// Completes when an invite of the owner was refused since the last time, for a program that lets them know why. One waits for it.
    pub async fn refused_owner(&self) {
        self.refused.notified().await;
    }
}

fn is_direct(invite: &MemberEvent) -> bool {
    let direct = match invite {
        MemberEvent::Stripped(event) => event.content.is_direct,
        MemberEvent::Sync(SyncStateEvent::Original(event)) => event.content.is_direct,
        MemberEvent::Sync(SyncStateEvent::Redacted(_)) => None,
    };
    direct == Some(true)
}
