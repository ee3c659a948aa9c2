//! From Matrix: what users say, in conversations and to the bot.

use super::{Scene, answer_in, direct, failure};
use crate::commands;
use crate::effect::{Carried, Effect, NewMessage, Queue};
use crate::payload::{Payload, Send, Status};
use crate::policy::limits::Granted;
use crate::policy::{self, Admission, answers};
use crate::process::refer::own_reaction;
use crate::render::{self, Rendered};
use crate::state::Talk;
use crate::words;
use swingbridge_domain::address::is_emergency;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Outbound;
use swingbridge_domain::delivery::{Reason, State as Delivery};
use swingbridge_domain::homeserver::{Action, SendStatus};
use swingbridge_domain::id::{ConversationId, EventId, MessageId, UserId};
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::message::{Body, Disposition, Message, Part, Reference, RichCard};
use swingbridge_domain::path::Path;
use swingbridge_domain::store::{Direction, Lane, MessageRecord, RoomRole, Target};

pub(super) fn said(scene: &Scene<'_>, event: &RoomEvent, message: &Message) -> Vec<Effect> {
    if scene.site.is_ours(&event.sender) {
        return Vec::new();
    }
    if scene.state.line_gone {
        return line_gone(scene, event);
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
        return super::revocation::withdraw(scene, talk, event);
    }
    if let Some(question) = &scene.state.question {
        return match answers::reading(message) {
            Some(yes) => answers::answered(scene, talk, question, &event.sender, yes, answered(message)),
            None => vec![super::notice(talk, words::NO_ANSWER, answered(message))],
        };
    }
    let talk = &*policy::routed(scene.site, talk, scene.now);
    if talk.is_group() && !talk.can_reply(scene.site) {
        let words = words::no_groups(&scene.site.capabilities_of(&talk.line));
        let reason = Reason::BadAddress.word();
        return failure(talk, &event.event, Delivery::Rejected, &words, reason, false);
    }
    if !talk.who.address.can_reply() {
        return failure(
            talk,
            &event.event,
            Delivery::Rejected,
            words::CANNOT_ANSWER,
            Reason::BadAddress.word(),
            false,
        );
    }
    if is_emergency(talk.who.address.full(), talk.line.region) {
        return failure(
            talk,
            &event.event,
            Delivery::Rejected,
            words::EMERGENCY,
            Reason::Emergency.word(),
            false,
        );
    }
    let capabilities = scene.site.capabilities_of(&talk.line).towards(talk.is_group());
    let named = scene.state.named.as_ref();
    let writer = writer(&event.sender);
    match render::outbound(message, &capabilities, &scene.site.policy, writer, named) {
        Rendered::Refuse { words, reason } => {
            failure(talk, &event.event, Delivery::Rejected, &words, reason, false)
        }
        Rendered::Send {
            message: rendered,
            quote,
        } => {
            let quote = quote.then(|| answered(message)).flatten();
            admitted(scene, talk, event, rendered, quote)
        }
    }
}

/// A card that somebody wrote by a command.
pub(crate) fn card(scene: &Scene<'_>, event: &RoomEvent, card: RichCard) -> Vec<Effect> {
    let message = Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::RichCard(card),
        }],
        ..Message::default()
    };
    said(scene, event, &message)
}

/// Sends what may go, holds what waits for somebody's word, and says what may not go.
pub(super) fn admitted(
    scene: &Scene<'_>,
    talk: &Talk,
    event: &RoomEvent,
    message: Message,
    quote: Option<EventId>,
) -> Vec<Effect> {
    let granted = match policy::limits::judge(scene, talk, event, &message, quote.is_some()) {
        Ok(granted) => granted,
        Err(refusal) => return refusal.effects(talk, &event.event),
    };
    let path = policy::outward(scene.site, &talk.line, talk.way(), event.protection);
    let mut effects = vec![Effect::Touch(talk.conversation.id)];
    match policy::leaving(scene, talk, &event.sender, &path) {
        Admission::Go(told) => {
            // Whether the line reaches the phone again is not known before it has done so.
            if !(talk.is_direct() && talk.conversation.trust.detour.is_some()) {
                effects.extend(told);
            }
            effects.extend(granted.tell(scene, talk, &event.event));
            let leaving = leaves(scene, event, message, path, &granted);
            effects.push(send(talk, event, leaving, quote, false));
        }
        Admission::Hold { ask, words } => {
            effects.extend(ask);
            let mut waits = leaves(scene, event, message, path, &granted);
            waits.record.state = Delivery::Held;
            waits.record.detail = Some(words.clone());
            effects.push(send(talk, event, waits, quote, true));
            effects.extend(held(talk, &event.event, words));
        }
        Admission::Refuse { words, reason } => {
            return failure(talk, &event.event, Delivery::Rejected, &words, reason, false);
        }
    }
    effects.extend(granted.counted);
    effects
}

