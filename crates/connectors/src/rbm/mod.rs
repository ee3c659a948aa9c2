//! Google RCS for Business (RBM): an agent of ours speaks with phones by Google's REST API and webhook.
//!
//! Read from the outside in: [`RbmConnector`] is what the rest of the program sees; `hook` takes Google's webhooks and `arrivals` reads
//! them; `send` hands messages over and `content` says what they become; `reachable` knows who has RCS; `api` speaks HTTP, and
//! `account` is who we are to Google.
//!
//! Architecture Invariant: a message's id is made of its key alone, and Google takes each id once. So what may have left is sent
//! again under the same id, and the phone has it once.

mod account;
mod api;
mod arrivals;
pub mod config;
mod connector;
mod content;
mod hook;
mod reachable;
mod send;

pub use config::Config;
pub use connector::RbmConnector;
