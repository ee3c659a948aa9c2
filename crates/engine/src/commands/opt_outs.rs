//! `optouts`: who asked for no more texts, and an end to that.

use super::OptOuts;
use super::run::ago;
use crate::effect::Effect;
use crate::policy::limits::opt_out::of_conversation;
use crate::step::{Scene, answer_in, notice};
use crate::words;
use std::fmt::Write;
use swingbridge_domain::audit::{About, Kind, NewEntry};
use swingbridge_domain::id::{ContactId, LineId};
use swingbridge_domain::inbox::RoomEvent;

pub(super) fn run(scene: &Scene<'_>, event: &RoomEvent, what: &OptOuts) -> Vec<Effect> {
    let reply = |text: String| vec![answer_in(&event.room, text, Some(&event.event))];
    match what {
        OptOuts::List => reply(list(scene)),
        OptOuts::Lift { whose, reason } => {
            let asked = match (whose, &scene.state.talk) {
                (Some((line, contact)), _) => (LineId::new(line), ContactId(*contact)),
                (None, Some(talk)) => (talk.line.id.clone(), talk.who.contact.id),
                (None, None) => return reply("Say whose: `optouts` shows the list.".to_owned()),
            };
            lift(scene, event, &asked, reason).unwrap_or_else(|| {
                reply("That contact has not opted out of that line. `optouts` shows who has.".to_owned())
            })
        }
    }
}

fn list(scene: &Scene<'_>) -> String {
    let mut text = String::new();
    for wish in &scene.state.survey.opted_out {
        let _ = write!(
            text,
            "\n• {}/{}: {}, {} ago, told by the {}",
            wish.line,
            wish.contact,
            wish.shown,
            ago(scene.now, wish.at),
            wish.by.word()
        );
    }
    match text.is_empty() {
        true => "Nobody has opted out.".to_owned(),
        false => format!(
            "Opted out, the latest first; `optouts lift LINE/CONTACT REASON` ends it for one who asked for that in another way:{text}"
        ),
    }
}

fn lift(
    scene: &Scene<'_>,
    event: &RoomEvent,
    asked: &(LineId, ContactId),
    reason: &str,
) -> Option<Vec<Effect>> {
    let (line, contact) = asked;
    let here = scene
        .state
        .talk
        .as_ref()
        .filter(|talk| &talk.line.id == line && talk.who.contact.id == *contact);
    let listed = &scene.state.survey.opted_out;
    let known = listed
        .iter()
        .any(|wish| &wish.line == line && wish.contact == *contact);
    if !known && (here.is_none() || scene.state.suppressed.is_none()) {
        return None;
    }
    let about = match here {
        Some(talk) => About::Conversation(talk.conversation.id),
        None => About::Line(line.clone()),
    };
    let detail = match here {
        Some(_) => reason.to_owned(),
        None => format!("contact {contact}: {reason}"),
    };
    let mut effects = vec![
        Effect::LiftSuppression {
            lines: match here {
                Some(talk) => of_conversation(talk),
                None => vec![line.clone()],
            },
            contact: *contact,
        },
        Effect::Audit(
            NewEntry::new(Kind::OptOutLifted)
                .by(&event.sender)
                .about(about)
                .detail(detail),
        ),
    ];
    effects.push(match here {
        Some(talk) => notice(
            talk,
            words::opt_out_lifted(event.sender.as_str(), reason),
            Some(event.event.clone()),
        ),
        None => answer_in(
            &event.room,
            "Ended: they can be written to again.",
            Some(&event.event),
        ),
    });
    Some(effects)
}
