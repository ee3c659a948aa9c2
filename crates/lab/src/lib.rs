//! The fake outside: an SMSC with web phones, a strict stub homeserver, seeded faults.

pub mod chat;
pub mod client;
pub mod peers;
pub mod postgres;
pub mod process;
pub mod synapse;
