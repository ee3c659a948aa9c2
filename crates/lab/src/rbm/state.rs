//! What Google keeps.

use crate::trouble::Troubles;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Timestamp};
use tokio::sync::mpsc::UnboundedSender;

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The phone is not there.
    Waits,
    Delivered,
    Read,
    /// Taken back.
    Revoked,
}

/// A message of the agent's, as the phone has it or will have it.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub number: String,
    /// `AgentMessage`, as it came.
    pub message: Value,
    pub stage: Stage,
    pub(super) over_at: Option<Timestamp>,
}

/// A button that the phone shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    pub label: String,
    pub postback: String,
    /// It answers; others open a link or call.
    pub replies: bool,
}

impl Received {
    /// Its text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.message.pointer("/contentMessage/text")?.as_str()
    }

    /// The name of its file.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.message.pointer("/contentMessage/fileName")?.as_str()
    }

    /// Its buttons, those on cards first.
    #[must_use]
    pub fn buttons(&self) -> Vec<Button> {
        let content = &self.message["contentMessage"];
        let standalone = content.pointer("/richCard/standaloneCard/cardContent");
        let carousel = content
            .pointer("/richCard/carouselCard/cardContents")
            .and_then(Value::as_array);
        let cards = standalone.into_iter().chain(carousel.into_iter().flatten());
        let all = cards
            .chain([content])
            .filter_map(|place| place["suggestions"].as_array());
        let button = |one: &Value| {
            let inner = one.get("reply").or_else(|| one.get("action"))?;
            Some(Button {
                label: inner["text"].as_str()?.to_owned(),
                postback: inner["postbackData"].as_str()?.to_owned(),
                replies: one.get("reply").is_some(),
            })
        };
        all.flatten().filter_map(button).collect()
    }
}

#[derive(Clone, Debug)]
pub struct Handset {
    pub rcs: bool,
    pub on: bool,
    pub tester: bool,
    pub features: Vec<String>,
    /// Of the agent's: `READ` of this message, or `IS_TYPING`.
    pub marks: Vec<Value>,
}

impl Default for Handset {
    fn default() -> Self {
        let features = [
            "RICHCARD_STANDALONE",
            "RICHCARD_CAROUSEL",
            "ACTION_CREATE_CALENDAR_EVENT",
            "ACTION_DIAL",
            "ACTION_OPEN_URL",
            "ACTION_SHARE_LOCATION",
            "ACTION_VIEW_LOCATION",
        ];
        Self {
            rcs: true,
            on: true,
            tester: true,
            features: features.map(str::to_owned).to_vec(),
            marks: Vec::new(),
        }
    }
}

#[derive(Debug, Default)]
pub struct World {
    /// How far Google's clock is ahead of the one that it was started with, in seconds.
    pub clock_ahead: i64,
    /// A message whose time is over cannot be taken back.
    pub fails_to_revoke: bool,
    /// Files that phones sent are answered with this.
    pub files_answer: Option<u16>,
    pub webhook: Option<String>,
    pub phones: BTreeMap<String, Handset>,
    pub messages: Vec<Received>,
    /// Tokens, and when they end.
    pub tokens: BTreeMap<String, Timestamp>,
    pub issued: usize,
    /// The agent's files: type and octets, by name.
    pub uploads: BTreeMap<String, (String, Vec<u8>)>,
    /// The phones' files.
    pub files: BTreeMap<String, (String, Vec<u8>)>,
    ids: u64,
}

pub struct Shared {
    world: Mutex<World>,
    pub troubles: Troubles,
    clock: Arc<dyn Clock>,
    pub base: String,
    pub client: reqwest::Client,
    queue: UnboundedSender<Value>,
}

impl Shared {
    pub fn new(
        world: World,
        clock: Arc<dyn Clock>,
        base: String,
        queue: UnboundedSender<Value>,
    ) -> reqwest::Result<Self> {
        // Whoever came first may have installed one; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self {
            world: Mutex::new(world),
            troubles: Troubles::new(client.clone()),
            clock,
            base,
            client,
            queue,
        })
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Google's time.
    pub fn now(&self) -> Timestamp {
        let ahead = self.world().clock_ahead;
        Timestamp(self.clock.now().millis() + ahead * 1000)
    }

    /// Tells the agent, in order.
    pub fn tell(&self, event: Value) {
        if !self.troubles.keeps(|| super::hooks::hook(self, &event)) {
            // Without a worker the service has ended.
            let _ = self.queue.send(event);
        }
    }

    /// Delivers what waits for this phone.
    pub fn deliver(&self, number: &str) {
        self.revoke_what_is_over();
        let delivered: Vec<String> = {
            let mut world = self.world();
            let there = world
                .phones
                .get(number)
                .is_some_and(|phone| phone.on && phone.rcs);
            let waiting = world
                .messages
                .iter_mut()
                .filter(|message| there && message.number == number && message.stage == Stage::Waits);
            waiting
                .map(|message| {
                    message.stage = Stage::Delivered;
                    message.id.clone()
                })
                .collect()
        };
        for id in delivered {
            self.tell_of(number, "DELIVERED", Some(&id));
        }
    }

    /// Tells a user event.
    pub fn tell_of(&self, number: &str, kind: &str, message: Option<&str>) {
        let mut event = json!({
            "senderPhoneNumber": number,
            "eventType": kind,
            "eventId": self.world().id("event"),
            "agentId": super::AGENT,
            "sendTime": self.now().to_string(),
        });
        if let Some(message) = message {
            event["messageId"] = message.into();
        }
        self.tell(event);
    }

    /// Takes back messages whose time is over, and tells so.
    pub fn revoke_what_is_over(&self) {
        let now = self.now();
        let mut events = Vec::new();
        {
            let mut world = self.world();
            let fails = world.fails_to_revoke;
            let mut over = Vec::new();
            for message in &mut world.messages {
                if message.stage == Stage::Waits && message.over_at.is_some_and(|at| at <= now) {
                    message.over_at = None;
                    if !fails {
                        message.stage = Stage::Revoked;
                    }
                    over.push((message.number.clone(), message.id.clone()));
                }
            }
            for (number, id) in over {
                let kind = match fails {
                    true => "TTL_EXPIRATION_REVOKE_FAILED",
                    false => "TTL_EXPIRATION_REVOKED",
                };
                events.push((number, kind, id));
            }
        }
        for (number, kind, id) in events {
            self.tell_of_its_own(&number, kind, &id);
        }
    }

    /// Tells a server event.
    pub fn tell_of_its_own(&self, number: &str, kind: &str, message: &str) {
        let id = self.world().id("server");
        self.tell(json!({
            "phoneNumber": number,
            "agentId": super::AGENT,
            "messageId": message,
            "eventType": kind,
            "eventId": id,
            "sendTime": self.now().to_string(),
        }));
    }
}

impl World {
    pub fn id(&mut self, kind: &str) -> String {
        self.ids += 1;
        format!("{kind}-{:08}", self.ids)
    }
}
