//! What the limits look at.

use super::loops::{self, Machines, by_a_machine};
use super::meters::{AHEAD, Counted, Meter, Per};
use super::opt_out;
use crate::event::Event;
use crate::payload::Payload;
use crate::policy;
use crate::process::Work;
use crate::state::{Card, OptedOut, State};
use crate::words;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{ConnectorId, ContactId, ConversationId, LineId, UserId};
use swingbridge_domain::inbox::{InboundMessage, NetworkAddress, Preference};
use swingbridge_domain::limits::OptOutRule;
use swingbridge_domain::line::Line;
use swingbridge_domain::message::Message;
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{
    Lane, OutboxState, StoreError, SuppressedBy, Suppression, TallyKey, Target, seal,
};

type Loaded<T> = Result<T, StoreError>;

/// Wishes that the list shows.
const LISTED: u32 = 200;

pub(crate) fn own(keys: &Keys, line: &Line) -> [u8; 32] {
    keys.index("line", &line.address.canonical())
}

impl Work<'_> {
    /// The blind index of a line's own address: it stays when the line is called something else.
    pub fn own(&self, line: &Line) -> [u8; 32] {
        let known = self.own.get(&line.id).copied();
        known.unwrap_or_else(|| own(self.keys, line))
    }

    pub fn load_suppression(&mut self, state: &mut State) -> Loaded<()> {
        if let Some(talk) = &state.talk {
            let own = self.own(&talk.line);
            state.suppressed = self.tables.suppression(&own, talk.who.contact.id)?;
        }
        Ok(())
    }

    /// For a wish of a contact, who wrote it to one of our addresses: also that of a line that the conversation was moved away from.
    pub fn load_wish(
        &mut self,
        state: &mut State,
        connector: &ConnectorId,
        to: &NetworkAddress,
    ) -> Loaded<()> {
        self.load_suppression(state)?;
        let told = self.site.line_of(connector, to);
        let Some((talk, told)) = state.talk.as_ref().zip(told) else {
            return Ok(());
        };
        if told.id != talk.line.id {
            let (own, contact) = (self.own(told), talk.who.contact.id);
            state.suppressed_there = self.tables.suppression(&own, contact)?;
            state.written_to_other = true;
        }
        Ok(())
    }

    /// For something that a user writes: by the line that it would go by now.
    pub fn load_limits(&mut self, state: &mut State, writer: &UserId, message: &Message) -> Loaded<()> {
        let Some(talk) = &state.talk else {
            return Ok(());
        };
        let loops = talk.line.limits.loops;
        let line = policy::routed(self.site, talk, self.now).line.clone();
        self.load_limits_of(state, writer, &line)?;
        if loops.exchanges > 0 || (loops.same > 0 && by_a_machine(message)) {
            state.machines = Some(self.machines(state, None)?);
        }
        Ok(())
    }

    /// For something that is to go by `line`, which need not be the conversation's own.
    pub fn load_limits_of(&mut self, state: &mut State, writer: &UserId, line: &Line) -> Loaded<()> {
        self.load_suppression(state)?;
        let Some(talk) = &state.talk else {
            return Ok(());
        };
        if line.id != talk.line.id {
            let (own, contact) = (self.own(line), talk.who.contact.id);
            state.suppressed_there = self.tables.suppression(&own, contact)?;
        }
        self.load_meters(state, writer, line)
    }

    /// For a wish of somebody with whom there is no conversation. Who is not known and has nothing against texts stays unknown.
    pub fn load_stranger(&mut self, state: &mut State, told: &Preference) -> Loaded<()> {
        let Some(line) = self.site.line_of(&told.connector, &told.to) else {
            return Ok(());
        };
        let address = told.from.understand(line.region);
        let contact = match told.wanted {
            true => {
                let index = self.index(&address);
                self.tables.contact_by_index(&index)?
            }
            false => Some(self.contact(&address)?),
        };
        if let Some(contact) = contact {
            let own = self.own(line);
            state.suppressed = self.tables.suppression(&own, contact.id)?;
            state.met = Some((contact, Card::default()));
        }
        Ok(())
    }

    /// For something that came from a phone.
    pub fn load_heard(&mut self, state: &mut State, inbound: &InboundMessage) -> Loaded<()> {
        let Some(talk) = &state.talk else {
            return Ok(());
        };
        let Some(text) = inbound
            .message
            .first_text()
            .map(|text| text.plain.trim().to_lowercase())
        else {
            return Ok(());
        };
        if inbound.own || inbound.history {
            return Ok(());
        }
        let asks = opt_out::asked(inbound, &talk.line.opt_out.words).is_some();
        let loops = talk.line.limits.loops;
        if asks {
            self.load_wish(state, &inbound.connector, &inbound.to)?;
        }
        // Where no machine writes, nothing need be remembered of what people write.
        let watched = match asks {
            true => loops.same > 0 || loops.exchanges > 0,
            false => loops.same > 0 && self.machines(state, None)?.exchanges > 0,
        };
        if watched {
            state.machines = Some(self.machines(state, Some(&text))?);
        }
        Ok(())
    }

    fn load_meters(&mut self, state: &mut State, writer: &UserId, line: &Line) -> Loaded<()> {
        let Some(talk) = &state.talk else {
            return Ok(());
        };
        let limits = &line.limits;
        let rates = [
            (Counted::Line, limits.line),
            (Counted::User, limits.user),
            (Counted::Contact, limits.contact),
        ];
        let mut wanted: Vec<(Counted, Per, i64)> = Vec::new();
        for (of, rate) in rates {
            let periods = [
                (Per::Minute, rate.minute),
                (Per::Hour, rate.hour),
                (Per::Day, rate.day),
            ];
            wanted.extend(
                periods
                    .into_iter()
                    .filter_map(|(per, limit)| Some((of, per, limit?.into()))),
            );
        }
        let spend = [(Per::Day, limits.spend_day), (Per::Month, limits.spend_month)];
        wanted.extend(
            spend
                .into_iter()
                .filter_map(|(per, limit)| Some((Counted::Spend, per, limit?.0))),
        );
        if wanted.is_empty() {
            return Ok(());
        }
        let own = data_encoding::HEXLOWER.encode(&self.own(line)[..16]);
        for (of, per, limit) in wanted {
            let whom = match of {
                Counted::User => writer.to_string(),
                Counted::Contact => talk.who.contact.id.to_string(),
                Counted::Line | Counted::Spend => String::new(),
            };
            let key = self.tally_key(&format!("{own}/{of:?}/{}/{whom}", per.word()));
            let from = per.begin(self.now);
            let to = match per {
                Per::Minute => from + AHEAD,
                _ => per.end(self.now),
            };
            let counts = self.tables.tallies(&key, from, to)?;
            state.meters.push(Meter {
                of,
                per,
                limit,
                key,
                counts,
            });
        }
        Ok(())
    }

    fn tally_key(&self, name: &str) -> TallyKey {
        let mut key = TallyKey::default();
        key.copy_from_slice(&self.keys.index("tally", name)[..16]);
        key
    }

    /// What machines said. `text`: what has come now.
    fn machines(&mut self, state: &State, text: Option<&str>) -> Loaded<Machines> {
        let Some(talk) = &state.talk else {
            return Ok(Machines::default());
        };
        let id = talk.conversation.id;
        let within = talk.line.limits.loops.within;
        let begin = self.now - within;
        let end = self.now + Duration::from_millis(1);
        let counted = self.tally_key(&format!("exchanges/{id}"));
        let exchanges = self.tables.tallies(&counted, begin, end)?;
        // Nothing else matters where no machine wrote.
        if exchanges.is_empty() && text.is_none() {
            let keys = loops::Keys {
                exchanges: counted,
                ..loops::Keys::default()
            };
            return Ok(Machines {
                keys,
                ..Machines::default()
            });
        }
        let key = |what: &str| self.tally_key(&format!("{what}/{id}"));
        let keys = loops::Keys {
            exchanges: counted,
            person: key("person"),
            repeated: key("repeated"),
            told: key("told"),
            same: text.map(|text| key(&format!("same/{text}"))),
        };
        let repeated = self.tables.tallies(&keys.repeated, begin, end)?;
        let person = self
            .tables
            .tallies(&keys.person, begin, end)?
            .last()
            .map(|(at, _)| *at);
        let since = |counts: &[(Timestamp, i64)]| -> i64 {
            let later = counts
                .iter()
                .filter(|(at, _)| person.is_none_or(|person| *at > person));
            later.map(|(_, count)| count).sum()
        };
        let same = match keys.same {
            Some(same) => self.tables.tallies(&same, begin, end)?,
            None => Vec::new(),
        };
        Ok(Machines {
            keys,
            exchanges: since(&exchanges),
            same: since(&same),
            repeated: since(&repeated) > 0,
            told: since(&self.tables.tallies(&keys.told, begin, end)?) > 0,
        })
    }

    /// Remembers a contact's wish; gives what waits to leave for them and may not any more.
    pub fn suppress(
        &mut self,
        lines: &[LineId],
        conversation: Option<ConversationId>,
        contact: ContactId,
        by: SuppressedBy,
    ) -> Loaded<Vec<Event>> {
        let site = self.site;
        let lines: Vec<&Arc<Line>> = lines.iter().filter_map(|line| site.line(line)).collect();
        for line in &lines {
            let wish = Suppression {
                own: self.own(line),
                contact,
                by,
                at: self.now,
            };
            self.tables.suppression_set(&wish)?;
        }
        let enforced = lines
            .first()
            .is_some_and(|line| line.opt_out.rule == OptOutRule::Enforce);
        let Some(conversation) = conversation.filter(|_| enforced) else {
            return Ok(Vec::new());
        };
        let mut barred = Vec::new();
        for head in self.tables.outbox_heads()? {
            let waits = matches!(head.state, OutboxState::Queued | OutboxState::Held);
            if !waits || head.target == Target::Homeserver || head.lane != Lane::Conversation(conversation) {
                continue;
            }
            let Some(row) = self.tables.outbox(head.id)? else {
                continue;
            };
            if let Payload::Send(send) = self.open(seal::OUTBOX, &row.sealed)?
                && !send.automatic
            {
                barred.push(Event::Barred {
                    row,
                    event: send.event,
                    words: words::opted_out_refused(),
                    reason: "opted_out",
                });
            }
        }
        Ok(barred)
    }

    /// What a group wished goes along when its network calls it something else.
    pub fn move_suppression(&mut self, line: &LineId, from: ContactId, to: ContactId) -> Loaded<()> {
        let Some(line) = self.site.line(line) else {
            return Ok(());
        };
        let own = self.own(line);
        if let Some(wish) = self.tables.suppression(&own, from)? {
            self.tables
                .suppression_set(&Suppression { contact: to, ..wish })?;
        }
        Ok(())
    }

    /// Who wishes no texts, for those who look after that.
    pub fn survey_opted_out(&mut self, state: &mut State) -> Loaded<()> {
        for wish in self.tables.suppressions(LISTED)? {
            let line = self.site.lines.iter().find(|line| self.own(line) == wish.own);
            let (Some(line), Some(contact)) = (line, self.tables.contact(wish.contact)?) else {
                continue;
            };
            let shown = line.display.of(&self.address(&contact)?, None);
            state.survey.opted_out.push(OptedOut {
                line: line.id.clone(),
                contact: wish.contact,
                shown,
                by: wish.by,
                at: wish.at,
            });
        }
        Ok(())
    }
}
