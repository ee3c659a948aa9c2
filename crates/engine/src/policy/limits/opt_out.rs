//! STOP and its kin: a contact wishes no more texts, wishes them again, or asks for help.

use super::automatic;
use super::loops;
use crate::effect::Effect;
use crate::policy::answers::logged;
use crate::state::Talk;
use crate::step::{Scene, Unprocessable, notice};
use crate::words;
use swingbridge_domain::audit::{About, Kind, NewEntry};
use swingbridge_domain::id::{ConnectorId, LineId};
use swingbridge_domain::inbox::{InboundMessage, NetworkAddress, Preference};
use swingbridge_domain::limits::OptOutRule;
use swingbridge_domain::line::Line;
use swingbridge_domain::store::SuppressedBy;

/// What a contact asks of the line, by a text that says nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Stop,
    Start,
    Help,
}

/// Words for STOP: those of the FCC's rule (47 CFR 64.1200(a)(10)) and of providers, and what networks of other tongues use. Letters are small,
/// and what separates words is one space.
const STOP: &[&str] = &[
    "stop",
    "stopall",
    "stop all",
    "end",
    "quit",
    "cancel",
    "unsubscribe",
    "revoke",
    "opt out",
    "optout",
    // French
    "arret",
    "arrêt",
    "désabonner",
    "desabonner",
    // German, Dutch and the north
    "stopp",
    "stoppen",
    "abmelden",
    "abbestellen",
    "afmelden",
    "uitschrijven",
    "avsluta",
    "afmeld",
    // Spanish, Portuguese, Italian
    "alto",
    "baja",
    "darse de baja",
    "parar",
    "pare",
    "sair",
    "cancelar",
    "cancella",
    "annulla",
    // Polish, Czech, Turkish
    "rezygnuję",
    "rezygnuje",
    "odhlásit",
    "iptal",
    // Russian and Ukrainian, Greek, Arabic, Hebrew
    "стоп",
    "отписаться",
    "відписатися",
    "στοπ",
    "διακοπη",
    "διακοπή",
    "إيقاف",
    "توقف",
    "הסר",
    // Chinese, Japanese, Korean
    "退订",
    "退訂",
    "停止",
    "配信停止",
    "수신거부",
];
/// YES is no word for it: people say it to other questions.
const START: &[&str] = &["start", "unstop", "opt in", "optin", "subscribe", "старт"];
const HELP: &[&str] = &["help", "info", "aide", "hilfe", "ayuda", "ajuda", "aiuto"];

/// Words on a button that can be meant for nothing else than texts: "Cancel" and "End" are of a booking or a talk.
const TAPPED_STOP: [&str; 3] = ["stop", "stopall", "unsubscribe"];
const TAPPED_START: &str = "start";

/// What a message from a phone asks, if it says nothing else.
pub(super) fn asked(inbound: &InboundMessage, more: &[String]) -> Option<Heard> {
    let only = inbound.message.parts.len() == 1;
    let text = &inbound.message.first_text().filter(|_| only)?.plain;
    match inbound.tapped {
        true => tapped(text),
        false => reading(text, more),
    }
}

/// Reads the words of a button: they are ours, so few of them are a wish of the contact's.
fn tapped(text: &str) -> Option<Heard> {
    let text = folded(text);
    match text.as_str() {
        stop if TAPPED_STOP.contains(&stop) => Some(Heard::Stop),
        TAPPED_START => Some(Heard::Start),
        _ => None,
    }
}

/// Reads the whole of a text; `more` is what the operator understands as STOP besides.
fn reading(text: &str, more: &[String]) -> Option<Heard> {
    /// Nothing on the lists is longer, in characters.
    const LONGEST: usize = 60;
    let text = text.trim();
    if text.chars().count() > LONGEST {
        return None;
    }
    let text = folded(text);
    let is = |words: &[&str]| words.contains(&text.as_str());
    if is(STOP) || (!text.is_empty() && more.iter().any(|word| folded(word) == text)) {
        Some(Heard::Stop)
    } else if is(START) {
        Some(Heard::Start)
    } else if is(HELP) {
        Some(Heard::Help)
    } else {
        None
    }
}

