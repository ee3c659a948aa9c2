//! From a phone: messages and their parts.

use super::{Scene, Unprocessable, answer_in, count, fallback, for_room, group, notice, reaction, tell};
use crate::assembly::Piece;
use crate::effect::{Carried, Effect, NewMessage, Queue};
use crate::event::Then;
use crate::payload::{Payload, Reaction, Say, Speaker};
use crate::policy::{self, Admission};
use crate::process::refer::nth;
use crate::render;
use crate::state::Talk;
use crate::words;
use std::borrow::Cow;
use swingbridge_domain::address::{Address, Region};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::id::{AssemblyId, ConnectorId, LineId, MessageId, NetworkId, UserId};
use swingbridge_domain::inbox::{InboundMessage, Membership};
use swingbridge_domain::message::{Body, Disposition, Media, Message, Text};
use swingbridge_domain::path::Leg;
use swingbridge_domain::store::{Direction, Lane, MessageRecord, Target};

/// A message came. Its conversation is opened first when there is none.
pub(super) fn received(scene: &Scene<'_>, inbound: &InboundMessage) -> Result<Vec<Effect>, Unprocessable> {
    if let Some(talk) = &scene.state.talk {
        return Ok(deliver(scene, talk, inbound));
    }
    let Some(line) = scene
        .site
        .line_of(&inbound.connector, &inbound.to)
        .map(|line| scene.site.home(line))
    else {
        return Err(Unprocessable(format!(
            "a message came by connector {} for an address that no line has; give the line that address in `lines`, then \
             run `admin requeue`",
            inbound.connector
        )));
    };
    let address = peer(inbound, line.region);
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
    let came_by = scene.site.line_of(&inbound.connector, &inbound.to);
    let other = came_by.filter(|line| line.id != talk.line.id);
    let direct = other.is_none();
    let inbound = &*told(scene, inbound, direct);
    let mut effects = match &inbound.group {
        Some(group) if direct => group::known(scene, talk, group),
        _ => Vec::new(),
    };
    effects.extend(match inbound.part {
        Some(part) => {
            let piece = Piece {
                text: render::inbound(&inbound.message),
                utf16: inbound.utf16.clone(),
                way: inbound.way.clone(),
                line: came_by.map(|line| line.id.clone()),
            };
            vec![Effect::Assemble {
                conversation: talk.conversation.id,
                part,
                piece,
            }]
        }
        None if is_reaction(&inbound.message) => reaction::came(scene, talk, inbound),
        None if takes_back(&inbound.message) => reaction::taken_back(scene, talk, inbound),
        None => said(scene, talk, inbound),
    });
    // Last: what is told before speaks of the conversation as it was.
    if direct && !inbound.own && !inbound.history {
        effects.extend(fallback::heard(talk));
    }
    effects
}

/// A message that came by another line than its conversation's, with the way that it took: the conversation's line would tell of its own.
fn told<'a>(scene: &Scene<'_>, inbound: &'a InboundMessage, direct: bool) -> Cow<'a, InboundMessage> {
    let able = scene.site.capabilities.get(&inbound.connector);
    match able.filter(|_| !direct && inbound.way.is_empty()) {
        Some(able) => Cow::Owned(InboundMessage {
            way: able.way.clone(),
            ..inbound.clone()
        }),
        None => Cow::Borrowed(inbound),
    }
}

/// Whom a message is from or for, as the conversation with them is found by.
pub(crate) fn peer(inbound: &InboundMessage, region: Option<Region>) -> Address {
    match &inbound.group {
        Some(group) => Address::Group(group.thread.0.clone()),
        None => inbound.from.understand(region),
    }
}

pub(crate) fn is_reaction(message: &Message) -> bool {
    let first = message.parts.first();
    first.is_some_and(|part| part.disposition == Disposition::Reaction)
}

fn takes_back(message: &Message) -> bool {
    message.replaces.is_some() && message.parts.iter().all(|part| part.body == Body::Null)
}

/// Who said it.
pub(super) fn by(scene: &Scene<'_>, inbound: &InboundMessage) -> Speaker {
    match &scene.state.member {
        _ if inbound.own => Speaker::Owner,
        Some(member) => Speaker::Member(Box::new(member.clone())),
        None => Speaker::Contact,
    }
}

/// One event for the text, one for each file; a single file has the text as its caption.
fn said(scene: &Scene<'_>, talk: &Talk, inbound: &InboundMessage) -> Vec<Effect> {
    let message = &inbound.message;
    let files: Vec<&Media> = message
        .parts
        .iter()
        .filter_map(|part| match &part.body {
            Body::Media(media) if media.uri.starts_with("file:") => Some(media),
            _ => None,
        })
        .collect();
    let text = message.first_text().cloned().filter(|_| message.parts.len() == 1);
    let text = text.unwrap_or_else(|| Text {
        plain: render::inbound(message),
        ..Text::default()
    });
    let mut shown = Vec::new();
    if files.len() != 1 && (files.is_empty() || !text.plain.is_empty()) {
        shown.push(Shown::of(scene, inbound, text.clone()));
    }
    for file in &files {
        let caption = match files.len() {
            1 => text.clone(),
            _ => Text::default(),
        };
        shown.push(Shown {
            media: Some((*file).clone()),
            ..Shown::of(scene, inbound, caption)
        });
    }
    let names = scene.site.names_messages(&talk.line);
    let mut effects = Vec::new();
    for (n, mut one) in shown.into_iter().enumerate() {
        one.named = inbound
            .network_id
            .iter()
            .filter(|_| names)
            .map(|id| nth(id, n))
            .collect();
        if n == 0 {
            one.replaces = edited(scene, message);
            one.answers = answered(scene, message);
        }
        effects.extend(show(scene, talk, one));
    }
    effects.extend(policy::limits::heard(scene, talk, inbound));
    effects
}

