//! The settings of one SMPP account. The defaults suit most providers; host, account and password are theirs.

mod messages;

pub use messages::{AddressRules, Addresses, Alphabet, IdForm, LongMessages, MessageIds, Text, TonNpi};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use swingbridge_wire::gsm::Shifts;
use swingbridge_wire::segments::{Method, Options};
use swingbridge_wire::smpp::{VERSION_3_4, VERSION_5_0};
use swingbridge_wire::text::CodingRules;
use thiserror::Error;

/// One account at an SMSC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Host name or IP address of the SMSC.
    pub host: String,
    /// TCP port. 2775 is registered for SMPP; with TLS providers choose their own.
    pub port: u16,
    /// The account's name at the SMSC.
    pub system_id: String,
    /// The account's password.
    #[schemars(with = "String")]
    pub password: Secret,
    /// A category that some SMSCs ask for. Mostly empty.
    pub system_type: String,
    /// The version to offer. An SMSC that does not tell its own is taken to speak 3.4.
    pub version: Version,
    /// How to bind: one connection both ways, or one for each direction.
    pub bind: BindMode,
    /// How many connections of that kind to hold, 1 to 16. More carry on when one is lost.
    pub binds: u8,
    /// The addresses to receive for, as the provider's pattern. Mostly empty.
    pub address_range: String,
    /// How many submits may wait for their answer on one connection, 1 to 1000.
    pub window: u16,
    /// The most short messages per second over all connections; no limit when absent.
    pub rate: Option<f64>,
    /// The local IP address to connect from; providers allow accounts by it.
    pub source_address: Option<IpAddr>,
    /// TLS; absent means in clear, password and texts included.
    pub tls: Option<Tls>,
    /// Time limits and intervals.
    pub timing: Timing,
    /// How addresses are written in what is sent.
    pub addresses: Addresses,
    /// How texts are encoded and cut.
    pub text: Text,
    /// How the SMSC writes its message ids.
    pub message_ids: MessageIds,
    /// Whether to ask for delivery receipts.
    pub receipts: bool,
    /// `service_type` of what is sent. Mostly empty.
    pub service_type: String,
    /// Error codes, mostly of the vendor (0x400 to 0x4FF), after which the same message may succeed later.
    pub transient_codes: Vec<u32>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            host: String::new(),
            port: 2775,
            system_id: String::new(),
            password: Secret::default(),
            system_type: String::new(),
            version: Version::default(),
            bind: BindMode::default(),
            binds: 1,
            address_range: String::new(),
            window: 10,
            rate: None,
            source_address: None,
            tls: None,
            timing: Timing::default(),
            addresses: Addresses::default(),
            text: Text::default(),
            message_ids: MessageIds::default(),
            receipts: true,
            service_type: String::new(),
            transient_codes: Vec::new(),
        }
    }
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

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting that cannot be.
    pub fn validate(&self) -> Result<(), Invalid> {
        let rules = [
            (!self.host.is_empty(), "host", "name the SMSC's host"),
            (self.port != 0, "port", "give the SMSC's port, such as 2775"),
            (
                !self.system_id.is_empty(),
                "system_id",
                "give the account's name at the SMSC",
            ),
            (self.system_id.len() <= 64, "system_id", "at most 64 octets"),
            (
                self.password.expose().len() <= 64,
                "password",
                "at most 64 octets",
            ),
            (self.system_type.len() <= 12, "system_type", "at most 12 octets"),
            (self.service_type.len() <= 5, "service_type", "at most 5 octets"),
            (
                self.address_range.len() <= 40,
                "address_range",
                "at most 40 octets",
            ),
            ((1..=16).contains(&self.binds), "binds", "between 1 and 16"),
            ((1..=1000).contains(&self.window), "window", "between 1 and 1000"),
            (
                self.rate.is_none_or(|rate| rate > 0.0 && rate.is_finite()),
                "rate",
                "more than zero, or leave it out",
            ),
            (
                !self.timing.enquire_link.is_zero(),
                "timing.enquire_link",
                "more than zero",
            ),
            (
                !self.timing.response.is_zero(),
                "timing.response",
                "more than zero",
            ),
            (
                !self.timing.first_wait.is_zero(),
                "timing.first_wait",
                "more than zero",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, problem)) => Err(Invalid { field, problem }),
            None => self.tls.as_ref().map_or(Ok(()), Tls::validate),
        }
    }

    pub(super) fn segmenting(&self) -> Options {
        Options {
            default: self.text.default_alphabet.into(),
            latin1: self.text.latin1,
            national: Shifts::default(),
            method: match self.text.long_messages {
                LongMessages::Udh8 => Method::Udh8,
                LongMessages::Udh16 => Method::Udh16,
                LongMessages::Sar => Method::Sar,
                LongMessages::Payload => Method::Payload,
            },
        }
    }

    pub(super) fn coding_rules(&self) -> CodingRules {
        CodingRules {
            default: self.text.default_alphabet.into(),
            ia5: self.text.ia5_alphabet.into(),
        }
    }
}

