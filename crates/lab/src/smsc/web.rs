//! The carrier's page of phones, and the API below it.
//!
//! | request | does |
//! |---|---|
//! | `GET /` | the page |
//! | `GET /api/phones` | `[{number, name, reach}]` |
//! | `POST /api/phones` `{number, name?}` | adds a phone |
//! | `POST /api/phones/{number}/send` `{text, to}` | writes a text on a phone: `{id}` |
//! | `POST /api/phones/{number}/reach` `{reach}` | `on`, `off` or `barred` |
//! | `GET /api/messages?phone=` | `[{id, phone, peer, from_phone, text, at, progress, segments}]` |
//! | `GET /api/status` | `{lines, bound, undelivered, taken, refused, incomplete}` |
//! | `GET /api/events` | server-sent events: `phone`, `message`, `bound`, and `resync` after a gap |

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ledger::Accounts;
use super::phones::{Message, Phone, Reach, key};
use super::{Carrier, Event};

pub(super) async fn serve(carrier: Arc<Carrier>, listener: TcpListener, stop: CancellationToken) {
    let routes = Router::new()
        .route("/", get(page))
        .route("/api/phones", get(phones).post(add_phone))
        .route("/api/phones/{number}/send", post(send))
        .route("/api/phones/{number}/reach", post(set_reach))
        .route("/api/messages", get(messages))
        .route("/api/status", get(status))
        .route("/api/events", get(events))
        .with_state(carrier);
    // Not gracefully: streams of events have no end, and the lab's page may break off.
    tokio::select! {
        () = stop.cancelled() => {}
        result = async { axum::serve(listener, routes).await } => {
            if let Err(error) = result {
                tracing::warn!(%error, "the page has ended");
            }
        }
    }
}

async fn page() -> Response {
    // All that the page needs stands in it, so nothing else may be loaded.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";
    (
        [(header::CONTENT_SECURITY_POLICY, policy)],
        Html(include_str!("page.html")),
    )
        .into_response()
}

async fn phones(State(carrier): State<Arc<Carrier>>) -> Json<Vec<Phone>> {
    Json(carrier.read(|state| state.phones.values().cloned().collect()))
}

#[derive(Deserialize)]
struct NewPhone {
    number: String,
    name: Option<String>,
}

async fn add_phone(State(carrier): State<Arc<Carrier>>, Json(new): Json<NewPhone>) -> Response {
    if !is_number(&new.number) {
        return refused("A phone's number has 3 to 15 digits.");
    }
    let name = new.name.filter(|name| !name.trim().is_empty());
    Json(carrier.with(|state| state.add_phone(&new.number, name))).into_response()
}

#[derive(Deserialize)]
struct NewText {
    text: String,
    to: String,
}

async fn send(
    State(carrier): State<Arc<Carrier>>,
    Path(number): Path<String>,
    Json(new): Json<NewText>,
) -> Response {
    if !is_number(&number) {
        return refused("A phone's number has 3 to 15 digits.");
    }
    if key(&new.to).is_empty() || new.text.is_empty() {
        return refused("A text needs a recipient and at least one character.");
    }
    match carrier.write(&number, &new.to, &new.text) {
        Some(id) => Json(json!({ "id": id })).into_response(),
        None => refused("The text needs more than 255 short messages."),
    }
}

#[derive(Deserialize)]
struct NewReach {
    reach: Reach,
}

async fn set_reach(
    State(carrier): State<Arc<Carrier>>,
    Path(number): Path<String>,
    Json(new): Json<NewReach>,
) -> Response {
    if !is_number(&number) {
        return refused("A phone's number has 3 to 15 digits.");
    }
    carrier.with(|state| state.set_reach(&carrier.config, &number, new.reach, Instant::now()));
    carrier.work.notify_one();
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
struct Filter {
    phone: Option<String>,
}

async fn messages(State(carrier): State<Arc<Carrier>>, Query(filter): Query<Filter>) -> Json<Vec<Message>> {
    let phone = filter.phone.as_deref().map(key);
    let wanted = |message: &&Message| phone.as_ref().is_none_or(|phone| *phone == message.phone);
    Json(carrier.read(|state| state.messages.iter().filter(wanted).cloned().collect()))
}

async fn status(State(carrier): State<Arc<Carrier>>) -> Json<serde_json::Value> {
    Json(carrier.read(|state| {
        let accounts = Accounts::new(&state.submissions, &state.messages, state.assembler.incomplete());
        json!({
            "lines": carrier.config.accounts.iter().flat_map(|account| &account.numbers).map(|n| key(n)).collect::<Vec<_>>(),
            "bound": state.bound.len(),
            "undelivered": state.outbox.len() + state.in_flight.len(),
            "taken": accounts.taken,
            "refused": accounts.refused,
            "incomplete": accounts.incomplete,
        })
    }))
}

async fn events(
    State(carrier): State<Arc<Carrier>>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let receiver = carrier.events.subscribe();
    // Told first, as it may have changed while nobody was connected.
    let bound = Event::Bound(carrier.read(|state| state.bound.len()));
    let changes = stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(event) => Some((as_sse(&event), receiver)),
            Err(RecvError::Lagged(_)) => Some((sse::Event::default().event("resync").data(""), receiver)),
            Err(RecvError::Closed) => None,
        }
    });
    Sse::new(stream::once(ready(as_sse(&bound))).chain(changes).map(Ok)).keep_alive(KeepAlive::default())
}

fn as_sse(event: &Event) -> sse::Event {
    let (name, data) = match event {
        Event::Phone(phone) => ("phone", json!(phone)),
        Event::Message(message) => ("message", json!(message)),
        Event::Bound(bound) => ("bound", json!(bound)),
    };
    sse::Event::default().event(name).data(data.to_string())
}

fn is_number(number: &str) -> bool {
    (3..=15).contains(&key(number).len()) && !number.chars().any(char::is_alphabetic)
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response()
}