/// The message of ours that an edit is of. One that nobody knows any more is shown as said anew.
fn edited(scene: &Scene<'_>, message: &Message) -> Option<MessageId> {
    message.replaces.as_ref()?;
    scene.state.referred.first().map(|record| record.id)
}

fn answered(scene: &Scene<'_>, message: &Message) -> Option<MessageId> {
    if message.replaces.is_some() {
        return None;
    }
    message.in_reply_to.as_ref()?;
    scene.state.referred.first().map(|record| record.id)
}

/// Something to be shown in the room.
pub(super) struct Shown {
    pub by: Speaker,
    pub text: Text,
    pub media: Option<Media>,
    /// In the place of a text.
    pub reaction: Option<Reaction>,
    /// The earlier message of ours that it replaces.
    pub replaces: Option<MessageId>,
    pub answers: Option<MessageId>,
    pub sent_at: Option<Timestamp>,
    /// It was read in the network's history.
    pub history: bool,
    /// The assembly that is to remember the message.
    pub assembly: Option<AssemblyId>,
    /// What the network calls it, and by which connector it came, where that may be another one than the line's.
    pub named: Vec<NetworkId>,
    pub connector: Option<ConnectorId>,
    /// The legs that its connector told of.
    pub way: Vec<Leg>,
    /// The line that it came by.
    pub line: Option<LineId>,
}

impl Shown {
    pub fn new(text: Text) -> Self {
        Self {
            by: Speaker::Contact,
            text,
            media: None,
            reaction: None,
            replaces: None,
            answers: None,
            sent_at: None,
            history: false,
            assembly: None,
            named: Vec::new(),
            connector: None,
            way: Vec::new(),
            line: None,
        }
    }

    pub fn of(scene: &Scene<'_>, inbound: &InboundMessage, text: Text) -> Self {
        let line = scene.site.line_of(&inbound.connector, &inbound.to);
        Self {
            line: line.map(|line| line.id.clone()),
            by: by(scene, inbound),
            sent_at: inbound.sent_at,
            history: inbound.history,
            connector: Some(inbound.connector.clone()),
            way: inbound.way.clone(),
            ..Self::new(text)
        }
    }
}

/// Shows something in the room as who said it, once somebody has agreed to that, and asks people back in when all have left.
pub(super) fn show(scene: &Scene<'_>, talk: &Talk, shown: Shown) -> Vec<Effect> {
    let room = policy::room_now(scene.site, talk);
    // What people are asked and told is of the line that it came by.
    let by_line = policy::by_way_of(scene.site, talk, shown.line.as_ref());
    let path = policy::inward(scene.site, &by_line.line, &shown.way, room);
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
    let own = shown.by == Speaker::Owner;
    let held = match policy::arriving(scene, &by_line, &path) {
        // What the user said themselves needs nobody's leave, and says nothing of how others write.
        _ if own => false,
        // How well things were protected once is no news.
        Admission::Go(_) if shown.history => false,
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
        sender: talk.owner().filter(|_| own).cloned(),
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
        None => Carried::New(Box::new(NewMessage {
            record,
            assembly: shown.assembly,
            named: shown
                .named
                .into_iter()
                .map(|id| {
                    (
                        shown
                            .connector
                            .clone()
                            .unwrap_or_else(|| talk.line.connector.clone()),
                        id,
                    )
                })
                .collect(),
        })),
    };
    let way = shown.way.clone();
    let payload = match shown.reaction {
        Some(reaction) => Payload::Reaction(reaction),
        None => Payload::Say(Say {
            by: shown.by,
            media: shown.media,
            quiet: shown.history,
            replaces: shown.replaces,
            answers: shown.answers,
            sent_at: shown.sent_at,
            way: shown.way,
            line: shown.line,
            ..Say::by_bot(shown.text)
        }),
    };
    effects.push(Effect::Queue(Box::new(Queue {
        target: Target::Homeserver,
        lane: Lane::Conversation(talk.conversation.id),
        payload,
        expires_at: held.then(|| scene.now + scene.site.privacy.hold),
        message: carried,
        held,
    })));
    effects.push(Effect::Touch(talk.conversation.id));
    let direct = shown
        .connector
        .is_none_or(|connector| connector == talk.line.connector);
    if !shown.history && direct {
        effects.extend(policy::went(talk, &way));
    }
    effects.push(count(talk, "received"));
    effects
}

/// Says in a new room of a contact that can not be answered that this is so.
pub(super) fn unanswerable(talk: &Talk) -> Option<Effect> {
    (!talk.who.address.can_reply()).then(|| notice(talk, words::CANNOT_ANSWER, None))
}
