//! Media: fetched from the homeserver as the bot, brought to this machine, handed on under links that expire; and uploaded.

mod carry;
mod dimensions;
mod links;
mod parcel;
mod pictures;
mod spool;

use crate::api::{net, refused};
use crate::failure::Failure;
use crate::homeserver::Matrix;
use axum::http::header;
use bytes::Bytes;
use futures_util::Stream;
use std::time::Duration;

pub(crate) use carry::Carried;
pub use links::{Links, router};
pub(crate) use parcel::{Parcel, Uploaded, said};
pub(crate) use pictures::{Pictures, Seen};
#[cfg(feature = "puppet")]
pub(crate) use pictures::{SCHEMA as PICTURES, keep, known, read};
pub(crate) use spool::Spool;

/// The Matrix error code of what is too large.
pub(crate) const TOO_LARGE: &str = "M_TOO_LARGE";
/// Octets a second that any connection manages, for how long an upload may take.
const SLOW: u64 = 20_000;

/// For how long an upload of so many octets is waited for.
pub(crate) fn patience(octets: usize) -> Duration {
    Duration::from_secs(60 + octets as u64 / SLOW)
}

/// One file on its way.
pub struct Fetched {
    /// MIME type as the homeserver says.
    pub content_type: Option<String>,
    /// Octets, where known beforehand.
    pub length: Option<u64>,
    body: reqwest::Response,
    patience: Duration,
}

/// The homeserver stopped in the middle of a file.
#[derive(Debug, thiserror::Error)]
#[error("the homeserver did not send the whole file: {0}")]
pub struct Broken(pub(crate) Failure);

impl Fetched {
    /// The file that `answer` begins. `patience` is for each piece.
    pub(crate) fn new(answer: reqwest::Response, patience: Duration) -> Self {
        let text = |name| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        Self {
            content_type: text(header::CONTENT_TYPE),
            length: answer.content_length(),
            body: answer,
            patience,
        }
    }

    /// The file, piece by piece.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, Broken>> + Send + 'static {
        let patience = self.patience;
        futures_util::stream::unfold(Some(self.body), move |body| async move {
            let mut body = body?;
            // The next piece, not the whole: the reader may be slow.
            match tokio::time::timeout(patience, body.chunk()).await {
                Ok(Ok(Some(piece))) => Some((Ok(piece), Some(body))),
                Ok(Ok(None)) => None,
                Ok(Err(error)) => Some((Err(Broken(net(&error))), None)),
                Err(_) => Some((Err(Broken(Failure::away("it stopped sending"))), None)),
            }
        })
    }
}

/// Opens the file at `mxc` (`mxc://server/id`), by authenticated media (Matrix 1.11) or else by the old path.
///
/// # Errors
/// [`Failure`]; `M_NOT_FOUND` when there is no such file. Safe to repeat.
pub async fn fetch(matrix: &Matrix, mxc: &str) -> Result<Fetched, Failure> {
    let (server, id) = parts(mxc).ok_or_else(|| Failure::invalid("mxc URI"))?;
    let mut last = None;
    for base in ["/_matrix/client/v1/media/download", "/_matrix/media/v3/download"] {
        let user = form_urlencoded(matrix.bot.as_str());
        let path = format!("{base}/{server}/{id}?user_id={user}");
        let asked = matrix.api.plain(&path, Some(matrix.api.token())).send();
        // A file of another homeserver's may have to be fetched from there first.
        let answer = tokio::time::timeout(matrix.slow.timeout(), asked)
            .await
            .map_err(|_| Failure::away("it did not answer in time"))?
            .map_err(|error| net(&error))?;
        if answer.status().is_success() {
            return Ok(Fetched::new(answer, matrix.api.timeout()));
        }
        let failure = refused(answer).await;
        if !matches!(failure, Failure::Refused { .. }) {
            return Err(failure);
        }
        // What the new path says counts, unless there is no such path.
        let unknown = failure.refused_as("M_UNRECOGNIZED");
        if !unknown {
            return Err(last.unwrap_or(failure));
        }
        last = Some(failure);
    }
    Err(last.unwrap_or_else(|| Failure::away("no answer")))
}

fn form_urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Server and id of an `mxc:` URI; only letters that can do no harm in a path (Matrix, section "Matrix Content URIs").
pub(crate) fn parts(mxc: &str) -> Option<(&str, &str)> {
    let (server, id) = mxc.strip_prefix("mxc://")?.split_once('/')?;
    let safe = |text: &str, more: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    (safe(server, ".-:[]") && safe(id, "-_")).then_some((server, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_uris_become_paths() {
        assert_eq!(
            parts("mxc://example.org:8448/Abc-_1"),
            Some(("example.org:8448", "Abc-_1"))
        );
        for bad in [
            "https://a/b",
            "mxc://a",
            "mxc:///b",
            "mxc://a/",
            "mxc://a/../b",
            "mxc://a/b?c",
            "mxc://a/b/c",
            "mxc://../b%2f",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
