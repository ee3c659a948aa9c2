//! What the platform tells (FNW.11, events of the webhook).

use super::config::Dialect;
use crate::rcs::buttons::answered;
use crate::rcs::files::{Told as TellsOf, digest};
use crate::rcs::network_address;
use crate::sms_gateway::time;
use serde_json::Value;
use swingbridge_domain::address::Hint;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::{ConnectorId, NetworkId};
use swingbridge_domain::inbox::{
    Arrival, Dedupe, Inbound, InboundMessage, NetworkAddress, Receipt, Typing, What,
};
use swingbridge_domain::message::{Body, Disposition, Message, Part, Reference, Text, Tone};

pub enum Told {
    Message(Box<Said>),
    Receipt(Receipt),
    Typing(Typing),
    /// A chat whose number was hidden, and the number.
    Alias(String, String),
    /// Nothing that is of use here.
    Nothing,
}

/// Something from a phone.
pub struct Said {
    pub from: NetworkAddress,
    /// Known again by this.
    pub identity: String,
    pub network_id: Option<NetworkId>,
    pub parts: Vec<Part>,
    pub file: Option<TellsOf>,
    /// Our own name for the message that a tap answers.
    pub answers: Option<String>,
    /// A button was tapped.
    pub tapped: bool,
    pub at: Option<Timestamp>,
}

/// What was told has not the form that the API gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing or has another form")]
pub struct Malformed(&'static str);

/// What reading needs to know.
pub struct Reader<'a> {
    pub connector: &'a ConnectorId,
    pub own: &'a str,
    pub dialect: &'a Dialect,
    /// The number of a chat that hides it, where it was told.
    pub number_of: &'a (dyn Fn(&str) -> Option<String> + Send + Sync),
}

