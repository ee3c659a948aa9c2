//! What goes wrong at a provider's HTTP interface, the same for each of the providers here.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// How long a service waits before a webhook is tried again; they wait minutes, and here nobody has the time.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(200);

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
    /// How long a webhook that was not taken waits before it is tried again; it doubles with each try. 20 ms without it.
    pub tries_after: Option<Duration>,
    /// The provider is away: every request is answered with 503 and not looked at, and webhooks wait.
    pub outage: bool,
    /// A request is neither looked at nor answered.
    pub hangs: bool,
}

/// The troubles of one provider, the webhooks that are held back, and how many requests there were.
#[derive(Clone, Debug)]
pub struct Troubles {
    client: reqwest::Client,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    now: Trouble,
    held: Vec<Hook>,
    asked: usize,
}

/// What signs the body of a webhook, at the time when it is asked.
pub type Sign = Arc<dyn Fn(&str) -> Vec<(&'static str, String)> + Send + Sync>;

/// One webhook, signed anew with each try.
#[derive(Clone)]
pub struct Hook {
    pub url: String,
    pub mime: &'static str,
    pub body: String,
    pub sign: Sign,
    /// How often it is tried until it is taken.
    pub tries: u32,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({}, {})", self.url, self.body)
    }
}

impl Troubles {
    /// Nothing goes wrong; `client` sends webhooks.
    #[must_use]
    pub fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            kept: Arc::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong now.
    #[must_use]
    pub fn now(&self) -> Trouble {
        self.kept().now.clone()
    }

    /// Changes it.
    pub fn change(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.kept().now);
    }

    /// How many requests came, whatever became of them.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.kept().asked
    }

    /// Counts a request; gives what goes wrong with it.
    pub fn meets(&self) -> Trouble {
        let mut kept = self.kept();
        kept.asked += 1;
        kept.now.clone()
    }

    /// Whether a webhook is held back or lost.
    pub fn keeps(&self, hook: impl FnOnce() -> Option<Hook>) -> bool {
        let trouble = self.now();
        if trouble.holds_webhooks && !trouble.tells_nothing {
            let hook = hook();
            self.kept().held.extend(hook);
        }
        trouble.holds_webhooks || trouble.tells_nothing
    }

    /// Sends a webhook, as far as nothing goes wrong.
    pub fn tell(&self, hook: Hook) {
        if hook.url.is_empty() || self.keeps(|| Some(hook.clone())) {
            return;
        }
        let trouble = self.now();
        if trouble.outage {
            self.kept().held.push(hook);
            return;
        }
        for _ in 0..if trouble.doubles_webhooks { 2 } else { 1 } {
            tokio::spawn(send(self.client.clone(), hook.clone(), trouble.tries_after));
        }
    }

    /// Sends what is told one after the other, each until it is taken: so do services that keep an order. `hook` makes its webhook anew
    /// for each try; `None`: nobody has said yet where it goes.
    pub async fn tell_in_order<T>(&self, mut told: UnboundedReceiver<T>, hook: impl Fn(&T) -> Option<Hook>) {
        while let Some(event) = told.recv().await {
            let doubles = self.now().doubles_webhooks;
            for _ in 0..if doubles { 2 } else { 1 } {
                self.until_taken(|| hook(&event)).await;
            }
        }
    }

    async fn until_taken(&self, hook: impl Fn() -> Option<Hook>) {
        let mut wait = FIRST_WAIT;
        loop {
            if let Some(hook) = hook().filter(|_| !self.now().outage)
                && (200..300).contains(&send_once(&self.client, &hook).await)
            {
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Sends the webhooks that were held back, one after the other, the last one first; gives what each was answered.
    pub async fn let_go(&self) -> Vec<u16> {
        let mut held = std::mem::take(&mut self.kept().held);
        held.reverse();
        let mut answers = Vec::new();
        for hook in held {
            answers.push(send(self.client.clone(), hook, None).await);
        }
        answers
    }
}

/// Gives the status of the last answer, 0 without one.
async fn send(client: reqwest::Client, hook: Hook, tries_after: Option<Duration>) -> u16 {
    let mut wait = tries_after.unwrap_or(FIRST_WAIT);
    let mut status = 0;
    for _ in 0..hook.tries {
        status = send_once(&client, &hook).await;
        if (200..300).contains(&status) {
            break;
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    status
}

async fn send_once(client: &reqwest::Client, hook: &Hook) -> u16 {
    let mut request = client.post(&hook.url).header("content-type", hook.mime);
    for (name, value) in (hook.sign)(&hook.body) {
        request = request.header(name, value);
    }
    match request.body(hook.body.clone()).send().await {
        Ok(answer) => answer.status().as_u16(),
        Err(_) => 0,
    }
}

/// Stands before the routes, in front of whatever looks at credentials.
pub async fn meet(State(troubles): State<Troubles>, request: Request, next: Next) -> Response {
    let trouble = troubles.meets();
    if trouble.hangs {
        std::future::pending::<()>().await;
    }
    if let Some(status) = trouble.answers.or(trouble.outage.then_some(503)) {
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
