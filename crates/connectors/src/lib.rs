//! Connectors: one folder for each network service.

pub mod bluebubbles;
pub mod imessage;
mod journal;
mod provider;
mod seconds;
pub mod smpp;
pub mod sms_gateway;
pub mod telnyx;
pub mod termux;
pub mod twilio;
pub mod webhook;
pub mod webhook_http;
