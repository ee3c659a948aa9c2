//! A phone in somebody's hand.

use super::AGENT;
use super::state::{Received, Shared, Stage};
use serde_json::{Value, json};
use std::sync::Arc;

/// A phone that the agent can reach, or not.
#[derive(Clone)]
pub struct Phone {
    shared: Arc<Shared>,
    number: String,
}

impl Phone {
    pub(super) fn new(shared: Arc<Shared>, number: &str) -> Self {
        shared.world().phones.entry(number.to_owned()).or_default();
        Self {
            shared,
            number: number.to_owned(),
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Gets RCS, or loses it: another SIM, another app, another carrier. What waits for it waits on.
    pub fn has_rcs(&self, has: bool) {
        self.change(|phone| phone.rcs = has);
        self.shared.deliver(&self.number);
    }

    /// Is switched on, or off: what is sent meanwhile waits.
    pub fn is_on(&self, on: bool) {
        self.change(|phone| phone.on = on);
        self.shared.deliver(&self.number);
    }

    /// Accepted the agent's invitation to test it, or did not. The agent is not launched.
    pub fn is_tester(&self, is: bool) {
        self.change(|phone| phone.tester = is);
    }

    /// What it can show.
    pub fn can(&self, features: &[&str]) {
        self.change(|phone| phone.features = features.iter().map(|one| (*one).to_owned()).collect());
    }

    /// All that was sent to it, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Received> {
        let world = self.shared.world();
        world
            .messages
            .iter()
            .filter(|one| one.number == self.number)
            .cloned()
            .collect()
    }

    /// What it shows.
    #[must_use]
    pub fn shown(&self) -> Vec<Received> {
        let mut shown = self.messages();
        shown.retain(|one| matches!(one.stage, Stage::Delivered | Stage::Read));
        shown
    }

    /// What the agent let it know: `READ` of its messages, `IS_TYPING`.
    #[must_use]
    pub fn marks(&self) -> Vec<Value> {
        let world = self.shared.world();
        world
            .phones
            .get(&self.number)
            .map(|phone| phone.marks.clone())
            .unwrap_or_default()
    }

    /// Type and octets of a file of the agent's.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<(String, Vec<u8>)> {
        self.shared.world().uploads.get(name).cloned()
    }

    /// Its owner writes. Gives back the message's id.
    pub fn writes(&self, text: &str) -> String {
        self.says(json!({ "text": text }))
    }

    /// Its owner taps a button of a message; the first is 0. `None` when there is no such button.
    pub fn taps(&self, message: &str, button: usize) -> Option<String> {
        let shown = self.shown();
        let message = shown.iter().find(|one| one.id == message)?;
        let button = message.buttons().into_iter().nth(button)?;
        let kind = if button.replies { "REPLY" } else { "ACTION" };
        Some(self.says(json!({ "suggestionResponse": {
            "postbackData": button.postback, "text": button.label, "type": kind,
        } })))
    }

    /// Its owner sends a place.
    pub fn shares_place(&self, latitude: f64, longitude: f64) -> String {
        self.says(json!({ "location": { "latitude": latitude, "longitude": longitude } }))
    }

    /// Its owner sends a file.
    pub fn sends_file(&self, name: &str, mime: &str, octets: &[u8]) -> String {
        let id = {
            let mut world = self.shared.world();
            let id = world.id("file");
            world.files.insert(id.clone(), (mime.to_owned(), octets.to_vec()));
            id
        };
        let about = |size: usize| {
            json!({ "mimeType": mime, "fileSizeBytes": size, "fileName": name,
                "fileUri": format!("{}/files/{id}", self.shared.base) })
        };
        self.says(json!({ "userFile": { "payload": about(octets.len()), "thumbnail": about(1) } }))
    }

    /// Its owner has read a message.
    pub fn reads(&self, message: &str) {
        {
            let mut world = self.shared.world();
            let found = world
                .messages
                .iter_mut()
                .find(|one| one.id == message && one.number == self.number);
            match found {
                Some(one) if one.stage == Stage::Delivered => one.stage = Stage::Read,
                _ => return,
            }
        }
        self.shared.tell_of(&self.number, "READ", Some(message));
    }

    /// Its owner writes something.
    pub fn types(&self) {
        self.shared.tell_of(&self.number, "IS_TYPING", None);
    }

    /// Its owner wants no more of the agent's messages, or wants them again.
    pub fn subscribes(&self, wants: bool) {
        let kind = if wants { "SUBSCRIBE" } else { "UNSUBSCRIBE" };
        self.shared.tell_of(&self.number, kind, None);
    }

    fn says(&self, mut message: Value) -> String {
        let id = self.shared.world().id("message");
        message["senderPhoneNumber"] = self.number.as_str().into();
        message["messageId"] = id.as_str().into();
        message["sendTime"] = self.shared.now().to_string().into();
        message["agentId"] = AGENT.into();
        self.shared.tell(message);
        id
    }

    fn change(&self, change: impl FnOnce(&mut super::state::Handset)) {
        change(self.shared.world().phones.entry(self.number.clone()).or_default());
    }
}
