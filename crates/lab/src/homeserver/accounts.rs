//! Users, devices, profiles and account data.

use super::call::{Answer, Call, Outcome, done, forbid, not_found, refuse};
use super::config::Devices;
use super::world::{Draft, Requester, User, World};
use serde_json::{Value, json};

impl World {
    /// `POST /register` with `m.login.application_service`.
    pub(super) fn register(&mut self, call: &Call) -> Outcome {
        if call.token.as_deref() != Some(self.registration().as_token.as_str()) {
            return refuse(
                401,
                "M_UNKNOWN_TOKEN",
                "only the application service registers users here",
            );
        }
        let body = call.object(false)?;
        if body.get("type").and_then(Value::as_str) != Some("m.login.application_service") {
            return refuse(400, "M_UNKNOWN", "the type is not m.login.application_service");
        }
        let Some(name) = body.get("username").and_then(Value::as_str) else {
            return refuse(400, "M_UNKNOWN", "Desired Username is missing or not a string");
        };
        let inhibit = body.get("inhibit_login").and_then(Value::as_bool) == Some(true);
        if !inhibit && self.registration().no_logins {
            return refuse(
                400,
                "M_APPSERVICE_LOGIN_UNSUPPORTED",
                "inhibit_login must be true",
            );
        }
        // Application services may use old characters; the specification's present ones are enough for a new bridge.
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._=-/+".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return refuse(
                400,
                "M_INVALID_USERNAME",
                "the user name has characters that it may not have",
            );
        }
        let user = self.full_user(name);
        self.watch("a user id", &user);
        if !self.of_service(&user) {
            return refuse(
                400,
                "M_EXCLUSIVE",
                "Invalid user localpart for this application service.",
            );
        }
        let is_sender = user == self.sender();
        if self.users.contains_key(&user) && !is_sender {
            return refuse(400, "M_USER_IN_USE", "User ID already taken.");
        }
        self.users.entry(user.clone()).or_insert(User {
            displayname: Some(name.to_owned()),
            ..User::default()
        });
        done(json!({"user_id": user, "home_server": self.config.server_name}))
    }

    pub(super) fn whoami(&self, who: &Requester) -> Outcome {
        let mut answer = json!({"user_id": who.user, "is_guest": false});
        if let (Some(device), true) = (&who.device, self.config.quirks.whoami_device) {
            answer["device_id"] = json!(device);
        }
        done(answer)
    }

    /// `/devices`; `PUT` makes one (Client-Server API v1.17, from MSC4190).
    pub(super) fn devices(&mut self, call: &Call, who: &Requester, rest: &[&str]) -> Outcome {
        let manage = self.config.quirks.devices != Devices::Ignored && who.is_service;
        let Some(user) = self.users.get_mut(&who.user) else {
            return not_found("no such user");
        };
        let shown = |id: &str, name: &Option<String>| json!({"device_id": id, "user_id": who.user, "display_name": name, "last_seen_ts": null, "last_seen_ip": null});
        match (call.method.as_str(), rest) {
            ("GET", []) => {
                let devices: Vec<_> = user.devices.iter().map(|(id, name)| shown(id, name)).collect();
                done(json!({"devices": devices}))
            }
            ("GET", [id]) => match user.devices.get(*id) {
                Some(name) => done(shown(id, name)),
                None => not_found("Not found"),
            },
            ("PUT", [id]) => {
                let body = call.object(false)?;
                let name = body
                    .get("display_name")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                let known = user.devices.contains_key(*id);
                if !known && !manage {
                    return not_found("Device not found");
                }
                let device = user.devices.entry((*id).to_owned()).or_default();
                *device = name.clone().or(device.take());
                self.watch("a device", &format!("{id} {name:?}"));
                Ok(Answer::Json(if known { 200 } else { 201 }, json!({})))
            }
            ("DELETE", [id]) => {
                user.devices.remove(*id);
                done(json!({}))
            }
            _ => refuse(405, "M_UNRECOGNIZED", "Unrecognized request"),
        }
    }

    /// `/profile/{user}`, whole or one field.
    pub(super) fn profile(&mut self, call: &Call, who: Option<&Requester>, rest: &[&str]) -> Outcome {
        let fields = |user: &User| {
            let mut all = json!({});
            for (name, value) in [
                ("displayname", &user.displayname),
                ("avatar_url", &user.avatar_url),
            ] {
                if let Some(value) = value {
                    all[name] = json!(value);
                }
            }
            all
        };
        match (call.method.as_str(), rest) {
            ("GET", [id]) => match self.users.get(*id) {
                Some(user) => done(fields(user)),
                None => refuse(404, "M_UNKNOWN", "No row found (profiles)"),
            },
            ("GET", [id, field]) => match self.users.get(*id) {
                Some(user) => match fields(user).get(*field) {
                    Some(value) => done(json!({*field: value})),
                    None => done(json!({})),
                },
                None => refuse(404, "M_UNKNOWN", "No row found (profiles)"),
            },
            ("PUT", [id, field @ ("displayname" | "avatar_url")]) => {
                let body = call.object(false)?;
                if who.is_none_or(|who| who.user != *id) {
                    return refuse(400, "M_FORBIDDEN", "Cannot set another user's profile");
                }
                let Some(value) = body.get(*field).and_then(Value::as_str) else {
                    return refuse(400, "M_MISSING_PARAM", "the field is missing");
                };
                self.watch("a profile", value);
                self.set_profile(id, field, value);
                done(json!({}))
            }
            _ => refuse(404, "M_UNRECOGNIZED", "Unrecognized request"),
        }
    }

    /// Changes the profile and the membership events of the rooms that the user is in.
    fn set_profile(&mut self, id: &str, field: &str, value: &str) {
        let Some(user) = self.users.get_mut(id) else {
            return;
        };
        let slot = if field == "displayname" {
            &mut user.displayname
        } else {
            &mut user.avatar_url
        };
        if slot.as_deref() == Some(value) {
            return;
        }
        *slot = Some(value.to_owned());
        for room in self.joined_rooms(id) {
            let content = self.member_content(id, "join");
            self.record(Draft::state(&room, id, "m.room.member", id, content));
        }
    }

    /// `/user/{user}/account_data/{type}` and the same for a room, and filters.
    pub(super) fn user_data(&mut self, call: &Call, who: &Requester, rest: &[&str]) -> Outcome {
        let (room, kind) = match rest {
            [_, "account_data", kind] => (String::new(), *kind),
            [_, "rooms", room, "account_data", kind] => ((*room).to_owned(), *kind),
            [_, "filter"] if call.method == "POST" => ("filter".into(), ""),
            _ => return refuse(404, "M_UNRECOGNIZED", "Unrecognized request"),
        };
        if rest[0] != who.user {
            return forbid("Cannot add account data for other users.");
        }
        if call.method == "PUT" && matches!(kind, "m.fully_read" | "m.push_rules") {
            return refuse(405, "M_BAD_JSON", "this type is not set through this API");
        }
        let key = (room, kind.to_owned());
        let object = if call.method == "GET" {
            None
        } else {
            Some(Value::Object(call.object(false)?))
        };
        if let Some(object) = &object {
            self.watch("account data", &object.to_string());
        }
        let Some(user) = self.users.get_mut(&who.user) else {
            return not_found("no such user");
        };
        match (call.method.as_str(), object) {
            ("GET", _) => match user.account_data.get(&key) {
                Some(content) => done(content.clone()),
                None => not_found("Account data not found"),
            },
            ("POST", Some(filter)) => {
                user.filters.push(filter);
                done(json!({"filter_id": (user.filters.len() - 1).to_string()}))
            }
            ("PUT", Some(object)) => {
                user.account_data.insert(key, object);
                done(json!({}))
            }
            _ => refuse(405, "M_UNRECOGNIZED", "Unrecognized request"),
        }
    }
}
