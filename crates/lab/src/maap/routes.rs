//! The API.

use super::state::{Received, Shared, number_of};
use super::{BOT, CLIENT, TOKEN};
use crate::trouble::meet;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

type Platform = State<Arc<Shared>>;

const LARGEST_FILE: usize = 20_000_000;

pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/rcs/bot/v1/{bot}/messages", post(send))
        .route(
            "/rcs/bot/v1/{bot}/messages/{id}/status",
            get(state).put(set_state),
        )
        .route("/rcs/bot/v1/{bot}/contactCapabilities", get(capabilities))
        .route("/rcs/bot/v1/{bot}/files", post(upload))
        .route("/rcs/bot/v1/{bot}/files/{id}", get(file).delete(forget))
        .route_layer(from_fn_with_state(shared.clone(), guarded))
        .route_layer(from_fn_with_state(shared.troubles.clone(), meet))
        .route("/content/{id}", get(content))
        .route("/oauth2/v1/token", post(token))
        .layer(DefaultBodyLimit::max(LARGEST_FILE))
        .with_state(shared)
}

/// As the clients understand a no.
fn no(status: u16, code: u32, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({ "reason": { "code": code, "text": text } }))).into_response()
}

async fn guarded(State(shared): Platform, request: Request, next: Next) -> Response {
    let bearer = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let known = bearer.is_some_and(|bearer| bearer == TOKEN || shared.world().tokens.contains(bearer));
    if !known || shared.troubles.now().refuses_credentials {
        return no(401, 1, "the token is not known");
    }
    if !request.uri().path().starts_with(&format!("/rcs/bot/v1/{BOT}/"))
        && !request
            .uri()
            .path()
            .starts_with(&format!("/rcs/bot/v1/{}/", BOT.replace('@', "%40")))
    {
        return no(404, 2, "there is no such bot");
    }
    next.run(request).await
}

async fn token(State(shared): Platform, headers: HeaderMap, body: Bytes) -> Response {
    let wanted = data_encoding::BASE64.encode(format!("{}:{}", CLIENT.0, CLIENT.1).as_bytes());
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let form: HashMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    if given.and_then(|given| given.strip_prefix("Basic ")) != Some(&wanted) {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({ "error": "invalid_client" })),
        )
            .into_response();
    }
    if form.get("grant_type").map(String::as_str) != Some("client_credentials") {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "unsupported_grant_type" })),
        )
            .into_response();
    }
    let mut world = shared.world();
    world.issued += 1;
    let token = world.id("token");
    world.tokens.insert(token.clone());
    Json(json!({ "access_token": token, "token_type": "Bearer", "expires_in": 600 })).into_response()
}

async fn send(State(shared): Platform, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return no(400, 3, "the body is no JSON");
    };
    let contact = body
        .pointer("/messageContact/userContact")
        .and_then(Value::as_str);
    let Some(contact) = contact else {
        return no(400, 4, "messageContact has neither userContact nor chatId");
    };
    let number = number_of(contact);
    let message = &body["RCSMessage"];
    if let Some(wrong) = wrong(message) {
        return no(400, 5, wrong);
    }
    let answer = {
        let mut world = shared.world();
        let Some(phone) = world.phones.get_mut(&number).filter(|phone| phone.rcs) else {
            return no(404, 6, "the contact cannot be reached by RCS");
        };
        if let Some(word) = message["isTyping"].as_str() {
            phone.typing.push(word.to_owned());
            return StatusCode::ACCEPTED.into_response();
        }
        let id = world.id("msg");
        world.messages.push(Received {
            id: id.clone(),
            contact: contact.to_owned(),
            message: message.clone(),
            state: "sent".to_owned(),
        });
        let mut answer = json!({ "RCSMessage": { "msgId": id, "status": "pending", "timestamp": "2027-01-15T08:00:00.000Z" },
            "messageContact": { "userContact": contact } });
        for (name, value) in world.beside.iter().filter_map(Value::as_object).flatten() {
            answer[name] = value.clone();
        }
        answer
    };
    shared.deliver(&number);
    (StatusCode::ACCEPTED, Json(answer)).into_response()
}

/// What is wrong with an `RCSMessage`.
fn wrong(message: &Value) -> Option<&'static str> {
    let there = |name: &str| !message[name].is_null();
    let kinds = [
        "textMessage",
        "richcardMessage",
        "fileMessage",
        "audioMessage",
        "geolocationPushMessage",
        "isTyping",
    ];
    if kinds.iter().filter(|kind| there(kind)).count() != 1 {
        return Some("RCSMessage has not exactly one content");
    }
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    if there("textMessage") && !text(&message["textMessage"]) {
        return Some("textMessage is empty");
    }
    if there("isTyping") && !matches!(message["isTyping"].as_str(), Some("active" | "idle")) {
        return Some("isTyping is neither active nor idle");
    }
    for kind in ["fileMessage", "audioMessage"] {
        if there(kind) && !text(&message[kind]["fileUrl"]) {
            return Some("fileUrl is required");
        }
    }
    if there("geolocationPushMessage") && !text(&message["geolocationPushMessage"]["pos"]) {
        return Some("pos is required");
    }
    let card = message.pointer("/richcardMessage/message/generalPurposeCard");
    let carousel = message.pointer("/richcardMessage/message/generalPurposeCardCarousel");
    if there("richcardMessage") && card.is_some() == carousel.is_some() {
        return Some("richcardMessage has neither a card nor a carousel");
    }
    if card.is_some_and(|card| {
        !matches!(
            card["layout"]["cardOrientation"].as_str(),
            Some("VERTICAL" | "HORIZONTAL")
        )
    }) {
        return Some("cardOrientation is required");
    }
    let several = carousel.and_then(|carousel| carousel["content"].as_array());
    if several.is_some_and(|cards| !(2..=10).contains(&cards.len())) {
        return Some("a carousel has from 2 to 10 cards");
    }
    let cards = card
        .map(|card| &card["content"])
        .into_iter()
        .chain(several.into_iter().flatten());
    for card in cards {
        let media = &card["media"];
        let empty = ["title", "description", "media"]
            .iter()
            .all(|name| card[*name].is_null());
        let needed = ["mediaUrl", "mediaContentType", "height"];
        let shown = media.is_null() || needed.iter().all(|name| text(&media[*name]));
        if empty || !shown {
            return Some("a card lacks what is required");
        }
        if let Some(wrong) = wrong_suggestions(&card["suggestions"], 4) {
            return Some(wrong);
        }
    }
    wrong_suggestions(&message["suggestedChipList"]["suggestions"], 11)
}

