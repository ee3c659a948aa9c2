//! Whether a message may go its way: limits, consent, keys, and how well it is protected beside the one before it.
//!
//! Architecture Invariant: every message in either direction passes [`leaving`] or [`arriving`] before its row may leave. What
//! is not known to be agreed to waits.

pub(crate) mod answers;
mod consent;
mod fallback;
pub mod limits;
mod pins;
mod standing;
mod way;

pub(crate) use consent::{Stand, is_unknown_beyond, stand, terms, version};
pub(crate) use fallback::{by_way_of, instead, routed};
pub(crate) use pins::seen;
pub(crate) use standing::{describe, surprised};
pub(crate) use way::{inward, outward, rerouted, room_now, to_us, went};

use crate::effect::Effect;
use crate::payload::{Payload, Say};
use crate::state::Talk;
use crate::step::{Scene, for_room};
use crate::words;
use swingbridge_domain::consent::{Asked, Question};
use swingbridge_domain::id::UserId;
use swingbridge_domain::message::{Text, Tone};
use swingbridge_domain::path::Path;
use swingbridge_domain::store::Trust;

/// What is decided about one message.
#[derive(Debug, PartialEq)]
pub(crate) enum Admission {
    /// It may go, after what people are told first.
    Go(Vec<Effect>),
    /// It waits for somebody's word; what the room is asked, if it was not yet.
    Hold { ask: Vec<Effect>, words: String },
    /// It does not go.
    Refuse { words: String, reason: &'static str },
}

/// A text from Matrix by `path`. Order: consent, keys, downgrade.
pub(crate) fn leaving(scene: &Scene<'_>, talk: &Talk, writer: &UserId, path: &Path) -> Admission {
    match stand(scene, talk, writer, path) {
        Stand::Agreed => {}
        Stand::Open => {
            let about = Asked::Consent(terms(scene.site, &talk.line, path));
            let question = words::consent_question(scene.site, talk, path);
            return Admission::Hold {
                ask: ask(talk, about, question),
                words: words::held_for_consent(&scene.site.command_prefix),
            };
        }
        Stand::Declined => {
            return Admission::Refuse {
                words: words::declined(&scene.site.command_prefix),
                reason: "no_consent",
            };
        }
    }
    if let Some(admission) = pins::leaving(scene, talk) {
        return admission;
    }
    standing::leaving(scene, talk, path)
}

/// A text from a phone by `path`.
pub(crate) fn arriving(scene: &Scene<'_>, talk: &Talk, path: &Path) -> Admission {
    if !consent::somebody_agreed(scene, talk, path) {
        let about = Asked::Consent(terms(scene.site, &talk.line, path));
        let question = words::waiting_text(&talk.shown(), &words::consent_question(scene.site, talk, path));
        let asked = ask(talk, about, question);
        let ask = match asked.is_empty() {
            false => asked,
            true => vec![crate::step::notice(talk, words::one_more_waits(), None)],
        };
        return Admission::Hold {
            ask,
            words: String::new(),
        };
    }
    Admission::Go(standing::tell(scene, talk, path))
}

/// Asks the conversation's room, unless it was asked the same of the same line and has not answered.
fn ask(talk: &Talk, about: Asked, question: String) -> Vec<Effect> {
    let known = &talk.conversation.trust;
    let of = known.asked_of.as_ref().unwrap_or(&talk.conversation.line);
    if known.asked.as_ref() == Some(&about) && *of == talk.line.id {
        return Vec::new();
    }
    let trust = Trust {
        asked: Some(about.clone()),
        asked_of: Some(talk.line.id.clone()),
        ..known.clone()
    };
    let text = Text {
        plain: question,
        html: None,
        tone: Tone::Notice,
    };
    let say = Say {
        question: Some(Question {
            conversation: talk.conversation.id,
            about,
            line: Some(talk.line.id.clone()),
        }),
        ..Say::by_bot(text)
    };
    vec![
        Effect::SetTrust {
            conversation: talk.conversation.id,
            trust,
        },
        for_room(talk, Payload::Say(say)),
    ]
}
