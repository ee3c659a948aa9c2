//! Local users as a test plays them: the same rules as over HTTP, without the HTTP.

use super::call::{Answer, Call, Outcome};
use super::{Shared, Stub, world};
use crate::client::{Client, ClientError};
use axum::body::Bytes;
use axum::http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A user of the stub homeserver who is not the application service's.
#[derive(Clone, Debug)]
pub struct LocalUser {
    id: String,
    token: String,
    url: String,
    shared: Arc<Shared>,
    transactions: Arc<AtomicU64>,
}

/// The homeserver refused what a local user asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{status} {code}: {words}")]
pub struct Refused {
    pub status: u16,
    pub code: String,
    pub words: String,
}

impl Stub {
    /// Makes a user, or gives the one of that name.
    pub fn user(&self, localpart: &str) -> LocalUser {
        let (id, token) = {
            let mut world = self.shared.lock();
            let id = world.full_user(localpart);
            let fresh = world.opaque(20);
            let user = world.users.entry(id.clone()).or_insert_with(|| world::User {
                displayname: Some(localpart.to_owned()),
                ..world::User::default()
            });
            (id, user.token.get_or_insert(fresh).clone())
        };
        let transactions = Arc::new(AtomicU64::new(0));
        LocalUser {
            id,
            token,
            url: self.url(),
            shared: self.shared.clone(),
            transactions,
        }
    }
}

impl LocalUser {
    /// The full user id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same user over HTTP.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn client(&self) -> Result<Client, ClientError> {
        Client::with_token(&self.url, &self.id, &self.token, "STUB")
    }

    /// Makes a room; `request` is the body of `/createRoom`.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn create_room(&self, request: Value) -> Result<String, Refused> {
        let answer = self.ask(Method::POST, &["createRoom"], request)?;
        Ok(text(&answer, "room_id"))
    }

    /// # Errors
    /// [`Refused`].
    pub fn join(&self, room: &str) -> Result<(), Refused> {
        self.ask(Method::POST, &["join", room], json!({})).map(drop)
    }

    /// # Errors
    /// [`Refused`].
    pub fn leave(&self, room: &str) -> Result<(), Refused> {
        self.ask(Method::POST, &["rooms", room, "leave"], json!({}))
            .map(drop)
    }

    /// # Errors
    /// [`Refused`].
    pub fn invite(&self, room: &str, user: &str) -> Result<(), Refused> {
        self.ask(Method::POST, &["rooms", room, "invite"], json!({"user_id": user}))
            .map(drop)
    }

    /// Says something; answers the event id.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn say(&self, room: &str, body: &str) -> Result<String, Refused> {
        self.send(room, "m.room.message", json!({"msgtype": "m.text", "body": body}))
    }

    /// Sends any event; answers its id.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn send(&self, room: &str, kind: &str, content: Value) -> Result<String, Refused> {
        let transaction = format!("local-{}", self.transactions.fetch_add(1, Ordering::Relaxed));
        let answer = self.ask(Method::PUT, &["rooms", room, "send", kind, &transaction], content)?;
        Ok(text(&answer, "event_id"))
    }

    /// # Errors
    /// [`Refused`].
    pub fn redact(&self, room: &str, event: &str) -> Result<String, Refused> {
        let transaction = format!("local-{}", self.transactions.fetch_add(1, Ordering::Relaxed));
        let answer = self.ask(
            Method::PUT,
            &["rooms", room, "redact", event, &transaction],
            json!({}),
        )?;
        Ok(text(&answer, "event_id"))
    }

    /// Joins every room that it is invited to; answers them.
    pub fn accept_invites(&self) -> Vec<String> {
        let invited: Vec<String> = {
            let world = self.shared.lock();
            let rooms = world.rooms.keys();
            rooms
                .filter(|room| world.membership(room, &self.id) == Some("invite"))
                .cloned()
                .collect()
        };
        invited
            .into_iter()
            .filter(|room| self.join(room).is_ok())
            .collect()
    }

    fn ask(&self, method: Method, path: &[&str], body: Value) -> Result<Value, Refused> {
        let start = ["_matrix", "client", "v3"];
        let call = Call {
            method,
            path: start
                .iter()
                .chain(path)
                .map(|segment| (*segment).to_owned())
                .collect(),
            query: Vec::new(),
            token: Some(self.token.clone()),
            mime: Some("application/json".into()),
            body: Bytes::from(body.to_string()),
        };
        let outcome: Outcome = self.shared.act(|world| world.answer(&call));
        match outcome {
            Ok(Answer::Json(_, value)) => Ok(value),
            Ok(Answer::File { .. }) => Ok(Value::Null),
            Err(refusal) => Err(Refused {
                status: refusal.status,
                code: refusal.code.into(),
                words: refusal.words,
            }),
        }
    }
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_default().to_owned()
}
