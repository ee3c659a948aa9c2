//! Rows as they are taken: what each amounts to, and what is to be remembered of it once the inbox has it.

use super::api::Failure;
use super::chats::address;
use super::files::Absent;
use super::flights::Claim;
use super::journal::{Look, Put, State, Waiting};
use super::reading::{LATE, Reader, Trouble};
use super::shapes::{Chat, Message};
use super::tapback::Tapback;
use super::translate::{Carried, Setting, about, files_missing};
use super::updates;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::inbox::{Arrival, Change};

/// How long a row is waited for that is not complete.
const COMPLETING: Duration = Duration::from_secs(15 * 60);

pub(super) type Note = Box<dyn Fn(&mut State) + Send>;

/// Rows on their way to the inbox, with what is to be remembered once they are there.
pub(super) struct Batch {
    /// The state as it will be.
    pub draft: State,
    pub notes: Vec<Note>,
    pub arrivals: Vec<Arrival>,
    /// Sends whose rows are among them.
    pub found: Vec<(u64, String)>,
}

impl Batch {
    pub fn note(&mut self, note: impl Fn(&mut State) + Send + 'static) {
        note(&mut self.draft);
        self.notes.push(Box::new(note));
    }
}

impl Reader<'_> {
    /// Takes a row that was not handed in before.
    pub(super) async fn take(
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
        if message.is_own() {
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
        // A date to come would make history of all that follows.
        let date = message.date_created.unwrap_or(0).min(now.millis());
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
        let (mime, end) = crate::address_book::picture_kind(&content);
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
    pub(super) async fn update(&self, batch: &mut Batch, message: &Message) -> Result<(), Trouble> {
        let now = updates::look(message);
        let before = batch.draft.look(&message.guid);
        // What can still fail is watched on; a receipt by a device says that it did not.
        let settled = matches!(
            now.outcome,
            Some(Outcome::Delivered | Outcome::Read | Outcome::Rejected)
        );
        let ends = settled && batch.draft.watches.contains_key(&message.guid);
        if before == Some(now) && !ends {
            return Ok(());
        }
        if let Some(before) = before {
            batch
                .arrivals
                .extend(updates::receipt(&self.account.id, message, before, now));
            // It may have been read before a change of ours, and looked at after it.
            let rewritten = now.is_rewritten(before)
                && !self.account.rewritten_by_us(&message.guid)
                && self
                    .account
                    .state()
                    .look(&message.guid)
                    .is_none_or(|known| now.is_rewritten(known));
            if let (true, Some(brief)) = (rewritten, message.chat()) {
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
    let by = match message.is_own() {
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
