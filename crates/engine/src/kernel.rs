//! Transactions and lanes: what every task of the engine works with.

use crate::contacts::Contacts;
use crate::effect::Tally;
use crate::event::Event;
use crate::inbox::Backlog;
use crate::lanes::{Change, Head, Lanes, Seat};
use crate::outbox::Departure;
use crate::process::{Fault, Work};
use crate::reconcile::Order;
use crate::site::Site;
use crate::state::Who;
use crate::together::Together;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{Connector, Health, Shutdown, Signal};
use swingbridge_domain::homeserver::{Action, Homeserver, MediaLinks};
use swingbridge_domain::id::{ConnectorId, EventId, LineId, OutboxId, RoomId};
use swingbridge_domain::message::Media;
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{self, Job, Lane, OutboxState, RoomRole, Store, StoreError, Tables, Target};
use tokio::sync::{Notify, Semaphore};

/// Rows processed in one transaction.
pub(crate) const BATCH: u32 = 256;

pub(crate) struct Kernel {
    pub site: Arc<Site>,
    pub clock: Arc<dyn Clock>,
    pub installation: String,
    pub room_made: Notify,
    pub keys: Keys,
    /// The blind indexes of the lines' own addresses.
    pub own: BTreeMap<LineId, [u8; 32]>,
    pub store: Arc<dyn Store>,
    pub homeserver: Arc<dyn Homeserver>,
    pub connectors: BTreeMap<ConnectorId, Arc<dyn Connector>>,
    pub links: Option<Arc<dyn MediaLinks>>,
    pub health: Mutex<Arc<BTreeMap<ConnectorId, Health>>>,
    pub lanes: Arc<Mutex<Lanes>>,
    pub contacts: Contacts,
    pub backlog: Backlog,
    /// Where those who wait for the store are woken.
    pub runtime: tokio::runtime::Handle,
    pub together: Together,
    /// Something was added to the lanes.
    pub outgoing: Notify,
    /// Something was added to the inbox.
    pub incoming: Notify,
    pub order: Order,
}

