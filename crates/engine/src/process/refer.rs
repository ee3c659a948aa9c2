//! What messages refer to: earlier ones, groups and their members.

use super::Work;
use crate::policy;
use crate::state::{self, State};
use crate::step::inbound::is_reaction;
use crate::words;
use swingbridge_domain::address::Address;
use swingbridge_domain::id::{ConnectorId, EventId, NetworkId};
use swingbridge_domain::inbox::{Card as Entry, Group, GroupChange, InboundMessage, NetworkAddress, Typing};
use swingbridge_domain::line::Line;
use swingbridge_domain::message::{Message, Reference};
use swingbridge_domain::store::{Conversation, MessageRecord, StoreError};

type Loaded<T> = Result<T, StoreError>;

/// What ids of ours begin with, which no network gives.
pub(crate) const OURS: char = '~';

/// The id of the `n`th event that was made of one message.
pub(crate) fn nth(id: &NetworkId, n: usize) -> NetworkId {
    match n {
        0 => id.clone(),
        n => NetworkId::new(format!("{id}#{n}")),
    }
}

/// The id of the user's own reaction to a message: networks give a reaction none, or one that says nothing of its target.
pub(crate) fn own_reaction(target: &NetworkId) -> NetworkId {
    NetworkId::new(format!("{OURS}out{OURS}{target}"))
}

/// The message that one of the user's own reactions was for.
pub(crate) fn target_of_own_reaction(id: &NetworkId) -> Option<NetworkId> {
    id.as_str()
        .strip_prefix(&format!("{OURS}out{OURS}"))
        .map(NetworkId::new)
}

