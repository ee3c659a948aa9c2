//! What a webhook, or an element of Twilio's list, brings.

use super::cards;
use super::codes;
use super::connector::Shared;
use super::conversations::place::place;
use crate::provider::files::{Told, UNSAFE, fetch, missing};
use serde_json::Value;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{
    Arrival, Dedupe, Group, Inbound, InboundMessage, NetworkAddress, Preference, Receipt, What,
};
use swingbridge_domain::message::{Body, Disposition, Message, Part, Reference};
use url::Url;

/// The most files of one message.
const FILES: usize = 20;

/// The parameters of a webhook.
#[derive(Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    pub fn read(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// The texts and numbers of an object.
    pub fn read_json(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
            return None;
        };
        let pairs = object.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text)),
            Value::Number(number) => Some((name, number.to_string())),
            _ => None,
        });
        Some(Self(pairs.collect()))
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The others that a message went to. Twilio's reference does not name these.
    fn others(&self) -> Vec<String> {
        let is_other = |name: &str| {
            name.strip_prefix("OtherRecipients")
                .is_some_and(|rest| rest.bytes().all(|octet| octet.is_ascii_digit()))
        };
        self.0
            .iter()
            .filter(|(name, value)| is_other(name) && !value.is_empty())
            .map(|(_, value)| value.clone())
            .collect()
    }

    fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }
}

/// Whether it tells of a message of ours. RCS tells of reading by an event of its own.
pub fn is_receipt(form: &Form) -> bool {
    let status = form
        .get("MessageStatus")
        .is_some_and(|status| status != "received");
    status
        || form
            .get("EventType")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("READ"))
}

/// The status that a webhook tells of a message of ours, and why.
pub fn status(form: &Form) -> (&str, Option<u32>) {
    let read = form
        .get("EventType")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("READ"));
    let status = match read {
        true => "read",
        false => form.get("MessageStatus").unwrap_or_default(),
    };
    (
        status,
        form.filled("ErrorCode").and_then(|code| code.parse().ok()),
    )
}

/// The receipt that a status makes; `None` says nothing new.
pub fn receipt(shared: &Shared, sid: &str, status: (&str, Option<u32>)) -> Option<Arrival> {
    outcome_of(shared, vec![NetworkId::new(sid)], status)
}

/// Likewise, of a message that may be known under several ids.
pub fn outcome_of(
    shared: &Shared,
    network_ids: Vec<NetworkId>,
    (status, code): (&str, Option<u32>),
) -> Option<Arrival> {
    let outcome = codes::outcome(status, code)?;
    let failed = matches!(outcome, Outcome::Rejected | Outcome::Expired);
    let receipt = Receipt {
        connector: shared.account.id.clone(),
        network_ids,
        outcome,
        error: code
            .filter(|_| failed)
            .map(|code| codes::words(code, shared.config.is_rcs())),
        at: None,
        way: Vec::new(),
    };
    Some(Arrival {
        // A state only moves forward, in whatever order they are told.
        dedupe: Dedupe::Harmless,
        what: What::Network(Inbound::Receipt(receipt)),
    })
}

/// A file of a message, by its address at Twilio.
#[derive(Default)]
pub struct File {
    pub url: String,
    pub mime: Option<String>,
    pub name: Option<String>,
    /// The link opens it by itself: no credentials are shown there.
    pub open: bool,
}

/// A message that came, before its files are fetched.
pub struct Incoming<'a> {
    pub sid: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub text: &'a str,
    pub files: Vec<File>,
    pub sent_at: Option<Timestamp>,
    pub in_reply_to: Option<&'a str>,
    pub answered: bool,
    /// A button of a card was pressed.
    pub tapped: bool,
    pub place: Option<(String, String)>,
    /// The others that it went to, where that is told.
    pub others: Vec<String>,
    /// It was told just now: what belongs to it may be a little later.
    pub patient: bool,
}

