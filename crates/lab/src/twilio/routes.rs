//! The API.

use super::state::{Shared, written};
use super::{ACCOUNT, AUTH_TOKEN};
use crate::trouble::meet;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;

type Twilio = State<Arc<Shared>>;

/// What `POST …/Messages.json` takes, of Twilio's OpenAPI file.
const PARAMETERS: [&str; 26] = [
    "To",
    "StatusCallback",
    "ApplicationSid",
    "MaxPrice",
    "ProvideFeedback",
    "Attempt",
    "ValidityPeriod",
    "ForceDelivery",
    "ContentRetention",
    "AddressRetention",
    "SmartEncoded",
    "PersistentAction",
    "TrafficType",
    "ShortenUrls",
    "ScheduleType",
    "SendAt",
    "SendAsMms",
    "ContentVariables",
    "MessageIntent",
    "RiskCheck",
    "From",
    "FallbackFrom",
    "MessagingServiceSid",
    "Body",
    "MediaUrl",
    "ContentSid",
];

pub fn routes(shared: Arc<Shared>) -> Router {
    let account = format!("/2010-04-01/Accounts/{ACCOUNT}");
    Router::new()
        .route(&format!("{account}/Messages.json"), post(create).get(list))
        .route(&format!("{account}/Messages/{{sid}}"), get(message))
        .route(&format!("{account}/Messages/{{sid}}/Media.json"), get(media))
        .route(&format!("{account}/Messages/{{sid}}/Media/{{file}}"), get(file))
        .merge(super::conversations::routes())
        .merge(super::content::routes())
        .fallback(async || error(404, 20404, "The requested resource was not found"))
        .layer(from_fn_with_state(shared.clone(), authorised))
        .layer(from_fn_with_state(shared.troubles.clone(), meet))
        .with_state(shared)
}

/// Where the files are: a host that takes no credentials.
pub fn files(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/media/{file}", get(conversation_octets))
        .route("/{sid}/{file}", get(octets))
        .with_state(shared)
}

pub fn error(status: u16, code: u32, message: &str) -> Response {
    let body = json!({ "code": code, "message": message, "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

async fn authorised(State(shared): Twilio, request: Request, next: Next) -> Response {
    let wanted = data_encoding::BASE64.encode(format!("{ACCOUNT}:{AUTH_TOKEN}").as_bytes());
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Basic "));
    match given == Some(wanted.as_str()) && !shared.troubles.now().refuses_credentials {
        true => next.run(request).await,
        false => error(401, 20003, "Authenticate"),
    }
}

async fn create(State(shared): Twilio, body: Bytes) -> Response {
    let parameters: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    if let Some((name, _)) = parameters
        .iter()
        .find(|(name, _)| !PARAMETERS.contains(&name.as_str()))
    {
        // Twilio itself passes it over: here it is a mistake of ours.
        return error(400, 20001, &format!("Unknown parameter {name}"));
    }
    match shared.world().take(parameters) {
        Ok(sent) => (StatusCode::CREATED, Json(sent.shown())).into_response(),
        Err((status, code, message)) => error(status, code, message),
    }
}

async fn message(State(shared): Twilio, Path(sid): Path<String>) -> Response {
    let world = shared.world();
    let sid = sid.strip_suffix(".json").unwrap_or(&sid);
    let sent = world
        .sent
        .iter()
        .find(|sent| sent.sid == sid)
        .map(|sent| sent.shown());
    let came = || {
        world
            .inbox
            .iter()
            .find(|came| came.sid == sid)
            .map(|came| came.shown())
    };
    match sent.or_else(came) {
        Some(shown) => Json(shown).into_response(),
        None => error(404, 20404, "The requested resource was not found"),
    }
}

/// The newest first, by pages.
async fn list(State(shared): Twilio, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let get = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let number =
        |name: &str, otherwise: usize| get(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let (size, page) = (number("PageSize", 50).clamp(1, 1000), number("Page", 0));
    let (to, from, since) = (get("To"), get("From"), get("DateSent>"));
    let world = shared.world();
    let mut all: Vec<(i64, Value)> = world.sent.iter().map(|sent| (sent.at, sent.shown())).collect();
    all.extend(world.inbox.iter().map(|came| (came.at, came.shown())));
    all.sort_by_key(|(at, _)| -at);
    let wanted = |(at, shown): &(i64, Value)| {
        let day = swingbridge_domain::clock::Timestamp(at * 1000).to_string();
        to.as_ref().is_none_or(|to| shown["to"] == **to)
            && from.as_ref().is_none_or(|from| shown["from"] == **from)
            && since
                .as_ref()
                .is_none_or(|since| day[..10] >= since[..since.len().min(10)])
    };
    let found: Vec<Value> = all.into_iter().filter(wanted).map(|(_, shown)| shown).collect();
    let more = found.len() > (page + 1) * size;
    let uri = |page: usize| {
        let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "Page");
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .append_pair("Page", &page.to_string())
            .finish();
        format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?{query}")
    };
    let messages: Vec<Value> = found.into_iter().skip(page * size).take(size).collect();
    Json(json!({
        "messages": messages, "page": page, "page_size": size, "start": page * size, "end": page * size + size - 1,
        "uri": uri(page), "first_page_uri": uri(0), "next_page_uri": more.then(|| uri(page + 1)), "previous_page_uri": null,
    }))
    .into_response()
}

async fn media(State(shared): Twilio, Path(sid): Path<String>) -> Response {
    let world = shared.world();
    let Some(came) = world.inbox.iter().find(|came| came.sid == sid) else {
        return error(404, 20404, "The requested resource was not found");
    };
    let list: Vec<Value> = came
        .files
        .iter()
        .enumerate()
        .map(|(at, (mime, _))| {
            let file = came.file_sid(at);
            json!({ "sid": file, "account_sid": ACCOUNT, "parent_sid": sid, "content_type": mime,
                "date_created": written(came.at), "date_updated": written(came.at),
                "uri": format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}/Media/{file}.json") })
        })
        .collect();
    Json(
        json!({ "media_list": list, "page": 0, "page_size": 50, "start": 0, "end": 49, "next_page_uri": null,
        "previous_page_uri": null, "first_page_uri": null, "uri": "" }),
    )
    .into_response()
}

async fn file(State(shared): Twilio, Path((sid, file)): Path<(String, String)>) -> Response {
    let world = shared.world();
    let found = world
        .inbox
        .iter()
        .find(|came| came.sid == sid)
        .and_then(|came| came.file(&file));
    match found {
        Some(_) => Redirect::temporary(&format!("{}/{sid}/{file}", shared.files)).into_response(),
        None => error(404, 20404, "The requested resource was not found"),
    }
}

async fn octets(
    State(shared): Twilio,
    Path((sid, file)): Path<(String, String)>,
    request: Request,
) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return (
            StatusCode::BAD_REQUEST,
            "only one way of authorisation is allowed",
        )
            .into_response();
    }
    let world = shared.world();
    let found = world
        .inbox
        .iter()
        .find(|came| came.sid == sid)
        .and_then(|came| came.file(&file));
    match found {
        Some((mime, octets)) => ([(header::CONTENT_TYPE, mime.clone())], octets.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A link that opens by itself, for a time.
async fn conversation_octets(State(shared): Twilio, Path(file): Path<String>, request: Request) -> Response {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return (
            StatusCode::BAD_REQUEST,
            "only one way of authorisation is allowed",
        )
            .into_response();
    }
    match shared.world().media.get(&file) {
        Some((mime, octets)) => ([(header::CONTENT_TYPE, mime.clone())], octets.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
