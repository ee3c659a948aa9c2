//! Google's webhook: its set-up, who signed, and when it is answered.

use super::arrivals::{self, Told};
use super::connector::Shared;
use crate::webhook::{Request, Response};
use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha512;
use std::borrow::Cow;
use subtle::ConstantTimeEq;
use swingbridge_domain::inbox::Arrival;

const LATER: Response = Response::new(503, "not now, come again");

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
        tracing::warn!(connector = %shared.account.id, status = response.status, "a webhook is refused: {}", response.body);
        return response;
    }
    let Ok(event) = serde_json::from_slice::<Value>(&data) else {
        return Response::new(400, "message.data is no JSON");
    };
    if !is_ours(shared, &event) {
        // Another webhook is configured for it, or none. Refusing it would hold up what is ours.
        tracing::warn!(connector = %shared.account.id, "an event of another agent is passed over: is this the agent's own webhook?");
        return Response::TAKEN;
    }
    match arrivals::read(&event, &data) {
        Ok(told) => take(shared, told).await,
        Err(error) => {
            tracing::warn!(connector = %shared.account.id, %error, "a webhook cannot be understood");
            Response::new(400, "the event has another form")
        }
    }
}

/// Google asks whether we know the token before it takes the address (guide "Webhooks").
fn set_up(shared: &Shared, token: &Value, envelope: &Value) -> Response {
    let known = shared.config.client_token.expose().as_bytes();
    let given = token.as_str().unwrap_or_default().as_bytes();
    if !bool::from(known.ct_eq(given)) {
        tracing::warn!(connector = %shared.account.id, "the set-up of a webhook is refused: compare the client token with client_token");
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

async fn take(shared: &Shared, told: Told) -> Response {
    let connector = &shared.account.id;
    let arrival: Arrival = match told {
        Told::Nothing(kind) => {
            tracing::debug!(connector = %shared.account.id, kind, "an event that means nothing here is passed over");
            return Response::TAKEN;
        }
        Told::Receipt(receipt) => receipt.arrival(connector),
        Told::Wish(wish) => {
            shared.reachable.heard(&wish.from, shared.account.clock.now());
            wish.arrival(connector, &shared.config.number)
        }
        Told::Typing(from) => arrivals::typing(connector, &shared.config.number, &from),
        Told::Message(mut message) => {
            shared.reachable.heard(&message.from, shared.account.clock.now());
            if let Some(file) = message.file.take() {
                match shared.files.fetch(&shared.account, &message.id, &file).await {
                    Some(part) => message.parts.push(part),
                    None => return LATER,
                }
            }
            if message.names_itself {
                shared.memory().last_in.insert(&message.from, message.id.clone());
            }
            message.arrival(connector, &shared.config.number)
        }
    };
    match shared.account.deliver(vec![arrival]).await {
        Ok(()) => Response::TAKEN,
        Err(error) => {
            tracing::warn!(connector = %shared.account.id, %error, "a webhook is to come again");
            LATER
        }
    }
}
