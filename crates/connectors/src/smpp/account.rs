//! What the binds of one account share, and the choice of the bind to submit on.

use super::config::{BindMode, Config};
use super::encode::References;
use super::metrics::Meters;
use super::session::{Limits, Session};
use super::throttle::{Backoff, Pace, Pause};
use super::tls::{self, TlsError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::connector::Link;
use swingbridge_domain::id::ConnectorId;
use tokio::time::Instant;

/// One account at an SMSC.
pub struct Account {
    pub id: ConnectorId,
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub meters: Arc<Meters>,
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub references: References,
    pub binds: Vec<Bind>,
    pace: Mutex<Pace>,
    /// Milliseconds since the epoch; zero for never.
    last_traffic: AtomicI64,
}

/// What a bind is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Transceiver,
    Transmitter,
    Receiver,
}

/// One of the account's connections, up or not.
pub struct Bind {
    pub number: usize,
    pub role: Role,
    state: Mutex<BindState>,
}

struct BindState {
    session: Option<Session>,
    pause: Pause,
    link: Link,
    detail: String,
    /// When it is tried again; past while it is up or tried.
    again: Instant,
}

/// A bind that can take a submit.
pub struct Chosen<'a> {
    pub bind: &'a Bind,
    pub session: Session,
}

impl Account {
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn new(
        id: ConnectorId,
        config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Account, TlsError> {
        let roles: &[Role] = match config.bind {
            BindMode::Transceiver => &[Role::Transceiver],
            BindMode::TransmitterReceiver => &[Role::Transmitter, Role::Receiver],
        };
        let backoff = Backoff::new(config.timing.first_wait, config.timing.longest_wait);
        let binds = (0..config.binds).flat_map(|_| roles).enumerate();
        Ok(Account {
            tls: config
                .tls
                .as_ref()
                .map(|settings| tls::client(settings, &config.host))
                .transpose()?,
            meters: Arc::new(Meters::new(id.as_str())),
            references: References::new(),
            binds: binds
                .map(|(number, &role)| Bind::new(number, role, backoff))
                .collect(),
            pace: Mutex::new(Pace::new(config.rate, Instant::now())),
            last_traffic: AtomicI64::new(0),
            id,
            config,
            clock,
            entropy,
        })
    }

    pub fn limits(&self) -> Limits {
        Limits {
            window: self.config.window,
            response: self.config.timing.response,
            enquire_link: self.config.timing.enquire_link,
        }
    }

    /// How many messages to work on at once: all windows twice over, so that a window is full while the fate of what
    /// left it is written down.
    pub fn at_once(&self) -> u32 {
        let submitting = self.binds.iter().filter(|bind| bind.role != Role::Receiver);
        u32::from(self.config.window) * submitting.count() as u32 * 2
    }

    /// From 0 to 1.
    pub fn jitter(&self) -> f64 {
        let mut octets = [0; 4];
        self.entropy.fill(&mut octets);
        f64::from(u32::from_be_bytes(octets)) / f64::from(u32::MAX)
    }

    /// The least busy bind that is up and not paused, or how long to wait and for what.
    pub fn choose(&self) -> Result<Chosen<'_>, (Duration, &'static str)> {
        let now = Instant::now();
        let mut best: Option<(usize, Chosen<'_>)> = None;
        let mut paused: Option<Duration> = None;
        let mut absent = self.config.timing.refused_wait;
        for bind in self.binds.iter().filter(|bind| bind.role != Role::Receiver) {
            let state = bind.state();
            let Some(session) = state.session.as_ref().filter(|session| session.is_open()) else {
                absent = absent.min(state.again.saturating_duration_since(now));
                continue;
            };
            if let Some(left) = state.pause.left(now) {
                paused = Some(paused.map_or(left, |other| other.min(left)));
                continue;
            }
            let busy = session.in_flight();
            if best.as_ref().is_none_or(|(least, _)| busy < *least) {
                best = Some((
                    busy,
                    Chosen {
                        bind,
                        session: session.clone(),
                    },
                ));
            }
        }
        match (best, paused) {
            (Some((_, chosen)), _) => Ok(chosen),
            (None, Some(left)) => Err((left, "the SMSC asks for fewer messages")),
            // Until one is tried again, and has had time to be bound.
            (None, None) => Err((
                absent + self.config.timing.first_wait,
                "the SMSC is not connected",
            )),
        }
    }

    /// A place under the account's rate: how long to wait for it, or how long it would be when that is longer
    /// than `patience`.
    pub fn reserve(&self, patience: Duration) -> Result<Duration, Duration> {
        self.pace().reserve(Instant::now(), patience)
    }

    /// The SMSC throttles on `bind`.
    pub fn throttled(&self, bind: &Bind) {
        let now = Instant::now();
        let begins = bind.state().pause.throttled(now, self.jitter());
        if begins {
            self.pace().halve(now);
            tracing::warn!(connector = %self.id, bind = bind.number, "the SMSC asks for fewer messages");
        }
    }

    /// A message or receipt went over the line.
    pub fn traffic(&self) {
        self.last_traffic
            .store(self.clock.now().millis(), Ordering::Relaxed);
    }

    pub fn last_traffic(&self) -> Option<Timestamp> {
        Some(Timestamp(self.last_traffic.load(Ordering::Relaxed))).filter(|at| at.millis() != 0)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bind {
    fn new(number: usize, role: Role, backoff: Backoff) -> Bind {
        let state = BindState {
            session: None,
            pause: Pause::new(backoff),
            link: Link::Disconnected,
            detail: "not connected yet".to_owned(),
            again: Instant::now(),
        };
        Bind {
            number,
            role,
            state: Mutex::new(state),
        }
    }

    /// It is bound.
    pub fn up(&self, session: Session, detail: String) {
        let mut state = self.state();
        state.session = Some(session);
        (state.link, state.detail) = (Link::Connected, detail);
    }

    /// It is not, and why, and in how long it is tried again.
    pub fn down(&self, link: Link, detail: String, again: Duration) {
        let mut state = self.state();
        state.session = None;
        state.again = Instant::now() + again;
        (state.link, state.detail) = (link, detail);
    }

    /// The SMSC took a message.
    pub fn took(&self) {
        self.state().pause.took(Instant::now());
    }

    /// How long it is paused.
    pub fn paused(&self) -> Option<Duration> {
        self.state().pause.left(Instant::now())
    }

    /// How it is, and in words.
    pub fn health(&self) -> (Link, String) {
        let state = self.state();
        match (state.link, state.pause.left(Instant::now())) {
            (Link::Connected, Some(_)) => (Link::Degraded, "the SMSC asks for fewer messages".to_owned()),
            (link, _) => (link, state.detail.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, BindState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
