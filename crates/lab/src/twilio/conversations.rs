//! The Conversations API (v1, by service) and the Media Content Service.

use super::groups::{Conversation, NOT_THERE, Participant, Refused, Said};
use super::routes::error;
use super::state::Shared;
use super::{ACCOUNT, CONVERSATIONS, SERVICE};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use serde_json::{Value, json};
use std::sync::Arc;

type Twilio = State<Arc<Shared>>;

/// What each takes, of Twilio's OpenAPI file.
const MAKE: [&str; 12] = [
    "FriendlyName",
    "UniqueName",
    "DateCreated",
    "DateUpdated",
    "MessagingServiceSid",
    "Attributes",
    "State",
    "Timers.Inactive",
    "Timers.Closed",
    "Bindings.Email.Address",
    "Bindings.Email.Name",
    "Participant",
];
const SAY: [&str; 9] = [
    "Author",
    "Body",
    "DateCreated",
    "DateUpdated",
    "Attributes",
    "MediaSid",
    "ContentSid",
    "ContentVariables",
    "Subject",
];
const JOIN: [&str; 8] = [
    "Identity",
    "MessagingBinding.Address",
    "MessagingBinding.ProxyAddress",
    "DateCreated",
    "DateUpdated",
    "Attributes",
    "MessagingBinding.ProjectedAddress",
    "RoleSid",
];

pub fn routes() -> Router<Arc<Shared>> {
    let service = format!("/v1/Services/{CONVERSATIONS}");
    let one = format!("{service}/Conversations/{{sid}}");
    Router::new()
        .route(&format!("{service}/ConversationWithParticipants"), post(make))
        .route(
            &format!("{service}/ParticipantConversations"),
            get(of_participant),
        )
        .route(&one, get(conversation).delete(remove))
        .route(&format!("{one}/Participants"), get(participants).post(join))
        .route(&format!("{one}/Participants/{{who}}"), delete(leave))
        .route(&format!("{one}/Messages"), get(messages).post(say))
        .route(&format!("{one}/Messages/{{message}}"), get(message))
        .route(&format!("{one}/Messages/{{message}}/Receipts"), get(receipts))
        .route(&format!("{service}/Media"), post(upload))
        .route(&format!("{service}/Media/{{file}}"), get(file))
}

fn refused((status, code, words): Refused) -> Response {
    error(status, code, words)
}

/// A form with known parameters only, or what is wrong with it.
fn form(body: &Bytes, known: &[&str]) -> Result<Vec<(String, String)>, String> {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    match form.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        // Twilio itself passes it over: here it is a mistake of ours.
        Some((name, _)) => Err(format!("Unknown parameter {name}")),
        None => Ok(form),
    }
}

fn value(form: &[(String, String)], name: &str) -> Option<String> {
    let found = form.iter().find(|(known, _)| known == name);
    found
        .map(|(_, value)| value.clone())
        .filter(|value| !value.is_empty())
}

fn moment(at: i64) -> String {
    swingbridge_domain::clock::Timestamp(at * 1000).to_string()
}

fn page(key: &str, list: Vec<Value>) -> Response {
    let meta = json!({ "page": 0, "page_size": 50, "first_page_url": "", "previous_page_url": null, "url": "", "next_page_url": null,
        "key": key });
    Json(json!({ key: list, "meta": meta })).into_response()
}

fn shown(one: &Conversation) -> Value {
    json!({
        "sid": one.sid, "account_sid": ACCOUNT, "chat_service_sid": CONVERSATIONS, "messaging_service_sid": SERVICE,
        "friendly_name": "Swingbridge", "unique_name": null, "attributes": "{}",
        "state": if one.closed { "closed" } else { "active" }, "date_created": moment(one.at), "date_updated": moment(one.at),
        "timers": {}, "bindings": {}, "links": {}, "url": "",
    })
}

fn participant_shown(conversation: &str, one: &Participant) -> Value {
    let binding = match (&one.address, &one.projected) {
        (Some(address), _) => json!({ "type": "sms", "address": address, "proxy_address": one.proxy }),
        (None, Some(projected)) => json!({ "type": "sms", "projected_address": projected }),
        (None, None) => Value::Null,
    };
    json!({
        "sid": one.sid, "account_sid": ACCOUNT, "chat_service_sid": CONVERSATIONS, "conversation_sid": conversation,
        "identity": null, "attributes": "{}", "messaging_binding": binding, "role_sid": null,
        "date_created": moment(one.at), "date_updated": moment(one.at), "last_read_message_index": null,
        "last_read_timestamp": null, "url": "",
    })
}

