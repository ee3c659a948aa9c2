//! The engine as it runs: the inbox, the transactions, the clockwork.

use crate::event::Event;
use crate::lanes::{Change, Lanes};
use crate::outbox;
use crate::process::{Fault, Work};
use crate::site::Site;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{Connector, Health, Shutdown};
use swingbridge_domain::homeserver::{Homeserver, MediaLinks};
use swingbridge_domain::id::{ConnectorId, EventId, LineId, OutboxId, RoomId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, Inbox, InboxError, What};
use swingbridge_domain::message::Media;
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{
    self, InboxRow, Job, Lane, OutboxState, RoomRole, Store, StoreError, Tables, Target, seal,
};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

/// Inbox rows processed in one transaction.
const BATCH: u32 = 256;
/// Rooms served at once on the homeserver, which does one thing at a time anyway.
const HOMESERVER_AT_ONCE: usize = 16;
/// Messages on their way to one network at once; the connector's window is its own affair.
const NETWORK_AT_ONCE: usize = 1024;
/// How often timers, expiries and health are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often the homeserver is asked for what it did not push, in ticks.
const RECONCILE_TICKS: u64 = 300;
/// How often what is no longer needed is forgotten, in ticks.
const PRUNE_TICKS: u64 = 3600;
const TOKEN: &str = "homeserver_token";
const INSTALLATION: &str = "installation";
const KEY_CHECK: &str = "site_key_check";

/// What the engine works with.
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub homeserver: Arc<dyn Homeserver>,
    pub connectors: Vec<Arc<dyn Connector>>,
    /// `None` where links to media are turned off.
    pub links: Option<Arc<dyn MediaLinks>>,
    pub clock: Arc<dyn Clock>,
    pub keys: Keys,
}

/// The engine. Cheap to clone; it is the [`Inbox`] and the [`swingbridge_domain::directory::Directory`].
#[derive(Clone)]
pub struct Engine {
    pub(crate) kernel: Arc<Kernel>,
    connectors: Arc<Vec<Arc<dyn Connector>>>,
}

pub(crate) struct Kernel {
    pub site: Arc<Site>,
    pub clock: Arc<dyn Clock>,
    pub installation: String,
    pub room_made: Notify,
    keys: Keys,
    store: Arc<dyn Store>,
    homeserver: Arc<dyn Homeserver>,
    links: Option<Arc<dyn MediaLinks>>,
    health: Mutex<Arc<BTreeMap<ConnectorId, Health>>>,
    lanes: Mutex<Lanes>,
    /// Something was added to the lanes.
    outgoing: Notify,
    /// Something was added to the inbox.
    incoming: Notify,
}

impl Engine {
    /// Opens the store's contents: checks that the site key is the one that sealed them, settles what was in flight when the
    /// program last stopped, and lines up what is to be sent.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Damaged`] when the site key is another one.
    pub async fn open(mut site: Site, ports: Ports) -> Result<Self, StoreError> {
        let Ports {
            store,
            homeserver,
            connectors,
            links,
            clock,
            keys,
        } = ports;
        for connector in &connectors {
            site.capabilities
                .insert(connector.id().clone(), connector.capabilities());
        }
        let check = data_encoding::HEXLOWER.encode(&keys.check_value());
        // Names this database for ever: Matrix transaction ids begin with it, so that a fresh database does not repeat the
        // ids of an earlier one.
        let fresh = data_encoding::HEXLOWER.encode(&keys.seal("installation", b"")[..8]);
        let installation = store::run(store.as_ref(), move |tables| {
            match tables.setting(KEY_CHECK)? {
                Some(known) if known != check => {
                    return Err(StoreError::Damaged(
                        "its contents were sealed with another site key; start with the key that was in use, or with a \
                         fresh database"
                            .into(),
                    ));
                }
                Some(_) => {}
                None => tables.setting_set(KEY_CHECK, &check)?,
            }
            tables.sessions_lost()?;
            if let Some(known) = tables.setting(INSTALLATION)? {
                return Ok(known);
            }
            tables.setting_set(INSTALLATION, &fresh)?;
            Ok(fresh)
        })
        .await?;
        let kernel = Arc::new(Kernel {
            site: Arc::new(site),
            clock,
            installation,
            room_made: Notify::new(),
            keys,
            store,
            homeserver,
            links,
            health: Mutex::default(),
            lanes: Mutex::default(),
            outgoing: Notify::new(),
            incoming: Notify::new(),
        });
        kernel.line_up().await?;
        Ok(Self {
            kernel,
            connectors: Arc::new(connectors),
        })
    }

