//! The REST API: what changes something.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Multipart, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Mac;
use super::rest::{bad_request, failure, not_found, server_error, success};
use super::shapes::{self, With};
use super::world::{Answer, Row, Sent};

const TAPBACKS: [&str; 6] = ["love", "like", "dislike", "laugh", "emphasize", "question"];

pub(super) async fn text(State(mac): State<Arc<Mac>>, Json(body): Json<Value>) -> Response {
    let field = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (chat, text, temp) = (field("chatGuid"), field("message"), field("tempGuid"));
    let thread = body["selectedMessageGuid"].as_str().map(str::to_owned);
    let method = method(&body, thread.is_some());
    if chat.is_empty() {
        return bad_request("The chatGuid field is required.");
    }
    if method == "apple-script" && temp.is_empty() {
        return bad_request("A 'tempGuid' is required when sending via AppleScript");
    }
    if text.is_empty() {
        return bad_request("A 'message' is required when sending via AppleScript");
    }
    let sent = Sent {
        kind: "text".to_owned(),
        chat: chat.clone(),
        text: text.clone(),
        about: thread.clone(),
        method: method.to_owned(),
        ..Sent::default()
    };
    let row = Row {
        text,
        from_me: true,
        chat: Some(chat),
        thread,
        ..Row::default()
    };
    send(&mac, sent, row, &temp, "Message sent!").await
}

pub(super) async fn attachment(State(mac): State<Arc<Mac>>, mut form: Multipart) -> Response {
    let mut sent = Sent {
        kind: "attachment".to_owned(),
        method: "apple-script".to_owned(),
        ..Sent::default()
    };
    let (mut temp, mut mime, mut there) = (String::new(), String::new(), false);
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(_) => return bad_request("The form cannot be read"),
        };
        let name = field.name().unwrap_or_default().to_owned();
        if name == "attachment" {
            mime = field
                .content_type()
                .unwrap_or("application/octet-stream")
                .to_owned();
            sent.content = field.bytes().await.unwrap_or_default().to_vec();
            there = !sent.content.is_empty();
            continue;
        }
        let text = field.text().await.unwrap_or_default();
        match name.as_str() {
            "chatGuid" => sent.chat = text,
            "tempGuid" => temp = text,
            "name" => sent.text = text,
            "method" => sent.method = text,
            "isAudioMessage" => sent.voice = text == "true",
            "selectedMessageGuid" => {
                sent.about = Some(text);
                sent.method = "private-api".to_owned();
            }
            _ => {}
        }
    }
    if sent.method == "apple-script" && temp.is_empty() {
        return bad_request("A 'tempGuid' is required when sending via AppleScript");
    }
    if !there || sent.text.is_empty() || sent.chat.is_empty() {
        return bad_request("Attachment not provided or was empty!");
    }
    let file = mac.with(|world| world.add_file(&sent.text, &mime, &sent.content, true));
    let row = Row {
        from_me: true,
        chat: Some(sent.chat.clone()),
        files: vec![file],
        places: 1,
        voice: sent.voice,
        thread: sent.about.clone(),
        ..Row::default()
    };
    send(&mac, sent, row, &temp, "Attachment sent!").await
}

pub(super) async fn new_chat(State(mac): State<Arc<Mac>>, Json(body): Json<Value>) -> Response {
    let Some(address) = body["addresses"][0].as_str().map(str::to_owned) else {
        return bad_request("The addresses field is required.");
    };
    let text = body["message"].as_str().unwrap_or_default().to_owned();
    let temp = body["tempGuid"].as_str().unwrap_or_default().to_owned();
    let method = method(&body, false);
    if method == "apple-script" && text.is_empty() {
        return bad_request("A message is required when creating chats on macOS Big Sur or newer!");
    }
    let chat = mac.with(|world| world.direct(&address));
    let sent = Sent {
        kind: "new".to_owned(),
        chat: address,
        text: text.clone(),
        method: method.to_owned(),
        ..Sent::default()
    };
    let row = Row {
        text,
        from_me: true,
        chat: Some(chat.clone()),
        ..Row::default()
    };
    let (guid, answer) = begin(&mac, sent, row, &temp).await;
    if let Some(bad) = answer {
        return bad;
    }
    let data = mac.with(|world| {
        let found = world.chat(&chat)?;
        let mut value = shapes::chat(world, found, true);
        value["messages"] = json!([shapes::message(world, world.row(&guid)?, With::ALL)]);
        value["messages"][0]["tempGuid"] = temp.clone().into();
        Some(value)
    });
    success("Successfully created chat!", data.unwrap_or_default())
}

