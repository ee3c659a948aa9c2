//! A message that its line does not bring to the phone goes by another one: never twice, and never in silence.
//!
//! It goes only when the network says that the phone will not have it: it was refused, or taken back. What may have arrived stays
//! where it is. On its other way it passes the other line's limits, is counted and priced there, and waits there for somebody's word
//! where the way is a weaker one.

use super::{Scene, failure, for_room, matrix, notice};
use crate::effect::{Carried, Effect, Queue};
use crate::event::Cause;
use crate::payload::{Payload, Send, Status};
use crate::policy::limits::{Granted, Refusal};
use crate::policy::{self, Admission};
use crate::render::{self, Rendered};
use crate::state::Talk;
use crate::words;
use swingbridge_domain::capability::Support;
use swingbridge_domain::connector::Reach;
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::id::{EventId, LineId};
use swingbridge_domain::line::Line;
use swingbridge_domain::message::Message;
use swingbridge_domain::path::Path;
use swingbridge_domain::store::{Detour, MessageRecord, OutboxRow, OutboxState, PartRecord, Target};

/// Parts of a message that went another way after its first count from here.
pub(super) const SECOND_WAY: u16 = 1000;
/// Whether a message that its network took may still go another way.
pub(super) fn is_waiting(message: &MessageRecord, row: Option<&OutboxRow>) -> bool {
    row.is_some_and(|row| row.state == OutboxState::Parked)
        && matches!(message.state, Delivery::Accepted | Delivery::Sent)
}

/// A message is to go by the line `to`.
pub(super) fn diverted(
    scene: &Scene<'_>,
    row: &OutboxRow,
    send: &Send,
    to: &LineId,
    cause: Cause,
) -> Vec<Effect> {
    let (Some(talk), Some(message)) = (&scene.state.talk, &scene.state.message) else {
        return vec![Effect::Remove(row.id)];
    };
    let mut effects = vec![Effect::Remove(row.id)];
    let Some(line) = scene.site.line(to) else {
        effects.extend(refused(
            scene,
            talk,
            message,
            send,
            words::LINE_GONE,
            Reason::NotAllowed.word(),
        ));
        return effects;
    };
    let other = talk.by(line);
    let not = words::not_diverted(scene.site, talk, line, cause);
    let (content, granted) = match fit(scene, &other, send) {
        Ok(fitting) => fitting,
        Err(refusal) => {
            effects.extend(refusal.also);
            let words = format!("{not} {}", refusal.words);
            effects.extend(refused(scene, talk, message, send, &words, refusal.reason));
            return effects;
        }
    };
    let path = policy::outward(scene.site, line, other.way(), send.room);
    let expires_at = match (&granted.wait, send.outbound.message.expires) {
        // Its time begins when it may leave.
        (Some((until, _)), None) => row
            .expires_at
            .map(|end| end.max(*until + scene.site.policy.validity)),
        _ => row.expires_at,
    };
    let not_before = granted.wait.as_ref().map(|(until, _)| *until);
    let mut next = send.clone();
    next.outbound.line = line.id.clone();
    next.outbound.from = line.address.clone();
    next.outbound.message = content;
    next.outbound.expires_at = expires_at;
    next.not_before = not_before.unwrap_or_default();
    let leaving = Leaving {
        row,
        send: next,
        message,
        path,
        granted,
        why: words::diverted(scene.site, talk, line, cause),
        not,
    };
    effects.extend(admitted(scene, talk, &other, leaving, cause));
    effects
}

/// A message as its other line carries it, where that line carries it and its limits let it go. `other`: the conversation by that line.
fn fit(scene: &Scene<'_>, other: &Talk, send: &Send) -> Result<(Message, Granted), Refusal> {
    let able = scene.site.capabilities_of(&other.line).towards(other.is_group());
    if other.is_group() && able.groups == Support::Absent {
        return Err(Refusal::new(words::no_groups(&able), Reason::BadAddress.word()));
    }
    let writer = matrix::writer(&send.writer);
    match render::again(&send.outbound.message, &able, &scene.site.policy, writer) {
        Rendered::Refuse { words, reason } => Err(Refusal::new(words, reason)),
        Rendered::Send { message, .. } => {
            let granted = policy::limits::judge_again(scene, other, send, &message)?;
            Ok((message, granted))
        }
    }
}

/// A message on its other way.
struct Leaving<'a> {
    row: &'a OutboxRow,
    send: Send,
    message: &'a MessageRecord,
    path: Path,
    granted: Granted,
    /// Why it goes there, and what is said when it does not.
    why: String,
    not: String,
}

