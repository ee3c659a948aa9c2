//! What a connector answered to a send, and what is done with sends whose fate is not known.

use super::fallback::SECOND_WAY;
use super::{Scene, count, failure, for_room, notice, receipt};
use crate::effect::Effect;
use crate::event::Cause;
use crate::payload::{Payload, Status};
use crate::policy;
use crate::state::Talk;
use crate::words;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Accepted, SendError};
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::id::{EventId, LineId};
use swingbridge_domain::line::Fallback;
use swingbridge_domain::store::{MessageRecord, OutboxRow, OutboxState, PartRecord, Target, Timer};

pub(super) fn answered(
    scene: &Scene<'_>,
    row: &OutboxRow,
    event: &EventId,
    line: &LineId,
    answer: &Result<Accepted, SendError>,
) -> Vec<Effect> {
    let (Some(talk), Some(message)) = (&scene.state.talk, &scene.state.message) else {
        return vec![Effect::Remove(row.id)];
    };
    match answer {
        Ok(accepted) => taken(scene, talk, row, message, event, line, accepted),
        Err(SendError::Rejected {
            reason: Reason::InPart,
            detail,
        }) => in_part(scene, talk, row, message, detail),
        Err(SendError::Rejected { reason, detail }) => {
            let words = words::refused(*reason, detail);
            given_up(scene, talk, row, message, line, *reason, &words)
                .unwrap_or_else(|| refused(scene, talk, row, message, event, &words, reason.word()))
        }
        Err(SendError::RetryAfter {
            delay,
            detail,
            counts,
        }) => {
            if let Some(moved) = moved(scene, talk, row, message, line) {
                return moved;
            }
            let sent_by = policy::sent_by(scene.site, talk, line);
            if let Some(refused) = withdrawn(scene, &sent_by, row, message, event) {
                return refused;
            }
            if *counts && row.attempts + 1 >= scene.site.policy.attempts {
                let words = words::gave_up(&scene.site.command_prefix, row.attempts + 1, detail);
                let reason = Reason::NetworkFault;
                return given_up(scene, talk, row, message, line, reason, &words)
                    .unwrap_or_else(|| parked(scene, talk, row, message, event, &words));
            }
            let mut effects = vec![again(row, scene.now + *delay, *counts)];
            effects.extend(patience(scene, talk, message, event, detail));
            effects
        }
        Err(SendError::Unknown { detail }) => {
            let wait = REPEAT_AFTER * 2u32.saturating_pow(row.attempts.min(8));
            doubtful(scene, row, message, wait).unwrap_or_else(|| unsure(scene, row, message, detail))
        }
    }
}

/// How long after a try of unknown fate the same is sent again, where the network knows it again.
const REPEAT_AFTER: Duration = Duration::from_secs(2);

/// A send of unknown fate is repeated by itself only where the network tells a repetition from another message. Until it is answered
/// the message is [`Delivery::Sending`]: it may have left.
fn doubtful(
    scene: &Scene<'_>,
    row: &OutboxRow,
    message: &MessageRecord,
    wait: Duration,
) -> Option<Vec<Effect>> {
    let Target::Connector(connector) = &row.target else {
        return None;
    };
    let able = scene.site.capabilities.get(connector)?;
    if !able.idempotent_sends || row.attempts + 1 >= scene.site.policy.attempts {
        return None;
    }
    let record = MessageRecord {
        state: Delivery::Sending,
        updated_at: scene.now,
        ..message.clone()
    };
    Some(vec![
        Effect::SaveMessage(Box::new(record)),
        again(row, scene.now + wait, true),
    ])
}

fn again(row: &OutboxRow, not_before: Timestamp, counts: bool) -> Effect {
    Effect::Requeue {
        id: row.id,
        lane: row.lane.clone(),
        target: row.target.clone(),
        not_before,
        counts,
    }
}

