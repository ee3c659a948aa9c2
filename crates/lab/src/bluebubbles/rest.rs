//! The REST API: reading. Sends are in [`super::sends`].

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::shapes::{self, With};
use super::world::Row;
use super::{Mac, sends};

type Params = Query<HashMap<String, String>>;

pub(super) fn routes() -> Router<Arc<Mac>> {
    let api = Router::new()
        .route(
            "/ping",
            get(|| async { success("Ping received!", json!("pong")) }),
        )
        .route("/server/info", get(info))
        .route("/message/count", get(count))
        .route("/message/count/updated", get(count_updated))
        .route("/message/query", post(query))
        .route("/message/text", post(sends::text))
        .route("/message/attachment", post(sends::attachment))
        .route("/message/react", post(sends::react))
        .route("/message/{guid}", get(message))
        .route("/message/{guid}/edit", post(sends::edit))
        .route("/message/{guid}/unsend", post(sends::unsend))
        .route("/attachment/{guid}/download", get(download))
        .route("/attachment/{guid}/download/force", get(download_forced))
        .route("/chat/new", post(sends::new_chat))
        .route("/chat/query", post(chats))
        .route("/chat/{guid}", get(chat))
        .route("/chat/{guid}/icon", get(icon))
        .route("/chat/{guid}/read", post(sends::read))
        .route(
            "/chat/{guid}/typing",
            post(sends::type_on).delete(sends::type_off),
        )
        .route("/handle/query", post(handles))
        .route("/contact", get(contacts))
        .layer(DefaultBodyLimit::max(1 << 30));
    Router::new().nest("/api/v1", api)
}

/// Lets in who has the password in the query, under any of its three names; headers are not looked at.
pub(super) fn guarded(routes: Router<Arc<Mac>>, mac: &Arc<Mac>) -> Router<Arc<Mac>> {
    let mac = mac.clone();
    routes.layer(from_fn(
        move |Query(query): Params, request: Request, next: Next| {
            let mac = mac.clone();
            async move {
                let sends = request.method() == "POST"
                    && request.uri().path().contains("/message/")
                    && !request.uri().path().ends_with("/query");
                let (allowed, failing) = mac.with(|world| {
                    world.requests += 1;
                    (
                        given(&query).is_some_and(|password| password == world.rules.password),
                        world.rules.failing && !sends,
                    )
                });
                match (allowed, failing) {
                    (false, _) => failure(
                        StatusCode::UNAUTHORIZED,
                        "You are not authorized to access this resource",
                        "Authentication Error",
                        "Unauthorized",
                        Value::Null,
                    ),
                    (true, true) => server_error("The database is busy"),
                    (true, false) => next.run(request).await,
                }
            }
        },
    ))
}

/// The password as a query gives it.
pub(super) fn given(query: &HashMap<String, String>) -> Option<&str> {
    ["guid", "password", "token"]
        .iter()
        .find_map(|name| query.get(*name))
        .map(|password| password.trim())
}

pub(super) fn success(message: &str, data: Value) -> Response {
    Json(json!({"status": 200, "message": message, "data": data})).into_response()
}

pub(super) fn failure(status: StatusCode, message: &str, kind: &str, error: &str, data: Value) -> Response {
    let mut body = json!({
        "status": status.as_u16(), "message": message, "error": {"type": kind, "message": error},
    });
    if !data.is_null() {
        body["data"] = data;
    }
    (status, Json(body)).into_response()
}

pub(super) fn not_found(error: &str) -> Response {
    failure(
        StatusCode::NOT_FOUND,
        "The requested resource was not found",
        "Database Error",
        error,
        Value::Null,
    )
}

pub(super) fn bad_request(error: &str) -> Response {
    failure(
        StatusCode::BAD_REQUEST,
        "You've made a bad request! Please check your request params & body",
        "Validation Error",
        error,
        Value::Null,
    )
}

pub(super) fn server_error(error: &str) -> Response {
    failure(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server has encountered an error",
        "Server Error",
        error,
        Value::Null,
    )
}

