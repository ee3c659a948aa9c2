//! The API.

use super::API_KEY;
use super::state::Shared;
use crate::trouble::meet;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;

type Telnyx = State<Arc<Shared>>;

/// What `POST /v2/messages` takes, of Telnyx's OpenAPI file.
const FIELDS: [&str; 14] = [
    "to",
    "from",
    "text",
    "media_urls",
    "messaging_profile_id",
    "subject",
    "type",
    "use_profile_webhooks",
    "webhook_url",
    "webhook_failover_url",
    "auto_detect",
    "encoding",
    "send_at",
    "tags",
];

/// Likewise, `POST /v2/messages/group_mms`.
const GROUP_FIELDS: [&str; 8] = [
    "to",
    "from",
    "text",
    "media_urls",
    "subject",
    "use_profile_webhooks",
    "webhook_url",
    "webhook_failover_url",
];

pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v2/messages", post(send))
        .route("/v2/messages/group_mms", post(send))
        .route("/v2/messages/{id}", get(message))
        .route("/v2/messaging_profiles", get(profiles))
        .fallback(async || error(404, 10005, "Resource not found"))
        .layer(from_fn_with_state(shared.clone(), authorised))
        .layer(from_fn_with_state(shared.troubles.clone(), meet))
        .route("/media/{id}/{at}", get(octets))
        .with_state(shared)
}

fn error(status: u16, code: u32, title: &str) -> Response {
    let body = json!({ "errors": [{ "code": code.to_string(), "title": title, "detail": title }] });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

async fn authorised(State(shared): Telnyx, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match given == Some(API_KEY) && !shared.troubles.now().refuses_credentials {
        true => next.run(request).await,
        false => error(401, 10009, "Authentication failed"),
    }
}

async fn send(State(shared): Telnyx, uri: Uri, headers: HeaderMap, octets: Bytes) -> Response {
    let Ok(body @ Value::Object(_)) = serde_json::from_slice::<Value>(&octets) else {
        return error(400, 10015, "Bad Request");
    };
    let group = uri.path().ends_with("/group_mms");
    let fields: &[&str] = if group { &GROUP_FIELDS } else { &FIELDS };
    let unknown = body
        .as_object()
        .into_iter()
        .flatten()
        .find(|(name, _)| !fields.contains(&name.as_str()));
    if let Some((name, _)) = unknown {
        return error(400, 10015, &format!("Unknown field {name}"));
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok());
    let valid = |key: &str| {
        (1..=255).contains(&key.len())
            && key
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"_:-".contains(&octet))
    };
    if key.is_some_and(|key| !valid(key)) {
        return error(400, 10015, "Invalid Idempotency-Key");
    }
    let place = key.map(|key| (uri.path().to_owned(), key.to_owned()));
    let mut world = shared.world();
    if let Some((known, answer)) = place.as_ref().and_then(|place| world.replays.get(place)) {
        return match known == &octets {
            true => Json(answer.clone()).into_response(),
            false => error(422, 10015, "Idempotency-Key was used with another request"),
        };
    }
    match world.take(&body, group) {
        Ok(sent) => {
            let answer = json!({ "data": sent.shown() });
            // Only what succeeded is replayed.
            if let Some(place) = place {
                world.replays.insert(place, (octets.to_vec(), answer.clone()));
            }
            Json(answer).into_response()
        }
        Err((status, code, title)) => error(status, code, title),
    }
}

async fn message(State(shared): Telnyx, Path(id): Path<String>) -> Response {
    let world = shared.world();
    let sent = world
        .sent
        .iter()
        .find(|sent| sent.id == id)
        .map(|sent| sent.shown());
    let came = || {
        world
            .inbox
            .iter()
            .find(|came| came.id == id)
            .map(|came| came.shown(&shared.api))
    };
    match sent.or_else(came) {
        Some(shown) => Json(json!({ "data": shown })).into_response(),
        None => error(404, 10005, "Resource not found"),
    }
}

async fn profiles() -> Json<Value> {
    Json(
        json!({ "data": [{ "record_type": "messaging_profile", "id": "4000eba1-a0c0-4563-9925-b25e842a7cb6", "name": "lab",
        "enabled": true }], "meta": { "total_pages": 1, "total_results": 1, "page_number": 1, "page_size": 1 } }),
    )
}

async fn octets(State(shared): Telnyx, Path((id, at)): Path<(String, usize)>) -> Response {
    let world = shared.world();
    let found = world
        .inbox
        .iter()
        .find(|came| came.id == id)
        .and_then(|came| came.files.get(at));
    match found {
        Some((mime, octets)) => ([(header::CONTENT_TYPE, mime.clone())], octets.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
