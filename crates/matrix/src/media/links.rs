//! Links to media that nobody guesses and that end by themselves, without a database: the link is the sealed address, what opens the
//! file, and its last moment.
//!
//! A plain file is streamed as it comes from the homeserver. One that lies encrypted there is written to the spool first and opened
//! from it: its hash is known only with its last octet, and nothing that might have been altered is served.

use super::fetch;
use super::spool::{cannot, path_of};
use crate::failure::Failure;
use crate::homeserver::Matrix;
use crate::routes::{error, wrong_method};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::BytesMut;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::homeserver::MediaLinks;
use swingbridge_domain::message::Media;
use swingbridge_domain::secret::Keys;
use tokio::io::AsyncReadExt;
use url::Url;

/// Where the router serves.
const PATH: &str = "/_swingbridge/media/";
/// Under which links to plain files are sealed; part of the format.
const CONTEXT: &str = "media link v1";
/// Under which links to encrypted files are.
const WITH_KEY: &str = "media link v2";
/// Octets of a file's key, its first counter block and its SHA-256 hash.
const SECRETS: [usize; 3] = [32, 16, 32];
/// Pieces in which an opened file is served, in octets.
const PIECE: usize = 64 * 1024;

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
    fn link(&self, media: &Media, now: Timestamp) -> Option<String> {
        let token = seal(&self.keys, media, now + self.lifetime)?;
        Some(format!("{}{PATH}{token}", self.base))
    }
}

/// What is in a link; `None` where the file's key is none that is understood.
///
/// As few octets as can be: the link goes into a text. Both formats begin with the last moment (8 octets, big endian) and end with the
/// `mxc:` URI; with a key there stand between them the [`SECRETS`], the length of the MIME type (one octet) and that.
fn seal(keys: &Keys, media: &Media, until: Timestamp) -> Option<String> {
    let mut plain = until.millis().to_be_bytes().to_vec();
    let context = match &media.key {
        None => CONTEXT,
        Some(key) => {
            plain.extend(secrets(key)?);
            // The homeserver knows only that it is encrypted. What is overlong is no MIME type.
            let mime = media.mime.as_deref().unwrap_or_default();
            let length = u8::try_from(mime.len()).unwrap_or_default();
            plain.push(length);
            plain.extend_from_slice(&mime.as_bytes()[..usize::from(length)]);
            WITH_KEY
        }
    };
    plain.extend_from_slice(media.uri.as_bytes());
    Some(data_encoding::BASE64URL_NOPAD.encode(&keys.seal(context, &plain)))
}

/// The file behind a link; `None` when it is forged, altered or over.
fn open(keys: &Keys, token: &str, now: Timestamp) -> Option<Media> {
    let sealed = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
    if let Ok(plain) = keys.open(CONTEXT, &sealed) {
        return Some(Media {
            uri: String::from_utf8(in_time(&plain, now)?.to_vec()).ok()?,
            ..Media::default()
        });
    }
    let plain = keys.open(WITH_KEY, &sealed).ok()?;
    let (secrets, rest) = in_time(&plain, now)?.split_at_checked(SECRETS.iter().sum())?;
    let (length, rest) = rest.split_first()?;
    let (mime, mxc) = rest.split_at_checked(usize::from(*length))?;
    let uri = String::from_utf8(mxc.to_vec()).ok()?;
    Some(Media {
        key: Some(key(secrets, &uri)),
        mime: String::from_utf8(mime.to_vec())
            .ok()
            .filter(|mime| !mime.is_empty()),
        uri,
        ..Media::default()
    })
}

fn in_time(plain: &[u8], now: Timestamp) -> Option<&[u8]> {
    let (until, rest) = plain.split_first_chunk::<8>()?;
    (now < Timestamp(i64::from_be_bytes(*until))).then_some(rest)
}

/// The [`SECRETS`] of an `EncryptedFile` (Matrix, "Sending encrypted attachments").
fn secrets(key: &str) -> Option<Vec<u8>> {
    let file: Value = serde_json::from_str(key).ok()?;
    if file["v"] != "v2" || file["key"]["alg"] != "A256CTR" {
        return None;
    }
    let mut octets = Vec::new();
    for (field, length) in ["/key/k", "/iv", "/hashes/sha256"].iter().zip(SECRETS) {
        let text = file.pointer(field)?.as_str()?.trim_end_matches('=');
        // The key is for URLs, the others are not; some clients do not know.
        let text = text.replace('-', "+").replace('_', "/");
        let part = data_encoding::BASE64_NOPAD.decode(text.as_bytes()).ok()?;
        if part.len() != length {
            return None;
        }
        octets.extend(part);
    }
    Some(octets)
}

/// The same as an `EncryptedFile` again.
fn key(secrets: &[u8], uri: &str) -> String {
    let (key, rest) = secrets.split_at(SECRETS[0]);
    let (counter, hash) = rest.split_at(SECRETS[1]);
    json!({
        "v": "v2",
        "url": uri,
        "key": {
            "kty": "oct",
            "key_ops": ["encrypt", "decrypt"],
            "alg": "A256CTR",
            "k": data_encoding::BASE64URL_NOPAD.encode(key),
            "ext": true,
        },
        "iv": data_encoding::BASE64_NOPAD.encode(counter),
        "hashes": { "sha256": data_encoding::BASE64_NOPAD.encode(hash) },
    })
    .to_string()
}