/// What becomes of a message that its line gives up: it is in doubt when an earlier try may have left, and else goes by another line
/// where there is one. `None`: neither.
fn given_up(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    line: &LineId,
    reason: Reason,
    words: &str,
) -> Option<Vec<Effect>> {
    if message.state == Delivery::Sending {
        return Some(unsure(scene, row, message, words));
    }
    let (other, cause) = policy::instead(scene.site, talk, line, reason)?;
    Some(vec![Effect::Divert {
        id: row.id,
        to: other.id.clone(),
        cause,
    }])
}

/// The conversation went to another line while this was on its way by the former one, and it has not left: it goes along.
fn moved(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    line: &LineId,
) -> Option<Vec<Effect>> {
    let other = scene.site.fallback_of(&talk.line).map(|(_, other)| &other.id);
    let stays = line == &talk.line.id || Some(line) == other || message.state == Delivery::Sending;
    (!stays).then(|| {
        vec![Effect::Divert {
            id: row.id,
            to: talk.line.id.clone(),
            cause: Cause::Swapped,
        }]
    })
}

/// Too many tries: its sender may try it again.
fn parked(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    event: &EventId,
    words: &str,
) -> Vec<Effect> {
    let mut effects = end(scene, message, Delivery::Rejected, words);
    effects.push(Effect::Park(row.id));
    let reason = Reason::NetworkFault.word();
    effects.extend(failure(talk, event, Delivery::Rejected, words, reason, true));
    effects
}

/// A text that comes back to the queue, and whose writer no longer agrees to its way: it does not leave any more.
fn withdrawn(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    event: &EventId,
) -> Option<Vec<Effect>> {
    let (writer, path) = (message.sender.as_ref()?, message.path.as_ref()?);
    if policy::stand(scene, talk, writer, path) != policy::Stand::Declined {
        return None;
    }
    let words = words::declined(&scene.site.command_prefix);
    Some(refused(scene, talk, row, message, event, &words, "no_consent"))
}

/// Something stands against it since it was written.
pub(super) fn barred(
    scene: &Scene<'_>,
    row: &OutboxRow,
    event: &EventId,
    words: &str,
    reason: &'static str,
) -> Vec<Effect> {
    match (&scene.state.talk, &scene.state.message) {
        (Some(talk), Some(message)) => refused(scene, talk, row, message, event, words, reason),
        _ => vec![Effect::Remove(row.id)],
    }
}

/// It will not leave: its row goes, and its sender is told why.
fn refused(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    event: &EventId,
    words: &str,
    reason: &'static str,
) -> Vec<Effect> {
    let mut effects = end(scene, message, Delivery::Rejected, words);
    effects.push(Effect::Remove(row.id));
    effects.extend(failure(talk, event, Delivery::Rejected, words, reason, false));
    effects
}

/// The phone has a part of it, or gets it: that is neither a refusal nor an arrival, and nothing is repeated by anybody but its writer.
pub(super) fn in_part(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    detail: &str,
) -> Vec<Effect> {
    let words = words::refused(Reason::InPart, detail);
    let mut effects = end(scene, message, Delivery::Uncertain, &words);
    effects.push(Effect::Remove(row.id));
    if let Some(event) = &message.event {
        let reason = Reason::InPart.word();
        effects.extend(failure(talk, event, Delivery::Uncertain, &words, reason, false));
    }
    effects
}

