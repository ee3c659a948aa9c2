//! What people say: content of message-like events to [`Message`].

use super::reply;
use serde_json::{Map, Value};
use swingbridge_domain::id::EventId;
use swingbridge_domain::message::{
    Body, Disposition, Media, MediaKind, Message, Part, Reference, Text, Tone,
};

type Content = Map<String, Value>;

/// Reads the content of a message-like event. `None`: nothing that anybody said (a status, a step of a call, a body that
/// was redacted).
pub(super) fn message(kind: &str, content: &Content, redacts: Option<&str>) -> Option<Message> {
    match kind {
        "m.room.message" | "m.sticker" | "m.reaction" if content.is_empty() => None,
        "m.room.message" => Some(room_message(content)),
        "m.sticker" => {
            let mut message = one(
                Disposition::Render,
                media(MediaKind::Sticker, kind, content, None),
            );
            message.in_reply_to = replied_to(content);
            Some(message)
        }
        "m.reaction" => Some(reaction(content)),
        "m.room.redaction" => {
            let target = redacts.or_else(|| text(content, "redacts"))?;
            let mut message = one(Disposition::Render, Body::Null);
            message.replaces = Some(event(target));
            Some(message)
        }
        "m.poll.start" | "org.matrix.msc3381.poll.start" => Some(one(
            Disposition::Render,
            poll(content).unwrap_or_else(|| other(kind, content)),
        )),
        _ if is_silent(kind) => None,
        _ => {
            let mut message = one(Disposition::Render, other(kind, content));
            message.in_reply_to = replied_to(content);
            Some(message)
        }
    }
}

/// The plain text of an event's content, for quotes.
pub(crate) fn plain_text(kind: &str, content: &Content) -> Option<String> {
    let message = message(kind, content, None)?;
    message.parts.into_iter().find_map(|part| match part.body {
        Body::Text(text) => Some(text.plain),
        Body::Media(media) => Some(media.caption.unwrap_or(media.name)),
        Body::Poll { question, .. } => Some(question),
        Body::RichCard(card) => Some(card.words()),
        Body::Location { description, .. } => Some(description),
        Body::Other { fallback, .. } => fallback,
        Body::Null => None,
    })
}

/// Types that machines send among themselves, and that come many times for one thing that a person did: the first
/// (`m.call.invite`) is told, the rest would be noise.
fn is_silent(kind: &str) -> bool {
    kind == "com.beeper.message_send_status"
        || kind == "m.dummy"
        || kind == "m.room_key"
        || kind.starts_with("m.key.verification.")
        || (kind.starts_with("m.call.") && kind != "m.call.invite")
        || (kind.starts_with("org.matrix.call.") && kind != "org.matrix.call.invite")
}

fn one(disposition: Disposition, body: Body) -> Message {
    Message {
        parts: vec![Part { disposition, body }],
        ..Message::default()
    }
}

fn room_message(content: &Content) -> Message {
    let relation = content.get("m.relates_to").and_then(Value::as_object);
    if let Some(relation) = relation
        && text(relation, "rel_type") == Some("m.replace")
        && let Some(target) = text(relation, "event_id")
    {
        let mut message = match content.get("m.new_content").and_then(Value::as_object) {
            Some(new) => one_message(new, false, ""),
            // The new text stands in the fallback alone, marked by an asterisk.
            None => one_message(content, false, "* "),
        };
        message.replaces = Some(event(target));
        return message;
    }
    let in_reply_to = replied_to(content);
    let mut message = one_message(content, in_reply_to.is_some(), "");
    message.in_reply_to = in_reply_to;
    message
}

/// Reads `msgtype` and what belongs to it. `quoted`: the body may begin with the quoted text.
fn one_message(content: &Content, quoted: bool, mark: &str) -> Message {
    let body = text(content, "body").unwrap_or_default();
    let body = body.strip_prefix(mark).unwrap_or(body);
    let said = |tone| {
        let plain = if quoted { reply::strip_plain(body) } else { body };
        let html = (text(content, "format") == Some("org.matrix.custom.html"))
            .then(|| text(content, "formatted_body"))
            .flatten()
            .map(|html| html.strip_prefix(mark).unwrap_or(html))
            .map(|html| if quoted { reply::strip_html(html) } else { html })
            .map(str::to_owned);
        let plain = plain.to_owned();
        one(Disposition::Render, Body::Text(Text { plain, html, tone }))
    };
    let kind = text(content, "msgtype").unwrap_or("m.room.message");
    match kind {
        "m.text" => said(Tone::Plain),
        "m.notice" => said(Tone::Notice),
        "m.emote" => said(Tone::Emote),
        "m.image" => one(
            Disposition::Render,
            media(MediaKind::Image, kind, content, Some(body)),
        ),
        "m.video" => one(
            Disposition::Render,
            media(MediaKind::Video, kind, content, Some(body)),
        ),
        "m.audio" => {
            let spoken = ["org.matrix.msc3245.voice", "m.voice"]
                .iter()
                .any(|key| content.contains_key(*key));
            let sort = if spoken {
                MediaKind::Voice
            } else {
                MediaKind::Audio
            };
            one(Disposition::Render, media(sort, kind, content, Some(body)))
        }
        "m.file" => one(
            Disposition::Attachment,
            media(MediaKind::File, kind, content, Some(body)),
        ),
        "m.location" => match text(content, "geo_uri") {
            Some(uri) => one(
                Disposition::Render,
                Body::Location {
                    geo_uri: uri.to_owned(),
                    description: body.to_owned(),
                },
            ),
            None => one(Disposition::Render, other(kind, content)),
        },
        _ => one(Disposition::Render, other(kind, content)),
    }
}

