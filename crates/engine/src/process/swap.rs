//! Conversations that move to another line.

use super::{Fault, Work};
use crate::commands::Swap;
use crate::event::{Cause, Event};
use crate::payload::Payload;
use crate::state::State;
use swingbridge_domain::address::Address;
use swingbridge_domain::id::{ConversationId, LineId};
use swingbridge_domain::store::{Conversation, Lane, OutboxState, StoreError, Target, Trust, seal};

type Loaded<T> = Result<T, StoreError>;

impl Work<'_> {
    /// Moves a conversation to another line, with what waits to leave. What phones still send to the former line is shown in it. A
    /// conversation whose contact has another one on that line stays where it is.
    pub fn swap(&mut self, id: ConversationId, to: &LineId) -> Loaded<Vec<Event>> {
        let Some(found) = self.tables.conversation(id)? else {
            return Ok(Vec::new());
        };
        let Some(contact) = self.tables.contact(found.contact)? else {
            return Ok(Vec::new());
        };
        let twin = self.tables.conversation_by_alias(to, &contact.index)?;
        if found.line == *to || twin.is_some_and(|twin| twin.id != id) {
            return Ok(Vec::new());
        }
        self.tables.conversation_set_line(id, to)?;
        self.tables.alias_set(to, &contact.index, id)?;
        // What was known of the way was of the other line.
        let trust = Trust {
            way: Vec::new(),
            detour: None,
            ..found.trust
        };
        self.tables.conversation_set_trust(id, &trust)?;
        let mut events = vec![Event::Swapped {
            conversation: id,
            from: found.line,
        }];
        events.extend(self.waiting(id, to)?);
        Ok(events)
    }

    /// Moves one of many; answers whether it does.
    pub fn migrate(
        &mut self,
        conversation: &Conversation,
        to: &LineId,
        same_account: bool,
        dry_run: bool,
    ) -> Result<bool, Fault> {
        let Some(contact) = self.tables.contact(conversation.contact)? else {
            return Ok(false);
        };
        let group = matches!(self.address(&contact)?, Address::Group(_));
        let twin = self.tables.conversation_by_alias(to, &contact.index)?;
        if (group && !same_account) || twin.is_some_and(|twin| twin.id != conversation.id) {
            return Ok(false);
        }
        if !dry_run {
            for event in self.swap(conversation.id, to)? {
                self.happen(event)?;
            }
        }
        Ok(true)
    }

    /// What waits to leave a conversation goes by its new line; what a network took and had been kept for another way stays with it, and
    /// so does what may have left: it is asked about again under its key, which no other network knows.
    fn waiting(&mut self, id: ConversationId, to: &LineId) -> Loaded<Vec<Event>> {
        let mut events = Vec::new();
        for head in self.tables.outbox_heads()? {
            let ours = head.lane == Lane::Conversation(id) && head.target != Target::Homeserver;
            if !ours || head.state == OutboxState::Sending {
                continue;
            }
            let Some(row) = self.tables.outbox(head.id)? else {
                continue;
            };
            let payload = self.open(seal::OUTBOX, &row.sealed)?;
            let record = match row.message {
                Some(message) => self.tables.message(message)?,
                None => None,
            };
            let in_doubt = record.is_some_and(|record| record.may_have_left());
            match (payload, row.state) {
                (Payload::Send(_), _) if in_doubt => {}
                (Payload::Send(send), OutboxState::Queued | OutboxState::Held) => {
                    events.push(Event::Diverted {
                        row,
                        send: Box::new(send),
                        to: to.clone(),
                        cause: Cause::Swapped,
                    });
                }
                // In doubt: it goes by the new line only when its writer says so.
                // What is taken back is taken back where it went.
                (Payload::Send(_) | Payload::Recall { .. }, _) => {}
                _ => self.tables.outbox_remove(row.id)?,
            }
        }
        Ok(events)
    }

    /// What `swap` must know: the conversation that is meant, and whether its contact has one on the other line.
    pub(super) fn load_twin(&mut self, state: &mut State, wanted: &Swap) -> Loaded<()> {
        if let Some(id) = wanted.conversation
            && let Some(found) = self.tables.conversation(id)?
        {
            self.load_talk(state, found)?;
        }
        let line = self.site.lines.iter().find(|line| wanted.names(line));
        if let (Some(talk), Some(line)) = (&state.talk, line) {
            state.twin = self
                .tables
                .conversation_by_alias(&line.id, &talk.who.contact.index)?;
        }
        Ok(())
    }
}
