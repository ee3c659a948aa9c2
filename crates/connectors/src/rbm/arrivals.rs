//! What Google tells: messages and events of phones, and events of its own (REST reference, `UserMessage`, `UserEvent`, `ServerEvent`).

use crate::rcs::buttons::answered;
use crate::rcs::files::{Told as TellsOf, digest};
use crate::rcs::network_address;
use crate::sms_gateway::time;
use serde_json::Value;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::{ConnectorId, NetworkId};
use swingbridge_domain::inbox::{
    Arrival, Dedupe, Inbound, InboundMessage, NetworkAddress, Preference, Receipt, Typing, What,
};
use swingbridge_domain::message::{Body, Disposition, Message, Part, Reference, Text, Tone};

/// What an event is.
#[derive(Debug)]
pub enum Told {
    Message(Said),
    Receipt(Became),
    /// Somebody wishes no more messages, or wishes them again.
    Wish(Wish),
    /// Somebody began to write.
    Typing(String),
    /// Nothing of this connector's; the kind.
    Nothing(&'static str),
}

/// Something from a phone. `Debug` shows neither number nor text.
pub struct Said {
    pub from: String,
    pub id: String,
    /// The id is Google's; one of ours stands where there was none.
    pub names_itself: bool,
    pub parts: Vec<Part>,
    /// A file that is to be fetched.
    pub file: Option<TellsOf>,
    answers: Option<NetworkId>,
    /// A button was tapped.
    tapped: bool,
    at: Option<Timestamp>,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Said({:?}, file: {})", self.parts, self.file.is_some())
    }
}

/// What became of a message of ours.
#[derive(Debug)]
pub struct Became {
    id: NetworkId,
    outcome: Outcome,
    error: Option<&'static str>,
    at: Option<Timestamp>,
}

/// What somebody chose in the agent's page on the phone. `Debug` shows no number.
pub struct Wish {
    pub from: String,
    id: String,
    wanted: bool,
}

impl std::fmt::Debug for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wish({})", self.wanted)
    }
}

/// What was told has not the form that the reference gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing or has another form")]
pub struct Malformed(&'static str);

/// Reads an event. `data`: as it came, by which it is known again where it has no id.
pub fn read(event: &Value, data: &[u8]) -> Result<Told, Malformed> {
    let from = text(event, "senderPhoneNumber");
    match (from, text(event, "eventType")) {
        (Some(from), Some(kind)) => user_event(event, data, from, kind),
        (Some(from), None) => Ok(Told::Message(user_message(event, data, from)?)),
        (None, Some(kind)) => server_event(event, kind),
        (None, None) => Ok(Told::Nothing("of no kind that is known")),
    }
}

fn user_event(event: &Value, data: &[u8], from: &str, kind: &str) -> Result<Told, Malformed> {
    let outcome = match kind {
        "DELIVERED" => Outcome::Delivered,
        "READ" => Outcome::Read,
        "IS_TYPING" => return Ok(Told::Typing(from.to_owned())),
        "UNSUBSCRIBE" => return Ok(Told::Wish(wish(event, data, from, false))),
        "SUBSCRIBE" => return Ok(Told::Wish(wish(event, data, from, true))),
        _ => return Ok(Told::Nothing("a user event of another type")),
    };
    became(event, outcome, None)
}

fn server_event(event: &Value, kind: &str) -> Result<Told, Malformed> {
    match kind {
        "TTL_EXPIRATION_REVOKED" => became(
            event,
            Outcome::Expired,
            Some("its time was over, and Google took it back"),
        ),
        "TTL_EXPIRATION_REVOKE_FAILED" => became(
            event,
            Outcome::Unknown,
            Some("its time was over, and Google could not take it back: the phone may have it"),
        ),
        _ => Ok(Told::Nothing("a server event of another type")),
    }
}

fn became(event: &Value, outcome: Outcome, error: Option<&'static str>) -> Result<Told, Malformed> {
    let id = text(event, "messageId").ok_or(Malformed("messageId"))?;
    Ok(Told::Receipt(Became {
        id: NetworkId::new(id),
        outcome,
        error,
        at: moment(event),
    }))
}

/// Nobody wrote anything, and Google has shown the contact what follows: it is handed in as what it is.
fn wish(event: &Value, data: &[u8], from: &str, wanted: bool) -> Wish {
    Wish {
        from: from.to_owned(),
        // Its own kind of id: a message may not be taken for it.
        id: format!("event:{}", id(event, &["eventId", "messageId"], data).0),
        wanted,
    }
}

fn user_message(event: &Value, data: &[u8], from: &str) -> Result<Said, Malformed> {
    let (id, names_itself) = id(event, &["messageId", "eventId"], data);
    let mut said = Said {
        from: from.to_owned(),
        id,
        names_itself,
        parts: Vec::new(),
        file: None,
        answers: None,
        tapped: false,
        at: moment(event),
    };
    let mut show = |body| {
        said.parts.push(Part {
            disposition: Disposition::Render,
            body,
        });
    };
    if let Some(words) = event.get("text") {
        show(words_of(words.as_str().ok_or(Malformed("text"))?, Tone::Plain));
    } else if let Some(tap) = event.get("suggestionResponse") {
        let label = text(tap, "text").ok_or(Malformed("suggestionResponse.text"))?;
        // An action is no answer: somebody opened a link or called.
        let tone = match text(tap, "type") {
            Some("ACTION") => Tone::Notice,
            _ => Tone::Plain,
        };
        show(words_of(label, tone));
        said.tapped = true;
        said.answers = text(tap, "postbackData").and_then(answered);
    } else if let Some(place) = event.get("location") {
        let degrees = |name, most: f64| {
            // Zero is left out by some writers of JSON.
            let degrees = place.get(name).map_or(Some(0.0), Value::as_f64);
            degrees
                .filter(|degrees| degrees.abs() <= most)
                .ok_or(Malformed("location"))
        };
        let (latitude, longitude) = (degrees("latitude", 90.0)?, degrees("longitude", 180.0)?);
        show(Body::Location {
            geo_uri: format!("geo:{latitude},{longitude}"),
            description: String::new(),
        });
    } else if let Some(file) = event.get("userFile") {
        // The thumbnail is passed over: clients make their own.
        let payload = file.get("payload").ok_or(Malformed("userFile.payload"))?;
        said.file = Some(TellsOf {
            name: text(payload, "fileName").map(str::to_owned),
            mime: text(payload, "mimeType").map(str::to_owned),
            size: payload.get("fileSizeBytes").and_then(number),
            address: text(payload, "fileUri")
                .ok_or(Malformed("userFile.payload.fileUri"))?
                .to_owned(),
        });
    } else {
        show(Body::Other {
            kind: "rcs".to_owned(),
            fallback: None,
        });
    }
    Ok(said)
}

fn words_of(plain: &str, tone: Tone) -> Body {
    Body::Text(Text {
        plain: plain.to_owned(),
        tone,
        ..Text::default()
    })
}

impl Said {
    pub fn arrival(self, connector: &ConnectorId, own: &str) -> Arrival {
        let message = Message {
            in_reply_to: self.answers.map(Reference::Network),
            parts: self.parts,
            ..Message::default()
        };
        let inbound = InboundMessage {
            network_id: self.names_itself.then(|| NetworkId::new(self.id.clone())),
            sent_at: self.at,
            tapped: self.tapped,
            ..InboundMessage::new(connector.clone(), network_address(&self.from), to(own), message)
        };
        Arrival {
            dedupe: Dedupe::Id {
                scope: connector.0.clone(),
                id: self.id,
            },
            what: What::Network(Inbound::Message(inbound)),
        }
    }
}

impl Wish {
    pub fn arrival(self, connector: &ConnectorId, own: &str) -> Arrival {
        Arrival {
            dedupe: Dedupe::Id {
                scope: connector.0.clone(),
                id: self.id,
            },
            what: What::Network(Inbound::Preference(Preference {
                connector: connector.clone(),
                from: network_address(&self.from),
                to: to(own),
                wanted: self.wanted,
            })),
        }
    }
}

impl Became {
    pub fn arrival(self, connector: &ConnectorId) -> Arrival {
        let receipt = Receipt {
            connector: connector.clone(),
            network_ids: vec![self.id],
            outcome: self.outcome,
            error: self.error.map(str::to_owned),
            at: self.at,
            way: Vec::new(),
        };
        Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Receipt(receipt)),
        }
    }
}

