//! What a connector answered to a send, and what is done with sends whose fate is not known.

use super::ending::{end, in_part, refused, unsure};
use super::taken::taken;
use super::{Scene, failure, for_room, notice};
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
use swingbridge_domain::store::{MessageRecord, OutboxRow, Target};

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
            let sent_by = policy::by_way_of(scene.site, talk, Some(line));
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

/// The row was in flight when the program stopped: nobody knows whether it left. What the network takes only once is handed over
/// again.
pub(super) fn lost(scene: &Scene<'_>, row: &OutboxRow) -> Vec<Effect> {
    match &scene.state.message {
        Some(message) => doubtful(scene, row, message, Duration::ZERO)
            .unwrap_or_else(|| unsure(scene, row, message, words::STOPPED)),
        None => vec![Effect::Remove(row.id)],
    }
}
