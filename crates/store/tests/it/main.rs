//! One contract, held by every engine: [`contract`]. What only one engine promises stands in a file of its own.

#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod audit;
mod contract;
mod durability;
mod postgres;
mod sqlite;
mod support;
