//! A homeserver that takes everything and keeps nothing, for what is measured on the gateway's side alone.

use anyhow::Result;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;

/// It runs as long as the runtime does.
pub struct Void {
    pub address: SocketAddr,
    messages: Arc<AtomicU64>,
}

impl Void {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let messages = Arc::new(AtomicU64::new(0));
        let router = Router::new().fallback(answer).with_state(messages.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, messages })
    }

    /// How many texts of ghosts it was given.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }
}

async fn answer(State(messages): State<Arc<AtomicU64>>, method: Method, uri: Uri) -> Json<Value> {
    let path = uri.path();
    let user = uri
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("user_id=")))
        .map_or_else(
            || "@smsbot:localhost".to_owned(),
            |user| user.replace("%40", "@").replace("%3A", ":"),
        );
    Json(match path.rsplit('/').next().unwrap_or_default() {
        "versions" => json!({ "versions": ["v1.1", "v1.6", "v1.11", "v1.13"] }),
        "capabilities" => json!({ "capabilities": {
            "m.room_versions": { "default": "11", "available": { "11": "stable" } },
        } }),
        "whoami" => json!({ "user_id": user }),
        "register" => json!({ "user_id": "@smsbot:localhost" }),
        "sync" => json!({ "next_batch": "nothing" }),
        "ping" => json!({ "duration_ms": 1 }),
        "joined_rooms" => json!({ "joined_rooms": [] }),
        "join" => json!({ "room_id": "!room:localhost" }),
        _ if method == Method::PUT && path.contains("/send/") => {
            messages.fetch_add(1, Ordering::Relaxed);
            json!({ "event_id": "$event" })
        }
        _ if method == Method::PUT && path.contains("/state/") => json!({ "event_id": "$event" }),
        _ => json!({}),
    })
}
