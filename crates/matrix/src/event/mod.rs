//! Events of rooms, as the bridge understands them.
//!
//! The path that every event takes reads a small header that borrows from the request and looks at the sender first;
//! only what people said is read further. Nothing here trusts a field's type: an odd event costs itself, never its
//! neighbours.

mod content;
mod reply;

use crate::config::Names;
use crate::crypto::Notice;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Membership, RoomEvent, RoomEventKind, Unreadable, What};
use swingbridge_domain::path::Protection;

pub(crate) use content::plain_text;

/// What everything in a room has, borrowed from the text that it came in.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    /// Absent in `/sync`.
    #[serde(borrow, default)]
    room_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    origin_server_ts: Option<&'a RawValue>,
    #[serde(borrow, default)]
    state_key: Option<Text<'a>>,
    #[serde(borrow)]
    content: &'a RawValue,
    /// Room versions 1 to 10.
    #[serde(borrow, default)]
    redacts: Option<Text<'a>>,
    #[serde(borrow, default)]
    unsigned: Option<&'a RawValue>,
}

/// Lets an optional text borrow as well.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The event is not one (no type, no sender, no id, no room): it is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Matrix event")]
pub(crate) struct Odd;

/// Reads one event. `room` names the room where the event does not. `None`: nothing for the bridge.
pub(crate) fn read(event: &RawValue, room: Option<&str>, names: &Names) -> Result<Option<Arrival>, Odd> {
    read_and_notice(event, room, names, |_| {})
}

/// The same, and tells what changes how rooms are written to, whoever did it.
pub(crate) fn read_and_notice(
    event: &RawValue,
    room: Option<&str>,
    names: &Names,
    notice: impl FnOnce(Notice),
) -> Result<Option<Arrival>, Odd> {
    let header: Header<'_> = serde_json::from_str(event.get()).map_err(|_| Odd)?;
    if let (Some(Text(state_key)), Some(Text(room))) = (&header.state_key, &header.room_id) {
        let room = || room.as_ref().to_owned();
        match header.kind.as_ref() {
            "m.room.member" => notice(Notice::Members { room: room() }),
            "m.room.encryption" if state_key.is_empty() => notice(Notice::Encryption {
                room: room(),
                content: header.content.get().to_owned(),
            }),
            _ => {}
        }
    }
    if names.is_ours(&header.sender) {
        return Ok(None);
    }
    let room = match &header.room_id {
        Some(Text(room)) => room.as_ref(),
        None => room.ok_or(Odd)?,
    };
    if !header.sender.starts_with('@') || !header.event_id.starts_with('$') || !room.starts_with('!') {
        return Err(Odd);
    }
    let Some(what) = kind(&header)? else {
        return Ok(None);
    };
    let sent_at = header
        .origin_server_ts
        .and_then(|ts| ts.get().parse::<f64>().ok())
        .unwrap_or(0.0);
    Ok(Some(arrival(RoomEvent {
        room: RoomId::new(room),
        event: EventId::new(header.event_id.as_ref()),
        sender: UserId::new(header.sender.as_ref()),
        sent_at: Timestamp(sent_at as i64),
        protection: Protection::None,
        what,
    })))
}

/// Wraps an event, told apart by its id alone: homeservers restart, reuse and alter transaction ids.
pub(crate) fn arrival(event: RoomEvent) -> Arrival {
    Arrival {
        dedupe: Dedupe::Event {
            id: event.event.clone(),
            sent_at: event.sent_at,
        },
        what: What::Room(event),
    }
}

fn kind(header: &Header<'_>) -> Result<Option<RoomEventKind>, Odd> {
    if let Some(Text(state_key)) = &header.state_key {
        return match header.kind.as_ref() {
            "m.room.member" => Ok(membership(header, state_key)),
            "m.room.tombstone" => Ok(content(header)?
                .get("replacement_room")
                .and_then(Value::as_str)
                .map(|by| RoomEventKind::Replaced { by: RoomId::new(by) })),
            _ => Ok(None),
        };
    }
    if header.kind == "m.room.encrypted" {
        // What the header says; whoever has keys tries them.
        return Ok(Some(RoomEventKind::Undecryptable {
            cause: Unreadable::NoEncryption,
        }));
    }
    let content = content(header)?;
    // Said through another bridge's eyes: what it brought in comes back to us, and is not the person's own word.
    if content.contains_key("fi.mau.double_puppet_source") {
        return Ok(None);
    }
    let redacts = header.redacts.as_ref().map(|Text(redacts)| redacts.as_ref());
    Ok(content::message(&header.kind, &content, redacts).map(RoomEventKind::Message))
}

fn content(header: &Header<'_>) -> Result<serde_json::Map<String, Value>, Odd> {
    serde_json::from_str(header.content.get()).map_err(|_| Odd)
}

/// A change of membership; `None` when somebody who was in the room only changed name or picture.
fn membership(header: &Header<'_>, user: &str) -> Option<RoomEventKind> {
    #[derive(Deserialize)]
    struct Content {
        membership: String,
        #[serde(default)]
        is_direct: Option<Value>,
    }
    #[derive(Deserialize)]
    struct Unsigned {
        prev_content: Content,
    }
    let content: Content = serde_json::from_str(header.content.get()).ok()?;
    let membership = match content.membership.as_str() {
        "invite" => Membership::Invite,
        "join" => Membership::Join,
        "leave" | "ban" => Membership::Leave,
        "knock" => Membership::Knock,
        _ => return None,
    };
    if membership == Membership::Join
        && let Some(unsigned) = header.unsigned
        && let Ok(before) = serde_json::from_str::<Unsigned>(unsigned.get())
        && before.prev_content.membership == "join"
    {
        return None;
    }
    Some(RoomEventKind::Membership {
        user: UserId::new(user),
        membership,
        direct: content
            .is_direct
            .and_then(|direct| direct.as_bool())
            .unwrap_or(false),
    })
}

#[cfg(test)]
mod tests;