/// Small letters, words with one space between them, nothing before and behind.
fn folded(text: &str) -> String {
    let small: String = text.chars().flat_map(char::to_lowercase).collect();
    let words = small.split(|c: char| !c.is_alphanumeric() && !is_mark(c));
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A combining accent belongs to the letter before it.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// What follows from a text of a contact besides its being shown.
pub(crate) fn heard(scene: &Scene<'_>, talk: &Talk, inbound: &InboundMessage) -> Vec<Effect> {
    if inbound.own || inbound.history {
        return Vec::new();
    }
    let mut effects = loops::came(scene, talk);
    let rules = &talk.line.opt_out;
    let answer = |text: &Option<String>| match text {
        Some(text) if !inbound.answered => automatic::answer(scene, talk, text),
        _ => Vec::new(),
    };
    let lines = lines(scene, talk, &inbound.connector, &inbound.to);
    match asked(inbound, &rules.words) {
        Some(Heard::Stop) => {
            effects.push(suppress(talk, lines, SuppressedBy::Contact));
            if is_new_stop(scene) {
                effects.extend(stopped(talk, SuppressedBy::Contact));
                effects.extend(answer(&rules.confirm_stop));
            }
        }
        Some(Heard::Start) => {
            effects.push(lift(talk, lines));
            if is_new_start(scene) {
                effects.extend(started(talk));
                effects.extend(answer(&rules.confirm_start));
            }
        }
        Some(Heard::Help) => effects.extend(answer(&rules.help)),
        None => {}
    }
    effects
}

/// Whether a STOP is news: for the conversation's line, or for another one of ours that it was written to (one that the conversation was
/// moved away from). The wish itself is kept either way, for each of the lines.
fn is_new_stop(scene: &Scene<'_>) -> bool {
    let state = scene.state;
    state.suppressed.is_none() || (state.written_to_other && state.suppressed_there.is_none())
}

fn is_new_start(scene: &Scene<'_>) -> bool {
    scene.state.suppressed.is_some() || scene.state.suppressed_there.is_some()
}

/// The network tells what a contact wishes. It has answered the contact itself.
///
/// # Errors
/// [`Unprocessable`] where it is not known which line is meant: a wish is kept for somebody to look at, and not lost.
pub(crate) fn told(scene: &Scene<'_>, preference: &Preference) -> Result<Vec<Effect>, Unprocessable> {
    let Some(talk) = &scene.state.talk else {
        return by_a_stranger(scene, preference);
    };
    let lines = lines(scene, talk, &preference.connector, &preference.to);
    let (kept, news) = match preference.wanted {
        false => (
            suppress(talk, lines, SuppressedBy::Network),
            is_new_stop(scene).then(|| stopped(talk, SuppressedBy::Network)),
        ),
        true => (lift(talk, lines), is_new_start(scene).then(|| started(talk))),
    };
    Ok(std::iter::once(kept).chain(news.into_iter().flatten()).collect())
}

/// The same of somebody with whom there is no conversation: no room to tell, but a later first text is refused.
fn by_a_stranger(scene: &Scene<'_>, preference: &Preference) -> Result<Vec<Effect>, Unprocessable> {
    let Some(line) = scene.site.line_of(&preference.connector, &preference.to) else {
        return Err(Unprocessable(format!(
            "a contact's wish about texts came by connector {} for an address that no line has; give the line that address in `lines`, \
             then run `admin requeue`",
            preference.connector
        )));
    };
    let Some((contact, _)) = &scene.state.met else {
        return Ok(Vec::new());
    };
    let home = scene.site.home(line);
    let mut lines = with_fallback(home);
    if !lines.contains(&line.id) {
        lines.push(line.id.clone());
    }
    let logged = |kind, detail: &str| {
        let entry = NewEntry::new(kind).about(About::Line(line.id.clone()));
        Effect::Audit(entry.detail(format!("contact {}: {detail}", contact.id)))
    };
    let known = scene.state.suppressed.is_some();
    let mut effects = vec![match preference.wanted {
        false => Effect::Suppress {
            lines,
            conversation: None,
            contact: contact.id,
            by: SuppressedBy::Network,
        },
        true => Effect::LiftSuppression {
            lines,
            contact: contact.id,
        },
    }];
    match preference.wanted {
        false if !known => effects.push(logged(Kind::OptedOut, "by the network")),
        true if known => effects.push(logged(Kind::OptOutLifted, "by the contact")),
        _ => {}
    }
    Ok(effects)
}

/// The lines that a wish is about: the conversation's own first, the one that it goes by otherwise, and the one that was told.
fn lines(scene: &Scene<'_>, talk: &Talk, connector: &ConnectorId, to: &NetworkAddress) -> Vec<LineId> {
    let told = scene.site.line_of(connector, to).map(|line| line.id.clone());
    let mut lines = of_conversation(talk);
    lines.extend(told.filter(|told| !lines.contains(told)));
    lines
}

/// The lines that texts of a conversation may leave by.
pub(crate) fn of_conversation(talk: &Talk) -> Vec<LineId> {
    with_fallback(&talk.line)
}

fn with_fallback(line: &Line) -> Vec<LineId> {
    let other = line.fallback.as_ref().map(|other| other.line.clone());
    std::iter::once(line.id.clone()).chain(other).collect()
}

fn suppress(talk: &Talk, lines: Vec<LineId>, by: SuppressedBy) -> Effect {
    Effect::Suppress {
        lines,
        conversation: Some(talk.conversation.id),
        contact: talk.who.contact.id,
        by,
    }
}

fn lift(talk: &Talk, lines: Vec<LineId>) -> Effect {
    Effect::LiftSuppression {
        lines,
        contact: talk.who.contact.id,
    }
}

fn stopped(talk: &Talk, by: SuppressedBy) -> Vec<Effect> {
    let enforced = talk.line.opt_out.rule == OptOutRule::Enforce;
    let detail = match enforced {
        true => format!("by the {}", by.word()),
        false => format!("by the {}; shown, not enforced", by.word()),
    };
    vec![
        logged(Kind::OptedOut, talk, None, detail),
        notice(talk, words::opted_out(&talk.shown(), enforced, by), None),
    ]
}

fn started(talk: &Talk) -> Vec<Effect> {
    vec![
        logged(Kind::OptOutLifted, talk, None, "by the contact"),
        notice(talk, words::opted_in(&talk.shown()), None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_bodies_are_read_in_any_dress() {
        for text in [
            "STOP",
            "stop",
            " Stop. ",
            "\"STOP!\"",
            "StopAll",
            "stop  all",
            "OPT-OUT",
            "opt out",
            "Arrêt",
            "ARRET",
            "UNSUBSCRIBE",
            "СТОП",
            "退订",
            "*stop*",
            "STOP\u{1f6d1}",
        ] {
            assert_eq!(reading(text, &[]), Some(Heard::Stop), "{text}");
        }
        for text in ["START", "unstop"] {
            assert_eq!(reading(text, &[]), Some(Heard::Start), "{text}");
        }
        assert_eq!(reading("Help?", &[]), Some(Heard::Help));
        let padded = format!("stop{}", " ".repeat(100));
        assert_eq!(reading(&padded, &[]), Some(Heard::Stop));
        for text in [
            "",
            "!!!",
            "yes",
            "please stop",
            "stop it",
            "don't stop",
            "the end",
            "stop stop",
            "the bus stop",
            "nonstop",
        ] {
            assert_eq!(reading(text, &[]), None, "{text}");
        }
        assert_eq!(reading("Nie Wieder!", &["nie wieder".into()]), Some(Heard::Stop));
        assert_eq!(reading("", &["!".into()]), None);
    }

    #[test]
    fn a_tapped_button_stops_texts_only_by_plain_words() {
        for text in ["STOP", "Stop!", "StopAll", "Unsubscribe"] {
            assert_eq!(tapped(text), Some(Heard::Stop), "{text}");
        }
        assert_eq!(tapped("Start"), Some(Heard::Start));
        for word in STOP.iter().chain(START).chain(HELP) {
            let plain = TAPPED_STOP.contains(word) || *word == TAPPED_START;
            assert_eq!(tapped(word).is_some(), plain, "{word}");
        }
    }

    #[test]
    fn the_lists_are_written_as_they_are_compared() {
        for word in STOP.iter().chain(START).chain(HELP) {
            assert_eq!(&folded(word), word);
        }
    }
}
