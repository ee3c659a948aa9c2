//! The engine on a real store, with a homeserver and a network that do as they are told.

#![allow(clippy::unwrap_used)]

mod abuse;
mod audit;
mod commands;
mod crash;
mod device;
mod house;
mod inbound;
mod outbound;
mod rooms;
mod trust;
