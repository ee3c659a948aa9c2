//! The settings of one SMPP account. The defaults suit most providers; host, account and password are theirs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use swingbridge_domain::secret::Secret;
use swingbridge_wire::gsm::Shifts;
use swingbridge_wire::segments::{Method, Options};
use swingbridge_wire::smpp::{VERSION_3_4, VERSION_5_0, npi, ton};
use swingbridge_wire::text::{Alphabet as WireAlphabet, CodingRules};
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
    /// For the connection with its TLS handshake. 10.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub connect: Duration,
    /// For the answer to a bind. 15.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub bind: Duration,
    /// For the answer to a submit; without one its fate is unknown. 60.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub response: Duration,
    /// Silence after which the SMSC is asked whether it is there; after two unanswered ones the connection
    /// is given up. 30.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub enquire_link: Duration,
    /// The first wait after a lost connection or a throttled submit; it doubles with each further one. 1.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub first_wait: Duration,
    /// The longest such wait. 60.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub longest_wait: Duration,
    /// The wait after the SMSC refused the account; it doubles up to ten times as much. Providers lock accounts
    /// that try too often. 60.
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

/// How addresses are written in what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Addresses {
    /// Our own addresses.
    pub source: AddressRules,
    /// The phones'.
    pub destination: AddressRules,
}

/// Type of number and numbering plan (SMPP 3.4 §5.2.5, §5.2.6) for each kind of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AddressRules {
    /// International numbers. 1/1.
    pub number: TonNpi,
    /// Short codes. 3/0.
    pub short_code: TonNpi,
    /// Alphanumeric senders. 5/0.
    pub name: TonNpi,
    /// Whether numbers are written with their `+`.
    pub plus: bool,
}

impl Default for AddressRules {
    fn default() -> AddressRules {
        AddressRules {
            number: TonNpi {
                ton: ton::INTERNATIONAL,
                npi: npi::ISDN,
            },
            short_code: TonNpi {
                ton: ton::NETWORK_SPECIFIC,
                npi: npi::UNKNOWN,
            },
            name: TonNpi {
                ton: ton::ALPHANUMERIC,
                npi: npi::UNKNOWN,
            },
            plus: false,
        }
    }
}

/// The two octets before an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TonNpi {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
}

/// How texts are encoded and cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Text {
    /// What `data_coding` 0 means to the SMSC.
    pub default_alphabet: Alphabet,
    /// What `data_coding` 1 means in what arrives: ASCII, but GSM where the SMSC is built on npm `smpp`.
    pub ia5_alphabet: Alphabet,
    /// Whether Latin-1 (`data_coding` 3) may be used for texts that the default alphabet does not hold. Phones
    /// are then given what the SMSC makes of it.
    pub latin1: bool,
    /// How a text too long for one message is carried.
    pub long_messages: LongMessages,
}

impl Default for Text {
    fn default() -> Text {
        Text {
            default_alphabet: Alphabet::Gsm,
            ia5_alphabet: Alphabet::Ascii,
            latin1: false,
            long_messages: LongMessages::default(),
        }
    }
}

/// Alphabets of one octet for each character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// GSM 03.38, one septet in an octet.
    Gsm,
    /// GSM 03.38, eight septets in seven octets.
    GsmPacked,
    /// ASCII.
    Ascii,
    /// ISO 8859-1.
    Latin1,
}

impl From<Alphabet> for WireAlphabet {
    fn from(alphabet: Alphabet) -> WireAlphabet {
        match alphabet {
            Alphabet::Gsm => WireAlphabet::Gsm,
            Alphabet::GsmPacked => WireAlphabet::GsmPacked,
            Alphabet::Ascii => WireAlphabet::Ascii,
            Alphabet::Latin1 => WireAlphabet::Latin1,
        }
    }
}

/// How a text too long for one message is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LongMessages {
    /// In parts with a user data header, reference of 8 bits.
    #[default]
    Udh8,
    /// In parts with a user data header, reference of 16 bits.
    Udh16,
    /// In parts with the `sar_` parameters; the SMSC writes the headers.
    Sar,
    /// Whole, in `message_payload`; the SMSC cuts it.
    Payload,
}

/// How the SMSC writes its message ids. One that gives hex in its answers and decimal in its receipts is common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MessageIds {
    /// In the answer to a submit.
    pub submitted: IdForm,
    /// In receipts.
    pub receipted: IdForm,
}

/// What an id is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdForm {
    /// A word. Case and leading zeros are ignored when it is made of hex digits alone.
    #[default]
    Opaque,
    /// A decimal number.
    Decimal,
    /// A hexadecimal number.
    Hex,
}
