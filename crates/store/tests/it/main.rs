//! One contract, held by every engine: [`contract`]. What only one engine promises stands in a file of its own.

mod contract;
mod durability;
mod postgres;
mod sqlite;
mod support;
