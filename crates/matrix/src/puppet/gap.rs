//! What the homeserver left out of an answer: timelines that are cut short are read back to what is known.

use super::{Puppet, failure};
use crate::failure::Failure;
use futures_util::FutureExt;
use matrix_sdk::deserialized_responses::TimelineEvent;
use matrix_sdk::room::MessagesOptions;
use ruma::{RoomId as MatrixRoomId, UInt};
use serde_json::Value;

/// Events for each request.
const PAGE: u32 = 250;
/// More than this was never missed by a device that its owner still cares for.
const LIMIT: usize = 50_000;

/// A room's events in an answer.
pub(super) struct Timeline {
    pub events: Vec<TimelineEvent>,
    /// There are more before them.
    pub limited: bool,
    /// Where these are.
    pub before: Option<String>,
}

impl Puppet {
    /// All that happened in the room since `since`, in order.
    pub(super) async fn since(
        &self,
        room: &MatrixRoomId,
        since: &str,
        timeline: Timeline,
    ) -> Result<Vec<TimelineEvent>, Failure> {
        let last = self.ledger.last(room.as_str()).await?;
        let Some(entry) = self.entry(&timeline.events) else {
            if !timeline.limited || last.is_none() {
                return Ok(timeline.events);
            }
            let mut events = match timeline.before {
                Some(before) => self.page_back(room, before, since, last).await?,
                None => Vec::new(),
            };
            events.extend(timeline.events);
            return Ok(events);
        };
        // What was said before we were asked in was not said to us.
        Ok(timeline.events.into_iter().skip(entry).collect())
    }

    /// Where in the events our own time in the room begins: with the invite, or else with our entry.
    fn entry(&self, events: &[TimelineEvent]) -> Option<usize> {
        let ours = |event: &TimelineEvent, wanted: &str| {
            serde_json::from_str::<Value>(event.raw().json().get()).is_ok_and(|event| {
                event["type"] == "m.room.member"
                    && event["state_key"] == self.me.as_str()
                    && event["content"]["membership"] == wanted
                    // A new name is no entry.
                    && event["unsigned"]["prev_content"]["membership"] != wanted
            })
        };
        let joined = events.iter().rposition(|event| ours(event, "join"))?;
        let invited = events[..joined].iter().rposition(|event| ours(event, "invite"));
        Some(invited.unwrap_or(joined))
    }

    /// Reads back from `before` until what was known: the last event that was handed in, or the place `since`.
    async fn page_back(
        &self,
        room: &MatrixRoomId,
        before: String,
        since: &str,
        last: Option<String>,
    ) -> Result<Vec<TimelineEvent>, Failure> {
        let Some(handle) = self.client.get_room(room) else {
            return Ok(Vec::new());
        };
        let mut missed = Vec::new();
        let mut from = Some(before);
        while let Some(start) = from.take() {
            let mut options = MessagesOptions::backward().from(&*start);
            options.to = Some(since.to_owned());
            options.limit = UInt::from(PAGE);
            let page = match handle.messages(options).boxed().await.map_err(failure::any) {
                Ok(page) => page,
                // We are out of it, so there is nothing more to see.
                Err(failure) if failure.no_access() => break,
                Err(failure) => return Err(failure),
            };
            let known = page.chunk.iter().position(|event| {
                event
                    .event_id()
                    .is_some_and(|id| last.as_deref() == Some(id.as_str()))
            });
            let empty = page.chunk.is_empty();
            missed.extend(page.chunk.into_iter().take(known.unwrap_or(usize::MAX)));
            if known.is_none() && !empty && page.end.as_deref() != Some(&*start) {
                from = page.end;
            }
            if missed.len() > LIMIT {
                tracing::error!(
                    events = missed.len(),
                    "a room has more news than can be read; the oldest are left out"
                );
                break;
            }
        }
        missed.reverse();
        Ok(missed)
    }
}
