//! Load, step and apply: one event and all that follows from it, in one transaction.

mod apply;
mod load;

use crate::event::Event;
use crate::lanes::Change;
use crate::site::Site;
use crate::step::{self, Unprocessable};
use std::collections::BTreeMap;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Health;
use swingbridge_domain::id::{ConnectorId, LineId};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{StoreError, Tables};

/// One transaction's worth of processing.
pub(crate) struct Work<'a> {
    pub site: &'a Site,
    pub keys: &'a Keys,
    pub health: &'a BTreeMap<ConnectorId, Health>,
    pub tables: &'a mut dyn Tables,
    pub now: Timestamp,
    /// What the dispatcher is to know after the commit.
    pub changes: Vec<Change>,
    pub counts: Vec<(LineId, &'static str)>,
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
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let state = self.load(&event)?;
            let mut following = Vec::new();
            for effect in step::step(self.site, &state, &event, self.now)? {
                following.extend(self.apply(effect)?);
            }
            events.extend(following.into_iter().rev());
        }
        Ok(())
    }
}
