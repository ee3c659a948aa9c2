//! What the routers have in common: errors in Matrix's form, and tokens.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use swingbridge_domain::secret::Secret;

/// An error as Matrix writes it.
pub(crate) fn error(status: StatusCode, code: &str, text: &str) -> Response {
    (status, Json(json!({ "errcode": code, "error": text }))).into_response()
}

/// 404 `M_UNRECOGNIZED`, for paths that nothing serves. The binary sets it as the fallback of all its routes below
/// `/_matrix`.
pub async fn unrecognized() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "M_UNRECOGNIZED",
        "there is no such endpoint",
    )
}

/// 405 `M_UNRECOGNIZED`, for methods that a path does not have.
pub(crate) async fn wrong_method() -> Response {
    error(
        StatusCode::METHOD_NOT_ALLOWED,
        "M_UNRECOGNIZED",
        "this endpoint has other methods",
    )
}

/// A secret kept as its digest, so that comparing tells nothing of it, not even its length.
#[derive(Clone)]
pub(crate) struct Expected([u8; 32]);

impl Expected {
    pub fn new(secret: &Secret) -> Self {
        Self(digest(secret.expose()))
    }

    pub fn is(&self, token: &str) -> bool {
        bool::from(self.0.ct_eq(&digest(token)))
    }
}

pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The token in the `Authorization` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A value of the query.
pub(crate) fn query<'a>(uri: &'a Uri, key: &str) -> Option<std::borrow::Cow<'a, str>> {
    url::form_urlencoded::parse(uri.query()?.as_bytes())
        .find(|(name, _)| name == key)
        .map(|(_, value)| value)
}
