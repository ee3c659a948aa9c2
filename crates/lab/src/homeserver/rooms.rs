//! Rooms: making them, their aliases, their state and what is said in them.

use super::call::{Call, Outcome, Refusal, done, forbid, not_found, refuse};
use super::world::{Draft, Event, Requester, Room, World};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

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

    /// `POST /createRoom`.
    pub(super) fn create_room(&mut self, call: &Call, who: &Requester) -> Outcome {
        let body = call.object(false)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let version = text("room_version")
            .unwrap_or(&self.config.quirks.room_version)
            .to_owned();
        if !matches!(version.as_str(), "11" | "12") {
            return refuse(
                400,
                "M_UNSUPPORTED_ROOM_VERSION",
                "Your homeserver does not support this room version",
            );
        }
        let preset = text("preset").unwrap_or(if text("visibility") == Some("public") {
            "public_chat"
        } else {
            "private_chat"
        });
        if !matches!(preset, "private_chat" | "public_chat" | "trusted_private_chat") {
            return refuse(400, "M_BAD_JSON", format!("'{preset}' is not a valid preset"));
        }
        let invites = strings(body.get("invite"));
        if let Some(bad) = invites.iter().find(|user| !is_user_id(user)) {
            return refuse(400, "M_UNKNOWN", format!("Invalid user_id: {bad}"));
        }
        let alias = match text("room_alias_name") {
            Some(name) => Some(self.new_alias(name, who)?),
            None => None,
        };
        if call.query("user_id").is_some() || who.is_service {
            self.watch("a new room", &Value::Object(body.clone()).to_string());
        }
        let mut creators = vec![who.user.clone()];
        if version == "12" {
            creators.extend(strings(
                body.get("creation_content")
                    .and_then(|content| content.get("additional_creators")),
            ));
            if preset == "trusted_private_chat" {
                creators.extend(invites.iter().cloned());
            }
        }
        let levels = power_levels(&body, &version, preset, &creators, &invites)?;
        let mut creation = body
            .get("creation_content")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        creation.insert("room_version".into(), json!(version));
        if version == "12" && creators.len() > 1 {
            creation.insert("additional_creators".into(), json!(creators[1..]));
        }

        let hash = self.opaque(43);
        let id = if version == "12" {
            format!("!{hash}")
        } else {
            format!("!{}:{}", &hash[..18], self.config.server_name)
        };
        let room = Room {
            id: id.clone(),
            version,
            creators,
            timeline: Vec::new(),
            state: BTreeMap::new(),
        };
        self.rooms.insert(id.clone(), room);
        if let Some(alias) = &alias {
            self.aliases.insert(alias.clone(), (id.clone(), who.user.clone()));
        }
        for (kind, key, content) in self.first_state(&body, preset, &who.user, creation, levels, alias) {
            self.record(Draft::state(&id, &who.user, &kind, &key, content));
        }
        for user in invites {
            let mut content = self.member_content(&user, "invite");
            if body.get("is_direct").and_then(Value::as_bool) == Some(true) {
                content["is_direct"] = json!(true);
            }
            self.record(Draft::state(&id, &who.user, "m.room.member", &user, content));
        }
        done(json!({"room_id": id}))
    }

    /// The state events of a new room, in the order of the specification.
    fn first_state(
        &self,
        body: &Map<String, Value>,
        preset: &str,
        creator: &str,
        creation: Map<String, Value>,
        levels: Value,
        alias: Option<String>,
    ) -> Vec<(String, String, Value)> {
        let mut state: Vec<(String, String, Value)> = vec![
            ("m.room.create".into(), String::new(), Value::Object(creation)),
            (
                "m.room.member".into(),
                creator.into(),
                self.member_content(creator, "join"),
            ),
        ];
        let mut put = |kind: &str, key: &str, content: Value| {
            let slot = state.iter_mut().find(|(known, at, _)| known == kind && at == key);
            match slot {
                Some((_, _, before)) => *before = content,
                None => state.push((kind.into(), key.into(), content)),
            }
        };
        put("m.room.power_levels", "", levels);
        if let Some(alias) = alias {
            put("m.room.canonical_alias", "", json!({"alias": alias}));
        }
        let rule = if preset == "public_chat" {
            "public"
        } else {
            "invite"
        };
        put("m.room.join_rules", "", json!({"join_rule": rule}));
        put(
            "m.room.history_visibility",
            "",
            json!({"history_visibility": "shared"}),
        );
        if preset != "public_chat" {
            put("m.room.guest_access", "", json!({"guest_access": "can_join"}));
        }
        for event in body
            .get("initial_state")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let key = event["state_key"].as_str().unwrap_or_default();
            put(
                event["type"].as_str().unwrap_or_default(),
                key,
                event["content"].clone(),
            );
        }
        for (field, kind) in [("name", "m.room.name"), ("topic", "m.room.topic")] {
            if let Some(text) = body.get(field) {
                put(kind, "", json!({field: text}));
            }
        }
        state
    }

    /// Checks the local part of an alias that is to be.
    fn new_alias(&mut self, name: &str, who: &Requester) -> Result<String, Refusal> {
        if name.contains([':', ' ', '#', '\0']) {
            return refuse(400, "M_UNKNOWN", "Invalid characters in room alias");
        }
        let alias = format!("#{name}:{}", self.config.server_name);
        self.watch("an alias", &alias);
        self.may_use_alias(&alias, who)?;
        if self.aliases.contains_key(&alias) {
            return refuse(400, "M_ROOM_IN_USE", "Room alias already taken");
        }
        Ok(alias)
    }

    fn may_use_alias(&self, alias: &str, who: &Requester) -> Result<(), Refusal> {
        match (who.is_service, self.registration().owns_alias(alias)) {
            (true, false) => refuse(
                400,
                "M_EXCLUSIVE",
                "This application service has not reserved this kind of alias.",
            ),
            (false, true) => refuse(
                400,
                "M_EXCLUSIVE",
                "This alias is reserved by an application service.",
            ),
            _ => Ok(()),
        }
    }

    /// `/directory/room/{alias}`.
    pub(super) fn directory(&mut self, call: &Call, who: Option<&Requester>, alias: &str) -> Outcome {
        if call.method == "GET" {
            return match self.aliases.get(alias) {
                Some((room, _)) => done(json!({"room_id": room, "servers": [self.config.server_name]})),
                None => not_found(format!("Room alias {alias} not found")),
            };
        }
        let Some(who) = who else {
            return refuse(401, "M_MISSING_TOKEN", "Missing access token");
        };
        self.may_use_alias(alias, who)?;
        match call.method.as_str() {
            "PUT" => {
                self.watch("an alias", alias);
                let body = call.object(false)?;
                let room = body.get("room_id").and_then(Value::as_str).unwrap_or_default();
                if self.aliases.contains_key(alias) {
                    return refuse(409, "M_UNKNOWN", format!("Room alias {alias} already exists"));
                }
                if !self.rooms.contains_key(room) {
                    return refuse(400, "M_UNKNOWN", "Room does not exist");
                }
                self.aliases
                    .insert(alias.to_owned(), (room.to_owned(), who.user.clone()));
                done(json!({}))
            }
            // A service may delete what lies in its namespace, again and again.
            "DELETE" if who.is_service || self.aliases.contains_key(alias) => {
                self.aliases.remove(alias);
                done(json!({}))
            }
            "DELETE" => not_found("unknown alias"),
            _ => refuse(405, "M_UNRECOGNIZED", "Unrecognized request"),
        }
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

fn power_levels(
    body: &Map<String, Value>,
    version: &str,
    preset: &str,
    creators: &[String],
    invites: &[String],
) -> Result<Value, Refusal> {
    let privileged = version == "12";
    let mut users = json!({});
    if !privileged {
        users[creators[0].as_str()] = json!(100);
        for user in invites.iter().filter(|_| preset == "trusted_private_chat") {
            users[user.as_str()] = json!(100);
        }
    }
    let mut levels = json!({
        "users": users, "users_default": 0, "events_default": 0, "state_default": 50,
        "ban": 50, "kick": 50, "redact": 50, "invite": if preset == "public_chat" { 50 } else { 0 }, "historical": 100,
        "events": {
            "m.room.name": 50, "m.room.avatar": 50, "m.room.canonical_alias": 50, "m.room.power_levels": 100,
            "m.room.history_visibility": 100, "m.room.encryption": 100, "m.room.server_acl": 100,
            "m.room.tombstone": if privileged { 150 } else { 100 },
        },
    });
    let Some(wanted) = body
        .get("power_level_content_override")
        .and_then(Value::as_object)
    else {
        return Ok(levels);
    };
    if let Some(users) = wanted.get("users").and_then(Value::as_object) {
        if !privileged && !users.contains_key(&creators[0]) {
            return refuse(
                400,
                "M_UNKNOWN",
                "Not a valid power_level_content_override: 'users' did not contain the creator",
            );
        }
        if let Some(creator) = creators
            .iter()
            .find(|creator| privileged && users.contains_key(*creator))
        {
            return refuse(
                400,
                "M_UNKNOWN",
                format!("Creator user {creator} must not appear in content.users"),
            );
        }
    }
    for (name, value) in wanted {
        levels[name.as_str()] = value.clone();
    }
    Ok(levels)
}

pub(super) fn is_user_id(text: &str) -> bool {
    text.starts_with('@') && text.contains(':')
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
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
