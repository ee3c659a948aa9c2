//! From a phone: messages that come in parts.

use super::Scene;
use super::inbound::{Shown, show};
use crate::assembly::{Piece, assembled as put_together};
use crate::effect::Effect;
use std::collections::BTreeMap;
use std::time::Duration;
use swingbridge_domain::id::LineId;
use swingbridge_domain::inbox::PartOf;
use swingbridge_domain::message::Text;
use swingbridge_domain::path::Leg;
use swingbridge_domain::store::Timer;

/// For so long an equal part of a text that is complete is taken for the same once more, by a network that did not hear our answer. Later
/// it is another text: some phones give all of theirs one number.
const REPEATS: Duration = Duration::from_secs(600);

/// A part was added to an assembly.
pub(super) fn assembled(scene: &Scene<'_>, first: bool) -> Vec<Effect> {
    let (Some(talk), Some((assembly, parts))) = (&scene.state.talk, &scene.state.assembly) else {
        return Vec::new();
    };
    let complete = parts.len() == usize::from(assembly.total);
    let mut effects = Vec::new();
    if first {
        if !complete {
            let due = scene.now + scene.site.policy.assembly_wait;
            effects.push(Effect::SetTimer {
                timer: Timer::AssemblyDue(assembly.id),
                due,
            });
        }
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
            way: way(parts),
            line: line(parts),
            ..Shown::new(text)
        };
        effects.extend(show(scene, talk, shown));
    }
    if complete {
        effects.push(Effect::Complete(assembly.id));
        effects.push(Effect::SetTimer {
            timer: Timer::AssemblyGone(assembly.id),
            due: scene.now + REPEATS,
        });
    }
    effects
}

/// The parts of a message were waited for long enough: it is shown with its gaps.
pub(super) fn due(scene: &Scene<'_>) -> Vec<Effect> {
    let (Some(talk), Some((assembly, parts))) = (&scene.state.talk, &scene.state.assembly) else {
        return Vec::new();
    };
    // It was shown: with gaps, or whole.
    if assembly.message.is_some() || parts.is_empty() {
        return Vec::new();
    }
    let text = Text {
        plain: put_together(assembly.total, parts),
        ..Text::default()
    };
    let shown = Shown {
        sent_at: Some(assembly.started_at),
        assembly: Some(assembly.id),
        way: way(parts),
        line: line(parts),
        ..Shown::new(text)
    };
    show(scene, talk, shown)
}

/// A part of a new message came with the number of an old one: the old one is shown as it is, where that was not done yet.
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

/// The line that the parts came by.
fn line(parts: &BTreeMap<u8, Piece>) -> Option<LineId> {
    parts.values().find_map(|piece| piece.line.clone())
}

/// The legs that the parts took, where their connector told of them.
fn way(parts: &BTreeMap<u8, Piece>) -> Vec<Leg> {
    let mut told = parts.values().map(|piece| &piece.way);
    told.find(|way| !way.is_empty()).cloned().unwrap_or_default()
}
