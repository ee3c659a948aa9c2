//! What the app keeps.

use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Each webhook is sent twice, under ids of their own.
    pub doubles_webhooks: bool,
    /// Webhooks are not sent at all: the phone has no network for them.
    pub tells_nothing: bool,
    /// A message is taken, and the answer never comes.
    pub swallows_answers: bool,
    /// Every request is answered with this.
    pub answers: Option<u16>,
    /// A version without `/inbox`.
    pub has_no_inbox: bool,
    /// A version that passes over `mmsMessage`.
    pub has_no_mms: bool,
    /// A version whose database refuses a second message with the same id, and says 500.
    pub is_old: bool,
}

/// A message that the app took to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: String,
    pub to: Vec<String>,
    pub text: String,
    /// Of an MMS: name, MIME type, octets.
    pub file: Option<(String, String, Vec<u8>)>,
    pub state: String,
    pub sim: Option<i64>,
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub id: String,
    pub sender: String,
    pub text: String,
    /// Seconds since the epoch.
    pub at: i64,
    /// Name, MIME type, octets; an MMS has some.
    pub attachments: Vec<(String, String, Vec<u8>)>,
    pub mms: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub id: String,
    pub url: String,
    pub event: String,
}

#[derive(Debug, Default)]
pub struct World {
    pub now: i64,
    pub sent: Vec<Sent>,
    pub inbox: Vec<Incoming>,
    pub hooks: Vec<Hook>,
    pub scenario: Scenario,
    ids: u64,
}

#[derive(Debug)]
pub struct Shared {
    world: Mutex<World>,
    pub client: reqwest::Client,
}

impl Shared {
    pub fn new(world: World) -> reqwest::Result<Self> {
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            world: Mutex::new(world),
            client: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub fn at(now: i64) -> Self {
        Self {
            now,
            ..Self::default()
        }
    }

    pub fn id(&mut self) -> String {
        self.ids += 1;
        format!("event{:016}", self.ids)
    }

    /// Keeps what came, and gives what is to be told of it.
    pub fn receive(
        &mut self,
        sender: &str,
        text: &str,
        attachments: &[(&str, &str, &[u8])],
    ) -> Option<(String, Value)> {
        self.now += 1;
        let mms = !attachments.is_empty();
        let id = format!("{}:{}", if mms { "mms" } else { "text" }, self.now);
        let incoming = Incoming {
            id,
            sender: sender.to_owned(),
            text: text.to_owned(),
            at: self.now,
            attachments: attachments
                .iter()
                .map(|(name, mime, octets)| ((*name).to_owned(), (*mime).to_owned(), octets.to_vec()))
                .collect(),
            mms,
        };
        let told = incoming.event();
        self.inbox.push(incoming);
        Some(told)
    }

    pub fn reach(&mut self, id: &str, state: &str) -> Option<(String, Value)> {
        let at = written(self.now);
        let sent = self.sent.iter_mut().find(|sent| sent.id == id)?;
        state.clone_into(&mut sent.state);
        let mut payload = json!({ "messageId": id, "sender": null, "recipient": sent.to.first(),
            "phoneNumber": sent.to.first(), "simNumber": sent.sim });
        let (event, field) = match state {
            "Sent" => ("sms:sent", "sentAt"),
            "Delivered" => ("sms:delivered", "deliveredAt"),
            "Cancelled" => return Some(("sms:cancelled".to_owned(), payload)),
            _ => {
                payload["reason"] = "Send result: RESULT_ERROR_NO_SERVICE".into();
                ("sms:failed", "failedAt")
            }
        };
        payload[field] = at.into();
        Some((event.to_owned(), payload))
    }
}

impl Incoming {
    /// The event and its payload.
    pub fn event(&self) -> (String, Value) {
        let mut payload = json!({
            "messageId": format!("{:x}", self.at),
            "sender": self.sender,
            "phoneNumber": self.sender,
            "recipient": null,
            "simNumber": 1,
            "receivedAt": written(self.at),
        });
        if !self.mms {
            payload["message"] = self.text.as_str().into();
            return ("sms:received".to_owned(), payload);
        }
        payload["body"] = self.text.as_str().into();
        payload["subject"] = Value::Null;
        payload["attachments"] = self
            .attachments
            .iter()
            .enumerate()
            .map(|(part, (name, mime, octets))| {
                json!({ "partId": part, "contentType": mime, "name": name, "size": octets.len(),
                    "data": data_encoding::BASE64.encode(octets) })
            })
            .collect();
        ("mms:downloaded".to_owned(), payload)
    }

    /// As `/inbox` lists it.
    pub fn listed(&self, attachments: bool) -> Value {
        let mut listed = json!({
            "id": self.id,
            "type": if self.mms { "MMS_DOWNLOADED" } else { "SMS" },
            "sender": self.sender,
            "simNumber": 1,
            "contentPreview": self.text,
            "createdAt": written(self.at),
            "attachments": [],
        });
        if attachments {
            listed["attachments"] = self
                .attachments
                .iter()
                .enumerate()
                .map(|(part, (name, mime, octets))| {
                    json!({ "partId": part, "contentType": mime, "name": name, "size": octets.len() })
                })
                .collect();
        }
        listed
    }
}

/// As the app writes moments: with milliseconds and the phone's offset, here one hour.
pub fn written(at: i64) -> String {
    let text = swingbridge_domain::clock::Timestamp((at + 3600) * 1000).to_string();
    text.replace('Z', ".000+01:00")
}
