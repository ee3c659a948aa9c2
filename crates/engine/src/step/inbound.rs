//! From a phone: messages and their parts.

use super::{Scene, Unprocessable, answer_in, count, for_room, notice, tell};
use crate::assembly::{Piece, assembled as put_together};
use crate::effect::{Carried, Effect, Queue};
use crate::event::Then;
use crate::payload::{Payload, Say, Speaker};
use crate::policy::{self, Admission};
use crate::render;
use crate::state::Talk;
use crate::words;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::id::{AssemblyId, MessageId, UserId};
use swingbridge_domain::inbox::{InboundMessage, Membership, PartOf};
use swingbridge_domain::message::{Message, Text};
use swingbridge_domain::path::Leg;
use swingbridge_domain::store::{Direction, Lane, MessageRecord, Target, Timer};

/// A message came. Its conversation is opened first when there is none.
pub(super) fn received(scene: &Scene<'_>, inbound: &InboundMessage) -> Result<Vec<Effect>, Unprocessable> {
    if let Some(talk) = &scene.state.talk {
        return Ok(deliver(scene, talk, inbound));
    }
    let Some(line) = scene.site.line_of(&inbound.connector, &inbound.to) else {
        return Err(Unprocessable(format!(
            "a message came by connector {} for an address that no line has; give the line that address in `lines`, then \
             run `admin requeue`",
            inbound.connector
        )));
    };
    let address = inbound.from.understand(line.region);
    Ok(vec![Effect::Open {
        line: line.id.clone(),
        address,
        then: Then::Deliver(Box::new(inbound.clone())),
    }])
}

/// A conversation that was asked for is there.
pub(super) fn opened(scene: &Scene<'_>, then: &Then) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    match then {
        Then::Deliver(inbound) => deliver(scene, talk, inbound),
        Then::Started { by, answer_in: room } => {
            let mut effects = started(scene, talk, by.as_ref());
            effects.extend(room.as_ref().map(|room| answer_in(room, whether_new(talk), None)));
            effects
        }
        Then::Invited { by } => {
            let mut effects = started(scene, talk, Some(by));
            effects.push(tell(by, whether_new(talk)));
            effects
        }
    }
}

/// Makes the room if there is none, and asks into it who wants the chat.
fn started(scene: &Scene<'_>, talk: &Talk, by: Option<&UserId>) -> Vec<Effect> {
    let mut effects = vec![for_room(talk, Payload::Open)];
    if let (Some(_), Some(user)) = (&talk.conversation.room, by.filter(|user| !scene.is_there(user))) {
        effects.push(for_room(talk, Payload::Invite(vec![user.clone()])));
    }
    effects
}

fn whether_new(talk: &Talk) -> String {
    match &talk.conversation.room {
        Some(existing) => words::chat_exists(&talk.shown(), existing),
        None => words::chat_starts(&talk.shown(), &talk.line.name),
    }
}

fn deliver(scene: &Scene<'_>, talk: &Talk, inbound: &InboundMessage) -> Vec<Effect> {
    match inbound.part {
        Some(part) => {
            let piece = Piece {
                text: render::inbound(&inbound.message),
                utf16: inbound.utf16.clone(),
            };
            vec![Effect::Assemble {
                conversation: talk.conversation.id,
                part,
                piece,
            }]
        }
        None => {
            let text = inbound
                .message
                .first_text()
                .cloned()
                .filter(|_| plain_only(&inbound.message));
            let text = text.unwrap_or_else(|| Text {
                plain: render::inbound(&inbound.message),
                ..Text::default()
            });
            let shown = Shown {
                sent_at: inbound.sent_at,
                way: inbound.way.clone(),
                ..Shown::new(text)
            };
            show(scene, talk, shown)
        }
    }
}

fn plain_only(message: &Message) -> bool {
    message.parts.len() == 1
}

/// A text to be shown in the room.
struct Shown {
    text: Text,
    /// The earlier message of ours that it replaces.
    replaces: Option<MessageId>,
    sent_at: Option<Timestamp>,
    /// The assembly that is to remember the message.
    assembly: Option<AssemblyId>,
    /// The legs that its connector told of.
    way: Vec<Leg>,
}

impl Shown {
    fn new(text: Text) -> Self {
        Self {
            text,
            replaces: None,
            sent_at: None,
            assembly: None,
            way: Vec::new(),
        }
    }
}

