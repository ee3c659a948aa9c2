//! Google's webhook: its set-up, who signed, and when it is answered.

use super::arrivals::{self, Told};
use super::connector::Shared;
use crate::rcs::files::{self, Told as TellsOf};
use crate::rcs::http::NoAnswer;
use crate::webhook::{Request, Response};
use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha512;
use std::borrow::Cow;
use subtle::ConstantTimeEq;
use swingbridge_domain::inbox::{Arrival, Inbox};
use swingbridge_domain::message::Part;

const LATER: Response = Response::new(503, "not now, come again");
/// How often a file is tried for before its message is handed in without it. One webhook that fails holds up others.
const TRIES: u32 = 3;

pub async fn receive(shared: &Shared, request: &Request) -> Response {
    if request.method != "POST" {
        return Response::new(405, "POST only");
    }
    let Ok(envelope) = serde_json::from_slice::<Value>(&request.body) else {
        return Response::new(400, "the body is no JSON");
    };
    if let Some(token) = envelope.get("clientToken") {
        return set_up(shared, token, &envelope);
    }
    let encoded = envelope.pointer("/message/data").and_then(Value::as_str);
    let Some(data) = encoded.and_then(|data| BASE64.decode(data.as_bytes()).ok()) else {
        return Response::new(400, "there is no message.data in base64");
    };
    if let Err(response) = verify(shared, request, &data) {
        tracing::warn!(connector = %shared.id, status = response.status, "a webhook is refused: {}", response.body);
        return response;
    }
    let Some(inbox) = shared.inbox.get() else {
        return LATER;
    };
    let Ok(event) = serde_json::from_slice::<Value>(&data) else {
        return Response::new(400, "message.data is no JSON");
    };
    if !is_ours(shared, &event) {
        // Another webhook is configured for it, or none. Refusing it would hold up what is ours.
        tracing::warn!(connector = %shared.id, "an event of another agent is passed over: is this the agent's own webhook?");
        return Response::TAKEN;
    }
    match arrivals::read(&event, &data) {
        Ok(told) => take(shared, &**inbox, told).await,
        Err(error) => {
            tracing::warn!(connector = %shared.id, %error, "a webhook cannot be understood");
            Response::new(400, "the event has another form")
        }
    }
}

/// Google asks whether we know the token before it takes the address (guide "Webhooks").
fn set_up(shared: &Shared, token: &Value, envelope: &Value) -> Response {
    let known = shared.config.client_token.expose().as_bytes();
    let given = token.as_str().unwrap_or_default().as_bytes();
    if !bool::from(known.ct_eq(given)) {
        tracing::warn!(connector = %shared.id, "the set-up of a webhook is refused: compare the client token with client_token");
        return Response::new(403, "another client token");
    }
    match envelope.get("secret").and_then(Value::as_str) {
        Some(secret) => Response {
            body: Cow::Owned(secret.to_owned()),
            ..Response::TAKEN
        },
        None => Response::new(400, "there is no secret"),
    }
}

/// `X-Goog-Signature` is the HMAC-SHA-512 of the decoded data, in base64.
fn verify(shared: &Shared, request: &Request, data: &[u8]) -> Result<(), Response> {
    let refuse = |words| Err(Response::new(401, words));
    let Some(signature) = request.header("x-goog-signature") else {
        return refuse("it is not signed");
    };
    let Ok(signature) = BASE64.decode(signature.trim().as_bytes()) else {
        return refuse("its signature is not base64");
    };
    let key = shared.config.client_token.expose().as_bytes();
    let Ok(mut mac) = <Hmac<Sha512> as Mac>::new_from_slice(key) else {
        return refuse("the client token cannot be used");
    };
    mac.update(data);
    match mac.verify_slice(&signature) {
        Ok(()) => Ok(()),
        Err(_) => refuse("its signature is wrong: compare the client token with the agent's"),
    }
}

fn is_ours(shared: &Shared, event: &Value) -> bool {
    let bare = |id: &str| id.trim_end_matches("@rbm.goog").to_owned();
    let theirs = event.get("agentId").and_then(Value::as_str);
    theirs.is_none_or(|theirs| bare(theirs) == bare(&shared.config.agent_id))
}

async fn take(shared: &Shared, inbox: &dyn Inbox, told: Told) -> Response {
    let arrival: Arrival = match told {
        Told::Nothing(kind) => {
            tracing::debug!(connector = %shared.id, kind, "an event that means nothing here is passed over");
            return Response::TAKEN;
        }
        Told::Receipt(receipt) => receipt.arrival(&shared.id),
        Told::Typing(from) => arrivals::typing(&shared.id, &shared.config.number, &from),
        Told::Message(mut message) => {
            shared.reachable.heard(&message.from, shared.clock.now());
            if let Some(file) = message.file.take() {
                match fetch(shared, &message.id, &file).await {
                    Some(part) => message.parts.push(part),
                    None => return LATER,
                }
            }
            if message.names_itself {
                shared.memory().last_in.insert(&message.from, message.id.clone());
            }
            message.arrival(&shared.id, &shared.config.number)
        }
    };
    match inbox.deliver(vec![arrival]).await {
        Ok(()) => {
            shared.pulse.traffic();
            Response::TAKEN
        }
        Err(error) => {
            tracing::warn!(connector = %shared.id, %error, "a webhook is to come again");
            LATER
        }
    }
}

/// Fetches a file that a phone sent. `None`: it is to come again.
async fn fetch(shared: &Shared, id: &str, told: &TellsOf) -> Option<Part> {
    if told.size.is_some_and(|size| size > shared.config.most()) {
        return Some(files::absent(
            told,
            "a file that is larger than what is taken here (largest_file)",
        ));
    }
    if !shared.api.may_fetch(&told.address) {
        return Some(files::absent(told, "a file whose address is not safe to ask"));
    }
    let again = || {
        let mut memory = shared.memory();
        let tries = memory.fetches.get(id).copied().unwrap_or(0) + 1;
        memory.fetches.insert(id, tries);
        let gone = || files::absent(told, "a file that could not be had from Google");
        (tries >= TRIES).then(gone)
    };
    let answer = match shared.api.fetch(&told.address).await {
        Ok(answer) => answer,
        Err(NoAnswer::TooLarge) => {
            return Some(files::absent(
                told,
                "a file that is larger than what is taken here (largest_file)",
            ));
        }
        Err(NoAnswer::Unreachable | NoAnswer::Lost) => return again(),
    };
    match answer.status {
        200 => {}
        403 | 404 | 410 => return Some(files::absent(told, "a file that Google does not have any more")),
        _ => return again(),
    }
    let mut told = told.clone();
    told.mime = told.mime.or(answer.content_type);
    let (folder, name) = (shared.media.clone(), arrivals::file_name(id));
    let kept = tokio::task::spawn_blocking(move || files::keep(&folder, &name, &told, &answer.body)).await;
    match kept {
        Ok(Ok(part)) => Some(part),
        Ok(Err(error)) => {
            tracing::warn!(connector = %shared.id, error = %error.kind(), "a file cannot be kept");
            None
        }
        Err(_) => None,
    }
}
