//! Rooms, messages, media and the account.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::{Client, ClientError, text, v3};

impl Client {
    /// Makes a room with the body of `/createRoom` and gives back its id.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer. Repeating makes a second room.
    pub async fn create_room(&self, request: Value) -> Result<String, ClientError> {
        text(&self.post(&v3(&["createRoom"]), request).await?, "room_id")
    }

    /// Makes a direct chat with one other user, invited.
    ///
    /// # Errors
    /// As [`Self::create_room`].
    pub async fn create_direct(&self, other: &str) -> Result<String, ClientError> {
        self.create_room(json!({ "is_direct": true, "preset": "trusted_private_chat", "invite": [other] }))
            .await
    }

    /// Joins a room.
    ///
    /// # Errors
    /// When we are not invited; safe to repeat.
    pub async fn join(&self, room: &str) -> Result<(), ClientError> {
        self.post(&v3(&["rooms", room, "join"]), json!({}))
            .await
            .map(drop)
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer; safe to repeat.
    pub async fn leave(&self, room: &str) -> Result<(), ClientError> {
        self.post(&v3(&["rooms", room, "leave"]), json!({}))
            .await
            .map(drop)
    }

    /// Invites a user.
    ///
    /// # Errors
    /// When we may not, or they are there already.
    pub async fn invite(&self, room: &str, user: &str) -> Result<(), ClientError> {
        self.post(&v3(&["rooms", room, "invite"]), json!({ "user_id": user }))
            .await
            .map(drop)
    }

    /// The users who are in a room now.
    ///
    /// # Errors
    /// When we are not in it.
    pub async fn members(&self, room: &str) -> Result<Vec<String>, ClientError> {
        let answer = self.get(&v3(&["rooms", room, "joined_members"]), &[]).await?;
        let joined = answer["joined"]
            .as_object()
            .ok_or_else(|| ClientError::Lacks("joined".into()))?;
        Ok(joined.keys().cloned().collect())
    }

    /// The rooms that we are in.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer.
    pub async fn rooms(&self) -> Result<Vec<String>, ClientError> {
        let answer = self.get(&v3(&["joined_rooms"]), &[]).await?;
        let rooms = answer["joined_rooms"]
            .as_array()
            .ok_or_else(|| ClientError::Lacks("joined_rooms".into()))?;
        Ok(rooms
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect())
    }

    /// The content of a state event, or `None` when there is no such one.
    ///
    /// # Errors
    /// When we may not see it.
    pub async fn state(&self, room: &str, kind: &str, key: &str) -> Result<Option<Value>, ClientError> {
        match self.get(&v3(&["rooms", room, "state", kind, key]), &[]).await {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.code() == Some("M_NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All state events of a room.
    ///
    /// # Errors
    /// When we are not in it.
    pub async fn all_state(&self, room: &str) -> Result<Vec<Value>, ClientError> {
        match self.get(&v3(&["rooms", room, "state"]), &[]).await? {
            Value::Array(events) => Ok(events),
            _ => Err(ClientError::Lacks("list of state".into())),
        }
    }

    /// Sets a state event and gives back its id.
    ///
    /// # Errors
    /// When we may not; safe to repeat.
    pub async fn set_state(
        &self,
        room: &str,
        kind: &str,
        key: &str,
        content: Value,
    ) -> Result<String, ClientError> {
        text(
            &self
                .put(&v3(&["rooms", room, "state", kind, key]), content)
                .await?,
            "event_id",
        )
    }

    /// Sends a text and gives back the event's id.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer. Repeating sends it twice.
    pub async fn send_text(&self, room: &str, body: &str) -> Result<String, ClientError> {
        self.send(
            room,
            "m.room.message",
            json!({ "msgtype": "m.text", "body": body }),
        )
        .await
    }

    /// Sends any event and gives back its id.
    ///
    /// # Errors
    /// As [`Self::send_text`].
    pub async fn send(&self, room: &str, kind: &str, content: Value) -> Result<String, ClientError> {
        self.send_as(room, kind, &self.transaction(), content).await
    }

    /// Sends any event under a transaction id of the caller's, and gives back its id.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer; safe to repeat with the same transaction.
    pub async fn send_as(
        &self,
        room: &str,
        kind: &str,
        transaction: &str,
        content: Value,
    ) -> Result<String, ClientError> {
        text(
            &self
                .put(&v3(&["rooms", room, "send", kind, transaction]), content)
                .await?,
            "event_id",
        )
    }

    /// Redacts an event and gives back the redaction's id.
    ///
    /// # Errors
    /// When we may not.
    pub async fn redact(&self, room: &str, event: &str) -> Result<String, ClientError> {
        text(
            &self
                .put(
                    &v3(&["rooms", room, "redact", event, &self.transaction()]),
                    json!({}),
                )
                .await?,
            "event_id",
        )
    }

    /// Tells that we read up to an event.
    ///
    /// # Errors
    /// When we are not in the room; safe to repeat.
    pub async fn read(&self, room: &str, event: &str) -> Result<(), ClientError> {
        self.post(&v3(&["rooms", room, "receipt", "m.read", event]), json!({}))
            .await
            .map(drop)
    }

    /// One event.
    ///
    /// # Errors
    /// When we may not see it.
    pub async fn event(&self, room: &str, event: &str) -> Result<Value, ClientError> {
        self.get(&v3(&["rooms", room, "event", event]), &[]).await
    }

    /// All events of a room's timeline that we may see, the oldest first, straight from the homeserver.
    ///
    /// # Errors
    /// When we are not in it.
    pub async fn history(&self, room: &str) -> Result<Vec<Value>, ClientError> {
        let mut events = Vec::new();
        let mut from: Option<String> = None;
        loop {
            let (page, next) = self.page_back(room, from.as_deref()).await?;
            let end = page.is_empty() || next.is_none();
            events.extend(page);
            if end {
                events.reverse();
                return Ok(events);
            }
            from = next;
        }
    }

    /// A page of events before `from`, the newest first, and where the next page starts.
    pub(super) async fn page_back(
        &self,
        room: &str,
        from: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>), ClientError> {
        let mut query = vec![("dir", "b"), ("limit", "500")];
        query.extend(from.map(|from| ("from", from)));
        let answer = self.get(&v3(&["rooms", room, "messages"]), &query).await?;
        let chunk = answer["chunk"].as_array().cloned().unwrap_or_default();
        Ok((chunk, answer["end"].as_str().map(str::to_owned)))
    }

    /// Uploads a file and gives back its `mxc:` URI.
    ///
    /// # Errors
    /// When it is too large, among others.
    pub async fn upload(
        &self,
        content: Vec<u8>,
        media_type: &str,
        name: &str,
    ) -> Result<String, ClientError> {
        let path = ["_matrix", "media", "v3", "upload"];
        let request = self.request(Method::POST, &path, &[("filename", name)])?;
        let request = request.header(CONTENT_TYPE, media_type).body(content);
        text(&self.answer(Method::POST, &path, request).await?, "content_uri")
    }

    /// Downloads a file by its `mxc:` URI.
    ///
    /// # Errors
    /// When there is no such file or it is not ours to see.
    pub async fn download(&self, uri: &str) -> Result<Vec<u8>, ClientError> {
        let (server, id) = uri
            .strip_prefix("mxc://")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(|| ClientError::Lacks(format!("mxc URI but {uri}")))?;
        let path = ["_matrix", "client", "v1", "media", "download", server, id];
        let answer = self
            .request(Method::GET, &path, &[])?
            .send()
            .await?
            .error_for_status()?;
        Ok(answer.bytes().await?.to_vec())
    }

    /// Asks the application services of a protocol who the user behind some fields is.
    ///
    /// # Errors
    /// When no application service answers for the protocol.
    pub async fn third_party_user(
        &self,
        protocol: &str,
        fields: &[(&str, &str)],
    ) -> Result<Value, ClientError> {
        self.get(&v3(&["thirdparty", "user", protocol]), fields).await
    }

    /// Account data about everything, or `None`.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer.
    pub async fn account_data(&self, kind: &str) -> Result<Option<Value>, ClientError> {
        match self
            .get(&v3(&["user", &self.user, "account_data", kind]), &[])
            .await
        {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.code() == Some("M_NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
