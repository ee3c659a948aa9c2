//! The page of phones: the device's own, and those of its contacts. It is the carrier's page, over what is on the device.

use super::handset::{Handset, Kind, Text};
use super::house::{CONTACTS, OWN};
use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_lab::smsc::{Message, Progress, key};
use tokio::net::TcpListener;

const PAGE: &str = include_str!("../../../smsc/page.html");

/// What a page without a carrier says in other words.
const WORDS: &[(&str, &str)] = &[
    (
        "<title>Phones of the lab carrier</title>",
        "<title>DEVICE and her contacts</title>",
    ),
    (
        "<h1>Phones of the lab carrier</h1>",
        "<h1>DEVICE and her contacts</h1>",
    ),
    ("\"gateway connected\"", "\"the relay runs\""),
    ("\"the carrier is not running\"", "\"the demo is not running\""),
    ("Number of a new phone", "Number of a new contact"),
    ("Add a phone", "Add a contact"),
    // Neither has a switch.
    ("</style>", ".power { display: none; }\n</style>"),
];

/// How often the device is looked at for those who watch.
const LOOK: Duration = Duration::from_millis(250);

struct Site {
    handset: Arc<Handset>,
    page: String,
    /// Contacts that were added on the page.
    added: Mutex<Vec<String>>,
}

/// Serves the page on a port of the loopback interface.
pub async fn serve(kind: Kind, handset: Arc<Handset>, port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .context("cannot serve the page of phones")?;
    let site = Site {
        handset,
        page: worded(kind),
        added: Mutex::default(),
    };
    let routes = Router::new()
        .route("/", get(page))
        .route("/api/phones", get(phones).post(add))
        .route("/api/phones/{number}/send", post(send))
        .route("/api/messages", get(messages))
        .route("/api/status", get(status))
        .route("/api/events", get(events))
        .with_state(Arc::new(site));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            eprintln!("the page of phones ended: {error}");
        }
    });
    Ok(())
}

fn worded(kind: Kind) -> String {
    let page = WORDS
        .iter()
        .fold(PAGE.to_owned(), |page, (was, is)| page.replace(was, is));
    page.replace("DEVICE", kind.name())
}

async fn page(State(site): State<Arc<Site>>) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";
    let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
    (headers, Html(site.page.clone())).into_response()
}

async fn phones(State(site): State<Arc<Site>>) -> Json<Vec<serde_json::Value>> {
    let mut contacts: Vec<(String, Option<&str>)> = CONTACTS
        .iter()
        .map(|(number, name)| (key(number), Some(*name)))
        .collect();
    let added = site.added.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // Those of an earlier run have left their texts.
    let written = site.handset.texts().unwrap_or_default();
    let more = added
        .into_iter()
        .chain(written.iter().map(|text| key(&text.contact)));
    for number in more {
        if !contacts.iter().any(|(known, _)| *known == number) {
            contacts.push((number, None));
        }
    }
    let own = (key(OWN), Some("Alice herself"));
    let all = std::iter::once(own).chain(contacts);
    Json(
        all.map(|(number, name)| json!({ "number": number, "name": name, "reach": "on" }))
            .collect(),
    )
}

#[derive(Deserialize)]
struct New {
    number: String,
}

async fn add(State(site): State<Arc<Site>>, Json(new): Json<New>) -> Response {
    let number = key(&new.number);
    if !is_number(&number) {
        return refused("A contact's number has 7 to 15 digits, with the country code.");
    }
    let mut added = site.added.lock().unwrap_or_else(PoisonError::into_inner);
    if !added.contains(&number) {
        added.push(number.clone());
    }
    Json(json!({ "number": number, "name": null, "reach": "on" })).into_response()
}

#[derive(Deserialize)]
struct NewText {
    text: String,
    to: String,
}

