//! A file of this machine on its way to a room: read, described, encrypted where it must be, and spoken of in a message.

use super::dimensions;
use super::spool::{blocking, cannot, path_of, too_large};
use crate::failure::Failure;
use crate::post::words;
use matrix_sdk_crypto::{AttachmentEncryptor, MediaEncryptionInfo};
use ruma::OwnedMxcUri;
use ruma::events::room::EncryptedFile;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use swingbridge_domain::homeserver::Post;
use swingbridge_domain::message::{Media, MediaKind, Tone};

/// The code of our own that a file is not there (any more).
pub(crate) const NO_FILE: &str = "DEV.SWINGBRIDGE_NO_FILE";

/// A file that is ready to be uploaded.
pub(crate) struct Parcel {
    /// As the homeserver is to have them.
    pub bytes: Vec<u8>,
    /// What the homeserver is told that they are.
    pub mime: String,
    name: String,
    info: Value,
    keys: Option<MediaEncryptionInfo>,
}

/// A file as a message's content speaks of it.
#[derive(Clone)]
pub(crate) struct Uploaded {
    pub name: String,
    /// `url`, or `file` with what opens it.
    pub field: &'static str,
    pub source: Value,
    pub info: Value,
}

impl Parcel {
    /// Reads the file at a `file:` URI, of at most `limit` octets.
    ///
    /// # Errors
    /// [`Failure`]; `Refused` with [`NO_FILE`] when it cannot be read, [`super::TOO_LARGE`] when it is larger.
    pub async fn pack(media: &Media, limit: u64, encrypted: bool) -> Result<Self, Failure> {
        let path = path_of(&media.uri)?;
        let read = blocking(move || read_file(&path, limit)).await?;
        let mime = media
            .mime
            .clone()
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        let mut info = json!({ "mimetype": mime, "size": read.len() });
        if let Some(duration) = media.duration {
            info["duration"] = json!(duration);
        }
        if matches!(media.kind, MediaKind::Image | MediaKind::Sticker)
            && let Some((width, height)) = dimensions::of(&read)
        {
            info["w"] = json!(width);
            info["h"] = json!(height);
        }
        let name = match media.name.is_empty() {
            true => "file".to_owned(),
            false => media.name.clone(),
        };
        if !encrypted {
            return Ok(Self {
                bytes: read,
                mime,
                name,
                info,
                keys: None,
            });
        }
        let (bytes, keys) = blocking(move || {
            let mut clear = read.as_slice();
            let mut encryptor = AttachmentEncryptor::new(&mut clear);
            let mut sealed = Vec::with_capacity(read.len());
            encryptor
                .read_to_end(&mut sealed)
                .map_err(|error| cannot(&error))?;
            Ok((sealed, encryptor.finish()))
        })
        .await?;
        Ok(Self {
            bytes,
            mime: "application/octet-stream".to_owned(),
            name,
            info,
            keys: Some(keys),
        })
    }

    /// The file as it is spoken of, once it lies at `uri`.
    pub fn at(self, uri: OwnedMxcUri) -> Result<Uploaded, Failure> {
        let (field, source) = match self.keys {
            Some(keys) => (
                "file",
                serde_json::to_value(EncryptedFile::new(uri, keys.encryption_info, keys.hashes)),
            ),
            None => ("url", serde_json::to_value(uri)),
        };
        Ok(Uploaded {
            name: self.name,
            field,
            source: source.map_err(|_| Failure::invalid("file"))?,
            info: self.info,
        })
    }
}

pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let gone = |error: std::io::Error| Failure::Refused {
        status: 404,
        code: NO_FILE.to_owned(),
        detail: format!("the file cannot be read: {error}"),
    };
    let file = File::open(path).map_err(gone)?;
    let about = file.metadata().map_err(gone)?;
    if !about.is_file() {
        return Err(gone(std::io::Error::other("it is no file")));
    }
    let size = about.len();
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

/// The content of `m.room.message` for what a post says, without its relations: a text, or a file with its caption.
pub(crate) fn said(post: &Post, file: Option<&Uploaded>) -> Value {
    let mut content = words(&post.text, "");
    let (Some(media), Some(file)) = (&post.media, file) else {
        // The one kind of text that clients do not ring for.
        if post.quiet && post.text.tone == Tone::Plain {
            content["msgtype"] = json!("m.notice");
        }
        return content;
    };
    content["msgtype"] = json!(match media.kind {
        MediaKind::Image | MediaKind::Sticker => "m.image",
        MediaKind::Video => "m.video",
        MediaKind::Audio | MediaKind::Voice => "m.audio",
        MediaKind::File => "m.file",
    });
    content["filename"] = json!(file.name);
    content["info"] = file.info.clone();
    content[file.field] = file.source.clone();
    if post.text.plain.is_empty() {
        content["body"] = match &media.caption {
            Some(caption) if !caption.is_empty() => json!(caption),
            _ => json!(file.name),
        };
    }
    if media.kind == MediaKind::Voice {
        content["org.matrix.msc3245.voice"] = json!({});
        let duration = media.duration.unwrap_or_default();
        content["org.matrix.msc1767.audio"] = json!({ "duration": duration });
    }
    content
}
