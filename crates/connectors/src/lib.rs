//! Connectors: one folder for each network service.

pub mod bluebubbles;
pub mod imessage;
mod journal;
mod seconds;
pub mod smpp;
pub mod sms_gateway;
pub mod termux;
pub mod webhook;
