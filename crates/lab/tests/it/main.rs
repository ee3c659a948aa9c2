//! The lab against the real things.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod carrier;
mod homeserver;
mod kannel;
mod maap;
mod page;
mod sms_gateway;
mod synapse;
mod telnyx;
mod tls;
mod twilio;
mod typedstream;
