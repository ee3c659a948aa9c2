//! The decision: what an event asks for, given what is known.

mod answer;
mod assembly;
mod ending;
mod fallback;
mod group;
pub(crate) mod inbound;
pub(crate) mod matrix;
mod moment;
mod reaction;
mod receipt;
mod review;
mod revocation;
mod room;
mod swap;
mod taken;

use crate::effect::{Carried, Effect, Queue, Tally};
use crate::event::Event;
use crate::payload::{Payload, Say, Status};
use crate::policy;
use crate::site::Site;
use crate::state::{State, Talk};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::homeserver::{Action, Post};
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Inbound, Membership, RoomEvent, RoomEventKind};
use swingbridge_domain::line::Line;
use swingbridge_domain::message::{Text, Tone};
use swingbridge_domain::store::{Lane, Target, Timer};

/// What arrived can not be processed as things are; it is kept for a person to look at. Says why, without contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unprocessable(pub String);

/// Decides.
///
/// # Errors
/// [`Unprocessable`]: the same event may be processed after the configuration was put right.
pub fn step(site: &Site, state: &State, event: &Event, now: Timestamp) -> Result<Vec<Effect>, Unprocessable> {
    let scene = Scene { site, state, now };
    Ok(match event {
        Event::Network(Inbound::Message(message)) => return inbound::received(&scene, message),
        Event::Network(Inbound::Receipt(receipt)) => receipt::received(&scene, receipt),
        // A contact with whom there is no conversation has no keys to be told of.
        Event::Network(Inbound::Identity(identity)) => match &state.talk {
            Some(talk) => policy::seen(&scene, talk, identity),
            None => Vec::new(),
        },
        // Sessions are noted when they arrive: deduplication needs them there.
        Event::Network(Inbound::Session { .. }) => Vec::new(),
        Event::Network(Inbound::Card(entry)) => group::entry(&scene, entry),
        Event::Network(Inbound::Group(change)) => group::changed(&scene, change),
        Event::Network(Inbound::Preference(preference)) => return policy::limits::told(&scene, preference),
        Event::Network(Inbound::Typing(typing)) => moment::typing(&scene, typing),
        Event::Room(
            moment @ RoomEvent {
                what: RoomEventKind::Read { .. } | RoomEventKind::Typing { .. },
                ..
            },
        ) => moment::of_a_user(&scene, moment),
        Event::Room(
            said @ RoomEvent {
                what: RoomEventKind::Message(message),
                ..
            },
        ) => matrix::said(&scene, said, message),
        Event::Room(changed) => room::changed(&scene, changed),
        Event::Opened { then, .. } => inbound::opened(&scene, then),
        Event::PartClashes { part, piece, .. } => assembly::clashed(&scene, *part, piece),
        Event::PartAdded { first, .. } => assembly::assembled(&scene, *first),
        Event::Performed {
            row,
            payload,
            performed,
        } => room::performed(&scene, row, payload, performed),
        Event::NotPerformed {
            row,
            payload,
            cause,
            room_gone,
        } => room::not_performed(&scene, row, payload, cause, *room_gone),
        Event::RoomMade { room, protection, .. } => room::made(&scene, room, *protection),
        Event::Reviewed {
            row,
            payload,
            declined,
        } => review::reviewed(&scene, row, payload, *declined),
        Event::LineChanged { .. } => state
            .talk
            .iter()
            .map(|talk| for_room(talk, Payload::Describe))
            .collect(),
        Event::InboxUnknown { room } => {
            vec![direct(
                Lane::Room(room.clone()),
                Action::Join { room: room.clone() },
            )]
        }
        Event::Answered {
            row,
            event,
            line,
            answer,
        } => answer::answered(&scene, row, event, line, answer),
        Event::Diverted { row, send, to, cause } => fallback::diverted(&scene, row, send, to, *cause),
        Event::Revoked {
            row,
            answer,
            redaction,
            ..
        } => match redaction {
            None => revocation::revoked(&scene, row, answer),
            Some(redaction) => revocation::recalled(&scene, row, redaction, answer),
        },
        Event::Reached {
            row,
            line,
            event,
            reach,
        } => fallback::reached(&scene, row, line, event, *reach),
        Event::Swapped { from, .. } => swap::swapped(&scene, from),
        Event::Barred {
            row,
            event,
            words,
            reason,
        } => ending::barred(&scene, row, event, words, reason),
        Event::Lost { row } => answer::lost(&scene, row),
        Event::Expired { row } => ending::expired(&scene, row),
        Event::Timer(Timer::AssemblyDue(_)) => assembly::due(&scene),
        Event::Timer(Timer::AssemblyGone(id)) => vec![Effect::Disassemble(*id)],
        Event::Timer(Timer::Overdue(_)) => fallback::overdue(&scene),
        Event::Timer(Timer::PartsSettle(_)) => receipt::settle(&scene),
        Event::Timer(Timer::EarlyReceiptGone(connector, id)) => {
            vec![Effect::DropReceipts {
                connector: connector.clone(),
                network_id: id.clone(),
            }]
        }
    })
}

