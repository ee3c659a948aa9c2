//! The API.

use super::forms::{self, fault};
use super::state::{Hook, Sent, Shared, written};
use super::{PASSWORD, USER, hooks};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

type Phone = State<Arc<Shared>>;

pub fn routes(shared: Arc<Shared>) -> Router {
    let messages = || post(send).get(sent);
    let webhooks = || get(hooks).post(hook);
    Router::new()
        .route("/", get(async || Json(json!({ "status": "ok", "model": "Lab" }))))
        .route("/messages", messages())
        .route("/message", messages())
        .route("/messages/{id}", get(message).delete(cancel))
        .route("/message/{id}", get(message))
        .route("/inbox", get(inbox))
        .route("/inbox/refresh", post(refresh))
        .route("/inbox/{id}/attachments/{part}", get(attachment))
        .route("/webhooks", webhooks())
        .route("/webhook", webhooks())
        .route("/webhooks/{id}", axum::routing::delete(unhook))
        .route("/device", get(devices))
        .route("/devices", get(devices))
        .route_layer(from_fn_with_state(shared.clone(), authorised))
        .route("/health", get(health))
        .with_state(shared)
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

async fn authorised(State(shared): Phone, request: Request, next: Next) -> Response {
    let scenario = shared.world().scenario.clone();
    if let Some(status) = scenario.answers {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return error(status, "as the scenario wants");
    }
    if scenario.has_no_inbox && request.uri().path().starts_with("/inbox") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let wanted = data_encoding::BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes());
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "));
    match given == Some(wanted.as_str()) {
        true => next.run(request).await,
        false => (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, "Basic realm=\"Access to SMS Gateway\"")],
        )
            .into_response(),
    }
}

