//! SMS and MMS by Telnyx: its API (v2, messages and group MMS) and its webhooks.
//!
//! Read from the outside in: [`TelnyxConnector`] is what the rest of the program sees; `send` hands over a message; `hook` takes the
//! webhooks and checks their signatures; `arrivals` says what they bring; `codes` what Telnyx's error codes mean; `watch` asks what became of
//! messages that no webhook told of. Telnyx has no list of what came: for that there are its webhooks, which it repeats a few times.
//!
//! A group MMS has no id at Telnyx: it is its people. The name of a group here is the E.164 numbers of everybody but us, sorted and joined
//! by commas; a message goes to the numbers that stand there, and one that comes is put where its sender and its other recipients stand.
//!
//! Telnyx takes an idempotency key for a day, so that a send of unknown fate may be repeated.
//!
//! Architecture Invariant: a webhook is answered with success only after the inbox has committed what it brought.

mod arrivals;
mod codes;
pub mod config;
mod connector;
mod hook;
mod send;
mod watch;

pub use config::Config;
pub use connector::TelnyxConnector;
