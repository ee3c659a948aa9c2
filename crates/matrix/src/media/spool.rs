//! The spool: files of users that were brought to this machine, opened, for as long as a send takes.
//!
//! Architecture Invariant: what has a key is compared with its hash to the last octet before anybody is told where it lies.

use super::Fetched;
use crate::failure::Failure;
use futures_util::StreamExt;
use matrix_sdk_crypto::{AttachmentDecryptor, MediaEncryptionInfo};
use ruma::events::room::EncryptedFile;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use swingbridge_domain::message::Media;
use url::Url;

/// A folder that is ours alone (0700), with a folder in it for each file.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    limit: u64,
    /// Two sends of one file do not share it: each is done with it at its own time.
    count: AtomicU64,
}

impl Spool {
    /// Makes nothing yet. `limit` is in octets.
    pub fn new(folder: &Path, limit: u64) -> Self {
        Self {
            folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()),
            limit,
            count: AtomicU64::new(0),
        }
    }

    /// Removes what was brought for sends that a restart cut off. Blocks; called before anything is brought.
    pub fn empty(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the spool of files cannot be emptied");
        }
    }

    /// Writes down what comes and opens it; the answer has the `file:` URI.
    ///
    /// # Errors
    /// [`Failure`]; safe to repeat. Nothing of the file is left then.
    pub async fn keep(&self, media: &Media, file: Fetched) -> Result<Media, Failure> {
        let keys = keys(media)?;
        if file.length.is_some_and(|length| length > self.limit) {
            return Err(too_large(self.limit));
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("{}-{number}", hex(&media.uri)));
        let kept = self.keep_in(&folder, media, file, keys).await;
        if kept.is_err() {
            remove(&folder).await;
        }
        kept
    }

    async fn keep_in(
        &self,
        folder: &Path,
        media: &Media,
        file: Fetched,
        keys: Option<MediaEncryptionInfo>,
    ) -> Result<Media, Failure> {
        let (root, made) = (self.folder.clone(), folder.to_owned());
        blocking(move || {
            let make = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
            make(&root)
                .and_then(|()| std::fs::set_permissions(&root, Permissions::from_mode(0o700)))
                .and_then(|()| make(&made))
                .map_err(|error| cannot(&error))
        })
        .await?;
        let came = folder.join(".part");
        let size = self.write_down(file, &came).await?;
        let place = folder.join(file_name(media));
        let opened = place.clone();
        let size = blocking(move || match keys {
            Some(keys) => open(&came, &opened, keys),
            None => std::fs::rename(&came, &opened)
                .map(|()| size)
                .map_err(|error| cannot(&error)),
        })
        .await?;
        let uri =
            Url::from_file_path(&place).map_err(|()| Failure::away("the folder's path is not absolute"))?;
        Ok(Media {
            uri: uri.into(),
            key: None,
            size: Some(size),
            ..media.clone()
        })
    }

    async fn write_down(&self, file: Fetched, to: &Path) -> Result<u64, Failure> {
        use tokio::io::AsyncWriteExt;
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut written = options.open(to).await.map_err(|error| cannot(&error))?;
        let mut size = 0;
        let mut pieces = pin!(file.stream());
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|broken| broken.0)?;
            size += piece.len() as u64;
            if size > self.limit {
                return Err(too_large(self.limit));
            }
            written.write_all(&piece).await.map_err(|error| cannot(&error))?;
        }
        written.flush().await.map_err(|error| cannot(&error))?;
        Ok(size)
    }

    /// Removes a file that [`Spool::keep`] brought; others are left alone.
    pub async fn release(&self, media: &Media) {
        let Ok(place) = path_of(&media.uri) else {
            return;
        };
        if let Some(folder) = place.parent()
            && folder.parent() == Some(self.folder.as_path())
        {
            remove(folder).await;
        }
    }
}

async fn remove(folder: &Path) {
    if let Err(error) = tokio::fs::remove_dir_all(folder).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a file of the spool cannot be removed; the next start tries again");
    }
}

fn keys(media: &Media) -> Result<Option<MediaEncryptionInfo>, Failure> {
    let Some(key) = &media.key else {
        return Ok(None);
    };
    let file: EncryptedFile = serde_json::from_str(key).map_err(|_| Failure::invalid("key of a file"))?;
    Ok(Some(MediaEncryptionInfo::from(file)))
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::away("a file's task broke off")),
    }
}

pub(crate) fn path_of(uri: &str) -> Result<PathBuf, Failure> {
    let url = Url::parse(uri).ok().filter(|url| url.scheme() == "file");
    url.and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| Failure::invalid("file URI"))
}

