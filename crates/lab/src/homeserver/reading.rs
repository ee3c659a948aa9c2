//! What clients read: history, members, sync, and the receipts and typing that travel with it.

use super::call::{Call, Outcome, Refusal, done, forbid, not_found, refuse};
use super::world::{Ephemeral, Requester, World};
use serde_json::{Map, Value, json};

/// How many events a timeline of sync holds unless a filter says otherwise.
const SYNC_LIMIT: usize = 10;
const LARGEST_PAGE: usize = 1000;

impl World {
    /// How far a user may read in a room: all of it while joined, up to the end of the membership afterwards.
    fn readable_until(&self, room: &str, user: &str) -> Option<usize> {
        match self.membership(room, user)? {
            "join" => Some(self.events.len()),
            "leave" | "ban" => {
                let left = self.state(room, "m.room.member", user)?;
                let was_in = left.unsigned["prev_content"]["membership"] == "join";
                was_in.then(|| self.index[&left.event_id] + 1)
            }
            _ => None,
        }
    }

    /// `GET /rooms/{room}/messages`.
    pub(super) fn messages(&self, call: &Call, who: &Requester, room: &str) -> Outcome {
        let Some(end) = self.readable_until(room, &who.user) else {
            return forbid(format!(
                "User {} not in room {room}, and room previews are disabled",
                who.user
            ));
        };
        let Some(found) = self.room(room) else {
            return forbid("Unknown room");
        };
        let back = match call.query("dir") {
            Some("b") => true,
            Some("f") | None => false,
            Some(_) => return refuse(400, "M_INVALID_PARAM", "dir is b or f"),
        };
        let from = token(call, "from")?.unwrap_or(if back { end } else { 0 });
        let to = token(call, "to")?;
        let limit = call
            .query("limit")
            .and_then(|text| text.parse().ok())
            .unwrap_or(10)
            .min(LARGEST_PAGE);
        let filter = call
            .query("filter")
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or(Value::Null);
        let wanted = |at: &&usize| passes(&filter, &self.events[**at].kind);
        let visible = found.timeline.iter().filter(|at| **at < end);
        let page: Vec<usize> = if back {
            let older = visible
                .rev()
                .filter(|at| **at < from && to.is_none_or(|to| **at >= to));
            older.filter(wanted).take(limit).copied().collect()
        } else {
            let newer = visible.filter(|at| **at >= from && to.is_none_or(|to| **at < to));
            newer.filter(wanted).take(limit).copied().collect()
        };
        let mut answer = json!({
            "start": format!("t{from}"),
            "chunk": page.iter().map(|at| self.events[*at].to_json()).collect::<Vec<_>>(),
        });
        if let Some(last) = page.last() {
            answer["end"] = json!(format!("t{}", if back { *last } else { last + 1 }));
        }
        done(answer)
    }

    pub(super) fn event(&self, who: &Requester, room: &str, id: &str) -> Outcome {
        let position = self
            .index
            .get(id)
            .copied()
            .filter(|at| self.events[*at].room_id == room);
        let until = self.readable_until(room, &who.user).unwrap_or(0);
        match position.filter(|at| *at < until) {
            Some(at) => done(self.events[at].to_json()),
            None => not_found("Event not found."),
        }
    }

    /// `GET /rooms/{room}/members` and `/joined_members`.
    pub(super) fn members(&self, who: &Requester, room: &str, joined_only: bool) -> Outcome {
        if self.readable_until(room, &who.user).is_none() {
            return forbid(format!("User {} not in room {room}", who.user));
        }
        if joined_only {
            let members = self.joined_members(room);
            let shown = members.into_iter().map(|user| {
                let profile = self.users.get(&user).cloned().unwrap_or_default();
                (
                    user,
                    json!({"display_name": profile.displayname, "avatar_url": profile.avatar_url}),
                )
            });
            return done(json!({"joined": shown.collect::<Map<_, _>>()}));
        }
        let state = self.room(room).map(|room| &room.state);
        let members = state
            .into_iter()
            .flatten()
            .filter(|((kind, _), _)| kind == "m.room.member");
        done(json!({"chunk": members.map(|(_, at)| self.events[*at].to_json()).collect::<Vec<_>>()}))
    }

