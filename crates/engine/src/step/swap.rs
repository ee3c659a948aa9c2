//! A conversation belongs to another line.

use super::{Scene, for_room, notice};
use crate::effect::Effect;
use crate::payload::Payload;
use crate::words;
use swingbridge_domain::audit::{About, Kind, NewEntry};
use swingbridge_domain::id::{LineId, UserId};
use swingbridge_domain::inbox::Membership;

/// The room says so, stands in the other line's space, and has the people of the other line.
pub(super) fn swapped(scene: &Scene<'_>, from: &LineId) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    let mut effects = vec![Effect::Audit(
        NewEntry::new(Kind::ConversationMoved)
            .about(About::Conversation(talk.conversation.id))
            .detail(format!("from line {from} to line {}", talk.line.id)),
    )];
    let Some(room) = &talk.conversation.room else {
        return effects;
    };
    effects.push(for_room(talk, Payload::Shelve { from: from.clone() }));
    effects.push(for_room(talk, Payload::Describe));
    let people = scene.people(&talk.line);
    let members = &scene.state.members;
    let strangers: Vec<UserId> = people
        .into_iter()
        .filter(|user| !members.iter().any(|(member, _)| member == user))
        .collect();
    if !strangers.is_empty() {
        effects.extend(strangers.iter().map(|user| Effect::SetMember {
            room: room.clone(),
            user: user.clone(),
            membership: Membership::Invite,
        }));
        effects.push(for_room(talk, Payload::Invite(strangers)));
    }
    effects.push(notice(talk, words::swapped(scene.site, talk), None));
    effects
}