/// What every decision looks at.
pub(crate) struct Scene<'a> {
    pub site: &'a Site,
    pub state: &'a State,
    pub now: Timestamp,
}

impl Scene<'_> {
    /// The users who may use `line`, as far as is known here.
    pub fn people(&self, line: &Line) -> Vec<UserId> {
        let inbox = line
            .access
            .inbox
            .as_ref()
            .and_then(|room| self.state.inbox_members.get(room));
        let joined = inbox
            .into_iter()
            .flatten()
            .filter(|(_, m)| *m == Membership::Join)
            .map(|(user, _)| user);
        let mut people: Vec<UserId> = Vec::new();
        for user in line.access.users.iter().chain(joined) {
            let allowed = self.site.permissions.of(user).is_some() && !self.site.is_ours(user);
            if allowed && !people.contains(user) {
                people.push(user.clone());
            }
        }
        people
    }

    pub fn may_use(&self, user: &UserId, line: &Line) -> bool {
        self.people(line).contains(user)
    }

    /// Whether `user` is in the conversation's room, or invited.
    pub fn is_there(&self, user: &UserId) -> bool {
        self.state
            .members
            .iter()
            .any(|(u, m)| u == user && matches!(m, Membership::Join | Membership::Invite))
    }

    /// Whom to invite to the conversation's room when something new is said: those who were never asked (the line was opened to
    /// them later), and everybody when all have left.
    pub fn to_invite(&self, talk: &Talk) -> Vec<UserId> {
        let mut people = self.people(&talk.line);
        if people.iter().any(|user| self.is_there(user)) {
            people.retain(|user| !self.state.members.iter().any(|(known, _)| known == user));
        }
        people
    }
}

/// A row for the homeserver in a conversation's lane.
pub(crate) fn for_room(talk: &Talk, payload: Payload) -> Effect {
    Effect::Queue(Box::new(Queue {
        target: Target::Homeserver,
        lane: Lane::Conversation(talk.conversation.id),
        payload,
        expires_at: None,
        message: Carried::None,
        held: false,
    }))
}

/// The bot says something in a conversation's room.
pub(crate) fn notice(talk: &Talk, text: impl Into<String>, in_reply_to: Option<EventId>) -> Effect {
    let text = Text {
        plain: text.into(),
        html: None,
        tone: Tone::Notice,
    };
    let say = Say {
        in_reply_to,
        ..Say::by_bot(text)
    };
    for_room(talk, Payload::Say(say))
}

/// The bot answers in any room.
pub(crate) fn answer_in(room: &RoomId, text: impl Into<String>, in_reply_to: Option<&EventId>) -> Effect {
    let text = Text {
        plain: text.into(),
        html: None,
        tone: Tone::Notice,
    };
    let post = Post {
        in_reply_to: in_reply_to.cloned(),
        ..Post::by_bot(room.clone(), text)
    };
    direct(Lane::Room(room.clone()), Action::Post(post))
}

pub(crate) fn direct(lane: Lane, action: Action) -> Effect {
    Effect::Queue(Box::new(Queue {
        target: Target::Homeserver,
        lane,
        payload: Payload::Direct(action),
        expires_at: None,
        message: Carried::None,
        held: false,
    }))
}

/// Tells a user something in the management room.
pub(crate) fn tell(user: &UserId, text: impl Into<String>) -> Effect {
    let text = Text {
        plain: text.into(),
        html: None,
        tone: Tone::Notice,
    };
    Effect::Queue(Box::new(Queue {
        target: Target::Homeserver,
        lane: Lane::User(user.clone()),
        payload: Payload::Tell {
            user: user.clone(),
            text,
        },
        expires_at: None,
        message: Carried::None,
        held: false,
    }))
}

/// One more message of the conversation's line came to `state`, and nothing went wrong.
pub(crate) fn count(talk: &Talk, state: &'static str) -> Effect {
    Effect::Count(Tally {
        line: talk.line.id.clone(),
        state,
        reason: "",
    })
}

/// The message-send-status of an event, for the sender's client.
pub(crate) fn status(talk: &Talk, event: &EventId, state: Delivery) -> Effect {
    let status = Status {
        event: event.clone(),
        state,
        message: None,
        reason: None,
        retriable: false,
        path: None,
    };
    for_room(talk, Payload::Status(status))
}

/// The same with words, for what went wrong; and the words as a reply, which every client shows.
pub(crate) fn failure(
    talk: &Talk,
    event: &EventId,
    state: Delivery,
    words: &str,
    reason: &'static str,
    retriable: bool,
) -> Vec<Effect> {
    let status = Status {
        event: event.clone(),
        state,
        message: Some(words.to_owned()),
        reason: Some(reason.to_owned()),
        retriable,
        path: None,
    };
    vec![
        for_room(talk, Payload::Status(status)),
        notice(talk, words, Some(event.clone())),
        Effect::Count(Tally {
            line: talk.line.id.clone(),
            state: state.word(),
            reason,
        }),
    ]
}
