//! Load, step and apply: one event and all that follows from it, in one transaction.

mod apply;
mod assemble;
mod contacts;
mod load;
pub(crate) mod refer;
mod sealed;
mod swap;

pub(crate) use load::LISTED;

use crate::contacts::Contacts;
use crate::event::Event;
use crate::inbox::Backlog;
use crate::kernel::After;
use crate::lanes::Lanes;
use crate::site::Site;
use crate::state::State;
use crate::step::{self, Unprocessable};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Health;
use swingbridge_domain::id::{ConnectorId, LineId};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{StoreError, Tables};

/// One transaction's worth of processing.
pub(crate) struct Work<'a> {
    pub site: &'a Site,
    pub keys: &'a Keys,
    pub own: &'a BTreeMap<LineId, [u8; 32]>,
    pub health: &'a BTreeMap<ConnectorId, Health>,
    pub contacts: &'a Contacts,
    pub backlog: &'a Backlog,
    pub lanes: &'a Arc<Mutex<Lanes>>,
    pub tables: &'a mut dyn Tables,
    pub now: Timestamp,
    /// What is to be known after the commit.
    pub after: After,
}

/// Why an event was not processed.
pub(crate) enum Fault {
    Store(StoreError),
    Unprocessable(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Fault::Store(error)
    }
}

impl From<Unprocessable> for Fault {
    fn from(Unprocessable(why): Unprocessable) -> Self {
        Fault::Unprocessable(why)
    }
}

impl Work<'_> {
    /// Processes `event` and what follows from it.
    pub fn happen(&mut self, event: Event) -> Result<(), Fault> {
        self.happened(&event)
    }

    /// The same for an event that is kept, to be processed once more should this transaction fail.
    pub fn happened(&mut self, event: &Event) -> Result<(), Fault> {
        let mut events = self.once(event)?;
        while let Some(event) = events.pop() {
            events.extend(self.once(&event)?);
        }
        Ok(())
    }

    /// What follows from one event, the last one first.
    fn once(&mut self, event: &Event) -> Result<Vec<Event>, Fault> {
        let mut state = State::default();
        self.load(&mut state, event)?;
        let mut following = Vec::new();
        for effect in step::step(self.site, &state, event, self.now)? {
            following.extend(self.apply(effect)?);
        }
        following.reverse();
        Ok(following)
    }
}
