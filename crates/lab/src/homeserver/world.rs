//! What the stub knows: users, rooms, events and what is to be pushed. Plain data under one lock.

use super::call::{Refusal, refuse};
use super::config::{Config, Devices, Registration};
use super::faults::Dice;
use super::push::Pushes;
use axum::body::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Everything that the homeserver knows. Tests read it; requests and test helpers change it.
#[derive(Debug)]
pub struct World {
    pub(super) config: Config,
    pub users: BTreeMap<String, User>,
    pub rooms: BTreeMap<String, Room>,
    /// Alias to room and the one who made it.
    pub aliases: BTreeMap<String, (String, String)>,
    /// All events, in the order in which they came to be.
    pub events: Vec<Event>,
    /// Where an event stands in `events`.
    pub(super) index: HashMap<String, usize>,
    pub media: BTreeMap<String, Media>,
    /// Receipts and typing, in order, for sync and pushes.
    pub ephemeral: Vec<Ephemeral>,
    /// The transactions of senders: (user, device, path) to the body and the event.
    pub(super) transactions: HashMap<(String, Option<String>, String), (Bytes, String)>,
    /// What the application service should not have done, in words.
    pub violations: Vec<String>,
    /// Digits that must stand in no identifier and no state.
    pub(super) watched: Vec<String>,
    /// What the application service asked: method, path and the status it got.
    pub calls: Vec<(String, u16)>,
    pub pushes: Pushes,
    pub(super) dice: Dice,
    pub(super) random: StdRng,
    pub(super) now: i64,
}

#[derive(Clone, Debug, Default)]
pub struct User {
    pub token: Option<String>,
    pub displayname: Option<String>,
    pub avatar_url: Option<String>,
    /// Device id to display name.
    pub devices: BTreeMap<String, Option<String>>,
    /// (room or empty, type) to content.
    pub account_data: BTreeMap<(String, String), Value>,
    pub(super) filters: Vec<Value>,
}

#[derive(Clone, Debug)]
pub struct Room {
    pub id: String,
    pub version: String,
    pub creators: Vec<String>,
    /// Positions in [`World::events`].
    pub timeline: Vec<usize>,
    /// (type, state key) to the position in [`World::events`].
    pub state: BTreeMap<(String, String), usize>,
}

/// A room event (Client-Server API, "Room event format").
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    pub event_id: String,
    pub room_id: String,
    pub sender: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_key: Option<String>,
    pub content: Value,
    pub origin_server_ts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacts: Option<String>,
    pub unsigned: Value,
}

#[derive(Clone, Debug)]
pub struct Media {
    pub owner: String,
    pub mime: String,
    /// `None` until it is uploaded.
    pub bytes: Option<Bytes>,
}

/// A receipt or a typing notice.
#[derive(Clone, Debug, PartialEq)]
pub struct Ephemeral {
    pub room: String,
    pub kind: String,
    pub content: Value,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Requester {
    pub user: String,
    pub device: Option<String>,
    pub is_service: bool,
}

impl Event {
    /// The text of a message.
    pub fn body(&self) -> &str {
        self.content["body"].as_str().unwrap_or_default()
    }

    /// As it stands in answers and pushes.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        let seed = config.seed;
        let mut world = Self {
            users: BTreeMap::new(),
            rooms: BTreeMap::new(),
            aliases: BTreeMap::new(),
            events: Vec::new(),
            index: HashMap::new(),
            media: BTreeMap::new(),
            ephemeral: Vec::new(),
            transactions: HashMap::new(),
            violations: Vec::new(),
            watched: Vec::new(),
            calls: Vec::new(),
            pushes: Pushes::new(seed),
            dice: Dice::new(seed),
            random: StdRng::seed_from_u64(seed),
            now: 0,
            config,
        };
        // The service's own user can be used without being registered, as in Synapse.
        let sender = world.sender();
        world.users.insert(sender, User::default());
        world
    }

    pub(super) fn registration(&self) -> &Registration {
        &self.config.registration
    }

    /// The user id of `sender_localpart`.
    pub(super) fn sender(&self) -> String {
        self.full_user(&self.registration().sender_localpart)
    }

    pub(super) fn full_user(&self, localpart: &str) -> String {
        format!("@{localpart}:{}", self.config.server_name)
    }

