//! How messages are written: addresses, texts and ids.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swingbridge_wire::smpp::{npi, ton};
use swingbridge_wire::text::Alphabet as WireAlphabet;

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
    /// International numbers.
    pub number: TonNpi,
    /// Short codes.
    pub short_code: TonNpi,
    /// Alphanumeric senders.
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
