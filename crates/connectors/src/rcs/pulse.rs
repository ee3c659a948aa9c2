//! How a connector is, as its traffic shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{Health, Link};
use swingbridge_domain::id::ConnectorId;

pub struct Pulse {
    id: ConnectorId,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    link: Link,
    detail: String,
    last_traffic: Option<Timestamp>,
}

impl Pulse {
    pub fn new(id: ConnectorId, clock: Arc<dyn Clock>) -> Self {
        Self {
            id,
            clock,
            state: Mutex::new(State {
                link: Link::Disconnected,
                detail: "the service has not been asked yet".to_owned(),
                last_traffic: None,
            }),
        }
    }

    /// The service answers as it should.
    pub fn connected(&self) {
        self.set(Link::Connected, "");
    }

    /// Says what is wrong, once.
    pub fn set(&self, link: Link, detail: &str) {
        let mut state = self.state();
        if state.link != link || state.detail != detail {
            match link {
                Link::Connected => tracing::info!(connector = %self.id, "the service answers"),
                Link::Refused => tracing::error!(connector = %self.id, "{detail}"),
                _ => tracing::warn!(connector = %self.id, "{detail}"),
            }
        }
        state.link = link;
        detail.clone_into(&mut state.detail);
    }

    /// A message or a receipt passed.
    pub fn traffic(&self) {
        let now = self.clock.now();
        self.state().last_traffic = Some(now);
    }

    pub fn health(&self) -> Health {
        let state = self.state();
        Health {
            state: state.link,
            detail: state.detail.clone(),
            last_traffic: state.last_traffic,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
