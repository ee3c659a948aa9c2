//! One gateway per file: a lock file beside the database, and rights for the owner alone.

use crate::OpenError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Held as long as the database is open. The system gives it back when the program ends, however it ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// The lock is on a file of its own: closing any handle of the database file would drop the locks that SQLite holds on
    /// it (POSIX advisory locks belong to the process).
    pub fn take(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database, ".lock");
        let file = private()
            .truncate(false)
            .open(&path)
            .map_err(|error| unavailable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(database.display().to_string())),
            Err(TryLockError::Error(error)) => Err(unavailable(&path, &error)),
        }
    }
}

/// The same file by whatever path it is reached, so that the lock stands beside it.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            let name = path
                .file_name()
                .ok_or_else(|| OpenError::Unavailable(format!("{} is not a file", path.display())))?;
            folder
                .canonicalize()
                .map(|folder| folder.join(name))
                .map_err(|error| unavailable(folder, &error))
        }
        found => found.map_err(|error| unavailable(path, &error)),
    }
}

/// Makes the database when it is not there, and takes from others the right to read it. SQLite gives `-wal` and `-shm` the
/// rights of the database.
pub(super) fn make_private(database: &Path) -> Result<(), OpenError> {
    match private().create_new(true).open(database) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unavailable(database, &error)),
    }
    for suffix in ["", "-wal", "-shm"] {
        let path = beside(database, suffix);
        match restrict(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unavailable(&path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn private() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn restrict(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut rights = std::fs::metadata(path)?.permissions();
    if rights.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read the database; that right is taken away");
        rights.set_mode(rights.mode() & !0o077);
        std::fs::set_permissions(path, rights)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> io::Result<()> {
    Ok(())
}

fn unavailable(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Unavailable(format!("{}: {error}", path.display()))
}
