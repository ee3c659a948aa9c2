//! Rooms: who comes and goes, and what became of what we asked the homeserver for.

use super::{Scene, answer_in, count, direct, failure, for_room, inbound, tell};
use crate::effect::Effect;
use crate::event::Then;
use crate::payload::{Payload, Say, Speaker};
use crate::policy;
use crate::state::Talk;
use crate::words;
use swingbridge_domain::consent::Question;
use swingbridge_domain::delivery::State as Delivery;
use swingbridge_domain::homeserver::{Action, Ghost, Performed};
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Membership, RoomEvent, RoomEventKind, Unreadable};
use swingbridge_domain::path::Protection;
use swingbridge_domain::store::{Direction, Lane, MessageRecord, OutboxRow, RoomRole, Trust};

pub(super) fn changed(scene: &Scene<'_>, event: &RoomEvent) -> Vec<Effect> {
    match &event.what {
        RoomEventKind::Message(_) | RoomEventKind::Read { .. } | RoomEventKind::Typing { .. } => Vec::new(),
        RoomEventKind::Undecryptable { cause } => unreadable(scene, event, *cause),
        RoomEventKind::Replaced { by } => replaced(scene, event, by),
        RoomEventKind::Membership {
            user,
            membership,
            direct,
        } => {
            if user == &scene.site.bot {
                bot(scene, event, *membership, *direct)
            } else if let Some(pseudonym) = scene.site.pseudonym_of(user) {
                ghost(scene, event, pseudonym, *membership)
            } else {
                person(scene, event, user, *membership)
            }
        }
    }
}

fn unreadable(scene: &Scene<'_>, event: &RoomEvent, cause: Unreadable) -> Vec<Effect> {
    let words = words::unreadable(cause);
    match (&scene.state.talk, &scene.state.role) {
        _ if scene.site.is_ours(&event.sender) => Vec::new(),
        (Some(talk), _) => {
            // What may still be read is not refused: it comes again as what it is.
            let state = match cause.may_pass() {
                true => Delivery::Queued,
                false => Delivery::Rejected,
            };
            let mut effects = failure(talk, &event.event, state, words, "undecryptable", false);
            if cause.may_pass() {
                effects.retain(|effect| !matches!(effect, Effect::Count(_)));
            }
            effects
        }
        (None, Some(RoomRole::Management(_))) => {
            vec![answer_in(&event.room, words, Some(&event.event))]
        }
        _ => Vec::new(),
    }
}

/// The conversation goes on in another room, when somebody moved it who may use the line.
fn replaced(scene: &Scene<'_>, event: &RoomEvent, by: &RoomId) -> Vec<Effect> {
    match &scene.state.talk {
        Some(talk) if scene.may_use(&event.sender, &talk.line) => vec![
            Effect::SetRoom {
                conversation: talk.conversation.id,
                room: by.clone(),
            },
            direct(
                Lane::Conversation(talk.conversation.id),
                Action::Join { room: by.clone() },
            ),
            for_room(talk, Payload::Describe),
        ],
        _ => Vec::new(),
    }
}

/// The bot itself was invited, joined, or was put out.
fn bot(scene: &Scene<'_>, event: &RoomEvent, membership: Membership, direct_chat: bool) -> Vec<Effect> {
    let room = &event.room;
    match membership {
        Membership::Invite if scene.site.permissions.of(&event.sender).is_none() => {
            vec![direct(
                Lane::Room(room.clone()),
                Action::Leave {
                    room: room.clone(),
                    ghost: None,
                    alias: None,
                    space: None,
                },
            )]
        }
        Membership::Invite => {
            let inbox = scene
                .site
                .lines
                .iter()
                .any(|line| line.access.inbox.as_ref() == Some(room));
            let role = match direct_chat && !inbox {
                true => RoomRole::Management(event.sender.clone()),
                false => RoomRole::Other,
            };
            let management = matches!(role, RoomRole::Management(_));
            let mut effects = vec![
                Effect::SetRole {
                    room: room.clone(),
                    role,
                },
                direct(Lane::Room(room.clone()), Action::Join { room: room.clone() }),
            ];
            if management {
                effects.push(answer_in(room, words::welcome(&scene.site.command_prefix), None));
            }
            effects
        }
        Membership::Leave if event.sender != scene.site.bot => match &scene.state.talk {
            Some(talk) => vec![Effect::Renew(talk.conversation.id)],
            None => vec![Effect::ForgetRoom(room.clone())],
        },
        _ => Vec::new(),
    }
}

