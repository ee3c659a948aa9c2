//! Operating Swingbridge: what the operator's tools see.
//!
//! [`metrics`] is the list of all metrics and their exporter, [`health`] answers whether the gateway lives and is ready,
//! [`observe`] measures queues and connectors from time to time, [`http`] serves all of it.
//!
//! Architecture Invariant: nothing here holds a message's text, an address or a Matrix id: labels are names that the operator
//! chose, and words that the code knows.

pub mod health;
pub mod http;
pub mod metrics;
pub mod observe;
