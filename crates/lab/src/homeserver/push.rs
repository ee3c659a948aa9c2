//! Transactions to the application service (Application Service API, "Pushing events"), with the habits of several
//! homeservers: what is in a transaction, how it is named, what a retry holds.

use super::Shared;
use super::config::{Registration, Retry, TokenPlace, TransactionIds};
use super::world::{Ephemeral, Event, World};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// How many delivered events are kept to be repeated.
const KEPT: usize = 200;

/// What is to be pushed and what was.
#[derive(Debug)]
pub struct Pushes {
    /// Events that wait for a transaction.
    pub(super) queue: VecDeque<Event>,
    pub(super) ephemeral: Vec<Value>,
    /// The transaction under way or failed; pushed until it is answered with 200.
    pub(super) pending: Option<Transaction>,
    counter: u64,
    delivered: VecDeque<Event>,
    random: StdRng,
    /// Event ids that were never pushed, by fault.
    pub lost: BTreeSet<String>,
    /// Transactions that were answered with 200.
    pub accepted: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Pushes are held back, as if the link were cut.
    pub(super) paused: bool,
    /// Users that the application service is asked about.
    pub(super) unknown_users: Vec<String>,
}

/// A transaction that has its id.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub id: String,
    pub events: Vec<Event>,
    pub ephemeral: Vec<Value>,
    pub tries: u32,
    /// It was answered and is pushed once more all the same.
    pub again: bool,
}

impl Pushes {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            queue: VecDeque::new(),
            ephemeral: Vec::new(),
            pending: None,
            counter: 0,
            delivered: VecDeque::new(),
            random: StdRng::seed_from_u64(seed ^ 0x5075_7368),
            lost: BTreeSet::new(),
            accepted: 0,
            failed: 0,
            paused: false,
            unknown_users: Vec::new(),
        }
    }

    /// Whether everything was pushed and answered.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.pending.is_none()
    }

    /// As after a restart of a homeserver that keeps its counter in memory.
    pub(super) fn restart(&mut self) {
        self.counter = 0;
        self.ephemeral.clear();
    }
}

impl World {
    /// Queues an event for the application service if it is interested.
    pub(super) fn push_event(&mut self, position: usize) {
        let event = self.events[position].clone();
        if self.registration().url.is_none() || !self.interests(&event) {
            return;
        }
        if self.config.faults.lost_push > 0.0 {
            let mut dice = self.dice.roll(&("lost push", position));
            if event.kind == "m.room.message" && dice.random_bool(self.config.faults.lost_push) {
                self.pushes.lost.insert(event.event_id);
                return;
            }
        }
        if let Some(user) = event
            .state_key
            .as_deref()
            .filter(|_| event.kind == "m.room.member")
            && self.registration().owns_user(user)
            && !self.users.contains_key(user)
        {
            self.pushes.unknown_users.push(user.to_owned());
        }
        let twice = event.state_key.is_some() && self.config.quirks.duplicate_state;
        if twice {
            self.pushes.queue.push_back(event.clone());
        }
        self.pushes.queue.push_back(event);
    }

    pub(super) fn push_ephemeral(&mut self, event: &Ephemeral) {
        let interested = self
            .joined_members(&event.room)
            .iter()
            .any(|user| self.of_service(user));
        if interested && self.config.quirks.ephemeral && self.registration().wants_ephemeral() {
            let pushed = json!({"type": event.kind, "room_id": event.room, "content": event.content});
            self.pushes.ephemeral.push(pushed);
        }
    }

    /// Application Service API, "Registration": users by sender, target or membership; aliases and rooms.
    fn interests(&self, event: &Event) -> bool {
        let target = event
            .state_key
            .as_deref()
            .filter(|_| event.kind == "m.room.member");
        self.of_service(&event.sender)
            || target.is_some_and(|user| self.of_service(user))
            || self
                .joined_members(&event.room_id)
                .iter()
                .any(|user| self.of_service(user))
            || self
                .aliases
                .iter()
                .any(|(alias, (room, _))| *room == event.room_id && self.registration().owns_alias(alias))
            || self
                .registration()
                .namespaces
                .rooms
                .iter()
                .any(|space| space.regex.is_match(&event.room_id))
    }

