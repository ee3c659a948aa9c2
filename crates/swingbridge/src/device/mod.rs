//! The device relay's own parts: where its secrets lie, and how well it serves.

pub mod control;
pub mod files;
pub mod keychain;
pub mod passphrase;
pub mod seal;
pub mod secrets;
pub mod sla;
pub mod system;
pub mod uptime;
pub mod watch;
