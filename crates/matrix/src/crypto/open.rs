//! Events that come encrypted: opened, kept until they can be, or told as unreadable with the cause.

use super::ledger::Waiting;
use super::machine::{broken, trust};
use super::{Crypto, Mode};
use crate::event;
use crate::failure::Failure;
use crate::homeserver::Matrix;
use matrix_sdk_common::deserialized_responses::{VerificationLevel, VerificationState};
use matrix_sdk_crypto::MegolmError;
use matrix_sdk_crypto::types::events::room::encrypted::EncryptedEvent;
use matrix_sdk_crypto::vodozemac::megolm::{DecryptionError, MegolmMessage};
use ruma::serde::Raw;
use ruma::{OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::inbox::{Arrival, Dedupe, RoomEvent, RoomEventKind, Unreadable, What};
use swingbridge_domain::message::{Body, Disposition, Message};
use swingbridge_domain::path::{Protection, Scheme};

/// The scope under which word of unreadable events is told apart: the event itself is still to come under its own.
const TOLD_SCOPE: &str = "unreadable event";
/// A key comes within this long after its event, usually.
const FIRST_TRY: Duration = Duration::from_millis(500);

/// How long an event is held up for its sender's devices. Whose homeserver takes longer is asked again beside.
const MEETING: Duration = Duration::from_secs(2);

/// Why an event did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shut {
    pub cause: Unreadable,
    /// It may open later.
    pub waits: bool,
}

/// The parts of an encrypted event that say which key opens it.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event_id: std::borrow::Cow<'a, str>,
    content: Content<'a>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    session_id: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    ciphertext: std::borrow::Cow<'a, str>,
}

impl Matrix {
    /// Puts events that came encrypted in the place of what they say. Those that wait for their key are kept, and word of them comes
    /// later; the rest is left as it is. When this returns, what waits is committed.
    ///
    /// # Errors
    /// [`Failure`]; nothing was handed in, and the caller does not acknowledge.
    pub(crate) async fn unseal(&self, events: Vec<(Arrival, &RawValue)>) -> Result<Vec<Arrival>, Failure> {
        let sealed = |arrival: &Arrival| matches!(&arrival.what, What::Room(event) if matches!(event.what, RoomEventKind::Undecryptable { .. }));
        let require = self.config.encryption == Mode::Require;
        if !require && !events.iter().any(|(arrival, _)| sealed(arrival)) {
            return Ok(events.into_iter().map(|(arrival, _)| arrival).collect());
        }
        let crypto = self.crypto()?;
        let mut arrivals = Vec::with_capacity(events.len());
        let mut waiting = Vec::new();
        for (arrival, raw) in events {
            let What::Room(event) = &arrival.what else {
                continue;
            };
            if !sealed(&arrival) {
                arrivals.push(match require && is_content(event) {
                    true => unreadable(event, Unreadable::NotEncrypted),
                    false => arrival,
                });
                continue;
            }
            let Some(crypto) = crypto else {
                arrivals.push(unreadable(event, Unreadable::NoEncryption));
                continue;
            };
            let mut opened = self.open_event(crypto, raw, event).await?;
            if let Err(shut) = &opened
                && shut.cause == Unreadable::UnknownDevice
                && self.meet(crypto, &event.sender).await
            {
                opened = self.open_event(crypto, raw, event).await?;
            }
            match opened {
                Ok(opened) => arrivals.extend(opened),
                Err(shut) => {
                    metrics::counter!("swingbridge_encryption_events_shut_total").increment(1);
                    if shut.waits {
                        waiting.push(self.waiting(raw, event));
                    } else {
                        arrivals.push(unreadable(event, shut.cause));
                    }
                }
            }
        }
        if !waiting.is_empty()
            && let Some(crypto) = crypto
        {
            let due = self.clock.now() + FIRST_TRY;
            crypto
                .ledger
                .wait(waiting.into_iter().map(|event| (event, due)).collect())
                .await?;
            crypto.wake.notify_one();
        }
        Ok(arrivals)
    }