async fn send(
    State(site): State<Arc<Site>>,
    Path(number): Path<String>,
    headers: HeaderMap,
    Json(new): Json<NewText>,
) -> Response {
    if !is_from_here(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let (from, to, own) = (key(&number), key(&new.to), key(OWN));
    if !is_number(&from) || !is_number(&to) || new.text.is_empty() {
        return refused("A text needs a number with its country code, and at least one character.");
    }
    let written = match (from == own, to == own) {
        (true, false) => site.handset.writes(&format!("+{to}"), &new.text),
        (false, true) => site.handset.receives(&format!("+{from}"), &new.text),
        _ => return refused("Only texts to and from Alice are played here."),
    };
    match written {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

async fn messages(State(site): State<Arc<Site>>) -> Response {
    match site.handset.texts() {
        Ok(texts) => Json(texts.iter().flat_map(shown).collect::<Vec<_>>()).into_response(),
        Err(error) => failed(&error),
    }
}

async fn status() -> Json<serde_json::Value> {
    let usual = CONTACTS.first().map(|(number, _)| key(number));
    Json(json!({ "lines": [key(OWN), usual], "bound": 1 }))
}

/// Tells what has changed on the device since it was last looked at.
async fn events(State(site): State<Arc<Site>>) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    struct Watch {
        site: Arc<Site>,
        known: HashMap<u64, Message>,
        news: VecDeque<sse::Event>,
    }
    let watch = Watch {
        site,
        known: HashMap::new(),
        // The demo ends when the relay does.
        news: [sse::Event::default().event("bound").data("1")].into(),
    };
    let told = stream::unfold(watch, |mut watch| async move {
        loop {
            if let Some(event) = watch.news.pop_front() {
                return Some((Ok(event), watch));
            }
            tokio::time::sleep(LOOK).await;
            // What cannot be read now is read next time.
            for message in watch
                .site
                .handset
                .texts()
                .unwrap_or_default()
                .iter()
                .flat_map(shown)
            {
                if watch.known.get(&message.id) != Some(&message) {
                    let data = json!(message).to_string();
                    watch
                        .news
                        .push_back(sse::Event::default().event("message").data(data));
                    watch.known.insert(message.id, message);
                }
            }
        }
    });
    Sse::new(told).keep_alive(KeepAlive::default())
}

/// A text as its phones show it: the device's own, and the contact's once it came there.
fn shown(text: &Text) -> Vec<Message> {
    let (own, contact) = (key(OWN), key(&text.contact));
    let at_own = Message {
        id: text.id * 2,
        phone: own.clone(),
        peer: contact.clone(),
        from_phone: text.outgoing,
        text: text.text.clone(),
        at: Timestamp(text.at),
        progress: text.progress,
        segments: 1,
    };
    let left = !text.outgoing || matches!(text.progress, Progress::Underway | Progress::Done);
    let at_contact = left.then(|| Message {
        id: text.id * 2 + 1,
        phone: contact,
        peer: own,
        from_phone: !text.outgoing,
        progress: Progress::Done,
        ..at_own.clone()
    });
    std::iter::once(at_own).chain(at_contact).collect()
}

/// Other sites that the person's browser has open may not write texts here.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let named = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let origin = text(header::ORIGIN).is_none_or(|origin| origin == format!("http://{host}"));
    matches!(named, "127.0.0.1" | "localhost") && origin
}

fn is_number(key: &str) -> bool {
    (7..=15).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_digit())
}

fn refused(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response()
}

fn failed(error: &anyhow::Error) -> Response {
    let error = format!("The device cannot be read or written: {error:#}");
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": error }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_the_carriers_page_that_does_not_fit_is_replaced() {
        for (was, _) in WORDS {
            assert!(PAGE.contains(was), "the page has no {was}");
        }
        let page = worded(Kind::Mac);
        assert!(page.contains("<h1>Alice's Mac and her contacts</h1>"), "{page}");
        assert!(!page.contains("DEVICE"), "{page}");
    }

    #[test]
    fn a_text_stands_on_both_phones_unless_it_failed() {
        let mut text = Text {
            id: 3,
            contact: "+447700900456".into(),
            outgoing: true,
            text: "hello".into(),
            at: 1,
            progress: Progress::Underway,
        };
        let both = shown(&text);
        assert_eq!(both.len(), 2);
        assert_eq!(
            (both[0].phone.as_str(), both[0].from_phone),
            ("447700900001", true)
        );
        assert_eq!(
            (both[1].phone.as_str(), both[1].from_phone),
            ("447700900456", false)
        );
        assert_ne!(both[0].id, both[1].id);
        text.progress = Progress::Failed;
        assert_eq!(shown(&text).len(), 1);
    }

    #[test]
    fn another_site_cannot_write_texts() {
        let of = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            is_from_here(&headers)
        };
        assert!(of("127.0.0.1:1", None));
        assert!(of("127.0.0.1:1", Some("http://127.0.0.1:1")));
        assert!(!of("127.0.0.1:1", Some("http://127.0.0.1:2")));
        assert!(!of("rebound.example:1", None));
    }
}
