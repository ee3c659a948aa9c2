//! The API.

use super::state::{Received, Shared, Stage};
use super::{AGENT, check, sign_in};
use crate::trouble::meet;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

type Google = State<Arc<Shared>>;
type Asked = Query<HashMap<String, String>>;

/// How many numbers may be asked after at once.
const LIST: std::ops::RangeInclusive<usize> = 500..=10_000;
const LARGEST_FILE: usize = 101_000_000;

pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/phones/{number}/agentMessages", post(send))
        .route("/v1/phones/{number}/agentMessages/{id}", delete(revoke))
        .route("/v1/phones/{number}/agentEvents", post(event))
        .route("/v1/phones/{number}/capabilities", get(capabilities))
        .route("/v1/users:batchGet", post(batch))
        .route("/upload/v1/files", post(upload))
        .route_layer(from_fn_with_state(shared.clone(), guarded))
        .route_layer(from_fn_with_state(shared.troubles.clone(), meet))
        .route("/files/{id}", get(file))
        .route("/token", post(sign_in::token))
        .layer(DefaultBodyLimit::max(LARGEST_FILE))
        .with_state(shared)
}

/// As Google says no.
pub fn error(status: u16, word: &str, message: &str, field: Option<&str>) -> Response {
    let mut error = json!({ "code": status, "message": message, "status": word });
    if let Some(field) = field {
        error["details"] = json!([{ "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{ "field": field, "description": message }] }]);
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({ "error": error }))).into_response()
}

async fn guarded(State(shared): Google, request: Request, next: Next) -> Response {
    let now = shared.now();
    let bearer = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let known = bearer.is_some_and(|token| shared.world().tokens.get(token).is_some_and(|ends| *ends > now));
    if !known || shared.troubles.now().refuses_credentials {
        let message = "Request had invalid authentication credentials.";
        return sign_in::dated(now, error(401, "UNAUTHENTICATED", message, None));
    }
    sign_in::dated(now, next.run(request).await)
}

/// Whether this agent may speak with this phone.
fn reached(shared: &Shared, number: &str, query: &HashMap<String, String>) -> Result<(), Box<Response>> {
    let no = |status, word, message| Err(Box::new(error(status, word, message, None)));
    if query.get("agentId").map(String::as_str) != Some(AGENT) {
        return no(403, "PERMISSION_DENIED", "The caller does not have permission");
    }
    let digits = number.strip_prefix('+').unwrap_or_default();
    if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Box::new(error(
            400,
            "INVALID_ARGUMENT",
            "The phone number is not E.164",
            Some("name"),
        )));
    }
    let world = shared.world();
    match world.phones.get(number) {
        Some(phone) if !phone.tester => no(
            403,
            "PERMISSION_DENIED",
            "The agent is not launched and the user is not a tester",
        ),
        Some(phone) if phone.rcs => Ok(()),
        _ => no(404, "NOT_FOUND", "Requested entity was not found."),
    }
}

async fn capabilities(State(shared): Google, Path(number): Path<String>, Query(query): Asked) -> Response {
    if query.get("requestId").is_none_or(String::is_empty) {
        return error(
            400,
            "INVALID_ARGUMENT",
            "requestId is required",
            Some("request_id"),
        );
    }
    if let Err(no) = reached(&shared, &number, &query) {
        return *no;
    }
    let world = shared.world();
    let features = world.phones.get(&number).map(|phone| phone.features.clone());
    Json(json!({ "features": features.unwrap_or_default() })).into_response()
}