/// Reads a webhook of an incoming message, and fetches its files.
///
/// # Errors
/// The disk; worth a retry.
pub async fn arrival(shared: &Shared, sid: &str, form: &Form) -> std::io::Result<Vec<Arrival>> {
    let many: usize = form
        .get("NumMedia")
        .and_then(|many| many.parse().ok())
        .unwrap_or_default();
    let files = (0..many.min(FILES))
        .filter_map(|at| {
            Some(File {
                url: form.filled(&format!("MediaUrl{at}"))?.to_owned(),
                mime: form.filled(&format!("MediaContentType{at}")).map(str::to_owned),
                ..File::default()
            })
        })
        .collect();
    let place = form
        .filled("Latitude")
        .zip(form.filled("Longitude"))
        .map(|(latitude, longitude)| {
            let words = form.filled("Label").or_else(|| form.filled("Address"));
            (
                format!("geo:{latitude},{longitude}"),
                words.unwrap_or_default().to_owned(),
            )
        });
    let from = form.get("From").unwrap_or_default();
    let pressed = form
        .filled("ButtonPayload")
        .and_then(|payload| cards::answered(shared, from, payload));
    let told = Incoming {
        sid,
        from,
        to: form.get("To").unwrap_or_default(),
        text: form
            .filled("Body")
            .or_else(|| form.filled("ButtonText"))
            .unwrap_or_default(),
        files,
        sent_at: None,
        in_reply_to: form.filled("OriginalRepliedMessageSid").or(pressed.as_deref()),
        // Only with Advanced Opt-Out; Twilio has then answered what was texted.
        answered: form.filled("OptOutType").is_some(),
        tapped: form.filled("ButtonPayload").is_some() || form.filled("ButtonText").is_some(),
        place,
        others: form.others(),
        patient: true,
    };
    let wish = wish(shared, &told, form);
    let mut arrivals = made(shared, told).await?;
    arrivals.extend(wish);
    Ok(arrivals)
}

/// What Twilio's Advanced Opt-Out understood a text to wish, by whichever words the account has for it.
fn wish(shared: &Shared, told: &Incoming<'_>, form: &Form) -> Option<Arrival> {
    let wanted = match form.filled("OptOutType")? {
        "STOP" => false,
        "START" => true,
        _ => return None,
    };
    let (from, ours) = addresses(shared, told.from, told.to);
    Some(Arrival {
        dedupe: Dedupe::Id {
            scope: shared.account.id.0.clone(),
            id: format!("{}/wish", told.sid),
        },
        what: What::Network(Inbound::Preference(Preference {
            connector: shared.account.id.clone(),
            from,
            to: ours,
            wanted,
        })),
    })
}

/// Makes arrivals of it, with its files and where it was said.
///
/// # Errors
/// The disk, or Twilio when it is asked for the group; worth a retry.
pub async fn made(shared: &Shared, told: Incoming<'_>) -> std::io::Result<Vec<Arrival>> {
    let place = place(shared, &told).await?;
    let mut arrivals = place.changes;
    arrivals.push(shown(shared, told, &place.name, place.group).await?);
    Ok(arrivals)
}

