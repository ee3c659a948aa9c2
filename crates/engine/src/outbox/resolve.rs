//! From a row to an action: the room is looked up when its turn comes.

use crate::payload::{Payload, Say, Speaker};
use crate::policy;
use crate::process::{Fault, Work};
use crate::state::Talk;
use crate::words;
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::{
    About, Action, BridgeInfo, NewRoom, Post, RoomKind, SendStatus, Sender,
};
use swingbridge_domain::id::{ConversationId, LineId, RoomId, UserId};
use swingbridge_domain::line::Line;
use swingbridge_domain::message::{Text, Tone};
use swingbridge_domain::store::{Lane, OutboxRow, RoomRole, StoreError};

/// What a row comes to when its turn has come.
pub(super) enum Resolved {
    /// The row is gone: withdrawn, or expired.
    Gone,
    /// Something must be there first.
    First(Action, Prepares),
    Do(Action),
}

#[derive(Clone)]
pub(super) enum Prepares {
    Conversation(ConversationId),
    Space(LineId),
    Management(UserId),
}

/// Binds a row to the room that is its conversation's now.
pub(super) fn resolve(work: &mut Work<'_>, row: &OutboxRow, payload: &Payload) -> Result<Resolved, Fault> {
    if let Payload::Direct(action) = payload {
        return Ok(Resolved::Do(action.clone()));
    }
    if let Payload::Tell { user, text } = payload {
        let role = RoomRole::Management(user.clone());
        let Some(room) = work.tables.room_by_role(&role)? else {
            let room = management_room(work, user);
            return Ok(Resolved::First(
                Action::CreateRoom(room),
                Prepares::Management(user.clone()),
            ));
        };
        return Ok(Resolved::Do(Action::Post(Post::by_bot(room, text.clone()))));
    }
    let Lane::Conversation(id) = &row.lane else {
        return Ok(Resolved::Gone);
    };
    let Some(conversation) = work.tables.conversation(*id)? else {
        return Ok(Resolved::Gone);
    };
    // A conversation whose line is not configured any more: the row waits in vain, so it goes.
    let Some(talk) = work.talk(conversation)? else {
        return Ok(Resolved::Gone);
    };
    let network = work.site.network_of(&talk.line);
    if let Payload::Leave { room, generation } = payload {
        let mut left = talk.clone();
        left.conversation.generation = *generation;
        let alias = Some(left.alias(work.keys));
        let space = work.tables.room_by_role(&RoomRole::Space(talk.line.id.clone()))?;
        return Ok(Resolved::Do(Action::Leave {
            room: room.clone(),
            ghost: Some(talk.ghost(&network)),
            alias,
            space,
        }));
    }
    let Some(room) = talk.conversation.room.clone() else {
        return match payload {
            Payload::Open | Payload::Say(_) => make_room(work, &talk),
            // States and marks belong to events of a room that is gone.
            _ => Ok(Resolved::Gone),
        };
    };
    Ok(match payload {
        Payload::Open
        | Payload::Direct(_)
        | Payload::Tell { .. }
        | Payload::Leave { .. }
        | Payload::Revoke(_)
        | Payload::Recall { .. }
        | Payload::Reach { .. }
        | Payload::Send(_) => Resolved::Gone,
        Payload::Shelve { from } => {
            let Some(to) = work.tables.room_by_role(&RoomRole::Space(talk.line.id.clone()))? else {
                return Ok(make_space(work, &talk)?);
            };
            let from = work.tables.room_by_role(&RoomRole::Space(from.clone()))?;
            Resolved::Do(Action::Shelve { room, from, to })
        }
        Payload::Say(say) => Resolved::Do(Action::Post(post(work, &talk, &network, room, say)?)),
        Payload::Status(status) => Resolved::Do(Action::Status(SendStatus {
            room,
            event: status.event.clone(),
            state: status.state,
            message: status.message.clone(),
            reason: status.reason.clone(),
            retriable: status.retriable,
            delivered_to: matches!(status.state, State::Delivered | State::Read)
                .then(|| talk.ghost(&network)),
            network,
            path: status.path.clone(),
        })),
        Payload::React { event, key } => Resolved::Do(Action::React {
            room,
            event: event.clone(),
            key: key.clone(),
            by: Sender::Bot,
            way: Vec::new(),
        }),
        Payload::Reaction(reaction) => {
            let target = work.tables.message(reaction.to)?;
            match target.and_then(|record| record.event) {
                Some(event) => Resolved::Do(Action::React {
                    room,
                    event,
                    key: reaction.key.clone(),
                    by: sender(&talk, &network, &reaction.by),
                    way: policy::to_us(work.site, &talk.line, &reaction.way),
                }),
                // What it is for was not shown.
                None => Resolved::Gone,
            }
        }
        Payload::Redact { message, by } => {
            let redacted = work.tables.message(*message)?;
            match redacted.and_then(|record| record.event) {
                Some(event) => Resolved::Do(Action::Redact {
                    room,
                    event,
                    by: sender(&talk, &network, by),
                }),
                None => Resolved::Gone,
            }
        }
        Payload::MarkRead(event) => Resolved::Do(Action::MarkRead {
            room,
            event: event.clone(),
        }),
        Payload::Invite(users) => Resolved::Do(Action::Invite {
            room,
            users: users.clone(),
        }),
        Payload::Describe => Resolved::Do(Action::Describe {
            room,
            about: about(work, &talk, &network),
            ghost: Some(talk.ghost(&network)),
        }),
        Payload::Announce { inbox } => {
            let plain = words::announce(&talk.shown(), &talk.line.name, &room);
            let text = Text {
                plain,
                html: None,
                tone: Tone::Notice,
            };
            Resolved::Do(Action::Post(Post::by_bot(inbox.clone(), text)))
        }
    })
}

