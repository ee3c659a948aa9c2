//! What a transaction brings for our devices: messages between devices, changes of others' devices, counts of keys (MSC4203 and
//! MSC3202, under their stable and their present names).

use super::Crypto;
use super::machine::Changes;
use crate::failure::Failure;
use crate::homeserver::Matrix;
use matrix_sdk_common::deserialized_responses::ProcessedToDeviceEvent;
use ruma::api::client::sync::sync_events::DeviceLists;
use ruma::serde::Raw;
use ruma::{OneTimeKeyAlgorithm, OwnedDeviceId, OwnedUserId, UInt, UserId};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Fewer keys than this left, and a closed machine is opened to make some.
const FEW: u32 = 25;

/// The parts of a transaction that are not events. Absent parts cost nothing.
#[derive(Default)]
pub(crate) struct Extension<'a> {
    pub to_device: [Option<&'a RawValue>; 2],
    pub device_lists: [Option<&'a RawValue>; 2],
    pub key_counts: [Option<&'a RawValue>; 3],
    pub fallback_keys: [Option<&'a RawValue>; 2],
}

/// A state event that changes how a room is written to.
pub(crate) enum Notice {
    Members { room: String },
    Encryption { room: String, content: String },
}

type Counts = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, BTreeMap<OneTimeKeyAlgorithm, UInt>>>;
type Fallbacks = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, Vec<OneTimeKeyAlgorithm>>>;

#[derive(Deserialize)]
struct Addressed<'a> {
    #[serde(borrow)]
    to_user_id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    to_device_id: std::borrow::Cow<'a, str>,
}

impl Extension<'_> {
    pub fn is_empty(&self) -> bool {
        let parts = self
            .to_device
            .iter()
            .chain(&self.device_lists)
            .chain(&self.key_counts)
            .chain(&self.fallback_keys);
        parts.flatten().next().is_none()
    }
}

/// The first that can be read.
fn first<'a, T: Deserialize<'a> + Default>(parts: &[Option<&'a RawValue>]) -> T {
    let mut read = parts
        .iter()
        .flatten()
        .filter_map(|part| serde_json::from_str(part.get()).ok());
    read.next().unwrap_or_default()
}

impl Matrix {
    /// Has the machines take in what came. Gives the sessions whose keys came. When this returns, keys are stored.
    pub(crate) async fn take_keys(&self, crypto: &Crypto, extension: &Extension<'_>) -> Vec<String> {
        let mut messages: BTreeMap<OwnedUserId, Vec<(OwnedDeviceId, &RawValue)>> = BTreeMap::new();
        for event in first::<Vec<&RawValue>>(&extension.to_device) {
            let Ok(addressed) = serde_json::from_str::<Addressed<'_>>(event.get()) else {
                continue;
            };
            if let Ok(user) = OwnedUserId::try_from(addressed.to_user_id.as_ref()) {
                let device = OwnedDeviceId::from(addressed.to_device_id.as_ref());
                messages.entry(user).or_default().push((device, event));
            }
        }
        let devices: DeviceLists = first(&extension.device_lists);
        let mut counts: Counts = first(&extension.key_counts);
        let mut fallbacks: Fallbacks = first(&extension.fallback_keys);
        let mut users: Vec<OwnedUserId> = messages.keys().cloned().collect();
        let few = |counts: &BTreeMap<OwnedDeviceId, BTreeMap<OneTimeKeyAlgorithm, UInt>>| {
            let mut left = counts
                .values()
                .filter_map(|count| count.get(&OneTimeKeyAlgorithm::SignedCurve25519));
            left.any(|left| *left < UInt::from(FEW))
        };
        users.extend(
            counts
                .iter()
                .filter(|(_, counts)| few(counts))
                .map(|(user, _)| user.clone()),
        );
        let open = crypto.machines.open();
        // A closed machine asks for everybody's devices anew when it is opened.
        let all = !devices.changed.is_empty() || !devices.left.is_empty();
        let concerned = open.iter().map(|machine| machine.olm.user_id().to_owned());
        users.extend(
            concerned.filter(|user| all || counts.contains_key(user) || fallbacks.contains_key(user)),
        );
        drop(open);
        users.sort();
        users.dedup();
        let mut sessions = Vec::new();
        for user in users {
            if !self.names.is_ours(user.as_str()) || !crypto.machines.has(&user) {
                continue;
            }
            let taken = async {
                let machine = self.machine(crypto, &user).await?;
                let mine = messages.remove(&user).unwrap_or_default().into_iter();
                let mine = mine.filter(|(device, _)| device == machine.device() || device == "*");
                let changes = Changes {
                    to_device: mine.map(|(_, event)| Raw::from_json(event.to_owned())).collect(),
                    devices: devices.clone(),
                    one_time_keys: counts
                        .remove(&user)
                        .and_then(|mut of| of.remove(machine.device()))
                        .unwrap_or_default(),
                    fallback_keys: fallbacks
                        .remove(&user)
                        .and_then(|mut of| of.remove(machine.device())),
                    place: None,
                };
                self.receive(crypto, &user, changes).await
            };
            match taken.await {
                Ok(found) => sessions.extend(found),
                // It is still in the device's own queue on the homeserver, and read from there.
                Err(failure) => tracing::warn!(%failure, "messages between devices cannot be taken in now"),
            }
            crypto.errand(&user);
        }
        sessions
    }

    /// Has one machine take in what came and was not taken before. Gives the sessions whose keys came.
    pub(super) async fn receive(
        &self,
        crypto: &Crypto,
        user: &UserId,
        mut changes: Changes,
    ) -> Result<Vec<String>, Failure> {
        let machine = self.machine(crypto, user).await?;
        let _turn = machine.receiving.lock().await;
        let digests: Vec<[u8; 32]> = changes
            .to_device
            .iter()
            .map(|event| digest(event.json()))
            .collect();
        let fresh = match digests.is_empty() {
            true => Vec::new(),
            false => crypto.ledger.fresh(user.as_str(), digests.clone()).await?,
        };
        let mut which = fresh.iter();
        changes
            .to_device
            .retain(|_| which.next().copied().unwrap_or(true));
        metrics::counter!("swingbridge_encryption_device_messages_total")
            .increment(changes.to_device.len() as u64);
        let (events, keys) = machine.receive(changes).await?;
        for event in &events {
            if let ProcessedToDeviceEvent::UnableToDecrypt { .. } = event {
                metrics::counter!("swingbridge_encryption_device_messages_unreadable_total").increment(1);
            }
        }
        if fresh.iter().any(|fresh| *fresh) {
            crypto.ledger.take(user.as_str(), digests).await?;
        }
        Ok(keys.into_iter().map(|key| key.session_id).collect())
    }

    /// Notes what a state event changed.
    pub(crate) async fn notice(&self, crypto: &Crypto, notice: &Notice) -> Result<(), Failure> {
        match notice {
            Notice::Members { room } => {
                crypto.rooms.members_changed(room);
                Ok(())
            }
            Notice::Encryption { room, content } => self.room_is_encrypted(crypto, room, content).await,
        }
    }
}

/// Tells a message between devices from its repetition, whichever way it came: by who sent it and what it says.
pub(super) fn digest(event: &RawValue) -> [u8; 32] {
    let event: Value = serde_json::from_str(event.get()).unwrap_or_default();
    let mut digest = Sha256::new();
    for key in ["sender", "type", "content"] {
        digest.update(event.get(key).unwrap_or(&Value::Null).to_string());
        digest.update([0]);
    }
    digest.finalize().into()
}
