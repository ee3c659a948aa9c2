//! Connectors: one folder for each network service.
