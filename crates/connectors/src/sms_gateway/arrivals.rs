//! What the app tells of a message, by webhook or in its inbox, as one thing with one identity.

use super::time;
use crate::provider::files::{Told, keep};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{ConnectorId, NetworkId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, InboundMessage, NetworkAddress, What};
use swingbridge_domain::message::{Body, Disposition, Message, Part};

/// How much of a data message the app's inbox tells.
const DATA_TOLD: usize = 64;

/// A message that came to the phone.
pub struct Item {
    pub sender: String,
    pub sim: Option<i64>,
    pub at: Timestamp,
    pub content: Content,
}

pub enum Content {
    Text(String),
    /// Octets for a program, as many as both tellings have.
    Data(Vec<u8>),
    Mms {
        text: Option<String>,
        attachments: Vec<Attachment>,
    },
}

pub struct Attachment {
    pub part: i64,
    pub mime: String,
    pub name: Option<String>,
    /// `None`: it must be fetched.
    pub octets: Option<Vec<u8>>,
}

/// What was told has not the form that the API gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing or has another form")]
pub struct Malformed(pub &'static str);

impl Item {
    /// Reads the payload of `sms:received`, `sms:data-received` or `mms:downloaded`.
    pub fn from_event(event: &str, payload: &Value) -> Result<Self, Malformed> {
        let sender = text(payload, "sender")
            .or_else(|| text(payload, "phoneNumber"))
            .ok_or(Malformed("payload.sender"))?;
        let content = match event {
            "sms:received" => Content::Text(text(payload, "message").ok_or(Malformed("payload.message"))?),
            "sms:data-received" => {
                let data = text(payload, "data").ok_or(Malformed("payload.data"))?;
                let mut octets = decode(&data).ok_or(Malformed("payload.data"))?;
                octets.truncate(DATA_TOLD);
                Content::Data(octets)
            }
            _ => Content::Mms {
                text: text(payload, "body").or_else(|| text(payload, "subject")),
                attachments: attachments(payload)?,
            },
        };
        Ok(Self {
            sender,
            sim: payload.get("simNumber").and_then(Value::as_i64),
            at: moment(payload, "receivedAt").ok_or(Malformed("payload.receivedAt"))?,
            content,
        })
    }

    /// Reads an element of `GET /inbox`; `None` is a notice of an MMS that was not fetched by the phone.
    pub fn from_inbox(item: &Value) -> Result<Option<Self>, Malformed> {
        let preview = text(item, "contentPreview").ok_or(Malformed("contentPreview"))?;
        let content = match item.get("type").and_then(Value::as_str) {
            Some("SMS") => Content::Text(preview),
            Some("DATA_SMS") => {
                let octets = data_encoding::HEXLOWER_PERMISSIVE
                    .decode(preview.trim_end_matches('.').as_bytes())
                    .map_err(|_| Malformed("contentPreview"))?;
                Content::Data(octets)
            }
            Some("MMS_DOWNLOADED") => Content::Mms {
                // What the app writes where there is no text.
                text: (preview != "MMS content").then_some(preview),
                attachments: attachments(item)?,
            },
            Some("MMS") => return Ok(None),
            _ => return Err(Malformed("type")),
        };
        Ok(Some(Self {
            sender: text(item, "sender").ok_or(Malformed("sender"))?,
            sim: item.get("simNumber").and_then(Value::as_i64),
            at: moment(item, "createdAt").ok_or(Malformed("createdAt"))?,
            content,
        }))
    }

    /// Equal for two tellings of one message; see the module for the rule.
    pub fn identity(&self) -> String {
        let mut digest = Sha256::new();
        let mut field = |octets: &[u8]| {
            digest.update((octets.len() as u64).to_be_bytes());
            digest.update(octets);
        };
        field(self.sender.as_bytes());
        field(&self.at.millis().to_be_bytes());
        field(&self.sim.unwrap_or(-1).to_be_bytes());
        match &self.content {
            Content::Text(text) => {
                field(b"text");
                field(text.as_bytes());
            }
            Content::Data(octets) => {
                field(b"data");
                field(octets);
            }
            Content::Mms { text, attachments } => {
                field(b"mms");
                field(text.as_deref().unwrap_or_default().as_bytes());
                let first = attachments.iter().map(|attachment| attachment.part).min();
                field(&first.unwrap_or(-1).to_be_bytes());
            }
        }
        data_encoding::HEXLOWER.encode(&digest.finalize()[..16])
    }

    /// Makes an arrival of it. Attachments become files in `folder`; those that could not be had are named. Blocks on the disk.
    ///
    /// # Errors
    /// The disk; worth a retry.
    pub fn arrival(
        self,
        connector: &ConnectorId,
        own: &str,
        begun: Option<Timestamp>,
        folder: &Path,
    ) -> std::io::Result<Arrival> {
        let identity = self.identity();
        let address = |text: &str| NetworkAddress {
            text: text.to_owned(),
            hint: Default::default(),
        };
        let message = match self.content {
            Content::Text(text) if text.is_empty() => other("sms/empty"),
            Content::Text(text) => Message::text(text),
            Content::Data(_) => other("sms/data"),
            Content::Mms { text, attachments } => mms(text, attachments, &identity, folder)?,
        };
        let inbound = InboundMessage {
            history: begun.is_some_and(|begun| self.at < begun),
            network_id: Some(NetworkId::new(identity.clone())),
            sent_at: Some(self.at),
            ..InboundMessage::new(connector.clone(), address(&self.sender), address(own), message)
        };
        Ok(Arrival {
            dedupe: Dedupe::Id {
                scope: connector.0.clone(),
                id: identity,
            },
            what: What::Network(Inbound::Message(inbound)),
        })
    }
}

fn other(kind: &str) -> Message {
    Message {
        parts: vec![part(Body::Other {
            kind: kind.to_owned(),
            fallback: None,
        })],
        ..Message::default()
    }
}

fn part(body: Body) -> Part {
    Part {
        disposition: Disposition::Render,
        body,
    }
}

fn mms(
    text: Option<String>,
    attachments: Vec<Attachment>,
    identity: &str,
    folder: &Path,
) -> std::io::Result<Message> {
    let mut message = match text.filter(|text| !text.is_empty()) {
        Some(text) => Message::text(text),
        None => Message::default(),
    };
    for attachment in attachments {
        let body = match attachment.octets {
            None => Body::Other {
                kind: attachment.mime,
                fallback: None,
            },
            Some(octets) => {
                let told = Told {
                    identity: &format!("{identity}-{}", attachment.part),
                    name: attachment.name.as_deref(),
                    mime: Some(&attachment.mime),
                };
                message.parts.push(keep(folder, &told, None, &octets)?);
                continue;
            }
        };
        message.parts.push(part(body));
    }
    if message.parts.is_empty() {
        return Ok(other("mms/empty"));
    }
    Ok(message)
}

fn attachments(payload: &Value) -> Result<Vec<Attachment>, Malformed> {
    let list = match payload.get("attachments") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Malformed("attachments")),
    };
    let read = |item: &Value| {
        Ok(Attachment {
            part: item
                .get("partId")
                .and_then(Value::as_i64)
                .ok_or(Malformed("attachments.partId"))?,
            mime: text(item, "contentType").unwrap_or_else(|| "application/octet-stream".to_owned()),
            name: text(item, "name"),
            octets: text(item, "data").as_deref().and_then(decode),
        })
    };
    list.iter().map(read).collect()
}

