//! What goes wrong at a provider's HTTP interface, the same for each of the providers here.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// Every request is answered with this, and not looked at.
    pub answers: Option<u16>,
    /// With such an answer, for how many seconds to stay away.
    pub retry_after: Option<u32>,
    /// A request is taken, and the answer never comes.
    pub swallows_answers: bool,
    /// A request is taken, and the second half of the answer is missing.
    pub truncates_answers: bool,
    /// The account's credentials are not valid any more.
    pub refuses_credentials: bool,
    /// Each webhook is sent twice.
    pub doubles_webhooks: bool,
    /// Webhooks are held back, until [`Troubles::let_go`] lets them out in the reverse order.
    pub holds_webhooks: bool,
    /// Webhooks are not sent at all.
    pub tells_nothing: bool,
    /// How long a webhook that was not taken waits before it is tried again; it doubles with each try. 20 ms without it: nobody has the
    /// time that providers take.
    pub tries_after: Option<Duration>,
}

const TRIES_AFTER: Duration = Duration::from_millis(20);

/// The troubles of one provider, and the webhooks that are held back.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Arc<Mutex<(Trouble, Vec<Hook>)>>);

/// One webhook, signed anew with each try.
#[derive(Clone, Debug)]
pub struct Hook {
    pub url: String,
    pub mime: &'static str,
    pub body: String,
    pub headers: Vec<(&'static str, String)>,
    /// How often it is tried until it is taken.
    pub tries: u32,
}

impl Troubles {
    fn both(&self) -> MutexGuard<'_, (Trouble, Vec<Hook>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong now.
    #[must_use]
    pub fn now(&self) -> Trouble {
        self.both().0.clone()
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.both().0);
    }

    /// Sends a webhook, as far as nothing goes wrong.
    pub fn tell(&self, client: &reqwest::Client, hook: Hook) {
        let trouble = self.now();
        if trouble.tells_nothing || hook.url.is_empty() {
            return;
        }
        if trouble.holds_webhooks {
            self.both().1.push(hook);
            return;
        }
        for _ in 0..if trouble.doubles_webhooks { 2 } else { 1 } {
            tokio::spawn(send(client.clone(), hook.clone(), trouble.tries_after));
        }
    }

    /// Sends the webhooks that were held back, one after the other, the last one first; gives what each was answered.
    pub async fn let_go(&self, client: &reqwest::Client) -> Vec<u16> {
        let mut held = std::mem::take(&mut self.both().1);
        held.reverse();
        let mut answers = Vec::new();
        for hook in held {
            answers.push(send(client.clone(), hook, None).await);
        }
        answers
    }
}

/// Gives the status of the last answer, 0 without one.
async fn send(client: reqwest::Client, hook: Hook, tries_after: Option<Duration>) -> u16 {
    let mut wait = tries_after.unwrap_or(TRIES_AFTER);
    let mut status = 0;
    for _ in 0..hook.tries {
        let mut request = client.post(&hook.url).header("content-type", hook.mime);
        for (name, value) in &hook.headers {
            request = request.header(*name, value);
        }
        if let Ok(answer) = request.body(hook.body.clone()).send().await {
            status = answer.status().as_u16();
            if answer.status().is_success() {
                break;
            }
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    status
}

/// Stands before the routes.
pub async fn meet(State(troubles): State<Troubles>, request: Request, next: Next) -> Response {
    let trouble = troubles.now();
    if let Some(status) = trouble.answers {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = (status, Json(json!({ "message": "as the scenario wants" }))).into_response();
        if let Some(seconds) = trouble.retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        return answer;
    }
    let answer = next.run(request).await;
    if trouble.swallows_answers {
        std::future::pending::<()>().await;
    }
    if !trouble.truncates_answers {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let octets = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(octets.slice(..octets.len() / 2)))
}

/// A client for webhooks.
///
/// # Errors
/// The system's.
pub fn client() -> std::io::Result<reqwest::Client> {
    // Whoever came first may have installed one; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(std::io::Error::other)
}