    /// `POST /rooms/{room}/receipt/{type}/{event}` and `/read_markers`.
    pub(super) fn receipt(&mut self, call: &Call, who: &Requester, room: &str, rest: &[&str]) -> Outcome {
        let body = Value::Object(call.object(true)?);
        self.must_be_joined(room, &who.user)?;
        let marks: Vec<(String, String)> = match rest {
            [kind @ ("m.read" | "m.read.private" | "m.fully_read"), event] => {
                vec![((*kind).to_owned(), (*event).to_owned())]
            }
            [] => {
                let marks = body.as_object().into_iter().flatten();
                marks
                    .filter_map(|(kind, event)| Some((kind.clone(), event.as_str()?.to_owned())))
                    .collect()
            }
            _ => {
                return refuse(
                    400,
                    "M_UNKNOWN",
                    "Receipt type must be m.fully_read, m.read, m.read.private",
                );
            }
        };
        for (kind, event) in marks {
            if who.is_service && !self.index.contains_key(&event) {
                self.violation("a receipt names an unknown event".into());
            }
            if kind == "m.read" {
                let content = json!({event: {"m.read": {&who.user: {"ts": self.now}}}});
                self.whisper(Ephemeral {
                    room: room.to_owned(),
                    kind: "m.receipt".into(),
                    content,
                });
            }
        }
        done(json!({}))
    }

    pub(super) fn typing(&mut self, call: &Call, who: &Requester, room: &str, user: &str) -> Outcome {
        let body = Value::Object(call.object(false)?);
        let Some(on) = body["typing"].as_bool() else {
            return refuse(400, "M_BAD_JSON", "typing is missing");
        };
        if user != who.user {
            return refuse(400, "M_FORBIDDEN", "Cannot set another user's typing state");
        }
        self.must_be_joined(room, user)?;
        let users = if on { vec![user] } else { vec![] };
        let content = json!({"user_ids": users});
        self.whisper(Ephemeral {
            room: room.to_owned(),
            kind: "m.typing".into(),
            content,
        });
        done(json!({}))
    }

    fn whisper(&mut self, event: Ephemeral) {
        self.push_ephemeral(&event);
        self.ephemeral.push(event);
    }

    /// The receipts of a user in a room: the events that were marked as read, in order.
    pub fn read_by(&self, room: &str, user: &str) -> Vec<String> {
        let receipts = self
            .ephemeral
            .iter()
            .filter(|e| e.room == room && e.kind == "m.receipt");
        let events = receipts.flat_map(|e| e.content.as_object().into_iter().flatten());
        events
            .filter(|(_, who)| !who["m.read"][user].is_null())
            .map(|(event, _)| event.clone())
            .collect()
    }

    /// One try at `GET /sync`; `None` when there is nothing new since the token.
    pub(super) fn sync(&self, call: &Call, who: &Requester) -> Result<Option<Value>, Refusal> {
        if who.is_service && who.user == self.sender() {
            // Synapse cannot do this for the user of sender_localpart.
            return refuse(500, "M_UNKNOWN", "Internal server error");
        }
        let since = match call.query("since") {
            None => None,
            Some(text) => match stream_token(text) {
                Some(since) => Some(since),
                None => return refuse(400, "M_UNKNOWN", "Invalid stream token"),
            },
        };
        let filter = self.filter(call, who)?;
        let (from, whispers) = since.unwrap_or((0, 0));
        let (mut join, mut invite, mut leave) = (Map::new(), Map::new(), Map::new());
        for room in self.rooms.values() {
            let Some(event) = self.state(&room.id, "m.room.member", &who.user) else {
                continue;
            };
            let at = self.index[&event.event_id];
            match event.content["membership"].as_str() {
                Some("join") => {
                    let came = event.unsigned["prev_content"]["membership"] != "join" && at >= from;
                    if let Some(seen) = self.sync_room(
                        &room.id,
                        if came { 0 } else { from },
                        self.events.len(),
                        whispers,
                        &filter,
                    ) {
                        join.insert(room.id.clone(), seen);
                    }
                }
                Some("invite") if at >= from => {
                    invite.insert(
                        room.id.clone(),
                        json!({"invite_state": {"events": self.stripped(&room.id, &who.user)}}),
                    );
                }
                Some("leave" | "ban") if at >= from && since.is_some() => {
                    if let Some(seen) = self.sync_room(&room.id, from, at + 1, self.ephemeral.len(), &filter)
                    {
                        leave.insert(room.id.clone(), seen);
                    }
                }
                _ => {}
            }
        }
        let nothing = join.is_empty() && invite.is_empty() && leave.is_empty();
        if nothing && since.is_some() {
            return Ok(None);
        }
        let mut answer = self.quiet_sync();
        if !nothing {
            answer["rooms"] = json!({"join": join, "invite": invite, "leave": leave});
        }
        if since.is_none() {
            let data = self.users.get(&who.user).map(|user| &user.account_data);
            let data = data
                .into_iter()
                .flatten()
                .filter(|((room, _), _)| room.is_empty());
            let events: Vec<_> = data
                .map(|((_, kind), content)| json!({"type": kind, "content": content}))
                .collect();
            answer["account_data"] = json!({"events": events});
        }
        Ok(Some(answer))
    }

