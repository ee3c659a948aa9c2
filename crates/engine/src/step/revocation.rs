//! Messages that are taken back: by their writer, or to go another way.

use super::ending::{end, in_part};
use super::fallback::is_waiting;
use super::matrix::admitted;
use super::{Scene, failure, notice, receipt};
use crate::effect::{Carried, Effect, Queue};
use crate::event::Cause;
use crate::payload::Payload;
use crate::process::refer::{OURS, target_of_own_reaction};
use crate::state::Talk;
use crate::words;
use std::time::Duration;
use swingbridge_domain::capability::Support;
use swingbridge_domain::connector::{Revoked, SendError};
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::id::{ConnectorId, EventId, MessageId};
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::line::Line;
use swingbridge_domain::message::{Body, Disposition, Message, Part, Reference};
use swingbridge_domain::store::{Direction, Lane, MessageRecord, OutboxRow, OutboxState, PartRecord, Target};

/// How long after a try a network is asked again to take a message back.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// A redaction: what has not left yet is taken back here. What has left can be where its network unsends, or else where it takes back what
/// has not reached the phone.
pub(super) fn withdraw(scene: &Scene<'_>, talk: &Talk, event: &RoomEvent) -> Vec<Effect> {
    let (Some(message), row) = (&scene.state.message, &scene.state.row) else {
        // A redaction of something that was never for the phone.
        return Vec::new();
    };
    // What others said is not theirs to take back on the phone; what they said on it themselves is, and has left already.
    let said_there = message.direction == Direction::In;
    if said_there && message.sender.as_ref() != Some(&event.sender) {
        return Vec::new();
    }
    match row.as_ref().filter(|_| !said_there) {
        Some(row) if row.state != OutboxState::Sending && !is_waiting(message, Some(row)) => {
            withdrawn(scene, talk, row, message, &event.event)
        }
        _ if matches!(message.state, Delivery::Rejected | Delivery::Expired) => Vec::new(),
        _ => match unsend(scene, talk) {
            Some(message) => admitted(scene, talk, event, message, None),
            None => recall(scene, talk, message, &event.event),
        },
    }
}

/// Asks the network that a message went by to take it back for its writer, where it is one that does. The message does not go another way
/// meanwhile, nor afterwards.
fn recall(scene: &Scene<'_>, talk: &Talk, message: &MessageRecord, redaction: &EventId) -> Vec<Effect> {
    let line = carrier(scene, talk);
    let able = scene.site.capabilities_of(line);
    if message.direction == Direction::In || !able.revokes {
        return not_withdrawn(talk, redaction, &words::cannot_withdraw(&able));
    }
    if matches!(message.state, Delivery::Delivered | Delivery::Read) {
        return not_withdrawn(talk, redaction, words::ON_THE_PHONE);
    }
    let mut effects = Vec::new();
    let row = scene.state.row.as_ref();
    if let Some(row) = row.filter(|row| is_waiting(message, Some(row))) {
        effects.push(Effect::Remove(row.id));
    }
    let payload = Payload::Recall {
        message: message.id,
        line: line.id.clone(),
        redaction: redaction.clone(),
    };
    effects.push(ask(talk, &line.connector, payload));
    effects
}

fn not_withdrawn(talk: &Talk, redaction: &EventId, words: &str) -> Vec<Effect> {
    failure(talk, redaction, Delivery::Rejected, words, "unsupported", false)
}

/// The line that a message went by.
fn carrier<'a>(scene: &'a Scene<'_>, talk: &'a Talk) -> &'a Line {
    let other = scene.site.fallback_of(&talk.line).map(|(_, line)| line);
    match (other, went_by(scene)) {
        (Some(other), Some(connector))
            if connector == &other.connector && connector != &talk.line.connector =>
        {
            other
        }
        _ => &talk.line,
    }
}

/// Where a message went last, or goes now.
fn went_by<'a>(scene: &'a Scene<'_>) -> Option<&'a ConnectorId> {
    let mut parts = scene.state.parts.iter().rev();
    let part = parts.find(|part| !part.network_id.as_str().starts_with(OURS));
    match (part, scene.state.row.as_ref().map(|row| &row.target)) {
        (Some(part), _) => Some(&part.connector),
        (None, Some(Target::Connector(connector))) => Some(connector),
        (None, _) => None,
    }
}

/// A network was asked for its writer to take a message back.
pub(super) fn recalled(
    scene: &Scene<'_>,
    row: &OutboxRow,
    redaction: &EventId,
    answer: &Result<Revoked, SendError>,
) -> Vec<Effect> {
    let remove = Effect::Remove(row.id);
    let (Some(talk), Some(message)) = (&scene.state.talk, &scene.state.message) else {
        return vec![remove];
    };
    // Meanwhile it was refused, which the network may say of what it takes back: the phone will not have it.
    if matches!(message.state, Delivery::Rejected | Delivery::Expired) {
        return vec![remove, notice(talk, words::TAKEN_BACK, Some(redaction.clone()))];
    }
    if let Some(again) = once_more(scene, row, answer) {
        return vec![again];
    }
    let words = match answer {
        Ok(Revoked::Withdrawn) => {
            let mut effects = vec![remove];
            effects.extend(end(scene, message, Delivery::Rejected, words::TAKEN_BACK));
            effects.push(notice(talk, words::TAKEN_BACK, Some(redaction.clone())));
            return effects;
        }
        Ok(Revoked::TooLate) => words::ON_THE_PHONE.to_owned(),
        Ok(Revoked::InPart) => words::PARTLY_TAKEN_BACK.to_owned(),
        Ok(Revoked::Impossible) | Err(_) => {
            words::cannot_withdraw(&scene.site.capabilities_of(carrier(scene, talk)))
        }
    };
    let mut effects = vec![remove];
    effects.extend(not_withdrawn(talk, redaction, &words));
    effects
}