fn decode(data: &str) -> Option<Vec<u8>> {
    let clean: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    data_encoding::BASE64.decode(clean.as_bytes()).ok()
}

fn text(item: &Value, name: &str) -> Option<String> {
    item.get(name)?.as_str().map(str::to_owned)
}

fn moment(item: &Value, name: &str) -> Option<Timestamp> {
    time::read(item.get(name)?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn received(text: &str, at: &str, id: &str) -> Item {
        let payload = json!({ "messageId": id, "sender": "+447700900123", "simNumber": 1, "message": text, "receivedAt": at });
        Item::from_event("sms:received", &payload).unwrap()
    }

    #[test]
    fn two_tellings_of_one_text_are_one_and_two_equal_texts_are_two() {
        let one = received("ok", "2025-11-14T04:39:53.000+03:00", "a");
        let told_again = received("ok", "2025-11-14T01:39:53Z", "b");
        let in_the_inbox = json!({ "id": "text:1", "type": "SMS", "sender": "+447700900123", "simNumber": 1,
            "contentPreview": "ok", "createdAt": "2025-11-14T01:39:53.000Z" });
        let in_the_inbox = Item::from_inbox(&in_the_inbox).unwrap().unwrap();
        assert_eq!(one.identity(), told_again.identity());
        assert_eq!(one.identity(), in_the_inbox.identity());
        assert_ne!(
            one.identity(),
            received("ok", "2025-11-14T01:39:54Z", "a").identity()
        );
        assert_ne!(
            one.identity(),
            received("OK", "2025-11-14T01:39:53Z", "a").identity()
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let at = "2025-11-14T01:39:53Z";
        for (payload, missing) in [
            (json!({}), "payload.sender"),
            (json!({ "sender": "1", "receivedAt": at }), "payload.message"),
            (json!({ "sender": "1", "message": "x" }), "payload.receivedAt"),
        ] {
            let error = Item::from_event("sms:received", &payload).err();
            assert_eq!(error, Some(Malformed(missing)));
        }
    }
}
