//! A carrier on the loopback interface: an SMPP 3.4 server whose subscribers have phones on a web page.
//!
//! It takes binds and submissions, shows texts on phones, returns ids, sends receipts, and delivers what phones
//! write until the account has answered. [`crate::faults`] makes it as unreliable as wanted, and its ledger
//! ([`Handle::submissions`], [`Handle::accounts`]) proves what got through.

mod bound;
mod config;
mod delivery;
mod handle;
mod ledger;
mod phones;
mod rules;
mod session;
mod state;
mod web;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use bound::Kind;
pub use config::{Account, Config, IdStyle, Mark, ReceiptForm, Receipts, SystemClock};
pub use handle::{Handle, InVain, Session, View};
pub use ledger::{Accounts, Outcome, Submission, Text};
pub use phones::{Message, Phone, Progress, Reach, key};

use crate::faults::Faults;
use state::State;

/// A connection to the carrier, numbered in the order of coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SessionId(pub u64);

/// Octets that a connection carried, in order.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub session: SessionId,
    pub from_carrier: bool,
    /// Since the carrier started.
    pub at: Duration,
    pub octets: Bytes,
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

    fn write(&self, phone: &str, to: &str, text: &str) -> Option<u64> {
        let now = (self.config.clock.now(), Instant::now());
        let message = self.with(|state| state.write(&self.config, phone, to, text, now));
        self.work.notify_one();
        message
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
