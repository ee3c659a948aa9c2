//! What the connectors of providers share: companies that take texts by HTTP and tell of others by webhook.
//!
//! [`hosted`] is the connector as the program sees it, and [`account`] what it is while it runs; [`http`] makes one request and says what is certain of its fate; [`content`]
//! reads a message as providers take it: words and links; [`files`] fetches what came; [`memory`] is what outlasts a restart; [`waiting`]
//! says which messages are asked after next.

pub mod account;
pub mod content;
pub mod files;
pub mod hosted;
pub mod http;
pub mod memory;
pub mod waiting;