/// Tells the sender that it takes longer: at once by a status, and in words when it takes really long. `detail` of the record
/// remembers what was said.
fn patience(
    scene: &Scene<'_>,
    talk: &Talk,
    message: &MessageRecord,
    event: &EventId,
    detail: &str,
) -> Vec<Effect> {
    let long = scene.now.since(message.created_at) >= scene.site.policy.patience;
    let (words, said) = match &message.detail {
        None => (words::waiting(detail), None),
        Some(said) if long && !said.starts_with(words::STILL_WAITING) => {
            let words = words::still_waiting(detail);
            let said = notice(talk, words.clone(), Some(event.clone()));
            (words, Some(said))
        }
        Some(_) => return Vec::new(),
    };
    let record = MessageRecord {
        // That an earlier try may have left is not forgotten.
        state: match message.state {
            Delivery::Sending => Delivery::Sending,
            _ => Delivery::Queued,
        },
        detail: Some(words.clone()),
        updated_at: scene.now,
        ..message.clone()
    };
    let pending = Status {
        event: event.clone(),
        state: Delivery::Queued,
        message: Some(words),
        reason: None,
        retriable: false,
        path: None,
    };
    let mut effects = vec![
        Effect::SaveMessage(Box::new(record)),
        for_room(talk, Payload::Status(pending)),
    ];
    effects.extend(said);
    effects
}

fn taken(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    event: &EventId,
    line: &LineId,
    accepted: &Accepted,
) -> Vec<Effect> {
    let own = &talk.line.id == line;
    let fallback = scene.site.fallback_of(&talk.line);
    let sent_by = policy::sent_by(scene.site, talk, line);
    let first_index = match (own, fallback) {
        (false, Some(_)) => SECOND_WAY,
        _ => 0,
    };
    let Target::Connector(connector) = &row.target else {
        return Vec::new();
    };
    let path = match accepted.way.as_slice() {
        [] => message.path.clone(),
        reported => Some(policy::rerouted(
            scene.site,
            &sent_by.line,
            message.path.as_ref(),
            reported,
        )),
    };
    let mut rerouted = Vec::new();
    if let (Some(path), false) = (&path, accepted.way.is_empty()) {
        rerouted.extend(policy::surprised(scene, talk, path, Some(event)));
        rerouted.extend(policy::went(talk, &accepted.way));
    }
    let record = MessageRecord {
        state: Delivery::Accepted,
        detail: None,
        path,
        segments: accepted.segments,
        encoding: Some(accepted.encoding.clone()),
        updated_at: scene.now,
        ..message.clone()
    };
    let parts: Vec<PartRecord> = (first_index..)
        .zip(&accepted.network_ids)
        .map(|(index, network_id)| PartRecord {
            connector: connector.clone(),
            network_id: network_id.clone(),
            message: message.id,
            index,
            state: Delivery::Accepted,
        })
        .collect();
    let mut effects = match fallback.filter(|_| own) {
        // It may have to go another way: it is kept until it is known what became of it.
        Some((fallback, _)) => kept(scene, row, message, fallback),
        None => vec![Effect::Remove(row.id)],
    };
    effects.push(Effect::SaveMessage(Box::new(record.clone())));
    effects.extend(parts.iter().cloned().map(Effect::AddPart));
    effects.push(count(talk, Delivery::Accepted.word()));
    effects.push(labelled(talk, event, &record));
    effects.push(for_room(talk, Payload::MarkRead(event.clone())));
    effects.extend(rerouted);
    if own && fallback.is_some() && talk.conversation.trust.detour.is_some() {
        // It was tried again and works: what is known of its way is told now.
        if let Some(path) = &record.path {
            effects.extend(policy::surprised(scene, talk, path, Some(event)));
        }
        effects.extend(super::fallback::heard(talk));
    }
    // Receipts that were faster than the answer.
    let mut judged = parts;
    let mut error = None;
    for early in &scene.state.early {
        let named = judged
            .iter()
            .find(|part| early.network_ids.contains(&part.network_id))
            .cloned();
        if let Some(named) = named {
            receipt::apply(&mut judged, &named, early.outcome, &mut effects);
            error = early.error.as_deref().or(error);
        }
    }
    if !scene.state.early.is_empty() {
        effects.extend(receipt::judge(scene, &record, &judged, error, false));
    }
    effects
}

