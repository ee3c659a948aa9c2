//! What the platform keeps.

use super::WEBHOOK_TOKEN;
use crate::trouble::{Hook, Troubles};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// A message of the bot's.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    /// As the bot wrote it.
    pub contact: String,
    /// `RCSMessage`.
    pub message: Value,
    /// `sent`, `delivered`, `displayed`, `cancelled`.
    pub state: String,
}

impl Received {
    /// Its text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.message["textMessage"].as_str()
    }

    /// Its suggestions, those on cards first.
    #[must_use]
    pub fn suggestions(&self) -> Vec<Value> {
        let card = self
            .message
            .pointer("/richcardMessage/message/generalPurposeCard/content");
        let carousel = self
            .message
            .pointer("/richcardMessage/message/generalPurposeCardCarousel/content");
        let cards = card
            .into_iter()
            .chain(carousel.and_then(Value::as_array).into_iter().flatten());
        let below = self.message.get("suggestedChipList");
        let all = cards
            .chain(below)
            .filter_map(|place| place["suggestions"].as_array());
        all.flatten().cloned().collect()
    }
}

/// How often a webhook is tried that was held back.
const TRIES: u32 = 5;

#[derive(Clone, Debug)]
pub struct Handset {
    pub rcs: bool,
    pub on: bool,
    /// `active`, `idle`.
    pub typing: Vec<String>,
}

#[derive(Debug, Default)]
pub struct World {
    /// A file is ready only when it is asked for again.
    pub readies_files_late: bool,
    pub webhook: Option<String>,
    pub phones: BTreeMap<String, Handset>,
    pub messages: Vec<Received>,
    /// Messages of phones, and whether the bot has displayed them.
    pub said: BTreeMap<String, bool>,
    pub tokens: BTreeSet<String>,
    pub issued: usize,
    /// Type, octets, and whether it is ready.
    pub files: BTreeMap<String, (String, Vec<u8>, bool)>,
    /// What the answers to messages have beside, or in place of, what they have by themselves.
    pub beside: Option<Value>,
    ids: u64,
}

pub struct Shared {
    world: Mutex<World>,
    pub troubles: Troubles,
    pub base: String,
    queue: UnboundedSender<Value>,
}

impl Shared {
    pub fn new(world: World, base: String, queue: UnboundedSender<Value>) -> reqwest::Result<Self> {
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self {
            world: Mutex::new(world),
            troubles: Troubles::new(client),
            base,
            queue,
        })
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the bot of a message, in order.
    pub fn tell(&self, kind: &str, number: &str, mut message: Value) {
        message["timestamp"] = "2027-01-15T08:00:00.000Z".into();
        let event =
            json!({ "RCSMessage": message, "messageContact": { "userContact": number }, "event": kind });
        self.tell_whole(event);
    }

    pub fn tell_whole(&self, event: Value) {
        if !self.troubles.keeps(|| self.hook_of(&event)) {
            // Without a worker the platform has ended.
            let _ = self.queue.send(event);
        }
    }

    /// An event's webhook, once it is known where webhooks go.
    pub fn hook_of(&self, event: &Value) -> Option<Hook> {
        Some(Hook {
            url: self.world().webhook.clone()?,
            mime: "application/json",
            body: event.to_string(),
            // FNW.11 has no signatures.
            sign: Arc::new(|_| vec![("authorization", format!("Bearer {WEBHOOK_TOKEN}"))]),
            tries: TRIES,
        })
    }

    /// Delivers what waits for this phone.
    pub fn deliver(&self, number: &str) {
        let delivered: Vec<String> = {
            let mut world = self.world();
            let there = world
                .phones
                .get(number)
                .is_some_and(|phone| phone.on && phone.rcs);
            let waiting = world
                .messages
                .iter_mut()
                .filter(|one| there && one.state == "sent" && number_of(&one.contact) == number);
            waiting
                .map(|one| {
                    one.state = "delivered".to_owned();
                    one.id.clone()
                })
                .collect()
        };
        for id in delivered {
            self.tell(
                "messageStatus",
                number,
                json!({ "msgId": id, "status": "delivered" }),
            );
        }
    }
}

impl World {
    pub fn id(&mut self, kind: &str) -> String {
        self.ids += 1;
        format!("{kind}{:08}", self.ids)
    }
}

/// The number in each of the forms that operators want.
pub fn number_of(contact: &str) -> String {
    let bare = contact.trim_start_matches("tel:").trim_start_matches('+');
    format!("+{bare}")
}
