//! The page of the phones of a group.

use super::{PEOPLE, PICTURE, Phones};
use crate::rcs::page::is_from_here;
use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use swingbridge_lab::telnyx::NUMBER;
use tokio::net::TcpListener;

const PAGE: &str = include_str!("page.html");
/// The largest picture.
const LARGEST: usize = 8 << 20;

type Site = State<Arc<Phones>>;

/// Serves the page on a free port of the loopback interface, and gives that.
pub async fn serve(phones: Arc<Phones>) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("cannot serve the page of the group")?;
    let port = listener.local_addr()?.port();
    let routes = Router::new()
        .route("/", get(page))
        .route("/picture.png", get(async || show("image/png", PICTURE.to_vec())))
        .route("/api/said", get(said))
        .route("/api/picture/{at}", get(picture))
        .route("/api/write", post(write))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(phones);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            eprintln!("the page of the group ended: {error}");
        }
    });
    Ok(port)
}

async fn page() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; \
                  base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(PAGE)).into_response()
}

async fn said(State(phones): Site) -> Json<Value> {
    let people: Vec<Value> = PEOPLE
        .iter()
        .map(|(number, name)| json!({ "number": number, "name": name }))
        .collect();
    let said: Vec<Value> = phones
        .said()
        .into_iter()
        .map(|one| json!({ "from": one.from, "to": one.to, "text": one.text, "pictures": one.pictures }))
        .collect();
    Json(json!({ "line": NUMBER, "people": people, "said": said }))
}

async fn picture(State(phones): Site, Path(at): Path<usize>) -> Response {
    match phones.picture(at) {
        Some((mime, octets)) if mime.starts_with("image/") => show(&mime, octets),
        Some(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn show(mime: &str, octets: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, mime.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, octets).into_response()
}

#[derive(Deserialize)]
struct New {
    from: String,
    #[serde(default)]
    text: String,
}

/// The text stands in the query, a picture is the body.
async fn write(State(phones): Site, headers: HeaderMap, Query(new): Query<New>, body: Bytes) -> StatusCode {
    let known = PEOPLE.iter().any(|(number, _)| *number == new.from);
    if !is_from_here(&headers) || !known {
        return StatusCode::FORBIDDEN;
    }
    if new.text.trim().is_empty() && body.is_empty() {
        return StatusCode::BAD_REQUEST;
    }
    let mime = headers
        .get(header::CONTENT_TYPE)
        .and_then(|mime| mime.to_str().ok())
        .unwrap_or("application/octet-stream");
    let picture = (!body.is_empty()).then(|| (mime.to_owned(), body.to_vec()));
    phones.write(&new.from, new.text.trim(), picture);
    StatusCode::NO_CONTENT
}
