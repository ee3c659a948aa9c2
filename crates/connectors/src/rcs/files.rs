//! Files of messages: those that come, and those that go.

use super::recent::Recent;
use crate::provider::account::Account;
pub use crate::provider::files::mime;
use crate::provider::files::{self, UNSAFE, missing};
use crate::provider::http::call;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::message::{Media, Part};
use url::Url;

/// How often a file is tried for before its message is handed in without it: one webhook that fails may hold up others.
const TRIES: u32 = 3;
/// How many files that would not come are remembered.
const REMEMBERED: usize = 10_000;
const TOO_LARGE: &str = "a file that is larger than what is taken here (largest_file)";

/// What a service says of a file.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub name: Option<String>,
    pub mime: Option<String>,
    pub size: Option<u64>,
    pub address: String,
}

/// Fetches and reads files.
pub struct Files {
    /// Where the service is.
    base: String,
    /// In megabytes.
    most: u64,
    time: Duration,
    /// How often a file would not come, by its message.
    tries: Mutex<Recent<u32>>,
}

impl Files {
    /// `most`: in megabytes. `time`: for one file.
    pub fn new(base: &str, most: u64, time: Duration) -> Self {
        Self {
            base: base.to_owned(),
            most,
            time,
            tries: Mutex::new(Recent::new(REMEMBERED)),
        }
    }

    /// Fetches a file that a phone sent; no token goes with the request. `identity`: names its message. `None`: it is to come again.
    pub async fn fetch(&self, account: &Account, identity: &str, told: &Told) -> Option<Part> {
        let mime = told.mime.as_deref();
        if told.size.is_some_and(|size| size > self.octets()) {
            return Some(missing(mime, TOO_LARGE));
        }
        if !self.is_safe(&told.address) {
            return Some(missing(mime, UNSAFE));
        }
        let request = account.http.get(&told.address).timeout(self.time);
        let most = usize::try_from(self.octets()).unwrap_or(usize::MAX);
        let answer = match call(request, most).await {
            Ok(answer) if answer.too_large => return Some(missing(mime, TOO_LARGE)),
            Ok(answer) => answer,
            Err(_) => return self.again(identity, mime),
        };
        match answer.status {
            200 if answer.whole => {}
            403 | 404 | 410 => {
                return Some(missing(mime, "a file that the service does not have any more"));
            }
            _ => return self.again(identity, mime),
        }
        let (folder, name, told) = (account.media.clone(), digest(identity.as_bytes()), told.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let about = files::Told {
                identity: &name,
                name: told.name.as_deref(),
                mime: told.mime.as_deref(),
            };
            files::keep(&folder, &about, answer.mime.as_deref(), &answer.octets)
        });
        match kept.await {
            Ok(Ok(part)) => Some(part),
            Ok(Err(error)) => {
                tracing::warn!(connector = %account.id, error = %error.kind(), "a file cannot be kept");
                None
            }
            Err(_) => None,
        }
    }

    /// Reads a file of ours on this machine.
    ///
    /// # Errors
    /// Final: it is not there, or too large.
    pub async fn read(&self, media: &Media) -> Result<Vec<u8>, SendError> {
        files::read(media, self.octets(), "largest_file").await
    }

    fn octets(&self) -> u64 {
        self.most * 1_000_000
    }

    /// By TLS, or from where the service itself is.
    fn is_safe(&self, address: &str) -> bool {
        match (Url::parse(address), Url::parse(&self.base)) {
            (Ok(theirs), Ok(ours)) => theirs.scheme() == "https" || theirs.origin() == ours.origin(),
            _ => false,
        }
    }

    fn again(&self, identity: &str, mime: Option<&str>) -> Option<Part> {
        let mut tried = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = tried.get(identity).copied().unwrap_or(0) + 1;
        tried.insert(identity, tries);
        (tries >= TRIES).then(|| missing(mime, "a file that could not be had from the service"))
    }
}

/// A short name that is the same for the same octets.
pub fn digest(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(octets)[..16])
}
