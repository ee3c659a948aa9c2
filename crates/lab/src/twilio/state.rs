//! What Twilio keeps.

use super::groups::Conversation;
use super::{ACCOUNT, NUMBER, RCS_SENDER};
use crate::trouble::Troubles;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A message that was taken to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub sid: String,
    /// As it was given: with `rcs:` before it, when no fallback is wanted.
    pub to: String,
    /// Who sends it in the end.
    pub from: String,
    pub text: String,
    pub media: Vec<String>,
    /// What was sent by a template: `twilio/card`.
    pub card: Option<Value>,
    pub status: String,
    pub error: Option<u32>,
    pub callback: Option<String>,
    /// All parameters of the request.
    pub parameters: Vec<(String, String)>,
    /// Seconds since the epoch.
    pub at: i64,
}

/// A message that came.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    pub sid: String,
    pub from: String,
    pub to: String,
    pub text: String,
    /// MIME type and octets.
    pub files: Vec<(String, Vec<u8>)>,
    pub opt_out: Option<String>,
    /// The other phones of a group.
    pub others: Vec<String>,
    /// A button that was pressed: its label and its id.
    pub button: Option<(String, String)>,
    /// Seconds since the epoch.
    pub at: i64,
}

impl Incoming {
    pub fn new(from: &str, to: &str, text: &str) -> Self {
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
            ..Self::default()
        }
    }
}

/// How Twilio tells of messages to groups. Accounts differ in it.
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    /// The number's ordinary webhook is called, too.
    pub ordinary: bool,
    /// It names the other recipients there.
    pub names_others: bool,
    /// The conversation's webhook is called.
    pub conversation: bool,
    /// A conversation is made of a group that has none (address configuration, automatic creation).
    pub creates: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            ordinary: true,
            names_others: true,
            conversation: true,
            creates: true,
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
    pub without_rcs: BTreeSet<String>,
    pub conversations: Vec<Conversation>,
    /// Files of conversations, by SID: MIME type and octets.
    pub media: BTreeMap<String, (String, Vec<u8>)>,
    /// Content templates, by SID.
    pub templates: BTreeMap<String, Value>,
    /// How messages of groups are told.
    pub groups: Groups,
    ids: u64,
}

#[derive(Debug)]
pub struct Shared {
    pub world: Mutex<World>,
    pub troubles: Troubles,
    pub api: String,
    pub files: String,
}

impl Shared {
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

    pub fn sid(&mut self, kind: &str) -> String {
        self.ids += 1;
        format!("{kind}{:032x}", self.ids)
    }

    pub fn receive(&mut self, incoming: Incoming) -> Incoming {
        self.now += 1;
        // Groups have MMS, also for nothing but text.
        let kind = match incoming.files.is_empty() && incoming.others.is_empty() {
            true => "SM",
            false => "MM",
        };
        let incoming = Incoming {
            sid: self.sid(kind),
            at: self.now,
            ..incoming
        };
        self.inbox.push(incoming.clone());
        incoming
    }

    pub fn reach(&mut self, sid: &str, status: &str, error: Option<u32>) -> Option<Sent> {
        let sent = self.sent.iter_mut().find(|sent| sent.sid == sid)?;
        status.clone_into(&mut sent.status);
        sent.error = error;
        Some(sent.clone())
    }

