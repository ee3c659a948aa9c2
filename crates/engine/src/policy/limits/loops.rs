//! Machines that answer machines: an auto-responder on the phone's side, and a bot or our own answers on ours.

use super::Refusal;
use crate::effect::Effect;
use crate::state::Talk;
use crate::step::{Scene, notice};
use crate::words;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::inbox::{RoomEvent, RoomEventKind};
use swingbridge_domain::message::{Message, Tone};
use swingbridge_domain::store::TallyKey;

/// What machines said lately in a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machines {
    pub keys: Keys,
    /// What they wrote within the window, since a person wrote last.
    pub exchanges: i64,
    /// How often the text that has come came within the window.
    pub same: i64,
    /// It came too often, since a person wrote last.
    pub repeated: bool,
    /// The room was told within the window.
    pub told: bool,
}

/// What it is counted under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    pub exchanges: TallyKey,
    pub person: TallyKey,
    pub repeated: TallyKey,
    pub told: TallyKey,
    /// Of the text that has come; absent where none has.
    pub same: Option<TallyKey>,
}

fn add(key: TallyKey, at: Timestamp) -> Effect {
    Effect::Tally { key, at, amount: 1 }
}

/// By convention of Matrix what bots say is a notice, which bots do not answer.
pub(super) fn by_a_machine(message: &Message) -> bool {
    message.first_text().is_some_and(|text| text.tone == Tone::Notice)
}

/// What a user, or a bot in a user's place, writes.
pub(super) fn judge(scene: &Scene<'_>, talk: &Talk, event: &RoomEvent) -> Result<Vec<Effect>, Refusal> {
    let Some(machines) = &scene.state.machines else {
        return Ok(Vec::new());
    };
    let machine = matches!(&event.what, RoomEventKind::Message(message) if by_a_machine(message));
    if !machine {
        // A person is there: it is a conversation again.
        let news = machines.exchanges > 0 || machines.repeated;
        return Ok(news
            .then(|| add(machines.keys.person, scene.now))
            .into_iter()
            .collect());
    }
    if !is_loop(scene, talk) {
        return Ok(vec![add(machines.keys.exchanges, scene.now)]);
    }
    let mut refusal = Refusal::new(words::machines_loop(&talk.line.limits.loops), "loop");
    refusal.quiet = machines.told;
    refusal.also.push(add(machines.keys.told, scene.now));
    Err(refusal)
}

fn is_loop(scene: &Scene<'_>, talk: &Talk) -> bool {
    let loops = &talk.line.limits.loops;
    scene.state.machines.as_ref().is_some_and(|machines| {
        let many = loops.exchanges > 0 && machines.exchanges >= i64::from(loops.exchanges);
        let again = loops.same > 0 && machines.same >= i64::from(loops.same);
        many || again || machines.repeated
    })
}

/// A text came that a machine may answer: it is remembered under a digest, whether it came before.
pub(super) fn came(scene: &Scene<'_>, talk: &Talk) -> Vec<Effect> {
    let Some(machines) = &scene.state.machines else {
        return Vec::new();
    };
    let Some(same) = machines.keys.same else {
        return Vec::new();
    };
    let mut effects = vec![add(same, scene.now)];
    let most = i64::from(talk.line.limits.loops.same);
    if most > 0 && machines.same + 1 >= most {
        effects.push(add(machines.keys.repeated, scene.now));
    }
    effects
}

/// Whether the gateway may answer by itself, with what is remembered of it; where not, the room is told once.
pub(super) fn may_answer(scene: &Scene<'_>, talk: &Talk) -> Result<Vec<Effect>, Vec<Effect>> {
    let Some(machines) = &scene.state.machines else {
        return Ok(Vec::new());
    };
    if !is_loop(scene, talk) {
        return Ok(vec![add(machines.keys.exchanges, scene.now)]);
    }
    let mut told = vec![add(machines.keys.told, scene.now)];
    if !machines.told {
        told.push(notice(
            talk,
            words::no_more_answers(&talk.line.limits.loops),
            None,
        ));
    }
    Err(told)
}