pub fn typing(connector: &ConnectorId, own: &str, from: &str) -> Arrival {
    Arrival {
        dedupe: Dedupe::Harmless,
        what: What::Network(Inbound::Typing(Typing {
            connector: connector.clone(),
            from: network_address(from),
            to: to(own),
            group: None,
            active: true,
        })),
    }
}

fn to(own: &str) -> NetworkAddress {
    NetworkAddress {
        text: own.to_owned(),
        hint: Default::default(),
    }
}

/// The first of these names that is there. Without one, what was said is its own name: it comes again in the same octets.
fn id(event: &Value, names: &[&str], data: &[u8]) -> (String, bool) {
    match names.iter().find_map(|name| text(event, name)) {
        Some(id) => (id.to_owned(), true),
        None => (digest(data), false),
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Whole numbers of 64 bits are written as texts by some.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn moment(event: &Value) -> Option<Timestamp> {
    time::read(text(event, "sendTime")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_has_no_id_is_known_again_by_its_octets() {
        let event = json!({ "senderPhoneNumber": "+447700900123", "text": "hi" });
        let read = |data: &[u8]| match read(&event, data) {
            Ok(Told::Message(said)) => said,
            other => panic!("{other:?}"),
        };
        assert_eq!(read(b"a").id, read(b"a").id);
        assert_ne!(read(b"a").id, read(b"b").id);
        assert!(!read(b"a").names_itself);
    }

    #[test]
    fn what_has_another_form_is_named_and_what_is_new_passed_over() {
        let from = "+447700900123";
        for (event, expected) in [
            (json!({ "senderPhoneNumber": from, "text": 5 }), "text"),
            (
                json!({ "senderPhoneNumber": from, "eventType": "READ" }),
                "messageId",
            ),
            (
                json!({ "senderPhoneNumber": from, "userFile": {} }),
                "userFile.payload",
            ),
            (
                json!({ "senderPhoneNumber": from, "location": { "latitude": 91 } }),
                "location",
            ),
        ] {
            let error = read(&event, b"").unwrap_err();
            assert_eq!(error, Malformed(expected));
        }
        for event in [
            json!({}),
            json!({ "eventType": "NEW" }),
            json!({ "senderPhoneNumber": from, "eventType": "NEW" }),
        ] {
            assert!(matches!(read(&event, b""), Ok(Told::Nothing(_))), "{event}");
        }
    }
}
