//! The settings of one number at Telnyx.

pub use crate::smpp::config::Invalid;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use url::Url;

/// A number at Telnyx. Its messaging profile must call this program for messages that come (webhook version 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The API key (V2).
    #[schemars(with = "String")]
    pub api_key: Secret,
    /// The account's public key, in base64, as the portal shows it: it proves that a webhook is Telnyx's.
    pub public_key: String,
    /// The line's own number, as the line has it.
    pub number: String,
    /// The messaging profile to send by, where the number is not enough.
    pub messaging_profile_id: Option<String>,
    /// Where the API is.
    pub url: String,
    /// The address at which Telnyx calls this program.
    pub public_url: String,
    /// A PEM file with the authorities to trust beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether to ask for delivery states at `public_url`.
    pub receipts: bool,
    /// The most octets of a file that comes, 1 to 104857600.
    pub largest_file: u32,
    /// Time limits and intervals.
    pub timing: Timing,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_key: Secret::default(),
            public_key: String::new(),
            number: String::new(),
            messaging_profile_id: None,
            url: "https://api.telnyx.com".to_owned(),
            public_url: String::new(),
            ca_file: None,
            receipts: true,
            largest_file: 16 << 20,
            timing: Timing::default(),
        }
    }
}

/// Time limits and intervals, each in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// How often Telnyx is asked whether the key is good, and for states that no webhook told.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub poll: Duration,
    /// For one request.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub request: Duration,
    /// The longest wait between two tries while Telnyx does not answer.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub longest_wait: Duration,
    /// How long a message may be without a last word before it is asked after.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub ask_after: Duration,
    /// How far Telnyx's clock may be from ours, and how old a webhook may be.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub replay_window: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(120),
            request: Duration::from_secs(20),
            longest_wait: Duration::from_secs(600),
            ask_after: Duration::from_secs(300),
            replay_window: Duration::from_secs(300),
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
        let rules = [
            (
                !self.api_key.is_empty(),
                "api_key",
                "give an API key (V2) of the account",
            ),
            (
                self.key().is_some(),
                "public_key",
                "give the account's public key as the portal shows it: 32 octets in base64",
            ),
            (
                self.number.strip_prefix('+').is_some_and(|digits| {
                    digits.len() >= 7 && digits.bytes().all(|octet| octet.is_ascii_digit())
                }),
                "number",
                "give the line's own number with + and the country code",
            ),
            (
                http(&self.url),
                "url",
                "give the whole address of the API, such as https://api.telnyx.com",
            ),
            (
                http(&self.public_url),
                "public_url",
                "give the whole address at which Telnyx calls this program",
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
            (
                self.timing.replay_window >= Duration::from_secs(10),
                "timing.replay_window",
                "at least 10 seconds",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(Invalid { field, problem }),
            None => Ok(()),
        }
    }

    /// The public key's octets.
    pub(super) fn key(&self) -> Option<[u8; 32]> {
        let octets = data_encoding::BASE64
            .decode(self.public_key.trim().as_bytes())
            .ok()?;
        octets.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good = Config {
            api_key: Secret::new("hunter2"),
            public_key: data_encoding::BASE64.encode(&[7; 32]),
            number: "+13125550001".into(),
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
            wrong(|config| config.public_key = "AAAA".into()),
            Err("public_key")
        );
        assert_eq!(
            wrong(|config| config.number = "312 555 0001".into()),
            Err("number")
        );
        assert_eq!(
            wrong(|config| config.timing.replay_window = Duration::ZERO),
            Err("timing.replay_window")
        );
        assert!(!format!("{good:?}").contains("hunter2"));
        assert!(serde_json::from_str::<Config>(r#"{"uri": ""}"#).is_err());
    }
}
