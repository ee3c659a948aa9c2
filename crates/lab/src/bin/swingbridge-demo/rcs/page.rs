//! The page of a phone with RCS.

use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use swingbridge_lab::rbm::Phone;
use tokio::net::TcpListener;

const PAGE: &str = include_str!("page.html");

struct Site {
    phone: Phone,
    /// What was written on it, with how many messages it showed by then.
    own: Mutex<Vec<(usize, String)>>,
    rcs: Mutex<bool>,
}

/// Serves the page on a free port of the loopback interface, and gives that.
pub async fn serve(phone: Phone) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("cannot serve the page of the phone with RCS")?;
    let port = listener.local_addr()?.port();
    let site = Arc::new(Site {
        phone,
        own: Mutex::default(),
        rcs: Mutex::new(true),
    });
    let routes = Router::new()
        .route("/", get(page))
        .route("/api/messages", get(messages))
        .route("/api/write", post(write))
        .route("/api/tap/{message}/{button}", post(tap))
        .route("/api/rcs", post(switch))
        .with_state(site);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            eprintln!("the page of the phone with RCS ended: {error}");
        }
    });
    Ok(port)
}

async fn page() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(PAGE)).into_response()
}

async fn messages(State(site): State<Arc<Site>>) -> Json<Value> {
    let shown = site.phone.shown();
    let mut all: Vec<Value> = Vec::new();
    let own = site.own.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut own = own.into_iter().peekable();
    for (index, one) in shown.iter().enumerate() {
        while let Some((_, text)) = own.next_if(|(before, _)| *before <= index) {
            all.push(json!({ "own": true, "text": text }));
        }
        let content = &one.message["contentMessage"];
        let card = content.pointer("/richCard/standaloneCard/cardContent");
        let buttons: Vec<Value> = one
            .buttons()
            .into_iter()
            .map(|button| json!({ "label": button.label, "replies": button.replies }))
            .collect();
        all.push(json!({
            "id": one.id,
            "text": one.text().map(str::to_owned).or_else(|| one.file().map(|_| "[a file]".to_owned())),
            "title": card.map(|card| card["title"].clone()),
            "description": card.map(|card| card["description"].clone()),
            "buttons": buttons,
        }));
    }
    all.extend(own.map(|(_, text)| json!({ "own": true, "text": text })));
    let rcs = *site.rcs.lock().unwrap_or_else(PoisonError::into_inner);
    Json(json!({ "rcs": rcs, "messages": all }))
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

async fn write(State(site): State<Arc<Site>>, headers: HeaderMap, Json(new): Json<Text>) -> StatusCode {
    if !is_from_here(&headers) || new.text.trim().is_empty() {
        return StatusCode::FORBIDDEN;
    }
    site.phone.writes(&new.text);
    said(&site, new.text);
    StatusCode::NO_CONTENT
}

async fn tap(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Path((message, button)): Path<(String, usize)>,
) -> StatusCode {
    if !is_from_here(&headers) {
        return StatusCode::FORBIDDEN;
    }
    let shown = site.phone.shown();
    let label = shown
        .iter()
        .find(|one| one.id == message)
        .and_then(|one| one.buttons().into_iter().nth(button))
        .map(|button| button.label);
    match (site.phone.taps(&message, button), label) {
        (Some(_), Some(label)) => {
            said(&site, label);
            StatusCode::NO_CONTENT
        }
        _ => StatusCode::NOT_FOUND,
    }
}

#[derive(Deserialize)]
struct Switch {
    on: bool,
}

async fn switch(State(site): State<Arc<Site>>, headers: HeaderMap, Json(new): Json<Switch>) -> StatusCode {
    if !is_from_here(&headers) {
        return StatusCode::FORBIDDEN;
    }
    site.phone.has_rcs(new.on);
    *site.rcs.lock().unwrap_or_else(PoisonError::into_inner) = new.on;
    StatusCode::NO_CONTENT
}

fn said(site: &Site, text: String) {
    let count = site.phone.shown().len();
    site.own
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push((count, text));
}

/// Whether the page itself asks, and no other site in the same browser.
pub fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    origin.is_none_or(|origin| Some(origin) == text(header::HOST))
}
