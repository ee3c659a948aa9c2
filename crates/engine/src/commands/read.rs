//! Commands as people write them.

use super::{Command, OptOuts, Swap, Verdict, Wish};
use swingbridge_domain::consent::Downgrade;
use swingbridge_domain::id::{ConversationId, EventId};
use swingbridge_domain::message::{Body, Button, Deed, Message, Reference, RichCard};

/// Reads a command in a room where most of what is said is not one: it begins with the prefix.
pub(crate) fn in_conversation(prefix: &str, message: &Message) -> Option<Command> {
    if message.replaces.is_some() {
        return None;
    }
    let text = &message.first_text()?.plain;
    let rest = text.trim_start().strip_prefix(prefix)?;
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
    ends.then(|| parse(rest, answered(message)))
}

/// Reads a command in the management room, where everything is one. The prefix may be there all the same.
pub(crate) fn in_management(message: &Message) -> Option<Command> {
    if message.replaces.is_some() {
        return None;
    }
    match &message.parts.first()?.body {
        Body::Text(text) => Some(parse(&text.plain, answered(message))),
        _ => Some(Command::Unknown(String::new())),
    }
}

fn answered(message: &Message) -> Option<EventId> {
    match &message.in_reply_to {
        Some(Reference::Event(event)) => Some(event.clone()),
        _ => None,
    }
}

fn parse(text: &str, reply_to: Option<EventId>) -> Command {
    let text = text.trim().trim_start_matches('!');
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    // `admin queues` is understood as well.
    if word.eq_ignore_ascii_case("admin") && !rest.is_empty() {
        return parse(rest, reply_to);
    }
    let message = || match rest {
        "" => Ok(reply_to.clone()),
        given => event_id(given).map(Some).ok_or(()),
    };
    match word.to_ascii_lowercase().as_str() {
        "help" | "?" => Command::Help,
        "version" => Command::Version,
        "ping" => Command::Ping,
        "lines" => Command::Lines,
        "start-chat" | "pm" | "start" => match start_chat(rest) {
            Some(command) => command,
            None => Command::Usage("start-chat [LINE] NUMBER, such as `start-chat +44 7700 900456`"),
        },
        "list" => Command::List,
        "id" => Command::Id,
        "delete-portal" => Command::DeletePortal,
        "status" => message().map_or(
            Command::Usage("status, as a reply to a message, or status EVENT-ID"),
            Command::Status,
        ),
        "retry" => message().map_or(
            Command::Usage("retry, as a reply to a message, or retry EVENT-ID"),
            Command::Retry,
        ),
        "path" => message().map_or(
            Command::Usage("path, path as a reply to a message, or path EVENT-ID"),
            Command::Path,
        ),
        "consent" => consent(rest),
        "policy" if rest.is_empty() => Command::Policy(None),
        "policy" => Downgrade::from_word(&rest.to_ascii_lowercase()).map_or(
            Command::Usage("policy, policy refuse, policy ask, or policy tell"),
            |rule| Command::Policy(Some(rule)),
        ),
        "pins" => match rest {
            "" | "list" => Command::Pins(Verdict::List),
            "accept" => Command::Pins(Verdict::Accept),
            "reject" => Command::Pins(Verdict::Reject),
            _ => Command::Usage("pins, pins accept, or pins reject"),
        },
        "card" => card(rest).map_or(
            Command::Usage("card TITLE | TEXT | BUTTON | BUTTON=https://… | BUTTON=+NUMBER"),
            Command::Card,
        ),
        "reach" => Command::Reach,
        "swap" => swap(rest).map_or(
            Command::Usage("swap LINE in a conversation's room, or swap CONVERSATION LINE"),
            Command::Swap,
        ),
        "queues" => Command::Queues,
        "buried" => Command::Buried,
        "requeue" => Command::Requeue,
        "optouts" => opt_outs(rest),
        _ => Command::Unknown(word.to_owned()),
    }
}

/// A number may have spaces in it; so a first word is the line's name only when it has a letter, and more comes after it.
fn start_chat(rest: &str) -> Option<Command> {
    if rest.is_empty() {
        return None;
    }
    if let Some((first, number)) = rest.split_once(char::is_whitespace)
        && first.chars().any(char::is_alphabetic)
        && !first.starts_with("tel:")
    {
        return Some(Command::StartChat {
            line: Some(first.to_owned()),
            number: number.trim().to_owned(),
        });
    }
    Some(Command::StartChat {
        line: None,
        number: rest.to_owned(),
    })
}

