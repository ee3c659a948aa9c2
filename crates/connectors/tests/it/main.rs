//! The connectors against the other side of their networks.

mod foreign;
mod harness;
mod inbound;
mod link;
mod smsc;
mod submit;
mod tls;
