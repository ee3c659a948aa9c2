//! What goes out encrypted.

use super::{Crypto, Mode};
use crate::failure::Failure;
use crate::homeserver::Matrix;
use matrix_sdk_crypto::EncryptionSettings;
use ruma::events::AnyMessageLikeEventContent;
use ruma::serde::Raw;
use ruma::{RoomId, UserId};
use std::sync::Arc;
use swingbridge_domain::path::{Protection, Scheme};

/// The code of our own refusal to say something in the clear.
pub(crate) const PLAIN_ROOM: &str = "DEV.SWINGBRIDGE_PLAIN_ROOM";

impl Matrix {
    /// The content as `user` sends it to `room`: encrypted where the room is. `None`: in the clear.
    ///
    /// # Errors
    /// [`Failure`]. `Refused` with [`PLAIN_ROOM`] where nothing may be said in the clear, unless it is `harmless`.
    pub(crate) async fn seal(
        &self,
        room: &RoomId,
        user: &UserId,
        kind: &str,
        content: &Raw<AnyMessageLikeEventContent>,
        harmless: bool,
    ) -> Result<Option<Raw<AnyMessageLikeEventContent>>, Failure> {
        let Some((crypto, settings)) = self.sealing(room, user, harmless).await? else {
            return Ok(None);
        };
        let members = self.members_of(crypto, room, user).await?;
        let machine = self.machine(crypto, user).await?;
        let sealed = machine.encrypt(
            &self.api,
            room,
            &members.readers,
            (*settings).clone(),
            kind,
            content,
        );
        let sealed = sealed.await?;
        metrics::counter!("swingbridge_encryption_events_sealed_total").increment(1);
        Ok(Some(sealed))
    }

    /// Whether what `user` says in `room` goes out encrypted.
    ///
    /// # Errors
    /// As [`Matrix::seal`].
    pub(crate) async fn encrypts(&self, room: &RoomId, user: &UserId) -> Result<bool, Failure> {
        Ok(self.sealing(room, user, false).await?.is_some())
    }

    async fn sealing(
        &self,
        room: &RoomId,
        user: &UserId,
        harmless: bool,
    ) -> Result<Option<(&Arc<Crypto>, Arc<EncryptionSettings>)>, Failure> {
        if let Some(crypto) = self.crypto()?
            && let Some(settings) = self.encryption_for_sending(crypto, room, user).await?
        {
            return Ok(Some((crypto, settings)));
        }
        if self.config.encryption == Mode::Require && !harmless {
            return Err(Failure::Refused {
                status: 403,
                code: PLAIN_ROOM.to_owned(),
                detail: "the room is not encrypted, and this gateway says nothing in plain rooms".to_owned(),
            });
        }
        Ok(None)
    }

    /// What protects events in a room, between us and its members.
    pub(crate) async fn protection_of(&self, room: &RoomId) -> Result<Protection, Failure> {
        let Some(crypto) = self.crypto()? else {
            return Ok(Protection::None);
        };
        let found = self.encryption_of(crypto, room, &self.bot).await?;
        Ok(found.map_or(Protection::None, |_| Protection::EndToEnd(Scheme::Megolm)))
    }
}
