//! The events: socket.io version 4 over the websocket transport of engine.io version 4.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::shapes::{self, With};
use super::{Mac, rest};

pub(super) fn routes(stop: CancellationToken) -> Router<Arc<Mac>> {
    let upgrade = move |State(mac): State<Arc<Mac>>,
                        Query(query): Query<HashMap<String, String>>,
                        upgrade: WebSocketUpgrade| {
        let stop = stop.clone();
        async move { open(mac, &query, upgrade, stop) }
    };
    Router::new().route("/socket.io/", get(upgrade))
}

fn open(
    mac: Arc<Mac>,
    query: &HashMap<String, String>,
    upgrade: WebSocketUpgrade,
    stop: CancellationToken,
) -> Response {
    if query.get("EIO").map(String::as_str) != Some("4")
        || query.get("transport").map(String::as_str) != Some("websocket")
    {
        let words = json!({"code": 0, "message": "Transport unknown"});
        return (StatusCode::BAD_REQUEST, axum::Json(words)).into_response();
    }
    let allowed = rest::given(query).is_some_and(|given| mac.with(|world| given == world.rules.password));
    upgrade.on_upgrade(move |socket| async move {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = talk(&mac, socket, allowed) => {}
        }
    })
}

/// Counts who listens, for as long as they do.
struct Listener<'a>(&'a Mac);

impl Drop for Listener<'_> {
    fn drop(&mut self) {
        self.0.with(|world| world.listeners -= 1);
    }
}

async fn talk(mac: &Mac, mut socket: WebSocket, allowed: bool) -> Option<()> {
    let (interval, sid) = mac.with(|world| (world.rules.ping_interval, world.guid()));
    let hello = json!({
        "sid": sid, "upgrades": [], "pingInterval": interval, "pingTimeout": 120_000, "maxPayload": 100_000_000,
    });
    say(&mut socket, format!("0{hello}")).await?;
    loop {
        match socket.recv().await?.ok()? {
            Frame::Text(text) if text.starts_with("40") => break,
            Frame::Close(_) => return None,
            _ => {}
        }
    }
    let mut events = mac.events.subscribe();
    say(&mut socket, format!("40{}", json!({"sid": sid}))).await?;
    if !allowed {
        // It lets everybody in, looks at the password, and shows the door.
        return say(&mut socket, "41".to_owned()).await;
    }
    let again = mac.with(|world| {
        world.listeners += 1;
        let many = std::mem::take(&mut world.refire);
        let from = world.rows.len().saturating_sub(many);
        let told = world.rows[from..].iter().filter(|row| row.chat.is_some());
        told.map(|row| shapes::message(world, row, With::ALL))
            .collect::<Vec<_>>()
    });
    let _listener = Listener(mac);
    say(&mut socket, event("hello-world", &Value::Null)).await?;
    for message in again {
        say(&mut socket, event("new-message", &message)).await?;
    }
    let mut pings = tokio::time::interval(Duration::from_millis(interval.max(1)));
    pings.tick().await;
    loop {
        tokio::select! {
            _ = pings.tick() => say(&mut socket, "2".to_owned()).await?,
            told = events.recv() => match told {
                Ok((name, data)) => say(&mut socket, event(&name, &data)).await?,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            },
            frame = socket.recv() => match frame?.ok()? {
                Frame::Text(text) if text.as_str() == "3" => mac.with(|world| world.pongs += 1),
                Frame::Text(text) if text.as_str() == "41" => return None,
                Frame::Close(_) => return None,
                _ => {}
            },
        }
    }
}

fn event(name: &str, data: &Value) -> String {
    format!("42{}", json!([name, data]))
}

async fn say(socket: &mut WebSocket, text: String) -> Option<()> {
    socket.send(Frame::Text(text.into())).await.ok()
}
