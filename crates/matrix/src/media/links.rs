//! Links to media that nobody guesses and that end by themselves, without a database: the link is the sealed address and
//! its last moment.

use super::fetch;
use crate::failure::Failure;
use crate::homeserver::Matrix;
use crate::routes::{error, wrong_method};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::homeserver::MediaLinks;
use swingbridge_domain::message::Media;
use swingbridge_domain::secret::Keys;
use url::Url;

/// Where the router serves.
const PATH: &str = "/_swingbridge/media/";
/// Under which links are sealed; part of the format.
const CONTEXT: &str = "media link v1";

/// Makes the links, for the engine.
pub struct Links {
    keys: Keys,
    /// The address under which phones reach us.
    base: String,
    lifetime: Duration,
}

impl Links {
    /// `public` is where phones reach the [`router`]; links end after `lifetime`.
    pub fn new(keys: Keys, public: &Url, lifetime: Duration) -> Self {
        Self {
            keys,
            base: public.as_str().trim_end_matches('/').to_owned(),
            lifetime,
        }
    }
}

impl MediaLinks for Links {
    fn link(&self, media: &Media, now: Timestamp) -> String {
        let token = seal(&self.keys, &media.uri, now + self.lifetime);
        format!("{}{PATH}{token}", self.base)
    }
}

fn seal(keys: &Keys, mxc: &str, until: Timestamp) -> String {
    let mut plain = until.millis().to_be_bytes().to_vec();
    plain.extend_from_slice(mxc.as_bytes());
    data_encoding::BASE64URL_NOPAD.encode(&keys.seal(CONTEXT, &plain))
}

/// The address in a link; `None` when it is forged, altered or over.
fn open(keys: &Keys, token: &str, now: Timestamp) -> Option<String> {
    let sealed = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    let plain = keys.open(CONTEXT, &sealed).ok()?;
    let (until, mxc) = plain.split_first_chunk::<8>()?;
    let until = Timestamp(i64::from_be_bytes(*until));
    (now < until).then(|| String::from_utf8(mxc.to_vec()).ok())?
}

/// `GET /_swingbridge/media/{token}`: the file behind a link, streamed. The only route that the outside world needs.
pub fn router(matrix: Arc<Matrix>) -> Router {
    Router::new()
        .route("/_swingbridge/media/{token}", get(serve))
        .method_not_allowed_fallback(wrong_method)
        .with_state(matrix)
}

async fn serve(State(matrix): State<Arc<Matrix>>, Path(token): Path<String>) -> Response {
    // Over, forged and deleted look the same from outside.
    let gone = || error(StatusCode::NOT_FOUND, "M_NOT_FOUND", "this link is over");
    let Some(mxc) = open(&matrix.keys, &token, matrix.clock.now()) else {
        return gone();
    };
    match fetch(&matrix, &mxc).await {
        Ok(file) => {
            let (kind, disposition) = shown_as(file.content_type.as_deref());
            let length = file.length;
            let mut response = Body::from_stream(file.stream()).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, kind);
            headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
            headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("sandbox; default-src 'none'; img-src 'self'; media-src 'self'"),
            );
            if let Some(length) = length {
                headers.insert(header::CONTENT_LENGTH, length.into());
            }
            response
        }
        Err(Failure::Refused { .. }) => gone(),
        Err(Failure::Away { detail, .. }) => {
            tracing::warn!(detail, "a linked file cannot be fetched from the homeserver");
            error(
                StatusCode::BAD_GATEWAY,
                "M_UNKNOWN",
                "the file cannot be fetched now; try again later",
            )
        }
    }
}

/// How a file of this type is handed on: what a browser only draws or plays is shown, all else is saved, and what could run
/// is not even named.
fn shown_as(kind: Option<&str>) -> (HeaderValue, &'static str) {
    const SHOWN: [&str; 18] = [
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/avif",
        "video/mp4",
        "video/webm",
        "video/ogg",
        "video/3gpp",
        "video/quicktime",
        "audio/mp4",
        "audio/mpeg",
        "audio/aac",
        "audio/ogg",
        "audio/webm",
        "audio/wav",
        "audio/flac",
        "text/plain; charset=utf-8",
    ];
    const RUNS: [&str; 6] = [
        "html",
        "xml",
        "svg",
        "javascript",
        "ecmascript",
        "x-shockwave-flash",
    ];
    let kind = kind.unwrap_or("application/octet-stream");
    let bare = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if let Some(known) = SHOWN
        .iter()
        .find(|shown| shown.split(';').next() == Some(bare.as_str()))
    {
        return (HeaderValue::from_static(known), "inline");
    }
    let binary = HeaderValue::from_static("application/octet-stream");
    if RUNS.iter().any(|runs| bare.contains(runs)) {
        return (binary, "attachment");
    }
    (HeaderValue::from_str(&bare).unwrap_or(binary), "attachment")
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_domain::clock::Entropy;
    use swingbridge_domain::message::MediaKind;

    struct Fixed;
    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn link(keys: &Keys) -> String {
        let public = Url::parse("https://media.example.org/").unwrap();
        let media = Media {
            kind: MediaKind::Image,
            name: "cat.png".into(),
            uri: "mxc://example.org/abc".into(),
            ..Media::default()
        };
        Links::new(keys.clone(), &public, Duration::from_secs(60)).link(&media, Timestamp(1000))
    }

    #[test]
    fn a_link_opens_until_its_time_is_over_and_only_with_its_key() {
        let keys = Keys::derive(&[1; 32], Arc::new(Fixed));
        let link = link(&keys);
        let token = link
            .strip_prefix("https://media.example.org/_swingbridge/media/")
            .unwrap();
        assert!(!token.contains("example"));
        assert_eq!(
            open(&keys, token, Timestamp(60_999)).as_deref(),
            Some("mxc://example.org/abc")
        );
        assert_eq!(open(&keys, token, Timestamp(61_000)), None);
        assert_eq!(
            open(&Keys::derive(&[2; 32], Arc::new(Fixed)), token, Timestamp(1000)),
            None
        );
        assert_eq!(open(&keys, &token[1..], Timestamp(1000)), None);
        assert_eq!(open(&keys, "x", Timestamp(1000)), None);
    }

    #[test]
    fn what_could_run_in_a_browser_is_only_saved() {
        assert_eq!(shown_as(Some("image/png")).1, "inline");
        assert_eq!(shown_as(Some("IMAGE/JPEG; x=y")).1, "inline");
        for kind in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/javascript",
        ] {
            assert_eq!(
                shown_as(Some(kind)),
                (HeaderValue::from_static("application/octet-stream"), "attachment"),
                "{kind}"
            );
        }
        assert_eq!(
            shown_as(Some("application/pdf")),
            (HeaderValue::from_static("application/pdf"), "attachment")
        );
        assert_eq!(shown_as(None).1, "attachment");
        assert_eq!(shown_as(Some("bad\nvalue")).1, "attachment");
    }
}
