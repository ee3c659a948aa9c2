//! A phone in somebody's hand.

use super::state::{Handset, Received, Shared, number_of};
use serde_json::{Value, json};
use std::sync::Arc;

/// A phone that the bot can reach, or not.
#[derive(Clone)]
pub struct Phone {
    shared: Arc<Shared>,
    number: String,
}

impl Phone {
    pub(super) fn new(shared: Arc<Shared>, number: &str) -> Self {
        let new = Handset {
            rcs: true,
            on: true,
            typing: Vec::new(),
        };
        shared.world().phones.entry(number.to_owned()).or_insert(new);
        Self {
            shared,
            number: number.to_owned(),
        }
    }

    /// Gets RCS, or loses it.
    pub fn has_rcs(&self, has: bool) {
        self.change(|phone| phone.rcs = has);
        self.shared.deliver(&self.number);
    }

    /// Is switched on, or off: what is sent meanwhile waits.
    pub fn is_on(&self, on: bool) {
        self.change(|phone| phone.on = on);
        self.shared.deliver(&self.number);
    }

    /// All that was sent to it, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Received> {
        let world = self.shared.world();
        let mine = |one: &&Received| number_of(&one.contact) == self.number;
        world.messages.iter().filter(mine).cloned().collect()
    }

    /// `active` and `idle`, as the bot told them.
    #[must_use]
    pub fn typing(&self) -> Vec<String> {
        let world = self.shared.world();
        world
            .phones
            .get(&self.number)
            .map(|phone| phone.typing.clone())
            .unwrap_or_default()
    }

    /// Whether the bot has displayed a message of this phone's.
    #[must_use]
    pub fn is_displayed(&self, message: &str) -> bool {
        self.shared.world().said.get(message).copied().unwrap_or(false)
    }

    /// Its owner writes. Gives back the message's id.
    pub fn writes(&self, text: &str) -> String {
        self.says("message", json!({ "textMessage": text }))
    }

    /// Its owner sends a place.
    pub fn shares_place(&self, pos: &str, label: &str) -> String {
        self.says(
            "message",
            json!({ "geolocationPushMessage": { "pos": pos, "label": label } }),
        )
    }

    /// Its owner sends a file.
    pub fn sends_file(&self, name: &str, mime: &str, octets: &[u8]) -> String {
        let id = {
            let mut world = self.shared.world();
            let id = world.id("file");
            world
                .files
                .insert(id.clone(), (mime.to_owned(), octets.to_vec(), true));
            id
        };
        let about = json!({ "fileUrl": format!("{}/content/{id}", self.shared.base), "fileName": name,
            "fileMIMEType": mime, "fileSize": octets.len() });
        self.says("message", json!({ "fileMessage": about }))
    }

    /// Its owner taps a suggestion of a message; the first is 0. Gives back whether there is one.
    #[must_use]
    pub fn taps(&self, message: &str, suggestion: usize) -> bool {
        let messages = self.messages();
        let found = messages.iter().find(|one| one.id == message);
        let Some(suggestion) = found.and_then(|one| one.suggestions().into_iter().nth(suggestion)) else {
            return false;
        };
        let kind = if suggestion.get("reply").is_some() {
            "reply"
        } else {
            "action"
        };
        let inner = &suggestion[kind];
        let response =
            json!({ kind: { "displayText": inner["displayText"], "postback": inner["postback"] } });
        self.says(
            "response",
            json!({ "suggestedResponse": { "response": response } }),
        );
        true
    }

    /// Its owner has seen a message.
    pub fn displays(&self, message: &str) {
        {
            let mut world = self.shared.world();
            match world
                .messages
                .iter_mut()
                .find(|one| one.id == message && one.state == "delivered")
            {
                Some(one) => one.state = "displayed".to_owned(),
                None => return,
            }
        }
        let state = json!({ "msgId": message, "status": "displayed" });
        self.shared.tell("messageStatus", &self.number, state);
    }

    /// Its owner writes something, or stops.
    pub fn types(&self, active: bool) {
        let word = if active { "active" } else { "idle" };
        self.says("isTyping", json!({ "isTyping": word }));
    }

    /// Its owner hides the number behind a chat, and writes.
    pub fn writes_hidden(&self, chat: &str, text: &str) {
        let id = self.shared.world().id("said");
        self.shared
            .tell_whole(json!({ "event": "message", "messageContact": { "chatId": chat },
            "RCSMessage": { "msgId": id, "textMessage": text, "timestamp": "2027-01-15T08:00:00.000Z" } }));
    }

    /// Its owner lets the bot know whose chat it is.
    pub fn shows_itself(&self, chat: &str) {
        let id = self.shared.world().id("said");
        self.shared
            .tell_whole(json!({ "event": "alias", "RCSMessage": { "msgId": id },
            "messageContact": { "userContact": self.number, "chatId": chat } }));
    }

    fn says(&self, kind: &str, mut message: Value) -> String {
        let id = {
            let mut world = self.shared.world();
            let id = world.id("said");
            world.said.insert(id.clone(), false);
            id
        };
        message["msgId"] = id.as_str().into();
        self.shared.tell(kind, &self.number, message);
        id
    }

    fn change(&self, change: impl FnOnce(&mut Handset)) {
        if let Some(phone) = self.shared.world().phones.get_mut(&self.number) {
            change(phone);
        }
    }
}