/// Makes an arrival of it, under a name and in a group.
///
/// # Errors
/// The disk; worth a retry.
pub async fn shown(
    shared: &Shared,
    told: Incoming<'_>,
    name: &str,
    group: Option<Group>,
) -> std::io::Result<Arrival> {
    let mut message = match told.text.is_empty() {
        true => Message::default(),
        false => Message::text(told.text),
    };
    message.in_reply_to = told
        .in_reply_to
        .map(|sid| Reference::Network(NetworkId::new(sid)));
    for (at, file) in told.files.iter().enumerate() {
        message.parts.push(file_of(shared, name, at, file).await?);
    }
    if let Some((geo_uri, description)) = told.place {
        message.parts.push(Part {
            disposition: Disposition::Render,
            body: Body::Location { geo_uri, description },
        });
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
    let rcs = told.from.starts_with("rcs:");
    let (from, ours) = addresses(shared, told.from, told.to);
    let inbound = InboundMessage {
        answered: told.answered,
        tapped: told.tapped,
        group,
        network_id: Some(NetworkId::new(name)),
        sent_at: told.sent_at,
        way: match rcs == shared.config.is_rcs() {
            true => Vec::new(),
            false => shared.way(rcs),
        },
        ..InboundMessage::new(shared.account.id.clone(), from, ours, message)
    };
    Ok(Arrival {
        dedupe: Dedupe::Id {
            scope: shared.account.id.0.clone(),
            id: name.to_owned(),
        },
        what: What::Network(Inbound::Message(inbound)),
    })
}

/// Who wrote, and to which of our addresses.
fn addresses(shared: &Shared, from: &str, to: &str) -> (NetworkAddress, NetworkAddress) {
    let ours = match to.strip_prefix("rcs:") {
        // An RCS sender is no number: the line's own stands for it.
        Some(_) => shared.config.number.as_str(),
        None => to,
    };
    (address(from.strip_prefix("rcs:").unwrap_or(from)), address(ours))
}

fn address(text: &str) -> NetworkAddress {
    NetworkAddress {
        text: text.to_owned(),
        hint: Default::default(),
    }
}

async fn file_of(shared: &Shared, sid: &str, at: usize, file: &File) -> std::io::Result<Part> {
    let trusted = trusted(&shared.config.url, &file.url) && !file.open;
    // In clear only where the API itself is: it is the lab's.
    let plain = file.open && shared.config.url.starts_with("http:") && file.url.starts_with("http:");
    if !trusted && !plain && !file.url.starts_with("https://") {
        return Ok(missing(file.mime.as_deref(), UNSAFE));
    }
    let request = || {
        let request = shared.account.http.file(&file.url);
        match trusted {
            true => shared.authorised(request),
            false => request,
        }
    };
    let identity = format!("{sid}-{at}");
    let told = Told {
        identity: &identity,
        name: file.name.as_deref(),
        mime: file.mime.as_deref(),
    };
    fetch(
        request,
        told,
        &shared.account.media,
        shared.config.largest_file as usize,
    )
    .await
}

/// Whether the account's credentials may be shown where the file is: at the API itself, or at another host of Twilio's by TLS.
fn trusted(api: &str, url: &str) -> bool {
    let (Ok(api), Ok(url)) = (Url::parse(api), Url::parse(url)) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    url.origin() == api.origin()
        || (url.scheme() == "https" && (host == "twilio.com" || host.ends_with(".twilio.com")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_shown_to_twilio_alone() {
        for (url, expected) in [
            (
                "https://api.twilio.com/2010-04-01/Accounts/AC/Messages/MM/Media/ME",
                true,
            ),
            ("https://api.dublin.ie1.twilio.com/x", true),
            ("http://api.twilio.com/x", false),
            ("https://eviltwilio.com/x", false),
            ("https://twilio.com.example.org/x", false),
            ("https://user@example.org/.twilio.com", false),
            ("nonsense", false),
        ] {
            assert_eq!(trusted("https://api.twilio.com", url), expected, "{url}");
        }
        assert!(trusted("http://127.0.0.1:4010", "http://127.0.0.1:4010/media"));
        assert!(!trusted("http://127.0.0.1:4010", "http://127.0.0.1:4011/media"));
    }

    #[test]
    fn messages_and_receipts_are_told_apart() {
        for (body, expected) in [
            ("MessageSid=SM1&SmsStatus=received&Body=x&From=1&To=2", false),
            ("MessageSid=SM1&SmsStatus=delivered&MessageStatus=delivered", true),
            ("MessageSid=SM1&EventType=READ&From=rcs%3Ax", true),
            ("MessageSid=SM1&MessageStatus=received&Body=x", false),
        ] {
            assert_eq!(is_receipt(&Form::read(body.as_bytes())), expected, "{body}");
        }
    }
}