impl Work<'_> {
    /// The conversation that what came by a network belongs to.
    pub(super) fn conversation_of(
        &mut self,
        connector: &ConnectorId,
        to: &NetworkAddress,
        from: &NetworkAddress,
        group: Option<&Group>,
    ) -> Loaded<Option<Conversation>> {
        let Some(line) = self.site.line_of(connector, to) else {
            return Ok(None);
        };
        let names = match group {
            None => vec![from.understand(line.region)],
            Some(group) => std::iter::once(&group.thread)
                .chain(&group.formerly)
                .map(|thread| Address::Group(thread.0.clone()))
                .collect(),
        };
        // A conversation that was moved is found by the line that it was on before as well.
        for line in [&self.site.home(line).id, &line.id] {
            for name in &names {
                let index = self.index(name);
                if let Some(found) = self.tables.conversation_by_alias(line, &index)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// All that a message from a phone needs besides its conversation.
    pub(super) fn load_inbound(&mut self, state: &mut State, inbound: &InboundMessage) -> Loaded<()> {
        let Some((line, contact)) = state
            .talk
            .as_ref()
            .map(|talk| (talk.line.clone(), talk.who.contact.id))
        else {
            return Ok(());
        };
        let mut who = contact;
        if let Some(group) = &inbound.group {
            state.group_name = self.group_name(&line, group)?;
            if !inbound.own {
                let address = inbound.from.understand(line.region);
                let member = self.contact(&address)?;
                let card = self.card(&member)?;
                let network = self.site.network_of(&line);
                state.member = Some(state::ghost(&line, &member, &address, &card, &network));
                who = member.id;
            }
        }
        let message = &inbound.message;
        let (first, second) = match is_reaction(message) {
            true => (&message.in_reply_to, &message.replaces),
            false => (&message.replaces, &message.in_reply_to),
        };
        let reference = first.as_ref().or(second.as_ref());
        if let Some(Reference::Network(id)) = reference {
            state.referred = self.made_of(&inbound.connector, id)?;
            if is_reaction(message) {
                let reactor = match inbound.own {
                    true => own_reaction(id),
                    false => NetworkId::new(format!("{OURS}{who}{OURS}{id}")),
                };
                if let Some(part) = self.tables.part_by_network_id(&inbound.connector, &reactor)? {
                    state.reacted = self.tables.message(part.message)?;
                }
                state.reactor = Some(reactor);
            }
        }
        Ok(())
    }

    /// The messages that a network's id names: the events made of one message, in order.
    fn made_of(&mut self, connector: &ConnectorId, id: &NetworkId) -> Loaded<Vec<MessageRecord>> {
        let mut found = Vec::new();
        while let Some(part) = self.tables.part_by_network_id(connector, &nth(id, found.len()))? {
            match self.tables.message(part.message)? {
                Some(message) => found.push(message),
                None => break,
            }
        }
        Ok(found)
    }

    /// What a connector's network calls the message that an event was made of, or that was made of it.
    pub(super) fn name_of(&mut self, event: &EventId, connector: &ConnectorId) -> Loaded<Option<NetworkId>> {
        let Some(message) = self.tables.message_by_event(event)? else {
            return Ok(None);
        };
        let parts = self.tables.parts_of(message.id)?;
        let mut names = parts
            .into_iter()
            .filter(|part| &part.connector == connector)
            .map(|part| part.network_id);
        Ok(names.find(|id| !id.as_str().starts_with(OURS)).map(|id| {
            let whole = id
                .as_str()
                .split_once('#')
                .map(|(whole, _)| NetworkId::new(whole));
            whole.unwrap_or(id)
        }))
    }

    /// What the network calls the message that a message from Matrix refers to.
    pub(super) fn load_reference(&mut self, state: &mut State, message: &Message) -> Loaded<()> {
        let Some(talk) = &state.talk else { return Ok(()) };
        let talk = policy::routed(self.site, talk, self.now);
        if !self.site.names_messages(&talk.line) {
            return Ok(());
        }
        let reference = message.replaces.as_ref().or(message.in_reply_to.as_ref());
        if let Some(Reference::Event(event)) = reference {
            state.named = self.name_of(event, &talk.line.connector)?;
        }
        Ok(())
    }

    /// An entry of an address book. Somebody who has no name there and was never met stays unknown.
    pub(super) fn load_entry(&mut self, state: &mut State, entry: &Entry) -> Loaded<()> {
        let mut lines = self.site.lines.iter();
        let Some(line) = lines.find(|line| line.connector == entry.connector) else {
            return Ok(());
        };
        let address = entry.contact.understand(line.region);
        let index = self.index(&address);
        if entry.name.is_none() && self.tables.contact_by_index(&index)?.is_none() {
            return Ok(());
        }
        let contact = self.contact(&address)?;
        let card = self.card(&contact)?;
        state.met = Some((contact, card));
        state.talk = self.conversation_with(&line.id, &address)?;
        Ok(())
    }

    pub(super) fn load_group(&mut self, state: &mut State, change: &GroupChange) -> Loaded<()> {
        let found = self.conversation_of(&change.connector, &change.to, &change.to, Some(&change.group))?;
        if let Some(found) = found {
            self.load_talk(state, found)?;
        }
        if let Some(line) = state.talk.as_ref().map(|talk| talk.line.clone()) {
            state.group_name = self.group_name(&line, &change.group)?;
            if let Some(by) = &change.by {
                state.by = Some(self.shown(&line, by)?);
            }
            if let swingbridge_domain::inbox::Change::Joined(who)
            | swingbridge_domain::inbox::Change::Left(who) = &change.change
            {
                state.whom = Some(self.shown(&line, who)?);
            }
        }
        Ok(())
    }

    pub(super) fn load_typing(&mut self, state: &mut State, typing: &Typing) -> Loaded<()> {
        let group = typing.group.clone().map(|thread| Group {
            thread,
            formerly: Vec::new(),
            name: None,
            members: Vec::new(),
        });
        let found = self.conversation_of(&typing.connector, &typing.to, &typing.from, group.as_ref())?;
        if let Some(found) = found {
            self.load_talk(state, found)?;
        }
        Ok(())
    }

    /// What a group is called: by its members, or else by who they are.
    fn group_name(&mut self, line: &Line, group: &Group) -> Loaded<Option<String>> {
        if let Some(name) = group
            .name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            return Ok(Some(name.to_owned()));
        }
        let mut members = Vec::new();
        for member in &group.members {
            members.push(self.shown(line, member)?);
        }
        Ok(words::members(&members))
    }

    /// How somebody is shown on a line, without their being kept.
    fn shown(&mut self, line: &Line, who: &NetworkAddress) -> Loaded<String> {
        let address = who.understand(line.region);
        let index = self.index(&address);
        let card = match self.tables.contact_by_index(&index)? {
            Some(contact) => self.card(&contact)?,
            None => state::Card::default(),
        };
        Ok(line.display.of(&address, card.name.as_deref()))
    }
}