fn wrong_suggestions(suggestions: &Value, most: usize) -> Option<&'static str> {
    if suggestions.is_null() {
        return None;
    }
    let all = suggestions.as_array().map(Vec::as_slice).unwrap_or_default();
    let fits = |one: &Value| {
        let inner = one
            .get("reply")
            .or_else(|| one.get("action"))
            .unwrap_or(&Value::Null);
        let label = inner["displayText"]
            .as_str()
            .map_or(0, |label| label.chars().count());
        (1..=25).contains(&label)
            && inner["postback"]["data"]
                .as_str()
                .is_some_and(|data| data.len() <= 2048)
    };
    match !all.is_empty() && all.len() <= most && all.iter().all(fits) {
        true => None,
        false => Some("suggestions are none, too many or of another form"),
    }
}

async fn state(State(shared): Platform, Path((_, id)): Path<(String, String)>) -> Response {
    let world = shared.world();
    match world.messages.iter().find(|one| one.id == id) {
        Some(one) => Json(json!({ "RCSMessage": { "msgId": id, "status": one.state } })).into_response(),
        None => no(404, 7, "there is no such message"),
    }
}

async fn set_state(State(shared): Platform, Path((_, id)): Path<(String, String)>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut world = shared.world();
    match body["RCSMessage"]["status"].as_str() {
        Some("displayed") => match world.said.get_mut(&id) {
            Some(displayed) => {
                *displayed = true;
                StatusCode::NO_CONTENT.into_response()
            }
            None => no(404, 7, "there is no such message"),
        },
        Some("cancelled") => match world.messages.iter_mut().find(|one| one.id == id) {
            Some(one) if matches!(one.state.as_str(), "sent" | "cancelled") => {
                one.state = "cancelled".to_owned();
                StatusCode::NO_CONTENT.into_response()
            }
            Some(_) => no(409, 8, "the message was delivered"),
            None => no(404, 7, "there is no such message"),
        },
        _ => no(400, 5, "status is neither cancelled nor displayed"),
    }
}

async fn capabilities(State(shared): Platform, Query(query): Query<HashMap<String, String>>) -> Response {
    let Some(contact) = query.get("userContact") else {
        return no(400, 4, "userContact or chatId is required");
    };
    let world = shared.world();
    match world
        .phones
        .get(&number_of(contact))
        .is_some_and(|phone| phone.rcs)
    {
        true => Json(
            json!({ "capabilities": ["chat", "fileTransfer", "geolocationPush", "chatbotCommunication"] }),
        )
        .into_response(),
        false => no(404, 6, "the contact cannot be reached by RCS"),
    }
}

async fn upload(State(shared): Platform, mut form: Multipart) -> Response {
    let (mut kind, mut until, mut octets) = (None, None, None);
    while let Ok(Some(field)) = form.next_field().await {
        match field.name().unwrap_or_default().to_owned().as_str() {
            "fileType" => kind = field.text().await.ok(),
            "until" => until = field.text().await.ok(),
            "fileContent" => octets = field.bytes().await.ok(),
            _ => return no(400, 5, "there is no such field"),
        }
    }
    let (Some(kind), Some(_), Some(octets)) = (kind, until, octets) else {
        return no(400, 5, "fileType, until and fileContent are required");
    };
    let id = {
        let mut world = shared.world();
        let id = world.id("file");
        let ready = !world.readies_files_late;
        world.files.insert(id.clone(), (kind, octets.to_vec(), ready));
        id
    };
    (StatusCode::CREATED, Json(about(&shared, &id))).into_response()
}

fn about(shared: &Shared, id: &str) -> Value {
    let world = shared.world();
    let Some((_, octets, ready)) = world.files.get(id) else {
        return Value::Null;
    };
    let status = if *ready { "ready" } else { "pending" };
    let mut file = json!({ "fileId": id, "fileSize": octets.len(), "status": status });
    if *ready {
        file["fileUrl"] = format!("{}/content/{id}", shared.base).into();
    }
    json!({ "file": file })
}

async fn file(State(shared): Platform, Path((_, id)): Path<(String, String)>) -> Response {
    match shared.world().files.get_mut(&id) {
        Some((_, _, ready)) => *ready = true,
        None => return no(404, 7, "there is no such file"),
    }
    Json(about(&shared, &id)).into_response()
}

async fn forget(State(shared): Platform, Path((_, id)): Path<(String, String)>) -> Response {
    match shared.world().files.remove(&id) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => no(404, 7, "there is no such file"),
    }
}

async fn content(State(shared): Platform, Path(id): Path<String>, headers: HeaderMap) -> Response {
    // The bot's token is of no use there, and not to be shown.
    if headers.contains_key(header::AUTHORIZATION) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    match shared.world().files.get(&id) {
        Some((mime, octets, true)) => {
            ([(header::CONTENT_TYPE, mime.clone())], octets.clone()).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
