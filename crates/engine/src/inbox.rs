//! The inbox: taking in what arrives, and processing it in its order.

use crate::engine::Engine;
use crate::event::Event;
use crate::kernel::{BATCH, Kernel};
use crate::process::{Fault, Work};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, Inbox, InboxError, What};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{self, InboxRow, StoreError, Tables, seal};

#[async_trait]
impl Inbox for Engine {
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        self.kernel.take_in(arrivals).await.map_err(|error| match error {
            StoreError::Closed => InboxError::Closed,
            other => InboxError::Unavailable(other.to_string()),
        })
    }
}

impl Kernel {
    async fn take_in(self: &Arc<Self>, arrivals: Vec<Arrival>) -> Result<(), StoreError> {
        if arrivals.is_empty() {
            return Ok(());
        }
        let mut sealed = Vec::with_capacity(arrivals.len());
        for mut arrival in arrivals {
            // Digests of short texts can be guessed; under a key they tell nothing to who has the database alone.
            if let Dedupe::Digest { digest, .. } = &mut arrival.dedupe {
                let keyed = self
                    .keys
                    .index("delivery", &data_encoding::HEXLOWER.encode(digest));
                digest.copy_from_slice(&keyed[..16]);
            }
            let bytes = match &arrival.what {
                What::Network(Inbound::Session { .. }) => Vec::new(),
                what => {
                    let plain = serde_json::to_vec(what)
                        .map_err(|_| StoreError::Failed("an arrival cannot be written".into()))?;
                    self.keys.seal(seal::INBOX, &plain)
                }
            };
            sealed.push((arrival, bytes));
        }
        let (now, keys) = (self.clock.now(), self.keys.clone());
        store::run(self.store.as_ref(), move |tables| {
            for (arrival, bytes) in sealed {
                take_in_one(tables, &keys, &arrival, bytes, now)?;
            }
            Ok(())
        })
        .await?;
        self.incoming.notify_one();
        Ok(())
    }
}

fn take_in_one(
    tables: &mut dyn Tables,
    keys: &Keys,
    arrival: &Arrival,
    sealed: Vec<u8>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if let What::Network(Inbound::Session {
        connector,
        session,
        ended,
    }) = &arrival.what
    {
        return match ended {
            false => tables.session_started(connector, *session, now),
            true => tables.session_ended(connector, *session, now),
        };
    }
    let new = match &arrival.dedupe {
        Dedupe::Harmless => true,
        Dedupe::Id { scope, id } => tables.remember(&keys.index(scope, id)[..16], now)?,
        Dedupe::Digest {
            connector,
            session,
            sequence,
            digest,
        } => tables.remember_delivery(connector, *session, *sequence, digest, now)?,
    };
    if new {
        tables.inbox_push(sealed, now)?;
    } else {
        metrics::counter!("swingbridge_repetitions_total").increment(1);
    }
    Ok(())
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

fn process_row(work: &mut Work<'_>, row: InboxRow) -> Result<(), Fault> {
    let event = match work.open::<What>(seal::INBOX, &row.sealed)? {
        What::Network(inbound) => Event::Network(inbound),
        What::Room(event) => Event::Room(event),
    };
    match work.happen(event) {
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