fn admitted(scene: &Scene<'_>, talk: &Talk, other: &Talk, leaving: Leaving<'_>, cause: Cause) -> Vec<Effect> {
    let Leaving {
        row,
        send,
        message,
        path,
        granted,
        why,
        not,
    } = leaving;
    let event = send.event.clone();
    let admission = policy::leaving(scene, other, &send.writer, &path);
    let record = |state, detail: &str| MessageRecord {
        state,
        detail: Some(detail.to_owned()),
        path: Some(path.clone()),
        updated_at: scene.now,
        ..message.clone()
    };
    let queue = |held| {
        Effect::Queue(Box::new(Queue {
            target: Target::Connector(other.line.connector.clone()),
            lane: row.lane.clone(),
            payload: Payload::Send(send.clone()),
            expires_at: send.outbound.expires_at,
            message: Carried::Again(message.id),
            held,
        }))
    };
    let mut effects = Vec::new();
    match admission {
        Admission::Go(told) => {
            // The next ones go this way without a word, until it is another way again.
            if is_news(talk, &other.line, cause) {
                effects.push(notice(talk, &why, Some(event.clone())));
            }
            effects.extend(told);
            let long = granted.long_wait(scene);
            effects.extend(long.map(|words| notice(talk, words, Some(event.clone()))));
            let words = match &granted.wait {
                Some((_, wait)) => format!("{why} {wait}"),
                None => why,
            };
            effects.push(Effect::SaveMessage(Box::new(record(Delivery::Queued, &words))));
            effects.push(queue(false));
            effects.push(pending(talk, &event, Delivery::Queued, &words));
        }
        Admission::Hold { ask, words } => {
            let words = format!("{why} {words}");
            effects.push(notice(talk, words.clone(), Some(event.clone())));
            effects.extend(ask);
            effects.push(Effect::SaveMessage(Box::new(record(Delivery::Held, &words))));
            effects.push(queue(true));
            effects.push(pending(talk, &event, Delivery::Held, &words));
        }
        Admission::Refuse { words, reason } => {
            let words = format!("{not} {words}");
            return refused(scene, talk, message, &send, &words, reason);
        }
    }
    effects.extend(granted.counted);
    // Last: what was told before speaks of the conversation as it was.
    if cause != Cause::Swapped
        && let Some(fallback) = &talk.line.fallback
    {
        effects.push(Effect::SetDetour {
            conversation: talk.conversation.id,
            detour: Some(Detour {
                line: other.line.id.clone(),
                until: scene.now + fallback.again,
            }),
        });
    }
    effects
}

fn is_news(talk: &Talk, line: &Line, cause: Cause) -> bool {
    let known = talk.conversation.trust.detour.as_ref();
    cause != Cause::Swapped && known.is_none_or(|detour| detour.line != line.id)
}

/// The status of a message that is still on its way, with words for its writer.
fn pending(talk: &Talk, event: &EventId, state: Delivery, words: &str) -> Effect {
    for_room(
        talk,
        Payload::Status(Status {
            event: event.clone(),
            state,
            message: Some(words.to_owned()),
            reason: None,
            retriable: false,
            path: None,
        }),
    )
}

fn refused(
    scene: &Scene<'_>,
    talk: &Talk,
    message: &MessageRecord,
    send: &Send,
    words: &str,
    reason: &'static str,
) -> Vec<Effect> {
    let record = MessageRecord {
        state: Delivery::Rejected,
        detail: Some(words.to_owned()),
        updated_at: scene.now,
        ..message.clone()
    };
    let mut effects = vec![Effect::SaveMessage(Box::new(record))];
    effects.extend(failure(
        talk,
        &send.event,
        Delivery::Rejected,
        words,
        reason,
        false,
    ));
    effects
}

/// A message that its network took has not reached the phone for long enough. What its other line would not carry or let go is not taken
/// back: by the first it may still arrive.
pub(super) fn overdue(scene: &Scene<'_>) -> Vec<Effect> {
    let (Some(talk), Some(message)) = (&scene.state.talk, &scene.state.message) else {
        return Vec::new();
    };
    let Some((_, line)) = scene.site.fallback_of(&talk.line) else {
        return Vec::new();
    };
    if !is_waiting(message, scene.state.row.as_ref()) {
        return Vec::new();
    }
    let other = talk.by(line);
    let fitting = scene.state.waiting.as_ref().map(|send| fit(scene, &other, send));
    if let Some(Err(refusal)) = fitting {
        let words = words::stays(scene.site, talk, line, &refusal.words);
        let mut effects = refusal.also;
        effects.push(notice(talk, words, message.event.clone()));
        return effects;
    }
    vec![super::revocation::revoke(talk, message.id)]
}

/// The parts that say what became of a message: those of its last way, unless the phone has it by the first after all.
pub(super) fn decisive(parts: &[PartRecord]) -> Vec<PartRecord> {
    let second = |part: &&PartRecord| part.index >= SECOND_WAY;
    let arrived = |part: &PartRecord| matches!(part.state, Delivery::Delivered | Delivery::Read);
    let first = || parts.iter().filter(move |part| !second(part));
    match parts.iter().any(|part| second(&part)) && !first().any(arrived) {
        true => parts.iter().filter(second).cloned().collect(),
        false => first().cloned().collect(),
    }
}

/// A network was asked whether it reaches the contact.
pub(super) fn reached(
    scene: &Scene<'_>,
    row: &OutboxRow,
    line: &LineId,
    event: &EventId,
    reach: Reach,
) -> Vec<Effect> {
    let mut effects = vec![Effect::Remove(row.id)];
    let (Some(talk), Some(line)) = (&scene.state.talk, scene.site.line(line)) else {
        return effects;
    };
    effects.push(notice(
        talk,
        words::reach(scene.site, talk, line, reach),
        Some(event.clone()),
    ));
    if line.id == talk.line.id
        && let Some((fallback, other)) = scene.site.fallback_of(line)
    {
        let detour = match reach {
            Reach::Yes => None,
            Reach::No if fallback.unreachable => Some(Detour {
                line: other.id.clone(),
                until: scene.now + fallback.again,
            }),
            Reach::No | Reach::Unknown => return effects,
        };
        effects.push(Effect::SetDetour {
            conversation: talk.conversation.id,
            detour,
        });
    }
    effects
}

/// The phone was heard by the conversation's own line: that one is used again.
pub(super) fn heard(talk: &Talk) -> Option<Effect> {
    talk.conversation.trust.detour.as_ref()?;
    Some(Effect::SetDetour {
        conversation: talk.conversation.id,
        detour: None,
    })
}
