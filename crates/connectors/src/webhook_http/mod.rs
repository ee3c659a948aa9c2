//! Any other provider that takes texts by HTTP and tells of others by webhook: requests are made of templates, and answers and webhooks are
//! read where the settings say.
//!
//! Read from the outside in: [`WebhookConnector`] is what the rest of the program sees; `send` fills the templates in; `hook` takes the
//! webhooks; `reading` finds in them what the settings name; [`signature`] proves who sent what, both ways.
//!
//! What is filled in is escaped by where it stands: in an address, in a form, or inside a text of JSON, which is taken apart first, so that
//! nothing that a person writes can become anything else than a text.
//!
//! Architecture Invariant: a webhook is answered with success only after the inbox has committed what it brought, and none is believed
//! without a signature or a shared secret.

pub mod config;
mod connector;
mod hook;
mod reading;
mod send;
pub mod signature;
mod template;

pub use config::Config;
pub use connector::WebhookConnector;
