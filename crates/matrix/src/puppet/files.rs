//! Files: from this machine to the homeserver, encrypted, and back.

use super::{Puppet, failure};
use crate::api::{net, refused};
use crate::failure::Failure;
use crate::media::parts;
use futures_util::FutureExt;
use matrix_sdk::Client;
use matrix_sdk::config::RequestConfig;
use matrix_sdk_crypto::{AttachmentDecryptor, AttachmentEncryptor, MediaEncryptionInfo};
use ruma::OwnedMxcUri;
use ruma::api::client::media::create_content;
use ruma::events::room::EncryptedFile;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use swingbridge_domain::message::{Media, MediaKind};
use url::Url;

mod dimensions;

/// Octets a second that any connection manages, for how long a transfer may take.
const SLOW: u64 = 20_000;
/// The largest picture that is shown of a contact.
const PICTURE: u64 = 5 * 1024 * 1024;
const SPOOL: &str = "spool";

/// A file as a message's content speaks of it.
pub(super) struct Uploaded {
    pub name: String,
    /// An `EncryptedFile`.
    pub source: Value,
    pub info: Value,
}

impl Puppet {
    /// Encrypts and uploads a file of this machine.
    pub(super) async fn upload(&self, client: &Client, media: &Media) -> Result<Uploaded, Failure> {
        let path = path_of(&media.uri)?;
        let limit = self.config.media_limit;
        let read = blocking(move || read_file(&path, limit)).await?;
        let size = read.len();
        let mime = media
            .mime
            .clone()
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        let mut info = json!({ "mimetype": mime, "size": size });
        if let Some(duration) = media.duration {
            info["duration"] = json!(duration);
        }
        if matches!(media.kind, MediaKind::Image | MediaKind::Sticker)
            && let Some((width, height)) = dimensions::of(&read)
        {
            info["w"] = json!(width);
            info["h"] = json!(height);
        }
        let (sealed, keys) = blocking(move || {
            let mut clear = read.as_slice();
            let mut encryptor = AttachmentEncryptor::new(&mut clear);
            let mut sealed = Vec::with_capacity(size);
            encryptor
                .read_to_end(&mut sealed)
                .map_err(|error| cannot(&error))?;
            Ok((sealed, encryptor.finish()))
        })
        .await?;
        let uri = put(client, sealed, "application/octet-stream").await?;
        let file = EncryptedFile::new(uri, keys.encryption_info, keys.hashes);
        Ok(Uploaded {
            name: match media.name.is_empty() {
                true => "file".to_owned(),
                false => media.name.clone(),
            },
            source: serde_json::to_value(file).map_err(|_| Failure::invalid("file"))?,
            info,
        })
    }

    /// Where a contact's picture is on the homeserver, in the clear, as the pictures of rooms and people there are. It is uploaded once.
    pub(super) async fn picture_uri(&self, picture: &Media) -> Result<String, Failure> {
        if picture.uri.starts_with("mxc://") {
            return Ok(picture.uri.clone());
        }
        let path = path_of(&picture.uri)?;
        let bytes = blocking(move || read_file(&path, PICTURE)).await?;
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
        if let Some(uri) = self.ledger.picture(&digest).await? {
            return Ok(uri);
        }
        let mime = picture.mime.as_deref().unwrap_or("image/jpeg");
        let uri = put(&self.client, bytes, mime).await?.to_string();
        self.ledger.keep_picture(&digest, &uri).await?;
        Ok(uri)
    }

