//! Addresses on phone networks, told apart before any parsing as a number.
//!
//! Short codes, alphanumeric senders and emergency numbers are recognised first: a number library turns "911" into
//! a subscriber's number of the region. The rest is brought to E.164 (ITU-T E.164) with libphonenumber's data.

mod plan;
mod premium;

use plan::Number;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A remote or local address. `Debug` and `Display` show it masked; [`Address::canonical`] is the whole of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// An E.164 number, with its `+`.
    Number(String),
    /// A short code: digits that mean something only in one network or country.
    Short(String),
    /// An alphanumeric sender (at most 11 characters, 3GPP TS 23.040 section 9.1.2.5). It can not be answered.
    Name(String),
    /// A mail address by which a network knows somebody (an Apple ID), in lower case.
    Mail(String),
    /// Several people at once: the network's own name of their group. It may change while the conversation stays.
    Group(String),
}

/// An ISO 3166-1 alpha-2 code of a region, by which national numbers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(phonenumber::country::Id);

/// What the network says about an address it gives (SMPP type of number). A hint only: it is often wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    #[default]
    Unknown,
    International,
    National,
    Alphanumeric,
    /// A mail address.
    Mail,
    /// The network's name of a group.
    Group,
}

/// Why a text is no address that can be reached. None is worth a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("this is an emergency number: it cannot be texted from here. Call it from a phone")]
    Emergency,
    #[error("this is no phone number: write it with + and the country code, or as you dial it nationally")]
    NotANumber,
    #[error("this is a sender's name, not a number: it cannot be answered")]
    NameOnly,
    #[error(
        "this number is written nationally, and the line has no region: write it with + and the country code"
    )]
    NoRegion,
}

impl Address {
    /// Reads what a person typed: an E.164 number, a national number of `region`, a short code, or a `tel:` URI.
    ///
    /// # Errors
    /// [`AddressError`]; final for this input.
    pub fn from_user(text: &str, region: Option<Region>) -> Result<Self, AddressError> {
        let text = text.trim();
        let text = text.strip_prefix("tel:").unwrap_or(text);
        if let Some(mail) = mail(text.strip_prefix("mailto:").unwrap_or(text)) {
            return Ok(mail);
        }
        let Some(dialled) = strip_separators(text) else {
            return Err(AddressError::NotANumber);
        };
        if is_emergency(&dialled, region) {
            return Err(AddressError::Emergency);
        }
        if dialled.chars().any(char::is_alphabetic) {
            return Err(AddressError::NameOnly);
        }
        if !dialled.starts_with('+') && (3..=6).contains(&dialled.len()) {
            return Ok(Address::Short(dialled));
        }
        if !dialled.starts_with('+') && region.is_none() {
            return Err(AddressError::NoRegion);
        }
        number(&dialled, region, Trust::Typed).ok_or(AddressError::NotANumber)
    }

    /// Reads what a network gave as a sender or recipient. Never fails: what is no number is a short code or a name.
    pub fn from_network(text: &str, region: Option<Region>, hint: Hint) -> Self {
        let text = text.trim();
        match hint {
            Hint::Group => return Address::Group(text.to_owned()),
            Hint::Mail => return mail(text).unwrap_or_else(|| Address::Name(text.to_owned())),
            _ => {}
        }
        let Some(dialled) = strip_separators(text).filter(|d| !d.chars().any(char::is_alphabetic)) else {
            return Address::Name(text.to_owned());
        };
        let digits = dialled.trim_start_matches('+');
        if digits.is_empty() {
            return Address::Name(text.to_owned());
        }
        if !dialled.starts_with('+') && digits.len() <= 6 {
            return Address::Short(dialled);
        }
        let international = |trust| number(&format!("+{digits}"), None, trust);
        let national = || region.and_then(|region| number(&dialled, Some(region), Trust::Given));
        let found = match hint {
            _ if dialled.starts_with('+') => international(Trust::Typed),
            Hint::International => international(Trust::Typed).or_else(national),
            // The network says that there is no country code in front: whatever it begins like, it is of no other country.
            Hint::National => national(),
            // Nothing is said: a valid national number wins, then a valid international one. What is merely as long as a number may be
            // a service's own code, unless it begins like a mobile number of our own country.
            _ => national()
                .or_else(|| international(Trust::Given))
                .or_else(|| international(Trust::Typed).filter(|_| is_like_ours(digits, region))),
        };
        found.unwrap_or(Address::Short(dialled))
    }

    /// The whole address as one text that is equal for equal addresses: `tel:+447700900456`, `short:12345`, `name:ACME`,
    /// `mailto:a@example.org`, `group:` and the network's name of it.
    pub fn canonical(&self) -> String {
        match self {
            Address::Number(number) => format!("tel:{number}"),
            Address::Short(code) => format!("short:{code}"),
            Address::Name(name) => format!("name:{name}"),
            Address::Mail(mail) => format!("mailto:{mail}"),
            Address::Group(thread) => format!("group:{thread}"),
        }
    }

