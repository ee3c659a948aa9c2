//! Connectors: one folder for each network service.

mod journal;
mod seconds;
pub mod imessage;
pub mod smpp;
pub mod sms_gateway;
pub mod termux;
pub mod webhook;
