//! How well a message is protected beside the one before it: never a silent downgrade.

use super::answers::logged;
use super::{Admission, ask};
use crate::effect::Effect;
use crate::payload::Payload;
use crate::state::Talk;
use crate::step::{Scene, for_room, notice};
use crate::words;
use swingbridge_domain::audit::Kind;
use swingbridge_domain::consent::{Asked, Downgrade, Rule};
use swingbridge_domain::id::EventId;
use swingbridge_domain::path::{Path, Place};
use swingbridge_domain::store::Trust;

pub(super) fn leaving(scene: &Scene<'_>, talk: &Talk, path: &Path) -> Admission {
    let trust = &talk.conversation.trust;
    let standing = path.standing();
    if !trust.standing.is_some_and(|last| standing.is_weaker_than(last)) {
        return Admission::Go(tell(scene, talk, path));
    }
    match trust.downgrade.unwrap_or(talk.line.downgrade) {
        Downgrade::Tell => Admission::Go(tell(scene, talk, path)),
        Downgrade::Refuse => Admission::Refuse {
            words: words::weaker_refused(scene.site, talk, path),
            reason: "downgrade",
        },
        Downgrade::Ask => {
            let question = words::weaker_question(scene.site, talk, path);
            Admission::Hold {
                ask: ask(talk, Asked::Downgrade(standing), question),
                words: words::held_for_downgrade(&scene.site.command_prefix),
            }
        }
    }
}

/// A message took another way than was thought, and it has left. People are told; where a weaker way needs their word, the next
/// message waits for it.
pub(crate) fn surprised(scene: &Scene<'_>, talk: &Talk, path: &Path, event: Option<&EventId>) -> Vec<Effect> {
    let trust = &talk.conversation.trust;
    let weaker = trust
        .standing
        .is_some_and(|last| path.standing().is_weaker_than(last));
    if !weaker || trust.downgrade.unwrap_or(talk.line.downgrade) == Downgrade::Tell {
        return tell(scene, talk, path);
    }
    vec![
        logged(
            Kind::PolicyApplied,
            talk,
            None,
            format!("left less protected than was thought: {}", path.code()),
        ),
        notice(talk, words::left_weaker(scene.site, path), event.cloned()),
    ]
}

/// Says in words how well messages are protected from now on, when that is news.
pub(super) fn tell(scene: &Scene<'_>, talk: &Talk, path: &Path) -> Vec<Effect> {
    let trust = &talk.conversation.trust;
    if trust.standing == Some(path.standing()) {
        return Vec::new();
    }
    let mut effects = vec![agree_to(talk, path)];
    if trust
        .standing
        .is_some_and(|last| path.standing().is_weaker_than(last))
    {
        effects.push(logged(
            Kind::PolicyApplied,
            talk,
            None,
            format!("less protected from now on: {}", path.code()),
        ));
    }
    let mut told = words::standing(scene.site, talk, path);
    let decided = trust.standing.is_none() && talk.line.consent == Rule::Policy;
    if decided && scene.site.here == Place::Gateway {
        told.push_str(words::DECIDED);
    }
    effects.push(notice(talk, told, None));
    // At first the room says it already: it was made so.
    effects.extend(trust.standing.and_then(|_| describe(talk)));
    effects
}

/// Remembers how well messages are protected, as people know it now.
fn agree_to(talk: &Talk, path: &Path) -> Effect {
    let trust = &talk.conversation.trust;
    let open = trust
        .asked
        .clone()
        .filter(|asked| !matches!(asked, Asked::Downgrade(_)));
    Effect::SetTrust {
        conversation: talk.conversation.id,
        trust: Trust {
            standing: Some(path.standing()),
            asked: open,
            ..trust.clone()
        },
    }
}

/// Brings topic and bridge information up to date; a room that is still to be made will have them right.
pub(crate) fn describe(talk: &Talk) -> Option<Effect> {
    talk.conversation
        .room
        .is_some()
        .then(|| for_room(talk, Payload::Describe))
}
