//! Whether a message may be sent at all: what refuses for good, and costs least, comes first.
//!
//! Order: emergency numbers, the contact's own wish, machines that answer machines, where it goes, how long it is, how much was sent. What
//! is refused is told in words that name the setting.
//!
//! Architecture Invariant: [`judge`] passes every message before its row is written, [`judge_again`] every one that is to go by another line
//! than it was written for, and [`departing`] every row that waited: a wish that came in between counts. What leaves with the commit
//! that keeps it was judged in the same transaction.

pub(crate) mod automatic;
mod departing;
mod destination;
mod load;
mod loops;
mod measure;
mod meters;
pub(crate) mod opt_out;
mod quiet;

pub(crate) use departing::departing;
pub(crate) use load::own;
pub use loops::Machines;
use measure::Measure;
use meters::Counted;
pub use meters::Meter;
pub(crate) use opt_out::{heard, told};

use crate::effect::{Effect, Tally};
use crate::payload::{Payload, Send, Status};
use crate::state::Talk;
use crate::step::matrix::writer;
use crate::step::{Scene, failure, for_room, notice};
use crate::words;
use std::time::Duration;
use swingbridge_domain::address::is_emergency;
use swingbridge_domain::audit::{About, Kind, NewEntry};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::id::{EventId, UserId};
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::limits::OptOutRule;
use swingbridge_domain::line::Line;
use swingbridge_domain::message::Message;

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
    pub fn new(words: impl Into<String>, reason: &'static str) -> Self {
        Self {
            words: words.into(),
            reason,
            also: Vec::new(),
            quiet: false,
        }
    }

    /// Somebody may want to look it up.
    fn logged(mut self, talk: &Talk, user: &UserId, detail: &str) -> Self {
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
        let Some((_, words)) = &self.wait else {
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
        let long = self.long_wait(scene);
        effects.extend(long.map(|words| notice(talk, words, Some(event.clone()))));
        effects
    }

    /// What is said of a wait that takes long.
    pub fn long_wait(&self, scene: &Scene<'_>) -> Option<&str> {
        /// Up to here a status is enough.
        const SHORT: Duration = Duration::from_secs(60);
        let (until, words) = self.wait.as_ref()?;
        (until.since(scene.now) > SHORT).then_some(words)
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
    wanted(scene, talk)?;
    // Machines are a matter of the conversation, whichever line it goes by.
    let conversation = scene.state.talk.as_ref().unwrap_or(talk);
    let mut counted = loops::judge(scene, conversation, event)?;
    let granted = fits(scene, talk, &event.sender, message, quotes)?;
    counted.extend(granted.counted);
    Ok(Granted { counted, ..granted })
}

/// Whether a message that one line was given may go by another, that of `talk`: all rules of that line hold, and it is counted and priced
/// there. It was counted on the first line when it was taken, and stays so: it was tried there, and may have cost something.
pub(crate) fn judge_again(
    scene: &Scene<'_>,
    talk: &Talk,
    send: &Send,
    message: &Message,
) -> Result<Granted, Refusal> {
    if send.automatic {
        // No line counts those, and a wish does not hold back what confirms it: the guard against loops bounds them.
        goes_there(talk, &send.writer)?;
        return Ok(Granted::default());
    }
    wanted(scene, talk)?;
    fits(scene, talk, &send.writer, message, send.quote.is_some())
}

/// What is never sent to anybody, and never to this contact.
fn wanted(scene: &Scene<'_>, talk: &Talk) -> Result<(), Refusal> {
    if is_emergency(talk.who.address.full(), talk.line.region) {
        return Err(Refusal::new(words::EMERGENCY, Reason::Emergency.word()));
    }
    match is_barred(scene, talk) {
        true => Err(Refusal::new(words::opted_out_refused(), "opted_out")),
        false => Ok(()),
    }
}

fn goes_there(talk: &Talk, user: &UserId) -> Result<(), Refusal> {
    match destination::judge(&talk.line, &talk.who.address) {
        Some(barred) => Err(Refusal::new(barred.words, barred.reason).logged(talk, user, barred.detail)),
        None => Ok(()),
    }
}

/// Where it goes, how long it is, how much was sent, and when.
fn fits(
    scene: &Scene<'_>,
    talk: &Talk,
    user: &UserId,
    message: &Message,
    quotes: bool,
) -> Result<Granted, Refusal> {
    let line = &talk.line;
    goes_there(talk, user)?;
    let spends = scene.state.meters.iter().any(|meter| meter.of == Counted::Spend);
    let measure = match line.limits.parts.is_some() || spends {
        true => Measure::of(scene.site, talk, message, quotes, writer(user)),
        false => Measure::default(),
    };
    if let Some(most) = line.limits.parts.filter(|most| measure.parts > *most) {
        return Err(Refusal::new(
            words::too_many_parts(measure.parts, most),
            "too_long",
        ));
    }
    let spent = meters::judge(scene, talk, user, measure)?;
    let quiet = quiet::until(line, &talk.who.address, spent.not_before.unwrap_or(scene.now));
    let wait = match (quiet, spent.not_before) {
        (Some((until, zone)), _) => Some((until, words::quiet_hours(until, &zone))),
        (None, Some(until)) => Some((until, words::rate_waits(spent.setting))),
        (None, None) => None,
    };
    Ok(Granted {
        counted: spent.counted,
        wait,
    })
}

/// Whether the contact's wish keeps everything from them, also what is no message (who is writing, what was read): one that is about the
/// conversation's own line, or the line that it goes by.
pub(crate) fn is_barred(scene: &Scene<'_>, talk: &Talk) -> bool {
    let enforces = |line: &Line| line.opt_out.rule == OptOutRule::Enforce;
    let home = scene.state.talk.as_ref().unwrap_or(talk);
    (scene.state.suppressed.is_some() && enforces(&home.line))
        || (scene.state.suppressed_there.is_some() && enforces(&talk.line))
}
