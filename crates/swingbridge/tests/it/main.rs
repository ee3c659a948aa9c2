#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod cli;
#[cfg(feature = "device")]
mod device;
mod encrypted;
mod gateway;
mod identity;
mod init;
mod never_lost;
mod numbers;
mod people;
mod program;
mod providers;
mod reconcile;
#[cfg(feature = "device")]
mod register;
#[cfg(feature = "device")]
mod service;
mod site;
mod troubles;
#[cfg(feature = "device")]
mod verify;
