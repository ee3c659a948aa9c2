//! Files through the application service: a user's to this machine, a contact's to the homeserver.

use super::{Fetched, Parcel, TOO_LARGE, Uploaded, fetch, patience};
use crate::failure::Failure;
use crate::homeserver::Matrix;
use ruma::api::client::media::create_content;
use ruma::{OwnedMxcUri, UserId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use swingbridge_domain::message::{Media, MediaKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Files that are in memory at one time.
const AT_ONCE: usize = 4;
/// Encrypted files that lie opened on the disk at one time because somebody follows a link.
const LINKS_AT_ONCE: usize = 16;
/// Uploads that are remembered. Beyond that, it begins anew: a file is then uploaded twice, and said once.
const REMEMBERED: usize = 1000;

/// What was uploaded for messages that have not been sent yet: another try uploads nothing again. After a restart it does, and the
/// message is one all the same, by its transaction.
pub(crate) struct Carried {
    uploads: Mutex<HashMap<(String, bool), Uploaded>>,
    slots: Semaphore,
    /// Encrypted files that links are followed to.
    links: Arc<Semaphore>,
}

impl Carried {
    pub fn new() -> Self {
        Self {
            uploads: Mutex::default(),
            slots: Semaphore::new(AT_ONCE),
            links: Arc::new(Semaphore::new(LINKS_AT_ONCE)),
        }
    }

    /// The message of this transaction was sent.
    pub fn forget(&self, transaction: &str) {
        let mut uploads = self.lock();
        for encrypted in [true, false] {
            uploads.remove(&(transaction.to_owned(), encrypted));
        }
    }

    /// Waits until another encrypted file may be opened for a link.
    pub async fn linked(&self) -> Option<OwnedSemaphorePermit> {
        self.links.clone().acquire_owned().await.ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, bool), Uploaded>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Matrix {
    /// Removes files that were brought for sends which a restart cut off. Called once, before anything is fetched. Blocks.
    pub fn empty_spool(&self) {
        self.spool.empty();
    }

    /// Brings a user's file to this machine and opens it.
    pub(crate) async fn bring(&self, media: &Media) -> Result<Media, Failure> {
        let file: Fetched = fetch(self, &media.uri).await?;
        self.spool.keep(media, file).await
    }

    /// Uploads a file of this machine as `user`. What can not be shown, now or later, is said in words: `Ok(Err(words))`.
    ///
    /// # Errors
    /// [`Failure`] where another try may help.
    pub(crate) async fn carry(
        &self,
        user: &UserId,
        media: &Media,
        encrypted: bool,
        transaction: &str,
    ) -> Result<Result<Uploaded, String>, Failure> {
        let key = (transaction.to_owned(), encrypted);
        if let Some(uploaded) = self.carried.lock().get(&key) {
            return Ok(Ok(uploaded.clone()));
        }
        let _slot = self.carried.slots.acquire().await;
        let limit = self.config.media_limit;
        let mut parcel = match Parcel::pack(media, limit, encrypted).await {
            Ok(parcel) => parcel,
            Err(failure @ Failure::Refused { .. }) => return Ok(Err(lacking(media, &failure, Some(limit)))),
            Err(failure) => return Err(failure),
        };
        let bytes = std::mem::take(&mut parcel.bytes);
        let uri = match self.put(user, bytes, &parcel.mime).await {
            Ok(uri) => uri,
            // Nobody of ours is in a position to judge: the token is wrong, and a person must act.
            Err(failure) if failure.is_unknown_token() => return Err(failure),
            Err(failure @ Failure::Refused { .. }) => {
                let limit = match is_too_large(&failure) {
                    true => self.largest_upload(user).await,
                    false => None,
                };
                return Ok(Err(lacking(media, &failure, limit)));
            }
            Err(failure) => return Err(failure),
        };
        let uploaded = parcel.at(uri)?;
        let mut uploads = self.carried.lock();
        if uploads.len() >= REMEMBERED {
            uploads.clear();
        }
        uploads.insert(key, uploaded.clone());
        Ok(Ok(uploaded))
    }

    /// `POST /_matrix/media/v3/upload` as `user`.
    pub(crate) async fn put(
        &self,
        user: &UserId,
        bytes: Vec<u8>,
        mime: &str,
    ) -> Result<OwnedMxcUri, Failure> {
        let api = self.api.with_timeout(patience(bytes.len()));
        let mut request = create_content::v3::Request::new(bytes);
        request.content_type = Some(mime.to_owned());
        Ok(api.call(Some(user.into()), request).await?.content_uri)
    }

    /// The largest file that the homeserver takes, in octets, where it says so.
    async fn largest_upload(&self, user: &UserId) -> Option<u64> {
        for path in ["/_matrix/client/v1/media/config", "/_matrix/media/v3/config"] {
            if let Ok(answer) = self.api.get_json(path, &[("user_id", user.as_str())]).await {
                return answer.get("m.upload.size")?.as_u64();
            }
        }
        None
    }
}

fn is_too_large(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { status, code, .. } if *status == 413 || code == TOO_LARGE)
}

/// What is said in place of a file.
fn lacking(media: &Media, failure: &Failure, limit: Option<u64>) -> String {
    tracing::warn!(%failure, "a file from a phone cannot be shown; its room is told");
    let what = match media.kind {
        MediaKind::Image => "A picture",
        MediaKind::Sticker => "A sticker",
        MediaKind::Audio => "A recording",
        MediaKind::Voice => "A voice message",
        MediaKind::Video => "A video",
        MediaKind::File => "A file",
    };
    let named = match media.name.trim() {
        "" => String::new(),
        name => format!(" ({name})"),
    };
    let why = match (is_too_large(failure), limit) {
        (true, Some(limit)) => format!("it is larger than the {} that can be taken here", size(limit)),
        (true, None) => "it is larger than the homeserver takes".to_owned(),
        (false, _) => match failure.code() {
            Some(super::parcel::NO_FILE | "M_INVALID_PARAM") => {
                "the file could not be read at the gateway".to_owned()
            }
            Some(code) => format!("the homeserver did not take it ({code})"),
            None => "the homeserver did not take it".to_owned(),
        },
    };
    format!("{what}{named} came and cannot be shown: {why}.")
}

fn size(octets: u64) -> String {
    match octets {
        0..1024 => format!("{octets} octets"),
        1024..1_048_576 => format!("{} KiB", octets / 1024),
        _ => format!("{} MiB", octets >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parcel::NO_FILE;
    use super::super::spool::too_large;
    use super::*;

    #[test]
    fn what_is_said_in_place_of_a_file_names_the_limit_and_the_cause() {
        let media = Media {
            kind: MediaKind::Video,
            name: "party.mp4".into(),
            ..Media::default()
        };
        assert_eq!(
            lacking(&media, &too_large(1), Some(50 << 20)),
            "A video (party.mp4) came and cannot be shown: it is larger than the 50 MiB that can be taken here."
        );
        // A proxy before the homeserver.
        let proxy = Failure::from_answer(413, None, "", None);
        assert_eq!(
            lacking(&media, &proxy, None),
            "A video (party.mp4) came and cannot be shown: it is larger than the homeserver takes."
        );
        let gone = Failure::Refused {
            status: 404,
            code: NO_FILE.into(),
            detail: "no such file: /secret/path".into(),
        };
        let said = lacking(&Media::default(), &gone, Some(1));
        assert_eq!(
            said,
            "A file came and cannot be shown: the file could not be read at the gateway."
        );
        let forbidden = Failure::from_answer(403, Some("M_FORBIDDEN".into()), "", None);
        assert!(lacking(&media, &forbidden, None).contains("(M_FORBIDDEN)"));
    }
}