pub(super) async fn react(State(mac): State<Arc<Mac>>, Json(body): Json<Value>) -> Response {
    let field = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (chat, about, reaction) = (field("chatGuid"), field("selectedMessageGuid"), field("reaction"));
    if !TAPBACKS.contains(&reaction.trim_start_matches('-')) {
        return bad_request("The selected reaction is invalid.");
    }
    if mac.with(|world| world.row(&about).is_none()) {
        return bad_request("Selected message does not exist!");
    }
    let sent = Sent {
        kind: "react".to_owned(),
        chat: chat.clone(),
        text: reaction.clone(),
        about: Some(about.clone()),
        method: "private-api".to_owned(),
        ..Sent::default()
    };
    let target = format!("p:0/{about}");
    // Only the latest state is kept.
    mac.with(|world| {
        world
            .rows
            .retain(|row| !(row.from_me && row.about.as_deref() == Some(&target)));
    });
    let row = Row {
        text: format!("Reacted to “{about}”"),
        from_me: true,
        chat: Some(chat),
        about: Some(target),
        about_type: Some(reaction),
        ..Row::default()
    };
    send(&mac, sent, row, "", "Reaction sent!").await
}

pub(super) async fn edit(
    State(mac): State<Arc<Mac>>,
    Path(guid): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    let Some(text) = body["editedMessage"].as_str().filter(|text| !text.is_empty()) else {
        return bad_request("The editedMessage field is required.");
    };
    if body["backwardsCompatibilityMessage"]
        .as_str()
        .is_none_or(str::is_empty)
    {
        return bad_request("The backwardsCompatibilityMessage field is required.");
    }
    let text = text.to_owned();
    rewrite(&mac, &guid, "edit", &text.clone(), move |row, now| {
        row.text = text;
        row.edited = now;
    })
}

pub(super) async fn unsend(
    State(mac): State<Arc<Mac>>,
    Path(guid): Path<String>,
    _body: Json<Value>,
) -> Response {
    rewrite(&mac, &guid, "unsend", "", |row, now| {
        row.text.clear();
        row.retracted = true;
        row.edited = now;
    })
}

fn rewrite(mac: &Mac, guid: &str, kind: &str, text: &str, change: impl FnOnce(&mut Row, i64)) -> Response {
    let private = mac.with(|world| world.rules.private_api && world.rules.helper_connected);
    if !private {
        return server_error("iMessage Private API is not enabled!");
    }
    let message = mac.with(|world| {
        world.now += 1;
        let now = world.now;
        let row = world.row_mut(guid)?;
        change(row, now);
        let sent = Sent {
            kind: kind.to_owned(),
            text: text.to_owned(),
            about: Some(guid.to_owned()),
            method: "private-api".to_owned(),
            guid: guid.to_owned(),
            ..Sent::default()
        };
        world.sent.push(sent);
        Some(shapes::message(world, world.row(guid)?, With::ALL))
    });
    let Some(message) = message else {
        return bad_request("Selected message does not exist!");
    };
    mac.emit("updated-message", message.clone());
    success("Message changed!", message)
}

pub(super) async fn read(State(mac): State<Arc<Mac>>, Path(guid): Path<String>) -> Response {
    signal(&mac, &guid, format!("read {guid}"))
}

pub(super) async fn type_on(State(mac): State<Arc<Mac>>, Path(guid): Path<String>) -> Response {
    signal(&mac, &guid, format!("typing {guid} true"))
}

