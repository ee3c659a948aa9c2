//! Which rooms are encrypted, and who reads them.

use super::{Crypto, Mode};
use crate::failure::Failure;
use crate::homeserver::Matrix;
use matrix_sdk_crypto::{CollectStrategy, EncryptionSettings};
use ruma::api::client::membership::get_member_events;
use ruma::events::room::encryption::RoomEncryptionEventContent;
use ruma::events::room::history_visibility::HistoryVisibility;
use ruma::events::room::member::MembershipState;
use ruma::{OwnedUserId, RoomId, UserId};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

/// The one algorithm that rooms have.
pub(crate) const MEGOLM: &str = "m.megolm.v1.aes-sha2";

/// For how long members are believed without a word from the homeserver. It tells of each change at once; this is for when its
/// word is late.
const MEMBERS_FOR: Duration = Duration::from_secs(60);
/// Rooms that are remembered. Beyond that, it begins anew.
const ROOMS: usize = 20_000;

/// What is known of rooms, in memory.
#[derive(Default)]
pub(super) struct Rooms {
    encryption: Mutex<HashMap<String, Option<Arc<EncryptionSettings>>>>,
    members: Mutex<HashMap<String, Members>>,
}

#[derive(Clone)]
pub(super) struct Members {
    asked: Timestamp,
    /// Those who are to read.
    pub readers: Arc<[OwnedUserId]>,
    /// Ours, who have keys of their own.
    pub ours: Arc<[OwnedUserId]>,
}

impl Rooms {
    /// Somebody came or went.
    pub fn members_changed(&self, room: &str) {
        lock(&self.members).remove(room);
    }

    fn put<T>(map: &Mutex<HashMap<String, T>>, room: &str, value: T) {
        let mut map = lock(map);
        if map.len() >= ROOMS {
            map.clear();
        }
        map.insert(room.to_owned(), value);
    }

    /// Those known to be in a room, without asking.
    pub fn known_members(&self, room: &str) -> Option<Members> {
        lock(&self.members).get(room).cloned()
    }
}

fn lock<T>(map: &Mutex<HashMap<String, T>>) -> std::sync::MutexGuard<'_, HashMap<String, T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a room is encrypted, as its state says. What is missing or not understood takes the usual value: no odd content may turn
/// encryption off.
fn settings(content: &str) -> EncryptionSettings {
    let content: RoomEncryptionEventContent = serde_json::from_str(content)
        .unwrap_or_else(|_| RoomEncryptionEventContent::with_recommended_defaults());
    let mut settings =
        EncryptionSettings::new(content, HistoryVisibility::Invited, CollectStrategy::AllDevices);
    settings.algorithm = MEGOLM.into();
    settings
}

impl Matrix {
    /// How `room` is encrypted; `None` for a plain one.
    pub(super) async fn encryption_of(
        &self,
        crypto: &Crypto,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Option<Arc<EncryptionSettings>>, Failure> {
        if let Some(known) = lock(&crypto.rooms.encryption).get(room.as_str()) {
            return Ok(known.clone());
        }
        let content = match crypto.ledger.encryption(room.as_str()).await? {
            Some(content) => Some(content),
            None => {
                let found = self.state_as(room, user, "m.room.encryption", "").await?;
                let found = found.map(|content| content.to_string());
                if let Some(content) = &found {
                    crypto.ledger.encrypted(room.as_str(), content).await?;
                }
                found
            }
        };
        let known = content.map(|content| Arc::new(settings(&content)));
        Rooms::put(&crypto.rooms.encryption, room.as_str(), known.clone());
        Ok(known)
    }

    /// The room was made or turned encrypted.
    pub(super) async fn room_is_encrypted(
        &self,
        crypto: &Crypto,
        room: &str,
        content: &str,
    ) -> Result<(), Failure> {
        crypto.ledger.encrypted(room, content).await?;
        Rooms::put(&crypto.rooms.encryption, room, Some(Arc::new(settings(content))));
        Ok(())
    }

    /// Nobody of ours is in the room any more: what waits there is of no use to anybody.
    pub(crate) async fn room_left(&self, room: &RoomId) -> Result<(), Failure> {
        match self.crypto()? {
            Some(crypto) => {
                crypto.rooms.members_changed(room.as_str());
                crypto.ledger.left(room.as_str()).await
            }
            None => Ok(()),
        }
    }

    /// Turns encryption on in a room, where the bot may.
    pub(super) async fn turn_on(
        &self,
        crypto: &Crypto,
        room: &RoomId,
    ) -> Result<Arc<EncryptionSettings>, Failure> {
        let content = json!({ "algorithm": MEGOLM });
        self.set_state(room, &self.bot, "m.room.encryption", "", &content)
            .await?;
        self.room_is_encrypted(crypto, room.as_str(), &content.to_string())
            .await?;
        Ok(Arc::new(settings(&content.to_string())))
    }

    /// Who reads a room: members, and invited people where the room's history is theirs.
    pub(super) async fn members_of(
        &self,
        crypto: &Crypto,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Members, Failure> {
        let now = self.clock.now();
        if let Some(known) = crypto.rooms.known_members(room.as_str())
            && now.since(known.asked) < MEMBERS_FOR
        {
            return Ok(known);
        }
        let mut request = get_member_events::v3::Request::new(room.to_owned());
        request.not_membership = Some(MembershipState::Leave);
        let answer = self.api.call(Some(user.into()), request).await?;
        let visibility = self.state_as(room, user, "m.room.history_visibility", "").await?;
        let history = visibility
            .as_ref()
            .and_then(|state| state.get("history_visibility")?.as_str());
        let (mut readers, mut ours) = (Vec::new(), Vec::new());
        for event in answer.chunk {
            let Ok(event) = serde_json::from_str::<Value>(event.json().get()) else {
                continue;
            };
            let membership = event.pointer("/content/membership").and_then(Value::as_str);
            let Some(Ok(member)) = event
                .get("state_key")
                .and_then(Value::as_str)
                .map(OwnedUserId::try_from)
            else {
                continue;
            };
            match membership {
                Some("join") if self.names.is_ours(member.as_str()) => ours.push(member),
                Some("join") => readers.push(member),
                Some("invite") if history != Some("joined") && !self.names.is_ours(member.as_str()) => {
                    readers.push(member)
                }
                _ => {}
            }
        }
        let members = Members {
            asked: now,
            readers: readers.into(),
            ours: ours.into(),
        };
        Rooms::put(&crypto.rooms.members, room.as_str(), members.clone());
        Ok(members)
    }

    /// How `room` is encrypted for `user` who is to send there. In mode `require`, a plain room is encrypted now, or nothing is sent.
    pub(super) async fn encryption_for_sending(
        &self,
        crypto: &Crypto,
        room: &RoomId,
        user: &UserId,
    ) -> Result<Option<Arc<EncryptionSettings>>, Failure> {
        match self.encryption_of(crypto, room, user).await? {
            None if self.config.encryption == Mode::Require => match self.turn_on(crypto, room).await {
                Ok(settings) => Ok(Some(settings)),
                Err(failure @ Failure::Away { .. }) => Err(failure),
                Err(_) => Ok(None),
            },
            found => Ok(found),
        }
    }
}
