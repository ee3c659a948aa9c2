//! Contacts' pictures: uploaded once for each content, in the clear, as the pictures of rooms and people lie on the homeserver.

use super::parcel::read_file;
use super::spool::{blocking, cannot, path_of};
use crate::crypto::Mode;
use crate::database::Database;
use crate::failure::Failure;
use crate::homeserver::Matrix;
use ruma::UserId;
use rusqlite::OptionalExtension;
use sha2::{Digest, Sha256};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use swingbridge_domain::homeserver::Ghost;
use swingbridge_domain::message::Media;
use tokio::sync::{Mutex, OnceCell};

/// The largest picture that is shown of a contact, in octets.
const LARGEST: u64 = 5 * 1024 * 1024;
/// Where each picture was uploaded to, by its SHA-256.
pub(crate) const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS picture (digest TEXT PRIMARY KEY, uri TEXT NOT NULL) WITHOUT ROWID;";

/// A picture that was read.
pub(crate) struct Picture {
    pub digest: String,
    pub bytes: Vec<u8>,
    pub mime: String,
}

/// Reads a picture of this machine.
///
/// # Errors
/// [`Failure`]: it is not there, or too large.
pub(crate) async fn read(picture: &Media) -> Result<Picture, Failure> {
    let path = path_of(&picture.uri)?;
    let bytes = blocking(move || read_file(&path, LARGEST)).await?;
    Ok(Picture {
        digest: data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)),
        bytes,
        mime: picture.mime.clone().unwrap_or_else(|| "image/jpeg".to_owned()),
    })
}

/// Where a picture was uploaded to.
pub(crate) async fn known(database: &Database, digest: &str) -> Result<Option<String>, Failure> {
    let digest = digest.to_owned();
    database
        .with(move |db| {
            let sql = "SELECT uri FROM picture WHERE digest = ?1";
            db.query_row(sql, [digest], |row| row.get(0)).optional()
        })
        .await
}

pub(crate) async fn keep(database: &Database, digest: &str, uri: &str) -> Result<(), Failure> {
    let (digest, uri) = (digest.to_owned(), uri.to_owned());
    database
        .with(move |db| {
            db.execute("INSERT OR REPLACE INTO picture VALUES (?1, ?2)", [digest, uri])
                .map(drop)
        })
        .await
}

/// A picture as it lies on this machine: where it is the same, it need not be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    uri: String,
    /// Octets, and when it was written; neither where it cannot be looked at.
    file: Option<(u64, Option<SystemTime>)>,
}

impl Seen {
    async fn of(picture: &Media) -> Self {
        let file = match path_of(&picture.uri) {
            Ok(path) => tokio::fs::metadata(path).await.ok(),
            Err(_) => None,
        };
        Self {
            uri: picture.uri.clone(),
            file: file.map(|file| (file.len(), file.modified().ok())),
        }
    }
}

/// What is remembered of uploads, also over restarts: another upload would be another picture, and news of it in every room.
pub(crate) struct Pictures {
    path: PathBuf,
    database: OnceCell<Database>,
    /// One at a time: a contact may speak in two rooms at once.
    one: Mutex<()>,
}

impl Pictures {
    /// Makes nothing yet. `folder` is one of our own.
    pub fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("pictures.db"),
            database: OnceCell::new(),
            one: Mutex::default(),
        }
    }

    async fn database(&self) -> Result<&Database, Failure> {
        let path = self.path.clone();
        let open = || {
            blocking(move || {
                if let Some(folder) = path.parent() {
                    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
                    made.map_err(|error| cannot(&error))?;
                }
                Database::open(&path, "pictures.db", SCHEMA)
                    .map_err(|error| Failure::away(format!("pictures.db: {error}")))
            })
        };
        self.database.get_or_try_init(open).await
    }
}

impl Matrix {
    /// Lets a ghost show its contact's picture. What the contact says is worth more: what goes wrong here is in the log alone, and what the
    /// homeserver will not have is not tried again before it is another picture.
    pub(crate) async fn show_picture(&self, user: &UserId, ghost: &Ghost) {
        // Profiles lie at the homeserver in the clear: where nothing may, there is none.
        let Some(picture) = ghost
            .picture
            .as_ref()
            .filter(|_| self.config.encryption != Mode::Require)
        else {
            return;
        };
        let seen = Seen::of(picture).await;
        if self.people.has_picture(user, &seen) {
            return;
        }
        let _one = self.pictures.one.lock().await;
        if self.people.has_picture(user, &seen) {
            return;
        }
        match self.picture(user, picture).await {
            Ok(()) => self.people.note_picture(user, seen),
            Err(failure) => {
                tracing::warn!(%failure, "a contact's picture cannot be shown");
                if matches!(failure, Failure::Refused { .. }) && !failure.is_unknown_token() {
                    self.people.note_picture(user, seen);
                }
            }
        }
    }

    async fn picture(&self, user: &UserId, picture: &Media) -> Result<(), Failure> {
        if picture.uri.starts_with("mxc://") {
            return self.people.picture(&self.api, user, &picture.uri).await;
        }
        let read = read(picture).await?;
        let database = self.pictures.database().await?;
        let uri = match known(database, &read.digest).await? {
            Some(uri) => uri,
            None => {
                let uri = self.put(user, read.bytes, &read.mime).await?.to_string();
                keep(database, &read.digest, &uri).await?;
                uri
            }
        };
        self.people.picture(&self.api, user, &uri).await
    }
}