pub fn message_shown(shared: &Shared, conversation: &str, one: &Said) -> Value {
    let world = shared.world();
    let media = |file: &String| {
        let (mime, octets) = world.media.get(file)?;
        Some(
            json!({ "sid": file, "category": "media", "content_type": mime, "filename": null, "size": octets.len() }),
        )
    };
    let media: Vec<Value> = one.media.iter().filter_map(media).collect();
    json!({
        "sid": one.sid, "account_sid": ACCOUNT, "chat_service_sid": CONVERSATIONS, "conversation_sid": conversation,
        "index": one.index, "author": one.author, "body": if one.text.is_empty() { Value::Null } else { one.text.as_str().into() },
        "media": if media.is_empty() { Value::Null } else { media.into() }, "attributes": "{}", "participant_sid": one.participant,
        "date_created": moment(one.at), "date_updated": moment(one.at), "delivery": null, "content_sid": null, "links": {}, "url": "",
    })
}

async fn make(State(shared): Twilio, body: Bytes) -> Response {
    let form = match form(&body, &MAKE) {
        Ok(form) => form,
        Err(words) => return error(400, 20001, &words),
    };
    let mut participants = Vec::new();
    for (_, told) in form.iter().filter(|(name, _)| name == "Participant") {
        let Ok(told) = serde_json::from_str::<Value>(told) else {
            return error(400, 20001, "Participant is no JSON");
        };
        let text = |name: &str| told["messaging_binding"][name].as_str().map(str::to_owned);
        participants.push(Participant {
            address: text("address"),
            proxy: text("proxy_address"),
            projected: text("projected_address"),
            ..Participant::default()
        });
    }
    match shared.world().converse(participants) {
        Ok(made) => (StatusCode::CREATED, Json(shown(&made))).into_response(),
        Err(no) => refused(no),
    }
}

async fn of_participant(State(shared): Twilio, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let wanted = url::form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "Address")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let world = shared.world();
    let found = world.conversations.iter().filter_map(|one| {
        let who = one
            .participants
            .iter()
            .find(|who| who.address.as_deref() == Some(&wanted))?;
        Some(json!({
            "account_sid": ACCOUNT, "chat_service_sid": CONVERSATIONS, "participant_sid": who.sid, "participant_user_sid": null,
            "participant_identity": null, "participant_messaging_binding": participant_shown(&one.sid, who)["messaging_binding"],
            "conversation_sid": one.sid, "conversation_unique_name": null, "conversation_friendly_name": "Swingbridge",
            "conversation_attributes": "{}", "conversation_date_created": moment(one.at), "conversation_date_updated": moment(one.at),
            "conversation_created_by": "system", "conversation_state": if one.closed { "closed" } else { "active" },
            "conversation_timers": {}, "links": {},
        }))
    });
    page("conversations", found.collect())
}

async fn conversation(State(shared): Twilio, Path(sid): Path<String>) -> Response {
    match shared.world().conversation(&sid) {
        Some(one) => Json(shown(one)).into_response(),
        None => refused(NOT_THERE),
    }
}

async fn remove(State(shared): Twilio, Path(sid): Path<String>) -> StatusCode {
    shared.world().conversations.retain(|one| one.sid != sid);
    StatusCode::NO_CONTENT
}

async fn participants(State(shared): Twilio, Path(sid): Path<String>) -> Response {
    match shared.world().conversation(&sid) {
        Some(one) => page(
            "participants",
            one.participants
                .iter()
                .map(|who| participant_shown(&sid, who))
                .collect(),
        ),
        None => refused(NOT_THERE),
    }
}

async fn join(State(shared): Twilio, Path(sid): Path<String>, body: Bytes) -> Response {
    let form = match form(&body, &JOIN) {
        Ok(form) => form,
        Err(words) => return error(400, 20001, &words),
    };
    let joins = Participant {
        address: value(&form, "MessagingBinding.Address"),
        proxy: value(&form, "MessagingBinding.ProxyAddress"),
        projected: value(&form, "MessagingBinding.ProjectedAddress"),
        ..Participant::default()
    };
    match shared.world().join(&sid, joins) {
        Ok(who) => (StatusCode::CREATED, Json(participant_shown(&sid, &who))).into_response(),
        Err(no) => refused(no),
    }
}

