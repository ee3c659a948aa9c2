//! Twilio's error codes, as callers act on them. The dictionary grows: what is not here is a refusal with its number.

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

/// What `code` means. `rcs`: of a message by RCS, where that a phone does not take it says nothing of SMS.
pub fn meaning(code: u32, rcs: bool) -> Meaning {
    use Reason::{BadAddress, BadContent, Expired, NetworkFault, NetworkRefused, NotAllowed, NotReachable};
    let (reason, words) = match code {
        20003 | 20005 => return Meaning::Credentials,
        20429 | 21611 | 14107 | 30001 | 63018 => return Meaning::Slower,
        21610 => (
            NotAllowed,
            "they have texted STOP to this number: Twilio sends them nothing until they text START",
        ),
        21211 | 21217 | 21265 | 21401 | 21421 => (BadAddress, "Twilio knows no such number"),
        21614 | 21635 | 30006 => (BadAddress, "this number takes no texts: it may be a landline"),
        30005 => (BadAddress, "the number is not in service"),
        21266 => (BadAddress, "a number cannot text itself"),
        21408 | 21612 if rcs => (NotReachable, "RCS does not reach this number"),
        21408 => (
            NotAllowed,
            "the account may not text this country: allow it in Twilio's geographic permissions",
        ),
        21612 => (NotAllowed, "Twilio cannot text this number from this sender"),
        21603 | 21606 | 21607 | 21659..=21661 | 21703 | 63007 => (
            NotAllowed,
            "the sender is none of the account's: correct number or rcs_sender",
        ),
        21608 => (NotAllowed, "a trial account texts verified numbers only"),
        21705 | 21701 => (
            NotAllowed,
            "the Messaging Service is not there: correct messaging_service_sid",
        ),
        21609 | 21626 => (
            NotAllowed,
            "Twilio does not accept the address for delivery states: it must be a public one",
        ),
        21602 | 21619 => (BadContent, "there is nothing in it"),
        21605 | 21617 | 63033 => (BadContent, "it is too long"),
        12300 | 21620 | 21623 | 63019 | 63021 | 11200 => {
            (BadContent, "Twilio cannot fetch or does not take the file")
        }
        50407 => (
            BadAddress,
            "one of the group cannot be reached by group texts: they go to US and Canadian numbers, and to none of the account's own",
        ),
        50435 => (BadAddress, "a group text needs two others at least"),
        50436 => (BadAddress, "Twilio writes to groups of at most nine others"),
        50452 => (
            NotAllowed,
            "the account has no group texts: ask Twilio for Group MMS",
        ),
        21655 | 21656 => (BadContent, "Twilio does not take the card"),
        50438 => (NetworkRefused, "Twilio has this group in another conversation"),
        50513 => (
            NotAllowed,
            "the line's number is not in this group at Twilio any more",
        ),
        30002 | 20008 => (NotAllowed, "the account is suspended or may not do this"),
        30003 if rcs => (NotReachable, "RCS does not reach this phone now"),
        30003 => (NetworkFault, "the phone cannot be reached now"),
        30004 => (NetworkRefused, "the phone or its carrier blocks it"),
        30007 | 63013 => (NetworkRefused, "it was filtered as unwanted"),
        30034 | 30032 => (
            NotAllowed,
            "the sender is not registered for this kind of traffic",
        ),
        30036 => (Expired, "its time was over before it left"),
        30008 => (NetworkFault, "the carrier does not say why"),
        63003 | 63011 | 63024 | 63036 | 63106 => (NotReachable, "RCS does not reach this number"),
        _ => (NetworkRefused, "Twilio refuses it"),
    };
    Meaning::Refused(reason, words)
}

/// The words for a receipt, with the number that can be looked up.
pub fn words(code: u32, rcs: bool) -> String {
    match meaning(code, rcs) {
        Meaning::Refused(_, words) => format!("{words} ({code})"),
        Meaning::Slower => format!("Twilio takes no more messages just now ({code})"),
        Meaning::Credentials => format!("Twilio refuses the account's credentials ({code})"),
    }
}

/// What a message's status says of it; `None`: nothing new, or nothing that this version knows.
pub fn outcome(status: &str, code: Option<u32>) -> Option<Outcome> {
    match status {
        "sent" => Some(Outcome::Sent),
        "delivered" => Some(Outcome::Delivered),
        "read" => Some(Outcome::Read),
        "undelivered" | "failed" if code == Some(30036) => Some(Outcome::Expired),
        "undelivered" | "failed" | "canceled" => Some(Outcome::Rejected),
        "delivery_unknown" => Some(Outcome::Unknown),
        _ => None,
    }
}

/// Whether no other status follows by itself; `read` may follow `delivered`, and is only told.
pub fn is_last(status: &str) -> bool {
    matches!(
        status,
        "delivered" | "read" | "undelivered" | "failed" | "canceled" | "delivery_unknown"
    )
}