async fn info(State(mac): State<Arc<Mac>>) -> Response {
    let rules = mac.with(|world| world.rules.clone());
    success(
        "Success",
        json!({
            "computer_id": "lab@lab.local",
            "os_version": "26.5.0",
            "server_version": rules.version,
            "private_api": rules.private_api,
            "helper_connected": rules.helper_connected,
            "proxy_service": "lan-url",
            "detected_icloud": "lab@example.org",
            "detected_imessage": "lab@example.org",
            "macos_time_sync": 0.01,
            "local_ipv4s": ["127.0.0.1"],
            "local_ipv6s": [],
        }),
    )
}

async fn count(State(mac): State<Arc<Mac>>, Query(query): Params) -> Response {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
    let (lowest, highest) = (number("minRowId"), number("maxRowId"));
    let total = mac.with(|world| {
        let within = |row: &&Row| {
            lowest.is_none_or(|lowest| row.row >= lowest) && highest.is_none_or(|highest| row.row <= highest)
        };
        world.rows.iter().filter(within).count()
    });
    success("Success", json!({"total": total}))
}

async fn count_updated(State(mac): State<Arc<Mac>>, Query(query): Params) -> Response {
    let Some(after) = query.get("after").and_then(|text| text.parse::<i64>().ok()) else {
        return bad_request("The after field is required.");
    };
    let total = mac.with(|world| {
        let changed = |row: &&Row| {
            [row.delivered, row.read, row.edited]
                .iter()
                .any(|at| *at >= after)
        };
        world.rows.iter().filter(changed).count()
    });
    success("Success", json!({"total": total}))
}

async fn query(State(mac): State<Arc<Mac>>, Json(body): Json<Value>) -> Response {
    let words: Vec<String> = body["with"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect();
    if words
        .iter()
        .any(|word| word.to_lowercase().ends_with(".participants"))
    {
        // The real one loops over the wrong index here and does not answer.
        std::future::pending::<()>().await;
    }
    let with = With::read(words.iter().map(String::as_str));
    let limit = body["limit"].as_u64().unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return bad_request("The limit may not be greater than 1000.");
    }
    let limit = usize::try_from(limit).unwrap_or(1000);
    let offset = body["offset"]
        .as_u64()
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(0);
    let mut conditions = Vec::new();
    for item in body["where"].as_array().into_iter().flatten() {
        match condition(item) {
            Some(condition) => conditions.push(condition),
            None => return server_error("SQLITE_ERROR: this lab knows conditions on message.ROWID only"),
        }
    }
    let rows: Vec<Value> = mac.with(|world| {
        let mut found: Vec<&Row> = world
            .rows
            .iter()
            .filter(|row| conditions.iter().all(|holds| holds(row.row)))
            .filter(|row| body["after"].as_i64().is_none_or(|after| row.date >= after))
            .filter(|row| body["before"].as_i64().is_none_or(|before| row.date <= before))
            // An inner join: what is in no chat is not there.
            .filter(|row| !with.chats || row.chat.is_some())
            .filter(|row| {
                body["chatGuid"]
                    .as_str()
                    .is_none_or(|chat| row.chat.as_deref() == Some(chat))
            })
            .collect();
        found.sort_by_key(|row| row.date);
        if body["sort"].as_str() != Some("ASC") {
            found.reverse();
        }
        // The limit counts joined rows, so that a message with three files counts as three.
        let joined = |row: &Row| if with.files { row.files.len().max(1) } else { 1 };
        let mut passed = 0;
        found
            .into_iter()
            .filter(|row| {
                let first = passed;
                passed += joined(row);
                first < offset + limit && passed > offset
            })
            .map(|row| shapes::message(world, row, with))
            .collect()
    });
    let count = rows.len();
    Json(json!({
        "status": 200,
        "message": "Successfully fetched messages!",
        "data": rows,
        "metadata": {"offset": offset, "limit": limit, "total": count, "count": count},
    }))
    .into_response()
}

/// Reads `message.ROWID > :name`, with the value of `name` in the arguments.
fn condition(item: &Value) -> Option<Box<dyn Fn(i64) -> bool + Send>> {
    let statement = item["statement"].as_str()?;
    let mut words = statement.split_whitespace();
    let (column, operator, name) = (words.next()?, words.next()?, words.next()?);
    if column != "message.ROWID" || words.next().is_some() {
        return None;
    }
    let value = item["args"].get(name.strip_prefix(':')?)?.as_i64()?;
    Some(match operator {
        ">" => Box::new(move |row| row > value),
        ">=" => Box::new(move |row| row >= value),
        "<" => Box::new(move |row| row < value),
        "<=" => Box::new(move |row| row <= value),
        "=" => Box::new(move |row| row == value),
        _ => return None,
    })
}

