//! What a test or a program sees of a running carrier.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::bound::{Bound, Kind, Outgoing};
use super::ledger::{Accounts, Submission};
use super::phones::{Message, Reach};
use super::state::State;
use super::{Carrier, Chunk, SessionId};
use crate::faults::{Fault, Faults, Plan};

/// A running carrier. Dropping it ends it.
pub struct Handle {
    pub(super) carrier: Arc<Carrier>,
    pub(super) smpp: SocketAddr,
    pub(super) http: Option<SocketAddr>,
    pub(super) stop: CancellationToken,
    pub(super) _ends: DropGuard,
}

/// A bound session, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub system_id: String,
    pub kind: Kind,
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

    /// What all connections carried so far, if [`super::Config::record`] is set; see [`crate::pcap`].
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

fn sessions(state: &State) -> Vec<Session> {
    let session = |(id, bound): (&SessionId, &Bound)| Session {
        id: *id,
        system_id: bound.system_id.clone(),
        kind: bound.kind,
    };
    state.bound.iter().map(session).collect()
}
