//! What stands in the bridge's rooms.

use crate::crypto::MEGOLM;
use ruma::UserId;
use serde_json::{Value, json};
use swingbridge_domain::homeserver::{BridgeInfo, NewRoom, RoomKind};

/// MSC2346 under its own name and under the one that clients of today read.
pub(crate) const BRIDGE_TYPES: [&str; 2] = ["m.bridge", "uk.half-shot.bridge"];

/// The power that ghosts have, and that nobody else reaches: enough to invite, and to speak where others may not.
const GHOST: i64 = 50;

/// The room's power levels over those of the preset. `creator` is named up to room version 11 and must not be named from
/// version 12 on.
pub(crate) fn power_levels(new: &NewRoom, creator: Option<&str>, ghost: Option<&str>) -> Value {
    let mut users = serde_json::Map::new();
    users.extend(creator.map(|bot| (bot.to_owned(), json!(100))));
    users.extend(ghost.map(|ghost| (ghost.to_owned(), json!(GHOST))));
    let writable = new.about.writable && new.kind != RoomKind::Space;
    json!({
        "users": users,
        "users_default": 0,
        "events_default": if writable { 0 } else { GHOST },
        "state_default": 50,
        "invite": 50,
        "kick": 50,
        "ban": 50,
        "redact": 50,
    })
}

/// Power levels in which people may or may not write; null when they are so already.
pub(crate) fn with_writing(levels: &Value, writable: bool) -> Value {
    let is = levels.get("events_default").and_then(Value::as_i64).unwrap_or(0) <= 0;
    if is == writable || !levels.is_object() {
        return Value::Null;
    }
    let mut levels = levels.clone();
    levels["events_default"] = json!(if writable { 0 } else { GHOST });
    levels
}

/// Power levels in which `ghost` may speak; `None` when it may already.
pub(crate) fn with_voice(levels: &Value, ghost: &str) -> Option<Value> {
    let number = |value: Option<&Value>| value.and_then(Value::as_i64);
    let needed = number(levels.get("events_default")).unwrap_or(0);
    let usual = number(levels.get("users_default")).unwrap_or(0);
    let has = number(levels.pointer("/users").and_then(|users| users.get(ghost))).unwrap_or(usual);
    if !levels.is_object() || has >= needed || needed > GHOST {
        return None;
    }
    let mut levels = levels.clone();
    levels["users"][ghost] = json!(GHOST);
    Some(levels)
}

/// State that the room is made with.
pub(crate) fn initial_state(new: &NewRoom, bot: &UserId, server: &str, encrypted: bool) -> Vec<Value> {
    // Who comes to a shared line later may read what was said; a direct chat is its own people's.
    let visibility = match new.kind {
        RoomKind::Direct | RoomKind::Management => "invited",
        RoomKind::Group | RoomKind::Space => "shared",
    };
    let mut state = vec![
        json!({ "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": visibility } }),
        json!({ "type": "m.room.guest_access", "state_key": "", "content": { "guest_access": "forbidden" } }),
    ];
    if encrypted {
        let content = json!({ "algorithm": MEGOLM });
        state.push(json!({ "type": "m.room.encryption", "state_key": "", "content": content }));
    }
    if let Some(bridge) = &new.about.bridge {
        let content = bridge_info(bridge, bot, new.kind == RoomKind::Direct);
        let key = bridge_key(bridge);
        state.extend(
            BRIDGE_TYPES.map(|kind| json!({ "type": kind, "state_key": key, "content": content.clone() })),
        );
    }
    if let Some(space) = &new.space {
        let content = json!({ "via": [server], "canonical": true });
        state.push(json!({ "type": "m.space.parent", "state_key": space, "content": content }));
    }
    state
}

/// The stable URI of a conversation.
pub(crate) fn bridge_key(bridge: &BridgeInfo) -> String {
    format!("dev.swingbridge://{}/{}", bridge.line, bridge.channel)
}

