//! Verbs of Swingbridge: what is done with all that arrives.
//!
//! Read it in this order: [`site`] (what the operator decided), [`event`] (what can happen), [`state`] (what is known when it
//! happens), [`step`] (the decision: a pure function), [`effect`] (what a decision may ask for), and then the machinery:
//! `process` (load, step and apply in one transaction), `outbox` (what is sent, lane by lane) and [`Engine`].
//!
//! Architecture Invariant: [`step::step`] reads no clock, no store and no network, and awaits nothing. All that it asks for is
//! committed in the same transaction as the removal of what caused it.

pub mod assembly;
mod clockwork;
mod commands;
mod contacts;
mod directory;
pub mod effect;
mod engine;
pub mod event;
mod inbox;
mod kernel;
mod lanes;
mod lines;
mod migrate;
mod outbox;
pub mod payload;
mod policy;
mod process;
mod reconcile;
mod render;
pub mod site;
pub mod state;
pub mod step;
mod together;
mod words;

pub use engine::{Engine, Ports};
pub use migrate::Migration;
