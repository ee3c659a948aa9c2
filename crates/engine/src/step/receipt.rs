//! Delivery receipts: states of parts, and of the message that they make up.

use super::fallback::{SECOND_WAY, decisive, heard, is_waiting};
use super::revocation::revoke;
use super::{Scene, count, failure, status};
use crate::effect::Effect;
use crate::event::Cause;
use crate::policy;
use crate::words;
use swingbridge_domain::delivery::{Outcome, Reason, State as Delivery};
use swingbridge_domain::inbox::Receipt;
use swingbridge_domain::store::{MessageRecord, OutboxRow, OutboxState, PartRecord, Timer};

/// A receipt came; it may be for a part that nobody has told us of yet.
pub(super) fn received(scene: &Scene<'_>, receipt: &Receipt) -> Vec<Effect> {
    let (Some(part), Some(message)) = (&scene.state.part, &scene.state.message) else {
        let Some(first) = receipt.network_ids.first() else {
            // No answer will ever name it.
            return vec![Effect::CountUnmatched(receipt.connector.clone())];
        };
        let timer = Timer::EarlyReceiptGone(receipt.connector.clone(), first.clone());
        let due = scene.now + scene.site.policy.early_receipt_wait;
        return vec![
            Effect::KeepReceipt(receipt.clone()),
            Effect::SetTimer { timer, due },
        ];
    };
    let parts = scene.state.parts.clone();
    told(
        scene,
        scene.state.row.as_ref(),
        message,
        parts,
        &[(part.clone(), receipt)],
    )
}

/// What follows from receipts, each with the part that it names. `row`: what is kept of the message, where it may still go another way.
pub(super) fn told(
    scene: &Scene<'_>,
    row: Option<&OutboxRow>,
    message: &MessageRecord,
    mut parts: Vec<PartRecord>,
    receipts: &[(PartRecord, &Receipt)],
) -> Vec<Effect> {
    let mut message = message.clone();
    let mut effects = Vec::new();
    let mut error = None;
    for (part, receipt) in receipts {
        let (known, told) = rerouted(scene, &message, receipt);
        message = known;
        effects.extend(told);
        apply(&mut parts, part, receipt.outcome, &mut effects);
        error = receipt.error.as_deref().or(error);
    }
    // Of several at once the bad news decides whether it goes another way.
    let mut firsts = receipts.iter().filter(|(part, _)| part.index < SECOND_WAY);
    let bad = |(_, receipt): &&(PartRecord, &Receipt)| {
        matches!(receipt.outcome, Outcome::Rejected | Outcome::Expired)
    };
    let decides = firsts.clone().find(bad).or_else(|| firsts.next_back());
    if let Some((_, receipt)) = decides
        && let Some(decided) = first_way(scene, row, &message, &parts, receipt.outcome)
    {
        effects.extend(decided);
        return effects;
    }
    effects.extend(judge(scene, &message, &parts, error, false));
    effects.extend(settled(row, &message, &parts));
    effects
}

/// What a receipt of a message's first way means where there is a second; `None`: what it means anywhere.
fn first_way(
    scene: &Scene<'_>,
    row: Option<&OutboxRow>,
    message: &MessageRecord,
    parts: &[PartRecord],
    outcome: Outcome,
) -> Option<Vec<Effect>> {
    let talk = scene.state.talk.as_ref()?;
    let (fallback, other) = scene.site.fallback_of(&talk.line)?;
    let arrived = |part: &PartRecord| matches!(part.state, Delivery::Delivered | Delivery::Read);
    let failed = |part: &PartRecord| matches!(part.state, Delivery::Rejected | Delivery::Expired);
    let diverted = parts.iter().any(|part| part.index >= SECOND_WAY)
        || row.is_some_and(|row| row.state != OutboxState::Parked);
    match outcome {
        // It has a second way: what comes of the first is no news any more.
        Outcome::Rejected | Outcome::Expired if diverted => Some(Vec::new()),
        Outcome::Rejected | Outcome::Expired => {
            let row = row.filter(|row| is_waiting(message, Some(row)))?;
            if !fallback.refused || parts.iter().any(arrived) {
                return None;
            }
            // Another part of it may still arrive: that one is taken back first.
            if !parts.iter().all(failed) {
                return Some(vec![revoke(talk, message.id)]);
            }
            let cause = match outcome {
                Outcome::Expired => Cause::Overdue,
                _ => Cause::Refused,
            };
            Some(vec![Effect::Divert {
                id: row.id,
                to: other.id.clone(),
                cause,
            }])
        }
        Outcome::Delivered | Outcome::Read if diverted => {
            let mut effects = judge(scene, message, parts, None, false);
            let words = match row {
                // It has not left the other way: it never will.
                Some(row) if row.state != OutboxState::Sending => {
                    effects.push(Effect::Remove(row.id));
                    words::arrived_after_all(scene.site, &talk.line)
                }
                _ => words::arrived_twice(scene.site, &talk.line),
            };
            effects.push(super::notice(talk, words, message.event.clone()));
            effects.extend(heard(talk));
            Some(effects)
        }
        _ => None,
    }
}

/// A message that the phone has needs no other way: its row goes.
fn settled(row: Option<&OutboxRow>, message: &MessageRecord, parts: &[PartRecord]) -> Option<Effect> {
    let row = row?;
    let arrived = |part: &PartRecord| matches!(part.state, Delivery::Delivered | Delivery::Read);
    (is_waiting(message, Some(row)) && parts.iter().all(arrived)).then_some(Effect::Remove(row.id))
}

