//! Commands about one message: how far it came, and to send it again.

use super::run::ago;
use crate::effect::Effect;
use crate::step::{Scene, answer_in};
use std::fmt::Write;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::store::{Direction, MessageRecord, OutboxState};

/// The message that a command is about: the one named, or the latest of the room.
fn meant<'a>(scene: &'a Scene<'_>) -> Option<&'a MessageRecord> {
    scene
        .state
        .message
        .as_ref()
        .or(scene.state.survey.latest.as_ref())
}

const NOT_YOURS: &str = "That message is no part of a conversation of yours.";

pub(super) fn status(scene: &Scene<'_>, event: &RoomEvent) -> String {
    let Some(message) = meant(scene) else {
        return "I do not know that message. Reply to one of a conversation's messages.".to_owned();
    };
    // Whoever knows the id of an event may ask from any room: what counts is the line that the message is of.
    let line = scene.state.survey.line.as_ref();
    let line = line.and_then(|line| scene.site.line(line));
    if !line.is_some_and(|line| scene.may_use(&event.sender, line)) {
        return NOT_YOURS.to_owned();
    }
    if message.direction == Direction::In {
        return "That came from the phone; it was shown here.".to_owned();
    }
    let mut text = format!(
        "{}, {} ago",
        message.state.word(),
        ago(scene.now, message.updated_at)
    );
    if message.segments > 0 {
        let parts = if message.segments == 1 {
            "1 segment".to_owned()
        } else {
            format!("{} segments", message.segments)
        };
        let _ = write!(text, "; {parts}");
    }
    if let Some(encoding) = &message.encoding {
        let _ = write!(text, " in {encoding}");
    }
    if let Some(sender) = &message.sender {
        let _ = write!(text, "; written by {sender}");
    }
    if scene.state.parts.len() > 1 && scene.state.parts.iter().any(|part| part.message == message.id) {
        let of = |state: Delivery| {
            scene
                .state
                .parts
                .iter()
                .filter(|part| part.state == state)
                .count()
        };
        let _ = write!(
            text,
            "; {} of {} parts reported as delivered",
            of(Delivery::Delivered),
            scene.state.parts.len()
        );
    }
    if let Some(detail) = &message.detail {
        let _ = write!(text, ". {detail}");
    }
    text
}

pub(super) fn retry(scene: &Scene<'_>, event: &RoomEvent) -> Vec<Effect> {
    let reply = |text: &str| vec![answer_in(&event.room, text, Some(&event.event))];
    let (Some(talk), Some(message)) = (&scene.state.talk, meant(scene)) else {
        return reply("I do not know that message. Reply to the one that you want to send again.");
    };
    if !scene.may_use(&event.sender, &talk.line) || message.conversation != talk.conversation.id {
        return reply(NOT_YOURS);
    }
    match &scene.state.row {
        Some(_) if matches!(message.state, Delivery::Accepted | Delivery::Sent) => reply(
            "The network has it. It goes another way by itself if it does not reach the phone, or write it anew.",
        ),
        Some(row) if row.state == OutboxState::Parked => {
            let record = MessageRecord {
                state: Delivery::Queued,
                detail: None,
                updated_at: scene.now,
                ..message.clone()
            };
            let mut effects = vec![
                Effect::SaveMessage(Box::new(record)),
                // What people agreed to may be another thing now.
                Effect::Reconsider(row.id),
            ];
            effects.extend(reply("It is tried again."));
            effects
        }
        Some(_) => reply("It is on its way already."),
        None if message.state.is_final() || message.state == Delivery::Accepted => reply(
            "There is nothing to send again: the gateway does not keep texts that have left. Write it anew.",
        ),
        None => reply("Its text is no longer kept here. Write it anew."),
    }
}
