//! What is worth something only now: who is writing, and what was read. None of it is kept.

use super::Scene;
use crate::effect::Effect;
use crate::policy;
use swingbridge_domain::capability::Support;
use swingbridge_domain::connector::{Signal, SignalKind};
use swingbridge_domain::homeserver::{Action, Sender};
use swingbridge_domain::inbox::{RoomEvent, RoomEventKind, Typing};

/// A contact began to write, or stopped.
pub(super) fn typing(scene: &Scene<'_>, typing: &Typing) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    let Some(room) = talk.conversation.room.clone() else {
        return Vec::new();
    };
    let network = scene.site.network_of(&talk.line);
    let action = Action::Typing {
        room,
        by: Sender::Ghost(talk.ghost(&network)),
        active: typing.active,
    };
    vec![Effect::Show(Box::new(action))]
}

/// A user has read something, or is writing: the contact is told where the network carries that.
pub(super) fn of_a_user(scene: &Scene<'_>, event: &RoomEvent) -> Vec<Effect> {
    let Some(talk) = &scene.state.talk else {
        return Vec::new();
    };
    let barred = policy::limits::is_barred(scene, talk);
    if barred || !scene.may_use(&event.sender, &talk.line) || !talk.can_reply(scene.site) {
        return Vec::new();
    }
    let able = scene.site.capabilities_of(&talk.line);
    let kind = match &event.what {
        RoomEventKind::Read { .. } if able.marks_read != Support::Absent => {
            // What nobody on the network wrote says nothing to it.
            let Some(up_to) = scene.state.named.clone() else {
                return Vec::new();
            };
            SignalKind::Read { up_to: Some(up_to) }
        }
        RoomEventKind::Typing { active } if able.typing != Support::Absent => SignalKind::Typing(*active),
        _ => return Vec::new(),
    };
    vec![Effect::Signal(
        talk.line.connector.clone(),
        Signal {
            line: talk.line.id.clone(),
            to: talk.who.address.clone(),
            kind,
        },
    )]
}
