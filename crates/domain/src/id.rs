//! Identifiers. Each is a type of its own, so that one can not stand in for another.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a numeric identifier given out by the store.
macro_rules! numbered {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

/// Names a textual identifier that holds no secret.
macro_rules! named {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);
        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

numbered! {
    /// A remote address that was met at least once.
    ContactId,
    /// One line and a set of contacts: one Matrix room. Never derived from participants or thread ids.
    ConversationId,
    /// One message, in either direction.
    MessageId,
    /// One row of the inbox.
    InboxId,
    /// One row of the outbox; Matrix transaction ids derive from it.
    OutboxId,
    /// One inbound message whose parts are still coming.
    AssemblyId,
    /// One session of a connector with its network: a new one for each connection, unique across restarts.
    SessionId,
}

named! {
    /// A configured line, as the operator named it (`main`, `helpdesk`).
    LineId,
    /// A configured account on a phone network, as the operator named it.
    ConnectorId,
    /// A Matrix user id (`@alice:example.org`).
    UserId,
    /// A Matrix room id. Room version 12 ids have no server part: never take one apart.
    RoomId,
    /// A Matrix event id.
    EventId,
    /// An id that a phone network gave to a message or a part, normalised by the account's rule.
    NetworkId,
}

impl UserId {
    /// The part after the first colon.
    pub fn server(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, server)| server)
    }
}
