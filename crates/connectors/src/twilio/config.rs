//! The settings of one sender at Twilio.

pub use super::conversations::Conversations;
pub use crate::smpp::config::Invalid;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use url::Url;

/// A number or an RCS sender at Twilio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The account's SID (`AC…`).
    pub account_sid: String,
    /// The account's auth token. It signs Twilio's webhooks, and opens the API where no API key is given.
    #[schemars(with = "String")]
    pub auth_token: Secret,
    /// The SID of an API key (`SK…`) to use in place of the auth token.
    pub api_key: Option<String>,
    /// The API key's secret.
    #[schemars(with = "String")]
    pub api_secret: Secret,
    /// The secret of a SharedKey, where a webhooks rule of Twilio's signs with one in place of the auth token.
    #[schemars(with = "String")]
    pub shared_key: Secret,
    /// The line's own number, as the line has it.
    pub number: String,
    /// What it carries: `sms` (with MMS) or `rcs`. Twilio's own fallback from one to the other is never used.
    pub channel: Channel,
    /// The RCS sender's id, such as `acme_x1y2z3_agent`. With `channel: rcs`, this or `messaging_service_sid`.
    pub rcs_sender: Option<String>,
    /// The Messaging Service (`MG…`) to send by. For SMS the line's number must be in its pool.
    pub messaging_service_sid: Option<String>,
    /// Group MMS; absent means that what is said in groups can be read and not answered.
    pub conversations: Option<Conversations>,
    /// Where the API is; another one for a region of Twilio's, such as `https://api.dublin.ie1.twilio.com`.
    pub url: String,
    /// Where the Content API is, which cards are sent by (`channel: rcs`).
    pub content_url: String,
    /// The exact address at which Twilio calls this program. Its signatures are made over it.
    pub public_url: String,
    /// A PEM file with the authorities to trust beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether to ask for delivery states.
    pub receipts: bool,
    /// Whether Twilio may replace characters by similar ones of the GSM alphabet, which makes a text cheaper.
    pub smart_encoding: bool,
    /// The most octets of a file that comes, and of one that is kept at Twilio for a group, 1 to 104857600.
    pub largest_file: u32,
    /// Time limits and intervals.
    pub timing: Timing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    #[default]
    Sms,
    Rcs,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account_sid: String::new(),
            auth_token: Secret::default(),
            api_key: None,
            api_secret: Secret::default(),
            shared_key: Secret::default(),
            number: String::new(),
            channel: Channel::Sms,
            rcs_sender: None,
            messaging_service_sid: None,
            conversations: None,
            url: "https://api.twilio.com".to_owned(),
            content_url: "https://content.twilio.com".to_owned(),
            public_url: String::new(),
            ca_file: None,
            receipts: true,
            smart_encoding: false,
            largest_file: 16 << 20,
            timing: Timing::default(),
        }
    }
}

