//! One of our users as a device: its keys, what it sends to others, what others send to it.
//!
//! A machine is an [`OlmMachine`] with its store. The machine says what is to be requested of the homeserver; [`Machine::pump`] does
//! it. Only one at a time may ask for sessions and share keys, so sending takes turns; receiving does not wait for it.

use crate::api::{Api, As};
use crate::failure::Failure;
use crate::people::People;
use matrix_sdk_common::deserialized_responses::ProcessedToDeviceEvent;
use matrix_sdk_crypto::store::types::RoomKeyInfo;
use matrix_sdk_crypto::types::requests::{
    AnyIncomingResponse, AnyOutgoingRequest, OutgoingRequest, ToDeviceRequest,
};
use matrix_sdk_crypto::vodozemac::olm::Account;
use matrix_sdk_crypto::{
    DecryptionSettings, EncryptionSettings, EncryptionSyncChanges, OlmMachine, TrustRequirement,
};
use matrix_sdk_sqlite::{SqliteCryptoStore, SqliteStoreConfig};
use ruma::api::client::device::{delete_device, get_devices};
use ruma::api::client::keys::{claim_keys, get_keys, upload_signing_keys};
use ruma::api::client::message::send_message_event;
use ruma::api::client::to_device::send_event_to_device;
use ruma::events::AnyMessageLikeEventContent;
use ruma::serde::Raw;
use ruma::{DeviceId, OwnedDeviceId, OwnedRoomId, OwnedUserId, RoomId, TransactionId, UserId};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::path::PathBuf;
use tokio::sync::Mutex;

/// Devices that can encrypt are called this and a part of their key.
pub(crate) const PREFIX: &str = "SWINGBRIDGE_";
/// Set in a machine's own store once the homeserver has all its public keys.
const READY: &str = "dev.swingbridge.ready";
/// A machine that always has more to ask for is left for the next turn.
const ROUNDS: usize = 8;

pub(crate) struct Machine {
    pub olm: OlmMachine,
    device: OwnedDeviceId,
    /// Held while it sends. For whom each room's key was made, as far as was asked for since the machine was opened.
    sending: Mutex<HashMap<OwnedRoomId, [u8; 32]>>,
    pub receiving: Mutex<()>,
}

/// What came to a device besides room events.
#[derive(Default)]
pub(crate) struct Changes {
    pub to_device: Vec<Raw<ruma::events::AnyToDeviceEvent>>,
    pub devices: ruma::api::client::sync::sync_events::DeviceLists,
    pub one_time_keys: BTreeMap<ruma::OneTimeKeyAlgorithm, ruma::UInt>,
    pub fallback_keys: Option<Vec<ruma::OneTimeKeyAlgorithm>>,
    /// The place in the device's own queue, when it was read.
    pub place: Option<String>,
}

/// Whose word is taken for what. Who wrote an event is looked at when it is open, so that the cause can be told.
pub(super) fn trust() -> DecryptionSettings {
    DecryptionSettings {
        sender_device_trust_requirement: TrustRequirement::Untrusted,
    }
}

/// A store or the library failed: it is tried again.
pub(super) fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::away(format!("the keys cannot be worked with now: {error}"))
}

impl Machine {
    /// Opens the machine of `user` in `folder`, or makes it: device, keys, cross-signing.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat. `Refused`: the homeserver gives our users no such devices.
    pub async fn open(
        api: &Api,
        people: &People,
        folder: PathBuf,
        key: &[u8; 32],
        user: &UserId,
    ) -> Result<Self, Failure> {
        let config = SqliteStoreConfig::with_low_memory_config(folder)
            .key(Some(key))
            .pool_max_size(2);
        let store = SqliteCryptoStore::open_with_config(&config)
            .await
            .map_err(broken)?;
        let known = matrix_sdk_crypto::store::CryptoStore::load_account(&store)
            .await
            .map_err(broken)?;
        let (device, account) = match &known {
            Some(account) => (account.device_id().to_owned(), None),
            None => {
                // Named after its key: a store that was lost comes back as another device, never as the same with other keys,
                // which clients would take for an attack.
                let account = Account::new();
                let mark = data_encoding::BASE32_NOPAD.encode(account.ed25519_key().as_bytes());
                (format!("{PREFIX}{}", &mark[..10]).into(), Some(account))
            }
        };
        let olm = OlmMachine::with_store(user, &device, store, account)
            .await
            .map_err(broken)?;
        // Nobody here asks its other devices: it has none.
        let machine = Self {
            olm,
            device,
            sending: Mutex::default(),
            receiving: Mutex::new(()),
        };
        if machine
            .olm
            .store()
            .get_custom_value(READY)
            .await
            .map_err(broken)?
            .is_none()
        {
            machine.set_up(api, people).await?;
        } else {
            // Changes of devices that came while the machine was closed are lost with the transactions that held them.
            machine
                .olm
                .mark_all_tracked_users_as_dirty()
                .await
                .map_err(broken)?;
        }
        Ok(machine)
    }

