//! Nouns and ports of Swingbridge: no I/O.
//!
//! Everything that two rooms of the house must agree on stands here: what an address, a message, a line and a
//! conversation are ([`address`], [`message`], [`line`], [`id`]), which way a message takes ([`path`]), and the ports by which the rooms meet:
//! [`connector::Connector`] (a phone network), [`homeserver::Homeserver`] (Matrix), [`store::Store`] (what must not be
//! lost), [`inbox::Inbox`] (all that arrives) and [`directory::Directory`] (who can be reached).
//!
//! Architecture Invariant: nothing here does I/O, reads a clock or draws randomness; both are arguments
//! ([`clock`]). Nothing here prints a message body or a full address: `Debug` and `Display` redact.

pub mod address;
pub mod audit;
pub mod capability;
pub mod clock;
pub mod connector;
pub mod consent;
pub mod delivery;
pub mod directory;
pub mod homeserver;
pub mod id;
pub mod inbox;
pub mod limits;
pub mod line;
pub mod message;
pub mod path;
pub mod secret;
pub mod store;
