//! A small Matrix client for tests and the demo: plain HTTP and JSON, so that it is a second opinion on the library that
//! the gateway uses.

use std::{
    collections::HashSet,
    sync::{
        Arc, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hmac::{Hmac, Mac};
use reqwest::{Method, RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::sync::Mutex;
use url::Url;

/// How long [`Client::wait_for`] waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a request or a wait came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The homeserver answered with an error.
    #[error("{method} {path}: {status} {body}")]
    Refused {
        /// The method of the request.
        method: Method,
        /// The path of the request.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The Matrix error, `errcode` and `error`.
        body: Value,
    },
    /// The homeserver could not be reached, or broke off.
    #[error("the homeserver does not answer: {0}")]
    Transport(#[from] reqwest::Error),
    /// What was awaited did not come.
    #[error("waited {} s in vain for {what}", after.as_secs())]
    TimedOut {
        /// What was awaited, in words.
        what: String,
        /// How long.
        after: Duration,
    },
    /// The answer lacks something that the specification promises.
    #[error("the homeserver's answer has no {0}")]
    Lacks(String),
    /// An address is not a URL.
    #[error("not a URL: {0}")]
    Url(#[from] url::ParseError),
}

impl ClientError {
    /// The Matrix error code, such as `M_FORBIDDEN`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { body, .. } => body["errcode"].as_str(),
            _ => None,
        }
    }
}

/// Where in a sync something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The timeline of a room that we are in.
    Timeline,
    /// The state of a room that we are in, before its timeline.
    State,
    /// Receipts and typing in a room.
    Ephemeral,
    /// The stripped state of a room that we are invited to.
    Invite,
    /// Our own data, about a room or about everything.
    AccountData,
}

/// Something that came by sync.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where it came.
    pub place: Place,
    /// The room it belongs to; empty for account data about everything.
    pub room: String,
    /// The event as the homeserver sent it.
    pub event: Value,
}

impl Seen {
    /// The event's type.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or_default()
    }

    /// The text of a message.
    #[must_use]
    pub fn body(&self) -> &str {
        self.event["content"]["body"].as_str().unwrap_or_default()
    }

    /// The user who sent it.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.event["sender"].as_str().unwrap_or_default()
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.event["event_id"].as_str().unwrap_or_default()
    }

    /// Whether it is a message in a timeline, of any `msgtype`.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.place == Place::Timeline && self.kind() == "m.room.message"
    }
}

/// A logged-in client. It remembers everything that came by sync; clones share that memory.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
    user: String,
    device: String,
    transactions: Arc<AtomicU64>,
    seen: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    since: Option<String>,
    all: Vec<Seen>,
    ids: HashSet<String>,
    /// Rooms that came before: a limited timeline of one of these leaves a gap.
    rooms: HashSet<String>,
}

impl Client {
    /// Logs in with a password.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer; safe to repeat.
    pub async fn login(base: &str, user: &str, password: &str) -> Result<Self, ClientError> {
        let nobody = Self::with_token(base, "", "", "")?;
        let answer = nobody
            .post(
                &["_matrix", "client", "v3", "login"],
                json!({
                    "type": "m.login.password",
                    "identifier": { "type": "m.id.user", "user": user },
                    "password": password,
                    "initial_device_display_name": "lab",
                }),
            )
            .await?;
        let field = |name: &str| text(&answer, name);
        Self::with_token(
            base,
            &field("user_id")?,
            &field("access_token")?,
            &field("device_id")?,
        )
    }

    /// A client of a token that is there already, of a user or of an application service.
    ///
    /// # Errors
    /// When the base is not a URL.
    pub fn with_token(base: &str, user: &str, token: &str, device: &str) -> Result<Self, ClientError> {
        Ok(Self {
            http: http(),
            base: Url::parse(base)?,
            token: token.to_owned(),
            user: user.to_owned(),
            device: device.to_owned(),
            transactions: Arc::new(AtomicU64::new(rand::random::<u64>() >> 24)),
            seen: Arc::default(),
        })
    }

