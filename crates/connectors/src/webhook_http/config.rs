//! The settings of a provider that has no connector of its own.

pub use crate::smpp::config::Invalid;

use super::reading::is_place;
use super::signature::Signature;
use super::template::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::secret::Secret;
use url::Url;

/// A provider with an HTTP interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What the provider is called, as the label names it.
    pub provider: String,
    /// The line's own number, as the line has it.
    pub number: String,
    /// The networks that it reaches: `sms`, `mms`, `rcs`.
    pub networks: Vec<String>,
    /// The most characters of one message. Absent: any number.
    pub max_text: Option<u32>,
    /// The address at which the provider calls this program.
    pub public_url: String,
    /// A PEM file with the authorities to trust beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// The most octets of a file that comes, 1 to 104857600.
    pub largest_file: u32,
    /// For one request, in seconds.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub request: Duration,
    /// How a message is sent.
    pub send: Send,
    /// How webhooks are read.
    pub receive: Receive,
}

/// How a message is sent. In `url`, `headers`, `form` and `json`, `{to}`, `{from}`, `{text}`, `{id}`, `{media_url}` and `{secret}` are filled
/// in, and `{{` and `}}` stand for braces. A field that is `{media_url}` alone is left out without a file, and repeated with several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Send {
    /// `POST`, `PUT` or `GET`.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Headers beside the content type. No `{text}` and no `{media_url}`.
    pub headers: BTreeMap<String, String>,
    /// The fields of a form.
    pub form: BTreeMap<String, String>,
    /// A JSON body, in place of `form`.
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub json: Option<Value>,
    /// With this, HTTP basic authentication is used, with `secret` as the password.
    pub user: Option<String>,
    /// What `{secret}` stands for.
    #[schemars(with = "String")]
    pub secret: Secret,
    /// How the request is signed. Absent: not at all.
    pub signature: Option<Signature>,
    /// The header in which the provider takes a key under which it takes a message once. Only with it may a send of unknown fate be repeated.
    pub idempotency_header: Option<String>,
    /// Where the answer holds the message's id: a JSON pointer (RFC 6901) such as `/messages/0/id`.
    pub id: Option<String>,
    /// Where the answer says whether the message was taken, for a provider whose status is always 200: a JSON pointer.
    pub accepted_at: Option<String>,
    /// What stands there when it was.
    pub accepted_values: Vec<String>,
    /// The HTTP statuses by which the provider says that it did not take the message and would take it later.
    pub retry_statuses: Vec<u16>,
}

impl Default for Send {
    fn default() -> Self {
        Self {
            method: "POST".to_owned(),
            url: String::new(),
            headers: BTreeMap::new(),
            form: BTreeMap::new(),
            json: None,
            user: None,
            secret: Secret::default(),
            signature: None,
            idempotency_header: None,
            id: None,
            accepted_at: None,
            accepted_values: Vec::new(),
            retry_statuses: vec![429],
        }
    }
}

/// How webhooks are read. Places are JSON pointers (RFC 6901) such as `/data/from`, or names of a form's fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Receive {
    /// What proves that a webhook is the provider's. Without it none is taken.
    pub signature: Option<Signature>,
    /// What a webhook's body is.
    pub format: Format,
    /// Where the list is, when one webhook brings several; the other places are then within each of it. An empty text: the body is the list.
    pub each: Option<String>,
    /// Where it says what it brings. Absent: what has a known state is a receipt, and what has a text or a file is a message.
    pub kind: Option<String>,
    /// What stands there for a message.
    pub message_kinds: Vec<String>,
    /// What stands there for a receipt.
    pub receipt_kinds: Vec<String>,
    /// The sender.
    pub from: String,
    /// Our number. Absent: the line's.
    pub to: Option<String>,
    pub text: String,
    /// The message's id. Without one there must be a `time`: two equal texts of one moment are then one.
    pub id: Option<String>,
    /// When it was sent: RFC 3339, or seconds or milliseconds since 1970.
    pub time: Option<String>,
    /// Addresses of files: a text, or a list of texts.
    pub media: Option<String>,
    /// Where the address is in each of `media`, when that is a list of objects.
    pub media_item: Option<String>,
    /// In a receipt: the message's id.
    pub receipt_id: Option<String>,
    /// In a receipt: the provider's word for the state.
    pub receipt_status: Option<String>,
    /// In a receipt: the provider's code for a failure.
    pub receipt_error: Option<String>,
    /// What each of the provider's words means. Words that are not here say nothing.
    pub statuses: BTreeMap<String, Status>,
}

