//! Alphabets, and which one a `data_coding` names: TS 23.038 §4, SMPP 3.4 §5.2.19.

use crate::gsm::{self, Shifts};

/// What the octets of a short message stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// GSM 7 bit, one septet to an octet, as SMPP carries it.
    Gsm,
    /// GSM 7 bit, packed into octets; some SMSCs want it so.
    GsmPacked,
    /// ASCII, which SMPP calls IA5.
    Ascii,
    /// ISO-8859-1.
    Latin1,
    /// ISO-8859-5.
    Cyrillic,
    /// ISO-8859-8.
    Hebrew,
    /// "UCS-2", which is UTF-16BE in practice: phones send surrogate pairs.
    Utf16,
    /// Octets that are no text.
    Binary,
    /// A code that has no text here: the Japanese and Korean ones, and reserved values.
    Other,
}

/// How to read the codes that carriers disagree about; a setting of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodingRules {
    /// What `data_coding` 0 means: GSM at most carriers, Latin-1 or ASCII at some.
    pub default: Alphabet,
    /// What `data_coding` 1 means: ASCII, but GSM where the peer is built on npm `smpp`.
    pub ia5: Alphabet,
}

impl Default for CodingRules {
    fn default() -> CodingRules {
        CodingRules {
            default: Alphabet::Gsm,
            ia5: Alphabet::Ascii,
        }
    }
}

/// The message class of TS 23.038 §4: where the phone is asked to keep the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageClass {
    /// Class 0: shown at once, not stored ("flash").
    Flash,
    /// Class 1: the phone.
    Phone,
    /// Class 2: the SIM.
    Sim,
    /// Class 3: attached equipment.
    Equipment,
}

/// What a `data_coding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    pub alphabet: Alphabet,
    pub class: Option<MessageClass>,
    /// Compressed by TS 23.042. Nobody does; the octets are then no text to us.
    pub compressed: bool,
}

/// Reads a `data_coding`. The values 0 to 15 are SMPP's own (SMPP 3.4 §5.2.19), all others those of
/// TS 23.038 §4. Never fails: a reserved value gives [`Alphabet::Other`].
pub fn classify(data_coding: u8, rules: CodingRules) -> Coding {
    let plain = |alphabet| Coding {
        alphabet,
        class: None,
        compressed: false,
    };
    // Who packs the default alphabet packs it under each code that names it.
    let gsm = match rules.default {
        Alphabet::GsmPacked => Alphabet::GsmPacked,
        _ => Alphabet::Gsm,
    };
    match data_coding {
        0x00 => plain(rules.default),
        0x01 => plain(rules.ia5),
        0x02 | 0x04 => plain(Alphabet::Binary),
        0x03 => plain(Alphabet::Latin1),
        0x06 => plain(Alphabet::Cyrillic),
        0x07 => plain(Alphabet::Hebrew),
        0x08 => plain(Alphabet::Utf16),
        // 0x40 to 0x7F is the same, with the wish to be deleted automatically.
        0x10..=0x7F => Coding {
            alphabet: match (data_coding & 0x20 != 0, data_coding >> 2 & 0b11) {
                (true, _) | (_, 1) => Alphabet::Binary,
                (_, 0) => gsm,
                (_, 2) => Alphabet::Utf16,
                _ => Alphabet::Other,
            },
            class: (data_coding & 0x10 != 0).then(|| class(data_coding)),
            compressed: data_coding & 0x20 != 0,
        },
        // Message waiting indications: text in the default alphabet, or in UCS-2.
        0xC0..=0xDF => plain(gsm),
        0xE0..=0xEF => plain(Alphabet::Utf16),
        0xF0..=0xFF => Coding {
            alphabet: if data_coding & 0b100 == 0 {
                gsm
            } else {
                Alphabet::Binary
            },
            class: Some(class(data_coding)),
            compressed: false,
        },
        _ => plain(Alphabet::Other),
    }
}

fn class(data_coding: u8) -> MessageClass {
    match data_coding & 0b11 {
        0 => MessageClass::Flash,
        1 => MessageClass::Phone,
        2 => MessageClass::Sim,
        _ => MessageClass::Equipment,
    }
}

/// The text of a message, header removed. Never fails: what stands for nothing shows U+FFFD.
///
/// `None` for octets that are no text ([`Alphabet::Binary`], [`Alphabet::Other`]).
pub fn decode(octets: &[u8], alphabet: Alphabet, shifts: Shifts) -> Option<String> {
    let bytewise = |of: fn(u8) -> char| octets.iter().map(|&octet| of(octet)).collect();
    match alphabet {
        Alphabet::Gsm => Some(gsm::decode(octets, shifts)),
        Alphabet::GsmPacked => Some(gsm::decode(&gsm::unpack_text(octets, 0), shifts)),
        Alphabet::Ascii => Some(bytewise(ascii)),
        Alphabet::Latin1 => Some(bytewise(char::from)),
        Alphabet::Cyrillic => Some(bytewise(cyrillic)),
        Alphabet::Hebrew => Some(bytewise(hebrew)),
        Alphabet::Utf16 => Some(decode_utf16(octets)),
        Alphabet::Binary | Alphabet::Other => None,
    }
}

/// The octets of a text, or `None` if the alphabet does not hold all of it.
pub fn encode(text: &str, alphabet: Alphabet) -> Option<Vec<u8>> {
    let bytewise = |limit: u32| {
        text.chars()
            .map(u32::from)
            .map(|c| (c < limit).then_some(c as u8))
            .collect()
    };
    match alphabet {
        Alphabet::Gsm => gsm::encode(text, Shifts::default()).ok(),
        Alphabet::GsmPacked => gsm::encode(text, Shifts::default())
            .ok()
            .map(|septets| gsm::pack_text(&septets, 0)),
        Alphabet::Ascii => bytewise(0x80),
        Alphabet::Latin1 => bytewise(0x100),
        Alphabet::Utf16 => Some(encode_utf16(text)),
        Alphabet::Cyrillic | Alphabet::Hebrew | Alphabet::Binary | Alphabet::Other => None,
    }
}

/// UTF-16BE, surrogate pairs included.
pub fn encode_utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// UTF-16BE to text: a lone surrogate, or an octet left over at the end, shows U+FFFD.
pub fn decode_utf16(octets: &[u8]) -> String {
    let (pairs, rest) = octets.as_chunks::<2>();
    let units = pairs.iter().map(|&pair| u16::from_be_bytes(pair));
    let mut text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

fn ascii(octet: u8) -> char {
    if octet.is_ascii() {
        char::from(octet)
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

fn cyrillic(octet: u8) -> char {
    match octet {
        0xAD => '\u{AD}',
        0xF0 => '№',
        0xFD => '§',
        0xA1..=0xFF => char::from_u32(u32::from(octet) + 0x360).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(octet),
    }
}

fn hebrew(octet: u8) -> char {
    match octet {
        0xAA => '×',
        0xBA => '÷',
        0xDF => '‗',
        0xE0..=0xFA => char::from_u32(u32::from(octet) + 0x4F0).unwrap_or(char::REPLACEMENT_CHARACTER),
        0xFD => '\u{200E}',
        0xFE => '\u{200F}',
        0xA1 | 0xBF..=0xDE | 0xFB | 0xFC | 0xFF => char::REPLACEMENT_CHARACTER,
        _ => char::from(octet),
    }
}

#[cfg(test)]
mod tests;
