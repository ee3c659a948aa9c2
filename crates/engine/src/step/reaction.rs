//! From a phone: reactions, and what its sender takes back.

use super::Scene;
use super::inbound::{Shown, by, show};
use crate::effect::Effect;
use crate::payload::{Payload, Reaction};
use crate::state::Talk;
use crate::step::for_room;
use crate::words;
use swingbridge_domain::inbox::InboundMessage;
use swingbridge_domain::message::{Body, Text};

/// Somebody reacts, in another way than before, or no longer.
pub(super) fn came(scene: &Scene<'_>, talk: &Talk, inbound: &InboundMessage) -> Vec<Effect> {
    let mut effects = Vec::new();
    let speaker = by(scene, inbound);
    if let Some(earlier) = &scene.state.reacted {
        effects.push(for_room(
            talk,
            Payload::Redact {
                message: earlier.id,
                by: speaker.clone(),
            },
        ));
    }
    let Some(Body::Text(key)) = inbound.message.parts.first().map(|part| &part.body) else {
        // Named by itself, and not by who reacts to what.
        if scene.state.reacted.is_none() && inbound.message.in_reply_to.is_none() {
            effects.extend(taken_back(scene, talk, inbound));
        }
        return effects;
    };
    let Some(target) = scene.state.referred.first() else {
        // What it is for came before us, or is forgotten: it can only be said.
        let text = Text {
            plain: words::reacted_to_something(&key.plain),
            ..Text::default()
        };
        effects.extend(show(scene, talk, Shown::of(scene, inbound, text)));
        return effects;
    };
    let reaction = Reaction {
        to: target.id,
        key: key.plain.clone(),
        by: speaker,
        way: inbound.way.clone(),
    };
    let shown = Shown {
        reaction: Some(reaction),
        // By the network's own name some take it back.
        named: scene
            .state
            .reactor
            .iter()
            .chain(&inbound.network_id)
            .cloned()
            .collect(),
        ..Shown::of(scene, inbound, Text::default())
    };
    effects.extend(show(scene, talk, shown));
    effects
}

/// The sender took a message back: all that was made of it goes.
pub(super) fn taken_back(scene: &Scene<'_>, talk: &Talk, inbound: &InboundMessage) -> Vec<Effect> {
    let redact = |message| Payload::Redact {
        message,
        by: by(scene, inbound),
    };
    scene
        .state
        .referred
        .iter()
        .map(|record| for_room(talk, redact(record.id)))
        .collect()
}
