//! The device relay's own parts. So far: where its secrets lie.

mod files;
pub mod keychain;
pub mod passphrase;
pub mod seal;
