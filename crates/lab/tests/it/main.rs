//! The lab against the real things.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod homeserver;
mod carrier;
mod synapse;
