//! What waited for somebody's word is decided anew.

use super::ending::refused;
use super::{Scene, status};
use crate::effect::Effect;
use crate::event::Cause;
use crate::payload::{Payload, Say, Send};
use crate::policy::{self, Admission};
use crate::state::Talk;
use crate::words;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::store::{MessageRecord, OutboxRow, OutboxState};

pub(super) fn reviewed(scene: &Scene<'_>, row: &OutboxRow, payload: &Payload, declined: bool) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    match payload {
        Payload::Send(send) => outbound(scene, talk, row, send, declined),
        Payload::Say(say) => inbound(scene, talk, row, say),
        _ => Vec::new(),
    }
}

fn outbound(scene: &Scene<'_>, talk: &Talk, row: &OutboxRow, send: &Send, declined: bool) -> Vec<Effect> {
    let sent_by = &send.outbound.line;
    let other = scene.site.fallback_of(&talk.line).map(|(_, other)| &other.id);
    let in_doubt = scene
        .state
        .message
        .as_ref()
        .is_some_and(MessageRecord::may_have_left);
    if sent_by != &talk.line.id && Some(sent_by) != other && !in_doubt {
        // Its conversation was moved meanwhile.
        return vec![Effect::Divert {
            id: row.id,
            to: talk.line.id.clone(),
            cause: Cause::Swapped,
        }];
    }
    let talk = &*policy::by_way_of(scene.site, talk, Some(sent_by));
    let path = policy::outward(scene.site, &talk.line, talk.way(), send.room);
    let admission = match declined && row.state == OutboxState::Held {
        true => Admission::Refuse {
            words: words::WEAKER_DECLINED.to_owned(),
            reason: "declined",
        },
        false => policy::leaving(scene, talk, &send.writer, &path),
    };
    match admission {
        Admission::Go(told) if row.state == OutboxState::Held => {
            let mut effects = told;
            effects.extend(released(scene, row));
            effects.push(status(talk, &send.event, Delivery::Queued));
            effects
        }
        // It was on its way before and stays there.
        Admission::Go(_) => Vec::new(),
        Admission::Hold { ask, .. } => ask,
        Admission::Refuse { words, reason } => match &scene.state.message {
            Some(message) => refused(scene, talk, row, message, &send.event, &words, reason),
            None => vec![Effect::Remove(row.id)],
        },
    }
}

fn inbound(scene: &Scene<'_>, talk: &Talk, row: &OutboxRow, say: &Say) -> Vec<Effect> {
    let talk = &*policy::by_way_of(scene.site, talk, say.line.as_ref());
    let path = policy::inward(
        scene.site,
        &talk.line,
        &say.way,
        policy::room_now(scene.site, talk),
    );
    match policy::arriving(scene, talk, &path) {
        Admission::Go(told) => {
            let mut effects = told;
            effects.extend(released(scene, row));
            effects
        }
        Admission::Hold { .. } | Admission::Refuse { .. } => Vec::new(),
    }
}

fn released(scene: &Scene<'_>, row: &OutboxRow) -> Vec<Effect> {
    let mut effects = vec![Effect::Release {
        id: row.id,
        lane: row.lane.clone(),
        target: row.target.clone(),
    }];
    effects.extend(queued(scene));
    effects
}

fn queued(scene: &Scene<'_>) -> Option<Effect> {
    let message = scene.state.message.as_ref()?;
    Some(Effect::SaveMessage(Box::new(MessageRecord {
        state: Delivery::Queued,
        detail: None,
        updated_at: scene.now,
        ..message.clone()
    })))
}