    /// Asks for the devices of somebody whom the bot has not met. `false` when it has, or when it takes too long.
    async fn meet(&self, crypto: &Crypto, sender: &swingbridge_domain::id::UserId) -> bool {
        let meeting = async {
            let user = OwnedUserId::try_from(sender.as_str()).map_err(broken)?;
            let machine = self.machine(crypto, &self.bot).await?;
            if machine.olm.tracked_users().await.map_err(broken)?.contains(&user) {
                return Ok(false);
            }
            machine.follow(&self.api, &[user]).await.map(|()| true)
        };
        let met: Result<Result<bool, Failure>, _> = tokio::time::timeout(MEETING, meeting).await;
        matches!(met, Ok(Ok(true)))
    }

    fn waiting(&self, raw: &RawValue, event: &RoomEvent) -> Waiting {
        let envelope: Option<Envelope<'_>> = serde_json::from_str(raw.get()).ok();
        Waiting {
            event: event.event.0.clone(),
            room: event.room.0.clone(),
            session: envelope
                .map(|envelope| envelope.content.session_id.into_owned())
                .unwrap_or_default(),
            body: raw.get().to_owned(),
            since: self.clock.now(),
            tries: 0,
            told: false,
        }
    }

    /// Opens one event. `Ok(Ok(None))`: it says nothing to the bridge.
    pub(super) async fn open_event(
        &self,
        crypto: &Crypto,
        raw: &RawValue,
        event: &RoomEvent,
    ) -> Result<Result<Option<Arrival>, Shut>, Failure> {
        let Ok(room) = <&RoomId>::try_from(event.room.as_str()) else {
            return Ok(Err(Shut::finally()));
        };
        let clear = match self.clear_text(crypto, raw, room).await? {
            Ok(clear) => clear,
            Err(shut) => return Ok(Err(shut)),
        };
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(raw.get()) else {
            return Ok(Err(Shut::finally()));
        };
        let place =
            MegolmMessage::from_base64(&envelope.content.ciphertext).map(|message| message.message_index());
        let now = self.clock.now();
        if let Ok(place) = place
            && !crypto
                .ledger
                .first(&envelope.content.session_id, place, &envelope.event_id, now)
                .await?
        {
            tracing::warn!("an encrypted event came again as another one; it is passed over");
            return Ok(Ok(None));
        }
        let read = event::read(&clear, Some(room.as_str()), &self.names)
            .ok()
            .flatten();
        // Only what somebody said may come encrypted: a change of members is the homeserver's to tell.
        Ok(Ok(read.and_then(|mut arrival| match &mut arrival.what {
            What::Room(event) if matches!(event.what, RoomEventKind::Message(_)) => {
                event.protection = Protection::EndToEnd(Scheme::Megolm);
                Some(arrival)
            }
            _ => None,
        })))
    }

    /// What an encrypted event says, as an event. The bot opens it; what it has no key for, another of our users in the room may.
    pub(super) async fn clear_text(
        &self,
        crypto: &Crypto,
        raw: &RawValue,
        room: &RoomId,
    ) -> Result<Result<Box<RawValue>, Shut>, Failure> {
        let sealed: Raw<EncryptedEvent> = Raw::from_json(raw.to_owned());
        let Ok(Some(sender)) = sealed.get_field::<OwnedUserId>("sender") else {
            return Ok(Err(Shut::finally()));
        };
        // What we said ourselves, whoever said it has the key of.
        let first = if self.names.is_ours(sender.as_str()) {
            &*sender
        } else {
            &*self.bot
        };
        let mut shut = match self.open_as(crypto, first, &sealed, room).await {
            Ok(Err(shut)) if shut.cause == Unreadable::MissingKey || shut.cause == Unreadable::Withheld => {
                shut
            }
            // The homeserver is away, so that the machine cannot be made now.
            Err(failure @ Failure::Away { .. }) if !crypto.machines.has(first) => {
                tracing::debug!(%failure, "no machine to open an event with yet");
                Shut::missing()
            }
            other => return other,
        };
        let others = crypto
            .rooms
            .known_members(room.as_str())
            .map(|members| members.ours);
        for user in others.iter().flat_map(|ours| ours.iter()) {
            if *user != first && crypto.machines.has(user) {
                match self.open_as(crypto, user, &sealed, room).await? {
                    Err(Shut {
                        cause: Unreadable::MissingKey,
                        ..
                    }) => {}
                    Err(other) => shut = other,
                    opened => return Ok(opened),
                }
            }
        }
        Ok(Err(shut))
    }

