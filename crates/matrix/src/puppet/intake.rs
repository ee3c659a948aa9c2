//! What comes: our own loop over `/sync`, whose place is written down only when everything before it is committed.

use super::gap::Timeline;
use super::ledger::Waiting;
use super::sync::{POLL, Pause, deliver, logged_out};
use super::{Puppet, RunError};
use crate::crypto::unreadable;
use crate::event;
use crate::failure::Failure;
use futures_util::FutureExt;
use matrix_sdk::deserialized_responses::{
    TimelineEvent, TimelineEventKind, UnableToDecryptReason, VerificationLevel, VerificationState,
};
use matrix_sdk::sync::SyncResponse;
use ruma::RoomId as MatrixRoomId;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Link, Shutdown};
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbox, RoomEvent, RoomEventKind, Unreadable, What};
use swingbridge_domain::message::{Body, Message};
use swingbridge_domain::path::{Protection, Scheme};

/// A key comes within this long after its event, usually.
const FIRST_TRY: Duration = Duration::from_millis(500);

/// What an answer of the homeserver brought.
#[derive(Default)]
struct Brought {
    arrivals: Vec<Arrival>,
    waiting: Vec<Waiting>,
    last: Vec<(String, String)>,
}

/// What one event is.
pub(super) enum Read {
    Nothing,
    Arrival(Box<Arrival>),
    /// It is encrypted, and its key is not there yet.
    Waits(Box<RoomEvent>, Unreadable),
}

