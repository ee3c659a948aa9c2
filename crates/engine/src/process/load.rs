//! What is known: only what the event needs is read.

mod people;
mod room;

use super::{Work, refer};
use crate::event::{Event, Then};
use crate::payload::Payload;
use crate::state::{State, Talk};
use std::cmp::Reverse;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::homeserver::Action;
use swingbridge_domain::id::{EventId, LineId, MessageId, RoomId};
use swingbridge_domain::inbox::Inbound;
use swingbridge_domain::store::{Conversation, Lane, StoreError, Target, Timer, seal};

type Loaded<T> = Result<T, StoreError>;

/// Conversations that `list` shows, and that people are told of who come to a shared line.
pub(crate) const LISTED: u32 = 50;

impl Work<'_> {
    /// Into a state of the caller's, for it is large.
    pub fn load(&mut self, state: &mut State, event: &Event) -> Loaded<()> {
        match event {
            Event::Network(Inbound::Message(message)) => {
                let group = message.group.as_ref();
                let found = self.conversation_of(&message.connector, &message.to, &message.from, group)?;
                if let Some(found) = found {
                    self.load_talk(state, found)?;
                    self.load_members(state)?;
                    let came_by = self.site.line_of(&message.connector, &message.to);
                    self.load_agreed(state, came_by.map(|line| &line.id))?;
                    self.load_inbound(state, message)?;
                    self.load_heard(state, message)?;
                }
            }
            Event::Network(Inbound::Identity(identity)) => {
                if let Some(found) =
                    self.conversation_of(&identity.connector, &identity.to, &identity.from, None)?
                {
                    self.load_talk(state, found)?;
                    self.load_pins(state)?;
                }
            }
            Event::Reviewed { row, payload, .. } => {
                if let Some(message) = row.message {
                    state.message = self.tables.message(message)?;
                }
                if let Lane::Conversation(id) = &row.lane
                    && let Some(found) = self.tables.conversation(*id)?
                {
                    self.load_talk(state, found)?;
                    match payload.as_ref() {
                        Payload::Send(send) => self.load_said(state, &send.writer)?,
                        payload => self.load_agreed(state, payload.line())?,
                    }
                    self.load_pins(state)?;
                }
            }
            Event::Network(Inbound::Receipt(receipt)) => {
                for id in &receipt.network_ids {
                    state.part = self.tables.part_by_network_id(&receipt.connector, id)?;
                    if state.part.is_some() {
                        break;
                    }
                }
                if let Some(message) = state.part.as_ref().map(|part| part.message) {
                    self.load_message(state, message)?;
                    self.load_waiting(state)?;
                }
            }
            Event::Network(Inbound::Session { .. }) => {}
            Event::Network(Inbound::Preference(told)) => {
                if let Some(found) = self.conversation_of(&told.connector, &told.to, &told.from, None)? {
                    self.load_talk(state, found)?;
                    self.load_wish(state, &told.connector, &told.to)?;
                }
                if state.talk.is_none() {
                    self.load_stranger(state, told)?;
                }
            }
            Event::Network(Inbound::Card(entry)) => self.load_entry(state, entry)?,
            Event::Network(Inbound::Group(change)) => self.load_group(state, change)?,
            Event::Network(Inbound::Typing(typing)) => self.load_typing(state, typing)?,
            Event::Room(event) => self.load_room(state, event)?,
            Event::Opened { conversation, .. }
            | Event::RoomMade { conversation, .. }
            | Event::LineChanged { conversation } => {
                if let Some(found) = self.tables.conversation(*conversation)? {
                    self.load_talk(state, found)?;
                    self.load_members(state)?;
                    if let Event::Opened {
                        then: Then::Deliver(inbound),
                        ..
                    } = event
                    {
                        self.load_agreed(state, None)?;
                        self.load_inbound(state, inbound)?;
                        self.load_heard(state, inbound)?;
                    }
                }
            }
            Event::PartAdded { assembly, .. }
            | Event::PartClashes { assembly, .. }
            | Event::Timer(Timer::AssemblyDue(assembly) | Timer::AssemblyGone(assembly)) => {
                if let Some(assembly) = self.tables.assembly(*assembly)? {
                    let parts = self.parts(&assembly)?;
                    if let Some(found) = self.tables.conversation(assembly.conversation)? {
                        self.load_talk(state, found)?;
                        self.load_members(state)?;
                        let came_by = parts.values().find_map(|piece| piece.line.as_ref());
                        self.load_agreed(state, came_by)?;
                    }
                    state.assembly = Some((assembly, parts));
                }
            }
            Event::InboxUnknown { .. } => {}
            Event::Performed {
                payload: Payload::Direct(Action::Join { room }),
                ..
            } if self.is_inbox(room) => {
                state
                    .inbox_members
                    .insert(room.clone(), self.tables.members(room)?);
                let lines = self.site.lines.iter();
                let shared = lines.filter(|line| line.access.inbox.as_ref() == Some(room));
                let shared: Vec<LineId> = shared.map(|line| line.id.clone()).collect();
                self.survey_talks(state, &shared)?;
            }
            // States and marks need nothing but to be forgotten.
            Event::Performed { payload, .. }
                if !matches!(payload, Payload::Say(_) | Payload::Reaction(_)) => {}
            Event::Performed { row, .. } | Event::NotPerformed { row, .. } => {
                if let Lane::Conversation(id) = &row.lane
                    && let Some(found) = self.tables.conversation(*id)?
                {
                    self.load_talk(state, found)?;
                }
                if let Some(message) = row.message {
                    state.message = self.tables.message(message)?;
                }
            }
            Event::Answered { row, answer, .. } => {
                if let Some(message) = row.message {
                    self.load_record(state, message)?;
                }
                if matches!(answer, Err(SendError::RetryAfter { .. }))
                    && let Some(writer) = state.message.as_ref().and_then(|message| message.sender.clone())
                {
                    self.load_said(state, &writer)?;
                }
                if let (Ok(accepted), Target::Connector(connector)) = (answer, &row.target) {
                    for id in &accepted.network_ids {
                        // Taken, not only read: from now on the part is known and receipts find it.
                        for early in self.tables.early_receipts_take(connector, id)? {
                            state.early.push(self.open(seal::INBOX, &early.sealed)?);
                        }
                    }
                }
            }
            Event::Barred { row, .. } => {
                if let Some(message) = row.message {
                    self.load_record(state, message)?;
                }
            }
            Event::Lost { row } | Event::Expired { row } => {
                if let Some(message) = row.message {
                    self.load_message(state, message)?;
                }
            }
            Event::Diverted { row, send, to, .. } => {
                if let Some(message) = row.message {
                    self.load_record(state, message)?;
                    self.load_said(state, &send.writer)?;
                    if let Some(line) = self.site.line(to) {
                        self.load_limits_of(state, &send.writer, line)?;
                    }
                }
            }
            Event::Revoked { message, .. } => {
                self.load_message(state, *message)?;
                self.load_waiting(state)?;
            }
            Event::Timer(Timer::Overdue(message)) => {
                self.load_message(state, *message)?;
                self.load_waiting(state)?;
                self.load_other_way(state)?;
            }
            Event::Reached { row, .. } => {
                if let Lane::Conversation(id) = &row.lane
                    && let Some(found) = self.tables.conversation(*id)?
                {
                    self.load_talk(state, found)?;
                }
            }
            Event::Swapped { conversation, .. } => {
                if let Some(found) = self.tables.conversation(*conversation)? {
                    self.load_talk(state, found)?;
                    self.load_members(state)?;
                }
            }
            Event::Timer(Timer::PartsSettle(message)) => self.load_message(state, *message)?,
            Event::Timer(Timer::EarlyReceiptGone(..)) => {}
        }
        Ok(())
    }

    /// The row of a message that is kept until it is known what became of it, or goes another way; only lines with a fallback keep any.
    fn load_waiting(&mut self, state: &mut State) -> Loaded<()> {
        let falls = state
            .talk
            .as_ref()
            .is_some_and(|talk| talk.line.fallback.is_some());
        if let (true, Some(message)) = (falls, &state.message) {
            state.row = self.tables.outbox_by_message(message.id)?;
        }
        Ok(())
    }

    /// What waits in the row, and the limits of the line that it would go by.
    fn load_other_way(&mut self, state: &mut State) -> Loaded<()> {
        let Some(row) = &state.row else { return Ok(()) };
        let Payload::Send(send) = self.open(seal::OUTBOX, &row.sealed)? else {
            return Ok(());
        };
        let other = state
            .talk
            .as_ref()
            .and_then(|talk| self.site.fallback_of(&talk.line))
            .map(|(_, line)| line.clone());
        if let Some(line) = other {
            self.load_limits_of(state, &send.writer, &line)?;
        }
        state.waiting = Some(Box::new(send));
        Ok(())
    }

    /// The latest conversations of these lines together.
    fn survey_talks(&mut self, state: &mut State, lines: &[LineId]) -> Loaded<()> {
        let (mut talks, cut) = self.latest_talks(lines, LISTED)?;
        state.survey.more = !cut.is_empty() || talks.len() > LISTED as usize;
        talks.truncate(LISTED as usize);
        state.survey.talks = talks;
        Ok(())
    }

    /// The latest conversations of each of these lines, the latest of all first; and which lines have more than `of_each`. Each line is
    /// asked by itself: a busy one leaves room for a quiet one.
    pub fn latest_talks(&mut self, lines: &[LineId], of_each: u32) -> Loaded<(Vec<Talk>, Vec<LineId>)> {
        let (mut talks, mut cut) = (Vec::new(), Vec::new());
        for line in lines {
            let mut found = self.tables.conversations(Some(line), of_each + 1)?;
            if found.len() > of_each as usize {
                found.truncate(of_each as usize);
                cut.push(line.clone());
            }
            for conversation in found {
                talks.extend(self.talk(conversation)?);
            }
        }
        talks.sort_by_key(|talk: &Talk| Reverse((talk.conversation.last_at, talk.conversation.id)));
        Ok((talks, cut))
    }

    fn is_inbox(&self, room: &RoomId) -> bool {
        let mut lines = self.site.lines.iter();
        lines.any(|line| line.access.inbox.as_ref() == Some(room))
    }

    /// The message made of, or making, an event.
    fn load_named(&mut self, state: &mut State, event: &EventId) -> Loaded<()> {
        if let Some(message) = self.tables.message_by_event(event)? {
            state.row = self.tables.outbox_by_message(message.id)?;
            state.parts = self.tables.parts_of(message.id)?;
            state.message = Some(message);
        }
        Ok(())
    }

    fn load_message(&mut self, state: &mut State, id: MessageId) -> Loaded<()> {
        self.load_record(state, id)?;
        if state.message.is_some() {
            state.parts = self.tables.parts_of(id)?;
            // Those are names alone, of which no network reports.
            state
                .parts
                .retain(|part| !part.network_id.as_str().starts_with(refer::OURS));
        }
        Ok(())
    }

    /// A message without its parts, with its conversation.
    fn load_record(&mut self, state: &mut State, id: MessageId) -> Loaded<()> {
        let Some(message) = self.tables.message(id)? else {
            return Ok(());
        };
        if let Some(found) = self.tables.conversation(message.conversation)? {
            self.load_talk(state, found)?;
        }
        state.message = Some(message);
        Ok(())
    }

    pub(super) fn load_talk(&mut self, state: &mut State, found: Conversation) -> Loaded<()> {
        state.talk = self.talk(found)?;
        state.line_gone = state.talk.is_none();
        if let Some(line) = state.talk.as_ref().map(|talk| talk.line.clone()) {
            self.load_inboxes(state, Some(&line))?;
        }
        Ok(())
    }
}
