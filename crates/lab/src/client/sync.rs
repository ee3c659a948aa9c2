//! What comes by sync, remembered, and waiting for it.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Client, ClientError, text, v3};

/// How long [`Client::wait_for`] waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where in a sync something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The timeline of a room that we are in.
    Timeline,
    /// The state of a room that we are in, before its timeline.
    State,
    /// Receipts and typing in a room.
    Ephemeral,
    /// The stripped state of a room that we are invited to.
    Invite,
    /// Our own data, about a room or about everything.
    AccountData,
}

/// Something that came by sync.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Where it came.
    pub place: Place,
    /// The room it belongs to; empty for account data about everything.
    pub room: String,
    /// The event as the homeserver sent it.
    pub event: Value,
}

impl Seen {
    /// The event's type.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.event["type"].as_str().unwrap_or_default()
    }

    /// The text of a message.
    #[must_use]
    pub fn body(&self) -> &str {
        self.event["content"]["body"].as_str().unwrap_or_default()
    }

    /// The user who sent it.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.event["sender"].as_str().unwrap_or_default()
    }

    /// The event's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.event["event_id"].as_str().unwrap_or_default()
    }

    /// Whether it is a message in a timeline, of any `msgtype`.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.place == Place::Timeline && self.kind() == "m.room.message"
    }
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    since: Option<String>,
    all: Vec<Seen>,
    ids: HashSet<String>,
    /// Rooms that came before: a limited timeline of one of these leaves a gap.
    rooms: HashSet<String>,
}

impl Client {
    /// Waits for the next news, `patience` at most, and remembers them. A limited timeline is filled from the room's history.
    ///
    /// # Errors
    /// When the homeserver refuses or does not answer; safe to repeat.
    pub async fn sync(&self, patience: Duration) -> Result<(), ClientError> {
        let mut memory = self.seen.lock().await;
        let timeout = patience.as_millis().to_string();
        let filter =
            json!({ "room": { "timeline": { "limit": 500 } }, "presence": { "types": [] } }).to_string();
        let mut query = vec![("timeout", timeout.as_str()), ("filter", filter.as_str())];
        let since = memory.since.clone();
        query.extend(since.as_deref().map(|since| ("since", since)));
        let news = self.get(&v3(&["sync"]), &query).await?;
        for (room, joined) in entries(&news["rooms"]["join"]) {
            let known = !memory.rooms.insert(room.clone());
            if known && joined["timeline"]["limited"] == true {
                self.fill_gap(&mut memory, room, joined["timeline"]["prev_batch"].as_str())
                    .await?;
            }
            memory.keep(Place::State, room, &joined["state"]["events"]);
            memory.keep(Place::Timeline, room, &joined["timeline"]["events"]);
            memory.keep(Place::Ephemeral, room, &joined["ephemeral"]["events"]);
            memory.keep(Place::AccountData, room, &joined["account_data"]["events"]);
        }
        for (room, left) in entries(&news["rooms"]["leave"]) {
            memory.keep(Place::Timeline, room, &left["timeline"]["events"]);
        }
        for (room, invited) in entries(&news["rooms"]["invite"]) {
            memory.keep(Place::Invite, room, &invited["invite_state"]["events"]);
        }
        memory.keep(Place::AccountData, "", &news["account_data"]["events"]);
        memory.since = Some(text(&news, "next_batch")?);
        Ok(())
    }

    async fn fill_gap(&self, memory: &mut Memory, room: &str, from: Option<&str>) -> Result<(), ClientError> {
        let mut missed = Vec::new();
        let mut from = from.map(str::to_owned);
        while let Some(start) = from {
            let (page, next) = self.page_back(room, Some(&start)).await?;
            let met = page.iter().any(|event| {
                event["event_id"]
                    .as_str()
                    .is_some_and(|id| memory.ids.contains(id))
            });
            let done = met || page.is_empty();
            missed.extend(page);
            from = if done { None } else { next };
        }
        missed.reverse();
        memory.keep(Place::Timeline, room, &Value::Array(missed));
        Ok(())
    }

    /// Everything that came so far.
    pub async fn seen(&self) -> Vec<Seen> {
        self.seen.lock().await.all.clone()
    }

    /// The messages of a room that came so far, in order.
    pub async fn messages(&self, room: &str) -> Vec<Seen> {
        let memory = self.seen.lock().await;
        memory
            .all
            .iter()
            .filter(|seen| seen.room == room && seen.is_message())
            .cloned()
            .collect()
    }

    /// Waits for something that the condition picks, among what came before and what comes in the next 30 seconds. A
    /// homeserver that is away meanwhile (it may be restarting) is asked again.
    ///
    /// # Errors
    /// When it does not come. `what` says in words what was awaited.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        pick: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, ClientError> {
        self.wait_at_most(PATIENCE, what, pick).await
    }

    /// [`Self::wait_for`] with a patience of the caller's.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn wait_at_most<T>(
        &self,
        patience: Duration,
        what: &str,
        mut pick: impl FnMut(&Seen) -> Option<T>,
    ) -> Result<T, ClientError> {
        let deadline = Instant::now() + patience;
        let mut next = 0;
        loop {
            {
                let memory = self.seen.lock().await;
                if let Some(found) = memory.all[next..].iter().find_map(&mut pick) {
                    return Ok(found);
                }
                next = memory.all.len();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClientError::TimedOut {
                    what: what.to_owned(),
                    after: patience,
                });
            }
            if let Err(error) = self.sync(left.min(Duration::from_secs(10))).await {
                match error {
                    ClientError::Refused { status: 400..500, .. } => return Err(error),
                    _ => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }
    }

    /// Waits for a text message of somebody else in a room.
    ///
    /// # Errors
    /// When it does not come within 30 seconds.
    pub async fn wait_for_text(&self, room: &str, body: &str) -> Result<Seen, ClientError> {
        self.wait_for(&format!("the text {body:?}"), |seen| {
            let fits =
                seen.room == room && seen.is_message() && seen.body() == body && seen.sender() != self.user;
            fits.then(|| seen.clone())
        })
        .await
    }

    /// Waits for an invitation that the condition accepts (it is shown the inviting user), joins, and gives back the room.
    ///
    /// # Errors
    /// When none comes within 30 seconds, or joining is refused.
    pub async fn accept_invite(&self, mut from: impl FnMut(&str) -> bool) -> Result<String, ClientError> {
        let room = self
            .wait_for("an invitation", |seen| {
                let invites = seen.place == Place::Invite
                    && seen.kind() == "m.room.member"
                    && seen.event["state_key"] == self.user.as_str()
                    && seen.event["content"]["membership"] == "invite"
                    && from(seen.sender());
                invites.then(|| seen.room.clone())
            })
            .await?;
        self.join(&room).await?;
        Ok(room)
    }
}

impl Memory {
    /// Adds what is new; an event with an id is kept once for each place.
    fn keep(&mut self, place: Place, room: &str, events: &Value) {
        for event in events.as_array().into_iter().flatten() {
            if place == Place::Timeline
                && let Some(id) = event["event_id"].as_str()
                && !self.ids.insert(id.to_owned())
            {
                continue;
            }
            self.all.push(Seen {
                place,
                room: room.to_owned(),
                event: event.clone(),
            });
        }
    }
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}
