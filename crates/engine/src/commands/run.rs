//! What commands do.

use super::{ALL, Command, admin, message, nearest, opt_outs, swap, trust};
use crate::effect::{Carried, Effect, Queue};
use crate::event::Then;
use crate::payload::Payload;
use crate::process::LISTED;
use crate::step::{Scene, answer_in, direct, for_room, matrix};
use crate::words;
use std::fmt::Write;
use std::sync::Arc;
use swingbridge_domain::address::Address;
use swingbridge_domain::audit::{About, Kind, NewEntry};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Link;
use swingbridge_domain::homeserver::{Action, Post};
use swingbridge_domain::inbox::RoomEvent;
use swingbridge_domain::line::{Line, Permission};
use swingbridge_domain::message::{Text, Tone};
use swingbridge_domain::path::Place;
use swingbridge_domain::store::{Lane, RoomRole, Target};

/// Runs a command of `event`'s sender, who may use the bot.
pub(crate) fn run(scene: &Scene<'_>, event: &RoomEvent, command: &Command) -> Vec<Effect> {
    let reply = |text: String| vec![answer_in(&event.room, text, Some(&event.event))];
    let admin = scene.site.permissions.of(&event.sender) == Some(Permission::Admin);
    let for_admins = matches!(
        command,
        Command::Queues | Command::Buried | Command::Requeue | Command::OptOuts(_)
    );
    if for_admins && !admin {
        let mut effects = vec![audited(event, Kind::AdminRefused)];
        effects.extend(reply("Only admins of this gateway may do that.".to_owned()));
        return effects;
    }
    match command {
        Command::Help => reply(help(scene, admin)),
        Command::Version => reply(format!("Swingbridge {}", scene.site.version)),
        Command::Ping => reply(ping(scene, event)),
        Command::Lines => reply(lines(scene, event)),
        Command::StartChat { line, number } => start_chat(scene, event, line.as_deref(), number),
        Command::List => reply(list(scene, event)),
        Command::Id => reply(id(scene)),
        Command::DeletePortal => delete_portal(scene, event),
        Command::Status(_) => reply(message::status(scene, event)),
        Command::Retry(_) => message::retry(scene, event),
        Command::Path(_) | Command::Consent(..) | Command::Policy(_) | Command::Pins(_) => {
            trust::run(scene, event, command)
        }
        Command::Card(card) => match &scene.state.talk {
            Some(_) => matrix::card(scene, event, card.clone()),
            None => reply("Write that in the room of the conversation that the card is for.".to_owned()),
        },
        Command::Reach => reach(scene, event),
        Command::Swap(wanted) => swap::run(scene, event, wanted),
        Command::OptOuts(what) => opt_outs::run(scene, event, what),
        Command::Queues => reply(admin::queues(scene)),
        Command::Buried => reply(admin::buried(scene)),
        Command::Requeue => {
            let mut effects = vec![Effect::Exhume, audited(event, Kind::Requeued)];
            effects.extend(reply(
                "What was buried is processed once more. `buried` shows what is left.".to_owned(),
            ));
            effects
        }
        Command::Usage(usage) => reply(format!("That is written like this: {usage}")),
        Command::Unknown(word) if word.is_empty() => reply("Write `help` for what I can do.".to_owned()),
        Command::Unknown(word) => reply(match nearest(word) {
            Some(name) => {
                format!("I do not know `{word}`. Did you mean `{name}`? Write `help` for all I can do.")
            }
            None => format!("I do not know `{word}`. Write `help` for what I can do."),
        }),
    }
}

/// An entry of the audit log about what the sender of `event` did.
fn audited(event: &RoomEvent, kind: Kind) -> Effect {
    Effect::Audit(NewEntry::new(kind).by(&event.sender))
}

fn help(scene: &Scene<'_>, admin: bool) -> String {
    let mut text = String::from("What I can do:\n");
    for (name, after, does, only_admins) in ALL {
        if only_admins && !admin {
            continue;
        }
        let space = if after.is_empty() { "" } else { " " };
        let _ = writeln!(text, "• {name}{space}{after}: {does}");
    }
    if scene.site.here == Place::Device {
        // The program answers it, before the engine hears of it.
        text.push_str("• uptime: how well this device has served\n");
    }
    let _ = write!(
        text,
        "In a conversation's room, write `{} help` and so on.",
        scene.site.command_prefix
    );
    text
}

fn own_lines<'a>(scene: &'a Scene<'_>, event: &'a RoomEvent) -> impl Iterator<Item = &'a Arc<Line>> {
    scene
        .site
        .lines
        .iter()
        .filter(|line| scene.may_use(&event.sender, line))
}

fn ping(scene: &Scene<'_>, event: &RoomEvent) -> String {
    let mut text = String::from("I am here.");
    for line in own_lines(scene, event) {
        let _ = write!(text, "\n• {}: {}", line.name, connection(scene, line));
    }
    text
}

fn connection(scene: &Scene<'_>, line: &Line) -> String {
    let Some(health) = scene.state.health.get(&line.connector) else {
        return "not started yet".to_owned();
    };
    let state = match health.state {
        Link::Connected => "connected",
        Link::Degraded => "connected with limits",
        Link::Disconnected => "not connected",
        Link::Refused => "refused by the network",
    };
    let traffic = health
        .last_traffic
        .map(|at| format!(", last traffic {} ago", ago(scene.now, at)))
        .unwrap_or_default();
    match health.detail.is_empty() {
        true => format!("{state}{traffic}"),
        false => format!("{state} ({}){traffic}", health.detail),
    }
}

