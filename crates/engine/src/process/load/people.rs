//! Who may read and write, and what they said of it.

use super::Loaded;
use crate::policy;
use crate::process::Work;
use crate::state::{State, Talk};
use swingbridge_domain::consent::Rule;
use swingbridge_domain::id::{LineId, UserId};
use swingbridge_domain::line::Line;
use swingbridge_domain::path::Protection;

impl Work<'_> {
    /// What a writer said of the conversation's line, and the keys of its contact.
    pub(super) fn load_said(&mut self, state: &mut State, writer: &UserId) -> Loaded<()> {
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

    /// Who has agreed that what comes for the conversation may be read here. `came_by`: the line, where that may be another than the
    /// conversation's.
    pub(super) fn load_agreed(&mut self, state: &mut State, came_by: Option<&LineId>) -> Loaded<()> {
        let Some(talk) = &state.talk else { return Ok(()) };
        let mut lines = vec![&talk.line];
        let fallback = self.site.fallback_of(&talk.line).map(|(_, other)| other);
        for other in [fallback, came_by.and_then(|line| self.site.line(line))] {
            lines.extend(other.filter(|other| lines.iter().all(|line| line.id != other.id)));
        }
        for line in lines {
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
    pub(super) fn load_pins(&mut self, state: &mut State) -> Loaded<()> {
        let knows_keys = |talk: &&Talk| {
            let able = self.site.capabilities.get(&talk.line.connector);
            let mut legs = able.iter().flat_map(|able| &able.way);
            legs.any(|leg| matches!(leg.protection, Protection::EndToEnd(_)))
        };
        if let Some(talk) = state.talk.as_ref().filter(knows_keys) {
            state.pins = self.tables.pins(talk.who.contact.id)?;
        }
        Ok(())
    }

    /// Members of shared inboxes: they may use the lines.
    pub(super) fn load_inboxes(&mut self, state: &mut State, only: Option<&Line>) -> Loaded<()> {
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

    pub(super) fn load_members(&mut self, state: &mut State) -> Loaded<()> {
        if let Some(room) = state
            .talk
            .as_ref()
            .and_then(|talk| talk.conversation.room.clone())
        {
            state.members = self.tables.members(&room)?;
        }
        Ok(())
    }
}
