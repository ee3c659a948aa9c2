//! What is asked for: effects become writes.

use super::{Fault, Work};
use crate::effect::{Carried, Effect, NewMessage, Queue};
use crate::event::{Event, Then};
use crate::lanes::Change;
use crate::outbox::{self, Brought};
use crate::payload::Payload;
use swingbridge_domain::address::Address;
use swingbridge_domain::audit;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::id::{ConnectorId, ConversationId, LineId, MessageId, OutboxId, UserId};
use swingbridge_domain::store::{
    EarlyReceipt, Lane, MessageRecord, NewOutboxRow, OutboxState, PartRecord, StoreError, Trust, seal,
};

type Loaded<T> = Result<T, StoreError>;

/// Every message's way, for those who follow one. Not yet committed, but a commit that fails is told as well.
fn tell(id: MessageId, record: &MessageRecord) {
    tracing::debug!(
        id = %id,
        conversation = %record.conversation,
        direction = ?record.direction,
        state = record.state.word(),
        "a message"
    );
}

/// Receipts that match no message.
fn unmatched(connector: ConnectorId, receipts: u64) {
    metrics::counter!("swingbridge_receipts_unmatched_total", "connector" => connector.0).increment(receipts);
}

impl Work<'_> {
    /// Carries out an effect; gives what happens by it.
    pub fn apply(&mut self, effect: Effect) -> Result<Vec<Event>, Fault> {
        match effect {
            Effect::Open { line, address, then } => {
                return Ok(vec![self.open_conversation(&line, &address, then)?]);
            }
            Effect::Queue(queue) => self.queue(*queue)?,
            Effect::SaveMessage(record) => {
                tell(record.id, &record);
                self.tables.message_update(&record)?;
            }
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
                unmatched(connector, dropped as u64);
            }
            Effect::CountUnmatched(connector) => unmatched(connector, 1),
            Effect::Assemble {
                conversation,
                part,
                piece,
            } => return Ok(self.assemble(conversation, part, piece)?.into_iter().collect()),
            Effect::Complete(assembly) => self.complete(assembly)?,
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
                self.after.changes.push(Change::Returned {
                    target,
                    lane,
                    id,
                    not_before,
                });
            }
            Effect::Divert { id, to, cause } => {
                let Some(row) = self.tables.outbox(id)? else {
                    return Ok(Vec::new());
                };
                let Payload::Send(send) = self.open(seal::OUTBOX, &row.sealed)? else {
                    return Ok(Vec::new());
                };
                return Ok(vec![Event::Diverted {
                    row,
                    send: Box::new(send),
                    to,
                    cause,
                }]);
            }
            Effect::SetDetour { conversation, detour } => {
                if let Some(found) = self.tables.conversation(conversation)? {
                    let trust = Trust {
                        detour,
                        ..found.trust
                    };
                    self.tables.conversation_set_trust(conversation, &trust)?;
                }
            }
            Effect::Swap { conversation, line } => return Ok(self.swap(conversation, &line)?),
            Effect::SetTimer { timer, due } => self.tables.timer_set(&timer, due)?,
            Effect::Exhume => {
                self.tables.inbox_exhume()?;
                self.backlog.perhaps();
            }
            Effect::Suppress {
                lines,
                conversation,
                contact,
                by,
            } => return Ok(self.suppress(&lines, conversation, contact, by)?),
            Effect::LiftSuppression { lines, contact } => {
                for line in lines.iter().filter_map(|line| self.site.line(line)) {
                    let own = self.own(line);
                    self.tables.suppression_lift(&own, contact)?;
                }
            }
            Effect::Tally { key, at, amount } => self.tables.tally_add(&key, at, amount)?,
            Effect::Audit(entry) => {
                audit::append(self.tables, self.keys, self.now, &entry)?;
            }
            Effect::Count(tally) => self.after.tallies.push(tally),
            Effect::SetTrust { conversation, trust } => {
                self.tables.conversation_set_trust(conversation, &trust)?;
            }
            Effect::SetConsent(consent) => self.tables.consent_set(&consent)?,
            Effect::NoteQuestion { event, question } => {
                self.tables.question_add(&event, &question, self.now)?;
            }
            Effect::SetCard(contact, card) => self.set_card(*contact, card)?,
            Effect::Move {
                conversation,
                line,
                address,
            } => self.move_conversation(conversation, &line, &address)?,
            Effect::SetWay { conversation, way } => {
                if let Some(found) = self.tables.conversation(conversation)? {
                    let trust = Trust { way, ..found.trust };
                    self.tables.conversation_set_trust(conversation, &trust)?;
                }
            }
            Effect::Signal(connector, signal) => self.after.signals.push((connector, signal)),
            Effect::Show(action) => self.after.shows.push(*action),
            Effect::SetPin(pin) => self.tables.pin_set(&pin)?,
            Effect::Review {
                line,
                conversation,
                writer,
                declined,
            } => return Ok(self.review(&line, conversation, writer.as_ref(), declined)?),
            Effect::Reconsider(id) => {
                self.tables.outbox_postpone(id, self.now, false)?;
                self.tables.outbox_set_state(id, OutboxState::Held)?;
                let Some(row) = self.tables.outbox(id)? else {
                    return Ok(Vec::new());
                };
                let payload = Box::new(self.open(seal::OUTBOX, &row.sealed)?);
                return Ok(vec![Event::Reviewed {
                    row,
                    payload,
                    declined: false,
                }]);
            }
            Effect::Release { id, lane, target } => {
                self.tables.outbox_set_state(id, OutboxState::Queued)?;
                self.after.changes.push(Change::Added {
                    target,
                    lane,
                    id,
                    payload: None,
                });
            }
        }
        Ok(Vec::new())
    }

    /// What is to be decided anew, in the order in which it was written.
    fn review(
        &mut self,
        line: &LineId,
        conversation: Option<ConversationId>,
        writer: Option<&UserId>,
        declined: bool,
    ) -> Loaded<Vec<Event>> {
        let mut rows = self.tables.outbox_held(conversation)?;
        if let Some(writer) = writer {
            rows.extend(self.tables.outbox_leaving(writer)?);
        }
        rows.sort_by_key(|row| row.id);
        let mut events = Vec::new();
        for row in rows {
            let Lane::Conversation(id) = &row.lane else {
                continue;
            };
            if conversation.is_some_and(|only| *id != only) {
                continue;
            }
            let payload: Box<Payload> = Box::new(self.open(seal::OUTBOX, &row.sealed)?);
            let concerned = conversation.is_some()
                || payload.line() == Some(line)
                || self
                    .tables
                    .conversation(*id)?
                    .is_some_and(|found| &found.line == line || self.stands_in(line, &found.line));
            if concerned {
                events.push(Event::Reviewed {
                    row,
                    payload,
                    declined,
                });
            }
        }
        Ok(events)
    }

    /// Whether messages of `line` may go by `other`.
    fn stands_in(&self, other: &LineId, line: &LineId) -> bool {
        let fallback = self.site.line(line).and_then(|line| line.fallback.as_ref());
        fallback.is_some_and(|fallback| &fallback.line == other)
    }

    pub fn open_conversation(&mut self, line: &LineId, address: &Address, then: Then) -> Loaded<Event> {
        // A line that stands in for another has no conversations of its own.
        let line = self.site.line(line).map_or(line, |line| &self.site.home(line).id);
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
            held,
        } = queue;
        let message = match message {
            Carried::None => None,
            Carried::Again(id) => Some(id),
            Carried::New(new) => {
                let NewMessage {
                    record,
                    assembly,
                    named,
                } = *new;
                let id = self.tables.message_add(&record)?;
                tell(id, &record);
                for (connector, network_id) in named {
                    self.tables.part_add(&PartRecord {
                        connector,
                        network_id,
                        message: id,
                        index: 0,
                        state: Delivery::Delivered,
                    })?;
                }
                if let Some(assembly) = assembly {
                    self.tables.assembly_set_message(assembly, id)?;
                }
                Some(id)
            }
        };
        if let (Payload::Send(send), Some(id)) = (&mut payload, message) {
            send.outbound.id = id;
            // Message ids begin again in a new database; the moment does not.
            let name = format!("{id}/{}", self.now.millis());
            send.outbound.key = self.keys.pseudonym("send", &name);
        }
        let sealed = self.seal(seal::OUTBOX, &payload)?;
        let seat = match &payload {
            Payload::Send(send) if !held => outbox::at_once(self, &target, &lane, send, expires_at),
            _ => None,
        };
        let state = match (held, &seat) {
            (true, _) => OutboxState::Held,
            (false, Some(_)) => OutboxState::Sending,
            (false, None) => OutboxState::Queued,
        };
        let row = NewOutboxRow {
            target,
            lane,
            message,
            state,
            not_before: self.now,
            created_at: self.now,
            expires_at,
            sealed,
        };
        let id: OutboxId = self.tables.outbox_push(&row)?;
        match (payload, seat) {
            (Payload::Send(send), Some(seat)) => {
                let departure = outbox::ready(self, row.numbered(id), send, Brought::default());
                self.after.leaving.push((seat, departure));
            }
            _ if held => {}
            (payload, _) => self.after.changes.push(Change::Added {
                target: row.target,
                lane: row.lane,
                id,
                payload: Some(Box::new(payload)),
            }),
        }
        Ok(())
    }
}
