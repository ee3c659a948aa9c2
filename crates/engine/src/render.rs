//! What is said, brought to what a network can carry; and what came, brought to text.

use crate::site::{Fallback, MediaPolicy, Policy};
use crate::words;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::{
    Body, Button, Deed, Disposition, Media, Message, Part, Reference, RichCard, Text, Tone,
};

/// What is done with a message from Matrix.
#[derive(Debug, PartialEq)]
pub(crate) enum Rendered {
    /// It can be sent like this. `quote`: the message that it answers is to be quoted in front.
    Send { message: Message, quote: bool },
    /// Media are to be sent as a link, which is made when it leaves.
    Refuse { words: String, reason: &'static str },
}

/// Renders what a Matrix user said for a network that can do `able`. `named`: what the network calls the message that it refers to.
pub(crate) fn outbound(
    message: &Message,
    able: &Capabilities,
    policy: &Policy,
    writer: &str,
    named: Option<&NetworkId>,
) -> Rendered {
    let Some(part) = message.parts.first() else {
        return refuse(words::EMPTY, "empty");
    };
    let lacks = |support: Support| support == Support::Absent;
    if part.disposition == Disposition::Reaction {
        return reaction(message, part, able, policy, named);
    }
    let correction = message.replaces.is_some();
    let changes = correction && !lacks(able.edits);
    if changes && named.is_none() {
        return refuse(words::REFERS_TO_NOTHING, "unsupported");
    }
    let in_words = correction && !changes;
    if in_words && policy.edits == Fallback::Refuse {
        return refuse(&words::no_edits(able), "unsupported");
    }
    let answers = message.in_reply_to.is_some() && !correction;
    let quote = answers && (lacks(able.replies) || named.is_none());
    let reference = named.cloned().map(Reference::Network);
    let said = match &part.body {
        Body::Text(text) if text.plain.trim().is_empty() => return refuse(words::EMPTY, "empty"),
        Body::Text(text) if text.tone == Tone::Emote => Text {
            plain: format!("* {writer} {}", text.plain),
            ..Text::default()
        },
        Body::Text(text) if lacks(able.formatting) => Text {
            plain: text.plain.clone(),
            ..Text::default()
        },
        Body::Text(text) => text.clone(),
        Body::RichCard(_) if !lacks(able.rich_cards) => {
            return Rendered::Send {
                message: Message {
                    in_reply_to: None,
                    replaces: None,
                    ..message.clone()
                },
                quote: false,
            };
        }
        // What is to be chosen from is what business messaging has buttons for.
        Body::Poll { question, answers } if lacks(able.polls) && !lacks(able.rich_cards) => {
            return Rendered::Send {
                message: card(question, answers),
                quote: false,
            };
        }
        Body::Media(_) if policy.media == MediaPolicy::Refuse && lacks(able.media) => {
            return refuse(&words::no_media(able), "unsupported");
        }
        Body::Media(_) if policy.media == MediaPolicy::Refuse && able.media_links => {
            return refuse(&words::no_link(able), "unsupported");
        }
        // What stands in its place is put there when it leaves: a link would expire in the queue.
        Body::Media(_) => {
            return Rendered::Send {
                message: Message {
                    in_reply_to: reference.filter(|_| answers && !quote),
                    replaces: None,
                    ..message.clone()
                },
                quote,
            };
        }
        Body::Location { geo_uri, description } => Text {
            plain: location(geo_uri, description),
            ..Text::default()
        },
        Body::RichCard(card) => Text {
            plain: card.words(),
            ..Text::default()
        },
        Body::Poll { .. } => return refuse(&words::no_polls(able), "unsupported"),
        Body::Null => return refuse(&words::cannot_withdraw(able), "unsupported"),
        Body::Other { kind, .. } => return refuse(&words::unsupported(able, kind), "unsupported"),
    };
    let said = match in_words {
        true => Text {
            plain: format!("Correction: {}", said.plain),
            ..Text::default()
        },
        false => said,
    };
    Rendered::Send {
        message: Message {
            expires: message.expires,
            in_reply_to: reference.clone().filter(|_| answers && !quote),
            replaces: reference.filter(|_| changes),
            parts: vec![Part {
                disposition: Disposition::Render,
                body: Body::Text(said),
            }],
        },
        quote,
    }
}

/// What was rendered for one network, rendered for another. What it referred to there has no name here.
pub(crate) fn again(message: &Message, able: &Capabilities, policy: &Policy, writer: &str) -> Rendered {
    let apart = Message {
        in_reply_to: None,
        ..message.clone()
    };
    outbound(&apart, able, policy, writer, None)
}

/// A poll as a card with a button for each answer.
fn card(question: &str, answers: &[String]) -> Message {
    let buttons = answers.iter().map(|answer| Button {
        label: answer.clone(),
        deed: Deed::Reply,
    });
    let card = RichCard {
        text: Some(question.to_owned()),
        buttons: buttons.collect(),
        ..RichCard::default()
    };
    Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::RichCard(card),
        }],
        ..Message::default()
    }
}