/// A user invited a contact's ghost: that is how clients start a chat with somebody they looked up.
fn ghost(scene: &Scene<'_>, event: &RoomEvent, pseudonym: &str, membership: Membership) -> Vec<Effect> {
    if membership != Membership::Invite || scene.site.is_ours(&event.sender) || scene.state.talk.is_some() {
        return Vec::new();
    }
    let ghost = Ghost::new(pseudonym, "");
    let decline = Action::Leave {
        room: event.room.clone(),
        ghost: Some(ghost),
        alias: None,
        space: None,
    };
    let mut effects = vec![direct(Lane::Room(event.room.clone()), decline)];
    let line = scene
        .site
        .lines
        .iter()
        .find(|line| scene.may_use(&event.sender, line));
    match (line, &scene.state.survey.invited) {
        (Some(line), Some(address)) => {
            effects.push(Effect::Open {
                line: line.id.clone(),
                address: address.clone(),
                then: Then::Invited {
                    by: event.sender.clone(),
                },
            });
        }
        (None, _) if scene.site.permissions.of(&event.sender).is_some() => {
            effects.push(tell(&event.sender, words::NO_PERMISSION));
        }
        _ => {}
    }
    effects
}

/// Somebody else came or went.
fn person(scene: &Scene<'_>, event: &RoomEvent, user: &UserId, membership: Membership) -> Vec<Effect> {
    let mut effects = vec![Effect::SetMember {
        room: event.room.clone(),
        user: user.clone(),
        membership,
    }];
    if membership == Membership::Leave && scene.state.role == Some(RoomRole::Management(user.clone())) {
        effects.push(Effect::ForgetRoom(event.room.clone()));
        let leave = Action::Leave {
            room: event.room.clone(),
            ghost: None,
            alias: None,
            space: None,
        };
        effects.push(direct(Lane::Room(event.room.clone()), leave));
    }
    effects
}

/// The homeserver did what a row asked for.
pub(super) fn performed(
    scene: &Scene<'_>,
    row: &OutboxRow,
    payload: &Payload,
    performed: &Performed,
) -> Vec<Effect> {
    let mut effects = vec![Effect::Remove(row.id)];
    if let Payload::Direct(Action::Join { room }) = payload {
        effects.extend(entered(scene, room, &performed.members));
    }
    if let (Payload::Say(say), Some(talk), Some(event)) = (payload, &scene.state.talk, &performed.event) {
        effects.extend(protected(talk, performed.protection));
        effects.extend(policy::limits::automatic::said(scene, talk, say, event));
        effects.extend(
            say.question
                .iter()
                .flat_map(|question| asked(talk, event, question)),
        );
    }
    let said = matches!(payload, Payload::Say(_) | Payload::Reaction(_));
    if let (true, Some(message), Some(event)) = (said, &scene.state.message, &performed.event) {
        let record = MessageRecord {
            event: Some(event.clone()),
            state: Delivery::Delivered,
            updated_at: scene.now,
            ..message.clone()
        };
        effects.push(Effect::SaveMessage(Box::new(record)));
        if let Some(talk) = &scene.state.talk {
            effects.push(count(talk, "shown"));
        }
    }
    effects
}

/// A question stands in the room: the bot reacts to it, so that people need only join one of two answers.
fn asked(talk: &Talk, event: &EventId, question: &Question) -> [Effect; 3] {
    let react = |key: &str| {
        let payload = Payload::React {
            event: event.clone(),
            key: key.to_owned(),
        };
        for_room(talk, payload)
    };
    [
        Effect::NoteQuestion {
            event: event.clone(),
            question: question.clone(),
        },
        react(words::YES),
        react(words::NO),
    ]
}

/// What protects the room's events, when that is news.
fn protected(talk: &Talk, protection: Option<Protection>) -> Option<Effect> {
    let trust = &talk.conversation.trust;
    (protection.is_some() && protection != trust.room).then(|| Effect::SetTrust {
        conversation: talk.conversation.id,
        trust: Trust {
            room: protection,
            ..trust.clone()
        },
    })
}

