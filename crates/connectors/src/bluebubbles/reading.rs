//! Reading what the server holds: new rows by their numbers, and the newest ones again for what changed about them.

use super::api::Failure;
use super::chats::address;
use super::connector::Account;
use super::files::Absent;
use super::flights::Claim;
use super::journal::{JournalError, Look, Put, State, WINDOW, Waiting};
use super::shapes::{Chat, Message};
use super::tapback::Tapback;
use super::translate::{Carried, Setting, about, files_missing};
use super::updates;
use std::collections::HashMap;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::inbox::{Arrival, Change, Inbox, InboxError};

/// A message that is this much older than the newest came by itself from Apple's store, or from a device that was off.
const LATE: i64 = 24 * 60 * 60 * 1000;
/// How long a row is waited for that is not complete.
const COMPLETING: Duration = Duration::from_secs(15 * 60);

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

type Note = Box<dyn Fn(&mut State) + Send>;

/// Rows on their way to the inbox, with what is to be remembered once they are there.
struct Batch {
    /// The state as it will be.
    draft: State,
    notes: Vec<Note>,
    arrivals: Vec<Arrival>,
    /// Sends whose rows are among them.
    found: Vec<(u64, String)>,
}

impl Batch {
    fn note(&mut self, note: impl Fn(&mut State) + Send + 'static) {
        note(&mut self.draft);
        self.notes.push(Box::new(note));
    }
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
            self.hand_in(batch).await?;
        }
        Ok(())
    }

    /// Looks at sends that may yet fail, at messages that an event named, and, when `all`, at the newest ones.
    pub async fn compare(&self, named: &[String], all: bool) -> Result<(), Trouble> {
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
            let now = self.account.clock.now();
            self.account.keep(|state| {
                batch.notes.iter().for_each(|note| note(state));
                state.expire(now);
            })?;
        }
        for (flight, guid) in batch.found {
            self.account.flights.found(flight, &guid);
        }
        Ok(())
    }

    /// Takes a row that was not handed in before.
    async fn take(
        &self,
        batch: &mut Batch,
        message: &Message,
        waited: Option<&Waiting>,
    ) -> Result<(), Trouble> {
        let row = message.row.unwrap_or(0);
        let known = batch.draft.look(&message.guid).is_some();
        let old = batch
            .draft
            .replaced
            .is_some_and(|(tip, since)| row <= tip && message.date_created.unwrap_or(0) < since);
        if known || old {
            return Ok(());
        }
        let now = self.account.clock.now();
        let since = waited.map_or(now, |waiting| waiting.since);
        let patient = now.since(since) < COMPLETING;
        let Some(chat) = message.chat() else {
            if patient {
                wait(batch, message, since);
            } else {
                tracing::warn!(connector = %self.account.id, "a message that belongs to no chat was left aside");
            }
            return Ok(());
        };
        if matches!(message.item_type, Some(1..=3)) {
            self.account.chats.forget(&chat.guid);
        }
        if message.from_me() {
            match self.account.flights.claim(&batch.draft, message, chat) {
                _ if batch.draft.is_ours(&message.guid) => return Ok(()),
                Claim::Ours(flight) => {
                    batch.found.push((flight, message.guid.clone()));
                    let guid = message.guid.clone();
                    batch.note(move |state| {
                        state.own(&guid);
                        state.flights.retain(|one| one.id != flight);
                        state.saw(&guid, Look::default());
                    });
                    return self.update(batch, message).await;
                }
                Claim::Unsure => {
                    wait(batch, message, since);
                    return Ok(());
                }
                // Its send may have ended since the state was looked at.
                Claim::NotOurs if self.account.state().is_ours(&message.guid) => return Ok(()),
                Claim::NotOurs => {}
            }
        }
        let Some(arrivals) = self.arrivals(batch, message, chat, patient).await? else {
            wait(batch, message, since);
            return Ok(());
        };
        batch.arrivals.extend(arrivals);
        let (guid, look) = (message.guid.clone(), updates::look(message));
        let date = message.date_created.unwrap_or(0);
        batch.note(move |state| {
            state.saw(&guid, look);
            state.newest = state.newest.max(date);
        });
        Ok(())
    }

    /// What a row amounts to; `None` when it is not complete yet.
    async fn arrivals(
        &self,
        batch: &mut Batch,
        message: &Message,
        chat: &Chat,
        patient: bool,
    ) -> Result<Option<Vec<Arrival>>, Trouble> {
        if patient && files_missing(message) {
            return Ok(None);
        }
        let (chat, formerly) = self.chat(batch, chat).await?;
        let date = message.date_created.unwrap_or(0);
        let history = message.row.is_some_and(|row| row <= batch.draft.history_to)
            || (batch.draft.newest > 0 && date > 0 && date < batch.draft.newest - LATE);
        let setting = Setting {
            connector: &self.account.id,
            ours: &self.account.config.address,
            chat: &chat,
            formerly,
            history,
        };
        if let Some((target, kind)) = about(message) {
            return Ok(Some(tapback(batch, &setting, message, &target, kind)));
        }
        if let (Some(kind @ 1..=3), true) = (message.item_type, chat.is_group()) {
            let change = self.group_change(message, kind).await?;
            return Ok(Some(
                change
                    .and_then(|change| setting.changed(message, change))
                    .into_iter()
                    .collect(),
            ));
        }
        // "Audio message kept" is about a message of before and of no use to anybody.
        if message.item_type == Some(5) {
            return Ok(Some(Vec::new()));
        }
        if message.is_unsent() {
            return Ok(Some(Vec::new()));
        }
        let mut files = Vec::new();
        for attachment in &message.attachments {
            let name = attachment.transfer_name.clone().unwrap_or_default();
            // The picture and the data of a link's preview; the link is in the text.
            if attachment.hide_attachment == Some(true) || name.ends_with(".pluginPayloadAttachment") {
                continue;
            }
            let voice = message.is_audio_message == Some(true);
            let force = self.account.is_private();
            match self
                .account
                .files
                .bring(&self.account.api, attachment, voice, force)
                .await
            {
                Ok(media) => files.push(Carried::Here(media)),
                Err(Absent::NotYet) if patient => return Ok(None),
                Err(Absent::NotYet) => files.push(Carried::Gone(name)),
                Err(Absent::Server(failure)) => return Err(failure.into()),
            }
        }
        self.account.chats.used(&chat);
        Ok(Some(setting.said(message, files).into_iter().collect()))
    }

    /// The chat with its members, and the name that the server had for the group before.
    async fn chat(&self, batch: &mut Batch, brief: &Chat) -> Result<(Chat, Option<String>), Trouble> {
        let mut chat = match self.account.chats.of(&self.account.api, &brief.guid).await {
            Ok(chat) => chat,
            Err(Failure::Missing) => brief.clone(),
            Err(failure) => return Err(failure.into()),
        };
        chat.style = brief.style.or(chat.style);
        chat.display_name = brief.display_name.clone().or(chat.display_name);
        let Some(identifier) = chat.chat_identifier.clone().filter(|_| chat.is_group()) else {
            return Ok((chat, None));
        };
        let before = batch.draft.groups.get(&identifier).cloned();
        if before.as_deref() != Some(chat.guid.as_str()) {
            let guid = chat.guid.clone();
            batch.note(move |state| drop(state.groups.insert(identifier.clone(), guid.clone())));
        }
        let formerly = before.filter(|before| *before != chat.guid);
        Ok((chat, formerly))
    }

    async fn group_change(&self, message: &Message, kind: i64) -> Result<Option<Change>, Trouble> {
        let action = message.group_action_type.unwrap_or(0);
        let who = match (kind, message.other_handle) {
            (1, Some(row)) if row > 0 => self.account.chats.handle(&self.account.api, row).await?,
            _ => None,
        };
        let sender = || message.handle.as_ref().and_then(|handle| handle.address.clone());
        Ok(match (kind, action) {
            (1, 0) => who.map(|who| Change::Joined(address(&who))),
            (1, 1) => who.map(|who| Change::Left(address(&who))),
            (2, _) => Some(Change::Renamed),
            (3, 0) => sender().map(|who| Change::Left(address(&who))),
            (3, 1) => self.icon(message).await?,
            (3, 2) => Some(Change::Picture(None)),
            _ => None,
        })
    }

    async fn icon(&self, message: &Message) -> Result<Option<Change>, Trouble> {
        let Some(chat) = message.chat() else {
            return Ok(None);
        };
        let content = match self.account.api.icon(&chat.guid).await {
            Ok(answer) => match answer.bytes().await {
                Ok(content) => content,
                Err(error) => return Err(Failure::Lost(error.without_url().to_string()).into()),
            },
            // It was set and is gone again, or the Mac has no file of it.
            Err(Failure::Missing | Failure::Failed { .. }) => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let (mime, end) = super::contacts::picture_kind(&content);
        let name = format!("group-{}.{end}", message.guid);
        match self.account.files.keep(&name, mime, &content).await {
            Ok(media) => Ok(Some(Change::Picture(Some(media)))),
            Err(error) => {
                tracing::warn!(connector = %self.account.id, %error, "a group's picture cannot be kept");
                Ok(None)
            }
        }
    }

    /// Compares a message with what it was.
    async fn update(&self, batch: &mut Batch, message: &Message) -> Result<(), Trouble> {
        let now = updates::look(message);
        let before = batch.draft.look(&message.guid);
        if before == Some(now) && !batch.draft.watches.contains_key(&message.guid) {
            return Ok(());
        }
        if let Some(before) = before {
            batch
                .arrivals
                .extend(updates::receipt(&self.account.id, message, before, now));
            let rewritten = now.edited != before.edited || now.unsent != before.unsent;
            if let (true, false, Some(brief)) = (
                rewritten,
                self.account.rewritten_by_us(&message.guid),
                message.chat(),
            ) {
                let (chat, formerly) = self.chat(batch, brief).await?;
                let setting = Setting {
                    connector: &self.account.id,
                    ours: &self.account.config.address,
                    chat: &chat,
                    formerly,
                    history: false,
                };
                batch.arrivals.extend(match now.unsent {
                    true => setting.unsent(message),
                    false => setting.edited(message),
                });
            }
        }
        // What can still fail is watched on; a receipt by a device says that it did not.
        let settled = matches!(
            now.outcome,
            Some(Outcome::Delivered | Outcome::Read | Outcome::Rejected)
        );
        let guid = message.guid.clone();
        batch.note(move |state| {
            state.saw(&guid, now);
            if settled {
                state.watches.remove(&guid);
            }
        });
        Ok(())
    }
}

