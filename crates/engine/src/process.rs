//! Load, step and apply: one event and all that follows from it, in one transaction.

use crate::commands::{self, Command};
use crate::effect::{Carried, Effect, Queue};
use crate::event::{Event, Then};
use crate::lanes::Change;
use crate::payload::Payload;
use crate::site::Site;
use crate::state::{State, Talk};
use crate::step::{self, Unprocessable};
use std::collections::BTreeMap;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Health;
use swingbridge_domain::id::{ConnectorId, EventId, LineId, MessageId, OutboxId};
use swingbridge_domain::inbox::{Inbound, Membership, RoomEvent, RoomEventKind};
use swingbridge_domain::message::{Body, Message, Reference};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{
    Assembly, Contact, Conversation, EarlyReceipt, Lane, NewOutboxRow, OutboxState, StoreError, Tables,
    Timer, seal,
};

/// Conversations that `list` shows.
const LISTED: u32 = 50;

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

type Loaded<T> = Result<T, StoreError>;

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

    // What is known

    fn load(&mut self, event: &Event) -> Loaded<State> {
        let mut state = State::default();
        match event {
            Event::Network(Inbound::Message(message)) => {
                if let Some(line) = self.site.line_of(&message.connector, &message.to) {
                    let (line, address) = (line.id.clone(), message.from.understand(line.region));
                    let index = self.index(&address);
                    if let Some(found) = self.tables.conversation_by_alias(&line, &index)? {
                        self.load_talk(&mut state, found)?;
                        self.load_members(&mut state)?;
                    }
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
                }
            }
            Event::Network(Inbound::Session { .. }) => {}
            Event::Room(event) => self.load_room(&mut state, event)?,
            Event::Opened { conversation, .. } | Event::RoomMade { conversation, .. } => {
                if let Some(found) = self.tables.conversation(*conversation)? {
                    self.load_talk(&mut state, found)?;
                    self.load_members(&mut state)?;
                }
            }
            Event::PartAdded { assembly, .. }
            | Event::Timer(Timer::AssemblyDue(assembly) | Timer::AssemblyGone(assembly)) => {
                if let Some(assembly) = self.tables.assembly(*assembly)? {
                    if let Some(found) = self.tables.conversation(assembly.conversation)? {
                        self.load_talk(&mut state, found)?;
                        self.load_members(&mut state)?;
                    }
                    let parts = self.parts(&assembly)?;
                    state.assembly = Some((assembly, parts));
                }
            }
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
                    self.load_message(&mut state, message)?;
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
            Event::Lost { row } | Event::Expired { row } => {
                if let Some(message) = row.message {
                    self.load_message(&mut state, message)?;
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
                    self.load_for_command(state, &command)?;
                } else if let Some(withdrawn) = withdrawn(message) {
                    self.load_named(state, withdrawn)?;
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

    fn load_for_command(&mut self, state: &mut State, command: &Command) -> Loaded<()> {
        self.load_inboxes(state, None)?;
        match command {
            Command::List => {
                for found in self.tables.conversations(None, LISTED)? {
                    state.survey.talks.extend(self.talk(found)?);
                }
            }
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
            Command::Queues => state.survey.queues = self.tables.queue_depths()?,
            Command::Buried => state.survey.buried = self.tables.inbox_buried(LISTED)?,
            _ => {}
        }
        state.health.clone_from(self.health);
        Ok(())
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
        let Some(message) = self.tables.message(id)? else {
            return Ok(());
        };
        state.parts = self.tables.parts_of(id)?;
        if let Some(found) = self.tables.conversation(message.conversation)? {
            self.load_talk(state, found)?;
        }
        state.message = Some(message);
        Ok(())
    }

    fn load_talk(&mut self, state: &mut State, found: Conversation) -> Loaded<()> {
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

    /// The conversation with its names; `None` when its line is no longer configured.
    pub fn talk(&mut self, conversation: Conversation) -> Loaded<Option<Talk>> {
        let Some(line) = self.site.line(&conversation.line).cloned() else {
            return Ok(None);
        };
        let Some(contact) = self.tables.contact(conversation.contact)? else {
            return Err(StoreError::Damaged(format!(
                "conversation {} has no contact",
                conversation.id
            )));
        };
        let address = self.address(&contact)?;
        Ok(Some(Talk {
            conversation,
            contact,
            address,
            line,
        }))
    }

    pub fn address(&self, contact: &Contact) -> Loaded<Address> {
        let opened = self
            .keys
            .open(seal::ADDRESS, &contact.address)
            .map_err(|e| StoreError::Damaged(e.to_string()))?;
        String::from_utf8(opened)
            .ok()
            .and_then(|text| Address::from_canonical(&text))
            .ok_or_else(|| StoreError::Damaged(format!("contact {} has no readable address", contact.id)))
    }

    fn parts(&mut self, assembly: &Assembly) -> Loaded<BTreeMap<u8, String>> {
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

    fn seal<T: serde::Serialize>(&self, context: &str, value: &T) -> Loaded<Vec<u8>> {
        let plain =
            serde_json::to_vec(value).map_err(|_| StoreError::Failed("a value cannot be written".into()))?;
        Ok(self.keys.seal(context, &plain))
    }

    fn index(&self, address: &Address) -> [u8; 32] {
        self.keys.index("address", &address.canonical())
    }

    /// Finds or adds the contact of an address.
    pub fn contact(&mut self, address: &Address) -> Loaded<Contact> {
        let index = self.index(address);
        if let Some(known) = self.tables.contact_by_index(&index)? {
            return Ok(known);
        }
        let canonical = address.canonical();
        let sealed = self.keys.seal(seal::ADDRESS, canonical.as_bytes());
        let ghost = self.keys.pseudonym("ghost", &canonical);
        let id = self.tables.contact_add(&index, &sealed, &ghost)?;
        Ok(Contact {
            id,
            index,
            address: sealed,
            ghost,
        })
    }

    /// The conversation with an address on a line, if there is one.
    pub fn conversation_with(&mut self, line: &LineId, address: &Address) -> Loaded<Option<Talk>> {
        let index = self.index(address);
        match self.tables.conversation_by_alias(line, &index)? {
            Some(found) => self.talk(found),
            None => Ok(None),
        }
    }

    // What is asked for

    /// Carries out an effect; gives what happens by it.
    fn apply(&mut self, effect: Effect) -> Result<Option<Event>, Fault> {
        match effect {
            Effect::Open { line, address, then } => {
                return Ok(Some(self.open_conversation(&line, &address, then)?));
            }
            Effect::Queue(queue) => self.queue(*queue)?,
            Effect::SaveMessage(record) => self.tables.message_update(&record)?,
            Effect::AddPart(part) => self.tables.part_add(&part)?,
            Effect::SetPart(part, state) => self.tables.part_set_state(&part, state)?,
            Effect::KeepReceipt(receipt) => {
                let sealed = self.seal(seal::INBOX, &receipt)?;
                for network_id in &receipt.network_ids {
                    self.tables.early_receipt_add(&EarlyReceipt {
                        connector: receipt.connector.clone(),
                        network_id: network_id.clone(),
                        sealed: sealed.clone(),
                        received_at: self.now,
                    })?;
                }
            }
            Effect::DropReceipts {
                connector,
                network_id,
            } => {
                let dropped = self.tables.early_receipts_take(&connector, &network_id)?.len();
                metrics::counter!("swingbridge_receipts_unmatched_total", "connector" => connector.0)
                    .increment(dropped as u64);
            }
            Effect::Assemble {
                conversation,
                part,
                text,
            } => {
                let key = format!("{}/{}/{}", part.reference, part.width, part.total);
                let known = self.tables.assembly_by_key(conversation, &key)?;
                let (assembly, first) = match known {
                    Some(known) => (known.id, false),
                    None => (
                        self.tables
                            .assembly_add(conversation, &key, part.total, self.now)?,
                        true,
                    ),
                };
                let sealed = self.seal(seal::PART, &text)?;
                if self.tables.assembly_part_add(assembly, part.index, &sealed)? {
                    return Ok(Some(Event::PartAdded { assembly, first }));
                }
            }
            Effect::Disassemble(assembly) => self.tables.assembly_remove(assembly)?,
            Effect::SetRoom { conversation, room } => {
                self.tables.conversation_set_room(conversation, Some(&room))?
            }
            Effect::Renew(conversation) => self.tables.conversation_renew(conversation)?,
            Effect::Touch(conversation) => self.tables.conversation_touch(conversation, self.now)?,
            Effect::SetRole { room, role } => self.tables.room_set_role(&room, &role)?,
            Effect::ForgetRoom(room) => self.tables.room_forget(&room)?,
            Effect::SetMember {
                room,
                user,
                membership,
            } => self.tables.member_set(&room, &user, membership)?,
            Effect::Remove(id) => self.tables.outbox_remove(id)?,
            Effect::Park(id) => self.tables.outbox_set_state(id, OutboxState::Parked)?,
            Effect::Requeue {
                id,
                lane,
                target,
                not_before,
                counts,
            } => {
                self.tables.outbox_postpone(id, not_before, counts)?;
                self.changes.push(Change::Returned {
                    target,
                    lane,
                    id,
                    not_before,
                });
            }
            Effect::SetTimer { timer, due } => self.tables.timer_set(&timer, due)?,
            Effect::Exhume => {
                self.tables.inbox_exhume()?;
            }
            Effect::Count { line, state } => self.counts.push((line, state)),
        }
        Ok(None)
    }

    pub fn open_conversation(&mut self, line: &LineId, address: &Address, then: Then) -> Loaded<Event> {
        let index = self.index(address);
        let conversation = match self.tables.conversation_by_alias(line, &index)? {
            Some(known) => known.id,
            None => {
                let contact = self.contact(address)?;
                let id = self.tables.conversation_add(line, contact.id, self.now)?;
                self.tables.alias_set(line, &index, id)?;
                id
            }
        };
        Ok(Event::Opened { conversation, then })
    }

    fn queue(&mut self, queue: Queue) -> Loaded<()> {
        let Queue {
            target,
            lane,
            mut payload,
            expires_at,
            message,
        } = queue;
        let message = match message {
            Carried::None => None,
            Carried::Known(id) => Some(id),
            Carried::New(record, assembly) => {
                let id = self.tables.message_add(&record)?;
                if let Some(assembly) = assembly {
                    self.tables.assembly_set_message(assembly, id)?;
                }
                Some(id)
            }
        };
        if let (Payload::Send(send), Some(id)) = (&mut payload, message) {
            send.outbound.id = id;
        }
        let sealed = self.seal(seal::OUTBOX, &payload)?;
        let row = NewOutboxRow {
            target: target.clone(),
            lane: lane.clone(),
            message,
            not_before: self.now,
            created_at: self.now,
            expires_at,
            sealed,
        };
        let id: OutboxId = self.tables.outbox_push(&row)?;
        self.changes.push(Change::Added { target, lane, id });
        Ok(())
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
