//! The Matrix side: application service, rooms, media, third-party lookup and the provisioning API.
//!
//! [`Matrix`] speaks with the homeserver and is the [`Homeserver`](swingbridge_domain::homeserver::Homeserver) of the
//! engine. What the homeserver and people's clients ask of us comes in by routers that the binary mounts:
//! [`appservice::router`], [`provisioning::router`] and [`media::router`].
//!
//! Architecture Invariant: this is the only room that names a Matrix type, and it names no phone network: their names come
//! by the configuration and the domain's types.
//!
//! Architecture Invariant: no log line, metric or error text holds a body, a name, a token or a number. A request's path and
//! query are never logged.

#![cfg_attr(feature = "puppet", recursion_limit = "256")]

mod api;
pub mod appservice;
mod config;
mod crypto;
mod database;
mod event;
mod failure;
mod homeserver;
mod label;
pub mod media;
mod missed;
mod people;
mod post;
pub mod probe;
pub mod provisioning;
#[cfg(feature = "puppet")]
pub mod puppet;
pub mod registration;
mod rooms;
mod routes;
mod tls;

pub use api::BuildError;
pub use config::{Config, Names, Protocol};
pub use crypto::Mode;
pub use failure::Failure;
pub use homeserver::Matrix;
pub use routes::unrecognized;
