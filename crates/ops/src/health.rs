//! Whether the gateway lives, and whether it is ready.
//!
//! *Live* means that its store thread answers: if it does not, a restart is the cure. *Ready* means that messages move: the
//! store takes writes, the homeserver answers, at least one connector is bound, and the inbox does not pile up. A gateway that
//! is not ready recovers by itself once the others are back; a restart helps nobody.

use futures_util::future::BoxFuture;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{Connector, Link, Shutdown};
use swingbridge_domain::store::{self, QueueDepth, Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long the store may take to answer.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// How long the homeserver may take to answer.
const HOMESERVER_PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer about the homeserver stays good.
const HOMESERVER_MEMORY: Duration = Duration::from_secs(10);
/// What lies in the inbox for longer was not looked at: processing is stuck.
const INBOX_PATIENCE: Duration = Duration::from_secs(60);

/// Asks the homeserver whether it is there; the error says why not.
pub type Reach = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What is asked.
pub struct Health {
    store: Arc<dyn Store>,
    connectors: Vec<Arc<dyn Connector>>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    reach: Reach,
    reached: Mutex<Option<(Timestamp, Result<(), String>)>>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub ok: bool,
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// In words; no addresses, no ids of people or rooms.
    pub detail: String,
}

impl Check {
    fn new(name: impl Into<String>, outcome: Result<String, String>) -> Self {
        let ok = outcome.is_ok();
        Self {
            name: name.into(),
            ok,
            detail: outcome.unwrap_or_else(|cause| cause),
        }
    }
}

impl Health {
    pub fn new(
        store: Arc<dyn Store>,
        connectors: Vec<Arc<dyn Connector>>,
        reach: Reach,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            store,
            connectors,
            clock,
            shutdown,
            reach,
            reached: Mutex::new(None),
        }
    }

    /// Whether the store thread answers at all.
    pub async fn live(&self) -> Report {
        let outcome = match self.depths().await {
            Ok(_) => Ok("answers".to_owned()),
            // It answers, and what it says is about the disk or the connection: a restart is no cure.
            Err(Answer::Error(StoreError::Closed)) => Err("is closed".to_owned()),
            Err(Answer::Error(_)) => Ok("answers, with an error".to_owned()),
            Err(Answer::Silence) => Err(format!("did not answer within {STORE_PATIENCE:?}")),
        };
        report(vec![Check::new("store", outcome)])
    }

    /// Whether messages move.
    pub async fn ready(&self) -> Report {
        if self.shutdown.is_requested() {
            return report(vec![Check::new("gateway", Err("is stopping".to_owned()))]);
        }
        let (depths, reached, links) = tokio::join!(self.depths(), self.reached(), self.links());
        let mut checks = match depths {
            Ok(depths) => vec![
                Check::new("store", Ok("takes writes".to_owned())),
                Check::new("inbox", self.inbox(&depths)),
            ],
            Err(Answer::Error(error)) => vec![Check::new("store", Err(error.to_string()))],
            Err(Answer::Silence) => vec![Check::new("store", Err("does not answer".to_owned()))],
        };
        checks.push(Check::new("homeserver", reached.map(|()| "answers".to_owned())));
        checks.extend(links);
        report(checks)
    }

    fn inbox(&self, depths: &[QueueDepth]) -> Result<String, String> {
        let inbox = depths.iter().find(|depth| depth.queue == "inbox");
        let age = inbox
            .and_then(|depth| depth.oldest)
            .map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
        if age > INBOX_PATIENCE {
            return Err(format!("its oldest entry waits for {} s", age.as_secs()));
        }
        Ok("is worked off".to_owned())
    }

    /// One bound connector is enough: the lines of the others wait.
    async fn links(&self) -> Vec<Check> {
        let probes = self.connectors.iter().map(|connector| async move {
            let health = connector.probe().await;
            let up = matches!(health.state, Link::Connected | Link::Degraded);
            (connector.id().to_string(), up, health.detail)
        });
        let found = futures_util::future::join_all(probes).await;
        let any = found.iter().any(|(_, up, _)| *up);
        found
            .into_iter()
            .map(|(id, up, detail)| Check {
                name: format!("connector {id}"),
                ok: up || any,
                detail: if up || !any {
                    detail
                } else {
                    format!("down ({detail}), others are up")
                },
            })
            .collect()
    }

    /// Whether the homeserver answers, asked at most every few seconds.
    pub async fn reached(&self) -> Result<(), String> {
        let mut reached = self.reached.lock().await;
        let now = self.clock.now();
        if let Some((at, answer)) = &*reached
            && now.since(*at) < HOMESERVER_MEMORY
        {
            return answer.clone();
        }
        let answer = timeout(HOMESERVER_PATIENCE, (self.reach)()).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("did not answer within {HOMESERVER_PATIENCE:?}")));
        *reached = Some((self.clock.now(), answer.clone()));
        answer
    }

    async fn depths(&self) -> Result<Vec<QueueDepth>, Answer> {
        match timeout(
            STORE_PATIENCE,
            store::run(&*self.store, |tables| tables.queue_depths()),
        )
        .await
        {
            Ok(Ok(depths)) => Ok(depths),
            Ok(Err(error)) => Err(Answer::Error(error)),
            Err(_) => Err(Answer::Silence),
        }
    }
}

enum Answer {
    Error(StoreError),
    Silence,
}

fn report(checks: Vec<Check>) -> Report {
    Report {
        ok: checks.iter().all(|check| check.ok),
        checks,
    }
}
