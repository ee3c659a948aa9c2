//! SMS and MMS by the Android app "SMS Gateway" (capcom6): its REST API on the phone, or that of its private or cloud server.
//!
//! Read from the outside in: [`SmsGatewayConnector`] is what the rest of the program sees; `hook` takes the app's webhooks;
//! `watch` asks for what came while nobody could tell us; `arrivals` says what a message is and when two tellings of one are
//! the same; `api` speaks HTTP.
//!
//! One message is often told twice: by two webhooks with different event ids, by a webhook that is repeated, and by the
//! app's inbox. The rule by which they are known for one: the same kind, sender, SIM, time to the millisecond (which is the
//! network's own, to the second) and content. Two equal texts of one person are two, because their times differ; within one
//! second of one another they cannot be told apart, and newer versions of the app themselves keep one of them.
//!
//! Architecture Invariant: a webhook is answered with success only after the inbox has committed what it brought, and a
//! message of ours goes to the app under one id, which the app takes once.

mod api;
mod arrivals;
pub mod config;
mod connector;
mod hook;
mod memory;
mod send;
pub(crate) mod time;
mod watch;

pub use config::Config;
pub use connector::{SmsGatewayConnector, Where};
pub use hook::EVENTS;
