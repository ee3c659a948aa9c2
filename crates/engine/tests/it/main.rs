//! The engine on a real store, with a homeserver and a network that do as they are told.

#![allow(clippy::unwrap_used)]

mod abuse;
mod audit;
mod commands;
mod crash;
mod device;
mod fallback;
mod house;
mod inbound;
mod other_way;
mod outbound;
mod recalls;
mod rooms;
mod swap;
mod trust;
