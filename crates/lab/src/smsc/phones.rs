//! The phones of the carrier's subscribers, and what stands on their screens.

use std::collections::HashMap;

use serde::Serialize;
use swingbridge_domain::clock::Timestamp;
use swingbridge_wire::segments::{self, Body};
use swingbridge_wire::smpp::{Address, npi, ton};
use swingbridge_wire::udh::Width;

/// Whether a phone can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    #[default]
    On,
    /// Switched off: the carrier keeps what comes, and delivers it once the phone is on again.
    Off,
    /// No such subscriber: what comes is undeliverable.
    Barred,
}

/// A subscriber's phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Phone {
    /// Digits without a plus.
    pub number: String,
    /// Whose it is, for the page.
    pub name: Option<String>,
    pub reach: Reach,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Kept: the phone is off, or nobody has bound to take the phone's message.
    Waiting,
    /// The phone's message was sent to the account, which has not answered for all parts.
    Underway,
    /// On the phone's screen, or taken by the account.
    Done,
    /// The phone is barred, or the account refused the message.
    Failed,
}

/// A message on a phone, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Counts up from 1 in the order in which messages became whole.
    pub id: u64,
    /// The number of the phone that shows it.
    pub phone: String,
    /// The other address.
    pub peer: String,
    /// Whether the phone wrote it.
    pub from_phone: bool,
    pub text: String,
    pub at: Timestamp,
    pub progress: Progress,
    /// How many short messages it took.
    pub segments: usize,
}

/// An address as people and the API write it, in the form that keys use: digits without plus and
/// punctuation; anything with a letter as it is.
pub fn key(address: &str) -> String {
    let address = address.trim();
    if address.chars().any(char::is_alphabetic) {
        return address.to_owned();
    }
    address.chars().filter(char::is_ascii_digit).collect()
}

/// The address of a key on the wire: by its look, as carriers do.
pub(super) fn on_wire(key: &str) -> Address {
    let (ton, npi) = match key {
        _ if !key.bytes().all(|b| b.is_ascii_digit()) => (ton::ALPHANUMERIC, npi::UNKNOWN),
        _ if key.len() < 7 => (ton::NETWORK_SPECIFIC, npi::UNKNOWN),
        _ => (ton::INTERNATIONAL, npi::ISDN),
    };
    Address::new(ton, npi, key)
}

/// Which long message a part belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AssemblyKey {
    pub source: String,
    pub destination: String,
    pub reference: u16,
    pub width: Width,
    pub total: u8,
}

/// The parts of long messages that are still incomplete, as a phone holds them.
#[derive(Default)]
pub(super) struct Assembler {
    open: HashMap<AssemblyKey, Vec<Option<Body>>>,
}

impl Assembler {
    /// Takes a part; gives the text once the message is whole. A repeated part replaces the first.
    pub fn add(&mut self, key: AssemblyKey, index: u8, body: Body) -> Option<String> {
        let parts = self
            .open
            .entry(key.clone())
            .or_insert_with(|| vec![None; usize::from(key.total)]);
        *parts.get_mut(usize::from(index).checked_sub(1)?)? = Some(body);
        if parts.iter().any(Option::is_none) {
            return None;
        }
        let parts = self.open.remove(&key)?;
        Some(show(parts.iter().flatten()))
    }

    /// How many messages lack a part.
    pub fn incomplete(&self) -> usize {
        self.open.len()
    }
}

/// What a phone shows of a message's bodies.
pub(super) fn show<'a>(bodies: impl IntoIterator<Item = &'a Body>) -> String {
    segments::join(bodies).unwrap_or_else(|| "(binary)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_key_however_they_are_written() {
        assert_eq!(key("+44 7700 900-456"), "447700900456");
        assert_eq!(key("447700900456"), "447700900456");
        assert_eq!(key(" MyBank "), "MyBank");
        assert_eq!(key("72404"), "72404");
    }

    #[test]
    fn addresses_get_the_type_that_their_look_calls_for() {
        assert_eq!(on_wire("447700900456").ton, ton::INTERNATIONAL);
        assert_eq!(on_wire("72404").ton, ton::NETWORK_SPECIFIC);
        assert_eq!(on_wire("MyBank").ton, ton::ALPHANUMERIC);
    }
}