impl Puppet {
    /// Reads what happens and hands it to `inbox` until the program stops. The homeserver being away is waited for. Run it once, beside
    /// everything else.
    ///
    /// # Errors
    /// [`RunError`], when a person must act.
    pub async fn run(self: Arc<Self>, inbox: Arc<dyn Inbox>, shutdown: Shutdown) -> Result<(), RunError> {
        let reading = async {
            let double = async {
                match &self.double {
                    Some(client) => self.keep_up(client).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = self.read_on(&*inbox) => answer,
                answer = self.look_after_waiting(&*inbox) => answer,
                answer = double => answer,
            }
        };
        tokio::select! {
            answer = reading => answer,
            () = shutdown.requested() => Ok(()),
        }
    }

    async fn read_on(&self, inbox: &dyn Inbox) -> Result<(), RunError> {
        let mut pause = Pause::default();
        loop {
            let once = async {
                let token = self.ledger.token().await?;
                let answer = self.sync(token.as_deref(), POLL).await?;
                self.take(inbox, token.as_deref(), answer).await
            };
            let outcome = once.boxed().await;
            self.note(&outcome);
            match outcome {
                Ok(true) => pause = Pause::default(),
                Ok(false) => return Ok(()),
                Err(failure) if failure.is_unknown_token() => return Err(logged_out(&failure)),
                Err(failure) => pause.after(&failure).await,
            }
        }
    }

    /// Remembers how the homeserver was.
    fn note(&self, outcome: &Result<bool, Failure>) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(_) => {
                reached.state = Link::Connected;
                reached.detail.clear();
                reached.last_traffic = Some(self.clock.now());
            }
            Err(failure) => {
                reached.state = match failure.is_unknown_token() {
                    true => Link::Refused,
                    false => Link::Disconnected,
                };
                reached.detail = failure.to_string();
            }
        }
    }

    /// Hands in what came and writes the new place down. `false`: the program is stopping.
    async fn take(
        &self,
        inbox: &dyn Inbox,
        since: Option<&str>,
        answer: SyncResponse,
    ) -> Result<bool, Failure> {
        let place = answer.next_batch.clone();
        let brought = self.read_answer(since, answer).await?;
        let waits = !brought.waiting.is_empty();
        self.ledger.wait(brought.waiting).await?;
        if !deliver(inbox, brought.arrivals).await {
            return Ok(false);
        }
        self.ledger.advance(place, brought.last).await?;
        if waits {
            self.keys.notify_one();
        }
        self.refuse_other_invites().await;
        Ok(true)
    }

    async fn read_answer(&self, since: Option<&str>, answer: SyncResponse) -> Result<Brought, Failure> {
        let mut brought = Brought::default();
        for (room, update) in answer.rooms.joined {
            let timeline = Timeline {
                events: update.timeline.events,
                limited: update.timeline.limited,
                before: update.timeline.prev_batch,
            };
            self.read_room(&room, since, timeline, &mut brought).await?;
            // What was going on before our time is over.
            if since.is_some() {
                for event in &update.ephemeral {
                    self.read_passing(&room, event.json(), &mut brought.arrivals);
                }
            }
        }
        for (room, update) in answer.rooms.left {
            let timeline = Timeline {
                events: update.timeline.events,
                limited: update.timeline.limited,
                before: update.timeline.prev_batch,
            };
            self.read_room(&room, since, timeline, &mut brought).await?;
        }
        for (room, update) in answer.rooms.invited {
            let state = update.invite_state.events.iter().map(|event| event.json());
            brought.arrivals.extend(self.read_invite(&room, since, state));
        }
        Ok(brought)
    }

    async fn read_room(
        &self,
        room: &MatrixRoomId,
        since: Option<&str>,
        timeline: Timeline,
        brought: &mut Brought,
    ) -> Result<(), Failure> {
        let newest = timeline.events.iter().rev().find_map(TimelineEvent::event_id);
        // The first look only finds out where we are.
        let events = match since {
            Some(since) => self.since(room, since, timeline).await?,
            None => Vec::new(),
        };
        for event in events {
            match self.read_event(&event, room).await? {
                Read::Nothing => {}
                Read::Arrival(arrival) => brought.arrivals.push(*arrival),
                Read::Waits(known, _) => brought.waiting.push(self.waiting(event.raw().json(), &known)),
            }
        }
        if let Some(newest) = newest {
            brought.last.push((room.to_string(), newest.to_string()));
        }
        Ok(())
    }

    fn waiting(&self, raw: &RawValue, event: &RoomEvent) -> Waiting {
        let now = self.clock.now();
        Waiting {
            event: event.event.0.clone(),
            room: event.room.0.clone(),
            body: raw.get().to_owned(),
            since: now,
            due: now + FIRST_TRY,
            tries: 0,
            told: false,
        }
    }

    /// Reads an event that the client has opened, as far as it could.
    pub(super) async fn read_event(
        &self,
        event: &TimelineEvent,
        room: &MatrixRoomId,
    ) -> Result<Read, Failure> {
        // An odd event costs itself.
        let read = event::read(event.raw().json(), Some(room.as_str()), &self.names).unwrap_or_default();
        let Some(arrival) = read else {
            return Ok(Read::Nothing);
        };
        let Arrival {
            what: What::Room(mut event_read),
            ..
        } = arrival
        else {
            return Ok(Read::Nothing);
        };
        let shut = match &event.kind {
            TimelineEventKind::PlainText { .. } => match event_read.what {
                // The client did not even try.
                RoomEventKind::Undecryptable { .. } => Some((Unreadable::Malformed, false)),
                _ => None,
            },
            TimelineEventKind::UnableToDecrypt { utd_info, .. } => Some(cause(&utd_info.reason)),
            TimelineEventKind::Decrypted(opened) => match &opened.encryption_info.verification_state {
                VerificationState::Unverified(VerificationLevel::MismatchedSender) => {
                    Some((Unreadable::Malformed, false))
                }
                // The key came, and nobody knows from which device: its list may still be on the way.
                VerificationState::Unverified(VerificationLevel::None(_)) => {
                    Some((Unreadable::UnknownDevice, true))
                }
                // A device that its owner has not signed is still the owner's, as far as the homeserver may be believed.
                _ => None,
            },
        };
        match shut {
            Some((cause, true)) => return Ok(Read::Waits(Box::new(event_read), cause)),
            Some((cause, false)) => return Ok(Read::Arrival(Box::new(unreadable(&event_read, cause)))),
            None => {}
        }
        if let TimelineEventKind::Decrypted(_) = event.kind {
            // Only what somebody said may come encrypted: a change of members is the homeserver's to tell.
            if !matches!(event_read.what, RoomEventKind::Message(_)) {
                return Ok(Read::Nothing);
            }
            event_read.protection = Protection::EndToEnd(Scheme::Megolm);
        }
        if let RoomEventKind::Message(message) = &event_read.what
            && (is_between_machines(message) || self.is_our_withdrawal(&event_read.sender, message).await?)
        {
            return Ok(Read::Nothing);
        }
        Ok(Read::Arrival(Box::new(event::arrival(event_read))))
    }

    /// What the owner's second session took back in our name comes back as the owner's.
    async fn is_our_withdrawal(&self, sender: &UserId, message: &Message) -> Result<bool, Failure> {
        use swingbridge_domain::message::Reference;
        match (&message.replaces, message.parts.as_slice()) {
            (Some(Reference::Event(target)), [part])
                if self.double.is_some()
                    && sender.as_str() == self.owner.as_str()
                    && part.body == Body::Null =>
            {
                self.ledger.is_withdrawn(target.as_str()).await
            }
            _ => Ok(false),
        }
    }

    /// Receipts and typing of the owner.
    fn read_passing(&self, room: &MatrixRoomId, raw: &RawValue, arrivals: &mut Vec<Arrival>) {
        let Ok(event) = serde_json::from_str::<Value>(raw.get()) else {
            return;
        };
        let content = &event["content"];
        match event["type"].as_str() {
            Some("m.receipt") => {
                for (target, receipts) in content.as_object().into_iter().flatten() {
                    let read = ["m.read", "m.read.private"]
                        .iter()
                        .find_map(|kind| receipts[kind].get(self.owner.as_str()));
                    if let Some(read) = read {
                        let at = read["ts"].as_i64().map_or_else(|| self.clock.now(), Timestamp);
                        let target = EventId::new(target);
                        let what = RoomEventKind::Read {
                            up_to: target.clone(),
                        };
                        arrivals.push(self.passing(room, target, at, what));
                    }
                }
            }
            Some("m.typing") => {
                let users = content["user_ids"].as_array();
                let active = users.is_some_and(|users| users.iter().any(|user| user == self.owner.as_str()));
                let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
                let before = match active {
                    true => writing.insert(room.to_string(), true),
                    false => writing.remove(room.as_str()),
                };
                if before.unwrap_or(false) != active {
                    let what = RoomEventKind::Typing { active };
                    arrivals.push(self.passing(room, EventId::new(""), self.clock.now(), what));
                }
            }
            _ => {}
        }
    }

    fn passing(&self, room: &MatrixRoomId, event: EventId, at: Timestamp, what: RoomEventKind) -> Arrival {
        Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Room(RoomEvent {
                room: RoomId::new(room.as_str()),
                event,
                sender: UserId::new(self.owner.as_str()),
                sent_at: at,
                protection: Protection::None,
                what,
            }),
        }
    }
}

fn cause(reason: &UnableToDecryptReason) -> (Unreadable, bool) {
    match reason {
        UnableToDecryptReason::MissingMegolmSession { withheld_code: None }
        | UnableToDecryptReason::UnknownMegolmMessageIndex => (Unreadable::MissingKey, true),
        UnableToDecryptReason::MissingMegolmSession { .. } => (Unreadable::Withheld, true),
        UnableToDecryptReason::MismatchedIdentityKeys
        | UnableToDecryptReason::SenderIdentityNotTrusted(_) => (Unreadable::UnknownDevice, true),
        _ => (Unreadable::Malformed, false),
    }
}

/// A request to compare keys looks like a message, and is none.
fn is_between_machines(message: &Message) -> bool {
    message
        .parts
        .iter()
        .any(|part| matches!(&part.body, Body::Other { kind, .. } if kind.starts_with("m.key.verification.")))
}
