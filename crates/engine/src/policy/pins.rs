//! Keys of contacts: trusted on first use, and a change waits for somebody's word.

use super::answers::logged;
use super::{Admission, ask};
use crate::effect::Effect;
use crate::state::Talk;
use crate::step::{Scene, notice};
use crate::words;
use swingbridge_domain::audit::Kind;
use swingbridge_domain::consent::Asked;
use swingbridge_domain::inbox::Identity;
use swingbridge_domain::store::Pin;

/// Nothing is sent to a contact whose key has changed until that is judged.
pub(super) fn leaving(scene: &Scene<'_>, talk: &Talk) -> Option<Admission> {
    let pin = scene.state.pins.iter().find(|pin| pin.changed.is_some())?;
    let changed = pin.changed.clone().unwrap_or_default();
    if pin.rejected {
        return Some(Admission::Refuse {
            words: words::key_rejected(&scene.site.command_prefix),
            reason: "key_changed",
        });
    }
    let about = Asked::Key {
        scheme: pin.scheme,
        fingerprint: changed,
    };
    let question = words::key_question(&scene.site.command_prefix, talk, pin);
    Some(Admission::Hold {
        ask: ask(talk, about, question),
        words: words::held_for_key(&scene.site.command_prefix),
    })
}

/// A contact's key was seen.
pub(crate) fn seen(scene: &Scene<'_>, talk: &Talk, identity: &Identity) -> Vec<Effect> {
    let known = scene.state.pins.iter().find(|pin| pin.scheme == identity.scheme);
    let Some(known) = known else {
        let pin = Pin {
            contact: talk.who.contact.id,
            scheme: identity.scheme,
            fingerprint: identity.fingerprint.clone(),
            connector: identity.connector.clone(),
            at: scene.now,
            changed: None,
            rejected: false,
        };
        return vec![
            logged(
                Kind::PinSet,
                talk,
                None,
                format!("first seen by {}: {}", pin.connector, pin.fingerprint),
            ),
            Effect::SetPin(pin),
        ];
    };
    if known.fingerprint == identity.fingerprint {
        if known.changed.is_none() {
            return Vec::new();
        }
        // The first one is back.
        let pin = Pin {
            changed: None,
            rejected: false,
            ..known.clone()
        };
        return vec![
            logged(Kind::PinChanged, talk, None, "the trusted key is back"),
            Effect::SetPin(pin),
            notice(talk, words::key_is_back(talk), None),
            Effect::Review {
                line: talk.line.id.clone(),
                conversation: Some(talk.conversation.id),
                writer: None,
                declined: false,
            },
        ];
    }
    if known.changed.as_ref() == Some(&identity.fingerprint) {
        return Vec::new();
    }
    let pin = Pin {
        changed: Some(identity.fingerprint.clone()),
        rejected: false,
        ..known.clone()
    };
    let about = Asked::Key {
        scheme: pin.scheme,
        fingerprint: identity.fingerprint.clone(),
    };
    let question = words::key_question(&scene.site.command_prefix, talk, &pin);
    let seen = format!(
        "another key was seen by {}: {}",
        identity.connector, identity.fingerprint
    );
    let mut effects = vec![logged(Kind::PinChanged, talk, None, seen), Effect::SetPin(pin)];
    effects.extend(ask(talk, about, question));
    effects
}
