//! A conversation goes by another line when one of its people says so.

use super::Swap;
use crate::effect::Effect;
use crate::state::Talk;
use crate::step::{Scene, answer_in};
use std::sync::Arc;
use swingbridge_domain::capability::Support;
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::line::Line;

pub(super) fn run(scene: &Scene<'_>, event: &RoomEvent, wanted: &Swap) -> Vec<Effect> {
    let reply = |text: String| vec![answer_in(&event.room, text, Some(&event.event))];
    let talk = scene.state.talk.as_ref();
    let Some(talk) = talk.filter(|talk| scene.may_use(&event.sender, &talk.line)) else {
        return reply(
            "There is no such conversation of yours. `id` in its room tells its number.".to_owned(),
        );
    };
    let mut lines = scene.site.lines.iter();
    let line = lines.find(|line| wanted.names(line) && scene.may_use(&event.sender, line));
    let Some(line) = line else {
        return reply(format!(
            "You have no line called {:?}. `lines` shows yours.",
            wanted.line
        ));
    };
    match obstacle(scene, talk, line) {
        Some(words) => reply(words),
        // The room says what comes of it.
        None => vec![Effect::Swap {
            conversation: talk.conversation.id,
            line: line.id.clone(),
        }],
    }
}

/// Why a conversation can not go by `line`.
fn obstacle(scene: &Scene<'_>, talk: &Talk, line: &Arc<Line>) -> Option<String> {
    if line.id == talk.line.id {
        return Some(format!("It goes by {} already.", line.name));
    }
    if scene.site.home(line).id != line.id {
        let home = scene.site.home(line);
        return Some(format!(
            "{} stands in for {} and has no conversations of its own.",
            line.name, home.name
        ));
    }
    if talk.is_group() && line.connector != talk.line.connector {
        return Some("A group lives on its own network: only the same account can carry it.".to_owned());
    }
    if talk.is_group() && scene.site.capabilities_of(line).groups == Support::Absent {
        return Some(crate::words::no_groups(&scene.site.capabilities_of(line)));
    }
    if line.address == talk.who.address {
        return Some(format!("That is the number of {} itself.", line.name));
    }
    let twin = scene.state.twin.as_ref();
    if twin.is_some_and(|twin| twin.id != talk.conversation.id) {
        return Some(format!(
            "{} has a conversation with {} already: go on in that one.",
            line.name,
            talk.shown()
        ));
    }
    None
}
