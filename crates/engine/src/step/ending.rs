//! Messages that end here, without a word of the network or against it.

use super::{Scene, failure, notice};
use crate::effect::Effect;
use crate::state::Talk;
use crate::words;
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::id::EventId;
use swingbridge_domain::store::{MessageRecord, OutboxRow, OutboxState, Target};

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

/// It will not leave, or not once more: its row goes, and its sender is told why. That an earlier try may have reached the phone is said too.
pub(super) fn refused(
    scene: &Scene<'_>,
    talk: &Talk,
    row: &OutboxRow,
    message: &MessageRecord,
    event: &EventId,
    words: &str,
    reason: &'static str,
) -> Vec<Effect> {
    let (state, words) = match message.may_have_left() {
        true => (Delivery::Uncertain, words::not_again(words)),
        false => (Delivery::Rejected, words.to_owned()),
    };
    let mut effects = end(scene, message, state, &words);
    effects.push(Effect::Remove(row.id));
    effects.extend(failure(talk, event, state, &words, reason, false));
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

pub(super) fn unsure(
    scene: &Scene<'_>,
    row: &OutboxRow,
    message: &MessageRecord,
    cause: &str,
) -> Vec<Effect> {
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

pub(super) fn end(scene: &Scene<'_>, message: &MessageRecord, state: Delivery, words: &str) -> Vec<Effect> {
    let record = MessageRecord {
        state,
        detail: Some(words.to_owned()),
        updated_at: scene.now,
        ..message.clone()
    };
    vec![Effect::SaveMessage(Box::new(record))]
}