/// Shows a text in the room as the contact, once somebody has agreed to that, and asks people back in when all have left.
fn show(scene: &Scene<'_>, talk: &Talk, shown: Shown) -> Vec<Effect> {
    let path = policy::inward(
        scene.site,
        &talk.line,
        &shown.way,
        policy::room_now(scene.site, talk),
    );
    let mut effects = Vec::new();
    let invite = scene.to_invite(talk);
    if let (Some(room), false) = (&talk.conversation.room, invite.is_empty()) {
        effects.extend(invite.iter().map(|user| Effect::SetMember {
            room: room.clone(),
            user: user.clone(),
            membership: Membership::Invite,
        }));
        effects.push(for_room(talk, Payload::Invite(invite)));
    }
    let held = match policy::arriving(scene, talk, &path) {
        Admission::Go(told) => {
            effects.extend(told);
            false
        }
        Admission::Hold { ask, .. } => {
            effects.extend(ask);
            true
        }
        Admission::Refuse { .. } => true,
    };
    let record = MessageRecord {
        id: MessageId(0),
        conversation: talk.conversation.id,
        direction: Direction::In,
        event: None,
        sender: None,
        state: if held { Delivery::Held } else { Delivery::Queued },
        detail: None,
        segments: 0,
        encoding: None,
        path: Some(path),
        created_at: scene.now,
        updated_at: scene.now,
    };
    let carried = match shown.replaces {
        // An edit is no message of its own.
        Some(_) => Carried::None,
        None => Carried::New(record, shown.assembly),
    };
    effects.push(Effect::Queue(Box::new(Queue {
        target: Target::Homeserver,
        lane: Lane::Conversation(talk.conversation.id),
        payload: Payload::Say(Say {
            by: Speaker::Contact,
            text: shown.text,
            replaces: shown.replaces,
            in_reply_to: None,
            sent_at: shown.sent_at,
            way: shown.way,
            question: None,
        }),
        expires_at: held.then(|| scene.now + scene.site.privacy.hold),
        message: carried,
        held,
    })));
    effects.push(Effect::Touch(talk.conversation.id));
    effects.push(count(talk, "received"));
    effects
}

/// A part was added to an assembly.
pub(super) fn assembled(scene: &Scene<'_>, first: bool) -> Vec<Effect> {
    let (Some(talk), Some((assembly, parts))) = (&scene.state.talk, &scene.state.assembly) else {
        return Vec::new();
    };
    let complete = parts.len() == usize::from(assembly.total);
    let mut effects = Vec::new();
    if first && !complete {
        let due = scene.now + scene.site.policy.assembly_wait;
        effects.push(Effect::SetTimer {
            timer: Timer::AssemblyDue(assembly.id),
            due,
        });
        let gone = scene.now + scene.site.policy.assembly_keep;
        effects.push(Effect::SetTimer {
            timer: Timer::AssemblyGone(assembly.id),
            due: gone,
        });
    }
    // Shown with a gap before: every late part fills it. Not shown yet: wait for all.
    if complete || assembly.message.is_some() {
        let text = Text {
            plain: put_together(assembly.total, parts),
            ..Text::default()
        };
        let shown_as = if assembly.message.is_none() && !complete {
            Some(assembly.id)
        } else {
            None
        };
        let shown = Shown {
            replaces: assembly.message,
            sent_at: Some(assembly.started_at),
            assembly: shown_as,
            ..Shown::new(text)
        };
        effects.extend(show(scene, talk, shown));
    }
    if complete {
        effects.push(Effect::Disassemble(assembly.id));
    }
    effects
}

/// The parts of a message were waited for long enough: it is shown with its gaps.
pub(super) fn due(scene: &Scene<'_>) -> Vec<Effect> {
    let (Some(talk), Some((assembly, parts))) = (&scene.state.talk, &scene.state.assembly) else {
        return Vec::new();
    };
    if assembly.message.is_some() {
        return Vec::new();
    }
    let text = Text {
        plain: put_together(assembly.total, parts),
        ..Text::default()
    };
    let shown = Shown {
        sent_at: Some(assembly.started_at),
        assembly: Some(assembly.id),
        ..Shown::new(text)
    };
    show(scene, talk, shown)
}

/// A part of a new message came with the number of an old one, of which parts are missing: the old one is shown as it is.
pub(super) fn clashed(scene: &Scene<'_>, part: PartOf, piece: &Piece) -> Vec<Effect> {
    let Some((assembly, _)) = &scene.state.assembly else {
        return Vec::new();
    };
    let mut effects = due(scene);
    effects.push(Effect::Disassemble(assembly.id));
    effects.push(Effect::Assemble {
        conversation: assembly.conversation,
        part,
        piece: piece.clone(),
    });
    effects
}

/// Says in a new room of a contact that can not be answered that this is so.
pub(super) fn unanswerable(talk: &Talk) -> Option<Effect> {
    (!talk.address.can_reply()).then(|| notice(talk, words::CANNOT_ANSWER, None))
}
