//! SMS by Termux:API, on the phone itself: the commands `termux-sms-list`, `termux-sms-send`, `termux-contact-list` and
//! `termux-notification-list`.
//!
//! Read from the outside in: [`TermuxConnector`] is what the rest of the program sees; `watch` asks the phone again and
//! again what is new; `memory` decides what of it was handed in already; `send` sends and looks for the proof; `command` runs
//! the programs, `read` understands what they print.
//!
//! What Termux:API gives is thin, and nothing here claims more: no SIM, no delivery receipt, times without a zone, no MMS and
//! no RCS. A text is taken for sent when the phone's own database says so.
//!
//! Architecture Invariant: the cursor moves only after the inbox has committed what lies before it, and a text whose command
//! may have reached the phone is never sent again.

mod command;
pub mod config;
mod connector;
mod contacts;
mod local_time;
mod memory;
mod notifications;
mod read;
mod send;
mod watch;

pub use config::Config;
pub use connector::TermuxConnector;
