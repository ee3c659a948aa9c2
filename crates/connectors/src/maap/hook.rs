//! The platform's webhook: who sent it, what it brings, and when it is answered.

use super::arrivals::{self, Reader, Told};
use super::connector::Shared;
use crate::rcs::files::{self, Told as TellsOf};
use crate::rcs::http::NoAnswer;
use crate::webhook::{Request, Response};
use serde_json::Value;
use subtle::ConstantTimeEq;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, Inbox, What};
use swingbridge_domain::message::Part;

const LATER: Response = Response::new(503, "not now, come again");
/// How often a file is tried for before its message is handed in without it.
const TRIES: u32 = 3;

pub async fn receive(shared: &Shared, request: &Request) -> Response {
    if request.method != "POST" {
        return Response::new(405, "POST only");
    }
    if !is_from_platform(shared, request) {
        tracing::warn!(connector = %shared.id, "a webhook is refused: compare webhook_token with the operator's");
        return Response::new(401, "another token");
    }
    let Some(inbox) = shared.inbox.get() else {
        return LATER;
    };
    let Ok(event) = serde_json::from_slice::<Value>(&request.body) else {
        return Response::new(400, "the body is no JSON");
    };
    let reader = Reader {
        connector: &shared.id,
        own: &shared.config.number,
        dialect: &shared.config.dialect,
        number_of: &|chat| shared.kept.number(chat),
    };
    match reader.read(&event, &request.body) {
        Ok(told) => take(shared, &**inbox, &reader, told).await,
        Err(error) => {
            tracing::warn!(connector = %shared.id, %error, "a webhook cannot be understood");
            Response::new(400, "the event has another form")
        }
    }
}

fn is_from_platform(shared: &Shared, request: &Request) -> bool {
    let token = &shared.config.webhook_token;
    if token.is_empty() {
        return true;
    }
    let name = shared.config.dialect.webhook_header.as_str();
    let given = request.header(name).unwrap_or_default();
    let given = match name {
        "authorization" => given.strip_prefix("Bearer ").unwrap_or_default(),
        _ => given,
    };
    token.expose().as_bytes().ct_eq(given.trim().as_bytes()).into()
}

async fn take(shared: &Shared, inbox: &dyn Inbox, reader: &Reader<'_>, told: Told) -> Response {
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
                    tracing::warn!(connector = %shared.id, %error, "an alias cannot be written down");
                    LATER
                }
            };
        }
        Told::Receipt(receipt) => harmless(Inbound::Receipt(receipt)),
        Told::Typing(typing) => harmless(Inbound::Typing(typing)),
        Told::Message(mut said) => {
            // Whoever is heard can be reached, whatever was said before.
            let now = shared.clock.now();
            shared.memory().capable.insert(&said.from.text, (true, now));
            if let Some(file) = said.file.take() {
                match fetch(shared, &said.identity, &file).await {
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
async fn fetch(shared: &Shared, identity: &str, told: &TellsOf) -> Option<Part> {
    const LARGE: &str = "a file that is larger than what is taken here (largest_file)";
    if told.size.is_some_and(|size| size > shared.config.most()) {
        return Some(files::absent(told, LARGE));
    }
    if !shared.api.may_fetch(&told.address) {
        return Some(files::absent(told, "a file whose address is not safe to ask"));
    }
    let again = || {
        let mut memory = shared.memory();
        let tries = memory.fetches.get(identity).copied().unwrap_or(0) + 1;
        memory.fetches.insert(identity, tries);
        (tries >= TRIES).then(|| files::absent(told, "a file that could not be had from the platform"))
    };
    let answer = match shared.api.fetch(&told.address).await {
        Ok(answer) => answer,
        Err(NoAnswer::TooLarge) => return Some(files::absent(told, LARGE)),
        Err(NoAnswer::Unreachable | NoAnswer::Lost) => return again(),
    };
    match answer.status {
        200 => {}
        403 | 404 | 410 => {
            return Some(files::absent(
                told,
                "a file that the platform does not have any more",
            ));
        }
        _ => return again(),
    }
    let mut told = told.clone();
    told.mime = told.mime.or(answer.content_type);
    let (folder, name) = (shared.media.clone(), arrivals::digest(identity.as_bytes()));
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
