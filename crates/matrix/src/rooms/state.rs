//! State events: read, and written only where they differ.

use super::raw;
use super::upkeep::Keeper;
use crate::failure::Failure;
use crate::homeserver::Matrix;
use ruma::api::client::state::{get_state_event_for_key, send_state_event};
use ruma::events::StateEventType;
use ruma::{RoomId as MatrixRoomId, UserId as MatrixUserId};
use serde_json::Value;

impl Keeper for Matrix {
    fn me(&self) -> &MatrixUserId {
        &self.bot
    }

    async fn want_state(
        &self,
        room: &MatrixRoomId,
        kind: &str,
        key: &str,
        wanted: impl FnOnce(Option<&Value>) -> Value + Send,
    ) -> Result<(), Failure> {
        let is = self.state(room, kind, key).await?;
        let wanted = wanted(is.as_ref());
        if wanted.is_null() || is.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.set_state(room, &self.bot, kind, key, &wanted).await
    }
}

impl Matrix {
    pub(crate) async fn set_state(
        &self,
        room: &MatrixRoomId,
        user: &MatrixUserId,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Result<(), Failure> {
        let kind = StateEventType::from(kind);
        let request =
            send_state_event::v3::Request::new_raw(room.to_owned(), kind, key.to_owned(), raw(content)?);
        self.api.call(Some(user.into()), request).await.map(drop)
    }

    /// The content of a state event, as the bot sees it.
    pub(super) async fn state(
        &self,
        room: &MatrixRoomId,
        kind: &str,
        key: &str,
    ) -> Result<Option<Value>, Failure> {
        self.state_as(room, &self.bot, kind, key).await
    }

    /// The content of a state event, as `user` sees it.
    pub(crate) async fn state_as(
        &self,
        room: &MatrixRoomId,
        user: &MatrixUserId,
        kind: &str,
        key: &str,
    ) -> Result<Option<Value>, Failure> {
        let kind = StateEventType::from(kind);
        let request = get_state_event_for_key::v3::Request::new(room.to_owned(), kind, key.to_owned());
        match self.api.call(Some(user.into()), request).await {
            Ok(answer) => Ok(serde_json::from_str(answer.event_or_content.get()).ok()),
            Err(failure) if failure.refused_as("M_NOT_FOUND") => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
