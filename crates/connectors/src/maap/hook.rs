//! The platform's webhook: who sent it, what it brings, and when it is answered.

use super::arrivals::{Reader, Told};
use super::connector::Shared;
use crate::webhook::{Request, Response};
use serde_json::Value;
use subtle::ConstantTimeEq;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, What};

const LATER: Response = Response::new(503, "not now, come again");

pub async fn receive(shared: &Shared, request: &Request) -> Response {
    if request.method != "POST" {
        return Response::new(405, "POST only");
    }
    if !is_from_platform(shared, request) {
        tracing::warn!(connector = %shared.account.id, "a webhook is refused: compare webhook_token with the operator's");
        return Response::new(401, "another token");
    }
    let Ok(event) = serde_json::from_slice::<Value>(&request.body) else {
        return Response::new(400, "the body is no JSON");
    };
    let reader = Reader {
        connector: &shared.account.id,
        own: &shared.config.number,
        dialect: &shared.config.dialect,
        number_of: &|chat| shared.kept.number(chat),
    };
    match reader.read(&event, &request.body) {
        Ok(told) => take(shared, &reader, told).await,
        Err(error) => {
            tracing::warn!(connector = %shared.account.id, %error, "a webhook cannot be understood");
            Response::new(400, "the event has another form")
        }
    }
}

fn is_from_platform(shared: &Shared, request: &Request) -> bool {
    let token = &shared.config.webhook_token;
    if token.is_empty() {
        return true;
    }
    // Headers come in lower case, however an operator writes this one.
    let name = shared.config.dialect.webhook_header.to_ascii_lowercase();
    let given = request.header(&name).unwrap_or_default();
    let given = match name.as_str() {
        "authorization" => given.strip_prefix("Bearer ").unwrap_or_default(),
        _ => given,
    };
    token.expose().as_bytes().ct_eq(given.trim().as_bytes()).into()
}

async fn take(shared: &Shared, reader: &Reader<'_>, told: Told) -> Response {
    let harmless = |inbound| Arrival {
        dedupe: Dedupe::Harmless,
        what: What::Network(inbound),
    };
    let arrival = match told {
        Told::Nothing => return Response::TAKEN,
        Told::Alias(chat, number) => {
            return match shared.kept.alias(&chat, &number) {
                Ok(()) => Response::TAKEN,
                Err(error) => {
                    tracing::warn!(connector = %shared.account.id, %error, "an alias cannot be written down");
                    LATER
                }
            };
        }
        Told::Receipt(receipt) => harmless(Inbound::Receipt(receipt)),
        Told::Typing(typing) => harmless(Inbound::Typing(typing)),
        Told::Message(mut said) => {
            // Whoever is heard can be reached, whatever was said before.
            let now = shared.account.clock.now();
            shared.memory().capable.insert(&said.from.text, (true, now));
            if let Some(file) = said.file.take() {
                match shared.files.fetch(&shared.account, &said.identity, &file).await {
                    Some(part) => said.parts.push(part),
                    None => return LATER,
                }
            }
            if let Some(id) = &said.network_id {
                shared.memory().last_in.insert(&said.from.text, id.0.clone());
            }
            let answers = said.answers.take().and_then(|name| shared.kept.message(&name));
            reader.arrival(*said, answers)
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