async fn leave(State(shared): Twilio, Path((sid, who)): Path<(String, String)>) -> Response {
    match shared.world().conversation(&sid) {
        Some(one) => {
            one.participants.retain(|known| known.sid != who);
            StatusCode::NO_CONTENT.into_response()
        }
        None => refused(NOT_THERE),
    }
}

/// The newest first, when that is wanted.
async fn messages(State(shared): Twilio, Path(sid): Path<String>, RawQuery(query): RawQuery) -> Response {
    let Some(mut found) = shared.world().conversation(&sid).map(|one| one.messages.clone()) else {
        return refused(NOT_THERE);
    };
    if query.is_some_and(|query| query.contains("Order=desc")) {
        found.reverse();
    }
    let list = found.iter().map(|one| message_shown(&shared, &sid, one));
    page("messages", list.collect())
}

fn find(shared: &Shared, sid: &str, message: &str) -> Option<Said> {
    let mut world = shared.world();
    let one = world.conversation(sid)?;
    one.messages.iter().find(|one| one.sid == message).cloned()
}

async fn message(State(shared): Twilio, Path((sid, message)): Path<(String, String)>) -> Response {
    match find(&shared, &sid, &message) {
        Some(one) => Json(message_shown(&shared, &sid, &one)).into_response(),
        None => refused(NOT_THERE),
    }
}

async fn receipts(State(shared): Twilio, Path((sid, message)): Path<(String, String)>) -> Response {
    let Some(one) = find(&shared, &sid, &message) else {
        return refused(NOT_THERE);
    };
    let list = one.receipts.iter().map(|(who, status, code)| {
        json!({
            "account_sid": ACCOUNT, "chat_service_sid": CONVERSATIONS, "conversation_sid": sid, "message_sid": message,
            "sid": who.replacen("MB", "DY", 1), "channel_message_sid": who.replacen("MB", "SM", 1), "participant_sid": who,
            "status": status, "error_code": code.unwrap_or_default(), "date_created": moment(one.at), "date_updated": moment(one.at),
            "url": "",
        })
    });
    page("delivery_receipts", list.collect())
}

async fn say(State(shared): Twilio, Path(sid): Path<String>, body: Bytes) -> Response {
    let form = match form(&body, &SAY) {
        Ok(form) => form,
        Err(words) => return error(400, 20001, &words),
    };
    let author = value(&form, "Author").unwrap_or_else(|| "system".to_owned());
    let text = value(&form, "Body").unwrap_or_default();
    let media = value(&form, "MediaSid").into_iter().collect();
    let said = shared.world().say(&sid, &author, &text, media);
    match said {
        Ok(said) => (StatusCode::CREATED, Json(message_shown(&shared, &sid, &said))).into_response(),
        Err(no) => refused(no),
    }
}

async fn upload(State(shared): Twilio, headers: HeaderMap, body: Bytes) -> Response {
    let mime = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/octet-stream")
        .to_owned();
    if body.is_empty() {
        return error(400, 20001, "There is no content");
    }
    let mut world = shared.world();
    let sid = world.sid("ME");
    world.media.insert(sid.clone(), (mime, body.to_vec()));
    drop(world);
    (StatusCode::CREATED, Json(file_shown(&shared, &sid))).into_response()
}

async fn file(State(shared): Twilio, Path(file): Path<String>) -> Response {
    if !shared.world().media.contains_key(&file) {
        return refused(NOT_THERE);
    }
    Json(file_shown(&shared, &file)).into_response()
}

fn file_shown(shared: &Shared, sid: &str) -> Value {
    let world = shared.world();
    let (mime, size) = world
        .media
        .get(sid)
        .map(|(mime, octets)| (mime.clone(), octets.len()))
        .unwrap_or_default();
    json!({
        "sid": sid, "account_sid": ACCOUNT, "service_sid": CONVERSATIONS, "channel_sid": null, "message_sid": null, "size": size,
        "content_type": mime, "filename": null, "author": "system", "category": "media", "is_multipart_upstream": false,
        "date_created": moment(world.now), "date_updated": moment(world.now), "url": "",
        "links": { "content": format!("{}/v1/Services/{CONVERSATIONS}/Media/{sid}/Content", shared.api),
            "content_direct_temporary": format!("{}/media/{sid}", shared.files) },
    })
}
