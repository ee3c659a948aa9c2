//! Events that wait for their key, and the machines' errands.
//!
//! A key that is not there is asked for: in the device's own queue, and of the devices of whoever wrote the event. The event is tried
//! again whenever keys come, and now and then besides, for as long as it takes. Its sender hears of it when the first tries came to
//! nothing, and the event goes its way by itself as soon as it opens.

use super::Crypto;
use super::ledger::Waiting;
use super::open::{after, pause, unreadable};
use crate::event;
use crate::failure::Failure;
use crate::homeserver::Matrix;
use ruma::OwnedUserId;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::inbox::{Arrival, Inbox, RoomEvent, Unreadable, What};

/// From this try on the sender is told.
const TOLD_AFTER: u32 = 2;
/// The longest sleep between two looks.
const SLEEP: Duration = Duration::from_secs(60);
/// How often the bot's queue is read when nothing else asks for it, so that the homeserver can empty it.
const TIDY: Duration = Duration::from_secs(3600);

impl Matrix {
    /// Looks after the keys until the program stops: makes the bot's device, reads what came while nobody listened, answers other
    /// devices, and tries again what did not open. Run it once, beside everything else.
    pub async fn look_after_keys(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) {
        let looking = async {
            let mut tries = 0;
            while let Err(failure) = self.start_encryption().await {
                tracing::warn!(%failure, "encryption cannot start yet");
                tokio::time::sleep(pause(tries).min(SLEEP)).await;
                tries += 1;
            }
            let mut tidied = None;
            loop {
                let Ok(Some(crypto)) = self.crypto() else {
                    return std::future::pending().await;
                };
                let now = self.clock.now();
                if tidied.is_none_or(|last| now.since(last) >= TIDY) {
                    match self.catch_up(crypto, &self.bot).await {
                        Ok(_) => tidied = Some(now),
                        Err(failure) => {
                            tracing::warn!(%failure, "what came for the bot's device cannot be read now")
                        }
                    }
                    crypto.errand(&self.bot);
                }
                self.run_errands(crypto).await;
                if let Err(failure) = self.try_again(crypto, &*inbox).await {
                    tracing::warn!(%failure, "what waits for its key cannot be looked at now");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                let next = crypto.ledger.next_due().await.ok().flatten();
                let sleep = next.map_or(SLEEP, |next| next.since(self.clock.now()).min(SLEEP));
                tokio::select! {
                    () = tokio::time::sleep(sleep) => {}
                    () = crypto.wake.notified() => {}
                }
            }
        };
        tokio::select! {
            () = looking => {}
            () = shutdown.requested() => {}
        }
    }

    async fn run_errands(&self, crypto: &Crypto) {
        let users = std::mem::take(&mut *crypto.errands());
        for user in users {
            let done = async {
                let machine = self.machine(crypto, &user).await?;
                machine.pump(&self.api).await
            };
            if let Err(failure) = done.await {
                tracing::debug!(%failure, "a machine's requests wait");
                if matches!(failure, Failure::Away { .. }) {
                    crypto.errands().insert(user);
                }
            }
        }
    }

    /// Opens what waits for keys that just came. Gives the arrivals, and what is to be handed to [`Matrix::opened`] once they are
    /// committed.
    pub(crate) async fn reopen(
        &self,
        crypto: &Crypto,
        sessions: Vec<String>,
    ) -> Result<(Vec<Arrival>, Vec<String>), Failure> {
        let (mut arrivals, mut done) = (Vec::new(), Vec::new());
        if sessions.is_empty() {
            return Ok((arrivals, done));
        }
        for waiting in crypto.ledger.of_sessions(sessions).await? {
            let Some((raw, event)) = self.kept(&waiting) else {
                done.push(waiting.event);
                continue;
            };
            if let Ok(opened) = self.open_event(crypto, &raw, &event).await? {
                arrivals.extend(opened);
                done.push(waiting.event);
            }
        }
        Ok((arrivals, done))
    }

    /// They were committed: they wait no more.
    pub(crate) async fn opened(&self, crypto: &Crypto, done: Vec<String>) -> Result<(), Failure> {
        match done.is_empty() {
            true => Ok(()),
            false => crypto.ledger.done(done).await,
        }
    }

    async fn try_again(&self, crypto: &Crypto, inbox: &dyn Inbox) -> Result<(), Failure> {
        let due = crypto.ledger.due(self.clock.now()).await?;
        metrics::gauge!("swingbridge_encryption_events_waiting").set(crypto.ledger.waiting().await? as f64);
        if due.is_empty() {
            return Ok(());
        }
        if let Err(failure) = self.look_for_keys(crypto, &due).await {
            tracing::debug!(%failure, "keys cannot be looked for now");
        }
        for mut waiting in due {
            let Some((raw, event)) = self.kept(&waiting) else {
                crypto.ledger.done(vec![waiting.event]).await?;
                continue;
            };
            let shut = match self.open_event(crypto, &raw, &event).await? {
                Ok(opened) => {
                    inbox
                        .deliver(Vec::from_iter(opened))
                        .await
                        .map_err(|failure| Failure::away(failure.to_string()))?;
                    let waited = self.clock.now().since(waiting.since);
                    tracing::info!(?waited, tries = waiting.tries, "an event got its key");
                    metrics::counter!("swingbridge_encryption_events_recovered_total").increment(1);
                    crypto.ledger.done(vec![waiting.event]).await?;
                    continue;
                }
                Err(shut) => shut,
            };
            let at_once = shut.cause != Unreadable::MissingKey && shut.cause != Unreadable::UnknownDevice;
            if !waiting.told && (at_once || waiting.tries + 1 >= TOLD_AFTER) {
                let word = unreadable(&event, shut.cause);
                inbox
                    .deliver(vec![word])
                    .await
                    .map_err(|failure| Failure::away(failure.to_string()))?;
                waiting.told = true;
            }
            if !shut.waits {
                crypto.ledger.done(vec![waiting.event]).await?;
                continue;
            }
            let due = after(self.clock.now(), waiting.tries);
            waiting.tries += 1;
            crypto.ledger.again(&waiting, due).await?;
        }
        Ok(())
    }

    /// Looks where the keys may be: in the bot's queue, and for the devices of those who wrote.
    async fn look_for_keys(&self, crypto: &Crypto, due: &[Waiting]) -> Result<(), Failure> {
        self.catch_up(crypto, &self.bot).await?;
        let mut senders = BTreeSet::new();
        for waiting in due {
            if let Some((_, event)) = self.kept(waiting)
                && let Ok(sender) = OwnedUserId::try_from(event.sender.as_str())
            {
                senders.insert(sender);
            }
            if let Ok(room) = ruma::RoomId::parse(&waiting.room) {
                // Another of our users may have the key.
                let _ = self.members_of(crypto, &room, &self.bot).await;
            }
        }
        let machine = self.machine(crypto, &self.bot).await?;
        machine.follow(&self.api, &Vec::from_iter(senders)).await
    }

    /// An event as it was kept.
    fn kept(&self, waiting: &Waiting) -> Option<(Box<RawValue>, RoomEvent)> {
        let raw: Box<RawValue> = serde_json::from_str(&waiting.body).ok()?;
        let arrival = event::read(&raw, Some(&waiting.room), &self.names).ok()??;
        match arrival.what {
            What::Room(event) => Some((raw, event)),
            What::Network(_) => None,
        }
    }
}