/// Tells a writer that a text waits: by a status, and in words.
fn held(talk: &Talk, event: &EventId, words: String) -> [Effect; 2] {
    let status = Status {
        event: event.clone(),
        state: Delivery::Held,
        message: Some(words.clone()),
        reason: None,
        retriable: false,
        path: None,
    };
    [
        super::for_room(talk, Payload::Status(status)),
        super::notice(talk, words, Some(event.clone())),
    ]
}

/// The conversation is there, its line is not: what is said of it can only go to the room itself.
fn line_gone(scene: &Scene<'_>, event: &RoomEvent) -> Vec<Effect> {
    let networks = scene.site.capabilities.values().flat_map(|able| &able.networks);
    let status = SendStatus {
        room: event.room.clone(),
        event: event.event.clone(),
        state: Delivery::Rejected,
        message: Some(words::LINE_GONE.to_owned()),
        reason: Some(Reason::NotAllowed.word().to_owned()),
        retriable: false,
        delivered_to: None,
        network: networks.into_iter().next().cloned().unwrap_or_default(),
        path: None,
    };
    vec![
        direct(Lane::Room(event.room.clone()), Action::Status(status)),
        answer_in(&event.room, words::LINE_GONE, Some(&event.event)),
    ]
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

/// A text on its way to a phone, with what is remembered of it.
struct Leaving {
    message: Message,
    record: MessageRecord,
    expires_at: Timestamp,
    not_before: Timestamp,
}

fn leaves(scene: &Scene<'_>, event: &RoomEvent, message: Message, path: Path, granted: &Granted) -> Leaving {
    let not_before = granted
        .wait
        .as_ref()
        .map_or(Timestamp::default(), |(until, _)| *until);
    let expires_at = message
        .expires
        .unwrap_or(event.sent_at.max(scene.now).max(not_before) + scene.site.policy.validity);
    let record = MessageRecord {
        id: MessageId(0),
        conversation: ConversationId(0),
        direction: Direction::Out,
        event: Some(event.event.clone()),
        sender: Some(event.sender.clone()),
        state: Delivery::Queued,
        detail: None,
        segments: 0,
        encoding: None,
        path: Some(path),
        created_at: scene.now,
        updated_at: scene.now,
    };
    Leaving {
        message,
        record,
        expires_at,
        not_before,
    }
}

fn send(talk: &Talk, event: &RoomEvent, leaving: Leaving, quote: Option<EventId>, held: bool) -> Effect {
    let Leaving {
        message,
        mut record,
        expires_at,
        not_before,
    } = leaving;
    record.conversation = talk.conversation.id;
    // Under this name the reaction is found again when it is taken back.
    let named = match (&message.in_reply_to, message.parts.first()) {
        (Some(Reference::Network(target)), Some(part)) if part.disposition == Disposition::Reaction => {
            vec![(talk.line.connector.clone(), own_reaction(target))]
        }
        _ => Vec::new(),
    };
    let outbound = Outbound {
        id: MessageId(0),
        key: String::new(),
        line: talk.line.id.clone(),
        from: talk.line.address.clone(),
        to: vec![talk.who.address.clone()],
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
            room: event.protection,
            not_before,
            automatic: false,
        }),
        expires_at: Some(expires_at),
        message: Carried::New(Box::new(NewMessage {
            record,
            assembly: None,
            named,
        })),
        held,
    }))
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