    fn who(&self) -> As<'_> {
        As {
            user: self.olm.user_id(),
            device: Some(&self.device),
        }
    }

    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    async fn set_up(&self, api: &Api, people: &People) -> Result<(), Failure> {
        let user = self.olm.user_id();
        people
            .make(api, user, &self.device, "Swingbridge (encryption)")
            .await?;
        let requests = self.olm.bootstrap_cross_signing(false).await.map_err(broken)?;
        if let Some(request) = &requests.upload_keys_req {
            self.request(api, request).await?;
        }
        let keys = requests.upload_signing_keys_req;
        let mut request = upload_signing_keys::v3::Request::new();
        request.master_key = keys.master_key.map(|key| key.to_raw());
        request.self_signing_key = keys.self_signing_key.map(|key| key.to_raw());
        request.user_signing_key = keys.user_signing_key.map(|key| key.to_raw());
        match api.call(Some(self.who()), request).await {
            Ok(answer) => {
                let answer = AnyIncomingResponse::SigningKeysUpload(&answer);
                let mark = self.olm.mark_request_as_sent(&TransactionId::new(), answer).await;
                mark.map_err(broken)?;
                api.call(Some(self.who()), requests.upload_signatures_req).await?;
            }
            Err(failure @ Failure::Refused { .. }) => tracing::warn!(
                %failure,
                "the homeserver takes no cross-signing keys of our users: clients will warn of their devices"
            ),
            Err(failure) => return Err(failure),
        }
        self.drop_older(api).await?;
        let set = self.olm.store().set_custom_value(READY, vec![1]).await;
        set.map_err(broken)?;
        tracing::debug!(device = %self.device, "one of our users has a device with keys");
        Ok(())
    }

    /// Takes away devices whose store was lost: nobody should encrypt for them any more.
    async fn drop_older(&self, api: &Api) -> Result<(), Failure> {
        let user = As::from(self.olm.user_id());
        let devices = match api.call(Some(user), get_devices::v3::Request::new()).await {
            Ok(answer) => answer.devices,
            Err(Failure::Refused { .. }) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        for device in devices {
            if device.device_id.as_str().starts_with(PREFIX) && device.device_id != self.device {
                let request = delete_device::v3::Request::new(device.device_id);
                match api.call(Some(user), request).await {
                    Err(failure @ Failure::Away { .. }) => return Err(failure),
                    _ => tracing::warn!("keys of one of our users were lost; it has a new device"),
                }
            }
        }
        Ok(())
    }

    /// Does what the machine wants done: uploads, questions for devices, answers to others.
    ///
    /// # Errors
    /// [`Failure`]; what is left is wanted again.
    pub async fn pump(&self, api: &Api) -> Result<(), Failure> {
        let _turn = self.sending.lock().await;
        self.pump_in_turn(api).await
    }

    async fn pump_in_turn(&self, api: &Api) -> Result<(), Failure> {
        for _ in 0..ROUNDS {
            let requests = self.olm.outgoing_requests().await.map_err(broken)?;
            if requests.is_empty() {
                break;
            }
            let mut done = false;
            for request in &requests {
                match self.request(api, request).await {
                    Ok(()) => done = true,
                    Err(failure @ Failure::Refused { .. }) => {
                        tracing::warn!(%failure, "the homeserver refuses a request about keys")
                    }
                    Err(failure) => return Err(failure),
                }
            }
            if !done {
                break;
            }
        }
        // Whom we owe an answer, and whose session broke.
        self.claim(api, &[]).await
    }

    async fn request(&self, api: &Api, request: &OutgoingRequest) -> Result<(), Failure> {
        let (who, id) = (Some(self.who()), request.request_id());
        let marked = match request.request() {
            AnyOutgoingRequest::KeysUpload(request) => {
                let answer = api.call(who, request.clone()).await?;
                self.olm.mark_request_as_sent(id, &answer).await
            }
            AnyOutgoingRequest::KeysQuery(request) => {
                let mut query = get_keys::v3::Request::new();
                query.device_keys.clone_from(&request.device_keys);
                query.timeout = request.timeout;
                let answer = api.call(who, query).await?;
                self.olm.mark_request_as_sent(id, &answer).await
            }
            AnyOutgoingRequest::KeysClaim(request) => {
                let answer = api.call(who, request.clone()).await?;
                self.olm.mark_request_as_sent(id, &answer).await
            }
            AnyOutgoingRequest::ToDeviceRequest(request) => return self.to_device(api, request).await,
            AnyOutgoingRequest::SignatureUpload(request) => {
                let answer = api.call(who, request.clone()).await?;
                self.olm.mark_request_as_sent(id, &answer).await
            }
            AnyOutgoingRequest::RoomMessage(request) => {
                let content = Raw::new(&*request.content).map_err(|_| Failure::invalid("content"))?;
                let send = send_message_event::v3::Request::new_raw(
                    request.room_id.clone(),
                    request.txn_id.clone(),
                    "m.room.message".into(),
                    content.cast_unchecked(),
                );
                let answer = api.call(who, send).await?;
                self.olm.mark_request_as_sent(id, &answer).await
            }
        };
        marked.map_err(broken)
    }

    async fn to_device(&self, api: &Api, request: &ToDeviceRequest) -> Result<(), Failure> {
        let send = send_event_to_device::v3::Request::new_raw(
            request.event_type.clone(),
            request.txn_id.clone(),
            request.messages.clone(),
        );
        let answer = api.call(Some(self.who()), send).await?;
        let marked = self.olm.mark_request_as_sent(&request.txn_id, &answer).await;
        marked.map_err(broken)
    }

    async fn claim(&self, api: &Api, users: &[OwnedUserId]) -> Result<(), Failure> {
        let missing = self
            .olm
            .get_missing_sessions(users.iter().map(Deref::deref))
            .await;
        if let Some((id, request)) = missing.map_err(broken)? {
            let mut claim = claim_keys::v3::Request::new(request.one_time_keys);
            claim.timeout = request.timeout;
            let answer = api.call(Some(self.who()), claim).await?;
            self.olm
                .mark_request_as_sent(&id, &answer)
                .await
                .map_err(broken)?;
        }
        Ok(())
    }

    /// Follows the devices of these users from now on, and asks for those that are not known.
    pub async fn follow(&self, api: &Api, users: &[OwnedUserId]) -> Result<(), Failure> {
        let _turn = self.sending.lock().await;
        let followed = self
            .olm
            .update_tracked_users(users.iter().map(Deref::deref))
            .await;
        followed.map_err(broken)?;
        self.pump_in_turn(api).await
    }

    /// Puts the room's key away when somebody came or went since it was made, also while the machine was closed.
    async fn renew(
        &self,
        made_for: &mut HashMap<OwnedRoomId, [u8; 32]>,
        room: &RoomId,
        readers: &[OwnedUserId],
    ) -> Result<(), Failure> {
        let mut sorted: Vec<&str> = readers.iter().map(|reader| reader.as_str()).collect();
        sorted.sort_unstable();
        let now: [u8; 32] = Sha256::digest(sorted.join("\n")).into();
        if made_for.get(room) == Some(&now) {
            return Ok(());
        }
        let name = format!("dev.swingbridge.readers {room}");
        let store = self.olm.store();
        let before = match made_for.get(room) {
            Some(known) => Some(known.to_vec()),
            None => store.get_custom_value(&name).await.map_err(broken)?,
        };
        if before.as_deref() != Some(&now) {
            self.olm.discard_room_key(room).await.map_err(broken)?;
            store
                .set_custom_value(&name, now.to_vec())
                .await
                .map_err(broken)?;
        }
        made_for.insert(room.to_owned(), now);
        Ok(())
    }

    /// Encrypts for all devices of `readers`. The room's key goes to them first: a new one when others read the room than before, when it
    /// was used often enough, or when it is old.
    pub async fn encrypt(
        &self,
        api: &Api,
        room: &RoomId,
        readers: &[OwnedUserId],
        settings: EncryptionSettings,
        kind: &str,
        content: &Raw<AnyMessageLikeEventContent>,
    ) -> Result<Raw<AnyMessageLikeEventContent>, Failure> {
        let mut made_for = self.sending.lock().await;
        self.renew(&mut made_for, room, readers).await?;
        let followed = self
            .olm
            .update_tracked_users(readers.iter().map(Deref::deref))
            .await;
        followed.map_err(broken)?;
        self.pump_in_turn(api).await?;
        self.claim(api, readers).await?;
        let shares = self
            .olm
            .share_room_key(room, readers.iter().map(Deref::deref), settings)
            .await;
        for request in shares.map_err(broken)? {
            self.to_device(api, &request).await?;
        }
        let encrypted = self.olm.encrypt_room_event_raw(room, kind, content).await;
        Ok(encrypted.map_err(broken)?.content.cast_unchecked())
    }

    /// Takes in what came. When this returns, it is in the store.
    pub async fn receive(
        &self,
        changes: Changes,
    ) -> Result<(Vec<ProcessedToDeviceEvent>, Vec<RoomKeyInfo>), Failure> {
        let sync = EncryptionSyncChanges {
            to_device_events: changes.to_device,
            changed_devices: &changes.devices,
            one_time_keys_counts: &changes.one_time_keys,
            unused_fallback_keys: changes.fallback_keys.as_deref(),
            next_batch_token: changes.place,
        };
        self.olm
            .receive_sync_changes(sync, &trust())
            .await
            .map_err(broken)
    }
}
