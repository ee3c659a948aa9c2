//! What a connector answered to a send, and what is done with sends whose fate is not known.

use super::{Scene, count, failure, for_room, notice, receipt};
use crate::effect::Effect;
use crate::payload::{Payload, Status};
use crate::policy;
use crate::state::Talk;
use crate::words;
use swingbridge_domain::connector::{Accepted, SendError};
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::id::EventId;
use swingbridge_domain::store::{MessageRecord, OutboxRow, OutboxState, PartRecord, Target};

pub(super) fn answered(
    scene: &Scene<'_>,
    row: &OutboxRow,
    event: &EventId,
    answer: &Result<Accepted, SendError>,
) -> Vec<Effect> {
    let (Some(talk), Some(message)) = (&scene.state.talk, &scene.state.message) else {
        return vec![Effect::Remove(row.id)];
    };
    match answer {
        Ok(accepted) => taken(scene, row, message, event, accepted),
        Err(SendError::Rejected { reason, detail }) => {
            let words = words::refused(*reason, detail);
            refused(scene, talk, row, message, event, &words, reason.word())
        }
        Err(SendError::RetryAfter {
            delay,
            detail,
            counts,
        }) => {
            if let Some(refused) = withdrawn(scene, talk, row, message, event) {
                return refused;
            }
            if *counts && row.attempts + 1 >= scene.site.policy.attempts {
                let words = words::gave_up(&scene.site.command_prefix, row.attempts + 1, detail);
                let mut effects = end(scene, message, Delivery::Rejected, &words);
                effects.push(Effect::Park(row.id));
                effects.extend(failure(
                    talk,
                    event,
                    Delivery::Rejected,
                    &words,
                    Reason::NetworkFault.word(),
                    true,
                ));
                return effects;
            }
            let mut effects = vec![Effect::Requeue {
                id: row.id,
                lane: row.lane.clone(),
                target: row.target.clone(),
                not_before: scene.now + *delay,
                counts: *counts,
            }];
            effects.extend(patience(scene, talk, message, event, detail));
            effects
        }
        Err(SendError::Unknown { detail }) => unsure(scene, row, message, detail),
    }
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
        state: Delivery::Queued,
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
    row: &OutboxRow,
    message: &MessageRecord,
    event: &EventId,
    accepted: &Accepted,
) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    let Target::Connector(connector) = &row.target else {
        return Vec::new();
    };
    let path = match accepted.way.as_slice() {
        [] => message.path.clone(),
        reported => Some(policy::rerouted(
            scene.site,
            &talk.line,
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
    let parts: Vec<PartRecord> = (0u16..)
        .zip(&accepted.network_ids)
        .map(|(index, network_id)| PartRecord {
            connector: connector.clone(),
            network_id: network_id.clone(),
            message: message.id,
            index,
            state: Delivery::Accepted,
        })
        .collect();
    let mut effects = vec![
        Effect::Remove(row.id),
        Effect::SaveMessage(Box::new(record.clone())),
    ];
    effects.extend(parts.iter().cloned().map(Effect::AddPart));
    effects.push(count(talk, Delivery::Accepted.word()));
    effects.push(labelled(talk, event, &record));
    effects.push(for_room(talk, Payload::MarkRead(event.clone())));
    effects.extend(rerouted);
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
    let Some(message) = &scene.state.message else {
        return vec![Effect::Remove(row.id)];
    };
    match takes_once(scene, &row.target) {
        true => vec![Effect::Requeue {
            id: row.id,
            lane: row.lane.clone(),
            target: row.target.clone(),
            not_before: scene.now,
            counts: false,
        }],
        false => unsure(scene, row, message, words::STOPPED),
    }
}

fn takes_once(scene: &Scene<'_>, target: &Target) -> bool {
    let Target::Connector(connector) = target else {
        return false;
    };
    let able = scene.site.capabilities.get(connector);
    able.is_some_and(|able| able.idempotent_sends)
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
