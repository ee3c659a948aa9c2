//! The settings of one bot.

pub use crate::smpp::config::Invalid;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::secret::Secret;
use url::Url;

/// A bot on an operator's RCS platform, by GSMA's chatbot API (FNW.11).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the API is, without the bot's id: `https://HOST/ROOT/rcs/bot/v1`.
    pub url: String,
    /// The bot's id.
    pub bot_id: String,
    /// The token of the bot, where the operator gives one for good.
    #[schemars(with = "String")]
    pub token: Secret,
    /// How to get tokens, where they end.
    pub oauth: Option<Oauth>,
    /// The address that the line has.
    pub number: String,
    /// The token that the platform's webhooks bring, where the operator lets one be set. Empty: the address alone protects them.
    #[schemars(with = "String")]
    pub webhook_token: Secret,
    /// How long it is believed that a number has RCS, in seconds. That it has none is believed for five minutes at most.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub capability_age: Duration,
    /// The largest file that is taken or sent, in megabytes, 1 to 100.
    pub largest_file: u64,
    /// A PEM file with the authorities to trust beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// How the operator's platform differs.
    pub dialect: Dialect,
    /// Time limits.
    pub timing: Timing,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: String::new(),
            bot_id: String::new(),
            token: Secret::default(),
            oauth: None,
            number: String::new(),
            webhook_token: Secret::default(),
            capability_age: Duration::from_secs(24 * 60 * 60),
            largest_file: 10,
            ca_file: None,
            dialect: Dialect::default(),
            timing: Timing::default(),
        }
    }
}

/// Tokens by client credentials (RFC 6749 section 4.4).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Oauth {
    /// Where tokens are given out.
    pub token_url: String,
    pub client_id: String,
    #[schemars(with = "String")]
    pub client_secret: Secret,
    /// What is asked for. Empty: nothing is named.
    pub scope: String,
}

/// How a platform differs from the text of FNW.11. In paths, `{bot}` and `{id}` stand for the ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dialect {
    pub messages: String,
    pub status: String,
    pub capabilities: String,
    pub files: String,
    /// How a number is written.
    pub contact: Contact,
    /// The name of the field that holds it.
    pub contact_field: String,
    /// The name of the field that holds a message's id.
    pub id_field: String,
    /// The header that brings `webhook_token`; in `authorization`, `Bearer` stands before it.
    pub webhook_header: String,
    /// Whether the platform is asked who has RCS before a message is sent.
    pub checks: bool,
    /// Words for the state of a message beyond those of FNW.11.
    #[schemars(with = "BTreeMap<String, String>")]
    pub states: BTreeMap<String, Outcome>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            messages: "/{bot}/messages".to_owned(),
            status: "/{bot}/messages/{id}/status".to_owned(),
            capabilities: "/{bot}/contactCapabilities".to_owned(),
            files: "/{bot}/files".to_owned(),
            contact: Contact::default(),
            contact_field: "userContact".to_owned(),
            id_field: "msgId".to_owned(),
            webhook_header: "authorization".to_owned(),
            checks: true,
            states: BTreeMap::new(),
        }
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    /// `+447700900123`
    #[default]
    Plus,
    /// `447700900123`
    Digits,
    /// `tel:+447700900123`
    Tel,
}

impl Dialect {
    pub(super) fn contact(&self, number: &str) -> String {
        match self.contact {
            Contact::Plus => number.to_owned(),
            Contact::Digits => number.trim_start_matches('+').to_owned(),
            Contact::Tel => format!("tel:{number}"),
        }
    }

    /// What a word says of a message.
    pub(super) fn outcome(&self, word: &str) -> Option<Outcome> {
        if let Some(known) = self.states.get(word) {
            return Some(*known);
        }
        Some(match word {
            "pending" | "sent" | "queued" => Outcome::Sent,
            "delivered" => Outcome::Delivered,
            "displayed" | "read" => Outcome::Read,
            "expired" => Outcome::Expired,
            "failed" | "rejected" | "undelivered" | "cancelled" | "canceled" | "revoked" => Outcome::Rejected,
            _ => return None,
        })
    }
}

/// Time limits, each in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// For one request.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub request: Duration,
    /// For one file, either way, until the platform has it ready.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub file: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(20),
            file: Duration::from_secs(120),
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
        let path = |text: &str| text.starts_with('/');
        let header = |name: &str| reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        let oauth = |oauth: &Oauth| {
            http(&oauth.token_url) && !oauth.client_id.is_empty() && !oauth.client_secret.is_empty()
        };
        let rules = [
            (
                http(&self.url),
                "url",
                "give the address of the API, such as https://maap.example.org/rcs/bot/v1",
            ),
            (!self.bot_id.is_empty(), "bot_id", "give the bot's id"),
            (
                self.token.is_empty() == self.oauth.is_some(),
                "token",
                "give either a token or oauth, as the operator says",
            ),
            (
                self.oauth.as_ref().is_none_or(oauth),
                "oauth",
                "give token_url, client_id and client_secret",
            ),
            (
                !self.number.trim().is_empty(),
                "number",
                "give the address that the line has",
            ),
            (
                (1..=100).contains(&self.largest_file),
                "largest_file",
                "between 1 and 100",
            ),
            (
                path(&self.dialect.messages) && path(&self.dialect.capabilities) && path(&self.dialect.files),
                "dialect",
                "paths begin with a slash",
            ),
            (
                path(&self.dialect.status) && self.dialect.status.contains("{id}"),
                "dialect.status",
                "it must say where the message's id stands, as {id}",
            ),
            (
                header(&self.dialect.webhook_header),
                "dialect.webhook_header",
                "give the name of a header, such as authorization",
            ),
            (!self.timing.request.is_zero(), "timing.request", "more than zero"),
            (!self.timing.file.is_zero(), "timing.file", "more than zero"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(Invalid { field, problem }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good = Config {
            url: "https://maap.example.org/rcs/bot/v1".into(),
            bot_id: "bot".into(),
            token: Secret::new("hunter2"),
            number: "+447700900001".into(),
            ..Config::default()
        };
        let wrong = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(wrong(|config| config.token = Secret::default()), Err("token"));
        assert_eq!(
            wrong(|config| config.oauth = Some(Oauth::default())),
            Err("token")
        );
        assert_eq!(
            wrong(|config| config.dialect.status = "/status".into()),
            Err("dialect.status")
        );
        for name in ["", "X-Bot-Token:", "my header"] {
            let mut config = good.clone();
            config.dialect.webhook_header = name.into();
            let invalid = config.validate().unwrap_err();
            assert_eq!(invalid.field, "dialect.webhook_header", "{name}");
        }
        assert!(!format!("{good:?}").contains("hunter2"));
    }
}
