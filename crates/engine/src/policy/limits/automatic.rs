//! What the gateway answers to a phone by itself: said in the room first, so that its fate has a place to be shown.

use super::loops;
use crate::effect::{Carried, Effect, NewMessage, Queue};
use crate::payload::{Payload, Say, Send};
use crate::policy;
use crate::state::Talk;
use crate::step::{Scene, for_room};
use crate::words;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Outbound;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::id::{EventId, MessageId};
use swingbridge_domain::message::{Message, Text, Tone};
use swingbridge_domain::store::{Direction, Lane, MessageRecord, Target};

/// Answers, unless a machine is answering us.
pub(super) fn answer(scene: &Scene<'_>, talk: &Talk, text: &str) -> Vec<Effect> {
    if !talk.can_reply(scene.site) {
        return Vec::new();
    }
    let mut effects = match loops::may_answer(scene, talk) {
        Ok(counted) => counted,
        Err(told) => return told,
    };
    let said = Text {
        plain: words::answered_by_itself(text),
        html: None,
        tone: Tone::Notice,
    };
    let say = Say {
        then: Some(text.to_owned()),
        ..Say::by_bot(said)
    };
    effects.push(for_room(talk, Payload::Say(say)));
    effects
}

/// It stands in the room: now it goes to the phone.
pub(crate) fn said(scene: &Scene<'_>, talk: &Talk, say: &Say, event: &EventId) -> Option<Effect> {
    let text = say.then.as_ref()?;
    let room = policy::room_now(scene.site, talk);
    let path = policy::outward(scene.site, &talk.line, &talk.conversation.trust.way, room);
    let expires_at = scene.now + scene.site.policy.validity;
    let record = MessageRecord {
        id: MessageId(0),
        conversation: talk.conversation.id,
        direction: Direction::Out,
        event: Some(event.clone()),
        sender: Some(scene.site.bot.clone()),
        state: Delivery::Queued,
        detail: None,
        segments: 0,
        encoding: None,
        path: Some(path),
        created_at: scene.now,
        updated_at: scene.now,
    };
    let outbound = Outbound {
        id: MessageId(0),
        key: String::new(),
        line: talk.line.id.clone(),
        from: talk.line.address.clone(),
        to: vec![talk.who.address.clone()],
        message: Message::text(text),
        expires_at: Some(expires_at),
    };
    Some(Effect::Queue(Box::new(Queue {
        target: Target::Connector(talk.line.connector.clone()),
        lane: Lane::Conversation(talk.conversation.id),
        payload: Payload::Send(Send {
            outbound,
            event: event.clone(),
            quote: None,
            writer: scene.site.bot.clone(),
            room,
            not_before: Timestamp::default(),
            automatic: true,
        }),
        expires_at: Some(expires_at),
        message: Carried::New(Box::new(NewMessage {
            record,
            assembly: None,
            named: Vec::new(),
        })),
        held: false,
    })))
}