fn post(
    work: &mut Work<'_>,
    talk: &Talk,
    network: &str,
    room: RoomId,
    say: &Say,
) -> Result<Post, StoreError> {
    let replaces = match say.replaces {
        Some(message) => work.tables.message(message)?.and_then(|record| record.event),
        None => None,
    };
    let answers = match say.answers {
        Some(message) => work.tables.message(message)?.and_then(|record| record.event),
        None => None,
    };
    Ok(Post {
        room,
        sender: sender(talk, network, &say.by),
        text: say.text.clone(),
        media: say.media.clone(),
        quiet: say.quiet,
        replaces,
        in_reply_to: say.in_reply_to.clone().or(answers),
        sent_at: say.sent_at,
        way: match say.by {
            Speaker::Bot => Vec::new(),
            // The Matrix side adds its own end, and labels the event.
            _ => policy::to_us(work.site, &talk.line, &say.way),
        },
    })
}

fn sender(talk: &Talk, network: &str, by: &Speaker) -> Sender {
    match by {
        Speaker::Bot => Sender::Bot,
        Speaker::Contact => Sender::Ghost(talk.ghost(network)),
        Speaker::Member(member) => Sender::Ghost((**member).clone()),
        Speaker::Owner => match talk.owner() {
            Some(user) => Sender::Owner(user.clone()),
            None => Sender::Bot,
        },
    }
}

fn about(work: &Work<'_>, talk: &Talk, network: &str) -> About {
    let shown = talk.shown();
    let path = policy::inward(
        work.site,
        &talk.line,
        &talk.conversation.trust.way,
        policy::room_now(work.site, talk),
    );
    let protected = words::capital(&words::summary(work.site, &path));
    About {
        name: shown.clone(),
        topic: Some(format!(
            "{} with {shown} on {}. {protected}",
            network.to_uppercase(),
            talk.line.name
        )),
        bridge: Some(BridgeInfo {
            protocol: network.to_owned(),
            protocol_name: format!("{} ({})", network.to_uppercase(), words::in_short(&path)),
            line: talk.line.id.clone(),
            line_name: talk.line.name.clone(),
            channel: talk.alias(work.keys),
            channel_name: shown,
        }),
        writable: talk.can_reply(work.site),
    }
}

fn make_room(work: &mut Work<'_>, talk: &Talk) -> Result<Resolved, Fault> {
    let line = &talk.line;
    let people = people(work, talk)?;
    let Some(space) = work.tables.room_by_role(&RoomRole::Space(line.id.clone()))? else {
        return Ok(make_space(work, talk)?);
    };
    let network = work.site.network_of(line);
    let private = people.len() <= 1 && line.access.inbox.is_none() && !talk.is_group();
    let room = NewRoom {
        alias: talk.alias(work.keys),
        kind: if private {
            RoomKind::Direct
        } else {
            RoomKind::Group
        },
        about: about(work, talk, &network),
        ghost: Some(talk.ghost(&network)),
        invite: people,
        space: Some(space),
    };
    Ok(Resolved::First(
        Action::CreateRoom(room),
        Prepares::Conversation(talk.conversation.id),
    ))
}

fn make_space(work: &mut Work<'_>, talk: &Talk) -> Result<Resolved, StoreError> {
    let line = &talk.line;
    let room = NewRoom {
        alias: work.keys.pseudonym("space", line.id.as_str()),
        kind: RoomKind::Space,
        about: about_space(line),
        ghost: None,
        invite: people(work, talk)?,
        space: None,
    };
    Ok(Resolved::First(
        Action::CreateRoom(room),
        Prepares::Space(line.id.clone()),
    ))
}

/// What the space of a line says of itself.
pub(crate) fn about_space(line: &Line) -> About {
    About {
        name: line.name.clone(),
        topic: None,
        bridge: None,
        writable: false,
    }
}

fn people(work: &mut Work<'_>, talk: &Talk) -> Result<Vec<UserId>, StoreError> {
    let mut state = crate::state::State::default();
    if let Some(inbox) = &talk.line.access.inbox {
        state
            .inbox_members
            .insert(inbox.clone(), work.tables.members(inbox)?);
    }
    let scene = crate::step::Scene {
        site: work.site,
        state: &state,
        now: work.now,
    };
    Ok(scene.people(&talk.line))
}

fn management_room(work: &Work<'_>, user: &UserId) -> NewRoom {
    NewRoom {
        alias: work.keys.pseudonym("management", user.as_str()),
        kind: RoomKind::Management,
        about: About {
            name: "Swingbridge".to_owned(),
            topic: None,
            bridge: None,
            writable: true,
        },
        ghost: None,
        invite: vec![user.clone()],
        space: None,
    }
}