/// Time limits and intervals, each in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// How often Twilio is asked for what no webhook told.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub poll: Duration,
    /// For one request.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub request: Duration,
    /// The longest wait between two tries while Twilio does not answer.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub longest_wait: Duration,
    /// How long a message of ours may be without a last word before it is asked after, and one that comes without its webhook before it is read.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub ask_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(120),
            request: Duration::from_secs(20),
            longest_wait: Duration::from_secs(600),
            ask_after: Duration::from_secs(300),
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
        let sid = |text: &str, kind: &str| {
            text.strip_prefix(kind).is_some_and(|rest| {
                rest.len() == 32 && rest.bytes().all(|octet| octet.is_ascii_alphanumeric())
            })
        };
        let rules = [
            (
                sid(&self.account_sid, "AC"),
                "account_sid",
                "give the account's SID: AC and 32 letters and digits",
            ),
            (
                !self.auth_token.is_empty(),
                "auth_token",
                "give the account's auth token: without it no webhook of Twilio's can be told from a forged one",
            ),
            (
                self.api_key.as_deref().is_none_or(|key| sid(key, "SK")),
                "api_key",
                "give the key's SID: SK and 32 letters and digits",
            ),
            (
                self.api_key.is_none() || !self.api_secret.is_empty(),
                "api_secret",
                "give the API key's secret",
            ),
            (
                self.number.chars().filter(char::is_ascii_digit).count() >= 3,
                "number",
                "give the line's own number",
            ),
            (
                self.messaging_service_sid
                    .as_deref()
                    .is_none_or(|service| sid(service, "MG")),
                "messaging_service_sid",
                "give the service's SID: MG and 32 letters and digits",
            ),
            (
                self.channel == Channel::Sms
                    || self
                        .rcs_sender
                        .as_deref()
                        .is_some_and(|sender| !sender.is_empty())
                    || self.messaging_service_sid.is_some(),
                "rcs_sender",
                "give the RCS sender's id, or a messaging_service_sid that has one",
            ),
            (
                self.conversations
                    .as_ref()
                    .is_none_or(|groups| sid(&groups.service_sid, "IS")),
                "conversations.service_sid",
                "give the Conversation Service's SID: IS and 32 letters and digits",
            ),
            (
                self.conversations.as_ref().is_none_or(|groups| http(&groups.url)),
                "conversations.url",
                "give the whole address of the API, such as https://conversations.twilio.com",
            ),
            (
                self.conversations
                    .as_ref()
                    .is_none_or(|groups| http(&groups.media_url)),
                "conversations.media_url",
                "give the whole address of the API, such as https://mcs.us1.twilio.com",
            ),
            (
                self.conversations.is_none() || self.channel == Channel::Sms,
                "conversations",
                "groups are of SMS and MMS: leave it out with channel: rcs",
            ),
            (
                http(&self.url),
                "url",
                "give the whole address of the API, such as https://api.twilio.com",
            ),
            (
                http(&self.content_url),
                "content_url",
                "give the whole address of the API, such as https://content.twilio.com",
            ),
            (
                http(&self.public_url),
                "public_url",
                "give the whole address at which Twilio calls this program",
            ),
            (
                (1..=100 << 20).contains(&self.largest_file),
                "largest_file",
                "between 1 and 104857600",
            ),
            (!self.timing.poll.is_zero(), "timing.poll", "more than zero"),
            (!self.timing.request.is_zero(), "timing.request", "more than zero"),
            (
                self.timing.longest_wait >= self.timing.poll,
                "timing.longest_wait",
                "at least as long as timing.poll",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(Invalid { field, problem }),
            None => Ok(()),
        }
    }

    /// The RCS sender as an address of Twilio's.
    pub(super) fn rcs_address(&self) -> Option<String> {
        let sender = self.rcs_sender.as_deref()?;
        Some(format!("rcs:{}", sender.strip_prefix("rcs:").unwrap_or(sender)))
    }

    pub(super) fn is_rcs(&self) -> bool {
        self.channel == Channel::Rcs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good = Config {
            account_sid: format!("AC{}", "0".repeat(32)),
            auth_token: Secret::new("hunter2"),
            number: "+15005550001".into(),
            public_url: "https://example.org/hook".into(),
            ..Config::default()
        };
        let wrong = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(
            wrong(|config| config.account_sid = "AC1".into()),
            Err("account_sid")
        );
        assert_eq!(
            wrong(|config| config.auth_token = Secret::default()),
            Err("auth_token")
        );
        assert_eq!(wrong(|config| config.channel = Channel::Rcs), Err("rcs_sender"));
        assert_eq!(
            wrong(|config| config.public_url = "/hook".into()),
            Err("public_url")
        );
        assert_eq!(
            wrong(|config| config.api_key = Some(format!("SK{}", "1".repeat(32)))),
            Err("api_secret")
        );
        assert_eq!(
            wrong(|config| config.conversations = Some(Conversations::default())),
            Err("conversations.service_sid")
        );
        assert_eq!(
            wrong(|config| {
                config.channel = Channel::Rcs;
                config.rcs_sender = Some("acme".into());
                config.conversations = Some(Conversations {
                    service_sid: format!("IS{}", "2".repeat(32)),
                    ..Conversations::default()
                });
            }),
            Err("conversations")
        );
        assert!(!format!("{good:?}").contains("hunter2"));
        assert!(serde_json::from_str::<Config>(r#"{"uri": ""}"#).is_err());
        assert_eq!(
            serde_json::from_str::<Config>(r#"{"channel": "rcs"}"#)
                .unwrap()
                .channel,
            Channel::Rcs
        );
    }
}
