//! What is said of events that cannot be read.

use swingbridge_domain::inbox::Unreadable;

/// Why an event cannot be read, what becomes of it, and what the person can do.
pub fn unreadable(cause: Unreadable) -> &'static str {
    match cause {
        Unreadable::MissingKey => {
            "Waiting: this came encrypted, and your client has not given this gateway the key yet. I go on looking for it, and the \
             message goes out by itself when it comes. If it stays like this, keep your client open, or write the message again."
        }
        Unreadable::Withheld => {
            "Waiting: your client says that it keeps the key of this message from the gateway, most likely because it sends to verified \
             devices only. Allow unverified devices for this room and write the message again."
        }
        Unreadable::UnknownDevice => {
            "Waiting: this was encrypted on a device that your homeserver does not list among yours, so it might not be from you. It \
             goes out by itself once the device is known; otherwise write it again from another client."
        }
        Unreadable::Malformed => {
            "Not sent: this came encrypted in a way that cannot be opened. Write it again; if it stays like this, restart your client."
        }
        Unreadable::NotEncrypted => {
            "Not sent: this gateway takes only encrypted messages. Turn on encryption in this room's settings and write it again."
        }
        Unreadable::NoEncryption => {
            "Not sent: this came encrypted, and this gateway takes no part in encryption. Use a room without encryption."
        }
    }
}
