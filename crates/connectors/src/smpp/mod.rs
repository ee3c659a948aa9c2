//! SMS by SMPP 3.4 and 5.0: one connector for each account at an SMSC.
//!
//! Read from the outside in: [`SmppConnector`] is what the rest of the program sees; `account` is what its binds
//! share; `bind` keeps one of them up; [`session`] is one bound connection. `encode` and `decode` turn messages
//! into PDUs and back, `throttle` says how fast, `verdict` what an answer means.
//!
//! Architecture Invariant: nothing is answered to the SMSC before the inbox has committed it, and a submit whose
//! octets may have left is never repeated.

mod account;
mod bind;
pub mod config;
mod connect;
mod connector;
mod decode;
mod encode;
mod ids;
mod inbound;
pub mod metrics;
pub mod session;
mod submit;
mod throttle;
mod tls;
mod verdict;

pub use config::Config;
pub use connector::{Checked, SmppConnector};