    /// Reads what [`Address::canonical`] wrote.
    pub fn from_canonical(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("tel", number) => Some(Address::Number(number.to_owned())),
            ("short", code) => Some(Address::Short(code.to_owned())),
            ("name", name) => Some(Address::Name(name.to_owned())),
            ("mailto", mail) => Some(Address::Mail(mail.to_owned())),
            ("group", thread) => Some(Address::Group(thread.to_owned())),
            _ => None,
        }
    }

    /// The address as people write it, in full.
    pub fn full(&self) -> &str {
        match self {
            Address::Number(text)
            | Address::Short(text)
            | Address::Name(text)
            | Address::Mail(text)
            | Address::Group(text) => text,
        }
    }

    /// The address with most of its digits hidden: `+44 ••• 56`, `a•••@example.org`. Names and short codes belong to
    /// organisations and are shown.
    pub fn masked(&self) -> String {
        match self {
            Address::Number(number) => {
                let digits = number.trim_start_matches('+');
                let code = plan::split(digits).map(|(code, _)| code.to_string());
                let code = code.unwrap_or_default();
                let tail = digits.get(digits.len().saturating_sub(2)..).unwrap_or_default();
                format!("+{code} ••• {tail}")
            }
            Address::Short(text) | Address::Name(text) => text.clone(),
            Address::Mail(mail) => {
                let (name, host) = mail.split_once('@').unwrap_or((mail, ""));
                let first: String = name.chars().take(1).collect();
                format!("{first}•••@{host}")
            }
            // The network's name of a group may hold its members' numbers.
            Address::Group(_) => "a group".to_owned(),
        }
    }

    /// The country that a number belongs to; that of `own`, where a short code means something. `None` for what belongs to no
    /// country, or is of none that is known.
    pub fn country(&self, own: Option<Region>) -> Option<Region> {
        match self {
            Address::Number(number) => Number::read(number, None)?.region(),
            Address::Short(_) => own,
            Address::Name(_) | Address::Mail(_) | Address::Group(_) => None,
        }
    }

    /// Whether it is a number of a premium or shared-cost service, as far as libphonenumber's data tells.
    pub fn is_premium(&self) -> bool {
        matches!(self, Address::Number(number) if premium::is_premium(number))
    }

    /// Whether a message can be sent to it.
    pub fn can_reply(&self) -> bool {
        !matches!(self, Address::Name(_))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Number(_) => write!(f, "Number({})", self.masked()),
            Address::Short(_) => f.write_str("Short(…)"),
            Address::Name(_) => f.write_str("Name(…)"),
            Address::Mail(_) => f.write_str("Mail(…)"),
            Address::Group(_) => f.write_str("Group(…)"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Number(_) => f.write_str(&self.masked()),
            Address::Short(_) => f.write_str("a short code"),
            Address::Name(_) => f.write_str("a named sender"),
            Address::Mail(_) => f.write_str(&self.masked()),
            Address::Group(_) => f.write_str("a group"),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.canonical())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Address::from_canonical(&text).ok_or_else(|| serde::de::Error::custom("no canonical address"))
    }
}

impl FromStr for Region {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        phonenumber::country::Id::from_str(&text.to_ascii_uppercase())
            .map(Region)
            .map_err(|_| format!("{text:?} is no region: give two letters of ISO 3166-1, such as GB or DE"))
    }
}

impl TryFrom<String> for Region {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> String {
        region.as_str().to_owned()
    }
}