    /// An event as it reads, encrypted or not; `None` when it can not be read.
    pub(crate) async fn in_the_clear(&self, raw: &RawValue, room: &RoomId) -> Result<Option<Value>, Failure> {
        let read = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
        let event = read(raw);
        let encrypted = |event: &Value| event.get("type").and_then(Value::as_str) == Some("m.room.encrypted");
        match (self.crypto()?, event) {
            (Some(crypto), Some(event)) if encrypted(&event) => {
                let clear = self.clear_text(crypto, raw, room).await?;
                Ok(clear.ok().and_then(|clear| read(&clear)))
            }
            (_, event) => Ok(event),
        }
    }

    async fn open_as(
        &self,
        crypto: &Crypto,
        user: &UserId,
        sealed: &Raw<EncryptedEvent>,
        room: &RoomId,
    ) -> Result<Result<Box<RawValue>, Shut>, Failure> {
        let machine = self.machine(crypto, user).await?;
        let opened = match machine.olm.decrypt_room_event(sealed, room, &trust()).await {
            Ok(opened) => opened,
            Err(MegolmError::Store(error)) => return Err(broken(error)),
            Err(error) => return Ok(Err(shut(&error))),
        };
        Ok(match &opened.encryption_info.verification_state {
            VerificationState::Unverified(VerificationLevel::MismatchedSender) => Err(Shut::finally()),
            // The key came, and nobody knows from which device: its list may still be on the way.
            VerificationState::Unverified(VerificationLevel::None(_)) => Err(Shut {
                cause: Unreadable::UnknownDevice,
                waits: true,
            }),
            // A device that its owner has not signed is still the owner's, as far as the homeserver may be believed.
            _ => Ok(opened.event.into_json()),
        })
    }
}

impl Shut {
    fn finally() -> Self {
        Self {
            cause: Unreadable::Malformed,
            waits: false,
        }
    }

    pub fn missing() -> Self {
        Self {
            cause: Unreadable::MissingKey,
            waits: true,
        }
    }
}

fn shut(error: &MegolmError) -> Shut {
    let (cause, waits) = match error {
        MegolmError::MissingRoomKey(None)
        | MegolmError::Decryption(DecryptionError::UnknownMessageIndex(..)) => (Unreadable::MissingKey, true),
        MegolmError::MissingRoomKey(Some(_)) => (Unreadable::Withheld, true),
        MegolmError::MismatchedIdentityKeys(_) | MegolmError::SenderIdentityNotTrusted(_) => {
            (Unreadable::UnknownDevice, true)
        }
        _ => (Unreadable::Malformed, false),
    };
    Shut { cause, waits }
}

/// Word that an event cannot be read.
pub(crate) fn unreadable(event: &RoomEvent, cause: Unreadable) -> Arrival {
    let event = RoomEvent {
        what: RoomEventKind::Undecryptable { cause },
        ..event.clone()
    };
    Arrival {
        dedupe: Dedupe::Id {
            scope: TOLD_SCOPE.to_owned(),
            id: event.event.0.clone(),
        },
        what: What::Room(event),
    }
}

/// Something said, and not a reaction or a redaction, which clients never encrypt.
fn is_content(event: &RoomEvent) -> bool {
    let RoomEventKind::Message(Message { parts, .. }) = &event.what else {
        return false;
    };
    parts
        .iter()
        .any(|part| part.disposition != Disposition::Reaction && !matches!(part.body, Body::Null))
}

/// When an event that did not open is tried again, after so many tries.
pub(crate) fn pause(tries: u32) -> Duration {
    const PAUSES: [u64; 8] = [1, 4, 10, 30, 60, 300, 900, 3600];
    let last = PAUSES.len() - 1;
    Duration::from_secs(PAUSES[usize::try_from(tries).unwrap_or(last).min(last)])
}

/// The moment after `pause`.
pub(super) fn after(now: Timestamp, tries: u32) -> Timestamp {
    now + pause(tries)
}
