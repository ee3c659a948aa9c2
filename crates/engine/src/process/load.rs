//! What is known: only what the event needs is read.

use super::{Work, refer};
use crate::assembly::Piece;
use crate::commands::{self, Command};
use crate::event::{Event, Then};
use crate::payload::Payload;
use crate::policy;
use crate::state::{State, Talk};
use std::collections::BTreeMap;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::consent::Rule;
use swingbridge_domain::homeserver::Action;
use swingbridge_domain::id::{EventId, MessageId, RoomId, UserId};
use swingbridge_domain::inbox::{Inbound, Membership, RoomEvent, RoomEventKind};
use swingbridge_domain::message::{Body, Disposition, Message, Reference};
use swingbridge_domain::path::Protection;
use swingbridge_domain::store::{Assembly, Conversation, Lane, StoreError, Timer, seal};

type Loaded<T> = Result<T, StoreError>;

/// Conversations that `list` shows, and that people are told of who come to a shared line.
const LISTED: u32 = 50;

impl Work<'_> {
    pub fn load(&mut self, event: &Event) -> Loaded<State> {
        let mut state = State::default();
        match event {
            Event::Network(Inbound::Message(message)) => {
                let group = message.group.as_ref();
                let found = self.conversation_of(&message.connector, &message.to, &message.from, group)?;
                if let Some(found) = found {
                    self.load_talk(&mut state, found)?;
                    self.load_members(&mut state)?;
                    self.load_agreed(&mut state)?;
                    self.load_inbound(&mut state, message)?;
                    self.load_heard(&mut state, message)?;
                }
            }
            Event::Network(Inbound::Identity(identity)) => {
                if let Some(found) =
                    self.conversation_of(&identity.connector, &identity.to, &identity.from, None)?
                {
                    self.load_talk(&mut state, found)?;
                    self.load_pins(&mut state)?;
                }
            }
            Event::Reviewed { row, payload, .. } => {
                if let Some(message) = row.message {
                    state.message = self.tables.message(message)?;
                }
                if let Lane::Conversation(id) = &row.lane
                    && let Some(found) = self.tables.conversation(*id)?
                {
                    self.load_talk(&mut state, found)?;
                    match payload.as_ref() {
                        Payload::Send(send) => self.load_said(&mut state, &send.writer)?,
                        _ => self.load_agreed(&mut state)?,
                    }
                    self.load_pins(&mut state)?;
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
                    self.load_message(&mut state, message)?;
                    self.load_waiting(&mut state)?;
                }
            }
            Event::Network(Inbound::Session { .. }) => {}
            Event::Network(Inbound::Preference(told)) => {
                if let Some(found) = self.conversation_of(&told.connector, &told.to, &told.from, None)? {
                    self.load_talk(&mut state, found)?;
                    self.load_suppression(&mut state)?;
                }
                if state.talk.is_none() {
                    self.load_stranger(&mut state, told)?;
                }
            }
            Event::Network(Inbound::Card(entry)) => self.load_entry(&mut state, entry)?,
            Event::Network(Inbound::Group(change)) => self.load_group(&mut state, change)?,
            Event::Network(Inbound::Typing(typing)) => self.load_typing(&mut state, typing)?,
            Event::Room(event) => self.load_room(&mut state, event)?,
            Event::Opened { conversation, .. }
            | Event::RoomMade { conversation, .. }
            | Event::LineChanged { conversation } => {
                if let Some(found) = self.tables.conversation(*conversation)? {
                    self.load_talk(&mut state, found)?;
                    self.load_members(&mut state)?;
                    if let Event::Opened {
                        then: Then::Deliver(inbound),
                        ..
                    } = event
                    {
                        self.load_agreed(&mut state)?;
                        self.load_inbound(&mut state, inbound)?;
                        self.load_heard(&mut state, inbound)?;
                    }
                }
            }
            Event::PartAdded { assembly, .. }
            | Event::PartClashes { assembly, .. }
            | Event::Timer(Timer::AssemblyDue(assembly) | Timer::AssemblyGone(assembly)) => {
                if let Some(assembly) = self.tables.assembly(*assembly)? {
                    if let Some(found) = self.tables.conversation(assembly.conversation)? {
                        self.load_talk(&mut state, found)?;
                        self.load_members(&mut state)?;
                        self.load_agreed(&mut state)?;
                    }
                    let parts = self.parts(&assembly)?;
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
                self.survey_talks(&mut state)?;
            }
            // States and marks need nothing but to be forgotten.
            Event::Performed { payload, .. }
                if !matches!(payload, Payload::Say(_) | Payload::Reaction(_)) => {}
            Event::Performed { row, .. } | Event::NotPerformed { row, .. } => {
                if let Lane::Conversation(id) = &row.lane
                    && let Some(found) = self.tables.conversation(*id)?
                {
                    self.load_talk(&mut state, found)?;
                }
                if let Some(message) = row.message {
                    state.message = self.tables.message(message)?;
                }
            }
            Event::Answered { row, answer, .. } => {
                if let Some(message) = row.message {
                    self.load_record(&mut state, message)?;
                }
                if matches!(answer, Err(SendError::RetryAfter { .. }))
                    && let Some(writer) = state.message.as_ref().and_then(|message| message.sender.clone())
                {
                    self.load_said(&mut state, &writer)?;
                }
                if let (Ok(accepted), swingbridge_domain::store::Target::Connector(connector)) =
                    (answer, &row.target)
                {
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
                    self.load_record(&mut state, message)?;
                }
            }
            Event::Lost { row } | Event::Expired { row } => {
                if let Some(message) = row.message {
                    self.load_message(&mut state, message)?;
                }
            }
            Event::Diverted { row, send, to, .. } => {
                if let Some(message) = row.message {
                    self.load_record(&mut state, message)?;
                    self.load_said(&mut state, &send.writer)?;
                    if let Some(line) = self.site.line(to) {
                        self.load_limits_of(&mut state, &send.writer, line)?;
                    }
                }
            }
            Event::Revoked { message, .. } => {
                self.load_message(&mut state, *message)?;
                self.load_waiting(&mut state)?;
            }
            Event::Timer(Timer::Overdue(message)) => {
                self.load_message(&mut state, *message)?;
                self.load_waiting(&mut state)?;
                self.load_other_way(&mut state)?;
            }
            Event::Reached { row, .. } => {
                if let Lane::Conversation(id) = &row.lane
                    && let Some(found) = self.tables.conversation(*id)?
                {
                    self.load_talk(&mut state, found)?;
                }
            }
            Event::Swapped { conversation, .. } => {
                if let Some(found) = self.tables.conversation(*conversation)? {
                    self.load_talk(&mut state, found)?;
                    self.load_members(&mut state)?;
                }
            }
            Event::Timer(Timer::PartsSettle(message)) => self.load_message(&mut state, *message)?,
            Event::Timer(Timer::EarlyReceiptGone(..)) => {}
        }
        Ok(state)
    }

    fn load_room(&mut self, state: &mut State, event: &RoomEvent) -> Loaded<()> {
        match self.tables.conversation_by_room(&event.room)? {
            Some(found) => self.load_talk(state, found)?,
            None => {
                state.role = self.tables.room_role(&event.room)?;
                self.load_inboxes(state, None)?;
            }
        }
        match &event.what {
            RoomEventKind::Message(message) => {
                if let Some(command) = self.command(state, message) {
                    self.load_for_command(state, &command, &event.sender)?;
                    if matches!(command, Command::Card(_)) {
                        self.load_said(state, &event.sender)?;
                        self.load_limits(state, &event.sender, message)?;
                    }
                } else if let Some(withdrawn) = withdrawn(message) {
                    self.load_named(state, withdrawn)?;
                    self.load_reference(state, message)?;
                    self.load_said(state, &event.sender)?;
                    self.load_limits(state, &event.sender, message)?;
                } else if state.talk.is_some() {
                    self.load_said(state, &event.sender)?;
                    self.load_limits(state, &event.sender, message)?;
                    self.load_reference(state, message)?;
                    if let Some(asked) = reacted_to(message) {
                        state.question = self.tables.question(asked)?;
                    }
                }
            }
            RoomEventKind::Membership {
                user,
                membership: Membership::Invite,
                ..
            } => {
                if let Some(pseudonym) = self.site.pseudonym_of(user)
                    && let Some(contact) = self.tables.contact_by_ghost(pseudonym)?
                {
                    state.survey.invited = Some(self.address(&contact)?);
                }
            }
            RoomEventKind::Read { up_to } => {
                if let Some(connector) = state.talk.as_ref().map(|talk| talk.line.connector.clone()) {
                    state.named = self.name_of(up_to, &connector)?;
                }
                self.load_suppression(state)?;
            }
            RoomEventKind::Typing { .. } => self.load_suppression(state)?,
            _ => {}
        }
        Ok(())
    }

    fn command(&self, state: &State, message: &Message) -> Option<Command> {
        let prefixed = commands::in_conversation(&self.site.command_prefix, message);
        prefixed.or_else(|| match (&state.talk, &state.role) {
            (None, Some(swingbridge_domain::store::RoomRole::Management(_))) => {
                commands::in_management(message)
            }
            _ => None,
        })
    }

    fn load_for_command(&mut self, state: &mut State, command: &Command, user: &UserId) -> Loaded<()> {
        self.load_inboxes(state, None)?;
        match command {
            Command::List => self.survey_talks(state)?,
            Command::Status(named) | Command::Retry(named) => match (named, &state.talk) {
                (Some(event), _) => self.load_named(state, &event.clone())?,
                (None, Some(talk)) => {
                    state.survey.latest = self.tables.messages_of(talk.conversation.id, 1)?.pop();
                    if let Some(latest) = state.survey.latest.as_ref().map(|message| message.id) {
                        state.row = self.tables.outbox_by_message(latest)?;
                        state.parts = self.tables.parts_of(latest)?;
                    }
                }
                (None, None) => {}
            },
            Command::Swap(wanted) => self.load_twin(state, wanted)?,
            Command::Path(Some(event)) => self.load_named(state, &event.clone())?,
            Command::Consent(..) => state.consents = self.tables.consents_of(user, None)?,
            Command::Pins(_) => self.load_pins(state)?,
            Command::Queues => state.survey.queues = self.tables.queue_depths()?,
            Command::OptOuts(_) => {
                self.load_suppression(state)?;
                self.survey_opted_out(state)?;
            }
            Command::Buried => state.survey.buried = self.tables.inbox_buried(LISTED)?,
            _ => {}
        }
        state.health.clone_from(self.health);
        Ok(())
    }

    /// What a writer said of the conversation's line, and the keys of its contact.
    fn load_said(&mut self, state: &mut State, writer: &UserId) -> Loaded<()> {
        if let Some(talk) = &state.talk {
            if talk.line.consent != Rule::Policy {
                state.consents = self.tables.consents_of(writer, Some(&talk.line.id))?;
            }
            if let Some((_, other)) = self
                .site
                .fallback_of(&talk.line)
                .filter(|(_, other)| other.consent != Rule::Policy)
            {
                let said = self.tables.consents_of(writer, Some(&other.id))?;
                state.consents.extend(said);
            }
            self.load_pins(state)?;
        }
        Ok(())
    }

    /// Who has agreed that what comes for the conversation may be read here.
    fn load_agreed(&mut self, state: &mut State) -> Loaded<()> {
        let Some(talk) = &state.talk else { return Ok(()) };
        let other = self.site.fallback_of(&talk.line).map(|(_, other)| other);
        for line in std::iter::once(&talk.line).chain(other) {
            if line.consent == Rule::Policy {
                continue;
            }
            let version = policy::version(self.site, line);
            let agreed = self
                .tables
                .consents_for(&line.id, talk.conversation.id, &version)?;
            state.consents.extend(agreed);
        }
        Ok(())
    }

    /// Networks without encryption know no keys.
    fn load_pins(&mut self, state: &mut State) -> Loaded<()> {
        let knows_keys = |talk: &&Talk| {
            let able = self.site.capabilities.get(&talk.line.connector);
            let mut legs = able.iter().flat_map(|able| &able.way);
            legs.any(|leg| matches!(leg.protection, Protection::EndToEnd(_)))
        };
        if let Some(talk) = state.talk.as_ref().filter(knows_keys) {
            state.pins = self.tables.pins(talk.contact.id)?;
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

    fn survey_talks(&mut self, state: &mut State) -> Loaded<()> {
        for found in self.tables.conversations(None, LISTED)? {
            state.survey.talks.extend(self.talk(found)?);
        }
        Ok(())
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

    /// Members of shared inboxes: they may use the lines.
    fn load_inboxes(
        &mut self,
        state: &mut State,
        only: Option<&swingbridge_domain::line::Line>,
    ) -> Loaded<()> {
        let lines = self
            .site
            .lines
            .iter()
            .filter(|line| only.is_none_or(|only| only.id == line.id));
        for room in lines.filter_map(|line| line.access.inbox.as_ref()) {
            if !state.inbox_members.contains_key(room) {
                state
                    .inbox_members
                    .insert(room.clone(), self.tables.members(room)?);
            }
        }
        Ok(())
    }

    fn load_members(&mut self, state: &mut State) -> Loaded<()> {
        if let Some(room) = state
            .talk
            .as_ref()
            .and_then(|talk| talk.conversation.room.clone())
        {
            state.members = self.tables.members(&room)?;
        }
        Ok(())
    }

    pub fn parts(&mut self, assembly: &Assembly) -> Loaded<BTreeMap<u8, Piece>> {
        let mut parts = BTreeMap::new();
        for part in self.tables.assembly_parts(assembly.id)? {
            parts.insert(part.index, self.open(seal::PART, &part.sealed)?);
        }
        Ok(parts)
    }

    pub fn open<T: serde::de::DeserializeOwned>(&self, context: &str, sealed: &[u8]) -> Loaded<T> {
        let plain = self
            .keys
            .open(context, sealed)
            .map_err(|error| StoreError::Damaged(error.to_string()))?;
        serde_json::from_slice(&plain).map_err(|_| {
            StoreError::Damaged(format!(
                "a sealed {context} value is not what this version writes"
            ))
        })
    }

    pub fn seal<T: serde::Serialize>(&self, context: &str, value: &T) -> Loaded<Vec<u8>> {
        let plain =
            serde_json::to_vec(value).map_err(|_| StoreError::Failed("a value cannot be written".into()))?;
        Ok(self.keys.seal(context, &plain))
    }
}

/// The event that somebody reacts to.
fn reacted_to(message: &Message) -> Option<&EventId> {
    let reacts = message.parts.first()?.disposition == Disposition::Reaction;
    match &message.in_reply_to {
        Some(Reference::Event(event)) if reacts => Some(event),
        _ => None,
    }
}

/// The event that a redaction takes back.
fn withdrawn(message: &Message) -> Option<&EventId> {
    match &message.replaces {
        Some(Reference::Event(event)) if message.parts.iter().all(|part| part.body == Body::Null) => {
            Some(event)
        }
        _ => None,
    }
}