    /// Makes a user with Synapse's shared secret.
    ///
    /// # Errors
    /// When the homeserver refuses, `M_USER_IN_USE` among others.
    pub async fn register(base: &str, secret: &str, user: &str, password: &str) -> Result<(), ClientError> {
        let nobody = Self::with_token(base, "", "", "")?;
        let path = &["_synapse", "admin", "v1", "register"];
        let nonce = text(&nobody.get(path, &[]).await?, "nonce")?;
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes())
            .map_err(|_| ClientError::Lacks("shared secret".into()))?;
        mac.update(format!("{nonce}\0{user}\0{password}\0notadmin").as_bytes());
        let mac = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        let body =
            json!({ "nonce": nonce, "username": user, "password": password, "admin": false, "mac": mac });
        nobody.post(path, body).await.map(drop)
    }

    /// What the homeserver says it speaks; the cheapest question to see that it is there.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn versions(base: &str) -> Result<Value, ClientError> {
        Self::with_token(base, "", "", "")?
            .get(&["_matrix", "client", "versions"], &[])
            .await
    }

    /// The full user id.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The device's id.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The access token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    // ── Rooms

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

    // ── Messages

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
    async fn page_back(
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

    // ── Media, directory, account

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

    // ── Sync

    /// Waits for the next news, `patience` at most, and remembers them. A limited timeline is filled from the room's history.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer; safe to repeat.
    pub async fn sync(&self, patience: Duration) -> Result<(), ClientError> {
        let mut memory = self.seen.lock().await;
        let timeout = patience.as_millis().to_string();
        let filter =
            json!({ "room": { "timeline": { "limit": 500 } }, "presence": { "types": [] } }).to_string();
        let mut query = vec![("timeout", timeout.as_str()), ("filter", filter.as_str())];
        let since = memory.since.clone();
        query.extend(since.as_deref().map(|since| ("since", since)));
        let news = self.get(&v3(&["sync"]), &query).await?;
        for (room, joined) in entries(&news["rooms"]["join"]) {
            let known = !memory.rooms.insert(room.clone());
            if known && joined["timeline"]["limited"] == true {
                self.fill_gap(&mut memory, room, joined["timeline"]["prev_batch"].as_str())
                    .await?;
            }
            memory.keep(Place::State, room, &joined["state"]["events"]);
            memory.keep(Place::Timeline, room, &joined["timeline"]["events"]);
            memory.keep(Place::Ephemeral, room, &joined["ephemeral"]["events"]);
            memory.keep(Place::AccountData, room, &joined["account_data"]["events"]);
        }
        for (room, left) in entries(&news["rooms"]["leave"]) {
            memory.keep(Place::Timeline, room, &left["timeline"]["events"]);
        }
        for (room, invited) in entries(&news["rooms"]["invite"]) {
            memory.keep(Place::Invite, room, &invited["invite_state"]["events"]);
        }
        memory.keep(Place::AccountData, "", &news["account_data"]["events"]);
        memory.since = Some(text(&news, "next_batch")?);
        Ok(())
    }

    async fn fill_gap(&self, memory: &mut Memory, room: &str, from: Option<&str>) -> Result<(), ClientError> {
        let mut missed = Vec::new();
        let mut from = from.map(str::to_owned);
        while let Some(start) = from {
            let (page, next) = self.page_back(room, Some(&start)).await?;
            let met = page.iter().any(|event| {
                event["event_id"]
                    .as_str()
                    .is_some_and(|id| memory.ids.contains(id))
            });
            let done = met || page.is_empty();
            missed.extend(page);
            from = if done { None } else { next };
        }
        missed.reverse();
        memory.keep(Place::Timeline, room, &Value::Array(missed));
        Ok(())
    }

    /// Everything that came so far.
    pub async fn seen(&self) -> Vec<Seen> {
        self.seen.lock().await.all.clone()
    }

    /// The messages of a room that came so far, in order.
    pub async fn messages(&self, room: &str) -> Vec<Seen> {
        let memory = self.seen.lock().await;
        memory
            .all
            .iter()
            .filter(|seen| seen.room == room && seen.is_message())
            .cloned()
            .collect()
    }

    /// Waits for something that the condition picks, among what came before and what comes in the next 30 seconds. A
    /// homeserver that is away meanwhile (it may be restarting) is asked again.
    ///
    /// # Errors
    /// When it does not come. `what` says in words what was awaited.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        pick: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, ClientError> {
        self.wait_at_most(PATIENCE, what, pick).await
    }

    /// [`Self::wait_for`] with a patience of the caller's.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn wait_at_most<T>(
        &self,
        patience: Duration,
        what: &str,
        mut pick: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + patience;
        let mut next = 0;
        loop {
            {
                let memory = self.seen.lock().await;
                if let Some(found) = memory.all[next..].iter().find_map(&mut pick) {
                    return Ok(found);
                }
                next = memory.all.len();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClientError::TimedOut {
                    what: what.to_owned(),
                    after: patience,
                });
            }
            if let Err(error) = self.sync(left.min(Duration::from_secs(10))).await {
                match error {
                    ClientError::Refused { status: 400..500, .. } => return Err(error),
                    _ => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }
    }

    /// Waits for a text message of somebody else in a room.
    ///
    /// # Errors
    /// When it does not come within 30 seconds.
    pub async fn wait_for_text(&self, room: &str, body: &str) -> Result<Seen, ClientError> {
        self.wait_for(&format!("the text {body:?}"), |seen| {
            let fits =
                seen.room == room && seen.is_message() && seen.body() == body && seen.sender() != self.user;
            fits.then(|| seen.clone())
        })
        .await
    }

    /// Waits for an invitation that the condition accepts (it is shown the inviting user), joins, and gives back the room.
    ///
    /// # Errors
    /// When none comes within 30 seconds, or joining is refused.
    pub async fn accept_invite(&self, mut from: impl FnMut(&str) -> bool) -> Result<String, ClientError> {
        let room = self
            .wait_for("an invitation", |seen| {
                let invites = seen.place == Place::Invite
                    && seen.kind() == "m.room.member"
                    && seen.event["state_key"] == self.user.as_str()
                    && seen.event["content"]["membership"] == "invite"
                    && from(seen.sender());
                invites.then(|| seen.room.clone())
            })
            .await?;
        self.join(&room).await?;
        Ok(room)
    }

    // ── Requests

    /// Asks with GET. The path's parts are escaped here.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, ClientError> {
        self.answer(Method::GET, path, self.request(Method::GET, path, query)?)
            .await
    }

    /// Sends JSON with POST.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer.
    pub async fn post(&self, path: &[&str], body: Value) -> Result<Value, ClientError> {
        self.answer(
            Method::POST,
            path,
            self.request(Method::POST, path, &[])?.json(&body),
        )
        .await
    }

    /// Sends JSON with PUT.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer.
    pub async fn put(&self, path: &[&str], body: Value) -> Result<Value, ClientError> {
        self.answer(
            Method::PUT,
            path,
            self.request(Method::PUT, path, &[])?.json(&body),
        )
        .await
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, ClientError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| url::ParseError::RelativeUrlWithoutBase)?
            .pop_if_empty()
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        Ok(if self.token.is_empty() {
            request
        } else {
            request.bearer_auth(&self.token)
        })
    }

    async fn answer(
        &self,
        method: Method,
        path: &[&str],
        request: RequestBuilder,
    ) -> Result<Value, ClientError> {
        let answer = request.send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        Err(ClientError::Refused {
            method,
            path: format!("/{}", path.join("/")),
            status: status.as_u16(),
            body,
        })
    }

    fn transaction(&self) -> String {
        format!("lab{}", self.transactions.fetch_add(1, Ordering::Relaxed))
    }
}

impl Memory {
    /// Adds what is new; an event with an id is kept once for each place.
    fn keep(&mut self, place: Place, room: &str, events: &Value) {
        for event in events.as_array().into_iter().flatten() {
            if place == Place::Timeline
                && let Some(id) = event["event_id"].as_str()
                && !self.ids.insert(id.to_owned())
            {
                continue;
            }
            self.all.push(Seen {
                place,
                room: room.to_owned(),
                event: event.clone(),
            });
        }
    }
}

/// One pool of connections, and the provider of cryptography that reqwest asks for even where there is no TLS.
fn http() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where the program installed one before us, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::new()
}

fn v3<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["_matrix", "client", "v3"];
    path.extend(rest);
    path
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn text(value: &Value, key: &str) -> Result<String, ClientError> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| ClientError::Lacks(key.to_owned()))
}
