//! Questions of the homeserver: who a user or a room is, and who has a number.

use super::AppService;
use crate::routes::{error, query};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use swingbridge_domain::directory::DirectoryError;

/// Which parameter a number comes in.
const FIELD: &str = "phone";

/// Whether a user of our namespace exists. A ghost is one that the directory knows; it is registered before the answer, as the
/// homeserver expects.
pub(super) async fn user(State(parts): State<AppService>, Path(user): Path<String>) -> Response {
    if user == parts.matrix.names().bot() {
        return match parts.matrix.ensure_bot().await {
            Ok(()) => Json(json!({})).into_response(),
            Err(failure) => later(&failure.to_string()),
        };
    }
    let Some(pseudonym) = parts.matrix.names().pseudonym(&user) else {
        return absent("this user is not ours");
    };
    let ghost = match parts.directory.ghost(pseudonym).await {
        Ok(Some(ghost)) => ghost,
        Ok(None) => return absent("there is no such user"),
        Err(failure) => return unavailable(&failure),
    };
    match parts.matrix.ensure_ghost(&ghost).await {
        Ok(_) => Json(json!({})).into_response(),
        Err(failure) => later(&failure.to_string()),
    }
}

/// Rooms are made with their alias, so what is asked for is not there.
pub(super) async fn alias() -> Response {
    absent("there is no such room")
}

/// The homeserver tries whether it reaches us.
pub(super) async fn ping() -> Response {
    metrics::counter!("swingbridge_homeserver_pings_total").increment(1);
    Json(json!({})).into_response()
}

/// What clients show to people who want to find somebody on a network.
pub(super) async fn protocol(State(parts): State<AppService>, Path(protocol): Path<String>) -> Response {
    let Some(protocol) = parts
        .matrix
        .config
        .protocols
        .iter()
        .find(|known| known.id == protocol)
    else {
        return absent("there is no such network");
    };
    Json(json!({
        "user_fields": [FIELD],
        "location_fields": [FIELD],
        "icon": parts.matrix.config.bot_avatar.as_deref().unwrap_or_default(),
        "field_types": { FIELD: { "regexp": r"\+?[0-9 ().-]{3,24}", "placeholder": "+44 20 7946 0123" } },
        "instances": [{
            "network_id": protocol.id,
            "desc": protocol.name,
            "icon": parts.matrix.config.bot_avatar.as_deref().unwrap_or_default(),
            "fields": {},
        }],
    }))
    .into_response()
}

/// The ghost of a number. It is made at once, since the client goes on to invite it.
pub(super) async fn third_party_user(
    State(parts): State<AppService>,
    Path(protocol): Path<String>,
    uri: Uri,
) -> Response {
    let known = parts
        .matrix
        .config
        .protocols
        .iter()
        .any(|known| known.id == protocol);
    let number = query(&uri, FIELD).or_else(|| query(&uri, "msisdn"));
    let (true, Some(number)) = (known, number) else {
        return Json(json!([])).into_response();
    };
    match parts.directory.resolve(None, None, &number, false).await {
        Ok(resolved) => match parts.matrix.ensure_ghost(&resolved.ghost).await {
            Ok(user) => Json(json!([{ "userid": user, "protocol": protocol, "fields": { FIELD: number } }]))
                .into_response(),
            Err(failure) => later(&failure.to_string()),
        },
        Err(DirectoryError::Unavailable(detail)) => later(&detail),
        Err(_) => Json(json!([])).into_response(),
    }
}

/// There is no room of a number that anybody may join.
pub(super) async fn third_party_location() -> Response {
    nothing().await
}

/// Nobody is told the number of a ghost.
pub(super) async fn nothing() -> Response {
    Json(json!([])).into_response()
}

fn absent(text: &str) -> Response {
    error(StatusCode::NOT_FOUND, "M_NOT_FOUND", text)
}

fn unavailable(failure: &DirectoryError) -> Response {
    later(&failure.to_string())
}

fn later(detail: &str) -> Response {
    tracing::warn!(detail, "a question of the homeserver cannot be answered now");
    error(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", "not now; ask again")
}