    /// Runs until `shutdown`: connectors, processing, sending, timers. Returns when all that was in flight is settled, or after
    /// the connectors' own limits.
    pub async fn run(&self, shutdown: Shutdown) {
        let mut tasks = JoinSet::new();
        let inbox: Arc<dyn Inbox> = Arc::new(self.clone());
        for connector in self.connectors.iter() {
            tasks.spawn(run_connector(connector.clone(), inbox.clone(), shutdown.clone()));
            tasks.spawn(outbox::to_network(
                self.kernel.clone(),
                connector.clone(),
                NETWORK_AT_ONCE,
                shutdown.clone(),
            ));
        }
        let homeserver = self.kernel.homeserver.clone();
        tasks.spawn(outbox::to_homeserver(
            self.kernel.clone(),
            homeserver,
            HOMESERVER_AT_ONCE,
            shutdown.clone(),
        ));
        tasks.spawn(process_inbox(self.kernel.clone(), shutdown.clone()));
        tasks.spawn(tick(self.clone(), shutdown.clone()));
        tasks.spawn(reconcile(self.clone(), shutdown.clone()));
        while tasks.join_next().await.is_some() {}
    }

    /// How each connector was when last looked at.
    pub fn health(&self) -> Arc<BTreeMap<ConnectorId, Health>> {
        self.kernel.health()
    }

    /// How full the queues are.
    ///
    /// # Errors
    /// [`StoreError`]; may be asked again.
    pub async fn queue_depths(&self) -> Result<Vec<store::QueueDepth>, StoreError> {
        store::run(self.kernel.store.as_ref(), |tables| tables.queue_depths()).await
    }
}

#[async_trait]
impl Inbox for Engine {
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        self.kernel.take_in(arrivals).await.map_err(|error| match error {
            StoreError::Closed => InboxError::Closed,
            other => InboxError::Unavailable(other.to_string()),
        })
    }
}

async fn run_connector(connector: Arc<dyn Connector>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) {
    // One connector's end is not the others': the gateway goes on, and says so.
    if let Err(error) = connector.clone().run(inbox, shutdown).await {
        tracing::error!(%error, "a connector stopped; the others go on");
    }
}

async fn process_inbox(kernel: Arc<Kernel>, shutdown: Shutdown) {
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

/// Timers, expiries, health.
async fn tick(engine: Engine, shutdown: Shutdown) {
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
async fn reconcile(engine: Engine, shutdown: Shutdown) {
    let kernel = &engine.kernel;
    loop {
        let wait = match catch_up(kernel, &engine).await {
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
            changes: Vec::new(),
            counts: Vec::new(),
            sender,
        };
        self.store.submit(Box::new(job));
        receiver.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Processes one event in a transaction of its own.
    pub async fn happen(self: &Arc<Self>, event: Event) -> Result<(), StoreError> {
        self.transact(move |work| work.happen(event)).await
    }

    async fn take_in(self: &Arc<Self>, arrivals: Vec<Arrival>) -> Result<(), StoreError> {
        if arrivals.is_empty() {
            return Ok(());
        }
        let mut sealed = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
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
        let now = self.clock.now();
        store::run(self.store.as_ref(), move |tables| {
            for (arrival, bytes) in sealed {
                take_in_one(tables, &arrival, bytes, now)?;
            }
            Ok(())
        })
        .await?;
        self.incoming.notify_one();
        Ok(())
    }

    /// Reads from the store what is to be sent, and settles what was in flight.
    async fn line_up(self: &Arc<Self>) -> Result<(), StoreError> {
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
                        });
                    }
                    OutboxState::Sending => lost.push(head.id),
                    OutboxState::Parked => {}
                }
            }
        }
        if !lost.is_empty() {
            tracing::warn!(
                count = lost.len(),
                "texts were in flight when the program stopped: their fate is not known"
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
    ) -> Option<Vec<(Lane, OutboxId)>> {
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
        lock(&self.lanes).release(target, lane);
        self.outgoing.notify_waiters();
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

    pub fn link(&self, media: &Media) -> Option<String> {
        Some(self.links.as_ref()?.link(media, self.clock.now()))
    }
}

fn take_in_one(
    tables: &mut dyn Tables,
    arrival: &Arrival,
    sealed: Vec<u8>,
    now: swingbridge_domain::clock::Timestamp,
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
        Dedupe::Id { scope, id } => tables.remember(format!("{scope}\0{id}").as_bytes(), now)?,
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

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A job of the engine's: what it queued is lined up in the order of the commits, on the store's own thread.
struct Transaction<T, F> {
    kernel: Arc<Kernel>,
    work: Option<F>,
    value: Option<T>,
    changes: Vec<Change>,
    counts: Vec<(LineId, &'static str)>,
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
        let health = self.kernel.health();
        let mut work = Work {
            site: &self.kernel.site,
            keys: &self.kernel.keys,
            health: &health,
            tables,
            now: self.kernel.clock.now(),
            changes: Vec::new(),
            counts: Vec::new(),
        };
        let value = function(&mut work).map_err(|fault| match fault {
            Fault::Store(error) => error,
            Fault::Unprocessable(why) => StoreError::Failed(why),
        })?;
        self.changes = work.changes;
        self.counts = work.counts;
        self.value = Some(value);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let Transaction {
            kernel,
            value,
            changes,
            counts,
            sender,
            ..
        } = *self;
        if committed.is_ok() {
            kernel.absorb(changes);
            for (line, state) in counts {
                metrics::counter!("swingbridge_messages_total", "line" => line.0, "state" => state)
                    .increment(1);
            }
        }
        // Nobody waits any more: the work is committed all the same.
        let _ = sender.send(committed.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}