impl Reader<'_> {
    /// Reads an event. `octets`: as it came, by which it is known again where it has no id.
    pub fn read(&self, event: &Value, octets: &[u8]) -> Result<Told, Malformed> {
        let message = event.get("RCSMessage").unwrap_or(&Value::Null);
        match text(event, "event").ok_or(Malformed("event"))? {
            "message" => Ok(Told::Message(Box::new(self.message(event, message, octets)?))),
            "response" | "newUser" => Ok(Told::Message(Box::new(self.response(event, message, octets)?))),
            "isTyping" => {
                let active = match text(message, "isTyping") {
                    Some("active") => true,
                    Some("idle") => false,
                    _ => return Err(Malformed("RCSMessage.isTyping")),
                };
                Ok(Told::Typing(Typing {
                    connector: self.connector.clone(),
                    from: self.from(event)?,
                    to: self.to(),
                    group: None,
                    active,
                }))
            }
            "messageStatus" => self.state(message),
            "alias" => {
                let contact = event.get("messageContact").unwrap_or(&Value::Null);
                match (
                    text(contact, "chatId"),
                    text(contact, &self.dialect.contact_field),
                ) {
                    (Some(chat), Some(number)) => Ok(Told::Alias(chat.to_owned(), number_in(number))),
                    _ => Err(Malformed("messageContact")),
                }
            }
            _ => Ok(Told::Nothing),
        }
    }

    fn message(&self, event: &Value, message: &Value, octets: &[u8]) -> Result<Said, Malformed> {
        let mut said = self.said(event, message)?;
        said.identity = match &said.network_id {
            Some(id) => id.0.clone(),
            None => digest(octets),
        };
        let mut show = |body| {
            said.parts.push(Part {
                disposition: Disposition::Render,
                body,
            });
        };
        let file = |name: &'static str| message.get(name);
        if let Some(words) = message.get("textMessage") {
            show(words_of(
                words.as_str().ok_or(Malformed("RCSMessage.textMessage"))?,
                Tone::Plain,
            ));
        } else if let Some(place) = message.get("geolocationPushMessage") {
            show(Body::Location {
                geo_uri: point(text(place, "pos").unwrap_or_default())
                    .ok_or(Malformed("geolocationPushMessage.pos"))?,
                description: text(place, "label").unwrap_or_default().to_owned(),
            });
        } else if let Some(about) = file("fileMessage").or_else(|| file("audioMessage")) {
            said.file = Some(TellsOf {
                name: text(about, "fileName").map(str::to_owned),
                mime: text(about, "fileMIMEType").map(str::to_owned),
                size: about.get("fileSize").and_then(Value::as_u64),
                address: text(about, "fileUrl").ok_or(Malformed("fileUrl"))?.to_owned(),
            });
        } else {
            show(Body::Other {
                kind: "rcs".to_owned(),
                fallback: None,
            });
        }
        Ok(said)
    }

    fn response(&self, event: &Value, message: &Value, octets: &[u8]) -> Result<Said, Malformed> {
        let mut said = self.said(event, message)?;
        said.tapped = true;
        // The id may be that of the message which is answered, and so stand for several taps.
        said.network_id = None;
        said.identity = format!("tap:{}", digest(octets));
        let response = message
            .pointer("/suggestedResponse/response")
            .unwrap_or(&Value::Null);
        let (tap, tone) = match (response.get("reply"), response.get("action")) {
            (Some(reply), _) => (reply, Tone::Plain),
            // No answer: somebody opened a link or called.
            (None, Some(action)) => (action, Tone::Notice),
            (None, None) => return Err(Malformed("RCSMessage.suggestedResponse")),
        };
        let label = text(tap, "displayText").ok_or(Malformed("displayText"))?;
        said.parts.push(Part {
            disposition: Disposition::Render,
            body: words_of(label, tone),
        });
        let data = tap.pointer("/postback/data").and_then(Value::as_str);
        said.answers = data.and_then(answered).map(|name| match name.0.split_once('/') {
            Some((name, _)) => name.to_owned(),
            None => name.0,
        });
        Ok(said)
    }

    fn said(&self, event: &Value, message: &Value) -> Result<Said, Malformed> {
        Ok(Said {
            from: self.from(event)?,
            identity: String::new(),
            network_id: text(message, &self.dialect.id_field).map(NetworkId::new),
            parts: Vec::new(),
            file: None,
            answers: None,
            tapped: false,
            at: moment(message),
        })
    }

    fn state(&self, message: &Value) -> Result<Told, Malformed> {
        let id = text(message, &self.dialect.id_field).ok_or(Malformed("RCSMessage.msgId"))?;
        let word = text(message, "status").ok_or(Malformed("RCSMessage.status"))?;
        let Some(outcome) = self.dialect.outcome(word) else {
            return Ok(Told::Nothing);
        };
        let word = || word.chars().filter(char::is_ascii_alphabetic).take(40).collect();
        let failed = matches!(outcome, Outcome::Rejected | Outcome::Expired | Outcome::Unknown);
        Ok(Told::Receipt(Receipt {
            connector: self.connector.clone(),
            network_ids: vec![NetworkId::new(id)],
            outcome,
            error: failed.then(word),
            at: moment(message),
            way: Vec::new(),
        }))
    }

    fn from(&self, event: &Value) -> Result<NetworkAddress, Malformed> {
        let contact = event.get("messageContact").unwrap_or(&Value::Null);
        if let Some(number) = text(contact, &self.dialect.contact_field) {
            return Ok(network_address(&number_in(number)));
        }
        let chat = text(contact, "chatId").ok_or(Malformed("messageContact"))?;
        Ok(match (self.number_of)(chat) {
            Some(number) => network_address(&number),
            // Somebody who hides the number: a name, which cannot be answered.
            None => NetworkAddress {
                text: chat.to_owned(),
                hint: Hint::Alphanumeric,
            },
        })
    }

    fn to(&self) -> NetworkAddress {
        NetworkAddress {
            text: self.own.to_owned(),
            hint: Hint::Unknown,
        }
    }

    /// `answers`: what the platform calls the message that is answered.
    pub fn arrival(&self, said: Said, answers: Option<String>) -> Arrival {
        let message = Message {
            in_reply_to: answers.map(|id| Reference::Network(NetworkId(id))),
            parts: said.parts,
            ..Message::default()
        };
        let inbound = InboundMessage {
            tapped: said.tapped,
            network_id: said.network_id,
            sent_at: said.at,
            ..InboundMessage::new(self.connector.clone(), said.from, self.to(), message)
        };
        Arrival {
            dedupe: Dedupe::Id {
                scope: self.connector.0.clone(),
                id: said.identity,
            },
            what: What::Network(Inbound::Message(inbound)),
        }
    }
}

/// Numbers come in each of the forms that they are written in.
fn number_in(text: &str) -> String {
    let bare = text.trim().trim_start_matches("tel:");
    match bare.bytes().all(|octet| octet.is_ascii_digit()) && bare.len() > 6 {
        true => format!("+{bare}"),
        false => bare.to_owned(),
    }
}

/// `latitude,longitude` or with a space between, as a `geo:` URI.
fn point(pos: &str) -> Option<String> {
    let mut numbers = pos
        .split([',', ' '])
        .filter(|one| !one.is_empty())
        .map(|one| one.parse::<f64>().ok());
    let (latitude, longitude) = (numbers.next()??, numbers.next()??);
    let fits = latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && numbers.next().is_none();
    fits.then(|| format!("geo:{latitude},{longitude}"))
}

fn words_of(plain: &str, tone: Tone) -> Body {
    Body::Text(Text {
        plain: plain.to_owned(),
        tone,
        ..Text::default()
    })
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn moment(message: &Value) -> Option<Timestamp> {
    time::read(text(message, "timestamp")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_numbers_are_read_in_each_form() {
        for pos in [
            "26.1181289,-80.1283921",
            "26.1181289 -80.1283921",
            "26.1181289, -80.1283921",
        ] {
            assert_eq!(point(pos).as_deref(), Some("geo:26.1181289,-80.1283921"));
        }
        for pos in ["", "26", "91,0", "a,b", "1,2,3"] {
            assert_eq!(point(pos), None, "{pos}");
        }
        for number in ["+447700900123", "447700900123", "tel:+447700900123"] {
            assert_eq!(number_in(number), "+447700900123");
        }
    }
}