    /// The next transaction to push: the one that failed, or a new one.
    pub(super) fn next_transaction(&mut self) -> Option<Transaction> {
        let quirks = self.config.quirks.clone();
        let now = self.now;
        let pushes = &mut self.pushes;
        if pushes.paused {
            return None;
        }
        if let Some(pending) = &mut pushes.pending {
            if pending.tries > 0 && !pending.again {
                match quirks.retry {
                    Retry::Same => {}
                    Retry::Emptied => pending.ephemeral.clear(),
                    Retry::Growing => {
                        let room = quirks
                            .batch
                            .saturating_sub(pending.events.len())
                            .min(pushes.queue.len());
                        pending.events.extend(pushes.queue.drain(..room));
                    }
                }
            }
            return Some(pending.clone());
        }
        let mut events = if quirks.reorder_rooms {
            pushes.take_reordered(quirks.batch)
        } else {
            let count = quirks.batch.min(pushes.queue.len());
            pushes.queue.drain(..count).collect()
        };
        let ephemeral = std::mem::take(&mut pushes.ephemeral);
        if events.is_empty() && ephemeral.is_empty() {
            return None;
        }
        if quirks.repeat_events > 0.0 && pushes.random.random_bool(quirks.repeat_events) {
            pushes.repeat_into(&mut events);
        }
        pushes.counter += 1;
        let id = match quirks.transaction_ids {
            TransactionIds::Counted | TransactionIds::CountedAnew => pushes.counter.to_string(),
            TransactionIds::Timed => events
                .first()
                .map_or(now, |event| event.origin_server_ts)
                .to_string(),
            TransactionIds::Hashed => {
                let mut hasher = DefaultHasher::new();
                events.iter().for_each(|event| event.event_id.hash(&mut hasher));
                Value::Array(ephemeral.clone()).to_string().hash(&mut hasher);
                format!("h{:016x}", hasher.finish())
            }
        };
        let transaction = Transaction {
            id,
            events,
            ephemeral,
            tries: 0,
            again: false,
        };
        pushes.pending = Some(transaction.clone());
        Some(transaction)
    }

    /// Takes note of the answer to the pending transaction.
    pub(super) fn transaction_answered(&mut self, accepted: bool) {
        let repeated = self.config.faults.repeated_push;
        let pushes = &mut self.pushes;
        let Some(mut transaction) = pushes.pending.take() else {
            return;
        };
        transaction.tries += 1;
        if !accepted {
            pushes.failed += 1;
            pushes.pending = Some(transaction);
            return;
        }
        pushes.accepted += 1;
        if !transaction.again && repeated > 0.0 && pushes.random.random_bool(repeated) {
            transaction.again = true;
            pushes.pending = Some(transaction);
            return;
        }
        pushes.delivered.extend(transaction.events);
        while pushes.delivered.len() > KEPT {
            pushes.delivered.pop_front();
        }
    }
}

impl Pushes {
    /// Takes up to `limit` events of some of the rooms; the order within a room stays.
    fn take_reordered(&mut self, limit: usize) -> Vec<Event> {
        let rooms: BTreeSet<String> = self.queue.iter().map(|event| event.room_id.clone()).collect();
        let mut rooms: Vec<String> = rooms.into_iter().collect();
        for last in (1..rooms.len()).rev() {
            rooms.swap(last, self.random.random_range(0..=last));
        }
        let kept = self.random.random_range(1..=rooms.len().max(1));
        rooms.truncate(kept);
        let mut taken = Vec::new();
        for room in rooms {
            let mut rest = VecDeque::new();
            for event in self.queue.drain(..) {
                if event.room_id == room && taken.len() < limit {
                    taken.push(event);
                } else {
                    rest.push_back(event);
                }
            }
            self.queue = rest;
        }
        taken
    }

    /// Puts a few events that were delivered before among new ones.
    fn repeat_into(&mut self, events: &mut Vec<Event>) {
        for _ in 0..self.random.random_range(1..=3) {
            if self.delivered.is_empty() {
                return;
            }
            let old = self.delivered[self.random.random_range(0..self.delivered.len())].clone();
            let place = self.random.random_range(0..=events.len());
            events.insert(place, old);
        }
    }
}

