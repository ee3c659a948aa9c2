//! Reading what the server holds: new rows by their numbers, and the newest ones again for what changed about them.

use super::account::Account;
use super::api::Failure;
use super::journal::{JournalError, WINDOW};
use super::shapes::Message;
use super::taking::Batch;
use std::collections::HashMap;
use swingbridge_domain::inbox::{Inbox, InboxError};

/// A message that is this much older than the newest came by itself from Apple's store, or from a device that was off.
pub(super) const LATE: i64 = 24 * 60 * 60 * 1000;
/// Why a reading ended early. What was not handed in is read again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Server(#[from] Failure),
    #[error(transparent)]
    Inbox(#[from] InboxError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

pub(super) struct Reader<'a> {
    pub account: &'a Account,
    pub inbox: &'a dyn Inbox,
}

impl Reader<'_> {
    /// Takes the place to read from at the first start, and a new one when the Mac's database is another one.
    pub async fn place(&self) -> Result<(), Trouble> {
        let state = self.account.state();
        let tip = self.tip().await?;
        match state.cursor {
            None => {
                let history = i64::from(self.account.config.history);
                self.account.keep(|state| {
                    state.cursor = Some((tip - history).max(0));
                    state.history_to = tip;
                })?;
            }
            Some(cursor) if self.is_replaced(cursor, tip, state.anchor.as_deref()).await? => {
                tracing::warn!(
                    connector = %self.account.id,
                    "the Mac numbers its messages anew; those of the last day are read again, known ones are passed over"
                );
                let since = state.newest - LATE;
                let recent = self.account.api.latest(Some(since.max(0))).await?;
                let first = recent.iter().filter_map(|message| message.row).min();
                self.account.keep(|state| {
                    state.cursor = Some(first.map_or(tip, |first| first - 1));
                    state.anchor = None;
                    state.history_to = 0;
                    state.replaced = Some((tip, since));
                })?;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The highest row. The server sorts by date only, and a message that came from Apple's store is old in a high row.
    async fn tip(&self) -> Result<i64, Trouble> {
        let latest = self.account.api.latest(None).await?;
        let mut tip = latest.iter().filter_map(|message| message.row).max().unwrap_or(0);
        while self.account.api.count(tip + 1, None).await? > 0 {
            let above = self.account.api.rows(tip, None, false).await?;
            let highest = above.iter().filter_map(|message| message.row).max();
            match highest {
                Some(row) if row > tip => tip = row,
                _ => break,
            }
        }
        Ok(tip)
    }

    /// Whether the row that was read last is another message now, or there is none and rows end below it.
    async fn is_replaced(&self, cursor: i64, tip: i64, anchor: Option<&str>) -> Result<bool, Trouble> {
        let Some(anchor) = anchor else {
            return Ok(tip < cursor);
        };
        let there = self.account.api.rows(cursor - 1, Some(cursor), false).await?;
        if let Some(message) = there.first() {
            return Ok(message.guid != anchor);
        }
        match self.account.api.message(anchor).await {
            Ok(_) => Ok(true),
            // Deleted by the user, or the database is a new one: rows are numbered on and on, never again from below.
            Err(Failure::Missing) if tip >= cursor => Ok(false),
            Err(Failure::Missing) => {
                let latest = self.account.api.latest(None).await?;
                let state = self.account.state();
                let known = latest.iter().any(|message| state.look(&message.guid).is_some());
                Ok(!known && !latest.is_empty())
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Hands in all rows above the cursor.
    pub async fn catch_up(&self) -> Result<(), Trouble> {
        let api = &self.account.api;
        loop {
            let Some(cursor) = self.account.state().cursor else {
                return Ok(());
            };
            let total = api.count(cursor + 1, None).await?;
            if total == 0 {
                return Ok(());
            }
            let highest = match total > WINDOW as u64 {
                true => Some(self.bound(cursor).await?),
                false => None,
            };
            // All rows, and then those that belong to a chat with what else there is to know: one may miss in the second answer because
            // it is not in its chat yet, or because the answer was cut for the number of files.
            let mut rows = api.rows(cursor, highest, false).await?;
            rows.retain(|message| message.row.is_some_and(|row| row > cursor));
            rows.sort_by_key(|message| message.row);
            let Some((top, anchor)) = rows.last().and_then(|last| Some((last.row?, last.guid.clone())))
            else {
                return Ok(());
            };
            let whole = api.rows(cursor, Some(top), true).await?;
            let mut whole: HashMap<String, Message> = whole
                .into_iter()
                .map(|message| (message.guid.clone(), message))
                .collect();
            let mut batch = self.batch();
            for bare in rows {
                let message = match whole.remove(&bare.guid) {
                    Some(message) => message,
                    None => match api.message(&bare.guid).await {
                        Ok(message) => message,
                        Err(Failure::Missing) => continue,
                        Err(failure) => return Err(failure.into()),
                    },
                };
                self.take(&mut batch, &message, None).await?;
            }
            batch.note(move |state| {
                state.cursor = Some(top);
                state.anchor = Some(anchor.clone());
            });
            self.hand_in(batch).await?;
        }
    }

    /// A row up to which there are some above the cursor, and no more than a window of them: numbers may have gaps.
    async fn bound(&self, cursor: i64) -> Result<i64, Trouble> {
        let api = &self.account.api;
        let (mut empty_to, mut some_to) = (cursor, cursor.saturating_add(WINDOW));
        while api.count(cursor + 1, Some(some_to)).await? == 0 {
            empty_to = some_to;
            some_to = some_to.saturating_add(some_to - cursor);
        }
        while some_to - empty_to > WINDOW {
            let middle = empty_to + (some_to - empty_to) / 2;
            match api.count(empty_to + 1, Some(middle)).await? {
                0 => empty_to = middle,
                _ => some_to = middle,
            }
        }
        Ok(some_to)
    }

    /// Looks again at rows that were not complete.
    pub async fn await_rows(&self) -> Result<(), Trouble> {
        for waiting in self.account.state().waiting {
            let mut batch = self.batch();
            let guid = waiting.guid.clone();
            batch.note(move |state| state.waiting.retain(|one| one.guid != guid));
            match self.account.api.message(&waiting.guid).await {
                Ok(message) => self.take(&mut batch, &message, Some(&waiting)).await?,
                Err(Failure::Missing) => {}
                Err(failure) => return Err(failure.into()),
            }
            let waits = batch.draft.waiting.iter().any(|one| one.guid == waiting.guid);
            if !waits {
                self.hand_in(batch).await?;
            }
        }
        Ok(())
    }

    /// Looks at sends that may yet fail, at messages that an event named, and, when `all`, at the newest ones.
    pub async fn compare(&self, named: &[String], all: bool) -> Result<(), Trouble> {
        let now = self.account.clock.now();
        if self.account.state().has_expired(now) {
            self.account.keep(|state| state.expire(now))?;
        }
        let state = self.account.state();
        let api = &self.account.api;
        let mut messages: HashMap<String, Message> = HashMap::new();
        if let (true, Some(cursor)) = (all, state.cursor) {
            for message in api.rows((cursor - WINDOW).max(0), Some(cursor), true).await? {
                messages.insert(message.guid.clone(), message);
            }
        }
        for guid in state.watches.keys().chain(named) {
            if !messages.contains_key(guid) {
                match api.message(guid).await {
                    Ok(message) => drop(messages.insert(guid.clone(), message)),
                    Err(Failure::Missing) => {}
                    Err(failure) => return Err(failure.into()),
                }
            }
        }
        let mut messages: Vec<Message> = messages.into_values().collect();
        messages.sort_by_key(|message| message.row);
        let mut batch = self.batch();
        for message in messages {
            if message.row.is_some_and(|row| Some(row) <= state.cursor) {
                self.update(&mut batch, &message).await?;
            }
        }
        self.hand_in(batch).await
    }

    fn batch(&self) -> Batch {
        Batch {
            draft: self.account.state(),
            notes: Vec::new(),
            arrivals: Vec::new(),
            found: Vec::new(),
        }
    }

    async fn hand_in(&self, batch: Batch) -> Result<(), Trouble> {
        if !batch.arrivals.is_empty() {
            self.inbox.deliver(batch.arrivals).await?;
            self.account.traffic();
        }
        if !batch.notes.is_empty() {
            self.account
                .keep(|state| batch.notes.iter().for_each(|note| note(state)))?;
        }
        for (flight, guid) in batch.found {
            self.account.flights.found(flight, &guid);
        }
        Ok(())
    }
}