async fn send(State(shared): Phone, body: Bytes) -> Response {
    let Ok(mut body) = serde_json::from_slice::<Value>(&body) else {
        return error(StatusCode::BAD_REQUEST, "Invalid request body");
    };
    if let Some(fault) = fault(&body, &[&forms::MESSAGE]) {
        return error(StatusCode::BAD_REQUEST, &fault);
    }
    if shared.world().scenario.has_no_mms {
        body["mmsMessage"].take();
    }
    let text = body
        .pointer("/textMessage/text")
        .or_else(|| body.pointer("/mmsMessage/text"))
        .or_else(|| body.get("message"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let file = file(&body);
    if text.is_empty() && file.is_none() {
        return error(StatusCode::BAD_REQUEST, "Text message is empty");
    }
    let to: Vec<String> = body["phoneNumbers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|number| number.as_str().map(str::to_owned))
        .collect();
    if to.is_empty() {
        return error(StatusCode::BAD_REQUEST, "phoneNumbers is empty");
    }
    let sim = body["simNumber"].as_i64();
    let (answer, swallow) = {
        let mut world = shared.world();
        let id = match body["id"].as_str() {
            Some(id) => id.to_owned(),
            None => world.id(),
        };
        if world.sent.iter().any(|sent| sent.id == id) {
            return match world.scenario.is_old {
                true => error(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "UNIQUE constraint failed: Message.id",
                ),
                false => error(StatusCode::CONFLICT, "Message with such ID already exists"),
            };
        }
        let sent = Sent {
            id,
            to,
            text: text.to_owned(),
            file,
            state: "Pending".to_owned(),
            sim,
        };
        let answer = state_of(&sent, world.now);
        world.sent.push(sent);
        (answer, world.scenario.swallows_answers)
    };
    if swallow {
        std::future::pending::<()>().await;
    }
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

/// The first file of an MMS.
fn file(body: &Value) -> Option<(String, String, Vec<u8>)> {
    let file = body.pointer("/mmsMessage/attachments/0")?;
    let word = |name: &str| file[name].as_str().unwrap_or_default().to_owned();
    let octets = data_encoding::BASE64.decode(word("data").as_bytes()).ok()?;
    Some((word("name"), word("contentType"), octets))
}

fn state_of(sent: &Sent, now: i64) -> Value {
    let failed = (sent.state == "Failed").then_some("Send result: RESULT_ERROR_NO_SERVICE");
    let recipients: Vec<Value> = sent
        .to
        .iter()
        .map(|to| {
            let mut recipient = json!({ "phoneNumber": to, "state": sent.state });
            if let Some(failed) = failed {
                recipient["error"] = failed.into();
            }
            recipient
        })
        .collect();
    let mut states = serde_json::Map::new();
    states.insert(sent.state.clone(), written(now).into());
    json!({ "id": sent.id, "deviceId": "phone", "state": sent.state, "isHashed": false, "isEncrypted": false,
        "recipients": recipients, "states": states, "createdAt": written(now) })
}

async fn sent(State(shared): Phone) -> Json<Vec<Value>> {
    let world = shared.world();
    Json(world.sent.iter().map(|sent| state_of(sent, world.now)).collect())
}

async fn message(State(shared): Phone, Path(id): Path<String>) -> Response {
    let world = shared.world();
    match world.sent.iter().find(|sent| sent.id == id) {
        Some(sent) => Json(state_of(sent, world.now)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Only what is pending can be taken back. Older versions have no such request.
async fn cancel(State(shared): Phone, Path(id): Path<String>) -> Response {
    let told = {
        let mut world = shared.world();
        if world.scenario.is_old {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        match world.sent.iter().find(|sent| sent.id == id) {
            None => return error(StatusCode::NOT_FOUND, "Message not found"),
            Some(sent) if sent.state != "Pending" => {
                return error(StatusCode::BAD_REQUEST, "Message is not in the Pending state");
            }
            Some(_) => world.reach(&id, "Cancelled"),
        }
    };
    hooks::tell(&shared, told);
    message(State(shared), Path(id)).await
}

async fn inbox(State(shared): Phone, Query(query): Query<HashMap<String, String>>) -> Response {
    let number = |name: &str, default: usize| match query.get(name) {
        Some(text) => text.parse().unwrap_or(usize::MAX),
        None => default,
    };
    let (limit, offset) = (number("limit", 50), number("offset", 0));
    if !(1..=500).contains(&limit) {
        return error(StatusCode::BAD_REQUEST, "limit must be between 1 and 500");
    }
    let attachments = match query.get("includeAttachments").map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            return error(
                StatusCode::BAD_REQUEST,
                "includeAttachments must be true or false",
            );
        }
    };
    let from = query.get("from").cloned().unwrap_or_default();
    let world = shared.world();
    // Both in UTC, so that they compare as texts.
    let of_time = |at: i64| swingbridge_domain::clock::Timestamp(at * 1000).to_string() >= from;
    let mut found: Vec<_> = world
        .inbox
        .iter()
        .filter(|incoming| of_time(incoming.at))
        .collect();
    found.reverse();
    let total = found.len();
    let page: Vec<Value> = found
        .into_iter()
        .skip(offset)
        .take(limit)
        .map(|incoming| incoming.listed(attachments))
        .collect();
    ([("X-Total-Count", total.to_string())], Json(page)).into_response()
}

async fn attachment(State(shared): Phone, Path((id, part)): Path<(String, usize)>) -> Response {
    let world = shared.world();
    let found = world
        .inbox
        .iter()
        .find(|incoming| incoming.id == id)
        .and_then(|incoming| incoming.attachments.get(part));
    match found {
        Some((_, mime, octets)) => ([(header::CONTENT_TYPE, mime.clone())], octets.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn refresh(body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match fault(&body, &[&forms::REFRESH]) {
        None => StatusCode::ACCEPTED.into_response(),
        Some(fault) => error(StatusCode::BAD_REQUEST, &fault),
    }
}

fn shown(hook: &Hook) -> Value {
    json!({ "id": hook.id, "url": hook.url, "event": hook.event })
}

async fn hooks(State(shared): Phone) -> Json<Vec<Value>> {
    Json(shared.world().hooks.iter().map(shown).collect())
}

async fn hook(State(shared): Phone, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(fault) = fault(&body, &[&forms::WEBHOOK]) {
        return error(StatusCode::BAD_REQUEST, &fault);
    }
    let word = |name: &str| body[name].as_str().unwrap_or_default();
    let (url, event) = (word("url"), word("event"));
    // https, or http to this machine.
    if !url.starts_with("https://") && !url.starts_with("http://127.0.0.1") {
        return error(StatusCode::BAD_REQUEST, "Invalid URL");
    }
    let mut world = shared.world();
    let id = match body["id"].as_str() {
        Some(id) => id.to_owned(),
        None => world.id(),
    };
    let hook = Hook {
        id,
        url: url.to_owned(),
        event: event.to_owned(),
    };
    world.hooks.retain(|known| known.id != hook.id);
    world.hooks.push(hook.clone());
    (StatusCode::CREATED, Json(shown(&hook))).into_response()
}

async fn unhook(State(shared): Phone, Path(id): Path<String>) -> StatusCode {
    shared.world().hooks.retain(|hook| hook.id != id);
    StatusCode::NO_CONTENT
}

async fn devices(State(shared): Phone) -> Json<Value> {
    let now = written(shared.world().now);
    Json(json!([{ "id": "phone", "name": "Lab/phone", "createdAt": now, "updatedAt": now, "lastSeen": now }]))
}

async fn health() -> Json<Value> {
    let check = json!({ "description": "Failed messages for last hour", "observedUnit": "messages", "observedValue": 0,
        "status": "pass" });
    Json(
        json!({ "status": "pass", "version": "1.66.0", "releaseId": 1400, "checks": { "messages:failed": check } }),
    )
}