/// `GET /_swingbridge/media/{token}`: the file behind a link, streamed. The only route that the outside world needs.
pub fn router(matrix: Arc<Matrix>) -> Router {
    Router::new()
        .route("/_swingbridge/media/{token}", get(serve))
        .method_not_allowed_fallback(wrong_method)
        .with_state(matrix)
}

async fn serve(State(matrix): State<Arc<Matrix>>, Path(token): Path<String>) -> Response {
    // Over, forged, deleted and altered look the same from outside.
    let gone = || error(StatusCode::NOT_FOUND, "M_NOT_FOUND", "this link is over");
    let Some(media) = open(&matrix.keys, &token, matrix.clock.now()) else {
        return gone();
    };
    let served = match &media.key {
        None => plain(&matrix, &media.uri).await,
        Some(_) => opened(&matrix, &media).await,
    };
    match served {
        Ok(response) => response,
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

async fn plain(matrix: &Matrix, mxc: &str) -> Result<Response, Failure> {
    let file = fetch(matrix, mxc).await?;
    let (kind, length) = (file.content_type.clone(), file.length);
    Ok(response(
        Body::from_stream(file.stream()),
        kind.as_deref(),
        length,
    ))
}

/// A file that lies encrypted at the homeserver.
async fn opened(matrix: &Matrix, media: &Media) -> Result<Response, Failure> {
    // Whoever has a link can follow it as often as they like: the disk is not theirs to fill.
    let slot = matrix.carried.linked().await;
    let brought = matrix.bring(media).await?;
    let file = match path_of(&brought.uri) {
        Ok(path) => tokio::fs::File::open(path).await.map_err(|error| cannot(&error)),
        Err(failure) => Err(failure),
    };
    // It is read to its end all the same.
    matrix.spool.release(&brought).await;
    let pieces = futures_util::stream::unfold(file?, |mut file| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.freeze()), file)),
            Err(error) => Some((Err(error), file)),
        }
    });
    let body = Body::from_stream(pieces.map(move |piece| {
        let _held = &slot;
        piece
    }));
    Ok(response(body, media.mime.as_deref(), brought.size))
}

fn response(body: Body, kind: Option<&str>, length: Option<u64>) -> Response {
    let (kind, disposition) = shown_as(kind);
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    for (name, value) in [
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'; img-src 'self'; media-src 'self'",
        ),
        (
            HeaderName::from_static("x-robots-tag"),
            "noindex, nofollow, noarchive",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    response
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

    const MXC: &str = "mxc://example.org/abc";

    fn picture(key: Option<String>) -> Media {
        Media {
            kind: MediaKind::Image,
            name: "cat.png".into(),
            mime: Some("image/png".into()),
            uri: MXC.into(),
            key,
            ..Media::default()
        }
    }

    fn token(keys: &Keys, media: &Media) -> Option<String> {
        let public = Url::parse("https://media.example.org/").unwrap();
        let link = Links::new(keys.clone(), &public, Duration::from_secs(60)).link(media, Timestamp(1000))?;
        let token = link.strip_prefix("https://media.example.org/_swingbridge/media/");
        Some(token.unwrap().to_owned())
    }

    #[test]
    fn a_link_opens_until_its_time_is_over_and_only_with_its_key() {
        let keys = Keys::derive(&[1; 32], Arc::new(Fixed));
        let secrets = Vec::from_iter(0..80);
        for media in [picture(None), picture(Some(key(&secrets, MXC)))] {
            let token = token(&keys, &media).unwrap();
            assert!(!token.contains("example"));
            assert!(token.len() < 300, "it goes into a text: {} letters", token.len());
            let opened = open(&keys, &token, Timestamp(60_999)).unwrap();
            assert_eq!((opened.uri.as_str(), &opened.key), (MXC, &media.key));
            assert_eq!(open(&keys, &token, Timestamp(61_000)), None);
            let others = Keys::derive(&[2; 32], Arc::new(Fixed));
            assert_eq!(open(&others, &token, Timestamp(1000)), None);
            assert_eq!(open(&keys, &token[1..], Timestamp(1000)), None);
        }
        assert_eq!(open(&keys, "x", Timestamp(1000)), None);
    }

    #[test]
    fn a_link_to_an_encrypted_file_says_what_it_is_and_holds_all_that_opens_it() {
        let keys = Keys::derive(&[1; 32], Arc::new(Fixed));
        let media = picture(Some(key(&[7; 80], MXC)));
        let opened = open(&keys, &token(&keys, &media).unwrap(), Timestamp(1000)).unwrap();
        assert_eq!(opened.mime.as_deref(), Some("image/png"));
        assert_eq!(secrets(&opened.key.unwrap()), Some(vec![7; 80]));
        let overlong = Media {
            mime: Some("x".repeat(256)),
            ..media
        };
        let opened = open(&keys, &token(&keys, &overlong).unwrap(), Timestamp(1000)).unwrap();
        assert_eq!((opened.mime, opened.uri.as_str()), (None, MXC));
    }

    #[test]
    fn there_is_no_link_that_would_open_nothing() {
        let keys = Keys::derive(&[1; 32], Arc::new(Fixed));
        let good = key(&[7; 80], MXC);
        for bad in [
            "{}".to_owned(),
            "no JSON".to_owned(),
            good.replace("A256CTR", "A128CTR"),
            good.replace("\"v2\"", "\"v3\""),
            good.replace("BwcH", "?"),
            good.replacen("BwcH", "", 1),
        ] {
            assert_eq!(token(&keys, &picture(Some(bad.clone()))), None, "{bad}");
        }
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
