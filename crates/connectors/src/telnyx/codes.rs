//! Telnyx's error codes, as callers act on them. What is not here is a refusal with its number.

use serde_json::Value;
use swingbridge_domain::delivery::{Outcome, Reason};

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    Refused(Reason, &'static str),
    /// Too many at once.
    Slower,
    /// The account's credentials.
    Credentials,
}

pub fn meaning(code: u32) -> Meaning {
    use Reason::{BadAddress, BadContent, Expired, NetworkFault, NetworkRefused, NotAllowed};
    let (reason, words) = match code {
        10009 | 20002 => return Meaning::Credentials,
        10011 | 40011 | 40318 => return Meaning::Slower,
        40300 => (
            NotAllowed,
            "Telnyx blocks it, as after a STOP: they must text START before they get anything",
        ),
        10002 | 10016 | 40012 | 40310 => (BadAddress, "Telnyx knows no such number"),
        40001 => (BadAddress, "this number takes no texts: it may be a landline"),
        40301 | 40319 => (BadContent, "this number takes no such message"),
        40302 | 40328 => (BadContent, "it is too long"),
        40009 | 40304 | 40316 => (BadContent, "the carrier or Telnyx cannot carry this text"),
        40317 => (BadContent, "Telnyx takes at most ten files, under 1 MB in all"),
        40322 | 40002 | 40003 | 40015 => (NetworkRefused, "it was filtered as unwanted"),
        40004 | 40008 => (NetworkRefused, "the recipient's carrier refuses it"),
        40006 => (NetworkFault, "the recipient's carrier cannot be reached now"),
        40005 | 40014 => (Expired, "its time was over before it arrived"),
        40010 | 40329 | 40330 | 40333 => (
            NotAllowed,
            "the sender is not registered for this kind of traffic",
        ),
        40013 | 40100 | 40305 | 40306 | 40308 | 40315 | 40320 | 40321 => (
            NotAllowed,
            "the number cannot send this: look at its messaging profile",
        ),
        40309 => (NotAllowed, "the messaging profile does not allow this country"),
        40311..=40314 => (NotAllowed, "the messaging profile is disabled or not set up"),
        10010 | 10039 | 20012 | 20016 | 20017 | 20100 => {
            (NotAllowed, "the account may not do this, or has no money left")
        }
        _ => (NetworkRefused, "Telnyx refuses it"),
    };
    Meaning::Refused(reason, words)
}

/// The words for a receipt, with the number that can be looked up.
pub fn words(code: u32) -> String {
    match meaning(code) {
        Meaning::Refused(_, words) => format!("{words} ({code})"),
        Meaning::Slower => format!("too many messages at once ({code})"),
        Meaning::Credentials => format!("Telnyx refuses the API key ({code})"),
    }
}

/// The first error code in an answer or a webhook's payload.
pub fn first(value: &Value) -> Option<u32> {
    let code = value.pointer("/errors/0/code")?;
    match code {
        Value::String(text) => text.parse().ok(),
        code => u32::try_from(code.as_u64()?).ok(),
    }
}

/// What a recipient's status says; `None`: nothing new, or nothing that this version knows.
pub fn outcome(status: &str, code: Option<u32>) -> Option<Outcome> {
    match status {
        "sent" => Some(Outcome::Sent),
        "delivered" | "webhook_delivered" => Some(Outcome::Delivered),
        "read" => Some(Outcome::Read),
        "expired" => Some(Outcome::Expired),
        "delivery_failed" | "sending_failed" if matches!(code, Some(40005 | 40014)) => Some(Outcome::Expired),
        "delivery_failed" | "sending_failed" => Some(Outcome::Rejected),
        // Nobody tells more: an absence of evidence.
        "delivery_unconfirmed" | "unknown" => Some(Outcome::Unknown),
        _ => None,
    }
}

/// Whether no other status follows.
pub fn is_last(status: &str) -> bool {
    !matches!(status, "queued" | "sending" | "sent" | "")
}
