//! Whether a message may be sent at all: what refuses for good, and costs least, comes first.
//!
//! Order: emergency numbers, the contact's own wish, machines that answer machines, where it goes, how long it is, how much was sent. What
//! is refused is told in words that name the setting.
//!
//! Architecture Invariant: [`judge`] passes every message before its row is written, and [`departing`] every row before it leaves: a wish
//! that came in between counts.

pub(crate) mod automatic;
mod destination;
mod load;
mod loops;
mod meters;
pub(crate) mod opt_out;
mod quiet;

pub use loops::Machines;
use meters::Counted;
pub use meters::Meter;
pub(crate) use opt_out::{heard, told};

use crate::effect::{Effect, Tally};
use crate::event::Event;
use crate::payload::{Payload, Send, Status};
use crate::process::{Fault, Work};
use crate::render;
use crate::site::Site;
use crate::state::Talk;
use crate::step::matrix::writer;
use crate::step::{Scene, failure, for_room, notice};
use crate::words;
use swingbridge_domain::address::{Address, is_emergency};
use swingbridge_domain::audit::{About, Kind, NewEntry};
use swingbridge_domain::capability::Support;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::id::{ContactId, EventId};
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::limits::OptOutRule;
use swingbridge_domain::line::Line;
use swingbridge_domain::message::{Body, Message};
use swingbridge_domain::store::{Lane, OutboxRow, StoreError};
use swingbridge_wire::segments::{Options, segment};

/// A message that may be sent, with what is counted for it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Granted {
    pub counted: Vec<Effect>,
    /// It waits until then, and why, in words for its writer.
    pub wait: Option<(Timestamp, String)>,
}

/// One that may not.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub words: String,
    pub reason: &'static str,
    /// What is remembered of it.
    pub also: Vec<Effect>,
    /// It is shown as a state alone: the room was told in words before.
    pub quiet: bool,
}

impl Refusal {
    fn new(words: impl Into<String>, reason: &'static str) -> Self {
        Self {
            words: words.into(),
            reason,
            also: Vec::new(),
            quiet: false,
        }
    }

    /// Somebody may want to look it up.
    fn logged(mut self, talk: &Talk, user: &swingbridge_domain::id::UserId, detail: &str) -> Self {
        let entry = NewEntry::new(Kind::PolicyApplied)
            .by(user)
            .about(About::Conversation(talk.conversation.id))
            .detail(detail);
        self.also.push(Effect::Audit(entry));
        self
    }

    /// Tells the writer.
    pub fn effects(self, talk: &Talk, event: &EventId) -> Vec<Effect> {
        let mut effects = self.also;
        if !self.quiet {
            effects.extend(failure(
                talk,
                event,
                Delivery::Rejected,
                &self.words,
                self.reason,
                false,
            ));
            return effects;
        }
        let status = Status {
            event: event.clone(),
            state: Delivery::Rejected,
            message: Some(self.words),
            reason: Some(self.reason.to_owned()),
            retriable: false,
            path: None,
        };
        effects.push(for_room(talk, Payload::Status(status)));
        effects.push(Effect::Count(Tally {
            line: talk.line.id.clone(),
            state: Delivery::Rejected.word(),
            reason: self.reason,
        }));
        effects
    }
}

impl Granted {
    /// Tells the writer of a wait: always by a status, in words too when it takes long.
    pub fn tell(&self, scene: &Scene<'_>, talk: &Talk, event: &EventId) -> Vec<Effect> {
        /// Up to here a status is enough.
        const SHORT: std::time::Duration = std::time::Duration::from_secs(60);
        let Some((until, words)) = &self.wait else {
            return Vec::new();
        };
        let status = Status {
            event: event.clone(),
            state: Delivery::Queued,
            message: Some(words.clone()),
            reason: None,
            retriable: false,
            path: None,
        };
        let mut effects = vec![for_room(talk, Payload::Status(status))];
        if until.since(scene.now) > SHORT {
            effects.push(notice(talk, words.clone(), Some(event.clone())));
        }
        effects
    }
}

/// Whether what a user wrote may be sent, as it will look on the phone. `quotes`: an earlier text will stand in front.
pub(crate) fn judge(
    scene: &Scene<'_>,
    talk: &Talk,
    event: &RoomEvent,
    message: &Message,
    quotes: bool,
) -> Result<Granted, Refusal> {
    let line = &talk.line;
    let user = &event.sender;
    if is_emergency(talk.address.full(), line.region) {
        return Err(Refusal::new(words::EMERGENCY, Reason::Emergency.word()));
    }
    if is_barred(scene, talk) {
        return Err(Refusal::new(words::opted_out_refused(), "opted_out"));
    }
    let mut granted = Granted::default();
    granted.counted.extend(loops::judge(scene, talk, event)?);
    if let Some(barred) = destination::judge(line, &talk.address) {
        return Err(Refusal::new(barred.words, barred.reason).logged(talk, user, barred.detail));
    }
    let spends = scene.state.meters.iter().any(|meter| meter.of == Counted::Spend);
    let parts = match line.limits.parts.is_some() || spends {
        true => parts(scene.site, talk, message, quotes, writer(user)),
        false => 1,
    };
    if let Some(most) = line.limits.parts.filter(|most| parts > *most) {
        return Err(Refusal::new(words::too_many_parts(parts, most), "too_long"));
    }
    let spent = meters::judge(scene, talk, user, parts)?;
    granted.counted.extend(spent.counted);
    let quiet = quiet::until(line, &talk.address, spent.not_before.unwrap_or(scene.now));
    granted.wait = match (quiet, spent.not_before) {
        (Some((until, zone)), _) => Some((until, words::quiet_hours(until, &zone))),
        (None, Some(until)) => Some((until, words::rate_waits(spent.setting))),
        (None, None) => None,
    };
    Ok(granted)
}