async fn message(State(mac): State<Arc<Mac>>, Path(guid): Path<String>, Query(query): Params) -> Response {
    let with = With::read(
        query
            .get("with")
            .map(String::as_str)
            .unwrap_or_default()
            .split(','),
    );
    mac.with(|world| *world.asked_for.entry(guid.clone()).or_default() += 1);
    let found = mac.with(|world| world.row(&guid).map(|row| shapes::message(world, row, with)));
    match found {
        Some(message) => success("Success", message),
        None => not_found("Message does not exist!"),
    }
}

async fn chat(State(mac): State<Arc<Mac>>, Path(guid): Path<String>, Query(query): Params) -> Response {
    let members = query
        .get("with")
        .is_some_and(|with| with.contains("participants"));
    let found = mac.with(|world| world.chat(&guid).map(|chat| shapes::chat(world, chat, members)));
    match found {
        Some(chat) => success("Success", chat),
        None => not_found("Chat does not exist!"),
    }
}

async fn chats(State(mac): State<Arc<Mac>>, Json(body): Json<Value>) -> Response {
    let offset = body["offset"]
        .as_u64()
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(0);
    let limit = body["limit"]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(1000);
    let chats: Vec<Value> = mac.with(|world| {
        let last = |guid: &str| {
            world
                .rows
                .iter()
                .rev()
                .find(|row| row.chat.as_deref() == Some(guid))
                .map(|row| row.date)
        };
        let mut chats: Vec<_> = world.chats.iter().collect();
        chats.sort_by_key(|chat| std::cmp::Reverse(last(&chat.guid)));
        let page = chats.into_iter().skip(offset).take(limit);
        page.map(|chat| shapes::chat(world, chat, true)).collect()
    });
    success("Success", chats.into())
}

async fn handles(State(mac): State<Arc<Mac>>, Json(body): Json<Value>) -> Response {
    let offset = body["offset"]
        .as_u64()
        .and_then(|offset| usize::try_from(offset).ok())
        .unwrap_or(0);
    let handles: Vec<Value> = mac.with(|world| {
        let page = world.handles.iter().skip(offset);
        page.map(|(row, address)| shapes::handle(*row, address)).collect()
    });
    success("Success", handles.into())
}

async fn contacts(State(mac): State<Arc<Mac>>, Query(query): Params) -> Response {
    let pictures = query
        .get("extraProperties")
        .is_some_and(|extra| extra.contains("avatar"));
    let mut contacts = mac.with(|world| world.contacts.clone());
    if !pictures {
        for contact in &mut contacts {
            contact["avatar"] = json!("");
        }
    }
    success("Success", contacts.into())
}

async fn icon(State(mac): State<Arc<Mac>>, Path(guid): Path<String>) -> Response {
    match mac.with(|world| world.chat(&guid).and_then(|chat| chat.icon.clone())) {
        Some(icon) => ([(header::CONTENT_TYPE, "image/png")], icon).into_response(),
        None => not_found("Unable to find icon for the selected chat"),
    }
}

async fn download(State(mac): State<Arc<Mac>>, Path(guid): Path<String>) -> Response {
    file(&mac, &guid)
}

async fn download_forced(State(mac): State<Arc<Mac>>, Path(guid): Path<String>) -> Response {
    let private = mac.with(|world| {
        let private = world.rules.private_api && world.rules.helper_connected;
        if let (true, Some(file)) = (private, world.files.get_mut(&guid)) {
            file.on_disk = true;
        }
        private
    });
    match private {
        true => file(&mac, &guid),
        false => server_error("iMessage Private API is not enabled!"),
    }
}

fn file(mac: &Mac, guid: &str) -> Response {
    match mac.with(|world| world.files.get(guid).cloned()) {
        None => not_found("Attachment does not exist!"),
        Some(file) if !file.on_disk => server_error("Attachment does not exist in disk!"),
        Some(file) => ([(header::CONTENT_TYPE, file.mime)], file.content).into_response(),
    }
}
