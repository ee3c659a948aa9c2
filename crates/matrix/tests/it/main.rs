//! The Matrix side against homeservers: a real Synapse, and the lab's strict stub with the habits of others.

mod bridge;
mod provisioning;
mod routes;
mod stub;
mod synapse;
