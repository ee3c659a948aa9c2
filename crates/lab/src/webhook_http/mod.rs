//! A provider of no name with an HTTP interface, for the connector that is made of settings.
//!
//! It speaks two dialects, as such providers do: JSON with a bearer token, signed requests and a key under which it takes a message once
//! (`/v1/messages`), and forms with basic authentication and an answer that is always 200 (`/form`). Its webhooks come signed, several in one.

use crate::trouble::{Hook, Troubles, client, meet};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swingbridge_domain::clock::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The bearer token, and the password of the form dialect.
pub const SECRET: &str = "the provider's secret";
/// The user of the form dialect.
pub const USER: &str = "account";
/// The key of signatures, both ways.
pub const SIGNING_KEY: &str = "the signing key";
/// How often a webhook is tried.
const TRIES: u32 = 5;

/// A message that was taken to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: String,
    pub to: String,
    pub from: String,
    pub text: String,
    pub media: Vec<String>,
}

#[derive(Debug, Default)]
struct World {
    now: i64,
    webhook: String,
    sent: Vec<Sent>,
    taken: HashMap<String, Value>,
    ids: u64,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    troubles: Troubles,
}

/// A running provider. It ends when this is dropped.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Provider {
    /// Starts it on a free port. `now`: its clock, in seconds since the epoch.
    ///
    /// # Errors
    /// No port is free, or no HTTP client can be made.
    pub async fn start(now: i64) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let world = World {
            now,
            ..World::default()
        };
        let shared = Arc::new(Shared {
            world: world.into(),
            troubles: Troubles::new(client()?),
        });
        let app = Router::new()
            .route("/v1/messages", post(send))
            .route("/form", post(send_form))
            .layer(from_fn_with_state(shared.clone(), authorised))
            .layer(from_fn_with_state(shared.troubles.clone(), meet))
            .with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It ends with the task, never by itself.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says where messages and states are told.
    pub fn webhook(&self, url: &str) {
        url.clone_into(&mut self.shared.world().webhook);
    }

    /// A phone texts; gives the message's id.
    pub fn receives(&self, from: &str, text: &str) -> String {
        let id = self.shared.world().id();
        self.tells(&[message(&id, from, text)]);
        id
    }

    /// Tells these events in one webhook.
    pub fn tells(&self, events: &[Value]) {
        let signer = self.shared.clone();
        let hook = Hook {
            url: self.shared.world().webhook.clone(),
            mime: "application/json",
            sign: Arc::new(move |body| signature(body, signer.world().now)),
            body: json!({ "events": events }).to_string(),
            tries: TRIES,
        };
        self.shared.troubles.tell(hook);
    }

    /// All that was taken to be sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.world().sent.clone()
    }

    /// The network says what became of a message, by the provider's word: `ENROUTE`, `DELIVRD`, `UNDELIV`.
    pub fn reaches(&self, id: &str, word: &str) {
        self.tells(&[state(id, word)]);
    }

    /// Sets its clock.
    pub fn is_at(&self, now: Timestamp) {
        self.shared.world().now = now.millis() / 1000;
    }

    /// What goes wrong.
    #[must_use]
    pub fn troubles(&self) -> &Troubles {
        &self.shared.troubles
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The event of a message that came.
#[must_use]
pub fn message(id: &str, from: &str, text: &str) -> Value {
    json!({ "type": "message", "data": { "id": id, "from": { "number": from }, "body": text, "at": 1_800_000_000_i64 } })
}

/// The event of a state.
#[must_use]
pub fn state(id: &str, word: &str) -> Value {
    json!({ "type": "state", "data": { "id": id, "state": word, "code": "012" } })
}

/// The headers of a signed body.
#[must_use]
pub fn signature(body: &str, at: i64) -> Vec<(&'static str, String)> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(SIGNING_KEY.as_bytes()).expect("a key of any length");
    mac.update(format!("{at}.{body}").as_bytes());
    let hex = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
    vec![
        ("x-timestamp", at.to_string()),
        ("x-signature", format!("sha256={hex}")),
    ]
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("m-{}", self.ids)
    }

    fn take(&mut self, to: &str, from: &str, text: &str, media: Vec<String>) -> Option<String> {
        let number =
            |text: &str| text.starts_with('+') && text[1..].bytes().all(|octet| octet.is_ascii_digit());
        if !number(to) || !number(from) || (text.is_empty() && media.is_empty()) {
            return None;
        }
        let id = self.id();
        self.sent.push(Sent {
            id: id.clone(),
            to: to.to_owned(),
            from: from.to_owned(),
            text: text.to_owned(),
            media,
        });
        Some(id)
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": message }))).into_response()
}

async fn authorised(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let basic = data_encoding::BASE64.encode(format!("{USER}:{SECRET}").as_bytes());
    let wanted = [format!("Bearer {SECRET}"), format!("Basic {basic}")];
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match wanted.iter().any(|wanted| wanted == given) && !shared.troubles.now().refuses_credentials {
        true => next.run(request).await,
        false => error(StatusCode::UNAUTHORIZED, "who are you?"),
    }
}

async fn send(State(shared): State<Arc<Shared>>, headers: HeaderMap, octets: Bytes) -> Response {
    let text = String::from_utf8_lossy(&octets);
    let get = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let at: i64 = get("x-timestamp").parse().unwrap_or_default();
    let signed = signature(&text, at);
    if signed[1].1 != get("x-signature") {
        return error(StatusCode::BAD_REQUEST, "the signature is wrong");
    }
    let Ok(body) = serde_json::from_slice::<Value>(&octets) else {
        return error(StatusCode::BAD_REQUEST, "no JSON");
    };
    let key = get("x-request-key").to_owned();
    let mut world = shared.world();
    if let Some(answer) = world.taken.get(&key).filter(|_| !key.is_empty()) {
        return (StatusCode::ACCEPTED, Json(answer.clone())).into_response();
    }
    let media = body["media"].as_array().into_iter().flatten();
    let media = media
        .filter_map(|link| link.as_str().map(str::to_owned))
        .collect();
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let taken = world.take(
        &said(&body["to"][0]),
        &said(&body["from"]),
        &said(&body["body"]),
        media,
    );
    let Some(id) = taken else {
        return error(
            StatusCode::UNPROCESSABLE_ENTITY,
            "no such number, or nothing in it",
        );
    };
    let answer = json!({ "messages": [{ "id": id, "state": "queued" }] });
    world.taken.insert(key, answer.clone());
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

/// Always 200, as some are.
async fn send_form(State(shared): State<Arc<Shared>>, octets: Bytes) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&octets).into_owned().collect();
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let taken = shared
        .world()
        .take(get("to"), get("from"), get("text"), Vec::new());
    Json(match taken {
        Some(id) => json!({ "status": 0, "message-id": id }),
        None => json!({ "status": 6, "error-text": "invalid" }),
    })
    .into_response()
}
