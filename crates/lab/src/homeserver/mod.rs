//! A strict homeserver in memory, for tests: what a gateway calls in the client-server API, and a pusher of transactions
//! that behaves like Synapse or like others ([`Quirks`]), with faults that a seed decides ([`Faults`]).
//!
//! It knows nothing of the Matrix library that the gateway uses: it is a second opinion on the specification. Where a
//! status or an error code is not in the specification it follows Synapse 1.163; a test compares the two.
//!
//! ```no_run
//! # async fn example(registration: &str) -> Result<(), Box<dyn std::error::Error>> {
//! use swingbridge_lab::homeserver::{Config, Registration, Stub};
//! let stub = Stub::start(Config::new(Registration::from_yaml(registration)?)).await?;
//! let alice = stub.user("alice");
//! let room = alice.create_room(serde_json::json!({"invite": ["@bot:localhost"]}))?;
//! let event = alice.say(&room, "hello")?;
//! # Ok(()) }
//! ```

mod accounts;
mod call;
mod config;
mod connections;
mod creation;
mod faults;
mod media;
mod members;
mod push;
mod reading;
mod rooms;
mod routes;
#[cfg(test)]
mod tests;
mod users;
mod world;

pub use config::{
    Config, Devices, Namespace, Namespaces, Ping, Quirks, Registration, Retry, TokenPlace, TransactionIds,
    versions_up_to,
};
pub use faults::Faults;
pub use push::Pushes;
pub use users::{LocalUser, Refused};
pub use world::{Ephemeral, Event, Media, Room, User, World};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use call::{Call, Outcome, Refusal};
use connections::{Doors, Line};
use faults::Fault;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// A running stub homeserver. It ends when this is dropped.
#[derive(Debug)]
pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What was awaited did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {} s in vain for {what}", after.as_secs())]
pub struct TimedOut {
    what: String,
    after: Duration,
}

/// What requests, the pusher and the test share.
#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    revision: watch::Sender<u64>,
    up: watch::Sender<bool>,
    pushable: Notify,
    pinged: Notify,
    service: push::Service,
}

impl Stub {
    /// Starts a homeserver on a free port of this machine.
    ///
    /// # Errors
    /// No port is free, or no HTTP client can be made.
    pub async fn start(config: Config) -> Result<Self, std::io::Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Self::start_on(listener, config)
    }

    /// Starts on a port that the caller bound before it knew the registration.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn start_on(listener: TcpListener, config: Config) -> Result<Self, std::io::Error> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            service: push::Service::new(&config).map_err(std::io::Error::other)?,
            world: Mutex::new(World::new(config)),
            revision: watch::Sender::new(0),
            up: watch::Sender::new(true),
            pushable: Notify::new(),
            pinged: Notify::new(),
        });
        let doors = Doors {
            listener,
            up: shared.up.subscribe(),
        };
        let app = axum::Router::new()
            .fallback(handle)
            .layer(axum::extract::DefaultBodyLimit::max(100 << 20))
            .with_state(shared.clone());
        let serve = async move {
            // It ends with the task, never by itself.
            let _ = axum::serve(doors, app.into_make_service_with_connect_info::<Line>()).await;
        };
        let tasks = vec![tokio::spawn(serve), tokio::spawn(push::run(shared.clone()))];
        Ok(Self {
            address,
            shared,
            tasks,
        })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Reads from the world. Do not call the stub's other methods from `look`.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.shared.lock())
    }

    /// The messages of a room in order: those that are neither edits nor redacted.
    pub fn messages(&self, room: &str) -> Vec<Event> {
        self.look(|world| {
            let timeline = world
                .rooms
                .get(room)
                .map(|room| room.timeline.clone())
                .unwrap_or_default();
            let events = timeline.into_iter().map(|at| world.events[at].clone());
            events
                .filter(|e| e.kind == "m.room.message" && e.content["body"].is_string())
                .collect()
        })
    }

    /// Waits until `found` finds something, without sleeping.
    ///
    /// # Errors
    /// It found nothing within `limit`.
    pub async fn wait<T>(
        &self,
        limit: Duration,
        what: &str,
        mut found: impl FnMut(&World) -> Option<T>,
    ) -> Result<T, TimedOut> {
        let mut changes = self.shared.changes();
        let search = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = found(&self.shared.lock()) {
                    return found;
                }
                // The sender lives as long as `self`.
                let _ = changes.changed().await;
            }
        };
        let timed_out = || TimedOut {
            what: what.to_owned(),
            after: limit,
        };
        tokio::time::timeout(limit, search).await.map_err(|_| timed_out())
    }

    /// Ends all connections and refuses new ones until [`Stub::come_back`].
    pub fn go_away(&self) {
        self.shared.up.send_replace(false);
        self.shared.lock().pushes.paused = true;
    }

    /// Comes back as after a restart: what Synapse keeps in memory is forgotten, the transaction ids of senders
    /// without a device and (by quirk) the numbering of pushes.
    pub fn come_back(&self) {
        self.restart_world();
        self.shared.up.send_replace(true);
    }

    /// Restarts in no time.
    pub fn restart(&self) {
        self.go_away();
        self.come_back();
    }

    fn restart_world(&self) {
        {
            let mut world = self.shared.lock();
            world.transactions.retain(|(_, device, _), _| device.is_some());
            if world.config.quirks.transaction_ids == TransactionIds::CountedAnew {
                world.pushes.restart();
            }
            world.pushes.paused = false;
        }
        self.shared.changed();
    }

    /// Cuts or mends the way to the application service; the other way stays.
    pub fn hold_pushes(&self, hold: bool) {
        self.shared.lock().pushes.paused = hold;
        self.shared.changed();
    }

    pub fn set_faults(&self, faults: Faults) {
        self.shared.lock().config.faults = faults;
    }

    /// Changes the habits of a running homeserver; those of the pusher's token and path stay.
    pub fn set_quirks(&self, change: impl FnOnce(&mut Quirks)) {
        change(&mut self.shared.lock().config.quirks);
    }

    /// From now on it is a violation when the application service puts this number into an identifier, a profile, an
    /// alias or room state, however it is written.
    pub fn watch_number(&self, number: &str) {
        self.shared.lock().watched.extend(world::tail(number));
    }

    /// What the application service should not have done.
    pub fn violations(&self) -> Vec<String> {
        self.look(|world| world.violations.clone())
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.up.send_replace(false);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        // A test that failed while it looked has done no harm to the world.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.now = now();
        world
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Wakes all who wait for a change.
    fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
        self.pushable.notify_one();
    }

    /// Changes the world and tells it.
    fn act<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let value = change(&mut self.lock());
        self.changed();
        value
    }
}

/// Milliseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the stub is the outside: its clock is the machine's"
)]
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Reads a request, decides its fault, and answers.
async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    parts: Parts,
    body: Bytes,
) -> Response {
    let Some(call) = Call::read(&parts, body) else {
        return refusal(400, "M_UNRECOGNIZED", "the path is not well encoded").into_response();
    };
    let fault = {
        let mut world = shared.lock();
        let of_service = call.token.as_deref() == Some(world.registration().as_token.as_str());
        let faults = world.config.faults.clone();
        let key = (call.method.as_str(), call.path_text(), call.query("user_id"));
        if of_service {
            world.dice.fault(&faults, &key)
        } else {
            None
        }
    };
    let performed = match fault {
        Some(Fault::Status { performed, .. } | Fault::Drop { performed }) => performed,
        Some(Fault::Limited { .. }) => false,
        Some(Fault::Delay(pause)) => {
            tokio::time::sleep(pause).await;
            true
        }
        None => true,
    };
    let outcome: Option<Outcome> = if performed {
        Some(routes::serve(&shared, &call).await)
    } else {
        None
    };
    note(&shared, &call, outcome.as_ref());
    match fault {
        Some(Fault::Drop { .. }) => {
            line.cut();
            String::new().into_response()
        }
        Some(Fault::Limited { pause }) => Refusal {
            pause: Some(pause),
            ..refusal(429, "M_LIMIT_EXCEEDED", "Too Many Requests")
        }
        .into_response(),
        Some(Fault::Status {
            status, html: true, ..
        }) => (
            call::status(status),
            axum::response::Html("<html><h1>Bad Gateway</h1></html>"),
        )
            .into_response(),
        Some(Fault::Status { status, .. }) => {
            refusal(status, "M_UNKNOWN", "Internal server error").into_response()
        }
        Some(Fault::Delay(_)) | None => match outcome {
            Some(Ok(answer)) => answer.into_response(),
            Some(Err(refusal)) => refusal.into_response(),
            None => refusal(500, "M_UNKNOWN", "not performed").into_response(),
        },
    }
}

fn refusal(status: u16, code: &'static str, words: &str) -> Refusal {
    Refusal {
        status,
        code,
        words: words.to_owned(),
        pause: None,
    }
}

/// Keeps what the application service asked, and the status that was meant.
fn note(shared: &Shared, call: &Call, outcome: Option<&Outcome>) {
    let status = match outcome {
        None => 0,
        Some(Ok(call::Answer::Json(status, _))) => *status,
        Some(Ok(call::Answer::File { .. })) => 200,
        Some(Err(refusal)) => refusal.status,
    };
    let mut world = shared.lock();
    if call.token.as_deref() == Some(world.registration().as_token.as_str()) {
        world
            .calls
            .push((format!("{} /{}", call.method, call.path_text()), status));
    }
}
