//! A device's own queue on the homeserver: what came for it while nobody listened.
//!
//! Homeservers drop messages between devices from transactions that they could not deliver (Synapse does), but keep them for the
//! device. Simplified sliding sync gives them, with no list of rooms (MSC4186); where there is none, `/sync` does.

use super::Crypto;
use super::intake::digest;
use super::machine::{Changes, broken};
use crate::failure::Failure;
use crate::homeserver::Matrix;
use ruma::UserId;
use ruma::api::client::sync::sync_events::DeviceLists;
use ruma::serde::Raw;
use ruma::{OneTimeKeyAlgorithm, UInt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PAGE: usize = 100;
/// Pages in one go; what is left comes with the next.
const PAGES: usize = 50;
const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
const PLAIN: &str = "/_matrix/client/v3/sync";
/// Nothing of rooms, presence and accounts.
const NO_ROOMS: &str =
    r#"{"room":{"rooms":[]},"presence":{"not_types":["*"]},"account_data":{"not_types":["*"]}}"#;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Extensions {
    to_device: ToDevice,
    e2ee: Keys,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToDevice {
    next_batch: Option<String>,
    events: Vec<Raw<ruma::events::AnyToDeviceEvent>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Keys {
    device_lists: DeviceLists,
    device_one_time_keys_count: BTreeMap<OneTimeKeyAlgorithm, UInt>,
    device_unused_fallback_key_types: Option<Vec<OneTimeKeyAlgorithm>>,
}

/// An answer of `/sync`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Plain {
    next_batch: Option<String>,
    to_device: ToDevice,
    #[serde(flatten)]
    keys: Keys,
}

impl Matrix {
    /// Reads the bot's queue before its rooms are read. What the homeserver has not of it is no reason to miss the rooms.
    pub(crate) async fn catch_up_bot(&self, crypto: &Crypto) -> Result<(), Failure> {
        match self.catch_up(crypto, &self.bot).await {
            Err(failure @ Failure::Refused { .. }) => {
                tracing::warn!(%failure, "the queue of the bot's device cannot be read");
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    /// Reads the queue of the user's device to its end. Gives the sessions whose keys were in it.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat. What was read is stored.
    pub(super) async fn catch_up(&self, crypto: &Crypto, user: &UserId) -> Result<Vec<String>, Failure> {
        let machine = self.machine(crypto, user).await?;
        let mut sessions = Vec::new();
        let mut digests = Vec::new();
        for _ in 0..PAGES {
            let since = machine.olm.store().next_batch_token().await.map_err(broken)?;
            let (messages, keys) = self
                .read_queue(user, machine.device().as_str(), since.as_deref())
                .await?;
            let count = messages.events.len();
            digests.extend(messages.events.iter().map(|event| digest(event.json())));
            let changes = Changes {
                to_device: messages.events,
                devices: keys.device_lists,
                one_time_keys: keys.device_one_time_keys_count,
                fallback_keys: keys.device_unused_fallback_key_types,
                place: messages.next_batch,
            };
            sessions.extend(self.receive(crypto, user, changes).await?);
            if count < PAGE {
                break;
            }
        }
        if !digests.is_empty() {
            tracing::debug!(
                count = digests.len(),
                "messages between devices were read from their queue"
            );
        }
        crypto.ledger.read(user.as_str(), digests).await?;
        Ok(sessions)
    }

    async fn read_queue(
        &self,
        user: &UserId,
        device: &str,
        since: Option<&str>,
    ) -> Result<(ToDevice, Keys), Failure> {
        let mut query = vec![
            ("user_id", user.as_str()),
            ("device_id", device),
            ("timeout", "0"),
        ];
        // A place that `/sync` gave means nothing to the other, and the other way round.
        let plain_since = since.and_then(|since| since.strip_prefix("sync:"));
        if plain_since.is_none() {
            let body = json!({
                "conn_id": "swingbridge",
                "lists": {},
                "extensions": {
                    "to_device": { "enabled": true, "limit": PAGE, "since": since },
                    "e2ee": { "enabled": true },
                },
            });
            match self.slow.post_json(SLIDING, &query, &without_nulls(body)).await {
                Ok(answer) => {
                    let answer: Answer = serde_json::from_value(answer).map_err(broken)?;
                    return Ok((answer.extensions.to_device, answer.extensions.e2ee));
                }
                Err(failure @ Failure::Away { .. }) => return Err(failure),
                Err(failure) if since.is_some() => return Err(failure),
                Err(_) => {}
            }
        }
        query.extend([("filter", NO_ROOMS), ("set_presence", "offline")]);
        query.extend(plain_since.map(|since| ("since", since)));
        let answer: Plain =
            serde_json::from_value(self.slow.get_json(PLAIN, &query).await?).map_err(broken)?;
        let mut messages = answer.to_device;
        messages.next_batch = answer.next_batch.map(|place| format!("sync:{place}"));
        Ok((messages, answer.keys))
    }
}

/// `"since": null` is no place.
fn without_nulls(mut body: Value) -> Value {
    if let Some(to_device) = body
        .pointer_mut("/extensions/to_device")
        .and_then(Value::as_object_mut)
    {
        to_device.retain(|_, value| !value.is_null());
    }
    body
}