/// Pushes, one transaction at a time, until the stub ends.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        let (transaction, unknown) = {
            let mut world = shared.lock();
            (
                world.next_transaction(),
                std::mem::take(&mut world.pushes.unknown_users),
            )
        };
        for user in unknown {
            // The answer does not matter: the invited user exists afterwards or does not.
            let _ = shared.service.ask(&["users", &user], &[]).await;
        }
        let Some(transaction) = transaction else {
            shared.pushable.notified().await;
            continue;
        };
        let accepted = shared.service.push(&transaction).await;
        shared.lock().transaction_answered(accepted);
        shared.changed();
        if accepted {
            failures = 0;
            continue;
        }
        let quirks = shared.lock().config.quirks.clone();
        let pause = quirks
            .backoff
            .saturating_mul(1 << failures.min(16))
            .min(quirks.backoff_limit);
        failures += 1;
        // A successful ping ends the pause.
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.pinged.notified() => {}
        }
    }
}

/// The application service, as the homeserver reaches it.
#[derive(Debug)]
pub(super) struct Service {
    http: reqwest::Client,
    registration: Registration,
    token: TokenPlace,
    legacy: bool,
}

impl Service {
    pub(super) fn new(config: &super::Config) -> Result<Self, reqwest::Error> {
        // The second installation fails, and that is well: one provider serves all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(config.quirks.push_timeout)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            token: config.quirks.token,
            legacy: config.quirks.legacy_paths,
            registration: config.registration.clone(),
        })
    }

    fn url(&self, path: &[&str], query: &[(String, String)]) -> Option<url::Url> {
        let mut url = url::Url::parse(self.registration.url.as_deref()?).ok()?;
        {
            let mut segments = url.path_segments_mut().ok()?;
            segments.pop_if_empty();
            if !self.legacy {
                segments.extend(["_matrix", "app", "v1"]);
            }
            segments.extend(path);
        }
        for (name, value) in query {
            url.query_pairs_mut().append_pair(name, value);
        }
        if self.token != TokenPlace::Header {
            url.query_pairs_mut()
                .append_pair("access_token", &self.registration.hs_token);
        }
        Some(url)
    }

    fn sign(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self.token {
            TokenPlace::Query => request,
            _ => request.bearer_auth(&self.registration.hs_token),
        }
    }

    /// Pushes a transaction; `true` when it was answered with success.
    async fn push(&self, transaction: &Transaction) -> bool {
        let Some(url) = self.url(&["transactions", &transaction.id], &[]) else {
            return false;
        };
        let events: Vec<_> = transaction.events.iter().map(Event::to_json).collect();
        let mut body = json!({"events": events});
        // Each name of the setting has its name in the body; with both, everything is there twice.
        if self.registration.receive_ephemeral {
            body["ephemeral"] = json!(transaction.ephemeral);
        }
        if self.registration.push_ephemeral {
            body["de.sorunome.msc2409.ephemeral"] = json!(transaction.ephemeral);
        }
        if self.registration.wants_ephemeral() {
            body["de.sorunome.msc2409.to_device"] = json!([]);
        }
        let answer = self.sign(self.http.put(url)).json(&body).send().await;
        match answer {
            Ok(answer) => answer.status().is_success() && answer.json::<Value>().await.is_ok(),
            Err(_) => false,
        }
    }

    /// Asks for a user, an alias or something third-party; `None` when there is no good answer.
    pub(super) async fn ask(&self, path: &[&str], query: &[(String, String)]) -> Option<Value> {
        let url = self.url(path, query)?;
        let answer = self.sign(self.http.get(url)).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }

    /// Pings (Application Service API, "Pinging"): the status and body of the answer.
    ///
    /// # Errors
    /// It could not be reached; in words.
    pub(super) async fn ping(&self, transaction: Option<&str>) -> Result<(u16, String), String> {
        let url = self.url(&["ping"], &[]).ok_or("the url is none")?;
        let body = transaction.map_or_else(|| json!({}), |id| json!({"transaction_id": id}));
        let answer = self
            .sign(self.http.post(url))
            .json(&body)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.unwrap_or_default()))
    }
}