    /// Brings a file of the owner's to this machine and opens it.
    pub(super) async fn bring(&self, media: &Media) -> Result<Media, Failure> {
        let (server, id) = parts(&media.uri).ok_or_else(|| Failure::invalid("mxc URI"))?;
        let keys = match &media.key {
            Some(key) => {
                let file: EncryptedFile =
                    serde_json::from_str(key).map_err(|_| Failure::invalid("key of a file"))?;
                Some(MediaEncryptionInfo::from(file))
            }
            None => None,
        };
        let folder = self.config.folder.join(SPOOL).join(hex(&media.uri));
        let made = folder.clone();
        blocking(move || {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(made)
                .map_err(|error| cannot(&error))
        })
        .await?;
        let came = folder.join(".part");
        let size = self.download(server, id, &came).await?;
        let name = file_name(media);
        let place = folder.join(&name);
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

    async fn download(&self, server: &str, id: &str, to: &Path) -> Result<u64, Failure> {
        let base = self.config.homeserver.as_str().trim_end_matches('/').to_owned();
        let mut renewed = false;
        let mut bases = ["/_matrix/client/v1/media/download", "/_matrix/media/v3/download"]
            .into_iter()
            .peekable();
        let answer = loop {
            let Some(path) = bases.peek() else {
                return Err(Failure::away("no answer"));
            };
            let token = self.client.access_token().unwrap_or_default();
            let address = format!("{base}{path}/{server}/{id}");
            let request = self.client.http_client().get(address).bearer_auth(token);
            let answer = tokio::time::timeout(self.config.request_timeout, request.send()).await;
            let answer = answer
                .map_err(|_| Failure::away("it did not answer in time"))?
                .map_err(|error| net(&error))?;
            if answer.status().is_success() {
                break answer;
            }
            match refused(answer).await {
                failure if failure.is_unknown_token() && !renewed => {
                    renewed = true;
                    if self.client.refresh_access_token().boxed().await.is_err() {
                        return Err(failure);
                    }
                }
                // There is no such path; what there is may be the old one.
                failure if failure.refused_as("M_UNRECOGNIZED") => {
                    bases.next();
                    if bases.peek().is_none() {
                        return Err(failure);
                    }
                }
                failure => return Err(failure),
            }
        };
        let limit = self.config.media_limit;
        if answer.content_length().is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        self.write_down(answer, to, limit).await
    }

    async fn write_down(&self, mut answer: reqwest::Response, to: &Path, limit: u64) -> Result<u64, Failure> {
        use tokio::io::AsyncWriteExt;
        let mut file = tokio::fs::File::create(to)
            .await
            .map_err(|error| cannot(&error))?;
        let mut size = 0;
        loop {
            // The next piece, not the whole: the connection may be slow.
            let piece = tokio::time::timeout(self.config.request_timeout, answer.chunk()).await;
            let piece = piece.map_err(|_| Failure::away("it stopped sending"))?;
            let Some(piece) = piece.map_err(|error| net(&error))? else {
                break;
            };
            size += piece.len() as u64;
            if size > limit {
                return Err(too_large(limit));
            }
            file.write_all(&piece).await.map_err(|error| cannot(&error))?;
        }
        file.flush().await.map_err(|error| cannot(&error))?;
        Ok(size)
    }
}

/// What was brought for sends that a restart cut off is of no use any more.
pub(super) fn empty_spool(folder: &Path) {
    let spool = folder.join(SPOOL);
    if let Err(error) = std::fs::remove_dir_all(&spool)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the spool of files cannot be emptied");
    }
}

async fn put(client: &Client, bytes: Vec<u8>, mime: &str) -> Result<OwnedMxcUri, Failure> {
    let patience = Duration::from_secs(60 + bytes.len() as u64 / SLOW);
    let mut request = create_content::v3::Request::new(bytes);
    request.content_type = Some(mime.to_owned());
    let limits = RequestConfig::new().disable_retry().timeout(patience);
    let sent = client.send(request).with_request_config(limits).await;
    Ok(sent.map_err(failure::http)?.content_uri)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Failure::away("a file's task broke off")),
    }
}

fn path_of(uri: &str) -> Result<PathBuf, Failure> {
    let url = Url::parse(uri).ok().filter(|url| url.scheme() == "file");
    url.and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| Failure::invalid("file URI"))
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let gone = |error: std::io::Error| Failure::Refused {
        status: 404,
        code: "DEV.SWINGBRIDGE_NO_FILE".to_owned(),
        detail: format!("the file cannot be read: {error}"),
    };
    let file = File::open(path).map_err(gone)?;
    let size = file.metadata().map_err(gone)?.len();
    if size > limit {
        return Err(too_large(limit));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    // It may grow while it is read.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(gone)?;
    match bytes.len() as u64 > limit {
        true => Err(too_large(limit)),
        false => Ok(bytes),
    }
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
    let name: String = media
        .name
        .chars()
        .filter(|letter| safe(*letter))
        .take(120)
        .collect();
    match name.trim_matches(['.', ' ']) {
        "" => "file".to_owned(),
        name => name.to_owned(),
    }
}

fn hex(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text)[..12])
}

fn cannot(error: &std::io::Error) -> Failure {
    Failure::away(format!("a file cannot be written or read: {error}"))
}

fn too_large(limit: u64) -> Failure {
    Failure::Refused {
        status: 413,
        code: "M_TOO_LARGE".to_owned(),
        detail: format!("the file is larger than the {limit} octets that are allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn a_file_that_was_altered_does_not_open() {
        let folder = std::env::temp_dir().join(format!("swingbridge-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
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
        let (came, to) = (folder.join("came"), folder.join("to"));
        std::fs::write(&came, &sealed).unwrap();
        assert_eq!(open(&came, &to, keys()).unwrap(), 7);
        assert_eq!(std::fs::read(&to).unwrap(), b"a photo");
        sealed[0] ^= 1;
        std::fs::write(&came, &sealed).unwrap();
        assert!(matches!(open(&came, &to, keys()), Err(Failure::Refused { .. })));
        assert!(!to.exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