/// Keeps the row of a message that its network took.
fn kept(scene: &Scene<'_>, row: &OutboxRow, message: &MessageRecord, fallback: &Fallback) -> Vec<Effect> {
    let mut effects = vec![Effect::Park(row.id)];
    if let Some(after) = fallback.after {
        effects.push(Effect::SetTimer {
            timer: Timer::Overdue(message.id),
            due: scene.now + after,
        });
    }
    effects
}

/// The status of a text that the network took, with the way that it goes.
pub(super) fn labelled(talk: &Talk, event: &EventId, record: &MessageRecord) -> Effect {
    for_room(
        talk,
        Payload::Status(Status {
            event: event.clone(),
            state: record.state,
            message: None,
            reason: None,
            retriable: false,
            path: record.path.clone(),
        }),
    )
}

/// The row was in flight when the program stopped: nobody knows whether it left. What the network takes only once is handed over
/// again.
pub(super) fn lost(scene: &Scene<'_>, row: &OutboxRow) -> Vec<Effect> {
    match &scene.state.message {
        Some(message) => doubtful(scene, row, message, Duration::ZERO)
            .unwrap_or_else(|| unsure(scene, row, message, words::STOPPED)),
        None => vec![Effect::Remove(row.id)],
    }
}

fn unsure(scene: &Scene<'_>, row: &OutboxRow, message: &MessageRecord, cause: &str) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return vec![Effect::Remove(row.id)];
    };
    let words = words::uncertain(&scene.site.command_prefix, cause);
    let mut effects = end(scene, message, Delivery::Uncertain, &words);
    effects.push(Effect::Park(row.id));
    if let Some(event) = &message.event {
        effects.extend(failure(
            talk,
            event,
            Delivery::Uncertain,
            &words,
            "uncertain",
            true,
        ));
    }
    effects
}

/// A row's time is over.
pub(super) fn expired(scene: &Scene<'_>, row: &OutboxRow) -> Vec<Effect> {
    let mut effects = vec![Effect::Remove(row.id)];
    let (Some(talk), Some(message)) = (&scene.state.talk, &scene.state.message) else {
        return effects;
    };
    match (row.state, &row.target) {
        // Nobody said a word in time.
        (OutboxState::Held, Target::Homeserver) => {
            effects.extend(end(scene, message, Delivery::Expired, words::NOBODY_AGREED));
            effects.push(notice(talk, words::NOBODY_AGREED, None));
        }
        (OutboxState::Held, Target::Connector(_)) => {
            effects.extend(ran_out(scene, talk, message, words::HELD_TOO_LONG));
        }
        (OutboxState::Queued, _) if message.state == Delivery::Sending => {
            let words = words::uncertain(&scene.site.command_prefix, words::EXPIRED_IN_DOUBT);
            effects.extend(end(scene, message, Delivery::Uncertain, &words));
            if let Some(event) = &message.event {
                let reason = Reason::Expired.word();
                effects.extend(failure(talk, event, Delivery::Uncertain, &words, reason, false));
            }
        }
        (OutboxState::Queued, _) => {
            effects.extend(ran_out(scene, talk, message, words::EXPIRED_HERE));
        }
        // What was parked has been told of when it was parked; now only its body goes.
        (OutboxState::Parked | OutboxState::Sending, _) => {}
    }
    effects
}

fn ran_out(scene: &Scene<'_>, talk: &Talk, message: &MessageRecord, words: &str) -> Vec<Effect> {
    let mut effects = end(scene, message, Delivery::Expired, words);
    if let Some(event) = &message.event {
        let reason = Reason::Expired.word();
        effects.extend(failure(talk, event, Delivery::Expired, words, reason, false));
    }
    effects
}

fn end(scene: &Scene<'_>, message: &MessageRecord, state: Delivery, words: &str) -> Vec<Effect> {
    let record = MessageRecord {
        state,
        detail: Some(words.to_owned()),
        updated_at: scene.now,
        ..message.clone()
    };
    vec![Effect::SaveMessage(Box::new(record))]
}
