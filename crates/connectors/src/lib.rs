//! Connectors: one folder for each network service.

pub mod smpp;
