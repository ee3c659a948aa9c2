//! Rooms: who may do what, their state and what is said in them.

use super::call::{Call, Outcome, Refusal, done, forbid, not_found, refuse};
use super::world::{Draft, Event, Requester, Room, World};
use serde_json::{Value, json};

/// The largest event, in octets (Client-Server API, "Size limits").
const LARGEST_EVENT: usize = 65_536;

impl Room {
    fn privileges_creators(&self) -> bool {
        self.version == "12"
    }
}

impl World {
    pub(super) fn room(&self, id: &str) -> Option<&Room> {
        self.rooms.get(id)
    }

    /// A state event of a room.
    pub fn state(&self, room: &str, kind: &str, key: &str) -> Option<&Event> {
        let position = self
            .rooms
            .get(room)?
            .state
            .get(&(kind.to_owned(), key.to_owned()))?;
        Some(&self.events[*position])
    }

    /// What a user is in a room: `join`, `invite`, `leave`, `ban`.
    pub fn membership(&self, room: &str, user: &str) -> Option<&str> {
        self.state(room, "m.room.member", user)?.content["membership"].as_str()
    }

    pub fn joined_rooms(&self, user: &str) -> Vec<String> {
        self.rooms
            .keys()
            .filter(|room| self.membership(room, user) == Some("join"))
            .cloned()
            .collect()
    }

    pub fn joined_members(&self, room: &str) -> Vec<String> {
        let Some(room) = self.rooms.get(room) else {
            return Vec::new();
        };
        let members = room.state.iter().filter(|((kind, _), _)| kind == "m.room.member");
        members
            .filter(|(_, position)| self.events[**position].content["membership"] == "join")
            .map(|((_, user), _)| user.clone())
            .collect()
    }

    pub(super) fn must_be_joined(&self, room: &str, user: &str) -> Result<(), Refusal> {
        match self.membership(room, user) {
            Some("join") => Ok(()),
            _ => forbid(format!("User {user} not in room {room}")),
        }
    }

    /// A user's power level; creators of a version 12 room have all of it.
    pub(super) fn power(&self, room: &Room, user: &str) -> i64 {
        if room.privileges_creators() && room.creators.iter().any(|creator| creator == user) {
            return i64::MAX;
        }
        let levels = self
            .state(&room.id, "m.room.power_levels", "")
            .map(|event| &event.content);
        let level = levels.and_then(|l| l["users"][user].as_i64().or_else(|| l["users_default"].as_i64()));
        level.unwrap_or(0)
    }

    /// The level that `name` (an event type, or `invite`, `kick`, `ban`, `redact`) asks for.
    pub(super) fn level(&self, room: &str, name: &str, is_state: bool) -> i64 {
        let levels = self
            .state(room, "m.room.power_levels", "")
            .map(|event| &event.content);
        let Some(levels) = levels else { return 0 };
        if matches!(name, "invite" | "kick" | "ban" | "redact") {
            return levels[name]
                .as_i64()
                .unwrap_or(if name == "invite" { 0 } else { 50 });
        }
        let default = if is_state {
            levels["state_default"].as_i64().unwrap_or(50)
        } else {
            levels["events_default"].as_i64().unwrap_or(0)
        };
        levels["events"][name].as_i64().unwrap_or(default)
    }

    /// `PUT /rooms/{room}/send/{type}/{txn}` and `PUT /rooms/{room}/redact/{event}/{txn}`.
    pub(super) fn send(&mut self, call: &Call, who: &Requester, room: &str, what: Said<'_>) -> Outcome {
        let key = (who.user.clone(), who.device.clone(), call.path_text());
        if let Some((body, event)) = self.transactions.get(&key) {
            let (same, event) = (*body == call.body, event.clone());
            if !same {
                self.violation(format!(
                    "a transaction id was used again for another body, at {}",
                    shorten(&key.2)
                ));
            }
            return done(json!({"event_id": event}));
        }
        let body = Value::Object(call.object(false)?);
        self.must_be_joined(room, &who.user)?;
        let (kind, redacts) = match what {
            Said::Message(kind) => (kind, None),
            Said::Redaction(event) => ("m.room.redaction", Some(event.to_owned())),
        };
        if kind == "m.room.message" && (!body["msgtype"].is_string() || !body["body"].is_string()) {
            return refuse(400, "M_UNKNOWN", "'body' or 'msgtype' not in content");
        }
        if call.body.len() > LARGEST_EVENT {
            return refuse(413, "M_TOO_LARGE", "event too large");
        }
        if has_fraction(&body) {
            return refuse(400, "M_BAD_JSON", "a number is no integer");
        }
        self.needs_power(room, &who.user, kind, false)?;
        if !matches!(
            kind,
            "m.room.message" | "m.room.encrypted" | "m.reaction" | "m.room.redaction"
        ) {
            self.watch("an event", &body.to_string());
        }
        let ts = self.given_time(call, who);
        let mut content = body;
        if let Some(event) = &redacts {
            content["redacts"] = json!(event);
        }
        let draft = Draft {
            room,
            sender: &who.user,
            kind,
            state_key: None,
            content,
            ts,
            redacts: redacts.clone(),
        };
        let event = self.record(draft);
        if let Some(target) = redacts.and_then(|id| self.index.get(&id).copied()) {
            self.events[target].content = json!({});
            self.events[target].unsigned["redacted_because"] = json!({"event_id": event, "sender": who.user});
        }
        self.transactions.insert(key, (call.body.clone(), event.clone()));
        done(json!({"event_id": event}))
    }