    /// Takes a message, or says with which code not.
    pub fn take(&mut self, parameters: Vec<(String, String)>) -> Result<Sent, (u16, u32, &'static str)> {
        let get = |name: &str| {
            let found = parameters.iter().find(|(known, _)| known == name);
            found
                .map(|(_, value)| value.clone())
                .filter(|value| !value.is_empty())
        };
        let to = get("To").ok_or((400, 21604, "A 'To' phone number is required."))?;
        let number = to.strip_prefix("rcs:").unwrap_or(&to).to_owned();
        let digits = number.strip_prefix('+').unwrap_or(&number);
        if digits.len() < 3 || digits.len() > 15 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err((400, 21211, "Invalid 'To' Phone Number"));
        }
        let (from, service) = (get("From"), get("MessagingServiceSid"));
        if get("FallbackFrom").is_some() && service.is_none() {
            return Err((400, 21666, "'FallbackFrom' requires MessagingServiceSid"));
        }
        let own = [NUMBER.to_owned(), format!("rcs:{RCS_SENDER}")];
        let from = match (from, service) {
            (Some(from), _) if own.contains(&from) => from,
            (Some(_), _) => {
                return Err((
                    400,
                    21606,
                    "The 'From' phone number is not a valid sender of the account",
                ));
            }
            // A service tries RCS first, unless the phone has none; with the prefix it tries nothing else.
            (None, Some(_)) if to.starts_with("rcs:") || !self.without_rcs.contains(&number) => {
                own[1].clone()
            }
            (None, Some(_)) => own[0].clone(),
            (None, None) => return Err((400, 21603, "A 'From' phone number is required.")),
        };
        let text = get("Body").unwrap_or_default();
        let media: Vec<String> = parameters
            .iter()
            .filter(|(name, _)| name == "MediaUrl")
            .map(|(_, value)| value.clone())
            .collect();
        let template = get("ContentSid");
        let card = match &template {
            Some(sid) => Some(
                self.card(sid)
                    .cloned()
                    .ok_or((400, 21655, "The ContentSid is Invalid"))?,
            ),
            None => None,
        };
        if text.is_empty() && media.is_empty() && card.is_none() {
            return Err((400, 21619, "A text message body or media urls must be specified."));
        }
        if text.chars().count() > 1600 {
            return Err((
                400,
                21617,
                "The concatenated message body exceeds the 1600 character limit",
            ));
        }
        if media.len() > 10 {
            return Err((400, 21623, "Number of media files exceeds allowed limit"));
        }
        let valid = |name: &str, fits: &dyn Fn(&str) -> bool| get(name).is_none_or(|value| fits(&value));
        let flag = |value: &str| matches!(value, "true" | "false");
        if !valid("ValidityPeriod", &|value| {
            value
                .parse()
                .is_ok_and(|seconds: u32| (1..=36_000).contains(&seconds))
        }) || !valid("SmartEncoded", &flag)
            || !valid("ShortenUrls", &flag)
        {
            return Err((400, 20001, "A parameter has a value that cannot be"));
        }
        if self.opted_out.contains(&number) {
            return Err((400, 21610, "Attempt to send to unsubscribed recipient"));
        }
        self.now += 1;
        let sent = Sent {
            sid: self.sid(if media.is_empty() { "SM" } else { "MM" }),
            to,
            from,
            text,
            media,
            card,
            status: "queued".to_owned(),
            callback: get("StatusCallback"),
            parameters,
            at: self.now,
            ..Sent::default()
        };
        self.sent.push(sent.clone());
        Ok(sent)
    }
}

/// As Twilio writes moments: RFC 2822.
pub fn written(at: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = swingbridge_domain::clock::Timestamp(at * 1000).to_string();
    let weekday = DAYS[usize::try_from(at.div_euclid(86_400).rem_euclid(7)).unwrap_or_default()];
    let month: usize = text[5..7].parse().unwrap_or(1);
    format!(
        "{weekday}, {} {} {} {} +0000",
        &text[8..10],
        MONTHS[month - 1],
        &text[..4],
        &text[11..19]
    )
}

fn resource(sid: &str, at: i64) -> Value {
    let uri = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}");
    json!({
        "sid": sid, "account_sid": ACCOUNT, "api_version": "2010-04-01", "messaging_service_sid": null, "num_segments": "1",
        "price": null, "price_unit": "USD", "error_code": null, "error_message": null,
        "date_created": written(at), "date_updated": written(at), "date_sent": written(at),
        "uri": format!("{uri}.json"), "subresource_uris": { "media": format!("{uri}/Media.json") },
    })
}

impl Sent {
    pub fn shown(&self) -> Value {
        let mut shown = resource(&self.sid, self.at);
        shown["direction"] = "outbound-api".into();
        shown["to"] = self.to.as_str().into();
        shown["from"] = self.from.as_str().into();
        shown["body"] = self.text.as_str().into();
        shown["num_media"] = self.media.len().to_string().into();
        shown["status"] = self.status.as_str().into();
        shown["error_code"] = self.error.into();
        shown
    }
}

impl Incoming {
    pub fn shown(&self) -> Value {
        let mut shown = resource(&self.sid, self.at);
        shown["direction"] = "inbound".into();
        shown["to"] = self.to.as_str().into();
        shown["from"] = self.from.as_str().into();
        shown["body"] = self.text.as_str().into();
        shown["num_media"] = self.files.len().to_string().into();
        shown["status"] = "received".into();
        shown
    }

    /// The SID of a file of it.
    pub fn file_sid(&self, at: usize) -> String {
        format!("ME{}{at:02x}", &self.sid[4..])
    }

    pub fn file(&self, sid: &str) -> Option<&(String, Vec<u8>)> {
        (0..self.files.len())
            .find(|at| self.file_sid(*at) == sid)
            .and_then(|at| self.files.get(at))
    }
}
