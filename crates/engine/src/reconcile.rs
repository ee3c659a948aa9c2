//! What the homeserver did not push, or did not get through with.
//!
//! The homeserver is asked for it at start, when the bot has come into a room, when a transaction was refused, and every few minutes.
//! While something earlier may be missing, what is pushed waits for the answer: a homeserver may push what is newer before it repeats
//! what it did not get through with, and texts would leave in another order than they were written in. Synapse does so in two ways: it
//! marks a service as away only after its next transaction may have left; and a transaction that it makes in the moment in which the
//! service is found to be back lies there until the service is away once more. The gap in their numbers tells.

use crate::kernel::Kernel;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::store::{self, Store, StoreError};
use tokio::sync::{Notify, watch};

/// How often the homeserver is asked for what it did not push.
const EVERY: Duration = Duration::from_secs(300);
/// How soon again when it could not be asked.
const AGAIN: Duration = Duration::from_secs(10);
/// How long what is pushed waits at most. Homeservers give a transaction up after thirty seconds or more.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long after a start or a refusal a gap in the numbers of transactions is looked after. At other times it is only another service's
/// share of them.
const WATCHED: Duration = Duration::from_secs(120);
const TOKEN: &str = "homeserver_token";

/// Whether something may be missing that is older than what is pushed.
pub(crate) struct Order {
    gaps: watch::Sender<Gaps>,
    ask: Notify,
}

/// Each time that something was not taken in opens a gap. An answer closes those that were open when it was asked for.
#[derive(Clone, Copy)]
struct Gaps {
    opened: u64,
    closed: u64,
    /// When the homeserver last did not get through, as far as is known.
    away: Option<Instant>,
}

impl Gaps {
    fn are_closed(&self) -> bool {
        self.closed >= self.opened
    }
}

impl Order {
    /// At start something may be missing, unless the homeserver was never asked: then there is no earlier.
    ///
    /// # Errors
    /// [`StoreError`]; may be asked again.
    pub async fn at_start(store: &dyn Store) -> Result<Self, StoreError> {
        let token = store::run(store, |tables| tables.setting(TOKEN)).await?;
        let gaps = Gaps {
            opened: u64::from(token.is_some()),
            closed: 0,
            away: token.map(|_| Instant::now()),
        };
        Ok(Self {
            gaps: watch::Sender::new(gaps),
            ask: Notify::new(),
        })
    }

    /// Has the homeserver asked soon.
    pub fn ask(&self) {
        self.ask.notify_one();
    }

    /// Something was not taken in.
    pub fn fell_behind(&self) {
        self.gaps.send_modify(|gaps| {
            gaps.opened += 1;
            gaps.away = Some(Instant::now());
        });
        self.ask();
    }

    /// Something may have been passed over.
    pub fn skipped(&self) {
        let watched = |away: Instant| away.elapsed() < WATCHED;
        if self.gaps.borrow().away.is_some_and(watched) {
            self.gaps.send_modify(|gaps| gaps.opened += 1);
            self.ask();
        }
    }

    /// Waits until nothing earlier is missing, or for as long as a homeserver has patience.
    pub async fn caught_up(&self) {
        let opened = {
            let gaps = self.gaps.borrow();
            if gaps.are_closed() {
                return;
            }
            gaps.opened
        };
        let mut gaps = self.gaps.subscribe();
        let caught_up = gaps.wait_for(|gaps| gaps.closed >= opened);
        if tokio::time::timeout(PATIENCE, caught_up).await.is_err() {
            tracing::warn!(
                "the homeserver cannot be asked for what is missing; what it pushes is taken in, perhaps before what is older"
            );
            self.close(opened);
        }
    }

    fn close(&self, opened: u64) {
        self.gaps
            .send_modify(|gaps| gaps.closed = gaps.closed.max(opened));
    }
}

/// Asks the homeserver again and again, until `shutdown`.
pub(crate) async fn reconcile(kernel: Arc<Kernel>, shutdown: Shutdown) {
    loop {
        let opened = kernel.order.gaps.borrow().opened;
        // What is left when the program stops is asked for again at its next start.
        let caught_up = tokio::select! {
            caught_up = catch_up(&kernel) => caught_up,
            () = shutdown.requested() => return,
        };
        let wait = match caught_up {
            Ok(()) => {
                kernel.order.close(opened);
                EVERY
            }
            Err(detail) => {
                tracing::warn!(
                    detail,
                    "the homeserver cannot be asked for missed events now; trying again"
                );
                AGAIN
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = kernel.order.ask.notified() => {}
            () = shutdown.requested() => return,
        }
    }
}

async fn catch_up(kernel: &Arc<Kernel>) -> Result<(), String> {
    let mut token = store::run(kernel.store.as_ref(), |tables| tables.setting(TOKEN))
        .await
        .map_err(|e| e.to_string())?;
    loop {
        let missed = kernel
            .homeserver
            .missed(token.as_deref())
            .await
            .map_err(|e| e.to_string())?;
        kernel.take_in(missed.arrivals).await.map_err(|e| e.to_string())?;
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