    /// `/rooms/{room}/state[/{type}[/{key}]]`.
    pub(super) fn room_state(&mut self, call: &Call, who: &Requester, room: &str, rest: &[&str]) -> Outcome {
        let (kind, key) = match rest {
            [] => ("", ""),
            [kind] => (*kind, ""),
            [kind, key] => (*kind, *key),
            _ => return refuse(404, "M_UNRECOGNIZED", "Unrecognized request"),
        };
        self.must_be_joined(room, &who.user)?;
        match (call.method.as_str(), kind) {
            ("GET", "") => {
                let positions = self
                    .rooms
                    .get(room)
                    .map(|room| room.state.values().copied().collect::<Vec<_>>());
                let state: Vec<_> = positions
                    .unwrap_or_default()
                    .iter()
                    .map(|at| self.events[*at].to_json())
                    .collect();
                done(Value::Array(state))
            }
            ("GET", _) => match self.state(room, kind, key) {
                Some(event) => done(event.content.clone()),
                None => not_found("Event not found."),
            },
            ("PUT", kind) if !kind.is_empty() => {
                let content = Value::Object(call.object(false)?);
                if kind == "m.room.member" {
                    let membership = content["membership"].as_str().unwrap_or_default().to_owned();
                    return self.set_membership(who, room, key, &membership, &content);
                }
                if key.starts_with('@') && key != who.user {
                    return forbid("You are not allowed to set others state");
                }
                self.needs_power(room, &who.user, kind, true)?;
                self.levels_spare_creators(room, kind, &content)?;
                if who.is_service {
                    self.watch("room state", &format!("{kind} {key} {content}"));
                }
                if let Some(same) = self.state(room, kind, key)
                    && same.content == content
                    && same.sender == who.user
                {
                    return done(json!({"event_id": same.event_id}));
                }
                let ts = self.given_time(call, who);
                let event = self.record(Draft {
                    ts,
                    ..Draft::state(room, &who.user, kind, key, content)
                });
                done(json!({"event_id": event}))
            }
            _ => refuse(405, "M_UNRECOGNIZED", "Unrecognized request"),
        }
    }

    fn needs_power(&self, room: &str, user: &str, kind: &str, is_state: bool) -> Result<(), Refusal> {
        let Some(found) = self.room(room) else {
            return forbid("Unknown room");
        };
        let (has, needs) = (self.power(found, user), self.level(room, kind, is_state));
        if has < needs {
            return forbid(format!(
                "You don't have permission to post that to the room. user_level ({has}) < send_level ({needs})"
            ));
        }
        Ok(())
    }

    /// Power levels of a version 12 room must not name its creators.
    fn levels_spare_creators(&self, room: &str, kind: &str, content: &Value) -> Result<(), Refusal> {
        let Some(room) = self.room(room).filter(|room| room.privileges_creators()) else {
            return Ok(());
        };
        match room
            .creators
            .iter()
            .find(|creator| !content["users"][creator.as_str()].is_null())
        {
            Some(creator) if kind == "m.room.power_levels" => refuse(
                400,
                "M_UNKNOWN",
                format!("Creator user {creator} must not appear in content.users"),
            ),
            _ => Ok(()),
        }
    }

    /// The `?ts=` of application services (Application Service API, "Timestamp massaging").
    fn given_time(&self, call: &Call, who: &Requester) -> Option<i64> {
        call.query("ts")
            .filter(|_| who.is_service)
            .and_then(|ts| ts.parse().ok())
    }
}

/// What `send` is asked to say.
pub(super) enum Said<'a> {
    Message(&'a str),
    Redaction(&'a str),
}

pub(super) fn is_user_id(text: &str) -> bool {
    text.starts_with('@') && text.contains(':')
}

/// Canonical JSON knows integers only.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_i64() && !number.is_u64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(object) => object.values().any(has_fraction),
        _ => false,
    }
}

/// The end of a long path, enough to find it again.
fn shorten(path: &str) -> &str {
    path.char_indices()
        .rev()
        .nth(60)
        .map_or(path, |(at, _)| &path[at..])
}