pub(super) fn ago(now: Timestamp, at: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn lines(scene: &Scene<'_>, event: &RoomEvent) -> String {
    let mut text = String::new();
    for line in own_lines(scene, event) {
        let network = scene.site.network_of(line).to_uppercase();
        let _ = write!(
            text,
            "\n• {}: {}, {network} from {}",
            line.id,
            line.name,
            line.address.full()
        );
    }
    match text.is_empty() {
        true => "There is no line that you may use. Ask the operator to add you to one.".to_owned(),
        false => format!("Your lines; the first is used when you name none:{text}"),
    }
}

fn start_chat(scene: &Scene<'_>, event: &RoomEvent, wanted: Option<&str>, number: &str) -> Vec<Effect> {
    let reply = |text: String| vec![answer_in(&event.room, text, Some(&event.event))];
    let line = match wanted {
        // In the room that shares a line, that line is meant.
        None => own_lines(scene, event)
            .find(|line| line.access.inbox.as_ref() == Some(&event.room))
            .or_else(|| own_lines(scene, event).next()),
        Some(name) => own_lines(scene, event)
            .find(|line| line.id.as_str().eq_ignore_ascii_case(name) || line.name.eq_ignore_ascii_case(name)),
    };
    let Some(line) = line else {
        return reply(match wanted {
            Some(name) => format!("You have no line called {name:?}. `lines` shows yours."),
            None => words::NO_PERMISSION.replace("Not sent: you", "You"),
        });
    };
    match Address::from_user(number, line.region) {
        Ok(address) if address == line.address => reply(format!(
            "That is the number of {} itself. Give the number of the other phone.",
            line.name
        )),
        Ok(address) => {
            let then = Then::Started {
                by: Some(event.sender.clone()),
                answer_in: Some(event.room.clone()),
            };
            vec![Effect::Open {
                line: line.id.clone(),
                address,
                then,
            }]
        }
        Err(error) => reply(format!("{number:?}: {error}.")),
    }
}

fn list(scene: &Scene<'_>, event: &RoomEvent) -> String {
    let mut text = String::new();
    for talk in scene
        .state
        .survey
        .talks
        .iter()
        .filter(|talk| scene.may_use(&event.sender, &talk.line))
    {
        let room = talk
            .conversation
            .room
            .as_ref()
            .map_or_else(|| "no room yet".to_owned(), words::link);
        let last = ago(scene.now, talk.conversation.last_at);
        let _ = write!(
            text,
            "\n• {} on {}, last {last} ago: {room}",
            talk.shown(),
            talk.line.name
        );
    }
    match text.is_empty() {
        true => "You have no conversations yet. `start-chat NUMBER` begins one.".to_owned(),
        false if scene.state.survey.more => {
            format!("Your conversations, the latest {LISTED}; there are more:{text}")
        }
        false => format!("Your conversations, the latest first:{text}"),
    }
}

fn id(scene: &Scene<'_>) -> String {
    match (&scene.state.talk, &scene.state.role) {
        (Some(talk), _) => format!(
            "Conversation {} with {} on line {} ({}), by connector {}.",
            talk.conversation.id,
            talk.shown(),
            talk.line.id,
            talk.line.name,
            talk.line.connector
        ),
        (None, Some(RoomRole::Management(user))) => format!("The management room of {user}."),
        (None, Some(RoomRole::Space(line))) => format!("The space of line {line}."),
        _ => "This room is no conversation of this bridge.".to_owned(),
    }
}

fn delete_portal(scene: &Scene<'_>, event: &RoomEvent) -> Vec<Effect> {
    match &scene.state.talk {
        Some(talk) if scene.may_use(&event.sender, &talk.line) => {
            let leave = Payload::Leave {
                room: event.room.clone(),
                generation: talk.conversation.generation,
            };
            // By its own room, which the conversation has no more when this is said.
            let text = Text {
                plain: words::GIVEN_UP.to_owned(),
                tone: Tone::Notice,
                ..Text::default()
            };
            let farewell = Post {
                in_reply_to: Some(event.event.clone()),
                ..Post::by_bot(event.room.clone(), text)
            };
            vec![
                direct(Lane::Conversation(talk.conversation.id), Action::Post(farewell)),
                for_room(talk, leave),
                Effect::Renew(talk.conversation.id),
                Effect::Audit(
                    NewEntry::new(Kind::PortalDeleted)
                        .by(&event.sender)
                        .about(About::Conversation(talk.conversation.id)),
                ),
            ]
        }
        _ => vec![answer_in(
            &event.room,
            "This room is no conversation of yours.",
            Some(&event.event),
        )],
    }
}

/// Asks the networks of a conversation's lines; each answers for itself.
fn reach(scene: &Scene<'_>, event: &RoomEvent) -> Vec<Effect> {
    let Some(talk) = scene.state.talk.as_ref().filter(|talk| !talk.is_group()) else {
        let words = "Ask that in the room of a conversation with one phone.";
        return vec![answer_in(&event.room, words, Some(&event.event))];
    };
    let other = scene.site.fallback_of(&talk.line).map(|(_, other)| other);
    let ask = |line: &Arc<Line>| {
        Effect::Queue(Box::new(Queue {
            target: Target::Connector(line.connector.clone()),
            lane: Lane::Conversation(talk.conversation.id),
            payload: Payload::Reach {
                line: line.id.clone(),
                event: event.event.clone(),
            },
            expires_at: Some(scene.now + scene.site.policy.patience * 4),
            message: Carried::None,
            held: false,
        }))
    };
    std::iter::once(&talk.line).chain(other).map(ask).collect()
}
