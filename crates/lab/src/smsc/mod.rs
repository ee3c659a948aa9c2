//! A carrier on the loopback interface: an SMPP 3.4 server whose subscribers have phones on a web page.
//!
//! It takes binds and submissions, shows texts on phones, returns ids, sends receipts, and delivers what phones
//! write until the account has answered. [`crate::faults`] makes it as unreliable as wanted, and its ledger
//! ([`Handle::submissions`], [`Handle::accounts`]) proves what got through.

mod config;
mod delivery;
mod ledger;
mod phones;
mod session;
mod state;
mod web;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use config::{Account, Config, IdStyle, Mark, ReceiptForm, Receipts};
pub use ledger::{Accounts, Outcome, Submission, Text};
pub use phones::{Message, Phone, Progress, Reach, key};
pub use session::Kind;

use crate::faults::{Fault, Faults, Plan};
use session::Outgoing;
use state::State;

/// A connection to the carrier, numbered in the order of coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SessionId(pub u64);

/// A bound session, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub system_id: String,
    pub kind: Kind,
}

/// Octets that a connection carried, in order.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub session: SessionId,
    pub from_carrier: bool,
    /// Since the carrier started.
    pub at: Duration,
    pub octets: Bytes,
}

/// What the carrier holds at one moment, for [`Handle::wait_for`].
pub struct View<'a> {
    pub messages: &'a [Message],
    pub submissions: &'a [Submission],
    pub sessions: Vec<Session>,
    /// Texts and receipts that the account has not answered.
    pub undelivered: usize,
}

/// What [`Handle::wait_for`] waited for did not come.
#[derive(Debug, thiserror::Error)]
#[error(
    "waited {waited:?} in vain for {what}: {messages} messages, {submissions} submissions, {sessions} sessions, \
         {undelivered} undelivered"
)]
pub struct InVain {
    what: String,
    waited: Duration,
    messages: usize,
    submissions: usize,
    sessions: usize,
    undelivered: usize,
}

/// What the page is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "type", content = "value")]
enum Event {
    Phone(Phone),
    Message(Message),
    /// How many sessions are bound.
    Bound(usize),
}

struct Carrier {
    config: Config,
    faults: RwLock<Arc<Faults>>,
    state: Mutex<State>,
    /// There may be something to send.
    work: Notify,
    changed: watch::Sender<()>,
    events: broadcast::Sender<Event>,
    /// Whether new connections are closed at once.
    down: AtomicBool,
    captured: Mutex<Vec<Chunk>>,
    started: Instant,
}

impl Carrier {
    /// Works on the state, then tells everybody who waits for a change.
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state);
        let events = std::mem::take(&mut state.events);
        drop(state);
        for event in events {
            // Nobody may be looking at the page.
            let _ = self.events.send(event);
        }
        self.changed.send_replace(());
        result
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn record(&self, session: SessionId, from_carrier: bool, octets: &[u8]) {
        if self.config.record && !octets.is_empty() {
            let octets = Bytes::copy_from_slice(octets);
            let chunk = Chunk {
                session,
                from_carrier,
                at: self.started.elapsed(),
                octets,
            };
            self.captured
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(chunk);
        }
    }
}

/// A running carrier. Dropping it ends it.
pub struct Handle {
    carrier: Arc<Carrier>,
    smpp: SocketAddr,
    http: Option<SocketAddr>,
    stop: CancellationToken,
    _ends: DropGuard,
}

/// Starts a carrier.
///
/// # Errors
/// When an address cannot be bound.
pub async fn start(config: Config) -> io::Result<Handle> {
    let listener = TcpListener::bind(config.listen).await?;
    let smpp = listener.local_addr()?;
    let page = match config.http {
        Some(address) => Some(TcpListener::bind(address).await?),
        None => None,
    };
    let http = page.as_ref().map(TcpListener::local_addr).transpose()?;
    let carrier = Arc::new(Carrier {
        faults: RwLock::new(Arc::new(Faults::new(config.faults.clone()))),
        config,
        state: Mutex::default(),
        work: Notify::new(),
        changed: watch::Sender::new(()),
        events: broadcast::Sender::new(1024),
        down: AtomicBool::new(false),
        captured: Mutex::default(),
        started: Instant::now(),
    });
    carrier.with(|state| {
        for (number, name) in &carrier.config.phones {
            state.add_phone(number, name.clone());
        }
    });
    let stop = CancellationToken::new();
    tokio::spawn(accept(Arc::clone(&carrier), listener, stop.clone()));
    tokio::spawn(delivery::run(Arc::clone(&carrier), stop.clone()));
    if let Some(page) = page {
        tokio::spawn(web::serve(Arc::clone(&carrier), page, stop.clone()));
    }
    Ok(Handle {
        carrier,
        smpp,
        http,
        _ends: stop.clone().drop_guard(),
        stop,
    })
}

