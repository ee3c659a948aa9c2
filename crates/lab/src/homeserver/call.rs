//! One request as the stub reads it, and what comes of it.

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A request, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub method: Method,
    /// The segments of the path, decoded one by one: identifiers may hold encoded slashes.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub token: Option<String>,
    pub mime: Option<String>,
    pub body: Bytes,
}

/// An error of the homeserver.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub words: String,
    pub pause: Option<Duration>,
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Json(u16, Value),
    File { mime: String, bytes: Bytes },
}

pub(super) type Outcome = Result<Answer, Refusal>;

pub(super) fn refuse<T>(status: u16, code: &'static str, words: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        status,
        code,
        words: words.into(),
        pause: None,
    })
}

pub(super) fn forbid<T>(words: impl Into<String>) -> Result<T, Refusal> {
    refuse(403, "M_FORBIDDEN", words)
}

pub(super) fn not_found<T>(words: impl Into<String>) -> Result<T, Refusal> {
    refuse(404, "M_NOT_FOUND", words)
}

pub(super) fn done(value: Value) -> Outcome {
    Ok(Answer::Json(200, value))
}

impl Call {
    /// Takes a request apart; `None` when the path is no valid percent-encoding.
    pub(super) fn read(parts: &Parts, body: Bytes) -> Option<Self> {
        let path = parts.uri.path().trim_start_matches('/').split('/');
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let query = pairs(parts.uri.query().unwrap_or_default())?;
        let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let token = bearer
            .map(str::to_owned)
            .or_else(|| find(&query, "access_token").map(str::to_owned));
        Some(Self {
            method: parts.method.clone(),
            path: path
                .map(|segment| decode(segment, false))
                .collect::<Option<_>>()?,
            token,
            mime: text(header::CONTENT_TYPE)
                .map(|mime| mime.split(';').next().unwrap_or_default().trim().to_owned()),
            query,
            body,
        })
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// The path as one text, for transaction ids and the log.
    pub(super) fn path_text(&self) -> String {
        self.path.join("/")
    }

    /// The body as a JSON object. An empty body is an empty object only where `optional`.
    pub(super) fn object(&self, optional: bool) -> Result<Map<String, Value>, Refusal> {
        if self.body.is_empty() && optional {
            return Ok(Map::new());
        }
        // Synapse does not look at the type; others refuse the body without it.
        if self.mime.as_deref() != Some("application/json") {
            return refuse(400, "M_BAD_JSON", "the body is not declared as application/json");
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => refuse(400, "M_BAD_JSON", "Content must be a JSON object."),
            Err(_) => refuse(400, "M_NOT_JSON", "Content not JSON."),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({"errcode": self.code, "error": self.words});
        let mut headers = axum::http::HeaderMap::new();
        if let Some(pause) = self.pause {
            body["retry_after_ms"] = json!(pause.as_millis() as u64);
            headers.insert(header::RETRY_AFTER, pause.as_secs().max(1).into());
        }
        (status(self.status), headers, axum::Json(body)).into_response()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Answer::Json(code, value) => (status(code), axum::Json(value)).into_response(),
            Answer::File { mime, bytes } => ([(header::CONTENT_TYPE, mime)], bytes).into_response(),
        }
    }
}

pub(super) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn find<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key, true)?, decode(value, true)?))
        })
        .collect()
}

/// Undoes percent-encoding (RFC 3986 section 2.1); in a query a plus is a space.
fn decode(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_slashes_stay_within_their_segment() {
        let request = axum::http::Request::builder()
            .uri("/a/%21x%2Fy%3Az/b?q=%2B1+2&access_token=t")
            .body(())
            .unwrap();
        let call = Call::read(&request.into_parts().0, Bytes::new()).unwrap();
        assert_eq!(call.path, ["a", "!x/y:z", "b"]);
        assert_eq!(call.query("q"), Some("+1 2"));
        assert_eq!(call.token.as_deref(), Some("t"));
    }
}