/// The message as it is when a receipt tells that it took another way than was thought.
fn rerouted(scene: &Scene<'_>, message: &MessageRecord, receipt: &Receipt) -> (MessageRecord, Vec<Effect>) {
    let Some(talk) = scene.state.talk.as_ref().filter(|_| !receipt.way.is_empty()) else {
        return (message.clone(), Vec::new());
    };
    let path = policy::rerouted(scene.site, &talk.line, message.path.as_ref(), &receipt.way);
    if message.path.as_ref() == Some(&path) {
        return (message.clone(), Vec::new());
    }
    let record = MessageRecord {
        path: Some(path.clone()),
        updated_at: scene.now,
        ..message.clone()
    };
    let mut effects = vec![Effect::SaveMessage(Box::new(record.clone()))];
    if let Some(event) = &record.event {
        effects.push(super::taken::labelled(talk, event, &record));
    }
    effects.extend(policy::surprised(scene, talk, &path, record.event.as_ref()));
    effects.extend(policy::went(talk, &receipt.way));
    (record, effects)
}

/// Other parts' receipts were waited for long enough.
pub(super) fn settle(scene: &Scene<'_>) -> Vec<Effect> {
    match &scene.state.message {
        Some(message) => judge(scene, message, &scene.state.parts, None, true),
        None => Vec::new(),
    }
}

/// Moves a part forward; a receipt that says less than is known changes nothing.
fn apply(parts: &mut [PartRecord], named: &PartRecord, outcome: Outcome, effects: &mut Vec<Effect>) {
    let Some(next) = state_of(outcome) else { return };
    let Some(part) = parts
        .iter_mut()
        .find(|part| part.index == named.index && part.network_id == named.network_id)
    else {
        return;
    };
    let forward = match part.state {
        Delivery::Read => false,
        Delivery::Delivered => next == Delivery::Read,
        // Good news after bad is true: the phone has it.
        Delivery::Rejected | Delivery::Expired => matches!(next, Delivery::Delivered | Delivery::Read),
        known => next > known,
    };
    if forward {
        part.state = next;
        effects.push(Effect::SetPart(part.clone(), next));
    }
}

fn state_of(outcome: Outcome) -> Option<Delivery> {
    match outcome {
        Outcome::Sent => Some(Delivery::Sent),
        Outcome::Delivered => Some(Delivery::Delivered),
        Outcome::Read => Some(Delivery::Read),
        Outcome::Expired => Some(Delivery::Expired),
        Outcome::Rejected => Some(Delivery::Rejected),
        Outcome::Unknown => None,
    }
}

/// The state of a message, given its parts: the worst that is known. Some networks send one receipt for many parts, so after
/// a while the silent ones are taken to be like the others.
pub(super) fn judge(
    scene: &Scene<'_>,
    message: &MessageRecord,
    parts: &[PartRecord],
    error: Option<&str>,
    waited: bool,
) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    let parts = &decisive(parts)[..];
    let any = |state: Delivery| parts.iter().any(|part| part.state == state);
    let arrived = |part: &PartRecord| matches!(part.state, Delivery::Delivered | Delivery::Read);
    let next = if any(Delivery::Rejected) {
        Delivery::Rejected
    } else if any(Delivery::Expired) {
        Delivery::Expired
    } else if !parts.is_empty() && (parts.iter().all(arrived) || (waited && parts.iter().any(arrived))) {
        if parts.iter().all(|part| part.state == Delivery::Read) {
            Delivery::Read
        } else {
            Delivery::Delivered
        }
    } else if parts.iter().any(arrived) {
        // Some arrived, the others are silent: ask again later, once.
        let due = scene.now + scene.site.policy.parts_wait;
        return vec![Effect::SetTimer {
            timer: Timer::PartsSettle(message.id),
            due,
        }];
    } else if any(Delivery::Sent) {
        Delivery::Sent
    } else {
        return Vec::new();
    };
    let worth_saying = match message.state {
        Delivery::Read => false,
        Delivery::Delivered => next == Delivery::Read,
        Delivery::Rejected | Delivery::Expired => matches!(next, Delivery::Delivered | Delivery::Read),
        Delivery::Uncertain => true,
        known => next > known,
    };
    if !worth_saying {
        return Vec::new();
    }
    let detail = match next {
        Delivery::Rejected => Some(words::not_delivered(error)),
        Delivery::Expired => Some(words::EXPIRED_AT_NETWORK.to_owned()),
        _ => None,
    };
    let record = MessageRecord {
        state: next,
        detail: detail.clone(),
        updated_at: scene.now,
        ..message.clone()
    };
    let mut effects = vec![Effect::SaveMessage(Box::new(record))];
    if detail.is_none() && next != Delivery::Sent {
        effects.push(count(talk, next.word()));
    }
    let Some(event) = &message.event else {
        return effects;
    };
    match detail {
        Some(words) => {
            let reason = if next == Delivery::Expired {
                Reason::Expired
            } else {
                Reason::NetworkRefused
            };
            effects.extend(failure(talk, event, next, &words, reason.word(), false));
        }
        None if next == Delivery::Sent => {}
        None => effects.push(status(talk, event, next)),
    }
    effects
}
