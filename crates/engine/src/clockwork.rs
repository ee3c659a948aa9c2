//! What happens by itself: timers, expiries, looking after the connectors, asking for what was not pushed.

use crate::engine::Engine;
use crate::event::Event;
use crate::kernel::{BATCH, Kernel, lock};
use crate::process::{Fault, Work};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::store;

/// How often timers, expiries and health are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often the homeserver is asked for what it did not push, in ticks.
const RECONCILE_TICKS: u64 = 300;
/// How often what is no longer needed is forgotten, in ticks.
const PRUNE_TICKS: u64 = 3600;
const TOKEN: &str = "homeserver_token";

/// Timers, expiries, health.
pub(crate) async fn tick(engine: Engine, shutdown: Shutdown) {
    let kernel = &engine.kernel;
    let mut ticks: u64 = 0;
    loop {
        let mut health = BTreeMap::new();
        for connector in engine.connectors.iter() {
            health.insert(connector.id().clone(), connector.probe().await);
        }
        *lock(&kernel.health) = Arc::new(health);
        let prune = ticks % PRUNE_TICKS == PRUNE_TICKS - 1;
        if let Err(error) = kernel.transact(move |work| clockwork(work, prune)).await {
            tracing::warn!(%error, "timers cannot be looked at now; trying again");
        }
        kernel.outgoing.notify_waiters();
        ticks += 1;
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.requested() => return,
        }
    }
}

fn clockwork(work: &mut Work<'_>, prune: bool) -> Result<(), Fault> {
    for timer in work.tables.timers_due(work.now, BATCH)? {
        work.happen(Event::Timer(timer))?;
    }
    for row in work.tables.outbox_expired(work.now, BATCH)? {
        work.happen(Event::Expired { row })?;
    }
    if prune {
        let before = work.now - work.site.policy.retention;
        let forgotten = work.tables.prune(before)?;
        tracing::info!(forgotten, "forgot what is older than the retention");
    }
    Ok(())
}

/// Asks the homeserver for what it did not push: at start, and then every few minutes.
pub(crate) async fn reconcile(engine: Engine, shutdown: Shutdown) {
    let kernel = &engine.kernel;
    loop {
        // What is left when the program stops is asked for again at its next start.
        let caught_up = tokio::select! {
            caught_up = catch_up(kernel, &engine) => caught_up,
            () = shutdown.requested() => return,
        };
        let wait = match caught_up {
            Ok(()) => TICK * u32::try_from(RECONCILE_TICKS).unwrap_or(u32::MAX),
            Err(detail) => {
                tracing::warn!(
                    detail,
                    "the homeserver cannot be asked for missed events now; trying again"
                );
                Duration::from_secs(10)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.requested() => return,
        }
    }
}

async fn catch_up(kernel: &Kernel, inbox: &Engine) -> Result<(), String> {
    let mut token = store::run(kernel.store.as_ref(), |tables| tables.setting(TOKEN))
        .await
        .map_err(|e| e.to_string())?;
    loop {
        let missed = kernel
            .homeserver
            .missed(token.as_deref())
            .await
            .map_err(|e| e.to_string())?;
        inbox.deliver(missed.arrivals).await.map_err(|e| e.to_string())?;
        let next = missed.token.clone();
        store::run(kernel.store.as_ref(), move |tables| {
            tables.setting_set(TOKEN, &next)
        })
        .await
        .map_err(|e| e.to_string())?;
        if !missed.more {
            return Ok(());
        }
        token = Some(missed.token);
    }
}