/// The bot is inside a room and sees who else is. When they are the first to share a line, nobody has seen what phones wrote on
/// it before: they are told of it and asked in.
fn entered(scene: &Scene<'_>, room: &RoomId, members: &[UserId]) -> Vec<Effect> {
    let join = |user: &UserId| Effect::SetMember {
        room: room.clone(),
        user: user.clone(),
        membership: Membership::Join,
    };
    let mut effects: Vec<Effect> = members.iter().map(join).collect();
    if scene
        .state
        .inbox_members
        .get(room)
        .is_none_or(|known| !known.is_empty())
    {
        return effects;
    }
    for talk in &scene.state.survey.talks {
        let Some(unseen) = &talk.conversation.room else {
            continue;
        };
        let line = &talk.line;
        if line.access.inbox.as_ref() != Some(room) {
            continue;
        }
        let new: Vec<UserId> = members
            .iter()
            .filter(|user| !line.access.users.contains(user) && scene.site.permissions.of(user).is_some())
            .cloned()
            .collect();
        effects.extend(new.iter().map(|user| Effect::SetMember {
            room: unseen.clone(),
            user: user.clone(),
            membership: Membership::Invite,
        }));
        effects.push(for_room(talk, Payload::Invite(new)));
        effects.push(for_room(talk, Payload::Announce { inbox: room.clone() }));
    }
    effects
}

/// The homeserver will not do what a row asked for. A message from a phone is not lost by that: it gets a new room when its
/// room is gone, and else the people of the line are told.
pub(super) fn not_performed(
    scene: &Scene<'_>,
    row: &OutboxRow,
    payload: &Payload,
    cause: &str,
    room_gone: bool,
) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return vec![Effect::Remove(row.id)];
    };
    let from_phone = matches!(
        payload,
        Payload::Say(Say {
            by: Speaker::Contact | Speaker::Member(_) | Speaker::Owner,
            replaces: None,
            ..
        })
    );
    if from_phone && room_gone && row.attempts < scene.site.policy.attempts {
        return vec![
            Effect::Renew(talk.conversation.id),
            Effect::Requeue {
                id: row.id,
                lane: row.lane.clone(),
                target: row.target.clone(),
                not_before: scene.now,
                counts: true,
            },
        ];
    }
    let mut effects = vec![Effect::Remove(row.id)];
    if from_phone {
        if let Some(message) = scene
            .state
            .message
            .as_ref()
            .filter(|message| message.direction == Direction::In)
        {
            let record = MessageRecord {
                state: Delivery::Rejected,
                detail: Some(cause.to_owned()),
                updated_at: scene.now,
                ..message.clone()
            };
            effects.push(Effect::SaveMessage(Box::new(record)));
        }
        effects.push(count(talk, "not_shown"));
        let words = words::could_not_show(&talk.shown(), cause);
        effects.extend(
            scene
                .people(&talk.line)
                .iter()
                .map(|user| tell(user, words.clone())),
        );
    }
    effects
}

/// The room of a conversation was made.
pub(super) fn made(scene: &Scene<'_>, room: &RoomId, protection: Option<Protection>) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    let mut effects = vec![Effect::SetRoom {
        conversation: talk.conversation.id,
        room: room.clone(),
    }];
    effects.extend(protected(talk, protection));
    if protection.is_some_and(|found| found != policy::room_now(scene.site, talk)) {
        // It says of itself what was thought when it was made.
        effects.push(for_room(talk, Payload::Describe));
    }
    effects.extend(people_invited(scene, talk, room));
    effects.extend(inbound::unanswerable(talk));
    if let Some(inbox) = &talk.line.access.inbox {
        effects.push(for_room(talk, Payload::Announce { inbox: inbox.clone() }));
    }
    effects
}

fn people_invited(scene: &Scene<'_>, talk: &Talk, room: &RoomId) -> Vec<Effect> {
    let set = |user: UserId| Effect::SetMember {
        room: room.clone(),
        user,
        membership: Membership::Invite,
    };
    scene.people(&talk.line).into_iter().map(set).collect()
}
