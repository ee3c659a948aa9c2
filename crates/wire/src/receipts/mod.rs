//! Delivery receipts: the TLVs and the text form of SMPP 3.4 (§5.3.2.12, §5.3.2.35, appendix B), read
//! liberally, and the text written as the specification shows it.
//!
//! Whether a message *is* a receipt is said by its esm_class, never by its text: a person may write
//! `id:1 stat:DELIVRD` too.

mod text;

use std::fmt;

/// What became of a message, SMPP 3.4 §5.2.28, with the two states that SMPP 5.0 added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageState {
    Scheduled = 0,
    Enroute = 1,
    Delivered = 2,
    Expired = 3,
    Deleted = 4,
    Undeliverable = 5,
    /// Read by customer service on behalf of the subscriber.
    Accepted = 6,
    /// The SMSC does not know. Also what it says of states that it may not tell.
    Unknown = 7,
    Rejected = 8,
    Skipped = 9,
}

impl MessageState {
    const ALL: [MessageState; 10] = [
        MessageState::Scheduled,
        MessageState::Enroute,
        MessageState::Delivered,
        MessageState::Expired,
        MessageState::Deleted,
        MessageState::Undeliverable,
        MessageState::Accepted,
        MessageState::Unknown,
        MessageState::Rejected,
        MessageState::Skipped,
    ];

    /// The state of a `message_state` TLV or field; `None` for a value that no version defines.
    pub fn from_code(code: u8) -> Option<MessageState> {
        MessageState::ALL.get(usize::from(code)).copied()
    }

    /// The value for a `message_state` TLV or field.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The state that a receipt's `stat:` names, in any case, cut short or written out, or as its number.
    pub fn from_word(word: &str) -> Option<MessageState> {
        /// Enough letters to tell each from the others, and what some SMSCs say instead.
        const BEGINNINGS: [(&str, MessageState); 13] = [
            ("SCHED", MessageState::Scheduled),
            ("ENROU", MessageState::Enroute),
            ("BUFF", MessageState::Enroute),
            ("DELIV", MessageState::Delivered),
            ("EXPIR", MessageState::Expired),
            ("DELET", MessageState::Deleted),
            ("UNDEL", MessageState::Undeliverable),
            ("FAIL", MessageState::Undeliverable),
            ("ACCEP", MessageState::Accepted),
            ("ACKED", MessageState::Accepted),
            ("UNKN", MessageState::Unknown),
            ("REJEC", MessageState::Rejected),
            ("SKIP", MessageState::Skipped),
        ];
        let word = word.trim().to_ascii_uppercase();
        if let Ok(code) = word.parse() {
            return MessageState::from_code(code);
        }
        BEGINNINGS
            .iter()
            .find(|(beginning, _)| word.starts_with(beginning))
            .map(|(_, state)| *state)
    }

    /// The word of appendix B.
    pub fn word(self) -> &'static str {
        match self {
            MessageState::Scheduled => "SCHEDLD",
            MessageState::Enroute => "ENROUTE",
            MessageState::Delivered => "DELIVRD",
            MessageState::Expired => "EXPIRED",
            MessageState::Deleted => "DELETED",
            MessageState::Undeliverable => "UNDELIV",
            MessageState::Accepted => "ACCEPTD",
            MessageState::Unknown => "UNKNOWN",
            MessageState::Rejected => "REJECTD",
            MessageState::Skipped => "SKIPPED",
        }
    }

    /// Whether no further receipt is to be expected.
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            MessageState::Scheduled | MessageState::Enroute | MessageState::Unknown
        )
    }
}

/// A time as a receipt gives it: the SMSC's local time, whose offset it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// The optional parameters that speak of a receipt, as they came.
#[derive(Clone, Copy, Default)]
pub struct Tlvs<'a> {
    /// `receipted_message_id`, 0x001E.
    pub receipted_message_id: Option<&'a [u8]>,
    /// `message_state`, 0x0427.
    pub message_state: Option<u8>,
    /// `network_error_code`, 0x0423: the network's kind, and a code of 16 bits.
    pub network_error_code: Option<&'a [u8]>,
}

/// What a receipt says; every field may be missing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The id of the message, as the SMSC writes it here: see [`keys`].
    pub id: Option<String>,
    pub state: Option<MessageState>,
    /// The network's error, a number at most SMSCs; no standard lists them.
    pub error: Option<String>,
    /// How many short messages were submitted, and how many of them arrived.
    pub submitted: Option<u32>,
    pub delivered: Option<u32>,
    pub submit_date: Option<LocalTime>,
    pub done_date: Option<LocalTime>,
    /// The beginning of the message.
    pub text: Option<String>,
}

/// Reads a receipt. `body` is the message without its header, in whatever encoding: some SMSCs say
/// `data_coding` 8 and write ASCII, or the reverse. Never fails; what is not there stays `None`.
///
/// A TLV counts before the same thing in the text.
pub fn parse(tlvs: Tlvs<'_>, body: &[u8]) -> Receipt {
    let mut receipt = text::parse(&text::decode(body));
    if let Some(id) = tlvs
        .receipted_message_id
        .map(id_from_octets)
        .filter(|id| !id.is_empty())
    {
        receipt.id = Some(id);
    }
    if let Some(state) = tlvs.message_state.and_then(MessageState::from_code) {
        receipt.state = Some(state);
    }
    if receipt.error.is_none()
        && let Some(&[_, high, low]) = tlvs.network_error_code
    {
        receipt.error = Some(u16::from_be_bytes([high, low]).to_string());
    }
    receipt
}

impl Receipt {
    /// The text of appendix B, absent fields left out.
    pub fn to_text(&self) -> String {
        text::write(self)
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// An id that came as a C-octet string, perhaps without its end or with spaces around it.
fn id_from_octets(octets: &[u8]) -> String {
    let end = octets
        .iter()
        .position(|&octet| octet == 0)
        .unwrap_or(octets.len());
    octets[..end]
        .iter()
        .map(|&octet| char::from(octet))
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests;