impl Default for Receive {
    fn default() -> Self {
        Self {
            signature: None,
            format: Format::Json,
            each: None,
            kind: None,
            message_kinds: Vec::new(),
            receipt_kinds: Vec::new(),
            from: "/from".to_owned(),
            to: None,
            text: "/text".to_owned(),
            id: Some("/id".to_owned()),
            time: None,
            media: None,
            media_item: None,
            receipt_id: None,
            receipt_status: None,
            receipt_error: None,
            statuses: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    Form,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// On its way.
    Sent,
    Delivered,
    Read,
    Expired,
    /// Refused, or it cannot be delivered.
    Rejected,
    /// The network does not say.
    Unknown,
}

impl Status {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Sent => Outcome::Sent,
            Self::Delivered => Outcome::Delivered,
            Self::Read => Outcome::Read,
            Self::Expired => Outcome::Expired,
            Self::Rejected => Outcome::Rejected,
            Self::Unknown => Outcome::Unknown,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            provider: String::new(),
            number: String::new(),
            networks: vec!["sms".to_owned()],
            max_text: None,
            public_url: String::new(),
            ca_file: None,
            largest_file: 16 << 20,
            request: Duration::from_secs(20),
            send: Send::default(),
            receive: Receive::default(),
        }
    }
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting that cannot be.
    pub fn validate(&self) -> Result<(), Invalid> {
        let http = |text: &str| {
            Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        };
        let (send, receive) = (&self.send, &self.receive);
        let header = |name: &str| reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        let pointer = |place: &Option<String>| place.as_deref().is_none_or(|place| place.starts_with('/'));
        let places = [
            Some(&receive.from),
            Some(&receive.text),
            receive.to.as_ref(),
            receive.kind.as_ref(),
            receive.id.as_ref(),
            receive.time.as_ref(),
            receive.media.as_ref(),
            receive.receipt_id.as_ref(),
            receive.receipt_status.as_ref(),
            receive.receipt_error.as_ref(),
        ];
        let places_hold = places
            .into_iter()
            .flatten()
            .all(|place| is_place(receive.format, place));
        let templates_hold =
            |all: &BTreeMap<String, String>| all.values().all(|text| Template::read(text).is_some());
        let signed = |signature: &Option<Signature>| signature.as_ref().is_none_or(Signature::is_usable);
        let rules = [
            (
                !self.provider.trim().is_empty(),
                "provider",
                "give the provider's name: people are told who can read their messages",
            ),
            (
                self.number.chars().filter(char::is_ascii_digit).count() >= 3,
                "number",
                "give the line's own number",
            ),
            (
                !self.networks.is_empty(),
                "networks",
                "name at least one, such as sms",
            ),
            (
                self.public_url.is_empty() || http(&self.public_url),
                "public_url",
                "give the whole address at which the provider calls this program",
            ),
            (
                (1..=100 << 20).contains(&self.largest_file),
                "largest_file",
                "between 1 and 104857600",
            ),
            (!self.request.is_zero(), "request", "more than zero"),
            (
                matches!(send.method.as_str(), "GET" | "POST" | "PUT"),
                "send.method",
                "POST, PUT or GET",
            ),
            (
                Template::read(&send.url).is_some_and(|template| http(&template.sample())),
                "send.url",
                "give a whole address; of what is filled in there are {to}, {from}, {text}, {id}, {media_url} and {secret}",
            ),
            (
                send.headers.keys().all(|name| header(name))
                    && send
                        .headers
                        .values()
                        .all(|text| Template::read(text).is_some_and(|template| template.fits_a_header())),
                "send.headers",
                "names and values of headers; of what is filled in there are {to}, {from}, {id} and {secret}",
            ),
            (
                templates_hold(&send.form),
                "send.form",
                "of what is filled in there are {to}, {from}, {text}, {id}, {media_url} and {secret}",
            ),
            (
                send.json.as_ref().is_none_or(Template::all_hold),
                "send.json",
                "of what is filled in there are {to}, {from}, {text}, {id}, {media_url} and {secret}",
            ),
            (
                send.json.is_none() || send.form.is_empty(),
                "send.json",
                "give either form or json",
            ),
            (
                send.json.is_some() || !send.form.is_empty() || send.url.contains("{text}"),
                "send.form",
                "give the fields of a form, or json, or put {text} into the url",
            ),
            (
                send.user.is_none() || !send.secret.is_empty(),
                "send.secret",
                "give the user's password",
            ),
            (
                signed(&send.signature) && signed(&receive.signature),
                "signature",
                "give its secret and header; signed must hold {body}, and {timestamp} when there is a timestamp_header",
            ),
            (
                receive.signature.is_some(),
                "receive.signature",
                "say what proves that a webhook is the provider's: without it anybody could send one",
            ),
            (
                send.idempotency_header.as_deref().is_none_or(header),
                "send.idempotency_header",
                "give the name of a header",
            ),
            (
                pointer(&send.id) && pointer(&send.accepted_at),
                "send.id",
                "JSON pointers begin with a slash, such as /messages/0/id",
            ),
            (
                send.accepted_at.is_none() || !send.accepted_values.is_empty(),
                "send.accepted_values",
                "say what stands at accepted_at when a message was taken",
            ),
            (
                send.retry_statuses
                    .iter()
                    .all(|status| (400..600).contains(status)),
                "send.retry_statuses",
                "HTTP statuses between 400 and 599",
            ),
            (
                places_hold,
                "receive",
                "places in JSON begin with a slash, such as /data/from; in a form they are the names of its fields",
            ),
            (
                receive.id.is_some() || receive.time.is_some(),
                "receive.id",
                "give id, or at least time: else nothing tells one message from its repetition",
            ),
            (
                receive.receipt_id.is_some() == receive.receipt_status.is_some(),
                "receive.receipt_status",
                "receipt_id and receipt_status go together",
            ),
            (
                receive.receipt_status.is_none() || !receive.statuses.is_empty(),
                "receive.statuses",
                "say what the provider's words mean, such as DELIVRD: delivered",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(Invalid { field, problem }),
            None => Ok(()),
        }
    }

    /// Whether files go as links.
    pub(super) fn sends_files(&self) -> bool {
        let within = |text: &str| text.contains("{media_url}");
        let json = self.send.json.as_ref().map(Value::to_string).unwrap_or_default();
        within(&self.send.url) || within(&json) || self.send.form.values().any(|text| within(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good: Config = serde_json::from_value(json!({
            "provider": "Acme", "number": "+447700900001",
            "send": { "url": "https://api.example.org/{from}/send", "json": { "to": ["{to}"], "body": "{text}" }, "secret": "hunter2",
                "headers": { "authorization": "Bearer {secret}" } },
            "receive": { "signature": { "secret": "hunter3", "header": "x-signature" } },
        }))
        .unwrap();
        let wrong = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(
            wrong(|config| config.receive.signature = None),
            Err("receive.signature")
        );
        assert_eq!(
            wrong(|config| config.send.url = "https://{to".into()),
            Err("send.url")
        );
        assert_eq!(
            wrong(|config| config.send.json = Some(json!(["{number}"]))),
            Err("send.json")
        );
        let leaky = |config: &mut Config| _ = config.send.headers.insert("x".into(), "{text}".into());
        assert_eq!(wrong(leaky), Err("send.headers"));
        assert_eq!(
            wrong(|config| config.receive.from = "from".into()),
            Err("receive")
        );
        assert_eq!(wrong(|config| config.receive.id = None), Err("receive.id"));
        assert_eq!(
            wrong(|config| config.receive.receipt_id = Some("/x".into())),
            Err("receive.receipt_status")
        );
        let shown = format!("{good:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
