//! An account at a provider while it is at work: its inbox, its health, and the sends that have begun.

use super::files::keep_swept;
use super::http::{Http, later};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{ConnectorError, Health, Link, SendError, Shutdown};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::{Arrival, Inbox, InboxError};
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How many messages are handed to a provider at once.
pub const AT_ONCE: u32 = 16;
/// How long a connection to a provider is kept that nothing passes.
const IDLE: Duration = Duration::from_secs(90);
/// How long sends that have begun are waited for when the program stops.
const LAST_SENDS: Duration = Duration::from_secs(4);

/// What each connector of a provider keeps.
pub struct Account {
    pub id: ConnectorId,
    pub clock: Arc<dyn Clock>,
    pub http: Http,
    /// Where files go that came.
    pub media: PathBuf,
    inbox: OnceLock<Arc<dyn Inbox>>,
    stopping: CancellationToken,
    sends: TaskTracker,
    state: Mutex<State>,
}

struct State {
    link: Link,
    detail: String,
    last_traffic: Option<Timestamp>,
}

/// A connector cannot be made as it is set.
pub fn settings(id: &ConnectorId, cause: impl ToString) -> ConnectorError {
    ConnectorError {
        connector: id.clone(),
        cause: cause.to_string(),
        cure: "change the connector's settings".to_owned(),
    }
}

impl Account {
    /// `request`: how long one request may take.
    ///
    /// # Errors
    /// A person must act.
    pub fn new(
        id: ConnectorId,
        clock: Arc<dyn Clock>,
        ca_file: Option<&Path>,
        request: Duration,
        media: PathBuf,
    ) -> Result<Self, ConnectorError> {
        let http = Http::new(ca_file, request, IDLE).map_err(|cause| settings(&id, cause))?;
        Ok(Self::with(id, clock, http, media))
    }

    pub fn with(id: ConnectorId, clock: Arc<dyn Clock>, http: Http, media: PathBuf) -> Self {
        Self {
            id,
            clock,
            http,
            media,
            inbox: OnceLock::new(),
            stopping: CancellationToken::new(),
            sends: TaskTracker::new(),
            state: Mutex::new(State {
                link: Link::Disconnected,
                detail: "nothing was asked or sent yet".to_owned(),
                last_traffic: None,
            }),
        }
    }

    /// Takes webhooks and does `task` until `shutdown`, then waits a few seconds for the sends that have begun.
    pub async fn work(&self, inbox: Arc<dyn Inbox>, shutdown: Shutdown, task: impl Future<Output = ()>) {
        let _ = self.inbox.set(inbox);
        tokio::select! {
            () = task => {}
            () = keep_swept(&self.media, &*self.clock) => {}
            () = shutdown.requested() => {}
        }
        self.stopping.cancel();
        self.sends.close();
        let _ = timeout(LAST_SENDS, self.sends.wait()).await;
    }

    /// Counts a send until the token is dropped.
    ///
    /// # Errors
    /// The program is stopping; it did not leave.
    pub fn begin_send(&self) -> Result<TaskTrackerToken, SendError> {
        let token = self.sends.token();
        match self.stopping.is_cancelled() {
            true => Err(later(Duration::from_secs(1), "the program is stopping", false)),
            false => Ok(token),
        }
    }

    /// Commits what came.
    ///
    /// # Errors
    /// It is not committed; whoever brought it should come again.
    pub async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        if self.stopping.is_cancelled() {
            return Err(InboxError::Closed);
        }
        if arrivals.is_empty() {
            return Ok(());
        }
        let inbox = self
            .inbox
            .get()
            .ok_or_else(|| InboxError::Unavailable("the connector does not run yet".to_owned()))?;
        inbox.deliver(arrivals).await?;
        self.traffic();
        Ok(())
    }

    /// The provider answers; `problem`: what is not as it should be. What is said twice in a row is logged once.
    pub fn connected(&self, problem: Option<&str>) {
        match problem {
            Some(problem) => self.set(Link::Degraded, problem),
            None => self.set(Link::Connected, ""),
        }
    }

    pub fn disconnected(&self, detail: &str) {
        self.set(Link::Disconnected, detail);
    }

    pub fn refused(&self, detail: &str) {
        self.set(Link::Refused, detail);
    }

    fn set(&self, link: Link, detail: &str) {
        let mut state = self.state();
        // Said once, not with each try.
        if state.link != link || state.detail != detail {
            match link {
                Link::Connected => tracing::info!(connector = %self.id, "the service answers"),
                Link::Refused => tracing::error!(connector = %self.id, "{detail}"),
                _ => tracing::warn!(connector = %self.id, "{detail}"),
            }
        }
        state.link = link;
        detail.clone_into(&mut state.detail);
    }

    /// A message or a receipt was carried.
    pub fn traffic(&self) {
        let now = self.clock.now();
        self.state().last_traffic = Some(now);
    }

    pub fn health(&self) -> Health {
        let state = self.state();
        Health {
            state: state.link,
            detail: state.detail.clone(),
            last_traffic: state.last_traffic,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The legs of a text from the contact's phone by a provider to `ours`. `urls`: by which we call the provider and it calls us.
pub fn way(provider: &str, rcs: bool, ours: &Place, urls: &[&str]) -> Vec<Leg> {
    let provider = Place::Provider(provider.to_owned());
    let link = match urls.iter().all(|url| url.is_empty() || url.starts_with("https:")) {
        true => Protection::Transport,
        false => Protection::None,
    };
    let (radio, evidence) = match rcs {
        // Not end-to-end encrypted; what protects it on the way to the carrier's server is not told.
        true => (Protection::Unknown, Evidence::None),
        false => (Protection::None, Evidence::NetworkCannot),
    };
    vec![
        Leg::new(Place::Phone, Place::Carrier, radio, evidence),
        Leg::new(
            Place::Carrier,
            provider.clone(),
            Protection::Unknown,
            Evidence::None,
        ),
        Leg::new(provider, ours.clone(), link, Evidence::OurOwnEnd),
    ]
}
