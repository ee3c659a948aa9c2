//! Files that only their owner can use, and that are either the old or the new one after a crash.

use super::seal::VaultError;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use swingbridge_domain::secret::Secret;

/// No secret of ours comes near it; a file beyond it is none of ours.
const LARGEST: u64 = 16 << 20;

/// A file's content, or nothing when it is not there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, VaultError> {
    let failed = |error| VaultError::File {
        path: path.to_owned(),
        what: "read",
        error,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    strict(path, &file.metadata().map_err(failed)?, 0o077)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(VaultError::Altered(path.to_owned()));
    }
    Ok(Some(bytes))
}

/// Writes a file beside, and puts it in the old one's place.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let failed = |error| VaultError::File {
        path: path.to_owned(),
        what: "written",
        error,
    };
    let fresh = path.with_extension("new");
    let written = private(&fresh).and_then(|mut file| {
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&fresh);
        return Err(failed(error));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync(folder.unwrap_or(Path::new(".")))
}

/// Opens a file to be written that only its owner can read, also when it was left over with another mode.
pub fn private(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Lets a folder's change outlive a power cut.
pub fn sync(folder: &Path) -> Result<(), VaultError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| VaultError::File {
            path: folder.to_owned(),
            what: "written",
            error,
        })
}

/// Refuses what others can use in one of the `denied` ways.
pub fn strict(path: &Path, found: &fs::Metadata, denied: u32) -> Result<(), VaultError> {
    let mode = found.permissions().mode() & 0o7777;
    if mode & denied != 0 {
        return Err(VaultError::Loose {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// A secret from a file that only its owner can read. One line end at its end does not count.
pub fn read_secret(path: &Path) -> Result<Secret, VaultError> {
    let absent = || VaultError::File {
        path: path.to_owned(),
        what: "read",
        error: ErrorKind::NotFound.into(),
    };
    let bytes = read(path)?.ok_or_else(absent)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| VaultError::Unfit(format!("{} holds no text", path.display())))?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}
