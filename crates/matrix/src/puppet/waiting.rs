//! Events whose key is not there yet: tried again whenever keys come, and now and then besides, for as long as it takes. The engine hears
//! of one when the first tries came to nothing, and hears what it says as soon as it opens.

use super::intake::Read;
use super::ledger::Waiting;
use super::sync::{Pause, deliver};
use super::{Puppet, RunError, failure};
use crate::crypto::{pause, unreadable};
use crate::failure::Failure;
use futures_util::{FutureExt, StreamExt};
use ruma::RoomId as MatrixRoomId;
use ruma::serde::Raw;
use serde_json::value::RawValue;
use std::time::Duration;
use swingbridge_domain::inbox::{Arrival, Inbox};

/// From this try on the engine is told.
const TOLD_AFTER: u32 = 2;
/// The longest sleep between two looks.
const SLEEP: Duration = Duration::from_secs(60);
/// Events that are tried at once.
const SOME: u32 = 500;

impl Puppet {
    pub(super) async fn look_after_waiting(&self, inbox: &dyn Inbox) -> Result<(), RunError> {
        let encryption = self.client.encryption();
        let mut keys = match encryption.room_keys_received_stream().await {
            Some(stream) => stream.boxed(),
            None => futures_util::stream::pending().boxed(),
        };
        let mut pause = Pause::default();
        let mut all = true;
        loop {
            match self.try_waiting(inbox, all).await {
                Ok(true) => pause = Pause::default(),
                Ok(false) => return Ok(()),
                Err(failure) => pause.after(&failure).await,
            }
            let next = self.ledger.next_due().await.ok().flatten();
            let sleep = next.map_or(SLEEP, |next| next.since(self.clock.now()).min(SLEEP));
            all = tokio::select! {
                () = tokio::time::sleep(sleep) => false,
                () = self.keys.notified() => false,
                Some(_) = keys.next() => true,
            };
        }
    }

    /// Tries what is due, or all that waits. `false`: the program is stopping.
    async fn try_waiting(&self, inbox: &dyn Inbox, all: bool) -> Result<bool, Failure> {
        let now = self.clock.now();
        let until = (!all).then_some(now);
        let (mut arrivals, mut done, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for mut waiting in self.ledger.due(until, SOME).await? {
            match self.try_once(&waiting).await? {
                Read::Arrival(arrival) => {
                    arrivals.push(*arrival);
                    done.push(waiting.event);
                }
                Read::Nothing => done.push(waiting.event),
                Read::Waits(event, cause) => {
                    // Keys of others came: that is no try of this one's own.
                    if waiting.due <= now {
                        waiting.tries += 1;
                        waiting.due = now + pause(waiting.tries);
                    }
                    if !waiting.told && waiting.tries >= TOLD_AFTER {
                        arrivals.push(unreadable(&event, cause));
                        waiting.told = true;
                    }
                    again.push(waiting);
                }
            }
        }
        let arrivals: Vec<Arrival> = arrivals;
        if !deliver(inbox, arrivals).await {
            return Ok(false);
        }
        if !(done.is_empty() && again.is_empty()) {
            self.ledger.tried(done, again).await?;
        }
        Ok(true)
    }

    async fn try_once(&self, waiting: &Waiting) -> Result<Read, Failure> {
        let (Ok(id), Ok(raw)) = (
            MatrixRoomId::parse(&waiting.room),
            RawValue::from_string(waiting.body.clone()),
        ) else {
            return Ok(Read::Nothing);
        };
        // Without the room there is nobody to tell.
        let Some(room) = self.client.get_room(&id) else {
            return Ok(Read::Nothing);
        };
        let raw = Raw::from_json(raw);
        let event = room
            .decrypt_event(&raw, None)
            .boxed()
            .await
            .map_err(failure::any)?;
        self.read_event(&event, &id).await
    }
}