impl Region {
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

/// A mail address, as far as one can be told from its looks.
fn mail(text: &str) -> Option<Address> {
    let (name, host) = text.split_once('@')?;
    let fits = !name.is_empty()
        && host.contains('.')
        && !host.starts_with('.')
        && !host.ends_with('.')
        && !text.contains(char::is_whitespace)
        && !host.contains('@');
    fits.then(|| Address::Mail(text.to_lowercase()))
}

/// Takes out what people put between digits; `None` when nothing is left.
fn strip_separators(text: &str) -> Option<String> {
    let kept: String = text
        .chars()
        .filter(|c| {
            !c.is_whitespace()
                && !matches!(
                    c,
                    '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' | '\u{a0}'
                )
        })
        .collect();
    let kept = if kept.chars().any(char::is_alphabetic) {
        text.trim().to_owned()
    } else {
        kept
    };
    (!kept.is_empty()).then_some(kept)
}

/// How sure it is that digits are a number at all.
#[derive(Clone, Copy, PartialEq)]
enum Trust {
    /// A person typed it as one, or it has its country code: it need only be possible, for the metadata lags behind new
    /// ranges.
    Typed,
    /// A network gave it without saying what it is: it must be valid, or "12345678" of any network would become a number.
    Given,
}

fn number(text: &str, region: Option<Region>, trust: Trust) -> Option<Address> {
    let number = Number::read(text, region)?;
    let fits = match trust {
        Trust::Typed => (7..=15).contains(&number.length()),
        Trust::Given => number.is_valid(),
    };
    fits.then(|| Address::Number(number.e164()))
}

/// Whether digits are a country code with as many behind it as mobile numbers of that country have: `region`'s own, for its new ranges.
fn is_like_ours(digits: &str, region: Option<Region>) -> bool {
    let Some(data) = region.and_then(plan::of_region) else {
        return false;
    };
    let of = data.descriptors();
    let mobile = of.mobile().map(|mobile| mobile.possible_length());
    let lengths = mobile
        .filter(|lengths| !lengths.is_empty())
        .unwrap_or(of.general().possible_length());
    let national = digits.strip_prefix(&data.country_code().to_string());
    national.is_some_and(|national| {
        lengths
            .iter()
            .any(|length| usize::from(*length) == national.len())
    })
}

/// Whether `dialled` is an emergency number: those that every GSM phone knows (3GPP TS 22.101 section 10.1.1, 112 and
/// 911, with 999 and 000), and those of the region.
pub fn is_emergency(dialled: &str, region: Option<Region>) -> bool {
    // Whatever stands between or around them, and in the digits of whichever script: nothing of it makes another number.
    let digits: String = dialled.chars().filter_map(digit).collect();
    if dialled.chars().any(char::is_alphabetic) {
        return false;
    }
    let digits = digits.as_str();
    let national: &[&str] = match region.as_ref().map(Region::as_str) {
        Some("AR") => &["100", "101", "107"],
        Some("AT") => &["122", "133", "144"],
        Some("AU") => &["106"],
        Some("BE") => &["100", "101"],
        Some("BR") => &["190", "192", "193"],
        Some("CH") => &["117", "118", "144", "1414"],
        Some("CL") => &["131", "132", "133"],
        Some("CN") => &["110", "119", "120", "122"],
        Some("CO") => &["123"],
        Some("CZ" | "SK") => &["150", "155", "158"],
        Some("DE") => &["110"],
        Some("FR" | "RE" | "GP" | "MQ" | "GF") => &["15", "17", "18", "114", "115", "119"],
        Some("GR") => &["100", "166", "199"],
        Some("HK" | "MO") => &["992"],
        Some("HU") => &["104", "105", "107"],
        Some("ID") => &["110", "113", "118", "119"],
        Some("IL") => &["100", "101", "102"],
        Some("IN") => &["100", "101", "102", "108"],
        Some("IT") => &["113", "115", "118"],
        Some("JP") => &["110", "118", "119"],
        Some("KR") => &["117", "119"],
        Some("MX") => &["060", "065", "066", "068"],
        Some("NG") => &["199"],
        Some("NO") => &["110", "113"],
        Some("NZ") => &["111"],
        Some("PH") => &["117"],
        Some("PK") => &["15", "115", "1122"],
        Some("PL") => &["997", "998"],
        Some("RU" | "BY" | "KZ" | "UA") => &["101", "102", "103", "104"],
        Some("SG") => &["995"],
        Some("TH") => &["191", "199", "1669"],
        Some("TR") => &["110", "155", "156"],
        Some("TW") => &["110", "119"],
        Some("VN") => &["113", "114", "115"],
        Some("ZA") => &["10111", "10177"],
        _ => &[],
    };
    matches!(digits, "112" | "911" | "999" | "000") || national.contains(&digits)
}

/// A decimal digit of ASCII or of another script that phones and keyboards write numbers in.
fn digit(c: char) -> Option<char> {
    /// The zeros: Arabic-Indic, its Eastern form, Devanagari, Bengali, Thai, fullwidth.
    const ZEROS: [u32; 6] = [0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50, 0xFF10];
    if c.is_ascii_digit() {
        return Some(c);
    }
    let value = ZEROS
        .iter()
        .find_map(|zero| u32::from(c).checked_sub(*zero).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(code: &str) -> Option<Region> {
        Some(code.parse().unwrap())
    }

    #[test]
    fn typed_numbers_become_e164() {
        for (typed, in_region, expected) in [
            ("+44 7700 900456", None, "tel:+447700900456"),
            ("tel:+447700900456", None, "tel:+447700900456"),
            ("07911 123456", region("GB"), "tel:+447911123456"),
            ("07700 900456", region("GB"), "tel:+447700900456"),
            ("(650) 253-0000", region("US"), "tel:+16502530000"),
            ("030 123456", region("DE"), "tel:+4930123456"),
            ("12345", region("GB"), "short:12345"),
        ] {
            assert_eq!(
                Address::from_user(typed, in_region).map(|a| a.canonical()),
                Ok(expected.into()),
                "{typed}"
            );
        }
    }

    #[test]
    fn emergency_numbers_never_become_subscribers_numbers() {
        for (typed, code) in [
            ("911", "GB"),
            ("112", "DE"),
            ("9-1-1", "US"),
            ("999", "GB"),
            ("110", "DE"),
            ("17", "FR"),
            ("+911", "US"),
            ("911#", "US"),
            ("*112#", "DE"),
            ("(999)", "GB"),
            ("\u{ff19}\u{ff11}\u{ff11}", "GB"),
            ("\u{0661}\u{0661}\u{0662}", "GB"),
        ] {
            assert_eq!(
                Address::from_user(typed, region(code)),
                Err(AddressError::Emergency),
                "{typed} in {code}"
            );
        }
        assert_eq!(Address::from_user("911", None), Err(AddressError::Emergency));
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_reason() {
        assert_eq!(
            Address::from_user("ACME", region("GB")),
            Err(AddressError::NameOnly)
        );
        assert_eq!(
            Address::from_user("07911123456", None),
            Err(AddressError::NoRegion)
        );
        assert_eq!(Address::from_user("  ", None), Err(AddressError::NotANumber));
        assert_eq!(Address::from_user("+1", None), Err(AddressError::NotANumber));
    }

    #[test]
    fn senders_of_networks_are_told_apart_by_content() {
        for (given, in_region, hint, expected) in [
            (
                "447700900456",
                region("GB"),
                Hint::International,
                "tel:+447700900456",
            ),
            ("447700900456", region("GB"), Hint::Unknown, "tel:+447700900456"),
            ("07911123456", region("GB"), Hint::National, "tel:+447911123456"),
            ("4915112345678", region("GB"), Hint::Unknown, "tel:+4915112345678"),
            ("4915112345678", None, Hint::Unknown, "tel:+4915112345678"),
            ("12345678", region("GB"), Hint::Unknown, "short:12345678"),
            ("12345678", None, Hint::Unknown, "short:12345678"),
            ("12345678", region("US"), Hint::Unknown, "short:12345678"),
            ("12345678", region("GB"), Hint::National, "short:12345678"),
            ("9876543210", None, Hint::National, "short:9876543210"),
            ("9876543210", region("IN"), Hint::National, "tel:+919876543210"),
            ("9876543210", region("IN"), Hint::Unknown, "tel:+919876543210"),
            ("+12345678", region("GB"), Hint::Unknown, "tel:+12345678"),
            ("+447700900456", None, Hint::Alphanumeric, "tel:+447700900456"),
            ("12345", region("GB"), Hint::International, "short:12345"),
            ("ACME Bank", region("GB"), Hint::Alphanumeric, "name:ACME Bank"),
            ("", None, Hint::Unknown, "name:"),
        ] {
            assert_eq!(
                Address::from_network(given, in_region, hint).canonical(),
                expected,
                "{given}"
            );
        }
    }

    #[test]
    fn numbers_belong_to_countries_and_classes() {
        for (number, country, premium) in [
            ("+447400123456", Some("GB"), false),
            ("+447700900456", Some("GB"), false),
            ("+12125550123", Some("US"), false),
            ("+14165550123", Some("CA"), false),
            ("+18765550123", Some("JM"), false),
            ("+447911123456", Some("GG"), false),
            ("+449098790000", Some("GB"), true),
            ("+19002530000", Some("US"), true),
            ("+979123456789", None, true),
        ] {
            let address = Address::Number(number.into());
            let found = address.country(None);
            assert_eq!(found.as_ref().map(Region::as_str), country, "{number}");
            assert_eq!(address.is_premium(), premium, "{number}");
        }
        let short = Address::Short("12345".into());
        assert_eq!(short.country(region("DE")), region("DE"));
        assert_eq!(Address::Mail("a@example.org".into()).country(region("DE")), None);
    }

    #[test]
    fn canonical_form_is_read_back() {
        for text in ["tel:+447700900456", "short:12345", "name:A:B"] {
            assert_eq!(
                Address::from_canonical(text).map(|a| a.canonical()).as_deref(),
                Some(text)
            );
        }
    }

    #[test]
    fn printing_shows_no_full_number() {
        let address = Address::Number("+447700900456".into());
        for shown in [format!("{address}"), format!("{address:?}"), address.masked()] {
            assert!(!shown.contains("7700900"), "{shown}");
            assert!(shown.contains("56"), "{shown}");
        }
    }
}
