//! iMessage, and what else the Messages app of a Mac carries, through a BlueBubbles server on that Mac.
//!
//! Read from the outside in: [`BlueBubblesConnector`] is what the rest of the program sees, `account` what its rooms share. `working`
//! keeps `reading`, which asks the server what is new, `taking` what it amounts to; `steps` says what a message takes, `sending` does
//! it and finds out what became of it, `translate` makes of the server's messages what the inbox takes,
//! `journal` is what is kept over a restart, `socket` hears that something happened, `api` speaks HTTP.
//!
//! What the server holds is the truth, and it is read by its row numbers; events only make the next reading come sooner, so that a
//! lost, doubled or repeated event does no harm.
//!
//! Architecture Invariant: the journal moves on only after the inbox has committed, and a request to send whose octets may have left
//! is never repeated.

mod account;
mod api;
mod chats;
pub mod config;
mod connector;
mod contacts;
mod files;
mod flights;
mod journal;
mod reading;
mod requests;
mod sending;
mod shapes;
mod socket;
mod steps;
mod taking;
mod tapback;
mod translate;
mod updates;
mod working;

pub use config::{Config, Invalid, PrivateApi};
pub use connector::BlueBubblesConnector;
