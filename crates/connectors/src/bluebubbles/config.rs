//! The settings of one BlueBubbles server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use thiserror::Error;
use url::Url;

/// One BlueBubbles server, on a Mac that is signed in to Messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The server's address, such as `https://mac.example.org:1234`.
    pub url: String,
    /// The password from the server's settings. It travels in the address of each request, for the server knows no other way: use
    /// `https` unless both are on one machine.
    #[schemars(with = "String")]
    pub password: Secret,
    /// A file that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust besides the machine's own, for a certificate of the site's own.
    pub ca_file: Option<PathBuf>,
    /// Whether to use the server's Private API, which carries replies, tapbacks, edits, unsends, typing and read marks.
    pub private_api: PrivateApi,
    /// The address that people write to: the number (with `+` and the country code) or mail address that Messages sends from.
    pub address: String,
    /// How many of the newest messages to show as history when the connector starts for the first time.
    pub history: u32,
    /// Whether to bring names and pictures from the Mac's address book.
    pub contacts: bool,
    /// Seconds between two readings when nothing is heard; events make the next one come at once.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub poll: Duration,
    /// Seconds between two comparisons of the newest messages for edits, receipts and failures that no event told of.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub compare: Duration,
    /// Seconds for one request that is no send.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub request_timeout: Duration,
    /// Seconds for the answer to a text; a file gets ten times as much. The server itself gives up after 120 seconds.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub send_timeout: Duration,
    /// Seconds to look for a message in what the server holds when the answer to its send is missing or bad.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub confirm: Duration,
}

/// When the Private API is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PrivateApi {
    /// When the server says that it is on and its helper is connected.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The setting, below the account.
    pub field: &'static str,
    /// What is wrong, and what to write instead.
    pub problem: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: String::new(),
            password: Secret::default(),
            password_file: None,
            ca_file: None,
            private_api: PrivateApi::default(),
            address: String::new(),
            history: 0,
            contacts: true,
            poll: Duration::from_secs(10),
            compare: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(130),
            confirm: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting that cannot be.
    pub fn validate(&self) -> Result<(), Invalid> {
        let url = Url::parse(&self.url).ok();
        let spoken = url
            .as_ref()
            .is_some_and(|url| matches!(url.scheme(), "http" | "https"));
        let plain = url.as_ref().is_some_and(|url| {
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
        });
        let rules = [
            (
                spoken,
                "url",
                "give the server's address, such as https://mac.example.org:1234",
            ),
            (
                plain,
                "url",
                "leave out what follows the path; the password goes into `password` or `password_file`",
            ),
            (
                self.password.is_empty() != self.password_file.is_none(),
                "password",
                "give the password of the server's settings, in `password` or in `password_file`, not in both",
            ),
            (
                self.address.starts_with('+') || self.address.contains('@'),
                "address",
                "give the number with + and the country code, or the mail address, that Messages sends from",
            ),
            (!self.poll.is_zero(), "poll", "more than zero"),
            (!self.compare.is_zero(), "compare", "more than zero"),
            (
                !self.request_timeout.is_zero(),
                "request_timeout",
                "more than zero",
            ),
            (!self.send_timeout.is_zero(), "send_timeout", "more than zero"),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(Invalid { field, problem }),
            None => Ok(()),
        }
    }
}

mod seconds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?)
            .map_err(|_| D::Error::custom("seconds must not be negative"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        serde_json::from_str(
            r#"{"url": "https://mac.example:1234", "password": "hunter2", "address": "+447700900001", "poll": 2.5}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_few_lines_are_enough_and_unknown_ones_are_refused() {
        assert_eq!(good().validate(), Ok(()));
        assert_eq!(good().poll, Duration::from_millis(2500));
        assert!(serde_json::from_str::<Config>(r#"{"ulr": ""}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"poll": -1}"#).is_err());
    }

    #[test]
    fn settings_that_cannot_be_are_named() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = good();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        assert_eq!(wrong(|config| config.url = "mac.example".into()), Err("url"));
        assert_eq!(
            wrong(|config| config.url = "http://mac.example/?password=x".into()),
            Err("url")
        );
        assert_eq!(
            wrong(|config| config.password = Secret::default()),
            Err("password")
        );
        assert_eq!(
            wrong(|config| config.password_file = Some("/a".into())),
            Err("password")
        );
        assert_eq!(
            wrong(|config| config.address = "07700 900001".into()),
            Err("address")
        );
        assert_eq!(wrong(|config| config.poll = Duration::ZERO), Err("poll"));
    }

    #[test]
    fn the_password_is_not_printed() {
        assert!(!format!("{:?}", good()).contains("hunter2"));
    }
}