/// Versions of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Version {
    /// What every SMSC speaks.
    #[default]
    #[serde(rename = "3.4")]
    V3_4,
    /// Tells congestion before it refuses.
    #[serde(rename = "5.0")]
    V5_0,
}

impl Version {
    pub(super) fn octet(self) -> u8 {
        match self {
            Version::V3_4 => VERSION_3_4,
            Version::V5_0 => VERSION_5_0,
        }
    }
}

/// Kinds of connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BindMode {
    /// One connection both ways.
    #[default]
    Transceiver,
    /// A transmitter and a receiver.
    TransmitterReceiver,
}

/// TLS to the SMSC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// A PEM file with the only authorities to trust, in place of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Pins: SHA-256 digests of the server certificate's public key (its SubjectPublicKeyInfo), each as 64 hex
    /// digits or in base64, with or without curl's `sha256//`. When given, one must match.
    pub pins: Vec<String>,
    /// The name that the certificate must bear; the host by default.
    pub server_name: Option<String>,
    /// A PEM file with our own certificate, where the SMSC asks for one.
    pub client_cert_file: Option<PathBuf>,
    /// A PEM file with its key.
    pub client_key_file: Option<PathBuf>,
}

impl Tls {
    fn validate(&self) -> Result<(), Invalid> {
        if self.trust == Trust::Pins && self.pins.is_empty() {
            return Err(Invalid {
                field: "tls.pins",
                problem: "give a pin, or another trust",
            });
        }
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            return Err(Invalid {
                field: "tls.client_key_file",
                problem: "give certificate and key, or neither",
            });
        }
        Ok(())
    }
}

/// Whose certificates are trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The public authorities that Mozilla trusts, as built in.
    #[default]
    Mozilla,
    /// The authorities that this machine trusts.
    System,
    /// No authority: a pin alone decides, so the certificate may be self-signed.
    Pins,
}

/// Time limits and intervals, each in seconds; fractions are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// For finding the host, for the connection, and for its TLS handshake, each. Several addresses of the host share the time for the connection.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub connect: Duration,
    /// For the answer to a bind.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub bind: Duration,
    /// For the answer to a submit; without one its fate is unknown.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub response: Duration,
    /// Silence after which the SMSC is asked whether it is there; after two unanswered ones the connection
    /// is given up.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub enquire_link: Duration,
    /// The first wait after a lost connection or a throttled submit; it doubles with each further one.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub first_wait: Duration,
    /// The longest such wait.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub longest_wait: Duration,
    /// The wait after the SMSC refused the account; it doubles up to ten times as much. Providers lock accounts
    /// that try too often.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub refused_wait: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            connect: Duration::from_secs(10),
            bind: Duration::from_secs(15),
            response: Duration::from_secs(60),
            enquire_link: Duration::from_secs(30),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            refused_wait: Duration::from_secs(60),
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

    #[test]
    fn a_few_lines_are_enough_and_unknown_ones_are_refused() {
        let read = |text: &str| serde_json::from_str::<Config>(text);
        let config =
            read(r#"{"host": "smsc.example", "system_id": "me", "timing": {"response": 2.5}}"#).unwrap();
        assert_eq!(
            (config.port, config.window, config.timing.response),
            (2775, 10, Duration::from_millis(2500))
        );
        assert_eq!(config.validate(), Ok(()));
        for wrong in [
            r#"{"hots": ""}"#,
            r#"{"text": {"alphabet": "gsm"}}"#,
            r#"{"timing": {"bind": -1}}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn settings_that_cannot_be_are_named() {
        let good = Config {
            host: "h".into(),
            system_id: "s".into(),
            ..Config::default()
        };
        let wrong = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().map_err(|invalid| invalid.field)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(wrong(|config| config.host.clear()), Err("host"));
        assert_eq!(wrong(|config| config.window = 0), Err("window"));
        assert_eq!(wrong(|config| config.rate = Some(0.0)), Err("rate"));
        assert_eq!(wrong(|config| config.rate = Some(f64::NAN)), Err("rate"));
        assert_eq!(wrong(|config| config.binds = 17), Err("binds"));
        let pinned = |config: &mut Config| {
            config.tls = Some(Tls {
                trust: Trust::Pins,
                ..Tls::default()
            })
        };
        assert_eq!(wrong(pinned), Err("tls.pins"));
    }

    #[test]
    fn the_password_is_not_printed() {
        let config = Config {
            password: Secret::new("hunter2"),
            ..Config::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
