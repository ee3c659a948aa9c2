//! The fake outside: an SMSC with web phones, a strict stub homeserver, seeded faults.

pub mod bluebubbles;
pub mod chat;
pub mod client;
pub mod edge;
pub mod faults;
pub mod foreign;
pub mod homeserver;
pub mod jasmin;
pub mod kannel;
pub mod maap;
pub mod macos;
pub mod pcap;
pub mod peers;
pub mod postgres;
pub mod process;
pub mod program;
pub mod rbm;
pub mod sms_gateway;
pub mod smsc;
pub mod synapse;
pub mod telnyx;
pub mod termux;
pub mod trouble;
pub mod twilio;
pub mod webhook_http;