/// Title, text and buttons between bars. What stands behind the last `=` of a button says what it does.
fn card(rest: &str) -> Option<RichCard> {
    let mut fields = rest.split('|').map(str::trim);
    let filled = |field: Option<&str>| field.filter(|text| !text.is_empty()).map(str::to_owned);
    let (title, text) = (filled(fields.next()), filled(fields.next()));
    let buttons: Vec<Button> = fields.filter(|label| !label.is_empty()).map(button).collect();
    (title.is_some() || text.is_some()).then_some(RichCard {
        title,
        text,
        media: None,
        buttons,
    })
}

fn button(field: &str) -> Button {
    let told = field
        .split_once('=')
        .map(|(label, deed)| (label.trim(), deed.trim()));
    let (label, deed) = match told {
        Some((label, address)) if address.starts_with("https://") => (label, Deed::Open(address.to_owned())),
        Some((label, number)) if number.starts_with('+') => (label, Deed::Dial(number.to_owned())),
        _ => (field, Deed::Reply),
    };
    Button {
        label: label.to_owned(),
        deed,
    }
}

fn swap(rest: &str) -> Option<Swap> {
    let conversation = |word: &str| word.parse().ok().map(ConversationId);
    let (conversation, line) = match rest.split_once(char::is_whitespace) {
        Some((first, line)) if conversation(first).is_some() => (conversation(first), line.trim()),
        _ => (None, rest),
    };
    (!line.is_empty()).then(|| Swap {
        conversation,
        line: line.to_owned(),
    })
}

fn opt_outs(rest: &str) -> Command {
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    let named = |word: &str| {
        let (line, contact) = word.rsplit_once('/')?;
        Some((line.to_owned(), contact.parse().ok()?))
    };
    let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (whose, reason) = match named(first) {
        Some(whose) => (Some(whose), after.trim()),
        None => (None, rest),
    };
    match word {
        "" | "list" => Command::OptOuts(OptOuts::List),
        "lift" if !reason.is_empty() => Command::OptOuts(OptOuts::Lift {
            whose,
            reason: reason.to_owned(),
        }),
        _ => Command::Usage(
            "optouts, or optouts lift LINE/CONTACT REASON with both as the list shows them; in a conversation's room optouts lift REASON",
        ),
    }
}

fn consent(rest: &str) -> Command {
    let (word, line) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let wish = match word {
        "" | "list" => Wish::List,
        "give" => Wish::Give,
        "withdraw" => Wish::Withdraw,
        _ => return Command::Usage("consent list, consent give [LINE], or consent withdraw [LINE]"),
    };
    let line = Some(line.trim().to_owned()).filter(|line| !line.is_empty());
    Command::Consent(wish, line)
}

/// An event id, alone or at the end of a matrix.to link.
fn event_id(text: &str) -> Option<EventId> {
    let last = text.split(['?', ' ']).next()?.rsplit('/').next()?;
    let last = last.replace("%24", "$");
    (last.starts_with('$') && last.len() > 1).then(|| EventId::new(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        for (text, expected) in [
            ("help", Command::Help),
            ("  !help ", Command::Help),
            (
                "start-chat +44 7700 900456",
                Command::StartChat {
                    line: None,
                    number: "+44 7700 900456".into(),
                },
            ),
            (
                "start-chat main 0791",
                Command::StartChat {
                    line: Some("main".into()),
                    number: "0791".into(),
                },
            ),
            (
                "start-chat",
                Command::Usage("start-chat [LINE] NUMBER, such as `start-chat +44 7700 900456`"),
            ),
            ("status", Command::Status(None)),
            ("status $abc", Command::Status(Some(EventId::new("$abc")))),
            (
                "status https://matrix.to/#/!r:x/$abc?via=x",
                Command::Status(Some(EventId::new("$abc"))),
            ),
            (
                "status abc",
                Command::Usage("status, as a reply to a message, or status EVENT-ID"),
            ),
            ("admin queues", Command::Queues),
            ("optouts", Command::OptOuts(OptOuts::List)),
            (
                "optouts lift main/7 asked by phone",
                Command::OptOuts(OptOuts::Lift {
                    whose: Some(("main".into(), 7)),
                    reason: "asked by phone".into(),
                }),
            ),
            (
                "optouts lift asked by phone",
                Command::OptOuts(OptOuts::Lift {
                    whose: None,
                    reason: "asked by phone".into(),
                }),
            ),
            ("hlep", Command::Unknown("hlep".into())),
        ] {
            assert_eq!(in_management(&Message::text(text)), Some(expected), "{text}");
        }
    }

    #[test]
    fn in_conversations_only_the_prefix_makes_a_command() {
        assert_eq!(in_conversation("!sb", &Message::text("help")), None);
        assert_eq!(in_conversation("!sb", &Message::text("!sbx help")), None);
        assert_eq!(
            in_conversation("!sb", &Message::text("!sb help")),
            Some(Command::Help)
        );
        assert_eq!(
            in_conversation("!sb", &Message::text("!sb")),
            Some(Command::Unknown(String::new()))
        );
    }
}