    /// What `/sync` says when nothing happened.
    pub(super) fn quiet_sync(&self) -> Value {
        json!({"next_batch": format!("s{}_{}", self.events.len(), self.ephemeral.len())})
    }

    fn filter(&self, call: &Call, who: &Requester) -> Result<Value, Refusal> {
        let Some(text) = call.query("filter") else {
            return Ok(Value::Null);
        };
        if text.starts_with('{') {
            return serde_json::from_str(text)
                .or_else(|_| refuse(400, "M_INVALID_PARAM", "Invalid filter JSON"));
        }
        let number = text.parse::<usize>().ok();
        let stored = number.and_then(|number| self.users.get(&who.user)?.filters.get(number));
        stored
            .cloned()
            .map_or_else(|| refuse(400, "M_INVALID_PARAM", "Invalid filter ID"), Ok)
    }

    /// What is new in one room between two positions.
    fn sync_room(
        &self,
        id: &str,
        from: usize,
        until: usize,
        whispers: usize,
        filter: &Value,
    ) -> Option<Value> {
        let room = self.room(id)?;
        let only = &filter["room"]["timeline"];
        let limit = only["limit"].as_u64().map_or(SYNC_LIMIT, |limit| limit as usize);
        let new: Vec<usize> = room
            .timeline
            .iter()
            .copied()
            .filter(|at| (from..until).contains(at))
            .collect();
        let wanted: Vec<usize> = new
            .iter()
            .copied()
            .filter(|at| passes(only, &self.events[*at].kind))
            .collect();
        let ephemeral: Vec<_> = self.ephemeral[whispers.min(self.ephemeral.len())..]
            .iter()
            .filter(|event| event.room == id)
            .map(|event| json!({"type": event.kind, "content": event.content}))
            .collect();
        if new.is_empty() && ephemeral.is_empty() {
            return None;
        }
        let timeline = &wanted[wanted.len().saturating_sub(limit)..];
        let start = timeline.first().copied().unwrap_or(until);
        let state: Vec<_> = room
            .state
            .values()
            .filter(|at| (from..start).contains(*at))
            .map(|at| self.events[*at].to_json())
            .collect();
        let events: Vec<_> = timeline.iter().map(|at| self.events[*at].to_json()).collect();
        Some(json!({
            "timeline": {"events": events, "limited": timeline.len() < wanted.len(), "prev_batch": format!("t{start}")},
            "state": {"events": state},
            "ephemeral": {"events": ephemeral},
            "account_data": {"events": []},
        }))
    }

    /// The few state events that an invited user sees.
    fn stripped(&self, room: &str, user: &str) -> Vec<Value> {
        let inviter = self
            .state(room, "m.room.member", user)
            .map(|event| event.sender.clone());
        let shown = [
            ("m.room.create", ""),
            ("m.room.join_rules", ""),
            ("m.room.name", ""),
            ("m.room.canonical_alias", ""),
            ("m.room.avatar", ""),
            ("m.room.encryption", ""),
            ("m.room.member", inviter.as_deref().unwrap_or_default()),
            ("m.room.member", user),
        ];
        let events = shown.iter().filter_map(|(kind, key)| self.state(room, kind, key));
        events
            .map(|e| json!({"type": e.kind, "state_key": e.state_key, "sender": e.sender, "content": e.content}))
            .collect()
    }
}

/// A position given by `name`: a token of `/messages` or one of `/sync`.
fn token(call: &Call, name: &str) -> Result<Option<usize>, Refusal> {
    let Some(text) = call.query(name) else {
        return Ok(None);
    };
    let plain = text.strip_prefix('t').and_then(|position| position.parse().ok());
    match plain.or_else(|| stream_token(text).map(|(position, _)| position)) {
        Some(position) => Ok(Some(position)),
        None => refuse(400, "M_UNKNOWN", format!("'{name}' parameter is invalid")),
    }
}

fn stream_token(text: &str) -> Option<(usize, usize)> {
    let (events, whispers) = text.strip_prefix('s')?.split_once('_')?;
    Some((events.parse().ok()?, whispers.parse().ok()?))
}

/// Whether a room event filter lets this type through. A trailing `*` matches any end.
fn passes(filter: &Value, kind: &str) -> bool {
    let matches = |pattern: &Value| match pattern.as_str() {
        Some(pattern) => pattern
            .strip_suffix('*')
            .map_or(pattern == kind, |start| kind.starts_with(start)),
        None => false,
    };
    let listed = filter["types"]
        .as_array()
        .is_none_or(|types| types.iter().any(matches));
    listed
        && !filter["not_types"]
            .as_array()
            .is_some_and(|types| types.iter().any(matches))
}
