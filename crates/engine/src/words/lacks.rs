//! What cannot be carried, and what to do instead.

use swingbridge_domain::capability::Capabilities;

pub const EMPTY: &str = "Not sent: there is no text in it.";

/// Other networks may well have what a way of reaching them has not.
fn carrier(able: &Capabilities) -> &'static str {
    match able.networks.first().map(String::as_str) {
        None | Some("sms") => "SMS",
        Some(_) => "this connection",
    }
}

pub fn cannot_withdraw(able: &Capabilities) -> String {
    format!(
        "The text has left already: {} cannot take it back from the phone.",
        carrier(able)
    )
}

pub fn no_edits(able: &Capabilities) -> String {
    format!(
        "Not sent: {} cannot change a text that has left. Send the correction as a message of its own.",
        carrier(able)
    )
}

pub fn no_reactions(able: &Capabilities) -> String {
    format!("Not sent: {} has no reactions. Write it in words.", carrier(able))
}

pub fn no_media(able: &Capabilities) -> String {
    format!(
        "Not sent: {} carries only text, and links to media are turned off here (`messages.media: link` turns them on).",
        carrier(able)
    )
}

/// Where files are fetched by the network.
pub fn no_link(able: &Capabilities) -> String {
    format!(
        "Not sent: {} takes pictures and files as links, and those are turned off here (`messages.media: link` turns them on).",
        carrier(able)
    )
}

/// Turned off after it was lined up.
pub const LINKS_ARE_OFF: &str = "links to media are turned off here (`messages.media: link` turns them on)";

pub const UNKNOWN_KEY: &str =
    "the file is encrypted in a way that is not known here, so no link would open it";

pub fn no_polls(able: &Capabilities) -> String {
    format!("Not sent: {} has no polls. Ask it in words.", carrier(able))
}

pub fn no_groups(able: &Capabilities) -> String {
    format!(
        "Not sent: {} cannot send to a group. Write to its members.",
        carrier(able)
    )
}

pub fn unsupported(able: &Capabilities, kind: &str) -> String {
    format!(
        "Not sent: {} cannot carry this kind of message ({kind}).",
        carrier(able)
    )
}

/// What a message refers to is not known to the network, or not any more.
pub const REFERS_TO_NOTHING: &str =
    "Not sent: the phone does not have the message that this is about, or I no longer know which it is.";