impl Kernel {
    /// Runs `work` in a transaction; the lanes learn of its rows after the commit, in the order of the commits.
    pub async fn transact<T, F>(self: &Arc<Self>, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let job = Transaction {
            kernel: self.clone(),
            work: Some(work),
            value: None,
            after: After::default(),
            sender,
        };
        self.store.submit(Box::new(job));
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Processes one event, in a transaction that it may share with others.
    pub async fn happen(self: &Arc<Self>, event: Event) -> Result<(), StoreError> {
        self.together(move |work| work.happened(&event)).await
    }

    /// Runs `function` on the tables of a transaction; gives also what is to be made known once that is committed.
    pub fn work<T>(
        &self,
        tables: &mut dyn Tables,
        function: impl FnOnce(&mut Work<'_>) -> Result<T, Fault>,
    ) -> Result<(T, After), StoreError> {
        let health = self.health();
        let mut work = Work {
            site: &self.site,
            keys: &self.keys,
            own: &self.own,
            health: &health,
            contacts: &self.contacts,
            backlog: &self.backlog,
            lanes: &self.lanes,
            tables,
            now: self.clock.now(),
            after: After::default(),
        };
        let value = function(&mut work).map_err(|fault| match fault {
            Fault::Store(error) => error,
            Fault::Unprocessable(why) => StoreError::Failed(why),
        })?;
        Ok((value, work.after))
    }

    /// Makes known what a transaction has brought about. Called in the order of the commits.
    pub fn committed(&self, after: After) {
        let After {
            changes,
            tallies,
            met,
            signals,
            shows,
            leaving,
        } = after;
        for (seat, departure) in leaving {
            seat.leave(departure);
        }
        self.pass_on(signals, shows);
        self.contacts.met(met);
        self.absorb(changes);
        for Tally { line, state, reason } in tallies {
            let labels = [
                ("line", line.0),
                ("state", state.to_owned()),
                ("reason", reason.to_owned()),
            ];
            metrics::counter!("swingbridge_messages_total", &labels).increment(1);
        }
    }

    /// Passes on what is of no use later. Nothing waits for it.
    fn pass_on(&self, signals: Vec<(ConnectorId, Signal)>, shows: Vec<Action>) {
        for (connector, signal) in signals {
            if let Some(connector) = self.connectors.get(&connector).cloned() {
                self.runtime.spawn(async move { connector.signal(signal).await });
            }
        }
        for action in shows {
            let homeserver = self.homeserver.clone();
            self.runtime.spawn(async move {
                if let Err(error) = homeserver.perform(&action, "").await {
                    tracing::debug!(%error, "something of the moment was not shown");
                }
            });
        }
    }

    /// Reads from the store what is to be sent, and settles what was in flight.
    pub async fn line_up(self: &Arc<Self>) -> Result<(), StoreError> {
        let heads = store::run(self.store.as_ref(), |tables| tables.outbox_heads()).await?;
        let mut lost = Vec::new();
        {
            let mut lanes = lock(&self.lanes);
            for head in heads {
                match head.state {
                    OutboxState::Queued => {
                        lanes.apply(Change::Added {
                            target: head.target,
                            lane: head.lane,
                            id: head.id,
                            payload: None,
                        });
                    }
                    OutboxState::Sending => lost.push(head.id),
                    OutboxState::Parked | OutboxState::Held => {}
                }
            }
        }
        if !lost.is_empty() {
            tracing::warn!(
                count = lost.len(),
                "texts were in flight when the program stopped: each is repeated where its network takes it once, or told as uncertain"
            );
        }
        for ids in lost.chunks(BATCH as usize) {
            let ids: Vec<OutboxId> = ids.to_vec();
            self.transact(move |work| {
                for id in ids {
                    if let Some(row) = work.tables.outbox(id)? {
                        work.happen(Event::Lost { row })?;
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until rows for `target` are due and slots are free; `None` at shutdown.
    pub async fn next(
        &self,
        target: &Target,
        slots: &Semaphore,
        most: usize,
        shutdown: &Shutdown,
    ) -> Option<Vec<Head>> {
        loop {
            let added = self.outgoing.notified();
            tokio::pin!(added);
            added.as_mut().enable();
            if shutdown.is_requested() {
                return None;
            }
            let now = self.clock.now();
            let free = slots.available_permits().min(most);
            let (taken, due) = {
                let mut lanes = lock(&self.lanes);
                (lanes.take(target, now, free), lanes.next_due(target))
            };
            if !taken.is_empty() {
                return Some(taken);
            }
            let wait = due
                .map_or(Duration::from_secs(60), |due| due.since(now))
                .max(Duration::from_millis(5));
            tokio::select! {
                () = &mut added => {}
                () = tokio::time::sleep(wait) => {}
                () = shutdown.requested() => return None,
            }
        }
    }

    pub fn absorb(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut lanes = lock(&self.lanes);
        for change in changes {
            lanes.apply(change);
        }
        drop(lanes);
        self.outgoing.notify_waiters();
    }

    pub fn release(&self, target: &Target, lane: &Lane) {
        // A row may be due, for which there was no slot until now.
        let due = lock(&self.lanes).release(target, lane);
        if due {
            self.outgoing.notify_waiters();
        }
    }

    /// Lanes or slots of the target are free again.
    pub fn vacated(&self, target: &Target) {
        if lock(&self.lanes).is_due(target) {
            self.outgoing.notify_waiters();
        }
    }

    pub fn returned(&self, target: &Target, lane: &Lane) -> u32 {
        lock(&self.lanes).returned(target, lane)
    }

    pub fn passed(&self, target: &Target, lane: &Lane) {
        lock(&self.lanes).passed(target, lane);
    }

    pub fn health(&self) -> Arc<BTreeMap<ConnectorId, Health>> {
        lock(&self.health).clone()
    }

    pub async fn remember_room(self: &Arc<Self>, room: RoomId, role: RoomRole) -> Result<(), StoreError> {
        store::run(self.store.as_ref(), move |tables| {
            tables.room_set_role(&room, &role)
        })
        .await
    }

    /// The text to be quoted. A quote is a nicety: without an answer in time the text leaves without it.
    pub async fn text_of(&self, room: &RoomId, event: &EventId) -> Option<String> {
        let asked = self.homeserver.text_of(room, event);
        tokio::time::timeout(Duration::from_secs(5), asked)
            .await
            .ok()?
            .ok()?
    }

    pub fn link(&self, media: &Media) -> Result<String, NoLink> {
        let links = self.links.as_ref().ok_or(NoLink::TurnedOff)?;
        links.link(media, self.clock.now()).ok_or(NoLink::UnknownKey)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a file cannot be handed over as a link.
pub(crate) enum NoLink {
    TurnedOff,
    /// It lies encrypted, in a way that nobody here knows.
    UnknownKey,
}

/// What a transaction brings about beside its writes, made known once they are committed.
#[derive(Default)]
pub(crate) struct After {
    /// For the dispatcher.
    pub changes: Vec<Change>,
    /// For the metrics.
    pub tallies: Vec<Tally>,
    /// Contacts that were read.
    pub met: Vec<Arc<Who>>,
    /// For the networks: of no use later, so never written down.
    pub signals: Vec<(ConnectorId, Signal)>,
    /// For the homeserver, likewise.
    pub shows: Vec<Action>,
    /// For the networks, at once.
    pub leaving: Vec<(Seat, Departure)>,
}

/// A job of the engine's: what it queued is lined up in the order of the commits, on the store's own thread.
struct Transaction<T, F> {
    kernel: Arc<Kernel>,
    work: Option<F>,
    value: Option<T>,
    after: After,
    sender: futures_channel::oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Transaction<T, F>
where
    T: Send,
    F: FnOnce(&mut Work<'_>) -> Result<T, Fault> + Send,
{
    fn work(&mut self, tables: &mut dyn Tables) -> Result<(), StoreError> {
        let function = self
            .work
            .take()
            .ok_or_else(|| StoreError::Failed("a job ran twice".into()))?;
        let (value, after) = self.kernel.work(tables, function)?;
        self.value = Some(value);
        self.after = after;
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Transaction {
            kernel,
            value,
            after,
            sender,
            ..
        } = *self;
        match committed.is_ok() {
            true => kernel.committed(after),
            false => kernel.backlog.perhaps(),
        }
        // Nobody waits any more: the work is committed all the same.
        let _ = sender.send(committed.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}
