//! Commands about who can read: `path`, `consent`, `policy`, `pins`.

use super::{Command, Verdict, Wish};
use crate::effect::Effect;
use crate::policy::{self, answers};
use crate::state::Talk;
use crate::step::{Scene, answer_in};
use crate::words;
use std::fmt::Write;
use std::sync::Arc;
use swingbridge_domain::consent::{Downgrade, Rule};
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::line::Line;

const NOT_HERE: &str = "Write it in the room of a conversation of yours.";

pub(super) fn run(scene: &Scene<'_>, event: &RoomEvent, command: &Command) -> Vec<Effect> {
    let reply = |text: String| vec![answer_in(&event.room, text, Some(&event.event))];
    let talk = scene
        .state
        .talk
        .as_ref()
        .filter(|talk| scene.may_use(&event.sender, &talk.line));
    match (command, talk) {
        (Command::Path(_), _) => reply(path(scene, talk)),
        (Command::Consent(wish, line), _) => match wish {
            Wish::List => reply(consents(scene, event)),
            Wish::Give => consent(scene, event, talk, line.as_deref(), true),
            Wish::Withdraw => consent(scene, event, talk, line.as_deref(), false),
        },
        (Command::Policy(Some(rule)), Some(talk)) => {
            let mut effects = answers::rule(talk, &event.sender, *rule);
            effects.extend(reply(rule_in_words(*rule).to_owned()));
            effects
        }
        (Command::Policy(None), Some(talk)) => {
            let own = talk.conversation.trust.downgrade;
            let whose = if own.is_some() {
                "This conversation's rule"
            } else {
                "The line's rule"
            };
            reply(format!(
                "{whose}: {} `policy refuse`, `policy ask` or `policy tell` changes it for this conversation.",
                rule_in_words(own.unwrap_or(talk.line.downgrade))
            ))
        }
        (Command::Pins(verdict), Some(talk)) => pins(scene, event, talk, *verdict),
        _ => reply(NOT_HERE.to_owned()),
    }
}

fn path(scene: &Scene<'_>, talk: Option<&Talk>) -> String {
    let Some(talk) = talk else {
        return NOT_HERE.to_owned();
    };
    let here = talk.conversation.id;
    match &scene.state.message {
        Some(message) if message.conversation != here => {
            "That message is no part of a conversation of yours.".to_owned()
        }
        Some(message) => match &message.path {
            Some(path) => words::path(scene.site, path),
            None => "Nothing is kept of the way of that message.".to_owned(),
        },
        None => {
            let path = policy::outward(
                scene.site,
                &talk.line,
                &talk.conversation.trust.way,
                policy::room_now(scene.site, talk),
            );
            format!("As things are now: {}", words::path(scene.site, &path))
        }
    }
}

fn consents(scene: &Scene<'_>, event: &RoomEvent) -> String {
    let mut text = String::new();
    let lines = || {
        scene
            .site
            .lines
            .iter()
            .filter(|line| scene.may_use(&event.sender, line))
    };
    for line in lines().filter(|line| line.consent == Rule::Policy) {
        let _ = write!(
            text,
            "\n• {}: the operator has decided for all its users",
            line.name
        );
    }
    for consent in &scene.state.consents {
        let name = lines()
            .find(|line| line.id == consent.line)
            .map_or("a line", |line| &line.name);
        let scope = match consent.conversation {
            Some(id) => format!("conversation {id} on {name}"),
            None => name.to_owned(),
        };
        let said = if consent.given { "agreed" } else { "not agreed" };
        let _ = write!(
            text,
            "\n• {scope}: {said} on {}, terms {}: readable by {}",
            consent.at,
            consent.terms.version,
            consent.terms.readers.join(", ")
        );
    }
    match text.is_empty() {
        true => "You were asked nothing yet.".to_owned(),
        false => format!("What you agreed to:{text}"),
    }
}

fn consent(
    scene: &Scene<'_>,
    event: &RoomEvent,
    talk: Option<&Talk>,
    named: Option<&str>,
    given: bool,
) -> Vec<Effect> {
    let reply = |text: String| vec![answer_in(&event.room, text, Some(&event.event))];
    let line: Option<&Arc<Line>> = match (named, talk) {
        (None, Some(talk)) => Some(&talk.line),
        (None, None) => None,
        (Some(name), _) => scene
            .site
            .lines
            .iter()
            .filter(|line| scene.may_use(&event.sender, line))
            .find(|line| line.id.as_str().eq_ignore_ascii_case(name) || line.name.eq_ignore_ascii_case(name)),
    };
    let Some(line) = line else {
        return reply(match named {
            Some(name) => format!("You have no line called {name:?}. `lines` shows yours."),
            None => "Write it in the room of a conversation, or name the line.".to_owned(),
        });
    };
    if line.consent == Rule::Policy {
        return reply(format!(
            "The operator of {} has decided for all its users: there is nothing to agree to. `path` says who can read.",
            line.name
        ));
    }
    match talk.filter(|talk| talk.line.id == line.id && named.is_none()) {
        Some(talk) => {
            let terms = answers::terms_now(scene, talk);
            answers::consent(scene, talk, &event.sender, terms, given, Some(&event.event))
        }
        None if given && line.consent == Rule::Conversation => reply(format!(
            "{} asks for each conversation: write it in its room.",
            line.name
        )),
        None => {
            let path = policy::outward(scene.site, line, &[], scene.site.privacy.new_rooms);
            let terms = policy::terms(scene.site, line, &path);
            let mut effects = answers::for_line(scene, line, &event.sender, &terms, given);
            effects.extend(reply(match given {
                true => words::consent_given(line, false, &scene.site.command_prefix),
                false => words::consent_withdrawn(line, false, &scene.site.command_prefix),
            }));
            effects
        }
    }
}

fn rule_in_words(rule: Downgrade) -> &'static str {
    match rule {
        Downgrade::Refuse => "a message that would go less protected than before is refused.",
        Downgrade::Ask => "a message that would go less protected than before waits for your word.",
        Downgrade::Tell => {
            "a message that would go less protected than before goes, and you are told before."
        }
    }
}

fn pins(scene: &Scene<'_>, event: &RoomEvent, talk: &Talk, verdict: Verdict) -> Vec<Effect> {
    let reply = |text: &str| vec![answer_in(&event.room, text, Some(&event.event))];
    let changed = scene.state.pins.iter().find(|pin| pin.changed.is_some());
    match (verdict, changed) {
        (Verdict::List, _) => {
            let mut text = String::new();
            for pin in &scene.state.pins {
                let _ = write!(text, "\n• {}", words::pin(pin));
            }
            match text.is_empty() {
                true => reply("No key of this contact is known: the network has none, or none was seen yet."),
                false => reply(&format!("Keys of {}:{text}", talk.shown())),
            }
        }
        (_, None) => reply("No key has changed."),
        (Verdict::Accept, Some(pin)) => {
            answers::key(scene, talk, &event.sender, pin, true, Some(&event.event))
        }
        (Verdict::Reject, Some(pin)) => {
            answers::key(scene, talk, &event.sender, pin, false, Some(&event.event))
        }
    }
}
