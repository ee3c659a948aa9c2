//! What a webhook brings.

use super::codes;
use super::connector::Shared;
use crate::provider::files::{Told, UNSAFE, fetch, missing};
use crate::sms_gateway::time;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{
    Arrival, Dedupe, Group, Inbound, InboundMessage, NetworkAddress, Receipt, What,
};
use swingbridge_domain::message::{Body, Disposition, Message, Part};

/// The most files of one message.
const FILES: usize = 20;

/// Reads `message.received`, and fetches its files. `None`: it has no sender.
///
/// # Errors
/// The disk; worth a retry.
pub async fn arrival(shared: &Shared, id: &str, payload: &Value) -> std::io::Result<Option<Arrival>> {
    let Some(from) = payload.pointer("/from/phone_number").and_then(Value::as_str) else {
        return Ok(None);
    };
    let recipients: Vec<&str> = ["to", "cc"]
        .iter()
        .flat_map(|list| numbers(&payload[list]))
        .collect();
    let own = shared.config.number.as_str();
    let ours = match recipients.contains(&own) {
        true => own,
        // Another number of the profile's.
        false => recipients.first().copied().unwrap_or(own),
    };
    let people = others(recipients.iter().copied().chain([from]), ours);
    let group = (people.len() > 1).then(|| Group {
        thread: NetworkId::new(people.join(",")),
        formerly: Vec::new(),
        name: None,
        members: people.iter().map(|number| address(number)).collect(),
    });
    let inbound = InboundMessage {
        group,
        // Telnyx has then answered what was texted.
        answered: payload["autoresponse_type"]
            .as_str()
            .is_some_and(|kind| !kind.is_empty()),
        network_id: Some(NetworkId::new(id)),
        sent_at: payload["received_at"].as_str().and_then(time::read),
        ..InboundMessage::new(
            shared.account.id.clone(),
            address(from),
            address(ours),
            message(shared, id, payload).await?,
        )
    };
    Ok(Some(Arrival {
        dedupe: Dedupe::Id {
            scope: shared.account.id.0.clone(),
            id: id.to_owned(),
        },
        what: What::Network(Inbound::Message(inbound)),
    }))
}

async fn message(shared: &Shared, id: &str, payload: &Value) -> std::io::Result<Message> {
    let text = payload["text"]
        .as_str()
        .filter(|text| !text.is_empty())
        .or_else(|| payload.pointer("/body/text")?.as_str());
    let subject = payload["subject"].as_str().filter(|subject| !subject.is_empty());
    let words: Vec<&str> = subject.into_iter().chain(text).collect();
    let mut message = match words.is_empty() {
        true => Message::default(),
        false => Message::text(words.join("\n")),
    };
    let media = payload["media"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, file) in media.iter().take(FILES).enumerate() {
        message.parts.push(file_of(shared, id, at, file).await?);
    }
    if message.parts.is_empty() {
        message.parts.push(Part {
            disposition: Disposition::Render,
            body: Body::Other {
                kind: "sms/empty".to_owned(),
                fallback: None,
            },
        });
    }
    Ok(message)
}

async fn file_of(shared: &Shared, id: &str, at: usize, file: &Value) -> std::io::Result<Part> {
    let mime = file["content_type"].as_str();
    let url = file["url"].as_str().unwrap_or_default();
    // In clear only where the API itself is: it is the lab's.
    let plain = shared.config.url.starts_with("http:") && url.starts_with("http:");
    if !url.starts_with("https:") && !plain {
        return Ok(missing(mime, UNSAFE));
    }
    let identity = format!("{id}-{at}");
    let told = Told {
        identity: &identity,
        name: None,
        mime,
    };
    fetch(
        || shared.account.http.file(url),
        told,
        &shared.account.media,
        shared.config.largest_file as usize,
    )
    .await
}

/// The receipts that a message's payload makes: of a group, one for each of it.
pub fn receipts(shared: &Shared, payload: &Value) -> Vec<Arrival> {
    let Some(id) = payload["id"].as_str() else {
        return Vec::new();
    };
    let code = codes::first(payload);
    // What became of each of a group may be told under an id of its own, which names the group's.
    let group = payload["group_message_id"].as_str().unwrap_or(id);
    let all = states(payload);
    let alone = all.len() == 1 && payload["group_message_id"].is_null();
    let receipt = |(number, state): &(&str, &str)| {
        let outcome = codes::outcome(state, code)?;
        let mut network_ids = vec![id_of(group, number)];
        if alone {
            network_ids.insert(0, NetworkId::new(id));
        }
        let failed = matches!(outcome, Outcome::Rejected | Outcome::Expired);
        Some(Arrival {
            // A state only moves forward, in whatever order they are told.
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Receipt(Receipt {
                connector: shared.account.id.clone(),
                network_ids,
                outcome,
                error: code.filter(|_| failed).map(codes::words),
                at: payload["completed_at"].as_str().and_then(time::read),
                way: Vec::new(),
            })),
        })
    };
    all.iter().filter_map(receipt).collect()
}

/// Each recipient and their state.
pub fn states(payload: &Value) -> Vec<(&str, &str)> {
    let list = payload["to"].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|item| Some((item["phone_number"].as_str()?, item["status"].as_str()?)))
        .collect()
}

/// The id under which one of a group is known: it does not show the number.
pub fn id_of(message: &str, number: &str) -> NetworkId {
    let digest = Sha256::new()
        .chain_update(message)
        .chain_update([0])
        .chain_update(number)
        .finalize();
    NetworkId::new(format!(
        "{message}/{}",
        data_encoding::HEXLOWER.encode(&digest[..8])
    ))
}

fn numbers(list: &Value) -> Vec<&str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|item| item["phone_number"].as_str().or_else(|| item.as_str()))
        .collect()
}

/// Everybody but us, each once, sorted.
fn others<'a>(all: impl Iterator<Item = &'a str>, ours: &str) -> Vec<&'a str> {
    all.filter(|number| *number != ours)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn address(text: &str) -> NetworkAddress {
    NetworkAddress {
        text: text.to_owned(),
        hint: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_its_people_whoever_writes() {
        let everybody = ["+3", "+1", "+9", "+2", "+1"];
        assert_eq!(others(everybody.into_iter(), "+9"), ["+1", "+2", "+3"]);
    }

    #[test]
    fn the_id_of_one_of_a_group_is_stable_and_shows_no_number() {
        let id = id_of("abc", "+13125550001");
        assert_eq!(id, id_of("abc", "+13125550001"));
        assert_ne!(id, id_of("abc", "+13125550002"));
        assert_ne!(id, id_of("abd", "+13125550001"));
        assert!(!id.0.contains("5550001"));
    }
}
