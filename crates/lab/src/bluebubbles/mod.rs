//! A BlueBubbles server, emulated: its REST API and its socket.io events as version 1.9.9 has them, with the faults that were measured
//! on it or that people report. The Mac, its Messages and the people at the other end are this module's methods.
//!
//! What a real server was seen to do, and this one does:
//!
//! - only the query parameter counts as password; a bearer token gets 401;
//! - rows are sorted by date, never by number; a row that is in no chat yet is left out when chats are asked for; the limit counts a
//!   message once for each of its files;
//! - what is asked for in camel case (`messageSummaryInfo`) is not given, with dashes it is;
//! - a send that fails later was answered with 200, and no event tells of it;
//! - a message has no service, and an emoji tapback is a numeric string without its emoji;
//! - a restart forgets which events were sent, and sends those of the look-back again; nothing is repeated that was lost.
//!
//! Not here: the Private API's helper beyond its effects, webhooks, FaceTime, scheduled messages, the polling transport of the
//! events.

mod people;
mod rest;
mod sends;
mod shapes;
mod socket;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::process::free_port;
use world::World;
pub use world::{Answer, Rules, Sent};

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server with its Mac. Dropping it ends it.
pub struct BlueBubbles {
    mac: Arc<Mac>,
    address: SocketAddr,
    stop: Mutex<CancellationToken>,
}

struct Mac {
    world: Mutex<World>,
    /// Something happened in the world.
    changed: Notify,
    /// Name and data of each event, for those who listen.
    events: broadcast::Sender<(String, Value)>,
}

impl Mac {
    fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let outcome = change(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
        outcome
    }

    /// Looks without telling those who wait for a change.
    fn with_quietly<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells all who listen, as the rules have it.
    fn emit(&self, name: &str, data: Value) {
        let times = self.with(|world| {
            if !matches!(name, "typing-indicator" | "hello-world") {
                world.emitted.push((name.to_owned(), data.clone()));
            }
            match world.rules.events {
                false => 0,
                true if world.rules.double_events => 2,
                true => 1,
            }
        });
        for _ in 0..times {
            // Nobody may be listening.
            let _ = self.events.send((name.to_owned(), data.clone()));
        }
    }
}

impl BlueBubbles {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(rules: Rules) -> std::io::Result<Self> {
        let (events, _) = broadcast::channel(1024);
        let mac = Arc::new(Mac {
            world: Mutex::new(World::new(rules)),
            changed: Notify::new(),
            events,
        });
        // `restart` comes back at the same one.
        let port = free_port().map_err(std::io::Error::other)?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        serve(mac.clone(), listener, stop.clone());
        Ok(Self {
            mac,
            address,
            stop: Mutex::new(stop),
        })
    }

    /// Where it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how it behaves from now on.
    pub fn set(&self, change: impl FnOnce(&mut Rules)) {
        self.mac.with(|world| change(&mut world.rules));
    }

    /// Ends the server, with all its connections; the Mac goes on.
    pub fn stop(&self) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }

    /// Starts the server again on the same port. It has forgotten which events it sent, and sends those of the newest
    /// `look_back` rows again to whoever listens first.
    ///
    /// # Errors
    /// The port is taken by another.
    pub async fn restart(&self, look_back: usize) -> std::io::Result<()> {
        self.stop();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => tokio::task::yield_now().await,
                Err(error) => return Err(error),
            }
        };
        self.mac.with(|world| world.refire = look_back);
        let stop = CancellationToken::new();
        serve(self.mac.clone(), listener, stop.clone());
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop;
        Ok(())
    }

    /// What the server was asked to send, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.mac.with_quietly(|world| world.sent.clone())
    }

    /// What else it was asked to do: `typing chat true`, `read chat`.
    #[must_use]
    pub fn signals(&self) -> Vec<String> {
        self.mac.with_quietly(|world| world.signals.clone())
    }

    /// The events that it sent, or would have sent had somebody listened.
    #[must_use]
    pub fn emitted(&self) -> Vec<(String, Value)> {
        self.mac.with_quietly(|world| world.emitted.clone())
    }

    /// How many listen to the events.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.mac.with_quietly(|world| world.listeners)
    }

    /// How many pings were answered.
    #[must_use]
    pub fn pongs(&self) -> usize {
        self.mac.with_quietly(|world| world.pongs)
    }

    /// How often a message was asked for by itself.
    #[must_use]
    pub fn asked_for(&self, guid: &str) -> usize {
        self.mac
            .with_quietly(|world| world.asked_for.get(guid).copied().unwrap_or(0))
    }

    /// How many requests were made.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.mac.with_quietly(|world| world.requests)
    }

    /// Waits until `holds`.
    ///
    /// # Panics
    /// After twenty seconds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                let changed = self.mac.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if holds(self) {
                    return;
                }
                // What `holds` looks at may change without our knowing.
                let _ = tokio::time::timeout(Duration::from_millis(100), changed).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
            "waited in vain: {what}"
        );
    }
}

impl Drop for BlueBubbles {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(mac: Arc<Mac>, listener: TcpListener, stop: CancellationToken) {
    let routes: Router = rest::guarded(rest::routes(), &mac)
        .merge(socket::routes(stop.clone()))
        .with_state(mac);
    tokio::spawn(async move {
        // Not gracefully: a stopped server answers nobody any more.
        tokio::select! {
            () = stop.cancelled() => {}
            result = connections(listener, routes) => {
                if let Err(error) = result {
                    tracing::warn!(%error, "the emulated BlueBubbles server has ended");
                }
            }
        }
    });
}

async fn connections(listener: TcpListener, routes: Router) -> std::io::Result<()> {
    axum::serve(listener, routes).await
}
