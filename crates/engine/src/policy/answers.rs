//! What people say to a question, by a reaction or a command.

use super::{by_way_of, terms, version, way};
use crate::effect::Effect;
use crate::state::Talk;
use crate::step::{Scene, notice};
use crate::words;
use std::borrow::Cow;
use swingbridge_domain::audit::{About, Kind, NewEntry};
use swingbridge_domain::consent::{Asked, Consent, Downgrade, Question, Rule, Terms};
use swingbridge_domain::id::{ConversationId, EventId, UserId};
use swingbridge_domain::line::Line;
use swingbridge_domain::message::{Body, Disposition, Message};
use swingbridge_domain::store::{Pin, Trust};

/// A reaction as an answer: yes, no, or neither.
pub(crate) fn reading(message: &Message) -> Option<bool> {
    let part = message
        .parts
        .first()
        .filter(|part| part.disposition == Disposition::Reaction)?;
    let Body::Text(text) = &part.body else {
        return None;
    };
    // Clients put a variation selector behind some of them.
    match text.plain.trim_end_matches(['\u{fe0f}', '\u{fe0e}']) {
        "✅" | "✔" | "☑" | "👍" => Some(true),
        "❌" | "✖" | "❎" | "🚫" | "👎" => Some(false),
        _ => None,
    }
}

/// `user` answers `question`, which stands in the event `asked`, by a reaction.
pub(crate) fn answered(
    scene: &Scene<'_>,
    talk: &Talk,
    question: &Question,
    user: &UserId,
    yes: bool,
    asked: Option<EventId>,
) -> Vec<Effect> {
    match &question.about {
        Asked::Consent(terms) => {
            let talk = match &question.line {
                None => whose(scene, talk, terms),
                line => by_way_of(scene.site, talk, line.as_ref()),
            };
            consent(scene, &talk, user, terms.clone(), yes, asked.as_ref())
        }
        Asked::Downgrade(standing) if talk.conversation.trust.asked.as_ref() == Some(&question.about) => {
            let trust = Trust {
                standing: if yes {
                    Some(*standing)
                } else {
                    talk.conversation.trust.standing
                },
                asked: None,
                ..talk.conversation.trust.clone()
            };
            // What was asked about is what is said now.
            let asked_of = by_way_of(scene.site, talk, question.line.as_ref());
            let room = way::room_now(scene.site, talk);
            let path = way::outward(scene.site, &asked_of.line, asked_of.way(), room);
            let words = match yes {
                true => words::standing(scene.site, &asked_of, &path),
                false => words::WEAKER_DECLINED.to_owned(),
            };
            let detail = match yes {
                true => "a message may go less protected",
                false => "a message may not go less protected",
            };
            let mut effects = vec![
                logged(Kind::PolicyApplied, talk, Some(user), detail),
                set_trust(talk, trust),
                notice(talk, words, asked),
                review(talk, !yes),
            ];
            effects.extend(super::describe(talk));
            effects
        }
        Asked::Key { scheme, fingerprint } => {
            let pin = scene
                .state
                .pins
                .iter()
                .find(|pin| pin.scheme == *scheme && pin.changed.as_ref() == Some(fingerprint));
            match pin {
                Some(pin) => key(scene, talk, user, pin, yes, asked.as_ref()),
                None => vec![notice(talk, words::ANSWERED_ALREADY, asked)],
            }
        }
        Asked::Downgrade(_) => vec![notice(talk, words::ANSWERED_ALREADY, asked)],
    }
}

/// The conversation by the line whose terms were asked about by a version that did not note which: its own, or the one that stands in for
/// it.
fn whose<'a>(scene: &Scene<'_>, talk: &'a Talk, terms: &Terms) -> Cow<'a, Talk> {
    let asked = |line: &Line| version(scene.site, line) == terms.version;
    match scene.site.fallback_of(&talk.line) {
        Some((_, other)) if !asked(&talk.line) && asked(other) => Cow::Owned(talk.by(other)),
        _ => Cow::Borrowed(talk),
    }
}

/// `user` agrees or does not, for the conversation or its line as the line's rule says.
pub(crate) fn consent(
    scene: &Scene<'_>,
    talk: &Talk,
    user: &UserId,
    terms: Terms,
    given: bool,
    to: Option<&EventId>,
) -> Vec<Effect> {
    let conversation = match talk.line.consent {
        Rule::Conversation => Some(talk.conversation.id),
        Rule::Line | Rule::Policy => None,
    };
    let mut effects = match conversation {
        None => for_line(scene, &talk.line, user, &terms, given),
        Some(_) => said(scene, &talk.line, user, conversation, &terms, given),
    };
    effects.push(set_trust(
        talk,
        Trust {
            asked: None,
            ..talk.conversation.trust.clone()
        },
    ));
    let words = match given {
        true => words::consent_given(&talk.line, conversation.is_some(), &scene.site.command_prefix),
        false => words::consent_withdrawn(&talk.line, conversation.is_some(), &scene.site.command_prefix),
    };
    effects.push(notice(talk, words, to.cloned()));
    effects
}