async fn accept(carrier: Arc<Carrier>, listener: TcpListener, stop: CancellationToken) {
    let connections = AtomicU64::new(0);
    let tls = carrier.config.tls.clone().map(TlsAcceptor::from);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // An accept fails for one connection, or for want of descriptors that others will give back.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if carrier.down.load(Ordering::Relaxed) {
            continue;
        }
        let id = SessionId(connections.fetch_add(1, Ordering::Relaxed) + 1);
        let serving = serve(Arc::clone(&carrier), id, stream, tls.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
    }
}

async fn serve(carrier: Arc<Carrier>, id: SessionId, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // Without this, answers in bursts wait for the peer's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    match tls {
        None => session::serve(carrier, id, stream).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => session::serve(carrier, id, stream).await,
            Err(error) => tracing::debug!(%error, "no TLS session"),
        },
    }
}

impl Handle {
    /// Where to bind.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.smpp
    }

    /// Where the page and the API are, if configured.
    #[must_use]
    pub fn page(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Adds a phone, or names it.
    pub fn add_phone(&self, number: &str, name: Option<&str>) {
        self.carrier
            .with(|state| state.add_phone(number, name.map(str::to_owned)));
    }

    /// Switches a phone on or off, or bars it.
    pub fn set_reach(&self, number: &str, reach: Reach) {
        self.carrier
            .with(|state| state.set_reach(&self.carrier.config, number, reach, Instant::now()));
        self.carrier.work.notify_one();
    }

    /// Writes a text on a phone; gives the message's id, or `None` for a text above 255 parts.
    pub fn write(&self, phone: &str, to: &str, text: &str) -> Option<u64> {
        self.carrier.write(phone, to, text)
    }

    /// All messages on all phones, both ways, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.carrier.read(|state| state.messages.clone())
    }

    /// Every submission, in order.
    #[must_use]
    pub fn submissions(&self) -> Vec<Submission> {
        self.carrier.read(|state| state.submissions.clone())
    }

    /// What went to phones in all.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        self.carrier
            .read(|state| Accounts::new(&state.submissions, &state.messages, state.assembler.incomplete()))
    }

    /// Who is bound.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        self.carrier.read(sessions)
    }

    /// Breaks all connections.
    pub fn drop_sessions(&self) {
        self.carrier
            .with(|state| state.bound.values().for_each(|bound| bound.out(Outgoing::Close)));
    }

    /// An outage: all connections break, and new ones do at once, until it is over.
    pub fn set_down(&self, down: bool) {
        self.carrier.down.store(down, Ordering::Relaxed);
        if down {
            self.drop_sessions();
        }
    }

    /// Sends octets as they are to a bound session.
    pub fn send_raw(&self, session: SessionId, octets: impl Into<Bytes>) {
        self.carrier.with(|state| {
            if let Some(bound) = state.bound.get(&session) {
                bound.out(Outgoing::Bytes(octets.into()));
            }
        });
    }

    /// Begins another plan of faults.
    pub fn set_faults(&self, plan: Plan) {
        *self
            .carrier
            .faults
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(Faults::new(plan));
    }

    /// How often a fault of the present plan has struck.
    #[must_use]
    pub fn struck(&self, fault: Fault) -> u64 {
        self.carrier.faults().struck(fault)
    }

    /// What all connections carried so far, if [`Config::record`] is set; see [`crate::pcap`].
    #[must_use]
    pub fn capture(&self) -> Vec<Chunk> {
        self.carrier
            .captured
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until `found` finds something; it is asked again after every change.
    ///
    /// # Errors
    /// [`InVain`] after `patience`.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        patience: Duration,
        mut found: impl FnMut(&View<'_>) -> Option<T>,
    ) -> Result<T, InVain> {
        let mut changed = self.carrier.changed.subscribe();
        let deadline = Instant::now() + patience;
        loop {
            changed.borrow_and_update();
            if let Some(result) = self.look(&mut found) {
                return Ok(result);
            }
            if tokio::time::timeout_at(deadline, changed.changed())
                .await
                .is_err()
            {
                return Err(self.look(|view| InVain {
                    what: what.to_owned(),
                    waited: patience,
                    messages: view.messages.len(),
                    submissions: view.submissions.len(),
                    sessions: view.sessions.len(),
                    undelivered: view.undelivered,
                }));
            }
        }
    }

    /// Ends it; connections break.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        self.carrier.read(|state| {
            look(&View {
                messages: &state.messages,
                submissions: &state.submissions,
                sessions: sessions(state),
                undelivered: state.outbox.len() + state.in_flight.len(),
            })
        })
    }
}

impl Carrier {
    fn write(&self, phone: &str, to: &str, text: &str) -> Option<u64> {
        let now = (self.config.clock.now(), Instant::now());
        let message = self.with(|state| state.write(&self.config, phone, to, text, now));
        self.work.notify_one();
        message
    }
}

fn sessions(state: &State) -> Vec<Session> {
    let session = |(id, bound): (&SessionId, &session::Bound)| Session {
        id: *id,
        system_id: bound.system_id.clone(),
        kind: bound.kind,
    };
    state.bound.iter().map(session).collect()
}