    /// An opaque identifier. It holds letters only, so that no search for numbers finds one in it by chance.
    pub(super) fn opaque(&mut self, length: usize) -> String {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..length)
            .map(|_| char::from(letters[self.random.random_range(0..letters.len())]))
            .collect()
    }

    /// Whether the application service is told of this user's doings.
    pub(super) fn of_service(&self, user: &str) -> bool {
        user == self.sender() || self.registration().owns_user(user)
    }

    /// Finds out who asks (Client-Server API, "Client authentication"; Application Service API, "Identity assertion").
    pub(super) fn requester(
        &self,
        token: Option<&str>,
        user: Option<&str>,
        device: Option<&str>,
    ) -> Result<Requester, Refusal> {
        let Some(token) = token else {
            return refuse(401, "M_MISSING_TOKEN", "Missing access token");
        };
        if token == self.registration().as_token {
            return self.masquerade(user, device);
        }
        let found = self
            .users
            .iter()
            .find(|(_, known)| known.token.as_deref() == Some(token));
        match found {
            Some((user, _)) => Ok(Requester {
                user: user.clone(),
                device: None,
                is_service: false,
            }),
            None => refuse(401, "M_UNKNOWN_TOKEN", "Invalid access token passed."),
        }
    }

    fn masquerade(&self, user: Option<&str>, device: Option<&str>) -> Result<Requester, Refusal> {
        let user = user.map_or_else(|| self.sender(), str::to_owned);
        if !self.of_service(&user) {
            return refuse(
                403,
                "M_FORBIDDEN",
                "Application service cannot masquerade as this user",
            );
        }
        let Some(known) = self.users.get(&user) else {
            return refuse(
                403,
                "M_FORBIDDEN",
                "Application service has not registered this user",
            );
        };
        let device = match (self.config.quirks.devices, device) {
            (Devices::Ignored, _) | (_, None) => None,
            (Devices::Managed, Some(id)) if !known.devices.contains_key(id) => {
                return refuse(400, "M_UNKNOWN_DEVICE", "this device does not exist");
            }
            (_, Some(id)) => Some(id.to_owned()),
        };
        Ok(Requester {
            user,
            device,
            is_service: true,
        })
    }

    /// Adds an event to its room, the state and the pushes; answers its id.
    pub(super) fn record(&mut self, draft: Draft<'_>) -> String {
        let event_id = format!("${}", self.opaque(43));
        let position = self.events.len();
        let mut unsigned = json!({});
        if let (Some(key), Some(room)) = (draft.state_key, self.rooms.get(draft.room))
            && let Some(before) = room.state.get(&(draft.kind.to_owned(), key.to_owned()))
        {
            unsigned["prev_content"] = self.events[*before].content.clone();
            unsigned["replaces_state"] = json!(self.events[*before].event_id);
        }
        let event = Event {
            event_id: event_id.clone(),
            room_id: draft.room.to_owned(),
            sender: draft.sender.to_owned(),
            kind: draft.kind.to_owned(),
            state_key: draft.state_key.map(str::to_owned),
            content: draft.content,
            origin_server_ts: draft.ts.unwrap_or(self.now),
            redacts: draft.redacts,
            unsigned,
        };
        if let Some(room) = self.rooms.get_mut(draft.room) {
            room.timeline.push(position);
            if let Some(key) = draft.state_key {
                room.state
                    .insert((draft.kind.to_owned(), key.to_owned()), position);
            }
        }
        self.index.insert(event_id.clone(), position);
        self.events.push(event);
        self.push_event(position);
        event_id
    }

    /// Notes a wrong thing that the application service did.
    pub(super) fn violation(&mut self, words: String) {
        tracing::warn!(words, "violation");
        self.violations.push(words);
    }

    /// Notes it when `text`, which stands in `place`, holds a watched number.
    pub(super) fn watch(&mut self, place: &str, text: &str) {
        if holds_number(text, &self.watched) {
            self.violation(format!("a phone number stands in {place}"));
        }
    }

    /// Every text that the homeserver keeps in the clear, with where it stands, message bodies left out: ids, aliases,
    /// state, profiles, account data, media types.
    pub fn kept_texts(&self) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        let mut add = |place: &str, text: String| texts.push((place.to_owned(), text));
        for (id, user) in &self.users {
            add("user id", id.clone());
            add("display name", user.displayname.clone().unwrap_or_default());
            for (device, name) in &user.devices {
                add("device", format!("{device} {name:?}"));
            }
            for ((room, kind), content) in &user.account_data {
                add("account data", format!("{room} {kind} {content}"));
            }
        }
        for (alias, (room, _)) in &self.aliases {
            add("alias", format!("{alias} {room}"));
        }
        for event in self.events.iter().filter(|event| event.kind != "m.room.message") {
            add(&event.kind, format!("{:?} {}", event.state_key, event.content));
        }
        texts
    }

    /// Whether any of [`World::kept_texts`] holds one of `numbers` (its last seven digits); answers the places.
    pub fn places_with_number(&self, numbers: &[&str]) -> Vec<String> {
        let tails: Vec<String> = numbers.iter().filter_map(|number| tail(number)).collect();
        let texts = self.kept_texts();
        texts
            .into_iter()
            .filter(|(_, text)| holds_number(text, &tails))
            .map(|(place, _)| place)
            .collect()
    }
}

/// An event that is about to be.
pub(super) struct Draft<'a> {
    pub room: &'a str,
    pub sender: &'a str,
    pub kind: &'a str,
    pub state_key: Option<&'a str>,
    pub content: Value,
    pub ts: Option<i64>,
    pub redacts: Option<String>,
}

impl<'a> Draft<'a> {
    pub(super) fn state(room: &'a str, sender: &'a str, kind: &'a str, key: &'a str, content: Value) -> Self {
        Self {
            room,
            sender,
            kind,
            state_key: Some(key),
            content,
            ts: None,
            redacts: None,
        }
    }
}

/// The last seven digits of a number: what tells it from others however it is written.
pub(super) fn tail(number: &str) -> Option<String> {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= 7).then(|| digits[digits.len() - 7..].to_owned())
}

/// Whether `text`, without the marks that people put between digits, holds one of `tails`.
pub(super) fn holds_number(text: &str, tails: &[String]) -> bool {
    let marks = [' ', '-', '.', '(', ')', '/', '\u{a0}'];
    let bare: String = text.chars().filter(|c| !marks.contains(c)).collect();
    tails.iter().any(|tail| bare.contains(tail))
}
