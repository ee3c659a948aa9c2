//! The network took a message.

use super::fallback::SECOND_WAY;
use super::{Scene, count, for_room, receipt};
use crate::effect::Effect;
use crate::payload::{Payload, Status};
use crate::policy;
use crate::state::Talk;
use swingbridge_domain::connector::Accepted;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::id::{EventId, LineId};
use swingbridge_domain::inbox::Receipt;
use swingbridge_domain::line::Fallback;
use swingbridge_domain::store::{MessageRecord, OutboxRow, OutboxState, PartRecord, Target, Timer};

pub(super) fn taken(
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
    let sent_by = policy::by_way_of(scene.site, talk, Some(line));
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
    effects.extend(rerouted);
    if own && fallback.is_some() && talk.conversation.trust.detour.is_some() {
        // It was tried again and works: what is known of its way is told now.
        if let Some(path) = &record.path {
            effects.extend(policy::surprised(scene, talk, path, Some(event)));
        }
        effects.extend(super::fallback::heard(talk));
    }
    // Receipts that were faster than the answer mean what they mean after it.
    let named = |early: &Receipt| {
        let mut parts = parts.iter();
        parts
            .find(|part| early.network_ids.contains(&part.network_id))
            .cloned()
    };
    let early: Vec<_> = scene
        .state
        .early
        .iter()
        .filter_map(|early| Some((named(early)?, early)))
        .collect();
    if !early.is_empty() {
        let row = fallback.filter(|_| own).map(|_| OutboxRow {
            state: OutboxState::Parked,
            ..row.clone()
        });
        effects.extend(receipt::told(scene, row.as_ref(), &record, parts.clone(), &early));
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

/// The status of a text that the network took, with the way that it goes. The bot's read mark goes along with it.
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
