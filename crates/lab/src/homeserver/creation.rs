//! Making rooms and giving them aliases.

use super::call::{Call, Outcome, Refusal, done, not_found, refuse};
use super::rooms::is_user_id;
use super::world::{Draft, Requester, Room, World};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl World {
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

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
