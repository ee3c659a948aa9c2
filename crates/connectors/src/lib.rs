//! Connectors: one folder for each network service.

mod address_book;
pub mod bluebubbles;
pub mod check;
pub mod imessage;
mod journal;
pub mod maap;
mod provider;
pub mod rbm;
mod rcs;
mod seconds;
pub mod smpp;
pub mod sms_gateway;
pub mod telnyx;
pub mod termux;
pub mod twilio;
pub mod webhook;
pub mod webhook_http;