/// Bridge information (MSC2346). Holds pseudonyms and names as the engine gave them, never a number of its own.
pub(crate) fn bridge_info(bridge: &BridgeInfo, bot: &UserId, direct: bool) -> Value {
    let mut content = json!({
        "bridgebot": bot,
        "creator": bot,
        "protocol": { "id": bridge.protocol, "displayname": bridge.protocol_name },
        "network": { "id": bridge.line, "displayname": bridge.line_name },
        "channel": { "id": bridge.channel, "displayname": bridge.channel_name },
    });
    if direct {
        content["com.beeper.room_type"] = json!("dm");
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_domain::homeserver::About;
    use swingbridge_domain::id::{LineId, RoomId};

    fn new(kind: RoomKind, writable: bool) -> NewRoom {
        NewRoom {
            alias: "abc".into(),
            kind,
            about: About {
                name: "+44 ••• 56".into(),
                topic: None,
                bridge: Some(BridgeInfo {
                    protocol: "sms".into(),
                    protocol_name: "SMS".into(),
                    line: LineId::new("main"),
                    line_name: "Main".into(),
                    channel: "abc".into(),
                    channel_name: "+44 ••• 56".into(),
                }),
                writable,
            },
            ghost: None,
            invite: Vec::new(),
            space: Some(RoomId::new("!space")),
        }
    }

    #[test]
    fn the_creator_is_named_only_where_it_must_be() {
        let old = power_levels(&new(RoomKind::Direct, true), Some("@bot:x"), Some("@g:x"));
        assert_eq!(old["users"], json!({"@bot:x": 100, "@g:x": 50}));
        let v12 = power_levels(&new(RoomKind::Direct, true), None, Some("@g:x"));
        assert_eq!(v12["users"], json!({"@g:x": 50}));
    }

    #[test]
    fn where_nobody_can_answer_nobody_may_write_but_the_ghost() {
        let levels = power_levels(&new(RoomKind::Direct, false), Some("@bot:x"), Some("@g:x"));
        let needed = levels["events_default"].as_i64().unwrap();
        assert!(levels["users_default"].as_i64().unwrap() < needed);
        assert!(levels["users"]["@g:x"].as_i64().unwrap() >= needed);
        let space = power_levels(&new(RoomKind::Space, true), Some("@bot:x"), None);
        assert!(space["events_default"].as_i64().unwrap() > 0);
    }

    #[test]
    fn writing_changes_only_when_it_differs() {
        let levels = power_levels(&new(RoomKind::Direct, true), None, None);
        assert_eq!(with_writing(&levels, true), Value::Null);
        let closed = with_writing(&levels, false);
        assert_eq!(closed["events_default"], 50);
        assert_eq!(with_writing(&closed, true)["events_default"], 0);
        assert_eq!(closed["users_default"], levels["users_default"]);
    }

    #[test]
    fn a_ghost_gets_a_voice_only_where_it_has_none() {
        let open = power_levels(&new(RoomKind::Group, true), None, None);
        assert_eq!(with_voice(&open, "@g:x"), None);
        let closed = power_levels(&new(RoomKind::Group, false), Some("@bot:x"), Some("@f:x"));
        let voiced = with_voice(&closed, "@g:x").unwrap();
        assert_eq!(voiced["users"], json!({"@bot:x": 100, "@f:x": 50, "@g:x": 50}));
        assert_eq!(with_voice(&voiced, "@g:x"), None);
        assert_eq!(with_voice(&json!({ "events_default": 100 }), "@g:x"), None);
        assert_eq!(with_voice(&Value::Null, "@g:x"), None);
    }

    #[test]
    fn bridge_information_stands_under_both_names_and_one_key() {
        let bot = <&UserId>::try_from("@bot:x").unwrap();
        let state = initial_state(&new(RoomKind::Direct, true), bot, "x", true);
        for kind in BRIDGE_TYPES {
            let event = state.iter().find(|event| event["type"] == kind).unwrap();
            assert_eq!(event["state_key"], "dev.swingbridge://main/abc");
            assert_eq!(event["content"]["com.beeper.room_type"], "dm");
            assert_eq!(event["content"]["bridgebot"], "@bot:x");
        }
        let parent = state
            .iter()
            .find(|event| event["type"] == "m.space.parent")
            .unwrap();
        assert_eq!(parent["content"]["via"], json!(["x"]));
    }
}
