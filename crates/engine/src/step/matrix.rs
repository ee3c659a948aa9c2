//! From Matrix: what users say, in conversations and to the bot.

use super::{Scene, answer_in, failure};
use crate::commands;
use crate::effect::{Carried, Effect, Queue};
use crate::payload::{Payload, Send};
use crate::render::{self, Rendered};
use crate::state::Talk;
use crate::words;
use swingbridge_domain::address::is_emergency;
use swingbridge_domain::connector::Outbound;
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::id::{EventId, MessageId, UserId};
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::message::{Body, Message, Reference};
use swingbridge_domain::store::{Direction, Lane, MessageRecord, OutboxState, RoomRole, Target};

pub(super) fn said(scene: &Scene<'_>, event: &RoomEvent, message: &Message) -> Vec<Effect> {
    if scene.site.is_ours(&event.sender) {
        return Vec::new();
    }
    if scene.state.line_gone {
        return vec![answer_in(&event.room, words::LINE_GONE, Some(&event.event))];
    }
    let Some(talk) = &scene.state.talk else {
        return to_the_bot(scene, event, message);
    };
    if let Some(command) = commands::in_conversation(&scene.site.command_prefix, message) {
        if !scene.may_use(&event.sender, &talk.line) && scene.site.permissions.of(&event.sender).is_none() {
            return vec![answer_in(&event.room, commands::NOT_YOURS, Some(&event.event))];
        }
        return commands::run(scene, event, &command);
    }
    if !scene.may_use(&event.sender, &talk.line) {
        return failure(
            talk,
            &event.event,
            Delivery::Rejected,
            words::NO_PERMISSION,
            Reason::NotAllowed.word(),
            false,
        );
    }
    if withdraws(message) {
        return withdraw(scene, talk, event);
    }
    if !talk.address.can_reply() {
        return failure(
            talk,
            &event.event,
            Delivery::Rejected,
            words::CANNOT_ANSWER,
            Reason::BadAddress.word(),
            false,
        );
    }
    if is_emergency(talk.address.full(), talk.line.region) {
        return failure(
            talk,
            &event.event,
            Delivery::Rejected,
            words::EMERGENCY,
            Reason::Emergency.word(),
            false,
        );
    }
    let capabilities = scene.site.capabilities_of(&talk.line);
    match render::outbound(message, &capabilities, &scene.site.policy, writer(&event.sender)) {
        Rendered::Refuse { words, reason } => {
            failure(talk, &event.event, Delivery::Rejected, &words, reason, false)
        }
        Rendered::Send {
            message: rendered,
            quote,
        } => {
            let quote = quote.then(|| answered(message)).flatten();
            vec![
                send(scene, talk, event, rendered, quote),
                Effect::Touch(talk.conversation.id),
            ]
        }
    }
}

/// The local part of a user's id: what a phone may see of the writer.
pub(crate) fn writer(user: &UserId) -> &str {
    user.as_str()
        .trim_start_matches('@')
        .split(':')
        .next()
        .unwrap_or_default()
}

fn answered(message: &Message) -> Option<EventId> {
    match &message.in_reply_to {
        Some(Reference::Event(event)) => Some(event.clone()),
        _ => None,
    }
}

fn withdraws(message: &Message) -> bool {
    message.replaces.is_some() && message.parts.iter().all(|part| part.body == Body::Null)
}

fn send(
    scene: &Scene<'_>,
    talk: &Talk,
    event: &RoomEvent,
    message: Message,
    quote: Option<EventId>,
) -> Effect {
    let expires_at = message
        .expires
        .unwrap_or(event.sent_at.max(scene.now) + scene.site.policy.validity);
    let record = MessageRecord {
        id: MessageId(0),
        conversation: talk.conversation.id,
        direction: Direction::Out,
        event: Some(event.event.clone()),
        sender: Some(event.sender.clone()),
        state: Delivery::Queued,
        detail: None,
        segments: 0,
        encoding: None,
        created_at: scene.now,
        updated_at: scene.now,
    };
    let outbound = Outbound {
        id: MessageId(0),
        line: talk.line.id.clone(),
        from: talk.line.address.clone(),
        to: vec![talk.address.clone()],
        message,
        expires_at: Some(expires_at),
    };
    Effect::Queue(Box::new(Queue {
        target: Target::Connector(talk.line.connector.clone()),
        lane: Lane::Conversation(talk.conversation.id),
        payload: Payload::Send(Send {
            outbound,
            event: event.event.clone(),
            quote,
            writer: event.sender.clone(),
        }),
        expires_at: Some(expires_at),
        message: Carried::New(record, None),
    }))
}

/// A redaction: what has not left yet is taken back; what has left can not be.
fn withdraw(scene: &Scene<'_>, talk: &Talk, event: &RoomEvent) -> Vec<Effect> {
    let (Some(message), row) = (&scene.state.message, &scene.state.row) else {
        // A redaction of something that was never for the phone.
        return Vec::new();
    };
    if message.direction == Direction::In {
        return Vec::new();
    }
    match row {
        Some(row) if row.state != OutboxState::Sending => {
            let record = MessageRecord {
                state: Delivery::Rejected,
                detail: Some(words::WITHDRAWN.to_owned()),
                updated_at: scene.now,
                ..message.clone()
            };
            vec![
                Effect::Remove(row.id),
                Effect::SaveMessage(Box::new(record)),
                super::notice(talk, words::WITHDRAWN, Some(event.event.clone())),
            ]
        }
        _ if matches!(message.state, Delivery::Rejected | Delivery::Expired) => Vec::new(),
        _ => failure(
            talk,
            &event.event,
            Delivery::Rejected,
            words::CANNOT_WITHDRAW,
            "unsupported",
            false,
        ),
    }
}

/// Something said outside conversations: commands in the management room, with the prefix elsewhere.
fn to_the_bot(scene: &Scene<'_>, event: &RoomEvent, message: &Message) -> Vec<Effect> {
    let known_user = scene.site.permissions.of(&event.sender).is_some();
    if scene.state.role.is_none() && known_user && message.first_text().is_some() {
        // A room that was made just now, and of which the store does not know yet; or of a database that is gone.
        let prefixed = commands::in_conversation(&scene.site.command_prefix, message);
        return match prefixed {
            Some(command) => commands::run(scene, event, &command),
            None => vec![answer_in(&event.room, words::UNKNOWN_ROOM, Some(&event.event))],
        };
    }
    let management = matches!(scene.state.role, Some(RoomRole::Management(_)));
    let command = match commands::in_conversation(&scene.site.command_prefix, message) {
        Some(command) => command,
        None if management => match commands::in_management(message) {
            Some(command) => command,
            None => return Vec::new(),
        },
        None => return Vec::new(),
    };
    if !known_user {
        return vec![answer_in(&event.room, commands::NOT_YOURS, Some(&event.event))];
    }
    commands::run(scene, event, &command)
}
