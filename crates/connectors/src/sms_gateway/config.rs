//! The settings of one phone with the app.

pub use crate::smpp::config::Invalid;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use url::Url;

/// No carrier takes more, and all of it is in one request.
const MOST_MMS: u64 = 10_000_000;

/// A phone with the app "SMS Gateway".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the API is: `http://PHONE:8080` in the app's local mode, `https://HOST/3rdparty/v1` of a server.
    pub url: String,
    /// The user's name that the app shows.
    pub user: String,
    /// The password that the app shows.
    #[schemars(with = "String")]
    pub password: Secret,
    /// The phone's own number, as the line has it.
    pub number: String,
    /// The phone's id at a private or cloud server. Absent: the app itself answers at `url`.
    pub device_id: Option<String>,
    /// The SIM to send by, 1 for the first. Absent: the app's choice. When given, only what came to this SIM is taken.
    pub sim: Option<u8>,
    /// A PEM file with the authorities to trust beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// Where the app can reach this program with its webhooks, as a whole address that nobody can guess. The app takes https, and
    /// http to itself. Absent: the app is only asked.
    pub webhook_url: Option<String>,
    /// The signing key that the app shows in its settings for webhooks.
    #[schemars(with = "String")]
    pub signing_key: Secret,
    /// Whether to ask for delivery reports.
    pub receipts: bool,
    /// Whether files leave as MMS. It takes the app as the phone's default app for SMS, in a version whose API has `mmsMessage`.
    pub mms: bool,
    /// The most octets in the file of an MMS; many carriers take 300 000 to 1 000 000.
    pub mms_limit: u64,
    /// How many days of texts are shown as history at the first start, 0 to 3650.
    pub history_days: u32,
    /// Time limits and intervals.
    pub timing: Timing,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: String::new(),
            user: String::new(),
            password: Secret::default(),
            number: String::new(),
            device_id: None,
            sim: None,
            ca_file: None,
            webhook_url: None,
            signing_key: Secret::default(),
            receipts: true,
            mms: false,
            mms_limit: 600_000,
            history_days: 0,
            timing: Timing::default(),
        }
    }
}

/// Time limits and intervals, each in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// How often the app is asked for what no webhook told.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub poll: Duration,
    /// For one request.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub request: Duration,
    /// How long an app that does not answer is asked what became of a message; after that its fate is unknown.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub resolve: Duration,
    /// The longest wait between two tries while the app does not answer.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub longest_wait: Duration,
    /// How far back the app's inbox is read after a time without contact.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub look_back: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(20),
            request: Duration::from_secs(20),
            resolve: Duration::from_secs(60),
            longest_wait: Duration::from_secs(300),
            look_back: Duration::from_secs(3 * 24 * 60 * 60),
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
                http(&self.url),
                "url",
                "give the address that the app shows, such as http://192.168.1.5:8080",
            ),
            (
                !self.user.is_empty(),
                "user",
                "give the user's name that the app shows",
            ),
            (
                !self.password.is_empty(),
                "password",
                "give the password that the app shows",
            ),
            (
                self.number.chars().filter(char::is_ascii_digit).count() >= 3,
                "number",
                "give the phone's own number, as the line has it",
            ),
            (
                self.sim.is_none_or(|sim| (1..=3).contains(&sim)),
                "sim",
                "1 for the first SIM, 2 for the second",
            ),
            (
                self.webhook_url.as_deref().is_none_or(http),
                "webhook_url",
                "give the whole address at which the app reaches this program",
            ),
            (
                self.webhook_url.is_none() || !self.signing_key.is_empty(),
                "signing_key",
                "give the signing key that the app shows: without it anybody could send webhooks",
            ),
            (
                (1..=MOST_MMS).contains(&self.mms_limit),
                "mms_limit",
                "between 1 and 10000000 octets",
            ),
            (self.history_days <= 3650, "history_days", "between 0 and 3650"),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good = Config {
            url: "http://192.168.1.5:8080".into(),
            user: "sms".into(),
            password: Secret::new("hunter2"),
            number: "+447700900001".into(),
            ..Config::default()
        };
        let wrong = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(wrong(|config| config.url = "phone:8080".into()), Err("url"));
        assert_eq!(wrong(|config| config.sim = Some(0)), Err("sim"));
        assert_eq!(wrong(|config| config.mms_limit = 0), Err("mms_limit"));
        // A webhook that anybody could send.
        let open = |config: &mut Config| config.webhook_url = Some("https://example.org/x".into());
        assert_eq!(wrong(open), Err("signing_key"));
        assert!(!format!("{good:?}").contains("hunter2"));
        assert!(serde_json::from_str::<Config>(r#"{"uri": ""}"#).is_err());
    }
}
