//! Who is in a room: invites, joins, leaves, kicks and bans (room version 11, "Authorization rules", `m.room.member`).

use super::call::{Call, Outcome, Refusal, done, forbid, not_found, refuse};
use super::rooms::is_user_id;
use super::world::{Draft, Requester, World};
use serde_json::{Value, json};

impl World {
    /// The content of a membership event, with the profile of a local user.
    pub(super) fn member_content(&self, user: &str, membership: &str) -> Value {
        let mut content = json!({"membership": membership});
        if let Some(profile) = self.users.get(user) {
            if let Some(name) = &profile.displayname {
                content["displayname"] = json!(name);
            }
            if let Some(avatar) = &profile.avatar_url {
                content["avatar_url"] = json!(avatar);
            }
        }
        content
    }

    /// `POST /rooms/{room}/{invite, join, leave, kick, ban, unban, forget}`.
    pub(super) fn change_member(&mut self, call: &Call, who: &Requester, room: &str, verb: &str) -> Outcome {
        let body = Value::Object(call.object(verb != "invite")?);
        let target = match verb {
            "join" | "leave" | "forget" => who.user.clone(),
            _ => match body["user_id"].as_str() {
                None => return refuse(400, "M_MISSING_PARAM", "Missing params: ['user_id']"),
                Some(user) if !is_user_id(user) => {
                    return refuse(400, "M_INVALID_PARAM", "Expected UserID string to start with '@'");
                }
                Some(user) => user.to_owned(),
            },
        };
        let before = self.membership(room, &target);
        match verb {
            "forget" if before == Some("join") => refuse(400, "M_UNKNOWN", "the user is in the room"),
            "forget" => done(json!({})),
            "kick" if before != Some("join") && before != Some("invite") => {
                self.must_be_joined(room, &who.user)?;
                forbid("The target user is not in the room")
            }
            "leave" if !self.rooms.contains_key(room) => refuse(404, "M_UNKNOWN", "Not a known room"),
            "leave" if before.is_none() || before == Some("leave") => done(json!({})),
            "kick" | "leave" | "unban" => self.set_membership(who, room, &target, "leave", &body),
            _ => self.set_membership(who, room, &target, verb, &body),
        }?;
        match verb {
            "join" => done(json!({"room_id": room})),
            _ => done(json!({})),
        }
    }

    /// `POST /join/{room or alias}`.
    pub(super) fn join_any(&mut self, call: &Call, who: &Requester, room: &str) -> Outcome {
        let room = match self.aliases.get(room) {
            Some((room, _)) => room.clone(),
            None if room.starts_with('#') => return not_found(format!("Room alias {room} not found")),
            None => room.to_owned(),
        };
        self.change_member(call, who, &room, "join")
    }

    /// Changes a membership if the rules allow it. Repeating one that holds changes nothing.
    pub(super) fn set_membership(
        &mut self,
        who: &Requester,
        room: &str,
        target: &str,
        membership: &str,
        given: &Value,
    ) -> Outcome {
        self.may_change(who, room, target, membership)?;
        let mut content = self.member_content(target, membership);
        if let Some(reason) = given["reason"].as_str() {
            content["reason"] = json!(reason);
        }
        if given["is_direct"].as_bool() == Some(true) {
            content["is_direct"] = json!(true);
        }
        if let Some(same) = self.state(room, "m.room.member", target)
            && same.content["membership"] == membership
            && (membership == "join" || (same.content == content && same.sender == who.user))
        {
            return done(json!({"event_id": same.event_id}));
        }
        if who.is_service {
            self.watch("a membership", &content.to_string());
        }
        let event = self.record(Draft::state(
            room,
            &who.user,
            "m.room.member",
            target,
            content.clone(),
        ));
        if membership == "invite" && self.config.quirks.duplicate_invites {
            self.record(Draft::state(room, &who.user, "m.room.member", target, content));
        }
        done(json!({"event_id": event}))
    }

    fn may_change(&self, who: &Requester, room: &str, target: &str, membership: &str) -> Result<(), Refusal> {
        let user = who.user.as_str();
        let Some(found) = self.room(room) else {
            return match membership {
                "join" => refuse(
                    404,
                    "M_UNKNOWN",
                    "Can't join remote room: no servers have been provided.",
                ),
                _ => forbid("Unknown room"),
            };
        };
        let before = self.membership(room, target);
        let power = self.power(found, user);
        match membership {
            "join" if target != user => forbid("Cannot force another user to join."),
            "join" => match before {
                Some("ban") => forbid("You are banned from this room"),
                Some("join" | "invite") => Ok(()),
                _ if self.is_public(room) => Ok(()),
                _ => forbid("You are not invited to this room."),
            },
            "invite" => {
                self.must_be_joined(room, user)?;
                match before {
                    Some("join") => forbid(format!("{target} is already in the room.")),
                    Some("ban") => forbid(format!("{target} is banned from the room")),
                    _ if power < self.level(room, "invite", false) => {
                        forbid("You don't have permission to invite users")
                    }
                    _ => Ok(()),
                }
            }
            "leave" if target == user => match before {
                Some("join" | "invite" | "knock") => Ok(()),
                _ => forbid("the user is not in the room"),
            },
            "leave" | "ban" => {
                self.must_be_joined(room, user)?;
                let needed = self.level(
                    room,
                    if membership == "ban" || before == Some("ban") {
                        "ban"
                    } else {
                        "kick"
                    },
                    false,
                );
                if power < needed || self.power(found, target) >= power {
                    return forbid(format!("You cannot {membership} user {target}."));
                }
                Ok(())
            }
            _ => refuse(400, "M_BAD_JSON", "unknown membership"),
        }
    }

    fn is_public(&self, room: &str) -> bool {
        self.state(room, "m.room.join_rules", "")
            .is_some_and(|event| event.content["join_rule"] == "public")
    }
}