async fn batch(State(shared): Google, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if body["agentId"] != AGENT {
        return error(
            403,
            "PERMISSION_DENIED",
            "The caller does not have permission",
            None,
        );
    }
    let users: Vec<&str> = body["users"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let unique: std::collections::BTreeSet<&str> = users.iter().copied().collect();
    if !LIST.contains(&unique.len()) {
        return error(
            400,
            "INVALID_ARGUMENT",
            "from 500 to 10000 unique users",
            Some("users"),
        );
    }
    let world = shared.world();
    let has = |number: &&str| {
        world
            .phones
            .get(*number)
            .is_some_and(|phone| phone.rcs && phone.tester)
    };
    let reachable: Vec<&str> = unique.into_iter().filter(has).collect();
    let sample = reachable.len() * 3 / 4;
    let body = json!({ "reachableUsers": reachable, "totalRandomSampleUserCount": users.len() * 3 / 4,
        "reachableRandomSampleUserCount": sample });
    Json(body).into_response()
}

async fn send(
    State(shared): Google,
    Path(number): Path<String>,
    Query(query): Asked,
    body: Bytes,
) -> Response {
    let Some(id) = query
        .get("messageId")
        .filter(|id| !id.is_empty() && id.len() <= 64)
    else {
        return error(
            400,
            "INVALID_ARGUMENT",
            "messageId is required",
            Some("message_id"),
        );
    };
    if let Err(no) = reached(&shared, &number, &query) {
        return *no;
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.", None);
    };
    let now = shared.now();
    let over_at = {
        let world = shared.world();
        let features = world
            .phones
            .get(&number)
            .map(|phone| phone.features.clone())
            .unwrap_or_default();
        match check::message(&message, &features, now, |file| world.uploads.contains_key(file)) {
            Ok(over_at) => over_at,
            Err(check::Wrong { field, message }) => {
                return error(400, "INVALID_ARGUMENT", message, Some(&field));
            }
        }
    };
    let kept = {
        let mut world = shared.world();
        // A second message with an id is passed over without a word.
        let known = world.messages.iter().find(|known| known.id == *id).cloned();
        match known {
            Some(known) => known,
            None => {
                let new = Received {
                    id: id.clone(),
                    number: number.clone(),
                    message,
                    stage: Stage::Waits,
                    over_at,
                };
                world.messages.push(new.clone());
                new
            }
        }
    };
    shared.deliver(&number);
    let mut answer = kept.message;
    answer["name"] = format!("phones/{number}/agentMessages/{id}").into();
    answer["sendTime"] = now.to_string().into();
    Json(answer).into_response()
}

async fn revoke(
    State(shared): Google,
    Path((number, id)): Path<(String, String)>,
    Query(query): Asked,
) -> Response {
    if query.get("agentId").map(String::as_str) != Some(AGENT) {
        return error(
            403,
            "PERMISSION_DENIED",
            "The caller does not have permission",
            None,
        );
    }
    let mut world = shared.world();
    let found = world
        .messages
        .iter_mut()
        .find(|one| one.id == id && one.number == number);
    match found {
        Some(one) if matches!(one.stage, Stage::Waits | Stage::Revoked) => {
            one.stage = Stage::Revoked;
            Json(json!({})).into_response()
        }
        // It was delivered; or there never was one.
        _ => error(404, "NOT_FOUND", "Requested entity was not found.", None),
    }
}

async fn event(
    State(shared): Google,
    Path(number): Path<String>,
    Query(query): Asked,
    body: Bytes,
) -> Response {
    let Some(id) = query.get("eventId").filter(|id| !id.is_empty()) else {
        return error(400, "INVALID_ARGUMENT", "eventId is required", Some("event_id"));
    };
    if let Err(no) = reached(&shared, &number, &query) {
        return *no;
    }
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let fits = match event["eventType"].as_str() {
        Some("READ") => event["messageId"].is_string(),
        Some("IS_TYPING") => event.get("messageId").is_none(),
        _ => false,
    };
    if !fits {
        return error(
            400,
            "INVALID_ARGUMENT",
            "Invalid event",
            Some("agent_event.event_type"),
        );
    }
    if let Some(phone) = shared.world().phones.get_mut(&number) {
        phone.marks.push(event.clone());
    }
    let mut answer = event;
    answer["name"] = format!("phones/{number}/agentEvents/{id}").into();
    answer["sendTime"] = shared.now().to_string().into();
    Json(answer).into_response()
}

async fn upload(State(shared): Google, Query(query): Asked, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let wrong = |message| error(400, "INVALID_ARGUMENT", message, None);
    if query.get("uploadType").map(String::as_str) != Some("multipart") {
        return wrong("uploadType is not multipart");
    }
    let Some(boundary) = kind.strip_prefix("multipart/related; boundary=") else {
        return wrong("Multipart body is missing");
    };
    let Some((about, mime, octets)) = related(&body, boundary) else {
        return wrong("Multipart body does not have two parts");
    };
    if about["agentId"] != AGENT {
        return error(
            403,
            "PERMISSION_DENIED",
            "The caller does not have permission",
            None,
        );
    }
    let carried = ["image/", "video/", "audio/"]
        .iter()
        .any(|start| mime.starts_with(start))
        || matches!(mime.as_str(), "application/pdf" | "application/ogg");
    if !carried {
        return wrong("Unsupported content type");
    }
    let mut world = shared.world();
    let name = format!("files/{}", world.id("upload"));
    world.uploads.insert(name.clone(), (mime, octets));
    Json(json!({ "name": name })).into_response()
}

/// The two parts of RFC 2387: what is said of the file, and the file with its type.
fn related(body: &[u8], boundary: &str) -> Option<(Value, String, Vec<u8>)> {
    let find = |from: usize, what: &[u8]| {
        let found = body
            .get(from..)?
            .windows(what.len())
            .position(|window| window == what)?;
        Some(from + found)
    };
    let open = format!("--{boundary}\r\n");
    let close = format!("\r\n--{boundary}--");
    let between = format!("\r\n--{boundary}\r\n");
    body.starts_with(open.as_bytes()).then_some(())?;
    let first = find(0, b"\r\n\r\n")? + 4;
    let middle = find(first, between.as_bytes())?;
    let second = middle + between.len();
    let octets = find(second, b"\r\n\r\n")? + 4;
    let end = find(octets, close.as_bytes())?;
    let heads = std::str::from_utf8(&body[second..octets]).ok()?;
    let mime = heads
        .lines()
        .find_map(|line| line.strip_prefix("Content-Type: "))?;
    let about = serde_json::from_slice(&body[first..middle]).ok()?;
    Some((about, mime.to_owned(), body[octets..end].to_vec()))
}

async fn file(State(shared): Google, Path(id): Path<String>, headers: HeaderMap) -> Response {
    // Google's storage has addresses that nobody can guess, and no use for our token.
    if headers.contains_key(header::AUTHORIZATION) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let world = shared.world();
    if let Some(status) = world.files_answer {
        return StatusCode::from_u16(status)
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
    }
    match world.files.get(&id) {
        Some((mime, octets)) => ([(header::CONTENT_TYPE, mime.clone())], octets.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
