//! GSMA chatbot API (FNW.11): a bot of ours speaks with phones by an operator's MaaP platform.
//!
//! Read from the outside in: [`MaapConnector`] is what the rest of the program sees; `hook` takes the platform's webhooks and
//! `arrivals` reads them; `send` hands messages over and `content` says what they become; `api` speaks HTTP and `token` signs in.
//! Operators differ: how is said by [`config::Dialect`].
//!
//! Architecture Invariant: the platform gives a message its id, so a message whose answer is lost is of unknown fate and is not sent
//! again by itself.

mod api;
mod arrivals;
pub mod config;
mod connector;
mod content;
mod hook;
mod kept;
mod send;
mod token;

pub use config::Config;
pub use connector::MaapConnector;
