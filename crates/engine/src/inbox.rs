//! The inbox: taking in what arrives, and processing it in its order.

use crate::engine::Engine;
use crate::event::Event;
use crate::kernel::{BATCH, Kernel};
use crate::process::{Fault, Work};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, Inbox, InboxError, What};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{InboxRow, StoreError, seal};

/// Homeservers' clocks differ, and seldom by more than this.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

#[async_trait]
impl Inbox for Engine {
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        let pushed = |arrival: &Arrival| matches!(arrival.what, What::Room(_));
        if arrivals.iter().any(pushed) {
            self.kernel.order.caught_up().await;
        }
        self.kernel.take_in(arrivals).await.map_err(|error| match error {
            StoreError::Closed => InboxError::Closed,
            other => InboxError::Unavailable(other.to_string()),
        })
    }

    fn refused(&self) {
        self.kernel.order.fell_behind();
    }

    fn skipped(&self) {
        self.kernel.order.skipped();
    }
}

impl Kernel {
    /// Commits what arrived. Where nothing waits before it, it is processed in the same transaction, which spares the inbox's rows
    /// and a commit; else, and when that fails, it is put into the inbox.
    pub async fn take_in(self: &Arc<Self>, arrivals: Vec<Arrival>) -> Result<(), StoreError> {
        if arrivals.is_empty() {
            return Ok(());
        }
        let with_key = |Arrival { dedupe, what }| Keyed {
            key: key(&self.keys, &dedupe),
            dedupe,
            event: happening(what),
        };
        let arrivals: Arc<Vec<Keyed>> = Arc::new(arrivals.into_iter().map(with_key).collect());
        let taking = arrivals.clone();
        let taken = self.together(move |work| take_in(work, &taking)).await;
        let left = match taken {
            // It may be one row that cannot be processed: the inbox finds out which.
            Err(StoreError::Failed(_) | StoreError::Damaged(_)) => {
                self.together(move |work| put_in(work, &arrivals)).await?;
                true
            }
            taken => taken?,
        };
        if left {
            self.incoming.notify_one();
        }
        Ok(())
    }
}

/// What arrived, with what it is remembered by.
struct Keyed {
    key: [u8; 16],
    dedupe: Dedupe,
    event: Event,
}

/// Ids tell who wrote when, and digests of short texts can be guessed; under a key they tell nothing to who has the database alone. It is
/// made before the store's turn, whose time is dearer.
fn key(keys: &Keys, dedupe: &Dedupe) -> [u8; 16] {
    let index = match dedupe {
        Dedupe::Harmless => [0; 32],
        Dedupe::Id { scope, id } => keys.index(scope, id),
        Dedupe::Event { id, .. } => keys.index("event", id.as_str()),
        Dedupe::Digest { digest, .. } => keys.index("delivery", &data_encoding::HEXLOWER.encode(digest)),
    };
    let mut key = [0; 16];
    key.copy_from_slice(&index[..16]);
    key
}

/// Answers whether something is left in the inbox to be processed.
fn take_in(work: &mut Work<'_>, arrivals: &[Keyed]) -> Result<bool, Fault> {
    if arrivals.len() > BATCH as usize || is_waiting(work)? {
        put_in(work, arrivals)?;
        return Ok(true);
    }
    for keyed in arrivals {
        if is_new(work, keyed)? {
            work.happened(&keyed.event)?;
        }
    }
    // A command may have put back what was buried.
    Ok(is_waiting(work)?)
}

/// Whether anything waits in the inbox. The store is asked only where something may.
fn is_waiting(work: &mut Work<'_>) -> Result<bool, StoreError> {
    if !work.backlog.may_be() {
        return Ok(false);
    }
    let waits = !work.tables.inbox_oldest(1)?.is_empty();
    if !waits {
        work.backlog.none();
    }
    Ok(waits)
}

/// Whether something may wait in the inbox: what comes in must then wait its turn. Jobs alone read and write it, one after the other on the
/// store's thread; a job that is not kept leaves it at "perhaps".
pub(crate) struct Backlog(AtomicBool);