/// `user` agrees for a whole line, or does not; what they said of single conversations of it goes along.
pub(crate) fn for_line(
    scene: &Scene<'_>,
    line: &Line,
    user: &UserId,
    terms: &Terms,
    given: bool,
) -> Vec<Effect> {
    let apart =
        scene.state.consents.iter().filter(|consent| {
            &consent.user == user && consent.line == line.id && consent.conversation.is_some()
        });
    let mut effects: Vec<Effect> = apart
        .flat_map(|consent| said(scene, line, user, consent.conversation, terms, given))
        .collect();
    effects.extend(said(scene, line, user, None, terms, given));
    effects
}

/// Remembers it, and decides anew about what it concerns.
fn said(
    scene: &Scene<'_>,
    line: &Line,
    user: &UserId,
    conversation: Option<ConversationId>,
    terms: &Terms,
    given: bool,
) -> Vec<Effect> {
    let about = match conversation {
        Some(id) => About::Conversation(id),
        None => About::Line(line.id.clone()),
    };
    let (kind, detail) = match given {
        true => (
            Kind::ConsentGiven,
            format!(
                "terms {}: readable by {}",
                terms.version,
                terms.readers.join(", ")
            ),
        ),
        false => (Kind::ConsentWithdrawn, format!("terms {}", terms.version)),
    };
    vec![
        Effect::Audit(NewEntry::new(kind).by(user).about(about).detail(detail)),
        Effect::SetConsent(Consent {
            user: user.clone(),
            line: line.id.clone(),
            conversation,
            terms: terms.clone(),
            given,
            at: scene.now,
        }),
        Effect::Review {
            line: line.id.clone(),
            conversation,
            writer: Some(user.clone()),
            declined: false,
        },
    ]
}

/// What a conversation's people agree to as things are now.
pub(crate) fn terms_now(scene: &Scene<'_>, talk: &Talk) -> Terms {
    let path = way::outward(
        scene.site,
        &talk.line,
        &talk.conversation.trust.way,
        way::room_now(scene.site, talk),
    );
    terms(scene.site, &talk.line, &path)
}

/// A contact's new key is trusted from now on, or is not.
pub(crate) fn key(
    scene: &Scene<'_>,
    talk: &Talk,
    user: &UserId,
    pin: &Pin,
    accepted: bool,
    to: Option<&EventId>,
) -> Vec<Effect> {
    let pin = match (accepted, &pin.changed) {
        (true, Some(new)) => Pin {
            fingerprint: new.clone(),
            at: scene.now,
            changed: None,
            rejected: false,
            ..pin.clone()
        },
        _ => Pin {
            rejected: true,
            ..pin.clone()
        },
    };
    let trust = Trust {
        asked: None,
        ..talk.conversation.trust.clone()
    };
    let words = match accepted {
        true => words::key_accepted(&pin),
        false => words::key_rejected(&scene.site.command_prefix),
    };
    let detail = match accepted {
        true => format!("a changed key is trusted: {}", pin.fingerprint),
        false => "a changed key is not trusted".to_owned(),
    };
    vec![
        logged(Kind::PinChanged, talk, Some(user), detail),
        Effect::SetPin(pin),
        set_trust(talk, trust),
        notice(talk, words, to.cloned()),
        review(talk, !accepted),
    ]
}

/// The conversation's own rule for messages that would go less protected.
pub(crate) fn rule(talk: &Talk, user: &UserId, rule: Downgrade) -> Vec<Effect> {
    let trust = Trust {
        downgrade: Some(rule),
        ..talk.conversation.trust.clone()
    };
    vec![
        logged(
            Kind::PolicyApplied,
            talk,
            Some(user),
            format!("the rule for less protected messages is {}", rule.word()),
        ),
        set_trust(talk, trust),
        Effect::Review {
            line: talk.line.id.clone(),
            conversation: Some(talk.conversation.id),
            writer: None,
            declined: false,
        },
    ]
}

/// An entry for the audit log.
pub(super) fn logged(kind: Kind, talk: &Talk, user: Option<&UserId>, detail: impl Into<String>) -> Effect {
    let mut entry = NewEntry::new(kind)
        .about(About::Conversation(talk.conversation.id))
        .detail(detail);
    if let Some(user) = user {
        entry = entry.by(user);
    }
    Effect::Audit(entry)
}

fn set_trust(talk: &Talk, trust: Trust) -> Effect {
    Effect::SetTrust {
        conversation: talk.conversation.id,
        trust,
    }
}

fn review(talk: &Talk, declined: bool) -> Effect {
    Effect::Review {
        line: talk.line.id.clone(),
        conversation: Some(talk.conversation.id),
        writer: None,
        declined,
    }
}