fn wait(batch: &mut Batch, message: &Message, since: Timestamp) {
    let waiting = Waiting {
        guid: message.guid.clone(),
        row: message.row.unwrap_or(0),
        since,
    };
    batch.note(move |state| {
        if !state.waiting.iter().any(|one| one.guid == waiting.guid) {
            state.waiting.push(waiting.clone());
        }
    });
}

/// One person has one tapback on a message: another takes the place of the first, and the Mac forgets that.
fn tapback(
    batch: &mut Batch,
    setting: &Setting<'_>,
    message: &Message,
    target: &str,
    kind: Tapback,
) -> Vec<Arrival> {
    let by = match message.from_me() {
        true => String::new(),
        false => message
            .handle
            .as_ref()
            .and_then(|handle| handle.address.clone())
            .unwrap_or_default(),
    };
    let earlier: Vec<Put> = batch
        .draft
        .tapbacks
        .iter()
        .filter(|put| put.target == target && put.by == by)
        .cloned()
        .collect();
    let mut arrivals: Vec<Arrival> = match (&kind, earlier.is_empty()) {
        (Tapback::TakenBack(_), true) => setting.unreacted(message, target, None).into_iter().collect(),
        _ => earlier
            .iter()
            .filter_map(|put| setting.unreacted(message, target, Some(&put.guid)))
            .collect(),
    };
    let (gone, who) = (target.to_owned(), by.clone());
    batch.note(move |state| {
        state.tapbacks.retain(|put| put.target != gone || put.by != who);
    });
    if let Tapback::Put(name) = kind {
        arrivals.extend(setting.reacted(message, target, &name));
        let put = Put {
            guid: message.guid.clone(),
            target: target.to_owned(),
            name,
            by,
        };
        batch.note(move |state| state.tapbacks.push_back(put.clone()));
    }
    arrivals
}
