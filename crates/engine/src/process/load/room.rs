//! What is known for something that a user did in a room.

use super::{LISTED, Loaded};
use crate::commands::{self, Command};
use crate::process::Work;
use crate::state::State;
use crate::step::Scene;
use swingbridge_domain::id::{EventId, LineId, UserId};
use swingbridge_domain::inbox::{Membership, RoomEvent, RoomEventKind};
use swingbridge_domain::message::{Body, Disposition, Message, Reference};
use swingbridge_domain::store::RoomRole;

impl Work<'_> {
    pub(super) fn load_room(&mut self, state: &mut State, event: &RoomEvent) -> Loaded<()> {
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
            (None, Some(RoomRole::Management(_))) => commands::in_management(message),
            _ => None,
        })
    }

    fn load_for_command(&mut self, state: &mut State, command: &Command, user: &UserId) -> Loaded<()> {
        self.load_inboxes(state, None)?;
        match command {
            Command::List => {
                let scene = Scene {
                    site: self.site,
                    state,
                    now: self.now,
                };
                let lines = self.site.lines.iter();
                let usable = lines.filter(|line| scene.may_use(user, line));
                let usable: Vec<LineId> = usable.map(|line| line.id.clone()).collect();
                self.survey_talks(state, &usable)?;
            }
            Command::Status(named) | Command::Retry(named) => match (named, &state.talk) {
                (Some(event), _) => {
                    self.load_named(state, event)?;
                    let of = state.message.as_ref().map(|message| message.conversation);
                    if let Some(of) = of {
                        let found = self.tables.conversation(of)?;
                        state.survey.line = found.map(|found| found.line);
                    }
                }
                (None, Some(talk)) => {
                    state.survey.line = Some(talk.line.id.clone());
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
