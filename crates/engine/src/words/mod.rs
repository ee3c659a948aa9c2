//! What people read. One place, so that the same thing is always said in the same words.

mod encryption;
mod fallback;
mod groups;
mod lacks;
mod limits;
mod trust;

pub use encryption::*;
pub use fallback::*;
pub use groups::*;
pub use lacks::*;
pub use limits::*;
pub use trust::*;

use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::RoomId;

pub const CANNOT_ANSWER: &str = "This sender is a name, not a number: it cannot be answered. What you write here goes nowhere, and you will be told so.";
pub const EMERGENCY: &str = "This is an emergency number. It cannot be texted from here: call it from a phone, now. Nothing was sent.";
pub const EXPIRED_HERE: &str =
    "Not sent: it could not be handed to the network in time. Write it again if it still matters.";
pub const EXPIRED_AT_NETWORK: &str = "Not delivered: the phone could not be reached in time, and the network gave up. Write it again if it still matters.";
/// Why it is not known whether something in flight at a stop has left.
pub const STOPPED: &str = "the gateway was stopped while it was on its way";
/// Why it is not known whether something left that was to be sent again.
pub const EXPIRED_IN_DOUBT: &str = "its time was over before the network answered";
pub const NO_PERMISSION: &str = "Not sent: you may not use this line. Ask the operator to add you to it.";
pub const LINE_GONE: &str =
    "Not sent: the line of this conversation is no longer configured. Ask the operator.";
pub const GIVEN_UP: &str =
    "This room is given up: what is written here goes nowhere from now on. The next text makes a new room.";
pub const UNKNOWN_ROOM: &str = "Nothing was sent: I do not know this room (any more). If it is new, write it again in a moment; \
     otherwise start the chat anew with `start-chat NUMBER`.";
pub const WITHDRAWN: &str = "Withdrawn before it left: the phone will not get it.";
/// Of one that had left, and had not reached the phone.
pub const TAKEN_BACK: &str = "Taken back: the phone will not get it.";
pub const ON_THE_PHONE: &str = "It is on the phone already, and cannot be taken back from there.";
pub const PARTLY_TAKEN_BACK: &str = "A part of it is on the phone already, and cannot be taken back from there. The phone will not get the rest.";
/// Of one whose earlier try had no answer.
pub const WITHDRAWN_IN_DOUBT: &str = "It is not sent again. An earlier try may have reached the phone.";
/// The same where something else keeps it from leaving; `why` may begin as for one that never left.
pub fn not_again(why: &str) -> String {
    let why = why.strip_prefix("Not sent: ").unwrap_or(why);
    format!("An earlier try may have reached the phone. It is not sent again: {why}")
}

pub fn not_delivered(error: Option<&str>) -> String {
    match error {
        Some(error) => {
            format!("Not delivered: the network reports that the phone will not get it ({error}).")
        }
        None => "Not delivered: the network reports that the phone will not get it.".to_owned(),
    }
}

pub fn refused(reason: Reason, detail: &str) -> String {
    let what = match reason {
        Reason::BadAddress => "the network says that this number cannot be reached",
        Reason::NotReachable => "this phone has not this service, or has it no longer",
        Reason::BadContent => "the network cannot carry this text",
        Reason::NotAllowed => "the network does not allow this to be sent from this line",
        Reason::Emergency => return EMERGENCY.to_owned(),
        Reason::Expired => return EXPIRED_HERE.to_owned(),
        Reason::NetworkFault => "the network failed",
        Reason::NetworkRefused => "the network refused it",
        Reason::InPart => {
            return format!(
                "Sent in part only: the phone has, or gets, some of it, and not the rest ({detail}). It is not sent another way, or the \
                 phone would get that part twice: write again what is missing."
            );
        }
    };
    format!("Not sent: {what} ({detail}).")
}

/// Why a message arrived in part: see [`Reason::InPart`].
pub const REST_TAKEN_BACK: &str = "it did not arrive in time, and the rest was taken back";

pub fn gave_up(prefix: &str, tries: u32, detail: &str) -> String {
    format!("Not sent after {tries} tries: {detail}. Reply to it with `{prefix} retry` to try again.")
}

/// What [`still_waiting`] begins with.
pub const STILL_WAITING: &str = "Still waiting for the network";

pub fn still_waiting(detail: &str) -> String {
    format!(
        "{STILL_WAITING}: {detail}. It will be sent as soon as that is over; what is written after it waits too."
    )
}

pub fn waiting(detail: &str) -> String {
    format!("Waiting for the network: {detail}. It will be sent as soon as that is over.")
}

pub fn uncertain(prefix: &str, detail: &str) -> String {
    format!(
        "It is not known whether this was sent: {detail}. The phone may have it. Reply to it with `{prefix} retry` to send it \
         again all the same."
    )
}

pub fn link(room: &RoomId) -> String {
    format!("https://matrix.to/#/{room}")
}

pub fn chat_exists(contact: &str, room: &RoomId) -> String {
    format!("There is a chat with {contact} already: {}", link(room))
}

pub fn chat_starts(contact: &str, line: &str) -> String {
    format!("Starting a chat with {contact} on {line}: the invitation is on its way.")
}

pub fn announce(contact: &str, line: &str, room: &RoomId) -> String {
    format!("New conversation on {line} with {contact}: {}", link(room))
}

pub fn welcome(prefix: &str) -> String {
    format!(
        "Hello. I connect this homeserver with phones. Write `help` here for what I can do, or `start-chat NUMBER` to text \
         somebody. In a conversation's room commands begin with `{prefix}`."
    )
}

pub fn could_not_show(contact: &str, cause: &str) -> String {
    format!("A message from {contact} came, but the homeserver would not take it: {cause}")
}
