//! What happened while nobody listened.
//!
//! A homeserver keeps transactions for us while we are away, but not all of them survive its own fall. So after any downtime
//! the bot reads its rooms: by `/sync` with what it saw last, and backwards by `/messages` where a room has more than
//! one answer holds. Homeservers without `/sync` for our users are read room by room down to the time of the last look.

use crate::event;
use crate::failure::Failure;
use crate::homeserver::Matrix;
use ruma::api::client::filter::{Filter, FilterDefinition, RoomEventFilter, RoomFilter};
use ruma::api::client::membership::joined_rooms;
use ruma::api::client::message::get_message_events;
use ruma::api::client::sync::sync_events;
use ruma::serde::Raw;
use ruma::{OwnedRoomId, RoomId as MatrixRoomId, UInt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::homeserver::Missed;
use swingbridge_domain::id::{EventId, RoomId, UserId};
use swingbridge_domain::inbox::{Arrival, Membership, RoomEvent, RoomEventKind, What};
use swingbridge_domain::path::Protection;

/// Events of one room in one answer. The usual 10 loses messages in every burst.
const PAGE: u32 = 500;
/// By how much the clocks of the homeserver and ours may differ when rooms are read down to a time.
const CLOCKS_DIFFER: Duration = Duration::from_secs(600);
/// How far back a gap may reach. Some homeservers do not know where to stop and give the room from its beginning; what
/// is younger than this is told apart by event id, which the store remembers for longer.
const GAP_AT_MOST: Duration = Duration::from_secs(7 * 24 * 3600);
/// The bridge's own types, of which there are as many as messages.
const NOT_TYPES: [&str; 5] = [
    "com.beeper.message_send_status",
    "m.bridge",
    "uk.half-shot.bridge",
    "m.space.child",
    "m.space.parent",
];

/// What is kept between two looks.
#[derive(Serialize, Deserialize)]
struct Token {
    /// `next_batch` of the last `/sync`; `None` where there is none.
    since: Option<String>,
    /// When that was, in milliseconds.
    at: Timestamp,
}

impl Matrix {
    pub(crate) async fn what_was_missed(&self, token: Option<&str>) -> Result<Missed, Failure> {
        self.people
            .ensure(&self.api, &self.bot, &self.config.bot_name)
            .await?;
        let at = self.clock.now();
        let last: Option<Token> = token.and_then(|token| {
            let read = serde_json::from_str(token);
            if read.is_err() {
                tracing::warn!(
                    "the place up to which rooms were read is not understood; reading begins anew"
                );
            }
            read.ok()
        });
        let Some(last) = last else {
            return Ok(missed(Vec::new(), self.here().await?, at));
        };
        if let Some(crypto) = self.crypto()? {
            // Keys before the events that they open.
            self.catch_up_bot(crypto).await?;
        }
        let mut arrivals = Vec::new();
        if let Some(since) = &last.since {
            match self.sync(Some(since), filter()).await {
                Ok(answer) => {
                    self.read_sync(&answer, since, last.at - GAP_AT_MOST, &mut arrivals)
                        .await?;
                    return Ok(missed(arrivals, Some(answer.next_batch), at));
                }
                Err(failure) if !is_without_sync(&failure) => return Err(failure),
                Err(failure) => {
                    tracing::warn!(%failure, "the homeserver gives no /sync; every room is read down to the last look instead");
                }
            }
        }
        // Before the rooms are read, so that nothing falls between.
        let here = self.here().await?;
        let down_to = last.at - CLOCKS_DIFFER;
        for room in self.joined_rooms().await? {
            match self.read_back(&room, None, None, down_to).await {
                Ok(events) => arrivals.extend(events),
                Err(failure) if failure.no_access() => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(missed(arrivals, here, at))
    }

    /// A token for "now", without any room's events.
    async fn here(&self) -> Result<Option<String>, Failure> {
        let mut nothing = FilterDefinition::ignore_all();
        nothing.room = RoomFilter::ignore_all();
        match self.sync(None, nothing).await {
            Ok(answer) => Ok(Some(answer.next_batch)),
            Err(failure) if is_without_sync(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn sync(
        &self,
        since: Option<&str>,
        filter: FilterDefinition,
    ) -> Result<sync_events::v3::Response, Failure> {
        let mut request = sync_events::v3::Request::new();
        request.filter = Some(filter.into());
        request.since = since.map(str::to_owned);
        request.set_presence = ruma::presence::PresenceState::Offline;
        request.timeout = Some(Duration::ZERO);
        self.slow.call(Some(self.bot()), request).await
    }

    async fn read_sync(
        &self,
        answer: &sync_events::v3::Response,
        since: &str,
        down_to: Timestamp,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<(), Failure> {
        for (room, invited) in &answer.rooms.invite {
            let found = invited.invite_state.events.iter().find_map(|event| {
                invite(
                    event.json().get(),
                    room,
                    self.bot.as_str(),
                    since,
                    self.clock.now(),
                )
            });
            arrivals.extend(found.map(event::arrival));
        }
        let left = answer
            .rooms
            .leave
            .iter()
            .map(|(room, left)| (room, &left.timeline));
        let joined = answer
            .rooms
            .join
            .iter()
            .map(|(room, joined)| (room, &joined.timeline));
        for (room, timeline) in left.chain(joined) {
            if timeline.limited
                && let Some(from) = &timeline.prev_batch
            {
                match self.read_back(room, Some(from), Some(since), down_to).await {
                    Ok(events) => arrivals.extend(events),
                    Err(failure) if failure.no_access() => {}
                    Err(failure) => return Err(failure),
                }
            }
            let events = timeline.events.iter();
            let read = events.filter_map(|event| self.understood(event, room)).collect();
            arrivals.extend(self.unseal(read).await?);
        }
        Ok(())
    }

    /// Reads a room backwards from `from` until `to` or until events are older than `down_to`, whichever comes first; gives
    /// them in order.
    async fn read_back(
        &self,
        room: &MatrixRoomId,
        from: Option<&str>,
        to: Option<&str>,
        down_to: Timestamp,
    ) -> Result<Vec<Arrival>, Failure> {
        let mut newest_first: Vec<(Arrival, Box<RawValue>)> = Vec::new();
        let mut from = from.map(str::to_owned);
        loop {
            let mut request = get_message_events::v3::Request::backward(room.to_owned());
            request.from.clone_from(&from);
            request.to = to.map(str::to_owned);
            request.limit = UInt::from(PAGE);
            request.filter = timeline();
            let page = self.slow.call(Some(self.bot()), request).await?;
            let mut found: Vec<(Arrival, &RawValue)> = page
                .chunk
                .iter()
                .filter_map(|event| self.understood(event, room))
                .collect();
            // Others' events alone tell the time: our own may carry that of a text.
            let all = found.len();
            found.retain(|(arrival, _)| sent_at(arrival) >= down_to);
            let far_enough = all > 0 && found.is_empty();
            let kept = found.into_iter();
            newest_first.extend(kept.map(|(arrival, raw)| (arrival, raw.to_owned())));
            if page.chunk.is_empty() || far_enough || page.end.is_none() || page.end == from {
                break;
            }
            from = page.end;
        }
        let oldest_first = newest_first.iter().rev();
        let read = oldest_first.map(|(arrival, raw)| (arrival.clone(), &**raw));
        self.unseal(read.collect()).await
    }

    fn understood<'a, T>(&self, event: &'a Raw<T>, room: &MatrixRoomId) -> Option<(Arrival, &'a RawValue)> {
        let read = event::read(event.json(), Some(room.as_str()), &self.names);
        Some((read.ok()??, event.json()))
    }

    async fn joined_rooms(&self) -> Result<Vec<OwnedRoomId>, Failure> {
        let answer = self
            .api
            .call(Some(self.bot()), joined_rooms::v3::Request::new())
            .await?;
        Ok(answer.joined_rooms)
    }
}

fn missed(arrivals: Vec<Arrival>, since: Option<String>, at: Timestamp) -> Missed {
    Missed {
        arrivals,
        token: serde_json::to_string(&Token { since, at }).expect("a text and a number always serialise"),
        more: false,
    }
}

/// The homeserver has no `/sync` for us, or none from this token on (Synapse says 500 for what it never implemented).
fn is_without_sync(failure: &Failure) -> bool {
    match failure {
        Failure::Refused { .. } => !failure.is_unknown_token(),
        Failure::Away { detail, .. } => detail.starts_with("status 500") || detail.starts_with("status 501"),
    }
}

fn filter() -> FilterDefinition {
    let mut room = RoomFilter::empty();
    room.timeline = timeline();
    room.timeline.limit = Some(UInt::from(PAGE));
    room.state = RoomEventFilter::ignore_all();
    room.ephemeral = RoomEventFilter::ignore_all();
    room.account_data = RoomEventFilter::ignore_all();
    let mut filter = FilterDefinition::empty();
    filter.presence = Filter::ignore_all();
    filter.account_data = Filter::ignore_all();
    filter.room = room;
    filter
}

fn timeline() -> RoomEventFilter {
    let mut filter = RoomEventFilter::with_lazy_loading();
    filter.not_types = NOT_TYPES.map(str::to_owned).to_vec();
    filter
}

fn sent_at(arrival: &Arrival) -> Timestamp {
    match &arrival.what {
        What::Room(event) => event.sent_at,
        What::Network(_) => Timestamp::default(),
    }
}

/// An invite of the bot, from the few events that an invited user is shown. They may have neither id nor time; the same
/// invite read again from the same place gets the same id.
fn invite(event: &str, room: &MatrixRoomId, bot: &str, since: &str, now: Timestamp) -> Option<RoomEvent> {
    let event: Value = serde_json::from_str(event).ok()?;
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    let content = event.get("content")?;
    if text("type") != Some("m.room.member")
        || text("state_key") != Some(bot)
        || content.get("membership").and_then(Value::as_str) != Some("invite")
    {
        return None;
    }
    let id = text("event_id").map_or_else(|| format!("$missed-invite:{room}:{since}"), str::to_owned);
    let sent_at = event
        .get("origin_server_ts")
        .and_then(Value::as_i64)
        .map_or(now, Timestamp);
    Some(RoomEvent {
        room: RoomId::new(room.as_str()),
        event: EventId::new(id),
        sender: UserId::new(text("sender")?),
        sent_at,
        protection: Protection::None,
        what: RoomEventKind::Membership {
            user: UserId::new(bot),
            membership: Membership::Invite,
            direct: content.get("is_direct").and_then(Value::as_bool).unwrap_or(false),
        },
    })
}