/// What takes back on the phone what has left: a reaction or a message.
fn unsend(scene: &Scene<'_>, talk: &Talk) -> Option<Message> {
    let able = scene.site.capabilities_of(&talk.line);
    let gone = |disposition| Part {
        disposition,
        body: Body::Null,
    };
    let ids = || scene.state.parts.iter().map(|part| &part.network_id);
    let reacted_to = ids().find_map(target_of_own_reaction);
    match (reacted_to, &scene.state.named) {
        (Some(target), _) if able.reactions != Support::Absent => Some(Message {
            in_reply_to: Some(Reference::Network(target)),
            // What the network calls the reaction itself, where it has a name of its own.
            replaces: ids()
                .find(|id| target_of_own_reaction(id).is_none())
                .cloned()
                .map(Reference::Network),
            parts: vec![gone(Disposition::Reaction)],
            ..Message::default()
        }),
        (None, Some(named)) if able.unsends != Support::Absent => Some(Message {
            replaces: Some(Reference::Network(named.clone())),
            parts: vec![gone(Disposition::Render)],
            ..Message::default()
        }),
        _ => None,
    }
}

/// Its writer takes it back while it waits to leave, or to be tried once more.
fn withdrawn(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    redaction: &EventId,
) -> Vec<Effect> {
    let (state, words) = match message.may_have_left() {
        true => (Delivery::Uncertain, words::WITHDRAWN_IN_DOUBT),
        false => (Delivery::Rejected, words::WITHDRAWN),
    };
    let mut effects = vec![Effect::Remove(row.id)];
    effects.extend(end(scene, message, state, words));
    effects.push(notice(talk, words, Some(redaction.clone())));
    effects
}

/// Has the conversation's own network take a message back.
pub(super) fn revoke(talk: &Talk, message: MessageId) -> Effect {
    ask(talk, &talk.line.connector, Payload::Revoke(message))
}

fn ask(talk: &Talk, connector: &ConnectorId, payload: Payload) -> Effect {
    Effect::Queue(Box::new(Queue {
        target: Target::Connector(connector.clone()),
        lane: Lane::Conversation(talk.conversation.id),
        payload,
        expires_at: None,
        message: Carried::None,
        held: false,
    }))
}

/// The network did not say: to take a message back twice does no harm.
fn once_more(scene: &Scene<'_>, row: &OutboxRow, answer: &Result<Revoked, SendError>) -> Option<Effect> {
    let (delay, counts) = match answer {
        Err(SendError::RetryAfter { delay, counts, .. }) => (*delay, *counts),
        Err(SendError::Unknown { .. }) => (ASK_AGAIN, true),
        Ok(_) | Err(SendError::Rejected { .. }) => return None,
    };
    (!counts || row.attempts + 1 < scene.site.policy.attempts).then(|| Effect::Requeue {
        id: row.id,
        lane: row.lane.clone(),
        target: row.target.clone(),
        not_before: scene.now + delay,
        counts,
    })
}

/// A network was asked to take a message back, so that it may go another way.
pub(super) fn revoked(
    scene: &Scene<'_>,
    row: &OutboxRow,
    answer: &Result<Revoked, SendError>,
) -> Vec<Effect> {
    let (Some(talk), Some(message)) = (&scene.state.talk, &scene.state.message) else {
        return vec![Effect::Remove(row.id)];
    };
    // Meanwhile it arrived, or went another way.
    if !is_waiting(message, scene.state.row.as_ref()) {
        return vec![Effect::Remove(row.id)];
    }
    if let Some(again) = once_more(scene, row, answer) {
        return vec![again];
    }
    let mut effects = vec![Effect::Remove(row.id)];
    match (answer, &scene.state.row, scene.site.fallback_of(&talk.line)) {
        (Ok(Revoked::Withdrawn), Some(waiting), Some((_, other))) => {
            // Late good news of it would be news of the first way.
            effects.push(Effect::Divert {
                id: waiting.id,
                to: other.id.clone(),
                cause: Cause::Overdue,
            });
        }
        (Ok(Revoked::InPart), Some(waiting), _) => {
            effects.extend(in_part(scene, talk, waiting, message, words::REST_TAKEN_BACK));
        }
        _ => {
            // Where the phone has it, it will say so.
            if answer != &Ok(Revoked::TooLate) {
                let words = words::not_taken_back(scene.site, talk);
                effects.push(notice(talk, words, message.event.clone()));
            }
            effects.extend(stays(scene, message));
        }
    }
    effects
}

/// It goes no other way, although a part of it may have been refused.
fn stays(scene: &Scene<'_>, message: &MessageRecord) -> Vec<Effect> {
    let parts = &scene.state.parts;
    let mut effects = receipt::judge(scene, message, parts, None, false);
    let failed = |part: &PartRecord| matches!(part.state, Delivery::Rejected | Delivery::Expired);
    let row = scene.state.row.as_ref().filter(|_| parts.iter().any(failed));
    effects.extend(row.map(|row| Effect::Remove(row.id)));
    effects
}
