//! SMS, MMS and RCS by Twilio: its REST API (`2010-04-01`, Messages) and its webhooks.
//!
//! Read from the outside in: [`TwilioConnector`] is what the rest of the program sees; `send` hands over a message; `hook` takes the
//! webhooks, whose signatures `signature` checks; `arrivals` says what they bring; `codes` what Twilio's error codes mean; `gap` reads
//! what no webhook told, because Twilio does not come again for each that failed.
//!
//! Twilio takes no idempotency key: a send of unknown fate stays one. Its list of messages is not searched for it, because two equal
//! texts to one number cannot be told apart there.
//!
//! One connector carries SMS and MMS, or RCS, never one as a fallback of the other: for RCS the recipient is written with `rcs:` before
//! it, which turns Twilio's own fallback off, and for SMS the sender is always named, so that a Messaging Service cannot choose RCS.
//!
//! Groups are in `conversations`; `cards` makes content templates of cards, which `templates` remembers.
//!
//! Architecture Invariant: a webhook is answered with success only after the inbox has committed what it brought.

mod arrivals;
mod ask;
mod cards;
mod codes;
pub mod config;
mod connector;
mod conversations;
mod gap;
mod hook;
mod send;
pub mod signature;
mod templates;

pub use config::{Channel, Config};
pub use connector::TwilioConnector;
pub use conversations::Conversations;
