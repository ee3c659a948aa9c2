//! What happens by itself: timers, expiries, looking after the connectors.

use crate::engine::Engine;
use crate::event::Event;
use crate::kernel::{BATCH, Kernel, lock};
use crate::process::{Fault, Work};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::audit::{self, Kind, NewEntry};
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::store::StoreError;

/// How often timers, expiries and health are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often what is no longer needed is forgotten, in ticks; first soon after the start, or a gateway that is often started anew
/// would forget nothing.
const PRUNE_TICKS: u64 = 3600;
const FIRST_PRUNE: u64 = 2;
/// Nothing is counted over a longer time than a month.
const LONGEST_COUNT: Duration = Duration::from_secs(35 * 24 * 3600);

/// Timers, expiries, health.
pub(crate) async fn tick(engine: Engine, shutdown: Shutdown) {
    let kernel = &engine.kernel;
    let mut ticks: u64 = 0;
    let mut more_to_forget = false;
    loop {
        let mut health = BTreeMap::new();
        for connector in engine.connectors.iter() {
            health.insert(connector.id().clone(), connector.probe().await);
        }
        *lock(&kernel.health) = Arc::new(health);
        if ticks % PRUNE_TICKS == FIRST_PRUNE || more_to_forget {
            more_to_forget = kernel.transact(forget).await.is_ok_and(|forgotten| forgotten > 0);
        }
        wind(kernel).await;
        kernel.outgoing.notify_waiters();
        ticks += 1;
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// Does what is due. What cannot be done is put out of the way, so that it holds nothing else up.
async fn wind(kernel: &Arc<Kernel>) {
    match kernel.transact(|work| due(work, BATCH)).await {
        Ok(()) | Err(StoreError::Closed) => {}
        Err(StoreError::Unavailable(detail)) => {
            tracing::warn!(detail, "timers cannot be looked at now; trying again");
        }
        Err(_) => {
            for step in [timer as fn(&mut Work<'_>, bool) -> Result<(), Fault>, expiry] {
                if let Err(error) = kernel.transact(move |work| step(work, false)).await {
                    let dropped = kernel.transact(move |work| step(work, true)).await;
                    tracing::error!(%error, ?dropped, "something that was due cannot be done; it is given up");
                }
            }
        }
    }
}

fn due(work: &mut Work<'_>, most: u32) -> Result<(), Fault> {
    for timer in work.tables.timers_due(work.now, most)? {
        work.happen(Event::Timer(timer))?;
    }
    for row in work.tables.outbox_expired(work.now, most)? {
        work.happen(Event::Expired { row })?;
    }
    Ok(())
}

/// The first timer alone; `give_up` only takes it away.
fn timer(work: &mut Work<'_>, give_up: bool) -> Result<(), Fault> {
    for timer in work.tables.timers_due(work.now, 1)? {
        if !give_up {
            work.happen(Event::Timer(timer))?;
        }
    }
    Ok(())
}

/// The first expired row alone; `give_up` only takes it away.
fn expiry(work: &mut Work<'_>, give_up: bool) -> Result<(), Fault> {
    for row in work.tables.outbox_expired(work.now, 1)? {
        match give_up {
            true => work.tables.outbox_remove(row.id)?,
            false => work.happen(Event::Expired { row })?,
        }
    }
    Ok(())
}

/// Forgets what is older than the retention, some of it at a time; answers how much it was.
fn forget(work: &mut Work<'_>) -> Result<u64, Fault> {
    let (policy, now) = (&work.site.policy, work.now);
    let mut forgotten = work.tables.prune(now - policy.retention)?;
    let buried = work.tables.prune_buried(now - policy.buried_retention)?;
    if buried > 0 {
        tracing::warn!(
            buried,
            "what could not be processed was kept for its time and is erased now"
        );
        let erased = NewEntry::new(Kind::Erased).detail(format!("{buried} buried"));
        audit::append(work.tables, work.keys, now, &erased)?;
    }
    forgotten += buried;
    forgotten += work.tables.prune_tallies(now - LONGEST_COUNT)?;
    match audit::prune(work.tables, work.keys, now - policy.audit_retention, BATCH) {
        Ok(entries) => forgotten += entries,
        // What was tampered with stays for those who look into it; the rest is forgotten all the same.
        Err(StoreError::Damaged(detail)) => {
            tracing::error!(
                detail,
                "old entries of the audit log are kept: it was tampered with"
            );
        }
        Err(error) => return Err(error.into()),
    }
    Ok(forgotten)
}
