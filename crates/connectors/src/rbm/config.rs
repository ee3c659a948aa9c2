//! The settings of one agent.

pub use crate::smpp::config::Invalid;

use super::account::Account;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use url::Url;

/// An agent of Google RCS for Business.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the agent lives, as it was chosen when it was made. It decides the address of the API.
    pub region: Region,
    /// Another address of the API, without a path. Absent: that of the region.
    pub base_url: Option<String>,
    /// The agent's id, as the developer console shows it.
    pub agent_id: String,
    /// The service account's key: the JSON file that the console gives, whole.
    #[schemars(with = "String")]
    pub service_account: Secret,
    /// The client token that the agent's webhook is configured with. Google signs with it.
    #[schemars(with = "String")]
    pub client_token: Secret,
    /// The address that the line has.
    pub number: String,
    /// What the messages are for, as Google wants to know it. Absent: not said.
    pub traffic_type: Option<TrafficType>,
    /// How long it is believed that a number has RCS, in seconds. That it has none is believed for five minutes at most.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub capability_age: Duration,
    /// The largest file that is taken or sent, in megabytes, 1 to 100.
    pub largest_file: u64,
    /// A PEM file with the authorities to trust beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// Time limits.
    pub timing: Timing,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            region: Region::default(),
            base_url: None,
            agent_id: String::new(),
            service_account: Secret::default(),
            client_token: Secret::default(),
            number: String::new(),
            traffic_type: None,
            capability_age: Duration::from_secs(24 * 60 * 60),
            largest_file: 100,
            ca_file: None,
            timing: Timing::default(),
        }
    }
}

/// A region of agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    #[default]
    Europe,
    Us,
    Asia,
}

impl Region {
    fn word(self) -> &'static str {
        match self {
            Self::Europe => "europe",
            Self::Us => "us",
            Self::Asia => "asia",
        }
    }
}

/// What messages are for (REST reference, `MessageTrafficType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrafficType {
    Authentication,
    Transaction,
    Promotion,
    ServiceRequest,
    Acknowledgement,
}

impl TrafficType {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Authentication => "AUTHENTICATION",
            Self::Transaction => "TRANSACTION",
            Self::Promotion => "PROMOTION",
            Self::ServiceRequest => "SERVICEREQUEST",
            Self::Acknowledgement => "ACKNOWLEDGEMENT",
        }
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
    /// For one file, either way.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub file: Duration,
    /// The longest wait between two tries to sign in at the start.
    #[serde(with = "crate::seconds")]
    #[schemars(with = "f64")]
    pub longest_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(20),
            file: Duration::from_secs(120),
            longest_wait: Duration::from_secs(300),
        }
    }
}

impl Config {
    /// Where the API is, without a path.
    pub fn base(&self) -> String {
        match &self.base_url {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None => format!(
                "https://{}-rcsbusinessmessaging.googleapis.com",
                self.region.word()
            ),
        }
    }

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
                self.base_url.as_deref().is_none_or(http),
                "base_url",
                "give a whole address, such as https://europe-rcsbusinessmessaging.googleapis.com",
            ),
            (
                !self.agent_id.is_empty() && !self.agent_id.contains(char::is_whitespace),
                "agent_id",
                "give the agent's id, as the developer console shows it",
            ),
            (
                Account::read(&self.service_account).is_ok(),
                "service_account",
                "give the service account's key: the JSON file that the developer console gives, whole (service_account_file names it)",
            ),
            (
                !self.client_token.is_empty(),
                "client_token",
                "give the client token of the agent's webhook: without it anybody could send webhooks",
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
            (!self.timing.request.is_zero(), "timing.request", "more than zero"),
            (!self.timing.file.is_zero(), "timing.file", "more than zero"),
            (
                !self.timing.longest_wait.is_zero(),
                "timing.longest_wait",
                "more than zero",
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
            agent_id: "shop_agent".into(),
            service_account: Secret::new(swingbridge_lab::rbm::service_account("http://127.0.0.1:1/token")),
            client_token: Secret::new("hunter2"),
            number: "+447700900001".into(),
            ..Config::default()
        };
        let wrong = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(good.base(), "https://europe-rcsbusinessmessaging.googleapis.com");
        assert_eq!(
            wrong(|config| config.client_token = Secret::default()),
            Err("client_token")
        );
        assert_eq!(
            wrong(|config| config.base_url = Some("google".into())),
            Err("base_url")
        );
        assert_eq!(
            wrong(|config| config.service_account = Secret::new("{}")),
            Err("service_account")
        );
        assert!(!format!("{good:?}").contains("hunter2"));
        assert!(!format!("{good:?}").contains("PRIVATE KEY"));
        assert!(serde_json::from_str::<Config>(r#"{"agent": ""}"#).is_err());
    }
}
