//! Our users on the homeserver: the bot and the ghosts, with their names and devices.
//!
//! Each is made when it is first needed. What the homeserver already has is asked for first, so that after a restart one
//! request for each is enough.

use crate::api::{Api, As};
use crate::config::localpart;
use crate::failure::Failure;
use crate::media::Seen;
use ruma::api::client::account::register;
use ruma::api::client::device::update_device;
use ruma::api::client::profile::{get_profile_field, set_profile_field};
use ruma::api::client::session::login;
use ruma::api::client::uiaa::{MatrixUserIdentifier, UserIdentifier};
use ruma::profile::{ProfileFieldName, ProfileFieldValue};
use ruma::{DeviceId, OwnedDeviceId, UserId};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Each of our users has this one device. Sends made with it are remembered by the homeserver across its restarts, so
/// that the same transaction is the same event.
const DEVICE: &str = "SWINGBRIDGE";

#[derive(Debug)]
pub(crate) struct People {
    /// Who is known to be there.
    known: Mutex<HashMap<String, Known>>,
    device: OwnedDeviceId,
    /// The homeserver knows no way to make one.
    deviceless: AtomicBool,
}

/// What the homeserver shows of one of ours.
#[derive(Debug, Default)]
struct Known {
    /// A hash of the name.
    name: u64,
    picture: Option<Seen>,
}

impl People {
    pub fn new() -> Self {
        Self {
            known: Mutex::new(HashMap::new()),
            device: DEVICE.into(),
            deviceless: AtomicBool::new(false),
        }
    }

    /// The device to send with.
    pub fn device(&self) -> Option<&DeviceId> {
        (!self.deviceless.load(Ordering::Relaxed)).then_some(&*self.device)
    }

    /// Makes sure that `user` is registered, has its device and shows `name`. Idempotent.
    pub async fn ensure(&self, api: &Api, user: &UserId, name: &str) -> Result<(), Failure> {
        let mark = mark(name);
        let known = |known: &Known| known.name == mark;
        if self.lock().get(user.as_str()).is_some_and(known) {
            return Ok(());
        }
        let shown = self.shown(api, user, ProfileFieldName::DisplayName).await?;
        let named = matches!(&shown, Some(ProfileFieldValue::DisplayName(shown)) if shown == name);
        if !named {
            if shown.is_none() {
                self.register(api, user).await?;
                self.make_device(api, user).await?;
            }
            self.show(api, user, ProfileFieldValue::DisplayName(name.to_owned()))
                .await?;
        }
        self.lock().entry(user.as_str().to_owned()).or_default().name = mark;
        Ok(())
    }

    /// Whether `user` was given this picture, or could not be.
    pub fn has_picture(&self, user: &UserId, picture: &Seen) -> bool {
        let known = |known: &Known| known.picture.as_ref() == Some(picture);
        self.lock().get(user.as_str()).is_some_and(known)
    }

    /// Notes that.
    pub fn note_picture(&self, user: &UserId, picture: Seen) {
        if let Some(known) = self.lock().get_mut(user.as_str()) {
            known.picture = Some(picture);
        }
    }

    /// Gives `user` the picture at `uri`, unless it has it: each change is an event in every room.
    pub async fn picture(&self, api: &Api, user: &UserId, uri: &str) -> Result<(), Failure> {
        let shown = self.shown(api, user, ProfileFieldName::AvatarUrl).await?;
        if matches!(&shown, Some(ProfileFieldValue::AvatarUrl(shown)) if shown.as_str() == uri) {
            return Ok(());
        }
        self.show(api, user, ProfileFieldValue::AvatarUrl(uri.into()))
            .await
    }

    async fn shown(
        &self,
        api: &Api,
        user: &UserId,
        field: ProfileFieldName,
    ) -> Result<Option<ProfileFieldValue>, Failure> {
        let request = get_profile_field::v3::Request::new(user.to_owned(), field);
        match api.call(Some(user.into()), request).await {
            Ok(answer) => Ok(answer.value),
            // Unknown user, nothing there yet, or a homeserver that keeps profiles to itself.
            Err(Failure::Refused { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn show(&self, api: &Api, user: &UserId, value: ProfileFieldValue) -> Result<(), Failure> {
        let request = set_profile_field::v3::Request::new(user.to_owned(), value);
        api.call(Some(user.into()), request).await.map(drop)
    }

    /// Forgets that `user` was seen; the next [`People::ensure`] asks the homeserver.
    pub fn forget(&self, user: &UserId) {
        self.lock().remove(user.as_str());
    }

    /// `POST /register` as an application service. Who is there already is left alone.
    pub async fn register(&self, api: &Api, user: &UserId) -> Result<(), Failure> {
        let mut request = register::v3::Request::new();
        request.login_type = Some(register::LoginType::ApplicationService);
        request.username = Some(localpart(user.as_str()).to_owned());
        // Under next-generation auth there is no other way, and nobody needs the token.
        request.inhibit_login = true;
        match api.call(None, request).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.refused_as("M_USER_IN_USE") => Ok(()),
            Err(failure) if failure.refused_as("M_EXCLUSIVE") => {
                tracing::error!(
                    "the homeserver does not let us make our own users: the registration that it has read does not cover the \
                     prefix of the configuration. Write registration.yaml anew, give it to the homeserver and restart that"
                );
                Err(failure)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Makes the user's device: `PUT /devices/{id}` (MSC4190), or a login on homeservers without it.
    pub async fn make_device(&self, api: &Api, user: &UserId) -> Result<(), Failure> {
        let Some(device) = self.device() else {
            return Ok(());
        };
        match self.make(api, user, device, "Swingbridge").await {
            Ok(()) => Ok(()),
            Err(failure @ Failure::Refused { .. }) => {
                if !self.deviceless.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        %failure,
                        "the homeserver gives our users no devices: messages repeated after its restart may appear twice"
                    );
                }
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Makes a device of `user`.
    pub async fn make(&self, api: &Api, user: &UserId, device: &DeviceId, name: &str) -> Result<(), Failure> {
        let mut request = update_device::v3::Request::new(device.to_owned());
        request.display_name = Some(name.to_owned());
        match api.call(Some(user.into()), request).await {
            Ok(_) => return Ok(()),
            Err(Failure::Refused { .. }) => {}
            Err(failure) => return Err(failure),
        }
        let user = UserIdentifier::Matrix(MatrixUserIdentifier::new(localpart(user.as_str()).to_owned()));
        let login = login::v3::LoginInfo::ApplicationService(login::v3::ApplicationService::new(user));
        let mut request = login::v3::Request::new(login);
        request.device_id = Some(device.to_owned());
        request.initial_device_display_name = Some(name.to_owned());
        api.call(None, request).await.map(drop)
    }

    /// Who to send as.
    pub fn sender<'a>(&'a self, user: &'a UserId) -> As<'a> {
        As {
            user,
            device: self.device(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn mark(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
