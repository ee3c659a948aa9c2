//! The engine as it runs: the inbox, the transactions, the clockwork.

use crate::clockwork::tick;
use crate::contacts::Contacts;
use crate::inbox::{Backlog, process_inbox};
use crate::kernel::Kernel;
use crate::lines;
use crate::outbox;
use crate::policy;
use crate::reconcile::{Order, reconcile};
use crate::site::Site;
use crate::step;
use crate::together::Together;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use swingbridge_domain::audit::{self, About, Kind, NewEntry};
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{Connector, Health, Shutdown};
use swingbridge_domain::homeserver::{Homeserver, MediaLinks};
use swingbridge_domain::id::{ConnectorId, UserId};
use swingbridge_domain::inbox::Inbox;
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{self, Store, StoreError};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Rooms served at once on the homeserver, which does one thing at a time anyway.
const HOMESERVER_AT_ONCE: usize = 16;
/// Messages on their way to one network at once; the connector's window is its own affair.
const NETWORK_AT_ONCE: usize = 1024;
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
    pub(crate) connectors: Arc<Vec<Arc<dyn Connector>>>,
}

impl Engine {
    /// Whether `keys` are those that sealed the contents of `store`, or it is new. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; may be asked again.
    pub async fn are_keys_of(store: &dyn Store, keys: &Keys) -> Result<bool, StoreError> {
        let check = check_text(keys);
        let known = store::run(store, |tables| tables.setting(KEY_CHECK)).await?;
        Ok(known.is_none_or(|known| known == check))
    }

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
        let check = check_text(&keys);
        let (sealing, now) = (keys.clone(), clock.now());
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
                None => {
                    tables.setting_set(KEY_CHECK, &check)?;
                    let first = NewEntry::new(Kind::KeyFirstUsed).about(About::Key(check));
                    audit::append(tables, &sealing, now, &first)?;
                }
            }
            tables.sessions_lost()?;
            if let Some(known) = tables.setting(INSTALLATION)? {
                return Ok(known);
            }
            tables.setting_set(INSTALLATION, &fresh)?;
            Ok(fresh)
        })
        .await?;
        let lines = site.lines.iter();
        let own = lines
            .map(|line| (line.id.clone(), policy::limits::own(&keys, line)))
            .collect();
        let order = Order::at_start(store.as_ref()).await?;
        let kernel = Arc::new(Kernel {
            site: Arc::new(site),
            own,
            clock,
            installation,
            room_made: Notify::new(),
            keys,
            store,
            homeserver,
            connectors: connectors
                .iter()
                .map(|connector| (connector.id().clone(), connector.clone()))
                .collect(),
            links,
            health: Mutex::default(),
            lanes: Arc::default(),
            contacts: Contacts::default(),
            backlog: Backlog::default(),
            runtime: tokio::runtime::Handle::current(),
            together: Together::default(),
            outgoing: Notify::new(),
            incoming: Notify::new(),
            order,
        });
        kernel.line_up().await?;
        lines::follow(&kernel).await?;
        Ok(Self {
            kernel,
            connectors: Arc::new(connectors),
        })
    }

    /// Runs until `shutdown`: connectors, processing, sending, timers. Returns when all that was in flight is settled, or after
    /// the connectors' own limits.
    ///
    /// # Panics
    /// When a part of it does: half a gateway is none. Nothing committed is lost.
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
        tasks.spawn(reconcile(self.kernel.clone(), shutdown.clone()));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended
                && let Ok(panic) = error.try_into_panic()
            {
                tasks.shutdown().await;
                std::panic::resume_unwind(panic);
            }
        }
    }

    /// How each connector was when last looked at.
    pub fn health(&self) -> Arc<BTreeMap<ConnectorId, Health>> {
        self.kernel.health()
    }

    /// Tells a user something in their management room, which is made when there is none.
    ///
    /// # Errors
    /// [`StoreError`]; may be tried again.
    pub async fn tell(&self, user: &UserId, text: &str) -> Result<(), StoreError> {
        let effect = step::tell(user, text);
        self.kernel
            .transact(move |work| work.apply(effect).map(drop))
            .await
    }

    /// How full the queues are.
    ///
    /// # Errors
    /// [`StoreError`]; may be asked again.
    pub async fn queue_depths(&self) -> Result<Vec<store::QueueDepth>, StoreError> {
        store::run(self.kernel.store.as_ref(), |tables| tables.queue_depths()).await
    }
}

async fn run_connector(connector: Arc<dyn Connector>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) {
    // One connector's end is not the others': the gateway goes on, and says so.
    if let Err(error) = connector.clone().run(inbox, shutdown).await {
        tracing::error!(%error, "a connector stopped; the others go on");
    }
}

/// What the store keeps to recognise the site key by.
fn check_text(keys: &Keys) -> String {
    data_encoding::HEXLOWER.encode(&keys.check_value())
}
