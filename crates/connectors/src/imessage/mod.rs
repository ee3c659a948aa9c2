//! iMessage, SMS and RCS of a person's own Mac: Messages' database is read, and Messages is asked to send.
//!
//! Read from the outside in: [`IMessageConnector`] is what the rest of the program sees. `watch` finds what is new or changed
//! in chat.db (`chatdb` reads it, `row` and `status` are what it reads), `translate` makes arrivals of it, `journal` remembers
//! how far it came, and `wake` hastens the next look. `contacts` reads the address book. `send` asks Messages to send (`script` runs the fixed scripts) and `claim` finds the row that came of it.
//!
//! Architecture Invariant: chat.db is opened read-only; the cursor moves only after the inbox has committed; what a person
//! wrote is an argument of a script, never part of one; a send whose fate is not known is never repeated.

mod chatdb;
mod claim;
mod columns;
pub mod config;
mod connector;
mod contacts;
mod groups;
mod history;
mod html;
mod journal;
mod look;
mod row;
mod script;
mod send;
mod shared;
mod stage;
mod translate;
mod wake;
mod watch;

pub use config::Config;
pub use connector::IMessageConnector;
pub use script::SCRIPTS;
