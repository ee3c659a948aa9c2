//! What the operator's pages answer.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use swingbridge_domain::capability::Capabilities;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{
    Accepted, Connector, ConnectorError, Link, Outbound, SendError, Shutdown,
};
use swingbridge_domain::id::ConnectorId;
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::store::{Job, Store, StoreError};
use swingbridge_ops::health::{Health, Reach};

/// A store that answers with an error, or not at all.
struct Broken {
    silent: bool,
    error: StoreError,
}

impl Store for Broken {
    fn submit(&self, job: Box<dyn Job>) {
        if self.silent {
            // Kept for ever: nobody answers.
            std::mem::forget(job);
        } else {
            job.finish(Err(self.error.clone()));
        }
    }

    fn close(&self) {}
}

struct Turned;
impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000)
    }
}

struct Bound(ConnectorId, Link);

#[async_trait]
impl Connector for Bound {
    fn id(&self) -> &ConnectorId {
        &self.0
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
    async fn run(self: Arc<Self>, _: Arc<dyn Inbox>, _: Shutdown) -> Result<(), ConnectorError> {
        Ok(())
    }
    async fn send(&self, _: Outbound) -> Result<Accepted, SendError> {
        Ok(Accepted::default())
    }
    async fn probe(&self) -> swingbridge_domain::connector::Health {
        swingbridge_domain::connector::Health {
            state: self.1,
            detail: "as set".into(),
            last_traffic: None,
        }
    }
}

fn reach(answer: Result<(), String>, asked: Arc<AtomicU32>) -> Reach {
    Box::new(move || {
        asked.fetch_add(1, Ordering::Relaxed);
        let answer = answer.clone();
        Box::pin(async move { answer })
    })
}

fn health(store: Broken, links: &[Link], reached: Result<(), String>) -> Health {
    let connectors = links
        .iter()
        .enumerate()
        .map(|(index, link)| {
            Arc::new(Bound(ConnectorId::new(format!("c{index}")), *link)) as Arc<dyn Connector>
        })
        .collect();
    Health::new(
        Arc::new(store),
        connectors,
        reach(reached, Arc::default()),
        Arc::new(Turned),
        Shutdown::never(),
    )
}

fn full_disk() -> Broken {
    Broken {
        silent: false,
        error: StoreError::Unavailable("the disk is full".into()),
    }
}

#[tokio::test]
async fn a_silent_store_is_dead_and_a_full_disk_is_not() {
    let silent = Broken {
        silent: true,
        error: StoreError::Closed,
    };
    assert!(!health(silent, &[], Ok(())).live().await.ok);
    assert!(health(full_disk(), &[], Ok(())).live().await.ok);
    let closed = Broken {
        silent: false,
        error: StoreError::Closed,
    };
    assert!(!health(closed, &[], Ok(())).live().await.ok);
}

#[tokio::test]
async fn a_full_disk_is_not_ready_and_says_so() {
    let report = health(full_disk(), &[Link::Connected], Ok(())).ready().await;
    assert!(!report.ok);
    let store = report.checks.iter().find(|check| check.name == "store").unwrap();
    assert!(!store.ok && store.detail.contains("full"), "{store:?}");
}

#[tokio::test]
async fn one_bound_connector_is_enough() {
    let connectors = |report: swingbridge_ops::health::Report| -> Vec<bool> {
        let found = report
            .checks
            .into_iter()
            .filter(|check| check.name.starts_with("connector"));
        found.map(|check| check.ok).collect()
    };
    let one = health(full_disk(), &[Link::Refused, Link::Connected], Ok(()))
        .ready()
        .await;
    assert_eq!(connectors(one), [true, true]);
    let none = health(full_disk(), &[Link::Refused, Link::Disconnected], Ok(()))
        .ready()
        .await;
    assert_eq!(connectors(none), [false, false]);
}

#[tokio::test]
async fn the_homeserver_is_not_asked_at_every_look() {
    let asked = Arc::new(AtomicU32::new(0));
    let health = Health::new(
        Arc::new(full_disk()),
        Vec::new(),
        reach(Err("no route".into()), asked.clone()),
        Arc::new(Turned),
        Shutdown::never(),
    );
    for _ in 0..3 {
        let report = health.ready().await;
        let homeserver = report
            .checks
            .iter()
            .find(|check| check.name == "homeserver")
            .unwrap();
        assert!(
            !homeserver.ok && homeserver.detail == "no route",
            "{homeserver:?}"
        );
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_stopping_gateway_is_not_ready() {
    let stopping = Arc::new(AtomicBool::new(true));
    let shutdown = Shutdown::when(async move {
        assert!(stopping.load(Ordering::Relaxed));
    });
    shutdown.requested().await;
    let health = Health::new(
        Arc::new(full_disk()),
        Vec::new(),
        reach(Ok(()), Arc::default()),
        Arc::new(Turned),
        shutdown,
    );
    let report = health.ready().await;
    assert_eq!((report.ok, report.checks.len()), (false, 1));
}