/// A file. Without `body` the content's own stands in. What is encrypted can not be handed on and is told as such.
fn media(kind: MediaKind, type_name: &str, content: &Content, body: Option<&str>) -> Body {
    let body = body.or_else(|| text(content, "body")).unwrap_or_default();
    // Encrypted files stand under `file`, with what opens them (Matrix, "Sending encrypted attachments").
    let file = content.get("file").and_then(Value::as_object);
    let uri = file.map_or_else(|| text(content, "url"), |file| text(file, "url"));
    let Some(uri) = uri.filter(|uri| uri.starts_with("mxc://")) else {
        return other(type_name, content);
    };
    // MSC2530: when both are there and differ, `body` is the caption.
    let (name, caption) = match text(content, "filename").filter(|name| !name.is_empty()) {
        Some(name) if name != body && !body.is_empty() => (name, Some(body.to_owned())),
        Some(name) => (name, None),
        None => (body, None),
    };
    let info = content.get("info").and_then(Value::as_object);
    Body::Media(Media {
        kind,
        name: name.to_owned(),
        mime: info.and_then(|info| text(info, "mimetype")).map(str::to_owned),
        size: info.and_then(|info| info.get("size")).and_then(Value::as_u64),
        uri: uri.to_owned(),
        key: file.and_then(|file| serde_json::to_string(file).ok()),
        duration: info.and_then(|info| info.get("duration")).and_then(Value::as_u64),
        caption,
    })
}

fn reaction(content: &Content) -> Message {
    let relation = content.get("m.relates_to").and_then(Value::as_object);
    let key = relation
        .and_then(|relation| text(relation, "key"))
        .unwrap_or_default();
    // A picture as a reaction has its name beside it.
    let plain = if key.starts_with("mxc://") {
        text(content, "shortcode")
            .or_else(|| text(content, "com.beeper.reaction.shortcode"))
            .unwrap_or(":picture:")
    } else {
        key
    };
    let mut message = one(
        Disposition::Reaction,
        Body::Text(Text {
            plain: plain.to_owned(),
            ..Text::default()
        }),
    );
    message.in_reply_to = relation
        .and_then(|relation| text(relation, "event_id"))
        .map(event);
    message
}

fn poll(content: &Content) -> Option<Body> {
    let start = ["m.poll", "m.poll.start", "org.matrix.msc3381.poll.start"]
        .iter()
        .find_map(|key| content.get(*key)?.as_object())?;
    let answers = start.get("answers").and_then(Value::as_array)?;
    Some(Body::Poll {
        question: extensible(start.get("question")?)?,
        answers: answers.iter().filter_map(extensible).collect(),
    })
}

/// Text in the extensible form (MSC1767): `m.text` holds a list, or a text as in the drafts.
fn extensible(value: &Value) -> Option<String> {
    let object = value.as_object()?;
    ["m.text", "org.matrix.msc1767.text", "body"]
        .iter()
        .find_map(|key| match object.get(*key)? {
            Value::String(text) => Some(text.clone()),
            Value::Array(forms) => forms
                .iter()
                .find(|form| {
                    let mime = form.get("mimetype").and_then(Value::as_str);
                    mime.is_none_or(|mime| mime == "text/plain")
                })
                .and_then(|form| form.get("body")?.as_str())
                .map(str::to_owned),
            _ => None,
        })
}

fn other(kind: &str, content: &Content) -> Body {
    let fallback = text(content, "body")
        .map(str::to_owned)
        .or_else(|| extensible(&Value::Object(content.clone())));
    Body::Other {
        kind: kind.to_owned(),
        fallback,
    }
}

/// What the message answers: an explicit reply, or else the root of its thread (clients without threads are given the thread's
/// newest event as a stand-in, which nobody answered on purpose).
fn replied_to(content: &Content) -> Option<Reference> {
    let relation = content.get("m.relates_to")?.as_object()?;
    let reply = relation
        .get("m.in_reply_to")
        .and_then(Value::as_object)
        .and_then(|reply| text(reply, "event_id"));
    if text(relation, "rel_type") == Some("m.thread") {
        let stand_in = relation.get("is_falling_back").and_then(Value::as_bool) == Some(true);
        let root = text(relation, "event_id");
        return reply.filter(|_| !stand_in).or(root).map(event);
    }
    reply.map(event)
}

fn event(id: &str) -> Reference {
    Reference::Event(EventId::new(id))
}

fn text<'a>(object: &'a Content, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}
