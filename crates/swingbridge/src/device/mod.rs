//! The device relay's own parts: where its secrets lie, and how well it serves.

pub mod control;
pub mod files;
pub mod keychain;
pub mod passphrase;
pub mod seal;
pub mod secrets;
pub mod sla;
pub mod watch;

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Makes a folder for its user alone, or makes it so.
///
/// # Errors
/// The disk's.
pub fn private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
