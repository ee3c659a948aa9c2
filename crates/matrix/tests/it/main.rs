//! The Matrix side against homeservers: a real Synapse, and the lab's strict stub with the habits of others.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod bridge;
mod encryption;
mod groups;
mod media;
mod odd;
mod pictures;
mod provisioning;
#[cfg(feature = "puppet")]
mod puppet;
mod routes;
mod stub;
mod synapse;
mod tls;