/// Whether the contact's wish keeps everything from them, also what is no message (who is writing, what was read).
pub(crate) fn is_barred(scene: &Scene<'_>, talk: &Talk) -> bool {
    scene.state.suppressed.is_some() && talk.line.opt_out.rule == OptOutRule::Enforce
}

/// How many parts a text will have. An estimate: what is quoted or linked is not there yet, and an account may have tables of its own.
fn parts(site: &Site, talk: &Talk, message: &Message, quotes: bool, writer: &str) -> u32 {
    /// As long as a quote may be, and a link.
    const QUOTE: usize = 66;
    const LINK: usize = 100;
    let able = site.capabilities_of(&talk.line);
    if able.networks.first().is_some_and(|network| network != "sms") {
        return 1;
    }
    let mut text = match message.parts.first().map(|part| &part.body) {
        Some(Body::Text(text)) => text.plain.clone(),
        Some(Body::Media(media)) if able.media == Support::Absent => {
            let caption = media.caption.as_deref().unwrap_or(&media.name);
            format!("{caption}\n{}", "x".repeat(LINK))
        }
        _ => return 1,
    };
    if quotes {
        text.insert_str(0, &"x".repeat(QUOTE));
    }
    if let Some(signature) = &talk.line.signature {
        let signed = render::signed(Message::text(text.clone()), signature, writer);
        text = signed.first_text().map_or(text, |signed| signed.plain.clone());
    }
    let counted = segment(&text, &Options::default()).map_or_else(|long| long.parts, |cut| cut.segments);
    u32::try_from(counted).unwrap_or(u32::MAX)
}

/// Whether something may leave now.
#[derive(Debug, PartialEq)]
pub(crate) enum Departing {
    Now,
    Later(Timestamp),
    Never { words: String, reason: &'static str },
}

/// Whether something may leave now by `line` for a contact: its own line, or another that it falls back to. What is counted was counted
/// when it was admitted. `automatic`: it is the gateway's own answer, which a wish and quiet hours do not hold back.
pub(crate) fn may_leave(
    work: &mut Work<'_>,
    line: &Line,
    contact: ContactId,
    address: &Address,
    automatic: bool,
) -> Result<Departing, StoreError> {
    let never = |words: String, reason| Ok(Departing::Never { words, reason });
    if is_emergency(address.full(), line.region) {
        return never(words::EMERGENCY.to_owned(), Reason::Emergency.word());
    }
    if !automatic && has_stopped(work, line, contact)? {
        return never(words::opted_out_refused(), "opted_out");
    }
    if let Some(barred) = destination::judge(line, address) {
        return never(barred.words, barred.reason);
    }
    Ok(match quiet::until(line, address, work.now) {
        Some((until, _)) if !automatic => Departing::Later(until),
        _ => Departing::Now,
    })
}

/// Whether a contact's wish keeps texts of a line from them.
fn has_stopped(work: &mut Work<'_>, line: &Line, contact: ContactId) -> Result<bool, StoreError> {
    let own = work.own(line);
    let enforced = line.opt_out.rule == OptOutRule::Enforce;
    Ok(enforced && work.tables.suppression(&own, contact)?.is_some())
}

/// Answers whether a row may leave now. One that may not is put back, or refused in words.
pub(crate) fn departing(work: &mut Work<'_>, row: &OutboxRow, send: &Send) -> Result<bool, Fault> {
    let (site, outbound) = (work.site, &send.outbound);
    let Lane::Conversation(id) = &row.lane else {
        return Ok(true);
    };
    let Some(conversation) = work.tables.conversation(*id)? else {
        return Ok(true);
    };
    // A line that is called something else since it was written has taken the conversation along.
    let line = site
        .line(&outbound.line)
        .or_else(|| site.line(&conversation.line));
    let (Some(line), Some(address)) = (line, outbound.to.first()) else {
        return Ok(true);
    };
    // By whichever line it goes, a wish that is about the conversation's own counts.
    let home = site.line(&conversation.line).filter(|home| home.id != line.id);
    let stopped = match home {
        Some(home) if !send.automatic => has_stopped(work, home, conversation.contact)?,
        _ => false,
    };
    let judged = match stopped {
        true => Departing::Never {
            words: words::opted_out_refused(),
            reason: "opted_out",
        },
        false => may_leave(work, line, conversation.contact, address, send.automatic)?,
    };
    let not_before = match judged {
        Departing::Never { words, reason } => {
            work.happen(Event::Barred {
                row: row.clone(),
                event: send.event.clone(),
                words,
                reason,
            })?;
            return Ok(false);
        }
        Departing::Later(until) => until,
        Departing::Now if send.not_before > work.now => send.not_before,
        Departing::Now => return Ok(true),
    };
    work.apply(Effect::Requeue {
        id: row.id,
        lane: row.lane.clone(),
        target: row.target.clone(),
        not_before,
        counts: false,
    })?;
    Ok(false)
}
