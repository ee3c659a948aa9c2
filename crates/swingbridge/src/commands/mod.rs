//! One file for each subcommand.

pub mod audit_log;
pub mod check;
pub mod docs;
pub mod example;
pub mod gateway;
pub mod init;
pub mod register;
pub mod registration;
pub mod retention;
pub mod service;
