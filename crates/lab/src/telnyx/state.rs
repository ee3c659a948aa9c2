//! What Telnyx keeps.

use super::NUMBER;
use crate::trouble::Troubles;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use swingbridge_domain::clock::Timestamp;

/// A message that was taken to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub id: String,
    pub group: bool,
    /// Each recipient and their status.
    pub to: Vec<(String, String)>,
    pub text: String,
    pub media: Vec<String>,
    pub error: Option<u32>,
    pub webhook: Option<String>,
    /// Milliseconds since the epoch.
    pub at: i64,
}

/// A message that came.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    pub id: String,
    pub from: String,
    /// The others of a group.
    pub cc: Vec<String>,
    pub text: String,
    /// MIME type and octets.
    pub files: Vec<(String, Vec<u8>)>,
    pub keyword: Option<String>,
    /// Milliseconds since the epoch.
    pub at: i64,
}

impl Incoming {
    pub fn new(from: &str, text: &str) -> Self {
        Self {
            from: from.to_owned(),
            text: text.to_owned(),
            ..Self::default()
        }
    }
}

#[derive(Debug, Default)]
pub struct World {
    pub now: i64,
    pub webhook: String,
    pub sent: Vec<Sent>,
    pub inbox: Vec<Incoming>,
    pub opted_out: BTreeSet<String>,
    /// By path and key: the body and the answer.
    pub replays: HashMap<(String, String), (Vec<u8>, Value)>,
    ids: u64,
}

#[derive(Debug)]
pub struct Shared {
    pub world: Mutex<World>,
    pub troubles: Troubles,
    pub api: String,
}

impl Shared {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub fn at(now: i64) -> Self {
        Self {
            now: now * 1000,
            ..Self::default()
        }
    }

    pub fn id(&mut self) -> String {
        self.ids += 1;
        format!("403188fd-58c5-4557-a8de-{:012x}", self.ids)
    }

    pub fn receive(&mut self, incoming: Incoming) -> Incoming {
        self.now += 1;
        let incoming = Incoming {
            id: self.id(),
            at: self.now,
            ..incoming
        };
        self.inbox.push(incoming.clone());
        incoming
    }

    pub fn reach(
        &mut self,
        id: &str,
        number: Option<&str>,
        status: &str,
        error: Option<u32>,
    ) -> Option<Sent> {
        let sent = self.sent.iter_mut().find(|sent| sent.id == id)?;
        for (known, state) in &mut sent.to {
            if number.is_none_or(|number| number == known) {
                status.clone_into(state);
            }
        }
        sent.error = error;
        Some(sent.clone())
    }

    /// Takes a message, or says with which status, code and title not.
    pub fn take(&mut self, body: &Value, group: bool) -> Result<Sent, (u16, u32, &'static str)> {
        if body["from"] != NUMBER {
            return Err((400, 40305, "Invalid 'from' address"));
        }
        let to: Vec<String> = match (&body["to"], group) {
            (Value::String(to), false) => vec![to.clone()],
            (Value::Array(list), true) => list
                .iter()
                .filter_map(|to| to.as_str().map(str::to_owned))
                .collect(),
            _ => return Err((400, 10015, "Bad Request")),
        };
        let number = |to: &String| {
            let digits = to.strip_prefix('+').unwrap_or_default();
            (7..=15).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit())
        };
        if to.is_empty() || to.len() > 8 || !to.iter().all(number) {
            return Err((400, 40310, "Invalid 'to' address"));
        }
        let text = body["text"].as_str().unwrap_or_default().to_owned();
        let media: Vec<String> = body["media_urls"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|link| link.as_str().map(str::to_owned))
            .collect();
        if text.is_empty() && media.is_empty() {
            return Err((400, 40316, "No content provided for message"));
        }
        if media.len() > 10 {
            return Err((400, 40317, "Invalid MMS content"));
        }
        if text.chars().count() > 1530 {
            return Err((400, 40302, "Message too large"));
        }
        if to.iter().any(|to| self.opted_out.contains(to)) {
            return Err((403, 40300, "Blocked due to STOP message"));
        }
        self.now += 1;
        let sent = Sent {
            id: self.id(),
            group,
            to: to.into_iter().map(|to| (to, "queued".to_owned())).collect(),
            text,
            media,
            error: None,
            webhook: body["webhook_url"].as_str().map(str::to_owned),
            at: self.now,
        };
        self.sent.push(sent.clone());
        Ok(sent)
    }
}

/// As Telnyx writes moments.
pub fn written(at: i64) -> String {
    let text = Timestamp(at).to_string();
    text.replace('Z', &format!(".{:03}+00:00", at.rem_euclid(1000)))
}

fn party(number: &str, status: &str) -> Value {
    json!({ "phone_number": number, "status": status, "carrier": "LAB", "line_type": "Wireless" })
}

fn errors(code: Option<u32>) -> Value {
    match code {
        Some(code) => {
            json!([{ "code": code.to_string(), "title": "as the test wants", "detail": "as the test wants" }])
        }
        None => json!([]),
    }
}

impl Sent {
    pub fn shown(&self) -> Value {
        let mms = self.group || !self.media.is_empty();
        let to: Vec<Value> = self.to.iter().map(|(to, status)| party(to, status)).collect();
        let media: Vec<Value> = self
            .media
            .iter()
            .map(|url| json!({ "url": url, "content_type": null, "sha256": null, "size": null }))
            .collect();
        json!({
            "record_type": "message", "direction": "outbound", "id": self.id, "type": if mms { "MMS" } else { "SMS" },
            "messaging_profile_id": "4000eba1-a0c0-4563-9925-b25e842a7cb6", "organization_id": "b448f9cc-a842-4784-98e9-03c1a5872950",
            "from": { "phone_number": NUMBER, "carrier": "TELNYX LLC", "line_type": "VoIP" }, "to": to, "cc": [], "text": self.text,
            "subject": null, "media": media, "webhook_url": self.webhook, "webhook_failover_url": "", "encoding": "GSM-7", "parts": 1,
            "tags": [], "cost": { "amount": "0.0040", "currency": "USD" }, "received_at": written(self.at), "sent_at": null,
            "completed_at": null, "valid_until": null, "errors": errors(self.error),
        })
    }
}

impl Incoming {
    pub fn shown(&self, api: &str) -> Value {
        let mms = !self.cc.is_empty() || !self.files.is_empty();
        let media: Vec<Value> = self
            .files
            .iter()
            .enumerate()
            .map(|(at, (mime, octets))| {
                json!({ "url": format!("{api}/media/{}/{at}", self.id), "content_type": mime, "sha256": null, "size": octets.len() })
            })
            .collect();
        let cc: Vec<Value> = self.cc.iter().map(|number| party(number, "delivered")).collect();
        json!({
            "record_type": "message", "direction": "inbound", "id": self.id, "type": if mms { "MMS" } else { "SMS" },
            "messaging_profile_id": "4000eba1-a0c0-4563-9925-b25e842a7cb6", "organization_id": "b448f9cc-a842-4784-98e9-03c1a5872950",
            "from": { "phone_number": self.from, "carrier": "LAB", "line_type": "Wireless" },
            "to": [party(NUMBER, "webhook_delivered")], "cc": cc, "text": self.text, "subject": null, "media": media,
            "autoresponse_type": self.keyword, "webhook_url": "", "webhook_failover_url": "", "encoding": "GSM-7", "parts": 1, "tags": [],
            "cost": null, "received_at": written(self.at), "sent_at": null, "completed_at": null, "valid_until": null, "errors": [],
        })
    }
}
