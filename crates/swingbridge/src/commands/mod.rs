//! One file for each subcommand.

pub mod audit_log;
pub mod check;
#[cfg(feature = "device")]
pub mod device;
pub mod docs;
pub mod example;
pub mod gateway;
pub mod init;
pub mod migrate;
#[cfg(feature = "device")]
pub mod register;
pub mod registration;
pub mod retention;
#[cfg(feature = "device")]
pub mod service;
pub mod webhooks;
