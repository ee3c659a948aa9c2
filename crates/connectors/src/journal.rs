//! What a connector must remember over a restart: one JSON file, replaced whole.
//!
//! Architecture Invariant: a reader finds the old text or the new one, never a part of one, also after a power cut.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that holds a `T`.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
}

/// What is in the file cannot be used, or it cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk or its permissions; may pass.
    #[error("{}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    /// A person must act: it was altered, or a newer version wrote it.
    #[error("{} cannot be understood: {cause}", path.display())]
    Content { path: PathBuf, cause: String },
}

impl Journal {
    /// Names the file; makes its folder, for its owner alone.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn in_folder(folder: &Path, name: &str) -> Result<Self, JournalError> {
        make_folder(folder).map_err(|cause| JournalError::Io {
            path: folder.to_owned(),
            cause,
        })?;
        Ok(Self {
            path: folder.join(name),
        })
    }

    /// What was written last; `None` when nothing ever was. Blocks.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, JournalError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(error)),
        };
        // The error's text would quote what stands there.
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| JournalError::Content {
                path: self.path.clone(),
                cause: format!("line {}, column {}", error.line(), error.column()),
            })
    }

    /// Replaces what is there. When this returns `Ok`, it outlasts a power cut. Blocks.
    ///
    /// # Errors
    /// [`JournalError::Io`]: the old text stands. Worth a retry.
    pub fn write<T: Serialize>(&self, value: &T) -> Result<(), JournalError> {
        let text = serde_json::to_vec(value).map_err(|error| self.io(io::Error::other(error)))?;
        self.replace(&text).map_err(|error| self.io(error))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = private(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    fn io(&self, cause: io::Error) -> JournalError {
        JournalError::Io {
            path: self.path.clone(),
            cause,
        }
    }
}

/// Makes a folder that only its owner can look into.
///
/// # Errors
/// The system's.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens a file to be written anew, that only its owner can read.
///
/// # Errors
/// The system's.
pub fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_text_stands_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_folder(&folder.path().join("deep/er"), "state.json").unwrap();
        assert_eq!(journal.read::<Vec<u8>>().unwrap(), None);
        journal.write(&vec![1, 2]).unwrap();
        journal.write(&vec![3]).unwrap();
        // What a crash in the middle of the next one leaves.
        fs::write(folder.path().join("deep/er/state.new"), "[1,").unwrap();
        assert_eq!(journal.read::<Vec<u8>>().unwrap(), Some(vec![3]));
    }

    #[test]
    fn what_cannot_be_understood_is_said_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::in_folder(folder.path(), "state.json").unwrap();
        fs::write(folder.path().join("state.json"), "[\"+447700900123\", {").unwrap();
        let error = journal.read::<Vec<u8>>().unwrap_err();
        assert!(matches!(error, JournalError::Content { .. }), "{error}");
        assert!(!error.to_string().contains("900123"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("state");
        Journal::in_folder(&below, "a.json").unwrap().write(&1).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&below), mode(&below.join("a.json"))), (0o700, 0o600));
    }
}
