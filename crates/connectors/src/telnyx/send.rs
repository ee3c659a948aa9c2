//! Sending, with an idempotency key: what Telnyx took under it, it takes no second time.

use super::arrivals::id_of;
use super::codes::{self, Meaning};
use super::connector::Shared;
use crate::provider::content::{Content, content, key, number};
use crate::provider::http::{ANSWER, Answer, call, fate, later, rejected, unknown};
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Accepted, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;

/// How many files one message may have.
const FILES: usize = 10;
/// How many people a group may have besides us.
const PEOPLE: usize = 8;
/// The wait that the engine is asked for when the credentials are refused.
const REFUSED_WAIT: Duration = Duration::from_secs(60);

/// Hands one message to Telnyx.
pub async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    let now = shared.account.clock.now();
    if outbound.expires_at.is_some_and(|at| at <= now) {
        return Err(rejected(Reason::Expired, "its time was over before it left"));
    }
    let content = content(&outbound.message, shared.config.url.starts_with("http:"))?;
    if content.links.len() > FILES {
        return Err(rejected(
            Reason::BadContent,
            "Telnyx takes at most ten files in one message",
        ));
    }
    let (path, people) = match outbound.to.as_slice() {
        [Address::Group(thread)] => ("/messages/group_mms", people(thread)?),
        to => ("/messages", vec![number(to)?.to_owned()]),
    };
    // Byte for byte the same for the same message: another body under the same key is refused.
    let body = body(shared, content, path == "/messages/group_mms", &people).to_string();
    let request = shared
        .authorised(shared.account.http.post(&shared.at(path)))
        .header("content-type", "application/json")
        .header("idempotency-key", key(outbound))
        .body(body);
    match call(request, ANSWER).await {
        Ok(answer) => read(shared, &answer, &people, now),
        Err(failure) => {
            shared.account.disconnected(&failure.to_string());
            Err(fate(failure))
        }
    }
}

/// The numbers of a group, which its name is.
fn people(thread: &str) -> Result<Vec<String>, SendError> {
    let people: Vec<String> = thread.split(',').map(str::to_owned).collect();
    let number = |text: &String| {
        text.strip_prefix('+')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()))
    };
    if !people.iter().all(number) {
        return Err(rejected(
            Reason::BadAddress,
            "this group is another network's: it has no numbers that Telnyx could write to",
        ));
    }
    if people.len() > PEOPLE {
        return Err(rejected(
            Reason::BadAddress,
            "Telnyx writes to groups of at most eight others",
        ));
    }
    Ok(people)
}

fn body(shared: &Shared, content: Content, group: bool, people: &[String]) -> Value {
    let config = &shared.config;
    let mut body = json!({ "from": config.number });
    body["to"] = match group {
        true => people.into(),
        false => people[0].as_str().into(),
    };
    if !content.text.is_empty() {
        body["text"] = content.text.into();
    }
    if !content.links.is_empty() {
        body["media_urls"] = content.links.into();
    }
    if config.receipts {
        body["webhook_url"] = config.public_url.as_str().into();
    }
    if let Some(profile) = config.messaging_profile_id.as_deref().filter(|_| !group) {
        body["messaging_profile_id"] = profile.into();
    }
    body
}

fn read(shared: &Shared, answer: &Answer, people: &[String], now: Timestamp) -> Result<Accepted, SendError> {
    let json = answer.json().unwrap_or_default();
    if !answer.is_success() {
        return Err(refused(shared, answer, &json));
    }
    shared.account.connected(None);
    shared.account.traffic();
    let data = &json["data"];
    let Some(id) = data["id"].as_str() else {
        // It has it. The same again gives the same answer, whole.
        return Err(unknown("Telnyx took the message, and its answer cannot be read"));
    };
    if shared.config.receipts {
        shared.kept.change(|memory| memory.await_receipts(id, now));
    }
    let network_ids = match people {
        [_] => vec![NetworkId::new(id)],
        // Each of the group has a state of their own.
        people => people.iter().map(|number| id_of(id, number)).collect(),
    };
    Ok(Accepted {
        network_ids,
        segments: data["parts"]
            .as_u64()
            .and_then(|parts| parts.try_into().ok())
            .unwrap_or_default(),
        encoding: data["encoding"].as_str().unwrap_or_default().to_owned(),
        ..Accepted::default()
    })
}

fn refused(shared: &Shared, answer: &Answer, json: &Value) -> SendError {
    let code = codes::first(json);
    let meaning = code.map(codes::meaning);
    if answer.status == 401 || meaning == Some(Meaning::Credentials) {
        return later(REFUSED_WAIT, shared.refused(), false);
    }
    let said = |name| {
        json.pointer(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_lowercase()
    };
    let about_key =
        said("/errors/0/title").contains("idempotency") || said("/errors/0/detail").contains("idempotency");
    if answer.status == 409 || about_key {
        // An earlier try is being worked on, or was taken with other words: a link to a file that is not the same any more.
        return unknown("Telnyx has an earlier try of the same message");
    }
    match meaning {
        Some(Meaning::Slower) => return answer.slower(),
        Some(Meaning::Refused(reason, words)) if answer.status < 500 && answer.status != 429 => {
            return rejected(reason, format!("{words} ({})", code.unwrap_or_default()));
        }
        _ => {}
    }
    match answer.verdict() {
        Err(error) => error,
        Ok(()) => rejected(
            Reason::NetworkRefused,
            format!("Telnyx refuses it with {} and says no more", answer.status),
        ),
    }
}