/// Opens what came. What is not what its key says is removed.
fn open(came: &Path, to: &Path, keys: MediaEncryptionInfo) -> Result<u64, Failure> {
    let wrong = || Failure::Refused {
        status: 400,
        code: "DEV.SWINGBRIDGE_WRONG_FILE".to_owned(),
        detail: "the file is not what its key says".to_owned(),
    };
    let mut sealed = std::io::BufReader::new(File::open(came).map_err(|error| cannot(&error))?);
    let mut clear = AttachmentDecryptor::new(&mut sealed, keys).map_err(|_| wrong())?;
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| cannot(&error))?;
    // The hash is compared at the very end.
    let copied = std::io::copy(&mut clear, &mut file);
    let _ = std::fs::remove_file(came);
    match copied.and_then(|size| file.flush().map(|()| size)) {
        Ok(size) => Ok(size),
        Err(error) => {
            let _ = std::fs::remove_file(to);
            match error.raw_os_error() {
                Some(_) => Err(cannot(&error)),
                None => Err(wrong()),
            }
        }
    }
}

/// The file's own name, without anything that leads elsewhere.
fn file_name(media: &Media) -> String {
    let safe = |letter: char| !matches!(letter, '/' | '\\' | '\0'..='\x1f');
    let mut name = String::new();
    for letter in media.name.chars().filter(|letter| safe(*letter)).take(120) {
        // File systems count octets.
        if name.len() + letter.len_utf8() > 240 {
            break;
        }
        name.push(letter);
    }
    match name.trim_matches(['.', ' ']) {
        "" => "file".to_owned(),
        name => name.to_owned(),
    }
}

fn hex(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text)[..12])
}

pub(super) fn cannot(error: &std::io::Error) -> Failure {
    Failure::away(format!("a file cannot be written or read: {error}"))
}

pub(crate) fn too_large(limit: u64) -> Failure {
    Failure::Refused {
        status: 413,
        code: super::TOO_LARGE.to_owned(),
        detail: format!("the file is larger than the {limit} octets that are allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matrix_sdk_crypto::AttachmentEncryptor;
    use ruma::OwnedMxcUri;
    use std::io::Read;

    #[test]
    fn a_name_leads_nowhere_else() {
        let named = |name: &str| {
            file_name(&Media {
                name: name.into(),
                ..Media::default()
            })
        };
        assert_eq!(named("a photo.jpg"), "a photo.jpg");
        assert_eq!(named("../../etc/passwd"), "etcpasswd");
        assert_eq!(named(".."), "file");
        assert_eq!(named("\0\n"), "file");
        assert_eq!(named(".part"), "part");
        assert!(named(&"🦆".repeat(100)).len() <= 240);
    }

    #[test]
    fn a_file_that_was_altered_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let mut clear = b"a photo".as_slice();
        let mut encryptor = AttachmentEncryptor::new(&mut clear);
        let mut sealed = Vec::new();
        encryptor.read_to_end(&mut sealed).unwrap();
        let keys = encryptor.finish();
        let again = serde_json::to_value(EncryptedFile::new(
            OwnedMxcUri::from("mxc://x/y"),
            keys.encryption_info,
            keys.hashes,
        ))
        .unwrap();
        let keys =
            || MediaEncryptionInfo::from(serde_json::from_value::<EncryptedFile>(again.clone()).unwrap());
        let (came, to) = (folder.path().join("came"), folder.path().join("to"));
        std::fs::write(&came, &sealed).unwrap();
        assert_eq!(open(&came, &to, keys()).unwrap(), 7);
        assert_eq!(std::fs::read(&to).unwrap(), b"a photo");
        sealed[0] ^= 1;
        std::fs::write(&came, &sealed).unwrap();
        assert!(matches!(open(&came, &to, keys()), Err(Failure::Refused { .. })));
        assert!(!to.exists());
    }

    #[tokio::test]
    async fn only_what_was_brought_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::new(&folder.path().join("spool"), 100);
        let other = folder.path().join("other.jpg");
        let ours = folder.path().join("spool").join("a-0").join("cat.jpg");
        std::fs::create_dir_all(ours.parent().unwrap()).unwrap();
        for path in [&other, &ours] {
            std::fs::write(path, b"x").unwrap();
            let media = Media {
                uri: Url::from_file_path(path).unwrap().into(),
                ..Media::default()
            };
            spool.release(&media).await;
        }
        assert!(other.exists() && !ours.parent().unwrap().exists());
        assert!(folder.path().join("spool").exists());
    }
}
