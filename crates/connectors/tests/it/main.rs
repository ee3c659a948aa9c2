//! The connectors against the other side of their networks.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod bluebubbles;
mod bluebubbles_foreign;
mod bluebubbles_kills;
mod bluebubbles_reading;
mod bluebubbles_sending;
mod device;
mod foreign;
mod harness;

mod imessage;
mod inbound;
mod jasmin;
mod link;
mod maap;
mod others;
mod providers;
mod rbm;
mod rough;
mod session;
mod sms_gateway;
mod smsc;
mod submit;
mod termux;
mod tls;
mod webhooks;