pub(super) async fn type_off(State(mac): State<Arc<Mac>>, Path(guid): Path<String>) -> Response {
    signal(&mac, &guid, format!("typing {guid} false"))
}

fn signal(mac: &Mac, guid: &str, what: String) -> Response {
    let private = mac.with(|world| world.rules.private_api && world.rules.helper_connected);
    if !private {
        return server_error("iMessage Private API is not enabled!");
    }
    let known = mac.with(|world| {
        let known = world.chat(guid).is_some();
        if known {
            world.signals.push(what);
        }
        known
    });
    match known {
        true => success("Success", Value::Null),
        false => not_found("Chat does not exist!"),
    }
}

/// What goes by the Private API, whether that was asked for or is implied.
fn method(body: &Value, implied: bool) -> &str {
    match implied {
        true => "private-api",
        false => body["method"].as_str().unwrap_or("apple-script"),
    }
}

async fn send(mac: &Mac, sent: Sent, row: Row, temp: &str, words: &str) -> Response {
    let (guid, bad) = begin(mac, sent, row, temp).await;
    if let Some(bad) = bad {
        return bad;
    }
    let message = mac.with(|world| {
        let row = world.row(&guid)?;
        let mut message = shapes::message(world, row, With::ALL);
        if !temp.is_empty() {
            message["tempGuid"] = temp.into();
        }
        Some(message)
    });
    success(words, message.unwrap_or_default())
}

/// Writes the row, tells of it, and comes to what the rules say; the second is the answer when it is none of success.
async fn begin(mac: &Mac, mut sent: Sent, mut row: Row, temp: &str) -> (String, Option<Response>) {
    if mac.with_quietly(|world| world.rules.curls_quotes) {
        row.text = row.text.replace('"', "”");
    }
    let (private, known, answer) = mac.with(|world| {
        let private = world.rules.private_api && world.rules.helper_connected;
        let known = row.chat.as_deref().is_some_and(|chat| world.chat(chat).is_some());
        (
            private,
            known,
            world.rules.answers.pop_front().unwrap_or(Answer::Sent),
        )
    });
    if sent.method == "private-api" && !private {
        return (
            String::new(),
            Some(server_error("iMessage Private API is not enabled!")),
        );
    }
    if !known {
        return (String::new(), Some(send_error(Value::Null)));
    }
    let written = !matches!(answer, Answer::NoAnswer | Answer::Failed);
    let guid = mac.with(|world| {
        let guid = match written {
            true => {
                // What the Mac itself sends is in its chat at once.
                let unjoined = std::mem::take(&mut world.rules.unjoined);
                let guid = world.write(row);
                world.rules.unjoined = unjoined;
                guid
            }
            false => String::new(),
        };
        if let (Answer::FailedWith(code), Some(row)) = (answer, world.row_mut(&guid)) {
            row.error = code;
        }
        sent.guid.clone_from(&guid);
        world.sent.push(sent);
        guid
    });
    let message = mac.with(|world| world.row(&guid).map(|row| shapes::message(world, row, With::ALL)));
    if let Some(mut event) = message.clone() {
        if !temp.is_empty() {
            event["tempGuid"] = temp.into();
        }
        mac.emit("new-message", event);
    }
    loop {
        let changed = mac.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if !mac.with_quietly(|world| world.rules.hold_answers) {
            break;
        }
        changed.await;
    }
    let bad = match answer {
        Answer::Sent => None,
        Answer::SentWithoutAnswer | Answer::NoAnswer => {
            std::future::pending::<()>().await;
            None
        }
        Answer::SentButFailed | Answer::Failed => Some(send_error(Value::Null)),
        Answer::FailedWith(_) => Some(send_error(message.unwrap_or_default())),
    };
    (guid, bad)
}

fn send_error(data: Value) -> Response {
    failure(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Message Send Error",
        "iMessage Error",
        "Failed to send message! See attached message error code.",
        data,
    )
}