fn reaction(
    message: &Message,
    part: &Part,
    able: &Capabilities,
    policy: &Policy,
    named: Option<&NetworkId>,
) -> Rendered {
    match (&part.body, able.reactions, named) {
        (Body::Text(_), Support::Partial | Support::Full, Some(named)) => Rendered::Send {
            message: Message {
                in_reply_to: Some(Reference::Network(named.clone())),
                ..message.clone()
            },
            quote: false,
        },
        (Body::Text(_), Support::Partial | Support::Full, None) => {
            refuse(words::REFERS_TO_NOTHING, "unsupported")
        }
        (Body::Text(text), Support::Absent, _) if policy.reactions == Fallback::Text => Rendered::Send {
            message: Message::text(format!("Reacted {}", text.plain)),
            quote: true,
        },
        _ => refuse(&words::no_reactions(able), "unsupported"),
    }
}

fn refuse(words: &str, reason: &'static str) -> Rendered {
    Rendered::Refuse {
        words: words.to_owned(),
        reason,
    }
}

/// A place as words and a link that a phone opens (RFC 5870).
fn location(geo_uri: &str, description: &str) -> String {
    let place = geo_uri.strip_prefix("geo:").unwrap_or(geo_uri);
    let place = place.split(';').next().unwrap_or(place);
    match description.trim() {
        "" => format!("Location: geo:{place}"),
        words => format!("{words}\ngeo:{place}"),
    }
}

/// Puts the link in place of media.
pub(crate) fn linked(media: &Media, link: &str) -> Message {
    match media
        .caption
        .as_deref()
        .map(str::trim)
        .filter(|caption| !caption.is_empty())
    {
        Some(caption) => Message::text(format!("{caption}\n{link}")),
        None => Message::text(format!("{}: {link}", media.name)),
    }
}

/// Puts the beginning of an earlier text in front, as people quote in mail.
pub(crate) fn quoted(message: Message, quote: &str) -> Message {
    const LONGEST: usize = 60;
    let Some(text) = message.first_text() else {
        return message;
    };
    let line = quote
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim();
    let mut short: String = line.chars().take(LONGEST).collect();
    if short.len() < quote.trim().len() {
        short.push_str("...");
    }
    Message {
        expires: message.expires,
        ..Message::text(format!("> {short}\n{}", text.plain))
    }
}

/// Puts the writer's name under a text of a shared line.
pub(crate) fn signed(message: Message, signature: &str, writer: &str) -> Message {
    let Some(text) = message.first_text() else {
        return message;
    };
    Message {
        expires: message.expires,
        ..Message::text(format!("{}\n{}", text.plain, signature.replace("{name}", writer)))
    }
}

/// What came from a phone, as one text; files that are here stand beside it.
pub(crate) fn inbound(message: &Message) -> String {
    let worded = |part: &&Part| !matches!(&part.body, Body::Media(media) if media.uri.starts_with("file:"));
    let said = message.parts.iter().filter(worded).map(|part| match &part.body {
        Body::Text(Text { plain, .. }) => plain.clone(),
        Body::Media(media) => format!("[{:?}: {}]", media.kind, media.name),
        Body::Location { geo_uri, description } => location(geo_uri, description),
        Body::Poll { question, .. } => question.clone(),
        Body::RichCard(card) => card.words(),
        Body::Other { kind, fallback } => fallback.clone().unwrap_or_else(|| format!("[{kind}]")),
        Body::Null => String::new(),
    });
    said.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