impl Default for Backlog {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Backlog {
    fn may_be(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn none(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub fn perhaps(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn put_in(work: &mut Work<'_>, arrivals: &[Keyed]) -> Result<(), Fault> {
    for keyed in arrivals {
        if is_new(work, keyed)? {
            let what = match &keyed.event {
                Event::Network(inbound) => What::Network(inbound.clone()),
                Event::Room(event) => What::Room(event.clone()),
                _ => return Err(Fault::Unprocessable("it did not arrive".into())),
            };
            let sealed = work.seal(seal::INBOX, &what)?;
            work.tables.inbox_push(sealed, work.now)?;
            work.backlog.perhaps();
        }
    }
    Ok(())
}

/// Remembers an arrival, and answers whether it is one that asks for more. Sessions are only noted.
fn is_new(work: &mut Work<'_>, Keyed { key, dedupe, event }: &Keyed) -> Result<bool, StoreError> {
    let now = work.now;
    if let Event::Network(Inbound::Session {
        connector,
        session,
        ended,
    }) = event
    {
        match ended {
            false => work.tables.session_started(connector, *session, now)?,
            true => work.tables.session_ended(connector, *session, now)?,
        }
        return Ok(false);
    }
    let new = match dedupe {
        Dedupe::Harmless => true,
        // One of a clock further ahead would be kept for as long as that.
        Dedupe::Event { sent_at, .. } if sent_at.since(now) <= AHEAD => {
            work.tables.remember_event(*sent_at, key, now)?
        }
        Dedupe::Id { .. } | Dedupe::Event { .. } => work.tables.remember(key, now)?,
        Dedupe::Digest {
            connector,
            session,
            sequence,
            ..
        } => work
            .tables
            .remember_delivery(connector, *session, *sequence, key, now)?,
    };
    if !new {
        metrics::counter!("swingbridge_repetitions_total").increment(1);
    }
    Ok(new)
}

pub(crate) async fn process_inbox(kernel: Arc<Kernel>, shutdown: Shutdown) {
    let mut most = BATCH;
    loop {
        if shutdown.is_requested() {
            return;
        }
        match kernel.transact(move |work| process_batch(work, most)).await {
            Ok(0) => {
                most = BATCH;
                tokio::select! {
                    () = kernel.incoming.notified() => {}
                    () = shutdown.requested() => return,
                }
            }
            Ok(_) => most = BATCH,
            Err(StoreError::Closed) => return,
            Err(StoreError::Unavailable(detail)) => {
                tracing::warn!(detail, "what arrived cannot be processed now; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // One row makes the whole batch fail: find it by going one by one, and put it out of the way.
            Err(_) if most > 1 => most = 1,
            Err(error) => {
                let why = error.to_string();
                let buried = kernel.transact(move |work| bury_first(work, &why)).await;
                tracing::error!(%error, ?buried, "something that arrived cannot be processed; it is kept aside: see `buried`");
            }
        }
    }
}

fn process_batch(work: &mut Work<'_>, most: u32) -> Result<usize, Fault> {
    let rows = work.tables.inbox_oldest(most)?;
    let count = rows.len();
    for row in rows {
        process_row(work, row)?;
    }
    Ok(count)
}

fn happening(what: What) -> Event {
    match what {
        What::Network(inbound) => Event::Network(inbound),
        What::Room(event) => Event::Room(event),
    }
}

fn process_row(work: &mut Work<'_>, row: InboxRow) -> Result<(), Fault> {
    let what = work.open(seal::INBOX, &row.sealed)?;
    match work.happen(happening(what)) {
        Ok(()) => work.tables.inbox_remove(row.id)?,
        Err(Fault::Unprocessable(why)) => {
            tracing::error!(
                why,
                "something that arrived cannot be processed; it is kept aside: see `buried`"
            );
            metrics::counter!("swingbridge_buried_total").increment(1);
            work.tables.inbox_bury(row.id, &why)?;
        }
        Err(fault) => return Err(fault),
    }
    Ok(())
}

fn bury_first(work: &mut Work<'_>, why: &str) -> Result<(), Fault> {
    metrics::counter!("swingbridge_buried_total").increment(1);
    for row in work.tables.inbox_oldest(1)? {
        work.tables.inbox_bury(row.id, why)?;
    }
    Ok(())
}
